"""One function per format: segments -> one file, streaming, with memory that the film's length does not change.

`play` is "loop", "once" or "pingpong", `quality` from 1 to 100; video_writer.py says what they mean.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from film.media import audio, lossless_segments
from film.media.audio import Sound
from film.media.colour_depth import ColourDepth, even
from film.media.ffmpeg import Ffmpeg, local
from film.media.video_segments import Pixels, Segment, SegmentEncoder, h264_factor, raw_video

# Browsers show a frame of 10 ms or less for 100 ms.
MAX_GIF_FPS = Fraction(50)  # a GIF counts hundredths of a second: two are the fewest
MAX_WEBP_FPS = Fraction(90)  # a WebP counts thousandths: 11 are the fewest
# Both filters of a GIF remember each colour they meet. In 6 bits those are few enough for a film of any length; of
# 256 colours that is not seen.
_LEVEL = "trunc(val/4)*255/63"
SIX_BITS = f"lutrgb=r={_LEVEL}:g={_LEVEL}:b={_LEVEL}"
# An ordered pattern stands still where the film does, and compresses; 4 is the strongest that is not seen as one.
DITHER = "paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
THREADS = 2  # of x265, whose result depends on it
ENCODER_WORK = 2e-6  # seconds of processor time for each byte of a frame: twenty times what is usual
MP4 = ["-movflags", "+faststart"]
BITEXACT = ["-fflags", "+bitexact"]


@dataclass(frozen=True)
class Output:
    """A file that is to be made of segments. `path` ends in the format's suffix."""

    segments: Sequence[Segment]
    path: Path
    play: str
    quality: int
    sound: Sound | None
    depth: ColourDepth

    @property
    def fps(self) -> Fraction:
        return self.segments[0].fps

    @property
    def count(self) -> int:
        """Frames, forth."""
        return sum(segment.count for segment in self.segments)

    @property
    def seconds(self) -> float:
        return float(self.count / self.fps)

    def with_sound(self) -> tuple[list[str], list[str], float | None]:
        """ffmpeg's arguments for its second input and for the output; and its limit of processor time: a stranger's
        sound may be of days that are not in the film."""
        if self.sound is None:
            return [], [], None
        return *audio.arguments(self.sound, self.seconds, self.path.suffix), audio.WORK + self.seconds

    @contextlib.contextmanager
    def played(self, play: str | None = None) -> Iterator[tuple[Pixels, Iterator[Pixels]]]:
        """The first frame, and all of them in the order in which they are played."""
        with contextlib.ExitStack() as stack:
            forth = stack.enter_context(contextlib.closing(lossless_segments.frames(self.segments)))
            back = stack.enter_context(contextlib.closing(lossless_segments.back(self.segments)))
            frames = itertools.chain(forth, back) if (play or self.play) == "pingpong" else forth
            first = next(frames)
            yield first, itertools.chain([first], frames)


def mp4(output: Output) -> None:
    """H.264: the segments as they are; for the way back of a ping-pong, more of them. In 10 bits H.265."""
    if output.depth.bits > 8:
        _h265(output)
        return
    segments = [*output.segments]
    if output.play == "pingpong":
        with (
            SegmentEncoder(output.path.parent, output.fps, quality=output.quality, first=output.count) as encoder,
            contextlib.closing(lossless_segments.back(segments)) as frames,
        ):
            for frame in frames:
                encoder.write(frame)
            encoder.finish()
        segments += encoder.segments
    inputs, outputs, limit = output.with_sound()
    command = ["-f", "mpegts", "-i", "pipe:0", *inputs, "-map", "0:v", "-c:v", "copy", *_times(output.fps)]
    with Ffmpeg(*command, *outputs, *MP4, local(output.path), reads=True, limit=limit) as process:
        for segment in segments:  # MPEG-TS is made to be cut and joined: the files one after the other are the stream
            with open(segment.path, "rb") as file:
                while block := file.read(1 << 20):
                    process.write(block)


def webm(output: Output) -> None:
    """VP9."""
    rate = ["-c:v", "libvpx-vp9", "-crf", str(round(63 - 0.5 * output.quality)), "-b:v", "0"]
    rate += ["-deadline", "good", "-cpu-used", "4", "-row-mt", "1"]
    opaque = [*rate, "-pix_fmt", "yuv420p" if output.depth.bits == 8 else "yuv420p10le"]
    transparent = [*rate, "-auto-alt-ref", "0", "-pix_fmt", "yuva420p"]  # libvpx takes no alternate references then
    _encode(output, opaque, transparent, BITEXACT)  # else it is given a number drawn by lot


def _h265(output: Output) -> None:
    """H.265 main 10, with the tags of HDR10 or HLG where the film has such colours."""
    codec = ["-c:v", "libx265", "-preset", "veryfast", "-crf", f"{h264_factor(output.quality):g}"]
    codec += ["-pix_fmt", "yuv420p10le", "-tag:v", "hvc1"]  # which is how Apple's players want it called
    codec += ["-x265-params", f"log-level=error:pools={THREADS}:frame-threads=1"]
    _encode(output, codec, codec, MP4)


def mov(output: Output) -> None:
    """ProRes 4444, which has 10 bits, and 16 for the opacity."""
    codec = ["-c:v", "prores_ks", "-profile:v", "4444", "-vendor", "apl0", "-pix_fmt"]
    _encode(output, [*codec, "yuv444p10le"], [*codec, "yuva444p10le", "-alpha_bits", "16"], BITEXACT)


def _encode(output: Output, opaque: list[str], transparent: list[str], options: list[str]) -> None:
    """Frames and sound through one encoder. `opaque` and `transparent`: its arguments for such frames; `options`: the
    container's."""
    inputs, outputs, limit = output.with_sound()
    with output.played() as (first, frames):
        if output.path.suffix != ".mov":  # in 4:4:4 every size is possible
            first, frames = even(first), map(even, frames)
        codec = transparent if first.shape[2] == 4 else opaque
        command = [*raw_video(first, output.fps), *inputs, "-map", "0:v", *codec]
        command += ["-vf", output.depth.encoded(first.shape[2]), *outputs, *options, local(output.path)]
        limit = None if limit is None else limit + first.nbytes * output.count * ENCODER_WORK
        _feed(command, frames, limit)


def gif(output: Output) -> None:
    """One palette for the whole film, so that what stands still does not flicker; the frames are read twice for it."""
    palette = output.path.with_suffix(".png")
    fps = min(output.fps, MAX_GIF_FPS)
    with output.played("once") as (first, frames):
        command = [*raw_video(first, fps), "-vf", f"{SIX_BITS},palettegen", "-frames:v", "1", "-c:v", "png"]
        _feed([*command, "-f", "image2pipe", local(palette)], frames)
    repeat = "-1" if output.play == "once" else "0"
    with output.played() as (first, frames):
        command = [*raw_video(first, fps), "-f", "png_pipe", "-i", local(palette)]
        command += ["-lavfi", f"{SIX_BITS}[film];[film][1]{DITHER}", "-loop", repeat, "-f", "gif", local(output.path)]
        _feed(command, frames)


def webp(output: Output) -> None:
    """Animated WebP, frame by frame: libwebp's animation encoder keeps the whole file, and merges equal frames."""
    codec = ["-c:v", "libwebp", "-quality", str(output.quality), "-compression_level", "4", "-pix_fmt", "bgra"]
    fps = min(output.fps, MAX_WEBP_FPS)
    with output.played() as (first, frames):
        command = [*raw_video(first, fps), *codec, "-loop", "1" if output.play == "once" else "0", "-f", "webp"]
        _feed([*command, local(output.path)], frames)
    if first.shape[2] == 4:
        _replace_frames(output.path)


def _replace_frames(webp: Path) -> None:
    """Let each frame of an animated WebP replace the one before: ffmpeg's are laid over it, where they are opaque."""
    with open(webp, "r+b") as file:
        file.seek(12)  # RIFF, size, WEBP
        while len(header := file.read(8)) == 8:
            size = int.from_bytes(header[4:], "little")
            if header[:4] == b"ANMF":
                file.seek(15, os.SEEK_CUR)  # place, size and time
                file.write(b"\x02")  # "do not blend"
                size -= 16
            file.seek(size + size % 2, os.SEEK_CUR)


def png_zip(output: Output) -> None:
    """PNG files named by their place, stored as they are, because they are compressed already."""
    with zipfile.ZipFile(output.path, "w", zipfile.ZIP_STORED) as archive, output.played() as (_, frames):
        for number, frame in enumerate(frames, 1):
            png = io.BytesIO()
            Image.fromarray(frame).save(png, "PNG", compress_level=1)
            archive.writestr(zipfile.ZipInfo(f"frame-{number:06d}.png"), png.getbuffer())


def _feed(command: Sequence[str], frames: Iterator[Pixels], limit: float | None = None) -> None:
    with Ffmpeg(*command, reads=True, limit=limit) as process:
        for frame in frames:
            process.write(np.ascontiguousarray(frame).data)


def _times(fps: Fraction) -> list[str]:
    """Exact times for copied H.264: MPEG-TS rounds them to 1/90000 s, so frames are counted anew, in a fitting unit."""
    unit = fps.numerator
    while unit < 10_000:  # players have seen nothing coarser
        unit *= 2
    count = f"setts=ts=round(N*{fps.denominator}/{fps.numerator}/TB):duration={fps.denominator}/{fps.numerator}/TB"
    return ["-bsf:v", count, "-video_track_timescale", str(unit)]
