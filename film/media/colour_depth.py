"""How a film's colours are encoded: bits per channel and range, and what that means in ffmpeg's words.

A film of standard range is BT.709. One in high dynamic range keeps the colours of its video as they are encoded there:
BT.2020 with the transfer function PQ or HLG. What plays while it is made has standard range in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from film.media import alpha, images, video_filters

DEPTHS = (8, 10)  # bits of each channel in a film
SCALED = "out_range=tv:flags=accurate_rnd+full_chroma_int+bitexact"
SDR = f"scale=out_color_matrix=bt709:{SCALED},setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
# For players that show no transparency, such as the page's: over white.
OVER_WHITE = (
    "split[a][b];[a]drawbox=color=white:thickness=fill:replace=1,format=gbrp[white];[white][b]overlay=format=gbrp,"
)
# zscale, because swscale takes 65280 for the white of 16 bits: 1.5 of 1023 too bright.
DEEP_RGB = "format=gbrp16le,setparams=range=pc:colorspace=gbr"
TO_SDR = f"{DEEP_RGB}:color_primaries=bt2020:color_trc={{transfer}},{video_filters.TO_SDR}"


@dataclass(frozen=True)
class ColourDepth:
    """Of a film: bits per channel, and the transfer function where it is in high dynamic range."""

    bits: int = 8
    transfer: str | None = None

    def pixels(self, frame: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A frame as ffmpeg reads it here: (H, W, 3 or 4) of uint8 or, for more than 8 bits, uint16; both full range.

        Of four channels the last is the opacity, by which the colours of floats are multiplied, and those of whole
        numbers are not.
        """
        if frame.dtype == np.uint8:
            return frame if self.bits == 8 else frame.astype(np.uint16) * np.uint16(257)
        values = np.asarray(frame, np.float32)
        values = alpha.straight(values) if values.shape[2] == 4 else values
        if self.bits == 8:
            return images.to_uint8(values)
        return np.rint(np.clip(values, 0, 1) * np.float32(65535)).astype(np.uint16)

    def preview(self, channels: int) -> str:
        """ffmpeg's filters from such pixels to 8-bit BT.709."""
        tone = TO_SDR.format(transfer=self.transfer) if self.transfer else ""
        return (OVER_WHITE if channels == 4 else "") + tone + SDR

    def encoded(self, channels: int) -> str:
        """ffmpeg's filters from such pixels to those of the film."""
        if self.bits == 8 or channels == 4:
            return SDR
        matrix, tags = ("2020_ncl", "bt2020nc:color_primaries=bt2020") if self.transfer else ("709", "bt709")
        transfer = self.transfer or "bt709:color_primaries=bt709"
        return (
            f"{DEEP_RGB},zscale=matrix={matrix}:range=limited,setparams=range=tv:colorspace={tags}:color_trc={transfer}"
        )

    def lossless(self, channels: int) -> list[str]:
        """ffmpeg's arguments for keeping such pixels: 8 bits exactly, more to 1/4096."""
        form = "gbrap" if channels == 4 else "gbrp"
        if self.bits == 8:  # half the work of lossless x264, no larger
            return ["-c:v", "utvideo", "-pix_fmt", form, "-pred", "median"]
        return ["-c:v", "ffv1", "-level", "3", "-slices", "4", "-threads", "4", "-pix_fmt", f"{form}12le"]


STANDARD = ColourDepth()


def even(height: int, width: int) -> str:
    """A filter of frames of that size: the last row or column twice where a side is odd."""
    odd = height % 2, width % 2
    if not any(odd):
        return ""
    return f"pad={width + odd[1]}:{height + odd[0]},fillborders=right={odd[1]}:bottom={odd[0]}:mode=smear,"
