"""Lossless segments -> their frames again, exactly, in the order in which they are played."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Sequence
from typing import IO

import numpy as np

from film.media.ffmpeg import Ffmpeg, local
from film.media.video_segments import Pixels, Segment


def frames(segments: Sequence[Segment]) -> Generator[Pixels]:
    """All frames, forth. RuntimeError with ffmpeg's own words where a master cannot be read, or holds too few."""
    for segment in segments:
        yield from _decoded(segment)


def back(segments: Sequence[Segment]) -> Generator[Pixels]:
    """All frames but the first and the last, from the end: after `frames`, what makes a film a ping-pong.

    Only one segment is in memory at a time.
    """
    count = sum(segment.count for segment in segments)
    with contextlib.closing(_backwards(segments)) as frames:
        yield from itertools.islice(frames, 1, max(1, count - 1))


def _backwards(segments: Sequence[Segment]) -> Generator[Pixels]:
    for segment in reversed(segments):
        yield from _decoded(segment, "-vf", "reverse")


def _decoded(segment: Segment, *filters: str) -> Generator[Pixels]:
    assert segment.lossless_copy, segment
    count = 0
    # PPM tells the size before each frame.
    output = ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "pipe:1"]
    with Ffmpeg("-i", local(segment.lossless_copy), *filters, *output, writes=True) as process:
        while (pixels := _next(process.output)) is not None:
            count += 1
            yield pixels
    if count != segment.count:
        raise RuntimeError(f"{segment.lossless_copy} is damaged: it has {count} frames, not {segment.count}.")


def _next(stream: IO[bytes]) -> Pixels | None:
    """The next PPM image (H, W, 3) of a stream, None at its end."""
    if not stream.readline():  # P6
        return None
    width, height = map(int, stream.readline().split())
    stream.readline()  # 255
    data = stream.read(height * width * 3)
    if len(data) < height * width * 3:
        return None  # cut off: ffmpeg has failed, and its status tells why
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)
