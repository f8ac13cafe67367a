"""What a worker of a cluster does: it loads the model once, then makes chunks of any film.

Chunks arrive packed: 8-bit frames travel as such, a quarter of a Frame's size, and a frame that two pairs share is
pickled once. Encoded segments go back. Nothing here knows about Ray.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import film
from film.media import images
from film.media.images import Frame
from film.media.video_segments import Pixels, Segment
from film.rendering import timeline
from film.rendering.renderer import Chunk, Encoding, RenderedFrames, render
from film.support import tempdirs

# A middle in a piece of a gap may need up to seven others outside it: shorter pieces cost more, and of longer ones more
# is lost with a worker.
PIECE = 64  # frames


@dataclass(frozen=True)
class WorkerConfig:
    """The arguments of `film.load` for each worker."""

    name: str
    device: str
    precision: str
    threads: int
    memory_gb: float | None


class Encoded(NamedTuple):
    """An encoded segment on its way back."""

    segment: Segment
    files: Mapping[str, bytes]  # by suffix, in the order in which they are to appear


class Answer(NamedTuple):
    """The result of a chunk."""

    segments: Sequence[Encoded]
    frames: int
    calls: int
    seconds: float  # from the chunk's arrival to this


@functools.lru_cache(1)
def load(config: WorkerConfig) -> film.Interpolator:
    """The model, ready but for compiling. ValueError, RuntimeError as in `film.load` and `engine.openvino_backend`."""
    model = film.load(**asdict(config))
    model.fingerprint  # noqa: B018  # downloads and converts it
    return model


def make(model: film.Interpolator, packed: Chunk, encoding: Encoding) -> Answer:
    """Make a packed chunk. RuntimeError with the tool's own words when the environment fails."""
    begun, frames, calls, segments = time.monotonic(), 0, 0, []
    with tempdirs.folder() as folder:
        for made in render(model, [unpacked(packed)], folder, encoding):
            if isinstance(made, RenderedFrames):
                frames, calls = frames + made.frames, calls + made.calls
            else:
                segments.append(_taken(made))
    return Answer(segments, frames, calls, time.monotonic() - begun)


def pieces(chunks: Iterable[Chunk | Segment], length: int) -> Iterator[Chunk | Segment]:
    """The same, but long chunks in pieces of about PIECE frames, cut where segments of `length` frames begin."""
    for chunk in chunks:
        if isinstance(chunk, Segment) or chunk.frames <= PIECE:
            yield chunk
            continue
        segments, count = max(1, chunk.frames // length), math.ceil(chunk.frames / PIECE)
        step = math.ceil(segments / count) * length
        for begin in range(0, segments * length, step):
            end = begin + step if begin + step < segments * length else chunk.frames  # the last segment is longer
            yield Chunk(chunk.first + begin, timeline.part(chunk.pairs, begin, end))


def packed(chunk: Chunk) -> Chunk:
    """The chunk with its frames in 8 bits where that loses nothing."""

    def smaller(frame: Frame) -> Frame | Pixels:
        pixels = images.to_uint8(frame)
        return pixels if np.array_equal(images.to_frame(pixels), frame) else frame

    return _changed(chunk, smaller)


def unpacked(chunk: Chunk) -> Chunk:
    """The chunk that was packed."""
    return _changed(chunk, lambda frame: images.to_frame(frame) if frame.dtype == np.uint8 else frame)


def _changed(chunk: Chunk, change: Callable[[Frame], Any]) -> Chunk:
    """With each frame changed once: what two pairs share they share afterwards, so that it travels once."""
    ends = [zip(pair.numbers, (pair.left, pair.right), strict=True) for pair in chunk.pairs]
    frames = dict(itertools.chain.from_iterable(ends))
    frames = {number: change(frame) for number, frame in frames.items()}
    pairs = [replace(pair, left=frames[pair.numbers[0]], right=frames[pair.numbers[1]]) for pair in chunk.pairs]
    return Chunk(chunk.first, pairs)


def stored(encoded: Encoded, folder: Path) -> Segment:
    """Write a segment that came back. Its files appear when they are complete, the lossless copy first."""
    path = folder / encoded.segment.path.name
    for suffix, content in encoded.files.items():
        partial = path.with_suffix(f"{suffix}.part")
        partial.write_bytes(content)
        os.replace(partial, path.with_suffix(suffix))
    lossless_copy = encoded.segment.lossless_copy and path.with_suffix(encoded.segment.lossless_copy.suffix)
    return replace(encoded.segment, path=path, lossless_copy=lossless_copy)


def _taken(segment: Segment) -> Encoded:
    """Read a segment and delete its files, so that the worker's disk holds one segment at a time."""
    files = [file for file in (segment.lossless_copy, segment.path) if file]
    contents = {file.suffix: file.read_bytes() for file in files}
    for file in files:
        file.unlink()
    return Encoded(segment, contents)
