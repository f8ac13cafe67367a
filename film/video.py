"""A stream of Frames -> H.264: one MP4, or MPEG-TS segments that play while later ones are still being made.

All encoding goes through one ffmpeg (imageio-ffmpeg brings it) with one set of options, so a synthesized frame and a
photo are treated alike: 8 bits by rounding, BT.709, 4:2:0. That subsampling needs even sides; an odd one gets its
last row or column twice.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import imageio_ffmpeg
import numpy as np

from film import scratch
from film.images import Frame, to_uint8

MAX_FPS = 240
SEGMENT_SECONDS = 0.5  # short enough that a slow film starts soon, long enough that a segment's key frame is cheap
QUALITY = 17  # x264's constant rate factor; visually lossless for photographs
COLOURS = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,"
    "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)
H264 = [
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(QUALITY), "-pix_fmt", "yuv420p"),
    *("-vf", COLOURS),
]
MP4 = ["-f", "mp4", "-movflags", "+faststart"]


@dataclass(frozen=True)
class Segment:
    """A stretch of film that can be played by itself: an MPEG-TS file whose timestamps continue the one before."""

    path: Path
    start: float  # seconds
    duration: float  # seconds


def check_fps(fps: float) -> float:
    """`fps` itself. ValueError unless it is above 0 and at most 240."""
    if not 0 < fps <= MAX_FPS:
        raise ValueError(f"The frame rate is {fps:g} per second; it must be above 0 and at most {MAX_FPS}.")
    return fps


def frame_count(seconds: float, fps: float) -> int:
    """How many frames a film of that length has. ValueError unless that is at least two."""
    frames = seconds * check_fps(fps)
    if not 1.5 <= frames < math.inf:
        raise ValueError(f"A film of {seconds:g} s at {fps:g} frames per second has no two frames; make it longer.")
    return round(frames)


def write_video(path: str | os.PathLike[str], frames: Iterable[Frame], fps: float = 30.0) -> Path:
    """Write Frames, all of the first one's size, as an MP4. The file appears when it is complete.

    ValueError for an unusable frame rate, no frames, or frames of different sizes; RuntimeError with ffmpeg's own words
    when it fails. An exception in `frames` passes through; nothing is left behind.
    """
    path = Path(path)
    check_fps(fps)
    with scratch.folder(path.parent) as folder:
        unfinished = folder / "film.mp4"
        with Encoder(unfinished, fps, MP4) as encoder:
            for frame in frames:
                encoder.write(frame)
        if not encoder.count:
            raise ValueError("There are no frames to write.")
        os.replace(unfinished, path)
    return path


class Encoder:
    """ffmpeg, reading frames through a pipe and writing one file.

    Leaving the context by an exception kills it and deletes the file.
    """

    def __init__(self, path: Path, fps: float, container: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        self._fps = fps
        self._container = container
        self._size: tuple[int, ...] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._words = _notepad()  # what ffmpeg says

    def __enter__(self) -> Encoder:
        return self

    def write(self, frame: Frame) -> None:
        """Append a Frame. The first one decides the size."""
        if self._size is None:
            self._size = frame.shape
            self._start(frame.shape[0], frame.shape[1])
        if frame.shape != self._size:
            raise ValueError(
                f"Frame {self.count + 1} is {frame.shape[1]}x{frame.shape[0]},"
                f" the film is {self._size[1]}x{self._size[0]}; all frames must have one size."
            )
        odd = (frame.shape[0] % 2, frame.shape[1] % 2)
        pixels = np.pad(to_uint8(frame), ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write(pixels.data)
        except OSError:
            raise self._failure() from None
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._words:
            if self._process is None:
                return
            if kind is not None:
                self._process.kill()
            assert self._process.stdin
            with contextlib.suppress(OSError):  # it has ended already; its status tells why
                self._process.stdin.close()
            failed = self._process.wait() != 0
            if failed or kind is not None:
                self.path.unlink(missing_ok=True)
            if failed and kind is None:
                raise self._failure()

    def _start(self, height: int, width: int) -> None:
        size = f"{width + width % 2}x{height + height % 2}"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{self._fps:.6f}", "-i", "pipe:0"]
        command = [*_ffmpeg(), *source, *H264, *self._container, str(self.path)]
        self._process = _start(command, self._words)

    def _failure(self) -> RuntimeError:
        assert self._process
        return _failure(self._words, self._process.wait())


class SegmentEncoder:
    """Cuts a stream of Frames into playable segments in `directory`, each finished as soon as it is long enough."""

    def __init__(self, directory: Path, fps: float) -> None:
        self.segments: list[Segment] = []
        self.count = 0
        self._directory = directory
        self._fps = fps
        self._length = max(1, round(fps * SEGMENT_SECONDS))  # frames
        self._encoder: Encoder | None = None

    def __enter__(self) -> SegmentEncoder:
        return self

    def write(self, frame: Frame) -> Segment | None:
        """Append a Frame; returns the segment that it completed, if it did."""
        if self._encoder is None:
            # Without B-frames every frame is shown when it is decoded, so segments join without a gap.
            offset = f"{self.count / self._fps:.6f}"
            container = ["-bf", "0", "-f", "mpegts", "-muxdelay", "0", "-output_ts_offset", offset]
            path = self._directory / f"{len(self.segments):06d}.ts"
            self._encoder = Encoder(path, self._fps, container).__enter__()
        self._encoder.write(frame)
        self.count += 1
        return self.finish() if self._encoder.count == self._length else None

    def finish(self) -> Segment | None:
        """Complete the segment that is being written, if there is one."""
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return None
        encoder.__exit__(None, None, None)
        start = (self.count - encoder.count) / self._fps
        self.segments.append(Segment(encoder.path, start, encoder.count / self._fps))
        return self.segments[-1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._encoder is not None:
            self._encoder.__exit__(kind or GeneratorExit, error, trace)


def join(segments: Iterable[Segment], path: str | os.PathLike[str]) -> Path:
    """Put segments into one MP4 without encoding them again. The file appears when it is complete."""
    path = Path(path)
    with scratch.folder(path.parent) as folder, _notepad() as words:
        unfinished = folder / "film.mp4"
        command = [*_ffmpeg(), "-f", "mpegts", "-i", "pipe:0", "-c", "copy", *MP4, str(unfinished)]
        process = _start(command, words)
        assert process.stdin
        try:
            _pour(segments, process.stdin)
        finally:
            status = process.wait()
        if status:
            raise _failure(words, status)
        os.replace(unfinished, path)
    return path


def _pour(segments: Iterable[Segment], pipe: IO[bytes]) -> None:
    """MPEG-TS is made to be cut and joined: the files one after the other are the whole stream."""
    try:
        with pipe:
            for segment in segments:
                with open(segment.path, "rb") as file:
                    shutil.copyfileobj(file, pipe)
    except BrokenPipeError:
        pass  # ffmpeg ended early; its exit status and words tell why


def _ffmpeg() -> list[str]:
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]


def _start(command: Sequence[str], words: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=words)
    except OSError as error:
        raise RuntimeError(f"ffmpeg cannot be started: {error}") from error


def _notepad() -> IO[bytes]:
    """A file for what ffmpeg says, so that it can never block the pipe; in memory, so that a full disk can be told."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("ffmpeg"), "w+b")
    return tempfile.TemporaryFile()


def _failure(words: IO[bytes], status: int) -> RuntimeError:
    words.seek(0)
    said = words.read().decode(errors="replace").strip()
    if not said:
        said = f"it was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
    return RuntimeError(f"ffmpeg failed: {said[-2000:]}")
