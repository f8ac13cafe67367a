"""Two neighbouring frames, and the times wanted between them: what a model is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from film.media.images import Frame


@dataclass(frozen=True)
class FramePair:
    """Two frames of one size, and the ascending dyadic moments wanted between them, 0 and 1 included."""

    left: Frame
    right: Frame
    moments: Sequence[Fraction]
    numbers: tuple[int, int]  # of the two among the film's keyframes: equal numbers are one frame
