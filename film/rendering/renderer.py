"""A chunk of a film -> its segments: the work that can be done by itself, here or on another machine.

A `Renderer` makes chunks. `render` lets an `Interpolator` make them here, one after the other and frame by frame;
`batch.ray_cluster` gives them to many machines, each of which runs the same code. A chunk has the same segments, to
the byte, whoever makes it, as far as their processors compute alike.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, TypeVar

from film.engine.frame_pair import FramePair
from film.engine.interpolator import Interpolator, ModelRunner, Stream
from film.media import alpha, video_segments
from film.media.colour_depth import STANDARD, ColourDepth
from film.media.images import Frame
from film.media.video_segments import Segment, SegmentEncoder
from film.rendering import timeline
from film.rendering.transparent import TransparentStream


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
        return SegmentEncoder(
            folder,
            self.fps,
            quality=self.quality,
            lossless=self.lossless,
            first=first,
            frames=frames,
            depth=self.depth,
        )

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
    frames = TransparentStream(Stream(model), Stream(model)).frames

    def made(chunk: Chunk | Segment) -> Generator[RenderedFrames | Segment]:
        if isinstance(chunk, Segment):
            yield chunk
            return
        with (
            encoding.encoder(folder, chunk.first, chunk.frames) as encoder,
            contextlib.closing(frames(chunk.pairs)) as stream,
        ):
            calls = timeline.calls(chunk.pairs, model.honours_time)
            for place, (count, frame) in enumerate(zip(calls, stream, strict=True), start=chunk.first):
                yield RenderedFrames(1, count, frame=alpha.over(frame, alpha.WHITE), place=place)
                if segment := encoder.write(frame):
                    yield segment
            if segment := encoder.finish():
                yield segment

    return handed_over(chunks, made)


def handed_over(items: Iterable[Item], work: Callable[[Item], Generator[Result]]) -> Generator[Result]:
    """All that `work` makes of each item. An item is no longer held when the next one is taken: frames are large."""
    for results in map(work, items):
        with contextlib.closing(results):
            yield from results
