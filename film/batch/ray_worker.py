"""One worker of a cluster: it loads the model once, then makes chunks of any film.

Chunks arrive packed: 8-bit frames travel as such, a quarter of a Frame's size, and a frame that two pairs share travels
once. Encoded segments go back. Nothing here knows about Ray.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import film
from film.engine.frame_pair import FramePair
from film.media import images, video_segments
from film.media.video_segments import Segment
from film.rendering import checkpoint, timeline
from film.rendering.renderer import Chunk, Encoding, RenderedFrames, render

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


class Packed(NamedTuple):
    """A chunk on its way to a worker."""

    first: int
    frames: Mapping[int, npt.NDArray[Any]]  # by their numbers; uint8 if that is exact, else float32
    pairs: Sequence[tuple[tuple[int, int], Sequence[Fraction]]]  # the numbers of the two, the times


class Encoded(NamedTuple):
    """An encoded segment on its way back."""

    first: int
    frames: int
    file: bytes
    lossless_copy: bytes | None


class Answer(NamedTuple):
    """The result of a chunk."""

    segments: Sequence[Encoded]
    calls: int
    seconds: float  # from the chunk's arrival to this


class Worker:
    """A model on some machine. One call at a time."""

    def __init__(self, load: WorkerConfig) -> None:
        self._load = load
        self._model: film.Interpolator | None = None

    def load_model(self) -> str:
        """Make the model ready, but for compiling; returns its fingerprint.

        ValueError, RuntimeError as in `film.load` and `engine.openvino_backend`.
        """
        load = self._load
        self._model = film.load(
            load.name, load.device, precision=load.precision, threads=load.threads, memory_gb=load.memory_gb
        )
        return self._model.fingerprint

    def make(self, packed: Packed, encoding: Encoding) -> Answer:
        """Make a chunk. RuntimeError with the tool's own words when the environment fails."""
        assert self._model, "load_model comes first"
        begun, calls, segments = time.monotonic(), 0, []
        with checkpoint.discarded() as folder:
            for made in render(self._model, [unpacked(packed)], folder, encoding):
                if isinstance(made, RenderedFrames):
                    calls += made.calls
                else:
                    segments.append(_taken(made))
        return Answer(segments, calls, time.monotonic() - begun)


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


def packed(chunk: Chunk) -> Packed:
    """Pack a chunk: every frame once, in 8 bits if that loses nothing."""
    frames: dict[int, npt.NDArray[Any]] = {}
    for pair in chunk.pairs:
        for number, frame in zip(pair.numbers, (pair.left, pair.right), strict=True):
            if number not in frames:
                pixels = images.to_uint8(frame)
                frames[number] = pixels if np.array_equal(images.to_frame(pixels), frame) else frame
    return Packed(chunk.first, frames, [(pair.numbers, pair.moments) for pair in chunk.pairs])


def unpacked(packed: Packed) -> Chunk:
    """The chunk that was packed."""
    frames = {n: images.to_frame(frame) if frame.dtype == np.uint8 else frame for n, frame in packed.frames.items()}
    pairs = [FramePair(frames[a], frames[b], moments, (a, b)) for (a, b), moments in packed.pairs]
    return Chunk(packed.first, pairs)


def stored(encoded: Encoded, folder: Path, fps: Fraction) -> Segment:
    """Write a segment that came back. Its files appear when they are complete, the lossless copy first."""
    path = video_segments.segment_path(folder, encoded.first, encoded.frames)
    lossless_copy = None if encoded.lossless_copy is None else path.with_suffix(".mkv")
    for target, content in ((lossless_copy, encoded.lossless_copy), (path, encoded.file)):
        if target is not None and content is not None:
            partial = target.with_name(f"{target.name}.part")
            partial.write_bytes(content)
            os.replace(partial, target)
    return Segment(path, encoded.first, encoded.frames, fps, lossless_copy)


def _taken(segment: Segment) -> Encoded:
    """Read a segment and delete its files, so that the worker's disk holds one segment at a time."""
    files = [segment.path] if segment.lossless_copy is None else [segment.path, segment.lossless_copy]
    content = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    return Encoded(segment.first, segment.count, content[0], content[1] if len(content) > 1 else None)
