"""Transparent films: the opacity is moved by the model as well, as a grey picture of its own.

Colours are multiplied by the opacity before they are moved (see `media.alpha`), so that what is hidden leaves no trace
at the edges. Of the model's two answers, one for the colours and one for the opacity, each finds the same outline: it
is what moves in both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable

import numpy as np

from film.engine.frame_pair import FramePair
from film.engine.interpolator import Stream
from film.media.images import Frame


class TransparentStream:
    """The frames of one film, (H, W, 3), or (H, W, 4) where its gaps are; see `engine.interpolator.Stream`.

    A gap whose two ends have one and the same opacity keeps it, and costs no more than one without.
    """

    def __init__(self, colours: Stream, opacity: Stream) -> None:
        self._colours = colours
        self._opacity = opacity
        self._end: tuple[Frame, Frame, Frame] | None = None  # the last gap's right frame: whole, colours, opacity

    def frames(self, pairs: Iterable[FramePair]) -> Generator[Frame]:
        """Yield the frames at the moments of each gap."""
        for pair in pairs:
            if pair.left.shape[2] == 3:
                self._end = None
                yield from self._colours.frames([pair])
                continue
            _, *left = self._end if self._end and self._end[0] is pair.left else _parts(pair.left)
            self._end = _, *right = _parts(pair.right)
            colours, grey = (FramePair(a, b, pair.moments) for a, b in zip(left, right, strict=True))
            del pair, left, right
            yield from self._joined(colours, grey)

    def _joined(self, colours: FramePair, grey: FramePair) -> Generator[Frame]:
        still = np.array_equal(grey.left, grey.right)
        opacities = (grey.left for _ in grey.moments) if still else self._opacity.frames([grey])
        with contextlib.closing(self._colours.frames([colours])) as frames, contextlib.closing(opacities):
            for frame, opacity in zip(frames, opacities, strict=True):
                alpha = np.clip(opacity.mean(axis=2, keepdims=True), 0, 1)
                # No colour is stronger than what its opacity leaves of white.
                yield np.concatenate([np.clip(frame, 0, alpha), alpha], axis=2)


def _parts(frame: Frame) -> tuple[Frame, Frame, Frame]:
    """The frame itself, its colours, and its opacity as a grey Frame."""
    grey = np.repeat(frame[..., 3:], 3, axis=2)
    return frame, np.ascontiguousarray(frame[..., :3]), grey
