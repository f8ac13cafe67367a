"""Lossless segments -> their frames again, exactly, in the order in which they are played."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Sequence
from typing import IO

import numpy as np

from film.media.ffmpeg import Ffmpeg, local
from film.media.video_segments import Pixels, Segment


def frames(segments: Sequence[Segment], *filters: str) -> Generator[Pixels]:
    """All frames, through ffmpeg's filters. RuntimeError with its words where a segment cannot be read, or is cut."""
    for segment in segments:
        yield from _decoded(segment, *filters)


def back(segments: Sequence[Segment]) -> Generator[Pixels]:
    """All frames but the first and the last, from the end: after `frames`, what makes a film a ping-pong.

    Only one segment is in memory at a time.
    """
    count = sum(segment.count for segment in segments)
    with contextlib.closing(frames(segments[::-1], "-vf", "reverse")) as backwards:
        yield from itertools.islice(backwards, 1, max(1, count - 1))


def _decoded(segment: Segment, *filters: str) -> Generator[Pixels]:
    assert segment.lossless_copy, segment
    count = 0
    # PAM tells the size and the form before each frame.
    output = ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "pam", "pipe:1"]
    with Ffmpeg("-i", local(segment.lossless_copy), *filters, *output, writes=True) as process:
        while (pixels := _next(process.output)) is not None:
            count += 1
            yield pixels
    if count != segment.count:
        raise RuntimeError(f"{segment.lossless_copy} is damaged: it has {count} frames, not {segment.count}.")


def _next(stream: IO[bytes]) -> Pixels | None:
    """The next PAM image (H, W, 3 or 4) of a stream, None at its end."""
    header: dict[bytes, bytes] = {}
    while (line := stream.readline().strip()) != b"ENDHDR":
        if not line:
            return None
        key, _, value = line.partition(b" ")
        header[key] = value
    height, width, channels = (int(header[key]) for key in (b"HEIGHT", b"WIDTH", b"DEPTH"))
    kind = np.dtype(">u2" if int(header[b"MAXVAL"]) > 255 else np.uint8)
    size = height * width * channels * kind.itemsize
    data = stream.read(size)
    if len(data) < size:
        return None  # cut off: ffmpeg has failed, and its status tells why
    return np.frombuffer(data, kind).astype(kind.newbyteorder("="), copy=False).reshape(height, width, channels)
