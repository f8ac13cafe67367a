"""Transparent films: the opacity is moved by the model as well, as a grey picture of its own.

Colours are multiplied by the opacity before they are moved (see `media.alpha`), so that what is hidden leaves no trace
at the edges. Of the model's two answers, one for the colours and one for the opacity, each finds the same outline: it
is what moves in both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from dataclasses import replace

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
        self._end: tuple[int, tuple[Frame, Frame]] | None = None  # the last pair's right frame: its number and parts

    def frames(self, pairs: Iterable[FramePair]) -> Generator[Frame]:
        """Yield the frames at the moments of each gap."""
        for pair in pairs:
            if pair.left.shape[2] == 3:
                self._end = None
                yield from self._colours.frames([pair])
                continue
            yield from self._joined(*self._parted(pair))

    def _parted(self, pair: FramePair) -> list[FramePair]:
        """Two pairs: its colours, and its opacity."""
        first, last = pair.numbers
        left = self._end[1] if self._end and self._end[0] == first else _parts(pair.left)
        right = _parts(pair.right)
        self._end = last, right
        return [replace(pair, left=a, right=b) for a, b in zip(left, right, strict=True)]

    def _joined(self, colours: FramePair, grey: FramePair) -> Generator[Frame]:
        still = np.array_equal(grey.left, grey.right)
        opacities = (grey.left for _ in grey.moments) if still else self._opacity.frames([grey])
        with contextlib.closing(self._colours.frames([colours])) as frames, contextlib.closing(opacities):
            for frame, opacity in zip(frames, opacities, strict=True):
                alpha = np.clip(opacity.mean(axis=2, keepdims=True), 0, 1)
                # No colour is stronger than what its opacity leaves of white.
                yield np.concatenate([np.clip(frame, 0, alpha), alpha], axis=2)


def _parts(frame: Frame) -> tuple[Frame, Frame]:
    """Its colours, and its opacity as a grey Frame."""
    return np.ascontiguousarray(frame[..., :3]), np.repeat(frame[..., 3:], 3, axis=2)
