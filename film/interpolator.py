"""What every backend offers: middles, films and single moments between two frames."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from film import memory, recursion
from film.images import Frame, check_frame
from film.session import Session

Preparation = Iterator[tuple[str, Callable[[], object]]]


class Interpolator(ABC):
    """A FILM, whatever runs it. Lazy, immutable once loaded, and safe to share between threads."""

    name: str
    asked_device: str  # the device that was asked for, such as AUTO

    @property
    @abstractmethod
    def device(self) -> str:
        """The device that really runs the model; before it is compiled, the one that was asked for."""

    @property
    def choice(self) -> str | None:
        """Why this device, as a sentence for the user; None where nothing was chosen, or not yet."""
        return None

    @abstractmethod
    def preparation(self, height: int, width: int) -> Preparation:
        """What remains to be done before frames of this size can be made, as (stage, work) pairs in order.

        Stages are "downloading", "converting", "loading", "measuring" and "compiling". Call each `work` before asking
        for the next pair; without any of this the first middle frame does whatever is missing.
        """

    @abstractmethod
    def session(self, height: int, width: int) -> Session[Any]:
        """The means to make one stream of frames of this size."""

    def middle(self, a: Frame, b: Frame) -> Frame:
        """The frame half-way between two Frames of the same size. ValueError if their sizes differ.

        Values may leave [0, 1] a little: the network's output is not clipped.
        """
        return self.at(a, b, 0.5)

    def at(self, a: Frame, b: Frame, moment: float, precision: Fraction = recursion.PRECISION) -> Frame:
        """The frame at `moment` in [0, 1], 0 being a, 1 being b; reached by bisection, to the nearest `precision`."""
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
        precision: Fraction = recursion.PRECISION,
    ) -> Generator[Frame]:
        """Stream the film from a to b, in order: a and b themselves, and the frames made between them.

        Give one of `depth` (2**depth + 1 evenly spaced frames), `count` (that many, evenly spaced, both ends
        included) and `times` (ascending moments in [0, 1]). Moments that are no multiple of `precision` are made at
        the nearest one that is. Each frame is computed when it is asked for; closing the iterator stops the work.
        """
        moments = recursion.moments(depth=depth, count=count, times=times, precision=precision)
        a, b = check_frame(a), check_frame(b)
        _check_sizes(a, b)
        return self.sequence([a, b], [moments])

    def sequence(self, photos: Iterable[Frame], gaps: Sequence[Sequence[Fraction]]) -> Generator[Frame]:
        """Stream a film through several photos of one size: `gaps[i]` are the moments between photos i and i + 1.

        Photos are taken when the film comes to them, and each is encoded once. ValueError if their sizes differ,
        NotEnoughMemory if there was too little for this film.
        """
        with memory.told():
            yield from self._sequence(photos, gaps)

    def _sequence(self, photos: Iterable[Frame], gaps: Sequence[Sequence[Fraction]]) -> Generator[Frame]:
        remaining = iter(photos)
        photo = _next(remaining)
        if not any(0 < moment < 1 for gap in gaps for moment in gap):
            yield from _ends(photo, remaining, gaps)
            return
        session = self.session(photo.shape[0], photo.shape[1])
        left = session.keyframe(photo)
        for moments in gaps:
            following = _next(remaining)
            _check_sizes(photo, following)
            right = session.keyframe(following)
            if session.lanes > 1:
                keyframes = recursion.walk_ahead(left, right, moments, session.start, session.lanes)
            else:
                keyframes = recursion.walk(left, right, moments, session.middle)
            photo, left = following, right
            del following, right
            with contextlib.closing(keyframes):
                for keyframe in keyframes:
                    yield session.frame(keyframe)
                    del keyframe


def _ends(photo: Frame, remaining: Iterator[Frame], gaps: Sequence[Sequence[Fraction]]) -> Generator[Frame]:
    """A film that needs no model: only photos."""
    for moments in gaps:
        following = _next(remaining)
        _check_sizes(photo, following)
        yield from (following if moment == 1 else photo for moment in moments)
        photo = following


def _next(photos: Iterator[Frame]) -> Frame:
    for photo in photos:
        return check_frame(photo)
    raise ValueError("There are fewer photos than the film has gaps between them, plus one.")


def _check_sizes(a: Frame, b: Frame) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"All frames must have one size; these are {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}."
        )
