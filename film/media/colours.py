"""The colours of a photo as sRGB, however the file says what they are.

An ICC profile goes first, through Little CMS. Without one, the numbers of ITU-T H.273 (CICP) may be there: in HEIF and
AVIF as "nclx", in PNG as "cICP". High dynamic range is tone-mapped as that of videos is.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

ROWS = 256  # that are converted at once, so that no second copy in floats is held
REFERENCE_WHITE = 203.0  # cd/m2, of PQ and HLG: BT.2408
# x and y of red, green and blue, by H.273's number; others are taken for BT.709's, which is 1 and sRGB's. White is D65.
PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
D65 = (0.3127, 0.3290)
LINEAR, PQ, HLG = 8, 16, 18  # transfer functions, by H.273's number; others are taken for sRGB's
GAMMAS = {4: 2.2, 5: 2.8}
PEAKS = {PQ: 100.0, HLG: 10.0}  # times ffmpeg's reference of 100 cd/m2: what its `tonemap` takes for the brightest
KNEE = 0.3  # below which ffmpeg's "mobius" leaves values as they are
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # Pillow's, by a profile's colour space
BOXES = 2**20  # bytes from a file's beginning in which what describes its pictures is looked for


class Cicp(NamedTuple):
    """Colours by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int

    @property
    def is_srgb(self) -> bool:
        return self.primaries not in (9, 12) and self.transfer not in (*GAMMAS, LINEAR, PQ, HLG)


def read_cicp(image: Image.Image, path: str | os.PathLike[str]) -> Cicp | None:
    """What the file says of its colours in numbers, if it does."""
    if profile := image.info.get("nclx_profile"):  # by pillow_heif
        return Cicp(int(profile["color_primaries"]), int(profile["transfer_characteristics"]))
    if image.format not in ("AVIF", "HEIF", "PNG"):
        return None
    with open(path, "rb") as file:
        head = file.read(BOXES)
    if image.format == "PNG":
        place = head.find(b"cICP", 0, max(0, head.find(b"IDAT")))
        return Cicp(head[place + 4], head[place + 5]) if 0 < place < len(head) - 6 else None
    place = head.find(b"colrnclx")
    return Cicp(*struct.unpack_from(">HH", head, place + 8)) if 0 < place < len(head) - 12 else None


def to_srgb(image: Image.Image, cicp: Cicp | None = None) -> Image.Image:
    """The image in mode RGB and sRGB's colours. It has no transparency, and no more than 8 bits for each value."""
    if profile := image.info.get("icc_profile"):
        try:
            converted = _through(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged profile, or one for other channels: show the colours as every browser would, without it
    elif cicp and not cicp.is_srgb:
        return _from_cicp(image.convert("RGB"), cicp)
    if image.mode == "LAB":
        return _through(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))) or image
    return image.convert("RGB")


def grey_curve(info: Mapping[Any, Any], cicp: Cicp | None) -> npt.NDArray[np.float32]:
    """What 256 evenly spaced greys of an image with that `info` are in sRGB: (256, 3) float32 in [0, 1]."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    ramp.info.update(info)
    return np.asarray(to_srgb(ramp, cicp), np.float32)[0] / 255


def _through(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image | None:
    """Through an ICC profile; None if it is for other channels."""
    mode = MODES.get(profile.profile.xcolor_space.strip())
    if mode is None or (mode in ("CMYK", "LAB") and image.mode != mode) or (mode == "RGB" and image.mode == "CMYK"):
        return None
    if mode == "L" and image.mode not in ("1", "L"):
        return None
    return ImageCms.profileToProfile(
        image if image.mode == mode else image.convert(mode), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )


def _from_cicp(image: Image.Image, cicp: Cicp) -> Image.Image:
    linear = _linear(np.arange(256, dtype=np.float32) / np.float32(255), cicp.transfer)
    matrix = _matrix(cicp.primaries).astype(np.float32)
    pixels = np.array(image)
    for top in range(0, len(pixels), ROWS):
        rows = linear[pixels[top : top + ROWS]] @ matrix.T
        if cicp.transfer == HLG:  # the system's gamma, from the scene's light to the display's, by BT.2100
            rows *= np.maximum(rows @ np.array([0.2126, 0.7152, 0.0722], np.float32), 1e-6)[..., None] ** 0.2
            rows *= 1000 / REFERENCE_WHITE
        if cicp.transfer in PEAKS:
            rows = _tone_mapped(rows, PEAKS[cicp.transfer])
        pixels[top : top + ROWS] = np.rint(255 * _srgb(np.clip(rows, 0, 1)))
    return Image.fromarray(pixels)


def _linear(values: npt.NDArray[np.float32], transfer: int) -> npt.NDArray[np.float32]:
    """Light of coded values in [0, 1]; 1 is white, HLG's brightest, or PQ's REFERENCE_WHITE."""
    if transfer == LINEAR:
        return values
    if transfer in GAMMAS:
        return values ** np.float32(GAMMAS[transfer])
    if transfer == PQ:  # SMPTE ST 2084
        root = values ** (32 / 2523)
        light = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
        return np.float32(10_000 / REFERENCE_WHITE) * light ** np.float32(16384 / 2610)
    if transfer == HLG:  # ARIB STD-B67
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12).astype(np.float32)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _srgb(light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)


def _tone_mapped(light: npt.NDArray[np.float32], peak: float) -> npt.NDArray[np.float32]:
    """As ffmpeg's `tonemap=mobius:desat=0` does it."""
    a = -(KNEE**2) * (peak - 1) / (KNEE**2 - 2 * KNEE + peak)
    b = (KNEE**2 - 2 * KNEE * peak + peak) / (peak - 1)
    brightest = np.maximum(light.max(axis=2, keepdims=True), 1e-6)
    curve = (b**2 + 2 * b * KNEE + KNEE**2) / (b - a) * (brightest + a) / (brightest + b)
    return light * np.where(brightest > KNEE, curve / brightest, 1)


def _matrix(primaries: int) -> npt.NDArray[np.float64]:
    """(3, 3), from linear RGB of those primaries to BT.709's."""
    return np.linalg.inv(_to_xyz(PRIMARIES[1])) @ _to_xyz(PRIMARIES.get(primaries, PRIMARIES[1]))


def _to_xyz(chromaticities: tuple[tuple[float, float], ...]) -> npt.NDArray[np.float64]:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in chromaticities]).T
    white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    return columns * np.linalg.solve(columns, white)
