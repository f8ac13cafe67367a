"""Photos of any colours and any mode become sRGB."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from film.media import images
from tests.film.media.test_images import curve, profile
from tests.support.clips import ffmpeg

P3 = np.array([[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]])  # XYZ
IN_P3, IN_SRGB = (187, 60, 45), (203, 45, 33)  # one colour
P3_NUMBERS, PQ_NUMBERS, HLG_NUMBERS = (12, 13), (9, 16), (9, 18)


def middle(path: Path) -> np.ndarray:
    return images.read_image(path)[8:-8, 8:-8].mean((0, 1)) * 255


def plain(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (64, 48), colour)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_a_profile_counts_in_every_mode_of_colour(tmp_path: Path, mode: str) -> None:
    path, srgb = tmp_path / "p3.png", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image = plain(IN_P3).quantize(4) if mode == "P" else plain(IN_P3).convert(mode)
    image.save(path, icc_profile=srgb.tobytes())
    assert middle(path) == pytest.approx(IN_P3, abs=1)
    image.save(path, icc_profile=profile(P3, 2.2))
    assert middle(path) == pytest.approx(IN_SRGB, abs=7)  # its curve is a plain power


def grey_profile(gamma: float) -> bytes:
    """An ICC profile for grey: a white point and a curve."""
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    tags = [(b"wtpt", white), (b"kTRC", curve(gamma))]
    offset, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", offset + len(data), len(content))
        data += content
    header = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ") + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    whole = header.ljust(128, b"\0") + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_profile_counts_in_every_mode_of_grey(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "grey.png"
    values = np.full((48, 64), 128, np.uint8)
    image = Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(values).convert(mode)
    image.save(path, icc_profile=grey_profile(1.0))
    assert middle(path) == pytest.approx([188] * 3, abs=2)  # half the light is 188 in sRGB
    image.save(path)
    assert middle(path) == pytest.approx([128] * 3, abs=0.6)


def heif(path: Path, colour: tuple[int, int, int], numbers: tuple[int, int]) -> None:
    primaries, transfer = numbers
    told = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    pillow_heif.from_pillow(plain(colour)).save(path, quality=100, chroma=444, full_range_flag=1, **told)


def avif(path: Path, colour: tuple[int, int, int], numbers: tuple[int, int]) -> None:
    names = {12: "smpte432", 9: "bt2020", 13: "iec61966-2-1", 16: "smpte2084", 18: "arib-std-b67"}
    tags = f"setparams=color_primaries={names[numbers[0]]}:color_trc={names[numbers[1]]}:colorspace=bt709:range=pc"
    source = f"color=c=0x{bytes(colour).hex()}:s=64x48,format=gbrp,scale=out_color_matrix=bt709:out_range=pc"
    still = ["-frames:v", "1", "-c:v", "libaom-av1", "-crf", "4", "-still-picture", "1"]
    ffmpeg("-f", "lavfi", "-i", f"{source},format=yuv444p,{tags}", *still, str(path))


def png(path: Path, colour: tuple[int, int, int], numbers: tuple[int, int]) -> None:
    plain(colour).save(path)
    chunk = b"cICP" + bytes([*numbers, 0, 1])
    data = path.read_bytes()
    path.write_bytes(data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])


@pytest.mark.parametrize(("suffix", "write"), [(".heic", heif), (".avif", avif), (".png", png)])
def test_colours_that_are_told_by_numbers(tmp_path: Path, suffix: str, write: object) -> None:
    assert callable(write)
    path = tmp_path / f"photo{suffix}"
    write(path, IN_P3, P3_NUMBERS)
    assert middle(path) == pytest.approx(IN_SRGB, abs=5)
    write(path, (148, 148, 148), PQ_NUMBERS)  # 203 cd/m2, the reference white
    assert min(middle(path)) > 195
    write(path, (191, 191, 191), HLG_NUMBERS)  # the same
    assert min(middle(path)) > 190
    write(path, (0, 0, 0), PQ_NUMBERS)
    assert max(middle(path)) < 2


def test_brighter_light_stays_brighter(tmp_path: Path) -> None:
    path, greys = tmp_path / "pq.png", []
    for level in range(0, 256, 15):
        png(path, (level, level, level), PQ_NUMBERS)
        greys.append(middle(path).mean())
    assert (np.diff(greys[:-1]) > 0).all() and greys[-1] == pytest.approx(255, abs=1)
