"""What a worker of a cluster does: it loads the model once, then makes chunks of any film.

Frames of 8 bits travel to it as such, a quarter of a Frame's size; encoded segments go back.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import film
from film.media import images
from film.media.images import Frame
from film.media.video_segments import Pixels, Segment
from film.rendering import timeline
from film.rendering.renderer import Chunk, Encoding, RenderedFrames, render
from film.support import errors, tempdirs

# Frames of a piece. A middle in one may need up to seven others outside it: shorter pieces cost more, and of longer
# ones more is lost with a worker.
PIECE = 64


class Answer(NamedTuple):
    """The result of a chunk."""

    files: dict[str, bytes]  # of its segments, by name, in the order in which they are to appear
    calls: int
    seconds: float  # from the chunk's arrival to this


class Unusable(NamedTuple):
    """The answer of a machine that cannot make the frames."""

    machine: str  # by Ray's id
    reason: str


def work(
    arguments: dict[str, Any], fingerprint: str = "", chunk: Chunk | None = None, encoding: Encoding | None = None
) -> Answer | Unusable | str:
    """What a worker does: make a chunk with a model of that fingerprint; without one, tell the fingerprint."""
    try:
        model = load(**arguments)
        if fingerprint not in ("", model.fingerprint):  # it would make other frames
            raise ValueError(
                f"Its model or its OpenVINO is not that of the others: {model.fingerprint}, not {fingerprint}."
            )
    except Exception as error:  # of any type: other machines may do better
        import ray

        return Unusable(ray.get_runtime_context().get_node_id(), errors.sentence(error))
    return make(model, chunk, encoding) if chunk and encoding else model.fingerprint


@functools.lru_cache(1)
def load(**arguments: Any) -> film.Interpolator:
    """The model, ready but for compiling; the arguments and errors are those of `film.load`."""
    model = film.load(**arguments)
    model.fingerprint  # noqa: B018  # downloads and converts it
    return model


def make(model: film.Interpolator, chunk: Chunk, encoding: Encoding) -> Answer:
    """Make a packed chunk. RuntimeError with the tool's own words when the environment fails."""
    begun, calls = time.monotonic(), 0
    files: dict[str, bytes] = {}
    with tempdirs.folder() as folder:
        for made in render(model, [unpacked(chunk)], folder, encoding):
            if isinstance(made, RenderedFrames):
                calls += made.calls
                continue
            for file in filter(None, (made.lossless_copy, made.path)):
                files[file.name] = file.read_bytes()
                file.unlink()  # the disk holds one segment at a time
    return Answer(files, calls, time.monotonic() - begun)


def stored(answer: Answer, folder: Path, encoding: Encoding) -> list[Segment]:
    """Write the segments that came back. Files appear when they are complete, lossless copies first."""
    for name, content in answer.files.items():
        partial = folder / f"{name}.part"
        partial.write_bytes(content)
        os.replace(partial, folder / name)
    return [segment for segment in encoding.finished(folder) if segment.path.name in answer.files]


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


def _changed(chunk: Chunk, change: Callable[[Any], Any]) -> Chunk:
    """With each frame changed once: what two pairs share they share afterwards, so that it is pickled once."""
    frames: dict[int, Any] = {}
    for pair in chunk.pairs:
        for number, frame in zip(pair.numbers, (pair.left, pair.right), strict=True):
            if number not in frames:
                frames[number] = change(frame)
    pairs = [replace(pair, left=frames[pair.numbers[0]], right=frames[pair.numbers[1]]) for pair in chunk.pairs]
    return Chunk(chunk.first, pairs)
