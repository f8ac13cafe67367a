"""A video in, its frames out: one after the other, each with the time at which it is shown.

ffmpeg decodes in a process of its own, which is ended when it stalls; see `video_metadata`.

Conventions: times are exact `Fraction`s in seconds, as the file stamps pictures and sound alike. Frames are upright,
of square pixels, 8-bit sRGB, over white where they are transparent; a film in high dynamic range is brought to that
range, and of an interlaced one each field becomes a frame.
"""

from __future__ import annotations

import concurrent.futures
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from film.media import images, joined, video_metadata
from film.media.video_clock import LONGEST_PAUSE, Clock
from film.media.video_metadata import READ, SUFFIXES, VideoMetadata, is_video, read_metadata

__all__ = ["READ", "SUFFIXES", "TimedFrame", "VideoMetadata", "VideoReader", "is_video", "read_metadata"]

COMPLAINT = rf"(?!\[(?:out#|rawvideo|null)){video_metadata.COMPLAINT}"  # of the file, not of the output


_Decoded: TypeAlias = tuple[npt.NDArray[Any], Fraction | None, Fraction]  # pixels, time stamp, duration


class TimedFrame(NamedTuple):
    """One frame of a video."""

    pixels: npt.NDArray[Any]  # (H, W, 3) RGB, uint8 or, if deep, uint16; with opacity (H, W, 4) uint16, see VideoReader
    time: Fraction  # when it appears
    duration: Fraction  # how long it is shown, as the file says


class VideoReader:
    """Iterate for the `TimedFrame`s of a clip, scaled to `size` (height, width). Leaving the context ends ffmpeg.

    RuntimeError when ffmpeg stalls, ValueError when it finds no frame at all. What a damaged file is missing is
    left out; `damage` then says so.

    Pixels are 8 bits of RGB in standard range; with `deep` 16 bits, in the range that the file has. Where the video has
    an opacity they are 16 bits of RGBA, the colours multiplied by the opacity. Frames before `seek`, in seconds after
    the beginning, may be left out. `closes`: see `Clock`.
    """

    def __init__(
        self,
        clip: VideoMetadata,
        size: tuple[int, int],
        max_pixels: int = images.MAX_PIXELS,
        deep: bool = False,
        seek: float = 0.0,
        closes: Callable[[Fraction, Fraction], bool] | None = None,
    ) -> None:
        self.damage: str | None = None  # known at the end
        self.clock = Clock(1 / clip.fps, closes or (lambda before, after: after - before > LONGEST_PAUSE))
        self._clip = clip
        height, width = size
        self._shape = (height, width, 4 if clip.alpha else 3)
        self._dtype = np.dtype(np.uint16 if clip.alpha or deep else np.uint8)
        pixels = "rgba64le" if clip.alpha else "rgb48le" if deep else "rgb24"
        filters = (clip.untoned if deep else "") or clip.filters
        before = [*(["-c:V", clip.decoder] if clip.decoder else []), *(["-ss", f"{seek:.6f}"] if seek else [])]
        arguments = [*video_metadata.VIDEO, "-copyts", "-fps_mode", "passthrough"]
        arguments += ["-enc_time_base", "1/1000000"]  # a fine one: what is rounded to the frame rate's collides
        arguments += ["-vf", f"{filters.format(width=width, height=height, pixels=pixels)},showinfo=checksum=0"]
        arguments += ["-f", "rawvideo", "-pix_fmt", pixels, "pipe:1"]
        self._process = video_metadata.started(clip.path, max_pixels, before, *arguments, stdout=subprocess.PIPE)
        self._times: queue.Queue[tuple[Fraction | None, Fraction] | None] = queue.Queue()  # ends with None
        self._words: list[str] = []  # complaints
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._ahead = concurrent.futures.ThreadPoolExecutor(1)  # reads a frame while the one before is used

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._ahead.shutdown()
        assert self._process.stdout
        self._process.stdout.close()

    def __iter__(self) -> Iterator[TimedFrame]:
        usual = 1 / self._clip.fps
        shown = False
        coming = self._ahead.submit(self._next)
        while (frame := self._awaited(coming)) is not None:
            coming = self._ahead.submit(self._next)
            pixels, stamp, duration = frame
            shown = True
            yield TimedFrame(pixels, self.clock.time(stamp), duration if duration > 0 else usual)
        status = self._process.wait()
        self._listener.join()
        words = self._words
        if not shown:  # the first complaint is the cause, the last that nothing was written
            raise ValueError(f"{self._clip.name} holds no frame that can be decoded ({video_metadata.reason(words)}).")
        if status or words:
            self.damage = f"{self._clip.name} is damaged; what could be read was used ({video_metadata.reason(words)})."

    def notes(self) -> Iterator[str]:
        """What the user should know, once all frames were read."""
        if self.damage:
            yield self.damage
        if parts := joined.parts(self._clip.path):
            yield f"{self._clip.name} is {len(parts)} recordings, which are joined on, one after the other."
        if jumps := self.clock.jumps:
            times = "once" if len(jumps) == 1 else f"{len(jumps)} times"
            yield (
                f"The time stamps of {self._clip.name} jump {times}, first from {float(jumps[0].before):.2f} to"
                f" {float(jumps[0].after):.2f} s; what follows is joined on."
            )
        elif self.clock.stepped_back:
            yield f"The time stamps of {self._clip.name} run backwards; its pictures are shown in their order."

    def _awaited(self, coming: concurrent.futures.Future[_Decoded | None]) -> _Decoded | None:
        try:
            return coming.result(timeout=video_metadata.STALLED)
        except concurrent.futures.TimeoutError:
            self._process.kill()
            seconds = f"{video_metadata.STALLED:g} s"
            raise RuntimeError(f"ffmpeg gave no frame of {self._clip.name} for {seconds} and was ended.") from None

    def _next(self) -> _Decoded | None:
        """None at the end."""
        pixels = np.empty(self._shape, self._dtype)
        left = pixels.data.cast("B")
        pipe: Any = self._process.stdout
        while len(left) and (count := pipe.readinto(left)):
            left = left[count:]
        if len(left):
            return None
        if (told := self._times.get()) is None:  # `showinfo` tells it before the picture comes
            raise RuntimeError(f"ffmpeg did not tell when a frame of {self._clip.name} is shown.")
        return pixels, *told

    def _listen(self) -> None:
        """Keep the time of each frame, and the first complaints."""
        base = Fraction(1)
        assert self._process.stderr
        with self._process.stderr as pipe:
            for line in video_metadata.lines_of(pipe):
                if found := re.match(video_metadata.SHOWN + r"n: *\d+ pts: *(\S+) .* duration: *(\d+)", line):
                    time = base * int(found[1]) if found[1].lstrip("-").isdecimal() else None
                    self._times.put((time, base * int(found[2])))
                elif found := re.match(video_metadata.SHOWN + r"config in time_base: (\d+/\d+)", line):
                    base = video_metadata.ratio(found) or base
                elif len(self._words) < video_metadata.LINES and re.match(COMPLAINT, line):
                    self._words.append(line.strip())
        self._times.put(None)
