"""The middle that was made, beside what a plain cross-fade of its two neighbours would be."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from PIL import Image

from film.media.images import Frame, to_uint8
from film.media.video_segments import Pixels
from film.rendering.events import Progress

SIDE = 1280  # pixels: larger pictures are shown at this


class Comparison:
    """Waits for three frames of a film: the two photos of its first gap, and the one nearest half-way between them."""

    def __init__(self, gaps: Sequence[Sequence[Fraction]]) -> None:
        """`gaps` are the film's moments, as `planning.moments` gives them; of those without a photo at either end of
        the first one there is nothing to compare with."""
        moments, following = gaps[0], [moment + 1 for gap in gaps[1:2] for moment in gap[:1]]
        shown = [*moments, *following]  # the photo between two gaps opens the later one
        inner = [k for k, moment in enumerate(moments) if 0 < moment < 1]
        if shown[0] != 0 or shown[-1] != 1:
            inner = []
        self._middle = min(inner, key=lambda k: abs(moments[k] - Fraction(1, 2)), default=-1)
        self._moment = float(moments[self._middle]) if inner else 0.0
        self._last = len(shown) - 1
        self._first: Frame | None = None
        self._made: Frame | None = None

    def take(self, event: Progress) -> tuple[Pixels, Pixels] | None:
        """(cross-fade, made) as (H, W, 3) pixels, with the frame that completes them."""
        place = event.done - 1
        if self._middle < 0:
            return None
        if place == 0:
            self._first = event.frame
        elif place == self._middle:
            self._made = event.frame
        elif place == self._last and self._first is not None and self._made is not None:
            faded = self._first * np.float32(1 - self._moment) + event.frame * np.float32(self._moment)
            pair = _shown(faded), _shown(self._made)
            self._first = self._made = None
            return pair
        return None


def _shown(frame: Frame) -> Pixels:
    image = Image.fromarray(to_uint8(frame))
    image.thumbnail((SIDE, SIDE))
    return np.asarray(image)
