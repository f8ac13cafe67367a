"""Two neighbouring frames, and the times wanted between them: what a model is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from film.media.images import Frame


@dataclass(frozen=True)
class FramePair:
    """Two frames of one size, and the ascending dyadic moments wanted between them, 0 and 1 included."""

    left: Frame
    right: Frame
    moments: Sequence[Fraction]
    numbers: tuple[int, int]  # of the two among the film's keyframes: equal numbers are one frame

    def part(self, begin: int, end: int) -> FramePair:
        """The gap with some of its moments: those numbered from `begin` to before `end`."""
        return replace(self, moments=self.moments[max(0, begin) : max(0, end)])
