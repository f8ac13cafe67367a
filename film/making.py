"""A stretch of a film -> its segments: the work that can be done by itself, here or on another machine.

Whoever makes stretches is a `Maker`. An `Interpolator` makes them here, one after the other and frame by frame;
`film.cluster` gives them to many machines, each of which runs the same code. A stretch has the same segments, to the
byte, whoever makes it, as far as their processors compute alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeAlias

from film import timeline, video
from film.hardware import Choice
from film.images import Frame
from film.timeline import Gap
from film.video import Segment, SegmentEncoder

Preparation: TypeAlias = Iterator[tuple[str, Callable[[], object]]]


@dataclass(frozen=True)
class Stretch:
    """Gaps that follow each other in a film."""

    first: int  # number in the film of its first frame, from 0
    gaps: Sequence[Gap]

    @property
    def frames(self) -> int:
        return timeline.length(self.gaps)


@dataclass(frozen=True)
class Encoding:
    """How a film's segments are encoded; see `film.video`."""

    fps: Fraction
    quality: int = video.QUALITY
    masters: bool = False

    @property
    def length(self) -> int:
        """Frames of a segment, but for the last of a stretch."""
        return video.segment_length(self.fps)

    def encoder(self, folder: Path, first: int, frames: int) -> SegmentEncoder:
        """For a stretch of so many frames, the first of which has that number in the film."""
        return SegmentEncoder(folder, self.fps, quality=self.quality, masters=self.masters, first=first, frames=frames)

    def finished(self, folder: Path) -> list[Segment]:
        """The segments in that folder, in the order of the film."""
        return video.finished(folder, self.fps, masters=self.masters)


@dataclass(frozen=True)
class Made:
    """Frames that are there now."""

    frames: int
    calls: int  # middles that were made for them
    seconds: float | None = None  # it took, where they were made
    frame: Frame | None = None  # the last of them, if it was made here


class Maker(Protocol):
    """A model, and those who make films with it."""

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def asked_device(self) -> str:
        """The device that was asked for, such as AUTO."""

    @property
    def fingerprint(self) -> str:
        """What decides the frames it makes from the same two, beside the device; needs the model to be prepared."""

    @property
    def speed_name(self) -> str | None:
        """The name by which `film.speed` notes it, apart from the device; None if it is not to be noted."""

    def runner(self, height: int, width: int) -> Choice:
        """What really runs the model for frames of this size, once it is prepared for them."""

    def preparation(self, height: int, width: int) -> Preparation:
        """What remains to be done before frames of this size can be made, as (stage, work) pairs in order."""

    def make(
        self, stretches: Iterable[Stretch | Segment], folder: Path, encoding: Encoding
    ) -> Generator[Made | Segment]:
        """Make the segments of a film's stretches in `folder`, and tell of each as it comes.

        A stretch is taken when there is somebody to make it. Segments that are there already stand in their place
        among the stretches, and are handed on. Closing the generator stops the work on this film.
        """


def make(
    frames: Callable[[Sequence[Gap]], Generator[Frame]],
    stretches: Iterable[Stretch | Segment],
    folder: Path,
    encoding: Encoding,
) -> Generator[Made | Segment]:
    """`Maker.make` by means of a function from gaps to their frames: in the order of the film, frame by frame."""
    for stretch in stretches:
        if isinstance(stretch, Segment):
            yield stretch
            continue
        with (
            encoding.encoder(folder, stretch.first, stretch.frames) as encoder,
            contextlib.closing(frames(stretch.gaps)) as made,
        ):
            for calls, frame in zip(timeline.calls(stretch.gaps), made, strict=True):
                yield Made(1, calls, frame=frame)
                if segment := encoder.write(frame):
                    yield segment
            if segment := encoder.finish():
                yield segment
        del stretch  # before the next is read
