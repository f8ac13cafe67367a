"""What a worker of a cluster does: it loads the model once, then makes chunks of any film.

Chunks arrive packed: 8-bit frames travel as such, a quarter of a Frame's size, and a frame that two pairs share is
pickled once. Encoded segments go back. Nothing here knows about Ray.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
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


class Answer(NamedTuple):
    """The result of a chunk."""

    segments: list[Segment]
    files: dict[str, bytes]  # the segments' by name, in the order in which they are to appear
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
    begun, calls = time.monotonic(), 0
    segments: list[Segment] = []
    files: dict[str, bytes] = {}
    with tempdirs.folder() as folder:
        for made in render(model, [unpacked(packed)], folder, encoding):
            if isinstance(made, RenderedFrames):
                calls += made.calls
                continue
            segments.append(made)
            for file in filter(None, (made.lossless_copy, made.path)):
                files[file.name] = file.read_bytes()
                file.unlink()  # the disk holds one segment at a time
    return Answer(segments, files, calls, time.monotonic() - begun)


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
    frames: dict[int, Any] = {}
    for pair in chunk.pairs:
        for number, frame in zip(pair.numbers, (pair.left, pair.right), strict=True):
            if number not in frames:
                frames[number] = change(frame)
    pairs = [replace(pair, left=frames[pair.numbers[0]], right=frames[pair.numbers[1]]) for pair in chunk.pairs]
    return Chunk(chunk.first, pairs)


def stored(answer: Answer, folder: Path) -> list[Segment]:
    """Write the segments that came back. Files appear when they are complete, lossless copies first."""
    for name, content in answer.files.items():
        partial = folder / f"{name}.part"
        partial.write_bytes(content)
        os.replace(partial, folder / name)
    there = {name: folder / name for name in answer.files}
    return [
        replace(one, path=there[one.path.name], lossless_copy=one.lossless_copy and there[one.lossless_copy.name])
        for one in answer.segments
    ]
