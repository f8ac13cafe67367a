"""What every backend offers: middles, films and single moments between two frames."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from film.engine import bisection
from film.engine.devices import ExecutionInfo
from film.engine.session import Session
from film.media.images import Frame, check_frame
from film.support import memory

SetupSteps: TypeAlias = Iterator[tuple[str, Callable[[], object]]]  # (stage, work) pairs, in order


@dataclass(frozen=True)
class FramePair:
    """Two frames of one size, and the ascending moments wanted between them, 0 and 1 included."""

    left: Frame
    right: Frame
    moments: Sequence[Fraction]
    numbers: tuple[int, int]  # of the two among the film's keyframes: equal numbers are one frame


class ModelRunner(ABC):
    """A model and what runs it, here or elsewhere."""

    name: str  # of the model
    requested_device: str  # the device that was asked for, such as AUTO

    @property
    def honours_time(self) -> bool:
        """Whether it makes any moment between two frames in one call. If not it makes the middle, and other moments by
        bisection. Of a SavedModel that is not of the catalog this is known once it is converted."""
        return False

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """What decides the frames it makes from the same two, beside the device; needs the model to be prepared."""

    @property
    def timings_name(self) -> str:
        """The name by which `engine.timings` notes it, apart from the device; empty if it is not to be noted."""
        return self.name

    @abstractmethod
    def execution_info(self, height: int, width: int) -> ExecutionInfo:
        """What really runs the model for frames of this size, and why; prepares what is missing."""

    @abstractmethod
    def setup_steps(self, height: int, width: int) -> SetupSteps:
        """What remains to be done before frames of this size can be made, as (stage, work) pairs in order.

        Stages are "downloading", "converting", "loading", "measuring" and "compiling". Call each `work` before asking
        for the next pair; without any of this the first middle frame does whatever is missing.
        """


class Interpolator(ModelRunner):
    """A FILM that runs here. Lazy, immutable once loaded, and safe to share between threads."""

    precision: str | None = None  # "mixed" or "exact"

    @property
    @abstractmethod
    def device(self) -> str:
        """The device that really ran the model last; before it is compiled, the one that was asked for."""

    def execution_info(self, height: int, width: int) -> ExecutionInfo:
        return ExecutionInfo(self.device, precision=self.precision)

    @abstractmethod
    def session(self, height: int, width: int) -> Session:
        """The means to make one stream of frames of this size."""

    def middle(self, a: Frame, b: Frame) -> Frame:
        """The frame half-way between two Frames of the same size. Raises as `frames`.

        Values may leave [0, 1] a little: the network's output is not clipped.
        """
        return self.at(a, b, 0.5)

    def at(self, a: Frame, b: Frame, moment: float, precision: float | Fraction = bisection.PRECISION) -> Frame:
        """The frame at `moment` in [0, 1], 0 being a, 1 being b; where the model does not honour the time, reached by
        bisection, to the nearest `precision`.

        Raises as `frames`.
        """
        (frame,) = self.frames(a, b, times=[moment], precision=precision)
        return frame

    def frames(
        self,
        a: Frame,
        b: Frame,
        depth: int | None = None,
        *,
        count: int | None = None,
        times: Iterable[float | Fraction] | None = None,
        precision: float | Fraction = bisection.PRECISION,
    ) -> Generator[Frame]:
        """Stream the film from a to b, in order: a and b themselves, and the frames made between them.

        Give one of `depth` (0 to 8: 2**depth + 1 evenly spaced frames), `count` (2 to 10,000 evenly spaced frames,
        both ends included) and `times` (ascending moments in [0, 1]). A model that honours the time makes each moment
        directly from a and b. Others halve intervals: moments that are no multiple of `precision`, a power of 1/2, are
        then made at the nearest one that is. Each frame is computed when it is asked for;
        closing the iterator stops the work. The frames are the caller's, to keep and to change.

        ValueError at once for a length or moments that no film has, for what is no Frame, and for Frames of different
        sizes; with the first frame that is made, for a model that is no FILM. RuntimeError with the tool's own words
        when the model cannot be downloaded, converted or run: NotEnoughMemory, which is one, when memory runs out.
        """
        step = bisection.EXACT if self.honours_time else precision
        moments = bisection.moments(depth=depth, count=count, times=times, precision=step)
        a, b = check_frame(a), check_frame(b)
        _check_sizes(a.shape, b.shape)
        return _copies(self.sequence([FramePair(a, b, moments, (0, 1))]))

    def sequence(self, pairs: Iterable[FramePair]) -> Generator[Frame]:
        """Stream the frames at the moments of each gap, in order; gaps are taken when the film comes to them.

        The frames are those it goes on computing with: look at them, and copy what is to be changed.
        """
        return Stream(self).frames(pairs)


def _delegated(name: str) -> Any:
    return property(lambda self: getattr(self.model, name))


class Delegate(Interpolator):
    """What another model says of itself and does, but for what a subclass overrides."""

    name = _delegated("name")
    precision = _delegated("precision")
    requested_device = _delegated("requested_device")
    device = _delegated("device")
    honours_time = _delegated("honours_time")
    fingerprint = _delegated("fingerprint")
    timings_name = _delegated("timings_name")
    execution_info = _delegated("execution_info")
    setup_steps = _delegated("setup_steps")
    session = _delegated("session")

    def __init__(self, model: Interpolator) -> None:
        self.model = model


class Stream:
    """The frames of one film. Its gaps may come in several portions: what they share is encoded once all the same."""

    def __init__(self, model: Interpolator) -> None:
        self._model = model
        self._session: Session | None = None  # a film that needs no middle needs no model
        self._shape: tuple[int, ...] | None = None
        self._end: tuple[int, Any] | None = None  # the last pair's right frame: its number and keyframe

    def frames(self, pairs: Iterable[FramePair]) -> Generator[Frame]:
        """Yield the frames at the moments of each gap.

        ValueError if the frames' sizes differ, NotEnoughMemory if there was too little for this film.
        """
        with memory.told(memory.FOR_A_MODEL):
            for pair in pairs:
                left, right = check_frame(pair.left), check_frame(pair.right)
                _check_sizes(self._shape or left.shape, left.shape)
                _check_sizes(left.shape, right.shape)
                self._shape = left.shape
                if any(0 < moment < 1 for moment in pair.moments):
                    session = self._session = self._session or self._model.session(*left.shape[:2])
                    with contextlib.closing(self._keyframes(pair, session)) as keyframes:
                        yield from map(session.frame, keyframes)
                else:
                    self._end = None
                    yield from (right if moment == 1 else left for moment in pair.moments)

    def _keyframes(self, pair: FramePair, session: Session) -> Generator[Any]:
        """The keyframes at the pair's moments. Whoever iterates holds the last one alone, so the past can be freed."""
        first, last = pair.numbers
        begin = self._end[1] if self._end and self._end[0] == first else session.keyframe(check_frame(pair.left))
        end = session.keyframe(check_frame(pair.right))
        self._end = last, end
        ends = {Fraction(0): begin, Fraction(1): end}
        moments = pair.moments if session.honours_time else bisection.reachable(pair.moments)
        return bisection.walk(ends, moments, session.start, session.lanes, session.honours_time)


def _copies(frames: Generator[Frame]) -> Generator[Frame]:
    with contextlib.closing(frames):
        yield from map(np.ndarray.copy, frames)


def _check_sizes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if a != b:
        raise ValueError(
            f"All frames must have one size; these are {a[1]}x{a[0]} and {b[1]}x{b[0]} (film.interpolate fits photos of"
            " any size)."
        )
