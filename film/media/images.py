"""Photos in, pixels out.

A **Frame** is what the whole package passes around: (H, W, 3) float32, RGB, values in [0, 1], sRGB-encoded (not
linear light). Everything about file formats, orientation and sizes ends in this file.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from film.media import alpha as alpha_
from film.media import colours, photo_file
from film.media.photo_file import MIN_SIDE, OVERSHOOT, WHITE
from film.support import memory, validation

Frame: TypeAlias = npt.NDArray[np.float32]

MAX_PIXELS = 100_000_000  # 100 megapixels: above any phone's usual mode; 1.2 GB as a Frame
# Of photos in a folder: all that are read by themselves, but GIF, which is a video first.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jif .jfif .jfi .mpo .png .apng .webp .tif .tiff .bmp .dib .heic .heics .heif .heifs .hif .avif"
    " .avifs".split()
)


@memory.told()
def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, alpha: bool = False) -> Frame:
    """Read a photo as a Frame, upright (EXIF orientation applied), transparency over white, colours as sRGB.

    With `alpha` a transparent photo is (H, W, 4) instead: RGB multiplied by the opacity, and the opacity.

    Raises ValueError with one sentence when the file is not an image this package reads, is truncated, animated,
    smaller than 16 px on a side or larger than `max_pixels`, or when its numbers are on a scale with another white than
    1 for floating-point and 65535 for whole numbers of more than 8 bits; OSError when it cannot be opened.
    """
    with photo_file.opened(path, max_pixels) as image:
        cicp = colours.read_cicp(image, path)
        image = photo_file.load(image, path)
        return _to_frame(ImageOps.exif_transpose(image), cicp, alpha)


def image_size(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, to_the_end: bool = False) -> tuple[int, int]:
    """Height and width the photo's Frame will have, from the file's header alone. Same errors as `read_image`.

    `to_the_end` decodes all of it, so that what is damaged is refused here.
    """
    with photo_file.opened(path, max_pixels) as image:
        if to_the_end:
            photo_file.load(image, path)
        width, height = image.size
        # Pillow turns a TIFF by itself, and tells the size it has then.
        sideways = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        return (width, height) if sideways else (height, width)


def in_folder(folder: str | os.PathLike[str]) -> list[Path]:
    """The photos of a folder by their names in natural order (`photo 9` before `photo 10`). ValueError if none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give two photos or more, or one folder of photos.")
    named = (path for path in folder.iterdir() if is_photo(path) and not path.name.startswith("."))
    photos = [path for path in named if path.is_file()]
    if not photos:
        raise ValueError(f"There are no photos in the folder {folder}.")
    return sorted(photos, key=natural)


def is_photo(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is a photo; a GIF is one that holds a single picture."""
    suffix = Path(path).suffix.lower()
    return suffix in SUFFIXES or (suffix == ".gif" and photo_file.is_single(path))


def natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """The key that sorts by names as people count: `photo 9` before `photo 10`; `a1`, `a01` and `A1` by letters."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name


def has_alpha(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> bool:
    """Whether a photo can be transparent, from its header alone. Same errors as `read_image`."""
    with photo_file.opened(path, max_pixels) as image:
        return _is_transparent(image)


def _is_transparent(image: Image.Image) -> bool:
    return "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")


def _to_frame(image: Image.Image, cicp: colours.Cicp | None, alpha: bool = False) -> Frame:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey, as "I;16", "I;16B" or "I"
        grey = np.clip(np.nan_to_num(np.asarray(image, np.float32) / np.float32(WHITE[image.mode[0]])), 0.0, 1.0)
        steps, curve = np.linspace(0, 1, 256, dtype=np.float32), colours.grey_curve(image.info, cicp)
        if np.abs(curve - steps[:, None]).max() < 0.5 / 255:
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.stack([np.interp(grey, steps, channel).astype(np.float32) for channel in curve.T], axis=2)
    if _is_transparent(image):
        # What is grey stays so: its profile is one for grey.
        mode, profile = "L" if image.mode[0] == "L" else "RGB", image.info.get("icc_profile")
        image = image.convert("RGBA")
        opacity = image.getchannel("A")
        ground = None if alpha else Image.new("RGBA", image.size, "white")
        image = (Image.alpha_composite(ground, image) if ground else image).convert(mode)
        if profile:
            image.info["icc_profile"] = profile
        if alpha:
            frame = to_frame(np.asarray(colours.to_srgb(image, cicp)))
            return alpha_.with_alpha(frame, to_frame(np.asarray(opacity)))
    return to_frame(np.asarray(colours.to_srgb(image, cicp)))


class Reader(Protocol):
    """Who opens photos: this module, or somebody who does not trust them and uses it with more care."""

    def image_size(self, path: str | os.PathLike[str], max_pixels: int = ...) -> tuple[int, int]: ...

    def read_image(self, path: str | os.PathLike[str], max_pixels: int = ..., alpha: bool = ...) -> Frame: ...

    def has_alpha(self, path: str | os.PathLike[str], max_pixels: int = ...) -> bool: ...


def to_frame(pixels: npt.NDArray[Any]) -> Frame:
    """(H, W, 3) uint8 or uint16, full range -> Frame."""
    frame = pixels.astype(np.float32)
    frame /= np.float32(np.iinfo(pixels.dtype).max)  # in place: of the largest photos a second copy is a gigabyte
    return frame


def to_uint8(frame: Frame) -> npt.NDArray[np.uint8]:
    """Clip to [0, 1], scale to 0 … 255 and round to nearest. (H, W, 3) uint8."""
    return np.rint(np.clip(frame, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)


def common_size(sizes: Sequence[tuple[int, int]], longest_side: int | None = None) -> tuple[int, int]:
    """The (height, width) that photos of these (height, width) are fitted to.

    The aspect ratio is the geometric mean of the widest and the tallest, so that both lose the same share; the size
    is the largest for which no photo has to be enlarged, and at most `longest_side`.
    """
    if longest_side is not None and not (validation.exact(longest_side) or 0) >= MIN_SIDE:
        raise ValueError(
            f"The longest side is limited to {validation.told(longest_side)} pixels; it must be at least {MIN_SIDE}."
        )
    aspects = [width / height for height, width in sizes]
    aspect = math.sqrt(min(aspects) * max(aspects))
    height = min(min(height, width / aspect) for height, width in sizes)
    width = height * aspect
    if min(round(height), round(width)) < MIN_SIDE:
        raise ValueError(f"The photos differ too much in shape: what they share is {width:.0f}x{height:.0f} pixels.")
    if longest_side is not None:
        scale = min(1.0, longest_side / max(height, width))
        height, width = height * scale, width * scale
    if min(round(height), round(width)) < MIN_SIDE:
        raise ValueError(
            f"With a longest side of {longest_side} pixels the film would be {width:.0f}x{height:.0f};"
            f" both sides must be at least {MIN_SIDE}."
        )
    return round(height), round(width)


@memory.told()
def fit(frame: Frame, size: tuple[int, int]) -> Frame:
    """Crop around the centre to the aspect ratio of `size` (height, width), then resample (Lanczos). No stretching.

    Returns (height, width, 3) float32, or 4 if there is opacity, clipped to [0, 1]; a frame of that size as it is.
    """
    height, width = size
    if frame.shape[:2] == size:
        return frame
    scale = min(frame.shape[0] / height, frame.shape[1] / width)
    top, left = (max(0.0, (side - new * scale) / 2) for side, new in zip(frame.shape, size, strict=False))
    box = (left, top, frame.shape[1] - left, frame.shape[0] - top)
    channels = [
        Image.fromarray(np.ascontiguousarray(frame[:, :, c])).resize((width, height), Image.Resampling.LANCZOS, box)
        for c in range(frame.shape[2])
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=2), 0.0, 1.0)


def check_frame(frame: Any, name: str = "The frame", alpha: bool = False, integers: bool = False) -> npt.NDArray[Any]:
    """`frame` itself, contiguous float32. With `alpha` it may have a fourth channel, with `integers` be of uint8, too.

    ValueError if it is no Frame, or has values that are not finite, or not within OVERSHOOT of [0, 1].
    """
    is_array = isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] in ((3, 4) if alpha else (3,))
    if not is_array or not (frame.dtype.kind == "f" or (integers and frame.dtype == np.uint8)):
        kind = f"of type {type(frame).__name__}"
        if isinstance(frame, np.ndarray):
            kind = f"{frame.shape} of dtype {frame.dtype}"
        whole = " or of uint8" if integers else ""
        raise ValueError(f"{name} is {kind}; a frame is a (height, width, 3) array of float32 in [0, 1]{whole}.")
    if min(frame.shape[:2]) < 1:
        raise ValueError(f"{name} is {frame.shape[1]}x{frame.shape[0]}; a frame must have pixels.")
    if frame.dtype == np.uint8:
        return np.ascontiguousarray(frame)
    low, high = frame.min(), frame.max()  # not a number if any value is none
    if not np.isfinite([low, high]).all():
        raise ValueError(f"{name} has values that are not finite; a frame holds float32 values in [0, 1].")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}; a frame holds float32 values in [0, 1]: divide by 255 what"
            " counts to 255."
        )
    return np.ascontiguousarray(frame, np.float32)
