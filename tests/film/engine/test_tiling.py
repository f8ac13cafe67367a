"""Tiles cover a frame, share what they must, and add up to it."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from film.engine.tiling import OVERLAP, Axis, cover, tile_size

ALIGNMENT = 64


def axes() -> Iterator[tuple[Axis, int, int]]:
    """Hundreds of frames' sides cut into tiles, each with the overlap that was asked for and its alignment."""
    for alignment in (16, 64):
        for units in (1, 2, 3, 7, 16, 31, 64):
            for side in {*range(1, min(units, 12) + 1), units // 2 or 1, units}:
                for overlap in {0, 1, 2, 4, side // 2, side, 5 * side}:
                    asked = overlap * alignment
                    yield cover(units * alignment, side * alignment, asked, alignment), asked, alignment


def test_tiles_cover_a_side_from_end_to_end() -> None:
    for axis, overlap, alignment in axes():
        assert axis.starts[0] == 0 and axis.starts[-1] + axis.side == axis.length
        assert all(start % alignment == 0 for start in axis.starts)
        shared = [a + axis.side - b for a, b in zip(axis.starts, axis.starts[1:], strict=False)]
        # More than half a tile is not given.
        wanted = min(overlap, axis.side // 2 // alignment * alignment)
        assert all(wanted <= pixels < axis.side for pixels in shared), axis


def test_there_are_no_more_tiles_than_needed_and_they_lie_evenly() -> None:
    for axis, overlap, alignment in axes():
        overlap = min(overlap, axis.side // 2 // alignment * alignment)
        one_less = (len(axis.starts) - 2) * (axis.side - overlap) + axis.side  # the most that so many would cover
        assert len(axis.starts) == 1 or one_less < axis.length
        steps = np.diff(axis.starts)
        assert len(steps) == 0 or steps.max() - steps.min() <= alignment


def test_the_weights_add_up_to_one_everywhere() -> None:
    for axis, _, _ in axes():
        total = np.zeros(axis.length, np.float64)
        weights = axis.weights()
        assert len(weights) == len(axis.starts)
        for start, window in zip(axis.starts, weights, strict=True):
            assert window.shape == (axis.side,) and window.dtype == np.float32
            assert window.min() >= 0 and window.max() <= 1 + 1e-6
            total[start : start + axis.side] += window
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_tiles_own_border_counts_for_nothing() -> None:
    for axis, _, _ in axes():
        for (start, window), (following, next_window) in pairwise(zip(axis.starts, axis.weights(), strict=True)):
            shared = start + axis.side - following
            quarter = shared // 4
            assert not window[axis.side - quarter :].any()
            assert not next_window[:quarter].any()
            if len(axis.starts) == 2:  # then what one does not give, the other does
                assert (window[axis.side - shared : axis.side - shared + quarter] == 1).all()


def test_the_fade_is_smooth_and_symmetric() -> None:
    first, second = cover(1280, 768, 256, ALIGNMENT).weights()
    np.testing.assert_allclose(first, second[::-1], atol=1e-6)
    assert np.abs(np.diff(first)).max() < 2 / 128  # a cosine over the half of the overlap: pi / 2 / 128 at its steepest
    assert np.all(np.diff(first) <= 0) and np.count_nonzero((first > 0) & (first < 1)) == 128


FRAMES = [(64, 64), (512, 1024), (1088, 1920), (3008, 4032), (768, 8192), (64, 16384), (6016, 8000)]
BUDGETS = [1, 400_000, 600_000, 1_000_000, 3_000_000, 20_000_000]


@pytest.mark.parametrize(("height", "width"), FRAMES)
def test_a_tile_fits_the_memory_and_the_frame_and_is_no_smaller_than_three_overlaps(height: int, width: int) -> None:
    least = min(3 * OVERLAP, height), min(3 * OVERLAP, width)
    for max_pixels in BUDGETS:
        rows, columns = tile_size(height, width, max_pixels, ALIGNMENT)
        assert rows * columns <= max(max_pixels, math.prod(least))
        assert least[0] <= rows <= height and least[1] <= columns <= width
        assert rows % ALIGNMENT == 0 and columns % ALIGNMENT == 0
    assert tile_size(height, width, height * width, ALIGNMENT) == (height, width)  # what fits is one tile
    if height * width > (3 * OVERLAP) ** 2:
        assert tile_size(height, width, height * width - 1, ALIGNMENT) != (height, width)
    assert tile_size(height, width, -(10**9), ALIGNMENT) == least


def test_more_memory_never_costs_more() -> None:
    def computed(max_pixels: int) -> int:
        size = tile_size(3008, 4032, max_pixels, ALIGNMENT)
        sides = zip((3008, 4032), size, strict=True)
        return math.prod(len(cover(length, side, OVERLAP, ALIGNMENT).starts) * side for length, side in sides)

    costs = [computed(megapixels * 500_000) for megapixels in range(1, 26)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 3008 * 4032 and costs[0] < 2.5 * costs[-1]
