"""The colours of a photo as sRGB, however the file says what they are.

An ICC profile goes first, through Little CMS. Without one, the numbers of ITU-T H.273 (CICP) may be there: in HEIF and
AVIF as "nclx", in PNG as "cICP"; they are brought to sRGB by the filters of videos, which tone-map high dynamic range.
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

from film.media import ffmpeg, video_filters

WIDE_PRIMARIES = (9, 12)  # BT.2020 and P3, by H.273's number; others are taken for sRGB's
TRANSFERS = (4, 5, 8, 16, 18)  # gammas of 2.2 and 2.8, linear light, PQ and HLG; others are taken for sRGB's
PEAKS = {16: 100, 18: 10}  # of PQ and HLG, in ffmpeg's unit of 100 cd/m2: what is brighter would be white
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # Pillow's, by a profile's colour space
BLOCK = 256  # pixels, of the sides of the pictures that ffmpeg converts
BOXES = 2**20  # bytes from a file's beginning in which what describes its pictures is looked for


class Cicp(NamedTuple):
    """Colours by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int

    @property
    def is_srgb(self) -> bool:
        return self.primaries not in WIDE_PRIMARIES and self.transfer not in TRANSFERS


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
    """By the filters of videos."""
    primaries = cicp.primaries if cicp.primaries in WIDE_PRIMARIES else 1
    transfer = cicp.transfer if cicp.transfer in TRANSFERS else 13
    filters = f"format=gbrp16le,setparams=color_primaries={primaries}:color_trc={transfer}:colorspace=gbr:range=pc,"
    if transfer in PEAKS:
        filters += f"{video_filters.TONE_MAPPED}:peak={PEAKS[transfer]},"
    filters += "zscale=primaries=bt709:transfer=iec61966-2-1"
    raw = ["-threads", "1", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    # Each pixel by itself, so in pictures of any size: small ones, and one thread, take ffmpeg little memory, of which
    # a photo from a stranger has a limit.
    data = np.asarray(image).tobytes()
    padded = data + bytes(-len(data) % (BLOCK**2 * 3))
    source = ["-filter_threads", "1", *raw, "-s", f"{BLOCK}x{BLOCK}", "-i", "pipe:0"]
    made = ffmpeg.run(*source, "-vf", filters, *raw, "pipe:1", data=padded)
    return Image.frombytes("RGB", image.size, made[: len(data)])
