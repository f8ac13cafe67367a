"""A part of a video: its frames from one time to another, as if there were no others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from film.media import images
from film.media.video_reader import TimedFrame, VideoMetadata, VideoReader

SEEK = 10  # seconds before the part at which decoding begins: key frames are seldom further apart


@contextlib.contextmanager
def opened(
    clip: VideoMetadata,
    size: tuple[int, int],
    begin: Fraction,
    end: Fraction | None,
    max_pixels: int = images.MAX_PIXELS,
    deep: bool = False,
    closes: Callable[[Fraction, Fraction], bool] | None = None,
) -> Iterator[tuple[VideoReader, Iterator[TimedFrame]]]:
    """The frames of a video from `begin` to before `end`, in seconds after its first frame; None: to its last.

    The first one begins at `begin`, though it may have been shown before it; the last one ends at `end`.
    Leaving the context ends the reading. With `deep` frames are in 16 bits. `closes`: see `Clock`.
    """
    if not begin and end is None:
        with VideoReader(clip, size, max_pixels, deep=deep, closes=closes) as reader:
            yield reader, iter(reader)
        return
    with VideoReader(clip, size, max_pixels) as reader:  # the clock of the file
        first = next(iter(reader)).time
    seek = begin - SEEK if begin > SEEK else Fraction(0)
    with VideoReader(clip, size, max_pixels, deep=deep, seek=float(seek), closes=closes) as reader:
        yield reader, _between(reader, first + begin if begin else None, None if end is None else first + end)


def _between(frames: Iterable[TimedFrame], begin: Fraction | None, end: Fraction | None) -> Iterator[TimedFrame]:
    """The frames that are shown from `begin` to before `end`, stamps of the file's clock."""
    for frame in frames:
        until = frame.time + frame.duration
        if begin is not None and until <= begin:
            continue
        if end is not None and frame.time >= end:
            return
        start = frame.time if begin is None else max(frame.time, begin)
        until = until if end is None else min(until, end)
        yield frame._replace(time=start, duration=until - start)
