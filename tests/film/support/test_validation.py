"""Numbers of any kind are what they are, to the last bit; what is none is refused in words."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from film.engine import bisection
from film.media import video_segments
from film.rendering.options import VideoOptions
from film.support import validation
from tests.film.test_refused_values import NO_NUMBERS


@pytest.mark.parametrize(
    "kind", [int, float, Fraction, Decimal, np.float16, np.float32, np.float64, np.uint8, np.int64]
)
def test_a_number_of_any_kind_is_a_fraction(kind: Any) -> None:
    fraction = validation.exact(kind(30))
    assert fraction == 30 and type(fraction) is Fraction and type(fraction.numerator) is int
    assert validation.exact(np.float32(0.1)) == Fraction(13421773, 2**27)  # as it is, not as it was meant
    assert validation.told(kind(30)) == "30"


@pytest.mark.parametrize("value", [*NO_NUMBERS, None])
def test_what_is_no_number(value: Any) -> None:
    assert validation.exact(value) is None


def test_lengths_rates_and_moments_may_be_numpys() -> None:
    assert bisection.nearest(np.linspace(0, 1, 3, dtype=np.float32)) == [0, Fraction(1, 2), 1]
    assert bisection.nearest([np.float32(0.3)], np.float32(0.25)) == [Fraction(1, 4)]
    for rate in (np.float32(30), Fraction(30000, 1001), 12.5, Fraction(1, 600)):
        assert video_segments.exact(rate) == rate
    assert video_segments.exact(29.97) == Fraction(2997, 100) and video_segments.exact(1 / 600) == Fraction(1, 600)
    assert video_segments.frame_count(0.1, 29.97) == 3
    assert bisection.dyadic(np.int64(2)) == bisection.dyadic(2)
    assert bisection.moments(count=np.int64(5)) == bisection.moments(count=5)
    assert bisection.pairs(3, depth=np.uint8(1)) == bisection.pairs(3, depth=1)
    assert VideoOptions(slowdown=np.float32(2)).slowdown == 2
