"""Photos of any colours and any mode become sRGB."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from film.media import images
from tests.support import corpus
from tests.support.clips import ffmpeg

# XYZ relative to D50 of each space's primaries, from the published profiles.
P3 = np.array([[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]])
SRGB = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]])
IN_P3, IN_SRGB = (187, 60, 45), (203, 45, 33)  # one colour
P3_NUMBERS, PQ_NUMBERS, HLG_NUMBERS = (12, 13), (9, 16), (9, 18)


def middle(path: Path) -> np.ndarray:
    return images.read_image(path)[8:-8, 8:-8].mean((0, 1)) * 255


def plain(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (64, 48), colour)


def profile(space: bytes, **tags: bytes) -> bytes:
    """A minimal ICC profile of a display with that colour space: its white point (D50), and those tags."""
    tags = {"wtpt": xyz(np.array([0.9642, 1.0, 0.8249])), **tags}
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name.encode() + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(data), len(value))
        data += value
    size = 128 + len(table) + len(data)
    header = struct.pack(">I4xI4s4s4s12x4s", size, 0x02100000, b"mntr", space, b"XYZ ", b"acsp").ljust(68, b"\0")
    return (header + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0") + table + data


def xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(float(value) * 65536) for value in values))


def curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_display_p3_becomes_srgb(tmp_path: Path, mode: str) -> None:
    colours = np.array([[180, 110, 100], [110, 160, 110], [90, 110, 170], [128, 128, 128]], np.uint8)
    stored = np.tile(colours.repeat(16, axis=0), (16, 1, 1))
    linear = (stored / 255) ** 2.2 @ P3 @ np.linalg.inv(SRGB)
    assert linear.min() > 0 and linear.max() < 1  # inside sRGB, so nothing depends on how colours are clipped
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(stored / 255 - expected).max() > 8 / 255  # the conversion is visible
    curves = dict.fromkeys(("rTRC", "gTRC", "bTRC"), curve(2.2))
    primaries = {name: xyz(row) for name, row in zip(("rXYZ", "gXYZ", "bXYZ"), P3, strict=True)}
    image = Image.fromarray(stored)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "phone.png", icc_profile=profile(b"RGB ", **primaries, **curves))
    np.testing.assert_allclose(images.read_image(tmp_path / "phone.png"), expected, atol=2.1 / 255)


def test_a_damaged_profile_is_ignored(tmp_path: Path) -> None:
    plain(IN_P3).save(tmp_path / "photo.png", icc_profile=b"no profile at all")
    assert middle(tmp_path / "photo.png") == pytest.approx(IN_P3, abs=0.01)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_profile_counts_in_every_mode_of_grey(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "grey.png"
    values = np.full((48, 64), 128, np.uint8)
    image = Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(values).convert(mode)
    image.save(path, icc_profile=profile(b"GRAY", kTRC=curve(1.0)))
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
    data = path.read_bytes()
    path.write_bytes(data[:33] + corpus.chunk(b"cICP", bytes([*numbers, 0, 1])) + data[33:])


@pytest.mark.parametrize(("suffix", "write"), [(".heic", heif), (".avif", avif), (".png", png)])
def test_colours_that_are_told_by_numbers(tmp_path: Path, suffix: str, write: Callable[..., None]) -> None:
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
