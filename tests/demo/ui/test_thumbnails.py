"""What the page shows of a film: a few of its frames, and its middle beside a cross-fade."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from demo.ui.comparison import Comparison
from demo.ui.thumbnails import CELLS, Filmstrip, evenly
from film.media.images import to_uint8
from film.rendering import planning
from film.rendering.events import Progress

HEIGHT, WIDTH = 48, 64


def progress(done: int, total: int, value: float = 0.5) -> Progress:
    return Progress(done, total, np.full((HEIGHT, WIDTH, 3), value, np.float32), None, None)


@pytest.mark.parametrize("total", [2, 3, 11, 12, 13, 33, 257])
def test_a_dozen_frames_stand_for_all(total: int) -> None:
    chosen = evenly(total)
    assert len(chosen) == min(total, CELLS) and (chosen[0], chosen[-1]) == (0, total - 1)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1


def test_the_strip_fills_in_order() -> None:
    strip = Filmstrip()
    assert strip.cells == [None] * CELLS
    changed = [done for done in range(1, 34) if strip.take(progress(done, 33))]
    assert changed == [place + 1 for place in evenly(33)]
    assert all(cell and cell.startswith("data:image/jpeg;base64,") and len(cell) < 6000 for cell in strip.cells)


@pytest.mark.parametrize(
    ("photos", "depth", "count", "middle", "share"),
    [(2, 3, None, 4, 0.5), (2, None, 4, 1, 85 / 256), (3, 2, None, 2, 0.5), (2, 1, None, 1, 0.5)],
)
def test_the_middle_is_compared_with_a_cross_fade(
    photos: int, depth: int | None, count: int | None, middle: int, share: float
) -> None:
    gaps = planning.moments(photos, depth, count)
    comparison = Comparison(gaps)
    total = sum(map(len, gaps))
    length = len(gaps[0]) - (photos == 2)  # frames from the first photo to the second
    pairs = {}
    for k in range(total):
        pair = comparison.take(progress(k + 1, total, k / (2 * length)))
        if pair is not None:
            pairs[k] = pair
    assert list(pairs) == [length]
    faded, made = pairs[length]
    assert made[0, 0, 0] == to_uint8(np.float32(middle / (2 * length)))
    assert faded[0, 0, 0] == to_uint8(np.float32(share / 2))
    assert float(gaps[0][middle]) == pytest.approx(share)


@pytest.mark.parametrize(("photos", "depth", "count"), [(2, None, 2), (2, 0, None), (4, None, 24)])
def test_where_there_is_nothing_to_compare(photos: int, depth: int | None, count: int | None) -> None:
    gaps = planning.moments(photos, depth, count)
    comparison = Comparison(gaps)
    total = sum(map(len, gaps))
    assert [comparison.take(progress(k + 1, total)) for k in range(total)] == [None] * total
    assert gaps[0][0] == Fraction(0)
