"""Where the tiles of a large frame lie, and how they are blended.

Every tile has the same size, so one compiled shape serves them all. Of the overlap of two neighbours the outer
quarters, where each suffers from its own border, count for nothing; over the half between them one fades into the
other along a raised cosine. The weights of all tiles add up to one at every pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

OVERLAP = 256  # pixels; see the table of error against overlap in benchmarks/README.md


@dataclass(frozen=True)
class Axis:
    """The tiles along one side of a frame."""

    length: int  # of the frame
    side: int  # of a tile
    starts: tuple[int, ...]

    def weights(self) -> list[np.ndarray]:
        """For each tile its (side,) float32 weights; overlapping ones add up to one everywhere."""
        windows = []
        for i, start in enumerate(self.starts):
            window = np.ones(self.side, np.float32)
            if i > 0:
                shared = self.starts[i - 1] + self.side - start
                window[:shared] = _fade_in(shared)
            if i + 1 < len(self.starts):
                shared = start + self.side - self.starts[i + 1]
                window[self.side - shared :] *= 1 - _fade_in(shared)
            windows.append(window)
        total = np.zeros(self.length, np.float32)
        for start, window in zip(self.starts, windows, strict=True):
            total[start : start + self.side] += window
        return [window / total[start : start + self.side] for start, window in zip(self.starts, windows, strict=True)]


def cover(length: int, side: int, overlap: int, alignment: int) -> Axis:
    """Evenly spread tiles of `side` that cover `length`, neighbours sharing at least `overlap`.

    All of them are multiples of `alignment`. An overlap above half a tile is cut to that: more would mean that
    every pixel is made more than twice along this side.
    """
    overlap = min(overlap, side // 2 // alignment * alignment)
    count = 1 if side >= length else math.ceil((length - overlap) / (side - overlap))
    steps = (length - side) // alignment
    starts = (math.floor(i * steps / max(1, count - 1)) * alignment for i in range(count))
    return Axis(length, side, tuple(starts))


def tile_size(height: int, width: int, max_pixels: int, alignment: int) -> tuple[int, int]:
    """The size of the tiles with at most `max_pixels` that cost least in all over an aligned (height, width) frame.

    Where even the smallest sensible tile (three overlaps wide) has more pixels, that one: with less there is no
    picture.
    """
    smallest = 3 * OVERLAP
    max_pixels = max(max_pixels, min(smallest, height) * min(smallest, width))

    def sides(length: int) -> range:
        return range(min(smallest, length), length + 1, alignment)

    def cost(size: tuple[int, int]) -> int:
        rows, columns = (
            cover(length, side, OVERLAP, alignment) for length, side in zip((height, width), size, strict=True)
        )
        return len(rows.starts) * len(columns.starts) * size[0] * size[1]

    sizes = [(h, w) for h in sides(height) for w in sides(width) if h * w <= max_pixels]
    return min(sizes, key=cost)


def _fade_in(count: int) -> np.ndarray:
    """Nothing, a raised cosine from 0 to 1, then one: a quarter, a half and a quarter of `count` pixels."""
    position = (np.arange(count, dtype=np.float32) + 0.5) / count  # pixel centres
    return (0.5 - 0.5 * np.cos(np.pi * np.clip(2 * position - 0.5, 0, 1))).astype(np.float32)
