"""A photo's file, opened with care: what it is, how many pictures it holds, whether all of it is there.

A file may hold more than one picture. Previews, depth maps and gain maps beside a photo are passed over; where the
first picture is not the photo (a RAW file's thumbnail), or is one among equals (an animation, pages), it is refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pillow_heif
from PIL import Image, ImageChops, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

MIN_SIDE = 16  # pixels; below this there is nothing to match between two photos
OVERSHOOT = 1.0  # by which values may leave [0, 1]: a network's do a little, those that count to 255 do far more
# What Pillow calls them, and what people do. Nothing that runs a program.
FORMATS = {name.upper(): name for name in ("JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF", "AVIF")} | {"HEIF": "HEIC"}
WHITE = {"F": 1, "I": 65535}  # by Pillow's mode; what has 16 bits may come as "I"
RAW_SUFFIXES = frozenset(".dng .nef .nrw .arw .sr2 .cr2 .cr3 .raf .rw2 .orf .pef .srw .3fr .iiq".split())
REDUCED, MASK = 1, 4  # bits of a TIFF page's kind (NewSubfileType)
RAW_COLOURS = (32803, 34892)  # a TIFF's photometric interpretations: colour filter array, linear RAW
DNG_VERSION, SUB_IFDS, SUBFILE_KIND = 50706, 330, 254  # tags of a TIFF
PAGES_READ = 100  # of a TIFF, to see what they are
HEAD = 2**16  # bytes of a HEIF file, in which it tells what it holds
SEQUENCES = (b"msf1", b"hevc", b"hevx", b"avis")  # HEIF's main brands of moving pictures
# Kinds of an MPO's pictures that are parts of a whole: a panorama, and several angles.
PARTS_OF_A_WHOLE = ("Multi-Frame Image: (Panorama)", "Multi-Frame Image: (Multi-Angle)")
JPEG_END = b"\xff\xd9"
TAILS = (bytes(64), b"\xa5" * 64)  # two continuations of a JPEG: they change pixels where any are missing

pillow_heif.register_heif_opener()
# About large photos, where `max_pixels` decides, and about harmless damage. Once and for all: threads share this list.
warnings.filterwarnings("ignore", module=r"PIL\.|pillow_heif\.")
# Cameras and editors write text chunks of many megabytes; Pillow's limit for all of them together stays.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY


class _Refused(ValueError):
    """A photo that is read well enough, but not used."""


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], max_pixels: int) -> Iterator[Image.Image]:
    """The file as a Pillow image, its header checked; what goes wrong with it inside the context is a ValueError."""
    name = Path(path).name
    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=tuple(FORMATS)) as image:
                _check_size(image, name, max_pixels)
                _check_pictures(image, name, file)
                yield image
        except UnidentifiedImageError as error:
            if Path(path).suffix.lower() in RAW_SUFFIXES:
                raise _raw(name) from error
            *others, last = FORMATS.values()
            raise ValueError(
                f"{name} is not an image this program reads; use {', '.join(others)} or {last}."
            ) from error
        except Image.DecompressionBombError as error:
            limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))  # Pillow's own is 179 megapixels
            raise ValueError(f"{name} has more pixels than the limit of {limit / 1e6:.4g} megapixels.") from error
        except (MemoryError, _Refused):  # not the photo's fault, or said already
            raise
        except Exception as error:
            # What decoders raise for damaged data depends on the format and on where the damage is: any type at all.
            words = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{name} is damaged or incomplete and cannot be read ({words}).") from error


def load(image: Image.Image, path: str | os.PathLike[str]) -> Image.Image:
    """The image with its pixels decoded; refused on a scale that is not known: all would be white, or all black.

    A JPEG that lacks nothing but its end marker comes whole, as another image.
    """
    try:
        image.load()
    except OSError as error:
        if image.format not in ("JPEG", "MPO"):
            raise
        image = _without_end(Path(path), error)
    if image.mode not in WHITE:
        return image
    values, white = np.asarray(image), WHITE[image.mode]
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)  # of all that are numbers
    over = OVERSHOOT if image.mode == "F" else 0
    if low < -over or high > white + over:
        raise _Refused(
            f"{Path(path).name} has values from {low:g} to {high:g}; they must go from 0, black, to {white}, white:"
            " save it with 8 or 16 bits."
        )
    return image


def is_single(path: str | os.PathLike[str]) -> bool:
    """Whether the file can be opened as an image, and holds one picture."""
    try:
        with Image.open(path, formats=tuple(FORMATS)) as image:
            return getattr(image, "n_frames", 1) == 1
    except Exception:  # of any type, for damaged data
        return False


def lacks_end(path: str | os.PathLike[str]) -> bool:
    """Whether it is a JPEG without an end marker after its last scan."""
    with open(path, "rb") as file:
        if file.read(2) != b"\xff\xd8":
            return False
        data = file.read()
    return data.rfind(JPEG_END) < data.rfind(b"\xff\xda")


def _without_end(path: Path, error: OSError) -> Image.Image:
    """The JPEG, if whatever its data go on with, its pixels are the same; else `error` is raised."""
    data = path.read_bytes()
    body = data.rstrip(b"\0")
    if body.endswith(b"\xff"):  # half a marker, or the last byte of the data, which a zero follows
        body = body[:-1] if len(body) == len(data) else body + b"\0"
    first, second = (Image.open(io.BytesIO(body + tail + JPEG_END), formats=("JPEG",)) for tail in TAILS)
    try:
        whole = ImageChops.difference(first, second).getbbox() is None
    except OSError:
        raise error from None
    if not whole:
        raise error
    return first


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise _Refused(f"{name} is {width}x{height} pixels; both sides must be at least {MIN_SIDE}.")
    if width * height > max_pixels:
        raise _Refused(
            f"{name} is {width}x{height}, {width * height / 1e6:.1f} megapixels; the limit is"
            f" {max_pixels / 1e6:g}. Make it smaller first."
        )


def _check_pictures(image: Image.Image, name: str, file: IO[bytes]) -> None:
    """Refuse a file whose first picture is not its photo, or not its only one."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiff(image, name)
        return
    pictures = getattr(image, "n_frames", 1)
    if image.format == "MPO":
        entries = getattr(image, "mpinfo", {}).get(0xB002, [])
        parts = [entry for entry in entries if entry["Attribute"]["MPType"] in PARTS_OF_A_WHOLE]
        pictures = len(parts)  # others are previews, the other eye's view, or not told: gain maps
    elif image.format == "HEIF":
        file.seek(0)
        head = file.read(HEAD)
        if head[8:12] in SEQUENCES and b"moov" in head:
            pictures = max(2, pictures)
        elif b"ster" in head or b"altr" in head:  # two eyes' views of it, or two forms: the first is the photo
            pictures = 1
    if pictures > 1:
        raise _Refused(f"{name} is animated or has several pages ({pictures}); give a single photo.")


def _check_tiff(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Refuse RAW files, which begin with a thumbnail or hold what is no picture yet, and several pages."""
    tags, file = image.tag_v2, image.fp
    assert file
    here = file.tell()
    file.seek(0)
    header = file.read(16)
    raw = header[8:10] == b"CR" or DNG_VERSION in tags or tags.get(262) in RAW_COLOURS
    subs = tags.get(SUB_IFDS, ())
    for offset in (subs if isinstance(subs, tuple) else (subs,))[:PAGES_READ]:
        sub = TiffImagePlugin.ImageFileDirectory_v2(header[:8])
        file.seek(offset)
        sub.load(file)
        raw = raw or sub.get(256, 0) * sub.get(257, 0) > image.width * image.height
    file.seek(here)
    if raw:
        raise _raw(name)
    pages = getattr(image, "n_frames", 1)
    if pages == 1:
        return
    kinds = []
    for page in range(min(pages, PAGES_READ)):
        image.seek(page)
        kinds.append((image.tag_v2.get(SUBFILE_KIND, 0), image.width * image.height))
    image.seek(0)
    (own, size), *others = kinds
    if own & REDUCED or any(kind & REDUCED and pixels > size for kind, pixels in others):
        raise _Refused(f"{name} begins with a reduced copy of its picture; save the picture alone, as TIFF or JPEG.")
    if pages > PAGES_READ or any(not kind & (REDUCED | MASK) for kind, _ in others):
        raise _Refused(f"{name} is animated or has several pages ({pages}); give a single photo.")


def _raw(name: str) -> _Refused:
    return _Refused(f"{name} is a camera's RAW file, which this program does not develop; save it as JPEG or TIFF.")
