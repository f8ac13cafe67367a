"""A stream of Frames -> H.264 in segments: MPEG-TS files that play while later ones are still being made.

All encoding goes through one set of options, so a synthesized frame and a photo are treated alike: 8 bits by rounding,
BT.709, 4:2:0. That subsampling needs even sides; an odd one gets its last row or column twice. Beside each segment a
**lossless copy** can be written: the same frames in their own size, for the formats that are not H.264.

The same frames become the same bytes on every machine and in every order, so a film may be made in several runs or
places: each segment is encoded by itself, and its name tells which frames it holds.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from film.media.colour_depth import STANDARD, ColourDepth, even
from film.media.ffmpeg import Ffmpeg, local
from film.media.images import Frame
from film.support import validation

Pixels: TypeAlias = npt.NDArray[Any]  # (H, W, 3), or 4 with opacity: a Frame in 8 or 16 bits

MAX_FPS = 240
MIN_FPS = Fraction(1, 600)  # a frame of ten minutes: a GIF counts no more than eleven
SEGMENT_SECONDS = 0.5  # short enough that a slow film starts soon, long enough that a segment's key frame is cheap
QUALITY = 80  # of 1 .. 100
THREADS = 4  # fixed, because x264's result depends on it; up to 4 it costs 4 % on two cores
NAME = re.compile(r"(\d{8,})-(\d{6,})\.ts")


@dataclass(frozen=True)
class Segment:
    """A stretch of film that can be played by itself: an MPEG-TS file whose timestamps continue the one before."""

    path: Path
    first: int  # number of its first frame in the film, from 0
    count: int  # frames
    fps: Fraction
    lossless_copy: Path | None = None  # the same frames without loss (Matroska)

    @property
    def start(self) -> float:
        """Seconds from the beginning of the film."""
        return float(self.first / self.fps)

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.count / self.fps)


def exact(fps: float | Fraction) -> Fraction:
    """The frame rate as ffmpeg computes with it: the nearest fraction it can hold.

    ValueError unless it is a number from 1/600 to 240.
    """
    rate = validation.exact(fps)
    if rate is not None:
        rate = rate.limit_denominator(1_001_000)  # its numbers have 32 bits; that holds 30000/1001 and millionths
    if rate is None or not MIN_FPS <= rate <= MAX_FPS:
        raise ValueError(
            f"The frame rate is {validation.told(fps)} per second; it must be from {MIN_FPS} to {MAX_FPS}."
        )
    return rate


def check_quality(quality: int) -> int:
    """`quality` itself. ValueError unless it is from 1 to 100."""
    number = validation.exact(quality)
    if number is None or not 1 <= number <= 100:
        raise ValueError(
            f"The quality is {validation.told(quality)}; it must be from 1 (smallest file) to 100 (best picture)."
        )
    return quality


def frame_count(seconds: float, fps: float | Fraction, most: int | None = None) -> int:
    """How many frames a film of that length has. ValueError unless that is at least two, and at most `most`."""
    length = validation.exact(seconds)
    if length is None:
        raise ValueError(f"The length of the film is {validation.told(seconds)} s; it must be a number, such as 10.")
    frames, film = length * exact(fps), f"A film of {validation.told(seconds)} s at {float(fps):g} frames per second"
    if frames < 1.5:
        raise ValueError(f"{film} has no two frames; make it longer.")
    if most is not None and round(frames) > most:
        raise ValueError(
            f"{film} has more than the {most} frames that are possible; make it {float(most / fps):g} s or shorter."
        )
    return round(frames)


def segment_length(fps: float | Fraction) -> int:
    """How many frames a segment has: it begins where their number in the film is a multiple of that."""
    return max(1, round(exact(fps) * SEGMENT_SECONDS))


def h264_factor(quality: int) -> float:
    """x264's constant rate factor for a quality, which means about the same to x265."""
    return 49 - 0.4 * check_quality(quality)  # 100 is 9; a factor less is 12 % more bits, whatever the level


def h264(quality: int) -> list[str]:
    """ffmpeg's arguments for H.264. Quality 80 is x264's constant rate factor 17: visually lossless for photographs."""
    # Without B-frames every frame is shown when it is decoded, so segments join without a gap.
    codec = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-threads", str(THREADS)]
    return [*codec, "-crf", f"{h264_factor(quality):g}", "-pix_fmt", "yuv420p"]


class SegmentEncoder:
    """Cuts a stream of Frames into playable segments in `directory`, each finished as soon as it is long enough.

    A segment's files appear when they are complete. Leaving by an exception kills the encoder and deletes its files.
    """

    def __init__(
        self,
        directory: Path,
        fps: float | Fraction,
        *,
        quality: int = QUALITY,
        lossless: bool = False,
        first: int = 0,
        frames: int | None = None,
        depth: ColourDepth = STANDARD,
    ) -> None:
        """`first` is the number in the film of the first frame written here, `frames` how many there will be.

        Where that is known, segments have `segment_length` frames, and the last one also those that would be too few
        for another; else segments begin at its multiples. Either way an encoder that begins where a segment began cuts
        as the one before would have.
        """
        self.segments: list[Segment] = []
        self.count = 0  # frames written here
        self._directory = directory
        self._fps = exact(fps)
        self._codec = h264(quality)
        self._lossless = lossless
        self._first = first
        self._length = segment_length(fps)
        self._frames = frames
        self._depth = depth
        self._size: tuple[int, ...] | None = None
        self._process: Ffmpeg | None = None
        self._begun = first  # number of the first frame of the segment in the works
        self._ends = first  # ... and of the first one after it

    def __enter__(self) -> SegmentEncoder:
        return self

    def write(self, frame: Frame | Pixels) -> Segment | None:
        """Append a (height, width, 3) frame, float in [0, 1] (clipped) or uint8, of the size of the first one.

        With a fourth channel, its opacity: see `ColourDepth.pixels`. The H.264 then shows it over white.

        Returns the segment that it completed, if it did. ValueError for another size, RuntimeError with ffmpeg's words.
        """
        number = self._first + self.count
        self._size = self._size or frame.shape
        if frame.shape != self._size:
            raise ValueError(
                f"Frame {number + 1} is {frame.shape[1]}x{frame.shape[0]},"
                f" the film is {self._size[1]}x{self._size[0]}; all frames must have one size."
            )
        pixels = np.ascontiguousarray(self._depth.pixels(frame))
        if self._process is None:
            self._begun, self._ends = number, number + self._next_length(number)
            self._process = Ffmpeg(*self._arguments(pixels), reads=True).__enter__()
        self._process.write(pixels.data)
        self.count += 1
        return self.finish() if number + 1 == self._ends else None

    def _next_length(self, number: int) -> int:
        """Frames of the segment that begins with that one."""
        if self._frames is None:
            return self._length - number % self._length
        left = self._frames - self.count
        return left if left < 2 * self._length else self._length

    def _arguments(self, pixels: Pixels) -> list[str]:
        height, width, channels = pixels.shape
        form = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}[channels, pixels.itemsize]
        raw = ["-f", "rawvideo", "-pix_fmt", form, "-s", f"{width}x{height}", "-r", str(self._fps), "-i", "pipe:0"]
        shown = f"{even(height, width)}{self._depth.preview(channels)}"
        # ffmpeg counts microseconds.
        stream = ["-f", "mpegts", "-muxdelay", "0", "-output_ts_offset", f"{float(self._begun / self._fps):.6f}"]
        arguments = [*raw, *self._codec, "-vf", shown, *stream, local(self._part(".ts"))]
        if self._lossless:
            arguments += [*self._depth.lossless(channels), "-fflags", "+bitexact", "-f", "matroska"]
            arguments.append(local(self._part(".mkv")))
        return arguments

    def finish(self) -> Segment | None:
        """Complete the segment that is being written, and return it, if there is one. RuntimeError as in `write`."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            process.__exit__(None, None, None)
        except BaseException:
            self._discard()
            raise
        count = self._first + self.count - self._begun
        path = self._directory / f"{self._begun:08d}-{count:06d}.ts"  # as NAME says
        lossless_copy = path.with_suffix(".mkv") if self._lossless else None
        if lossless_copy:
            os.replace(self._part(".mkv"), lossless_copy)
        os.replace(self._part(".ts"), path)  # last: where it is, the lossless copy is too
        self.segments.append(Segment(path, self._begun, count, self._fps, lossless_copy))
        return self.segments[-1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.__exit__(kind or GeneratorExit, error, trace)
            self._discard()

    def _part(self, suffix: str) -> Path:
        return self._directory / f"{self._begun:08d}{suffix}.part"

    def _discard(self) -> None:
        for suffix in (".ts", ".mkv"):
            self._part(suffix).unlink(missing_ok=True)


def finished(directory: Path, fps: float | Fraction, *, lossless: bool = False) -> list[Segment]:
    """The complete segments (with `lossless`, those that have one) in a directory, in the order of the film."""
    segments = []
    for path in directory.iterdir():
        if name := NAME.fullmatch(path.name):
            lossless_copy = path.with_suffix(".mkv") if lossless else None
            if lossless_copy is None or lossless_copy.exists():
                segments.append(Segment(path, int(name[1]), int(name[2]), exact(fps), lossless_copy))
    return sorted(segments, key=lambda segment: segment.first)
