"""A chunk of a film -> its segments: the work that can be done by itself, here or on another machine.

A `Renderer` makes chunks. `render` lets an `Interpolator` make them here, one after the other and frame by frame;
`batch.ray_cluster` gives them to many machines, each of which runs the same code. A chunk has the same segments, to
the byte, whoever makes it, as far as their processors compute alike.
"""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from film.engine.interpolator import FramePair, Interpolator, ModelRunner, Stream
from film.media import alpha, video_segments
from film.media.colour_depth import STANDARD, ColourDepth
from film.media.images import Frame
from film.media.video_segments import Segment, SegmentEncoder
from film.rendering import timeline
from film.rendering.events import Progress


@dataclass(frozen=True)
class Chunk:
    """Gaps that follow each other in a film."""

    first: int  # number in the film of its first frame, from 0
    pairs: Sequence[FramePair]

    @property
    def frames(self) -> int:
        return timeline.length(self.pairs)


@dataclass(frozen=True)
class Encoding:
    """How a film's segments are encoded; see `media.video_segments`."""

    fps: Fraction
    quality: int = video_segments.QUALITY
    lossless: bool = False
    depth: ColourDepth = STANDARD

    @property
    def length(self) -> int:
        """Frames of a segment, but for the last of a chunk."""
        return video_segments.segment_length(self.fps)

    def encoder(self, folder: Path, first: int, frames: int) -> SegmentEncoder:
        """For a chunk of so many frames, the first of which has that number in the film."""
        return SegmentEncoder(folder, **vars(self), first=first, frames=frames)

    def finished(self, folder: Path) -> list[Segment]:
        """The segments in that folder, in the order of the film."""
        return video_segments.finished(folder, self.fps, lossless=self.lossless)


@dataclass(frozen=True)
class RenderedFrames:
    """Frames that are there now."""

    frames: int
    calls: int  # middles that were made for them
    seconds: float | None = None  # it took, where they were made
    frame: Frame | None = None  # the last of them, if it was made here
    place: int | None = None  # of that frame in the film, from 0


class Renderer(ModelRunner):
    """A model, and those who make films with it elsewhere."""

    @abstractmethod
    def make(
        self, chunks: Iterable[Chunk | Segment], folder: Path, encoding: Encoding
    ) -> Generator[RenderedFrames | Segment]:
        """Make the segments of a film's chunks in `folder`, and tell of each as it comes.

        A chunk is taken when there is somebody to make it. Segments that are there already stand in their place
        among the chunks, and are handed on. Closing the generator stops the work on this film.
        """


Item = TypeVar("Item")
Result = TypeVar("Result")
AnyRenderer: TypeAlias = Interpolator | Renderer


def render(
    model: AnyRenderer, chunks: Iterable[Chunk | Segment], folder: Path, encoding: Encoding
) -> Generator[RenderedFrames | Segment]:
    """Make the segments of a film's chunks, as `Renderer.make`; an `Interpolator` makes them here, in order."""
    if not isinstance(model, Interpolator):
        return model.make(chunks, folder, encoding)
    frames = partial(_frames, Stream(model), Stream(model))

    def made(chunk: Chunk | Segment) -> Generator[RenderedFrames | Segment]:
        if isinstance(chunk, Segment):
            yield chunk
            return
        with (
            encoding.encoder(folder, chunk.first, chunk.frames) as encoder,
            contextlib.closing(handed_over(chunk.pairs, frames)) as stream,
        ):
            calls = timeline.calls(chunk.pairs, model.honours_time)
            for place, (count, frame) in enumerate(zip(calls, stream, strict=True), start=chunk.first):
                yield RenderedFrames(1, count, frame=alpha.over(frame, alpha.WHITE), place=place)
                if segment := encoder.write(frame):
                    yield segment
            if segment := encoder.finish():
                yield segment

    return handed_over(chunks, made)


def _frames(colours: Stream, opacity: Stream, pair: FramePair) -> Generator[Frame]:
    """The frames at a pair's moments: (H, W, 3), or (H, W, 4) where the pair is.

    The model moves the opacity as well, as a grey picture of its own. Colours are multiplied by the opacity before they
    are moved (see `media.alpha`), so what is hidden leaves no trace at the edges; of the model's two answers each finds
    the same outline, which is what moves in both. Where both ends have one opacity, it stays, and costs nothing.
    """
    if pair.left.shape[2] == 3:
        yield from colours.frames([pair])
        return
    coloured = replace(pair, left=_colours(pair.left), right=_colours(pair.right))
    grey = replace(pair, left=_opacity(pair.left), right=_opacity(pair.right))
    still = np.array_equal(grey.left, grey.right)
    opacities = (grey.left for _ in grey.moments) if still else opacity.frames([grey])
    with contextlib.closing(colours.frames([coloured])) as frames, contextlib.closing(opacities):
        for frame, made in zip(frames, opacities, strict=True):
            share = np.clip(made.mean(axis=2, keepdims=True), 0, 1)
            # No colour is stronger than what its opacity leaves of white.
            yield np.concatenate([np.clip(frame, 0, share), share], axis=2)


def _colours(frame: Frame) -> Frame:
    return np.ascontiguousarray(frame[..., :3])


def _opacity(frame: Frame) -> Frame:
    return np.repeat(frame[..., 3:], 3, axis=2)


def handed_over(items: Iterable[Item], work: Callable[[Item], Generator[Result]]) -> Generator[Result]:
    """All that `work` makes of each item. An item is no longer held when the next one is taken: frames are large."""
    for results in map(work, items):
        with contextlib.closing(results):
            yield from results


def missing(pairs: Iterable[FramePair], least: int, there: Mapping[int, Segment]) -> Generator[Chunk | Segment]:
    """The film in order: the segments that are there, and the chunks that are not, or what is missing of them.

    `least` is how many frames a chunk has; segments are found by the number of their first frame.
    """
    begin = 0

    def parts(chunk: list[FramePair]) -> Generator[Chunk | Segment]:
        nonlocal begin
        start, first = begin, begin
        begin += timeline.length(chunk)
        while first < begin:
            if segment := there.get(first):
                yield segment
                first += segment.count
            else:
                until = next((number for number in range(first, begin) if number in there), begin)
                yield Chunk(first, timeline.part(chunk, first - start, until - start))
                first = until

    return handed_over(timeline.chunks(pairs, least), parts)


class ProgressClock:
    """How far a film is, from the moment this is constructed, and how long the rest will take."""

    def __init__(self, frames: int, calls: int | None) -> None:
        """Of the whole film: frames, as far as that is known, and calls of the model, if it is."""
        self.done = 0
        self.per_call: float | None = None  # seconds
        self._frames, self._calls = frames, calls
        self._begun = time.monotonic()
        self._called = self._skipped = 0
        self._elsewhere = 0.0  # seconds that others worked for it, side by side

    def skip(self, frames: int) -> None:
        """Frames that need not be made."""
        self.done += frames
        self._skipped += frames

    def tick(self, made: RenderedFrames) -> Progress:
        """Frames were made."""
        self.done += made.frames
        self._called += made.calls
        self._elsewhere += made.seconds or 0.0
        passed = time.monotonic() - self._begun
        total, left = max(self.done, self._frames), None
        if self._called:
            self.per_call = (self._elsewhere or passed) / self._called
            if self._calls is None or self._skipped:
                left = passed / (self.done - self._skipped) * (total - self.done)
            else:
                left = passed / self._called * max(0, self._calls - self._called)
        return Progress(self.done, total, made.frame, self.per_call, left, made.place)
