"""Small pictures of photos, as data URIs of a few kilobytes: nothing is written to the disk or fetched again."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

HEIGHT = 96  # pixels: of a cell as it is shown; fine screens have twice as many
COMPARED = 128  # pixels: the longer side of the copies in which movement is looked for
# Correlation from which a shift is believed, of whole pictures and of windows: between unrelated pictures the highest
# were seen at 0.07 and 0.17.
BELIEVED = {"whole": 0.12, "window": 0.25}

Pixels = npt.NDArray[np.uint8]


def uri(jpeg: bytes) -> str:
    """A JPEG as a data URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def pixels(uri: str) -> Pixels:
    """(H, W, 3): what `uri` holds."""
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def movement(a: Pixels, b: Pixels) -> float:
    """How far what moves most got from (H, W, 3) picture `a` to `b`, as a share of the longer side; 0 if unclear.

    Phase correlation (Kuglin and Hines, 1975), of the whole pictures for a moving camera and of windows for what moves
    in the picture.
    """
    one, other = (_grey(picture) for picture in (a, b))
    found = [(_shift(one, other), BELIEVED["whole"])]
    found += [(_shift(one[window], other[window]), BELIEVED["window"]) for window in _windows(*one.shape)]
    return max([pixels for (pixels, peak), least in found if peak >= least], default=0.0) / max(one.shape)


def _grey(picture: Pixels) -> npt.NDArray[np.float64]:
    image = Image.fromarray(picture).convert("L")
    image.thumbnail((COMPARED, COMPARED))
    return np.asarray(image, np.float64)


def _windows(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Nine of half the size, each overlapping its neighbours by half."""
    for row in range(3):
        for column in range(3):
            top, left = row * height // 4, column * width // 4
            yield slice(top, top + height // 2), slice(left, left + width // 2)


def _shift(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> tuple[float, float]:
    """By how many pixels `b` is shifted against `a`, and how clearly, from 0 to 1."""
    fade = np.outer(np.hanning(a.shape[0]), np.hanning(a.shape[1]))  # else the borders correlate
    cross = np.fft.fft2((a - a.mean()) * fade) * np.conj(np.fft.fft2((b - b.mean()) * fade))
    peaks = np.fft.ifft2(cross / np.maximum(1e-9, abs(cross))).real
    place = np.unravel_index(peaks.argmax(), peaks.shape)
    return float(np.hypot(*(min(at, size - at) for at, size in zip(place, peaks.shape, strict=True)))), peaks.max()
