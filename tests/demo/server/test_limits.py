"""How much one request may ask: every refusal names the numbers, and what it proposes does fit."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from demo.server.limits import MEGAPIXEL, Limits, at_most, choice, number
from film.engine.bisection import MAX_COUNT


def limits(megapixels: float = 300) -> Limits:
    return Limits(["film-lite"], ["CPU"], [512, 768, 1024, 1536, 2048, 0], range(1, 9), megapixels, 100)


def test_what_fits_is_let_through() -> None:
    limits().check_film(257, (1024, 1024))
    limits(0.001).check_film(1, (10, 100))


@pytest.mark.parametrize(
    ("megapixels", "frames", "size", "shorter", "advice"),
    [
        (300, 33, (3000, 4000), [], "depth 4 or a longest side of 2048."),
        (300, 33, (3000, 4000), [at_most], "at most 25 frames or a longest side of 2048."),  # where it has no depth
        (300, 30_000, (128, 96), [at_most], f"at most {MAX_COUNT} frames"),  # no more than can be asked for
        (1, 257, (9000, 9000), [], "fewer frames and a smaller size"),
    ],
)
def test_the_refusal_tells_the_numbers_and_what_would_fit(
    megapixels: float, frames: int, size: tuple[int, int], shorter: list[Any], advice: str
) -> None:
    (height, width), asked = size, frames * math.prod(size) / MEGAPIXEL
    words = f"{frames} frames of {width}x{height} are {asked:.0f} megapixels; this server makes at most {megapixels}"
    with pytest.raises(ValueError, match=re.escape(f"{words} in one film: choose {advice}")):
        limits(megapixels).check_film(frames, size, *shorter)


@pytest.mark.parametrize("depth", range(1, 9))
@pytest.mark.parametrize("size", [(3000, 4000), (9000, 1000), (2048, 2048), (500, 9999)])
@pytest.mark.parametrize("megapixels", [5, 40, 300])
def test_what_is_proposed_fits(depth: int, size: tuple[int, int], megapixels: float) -> None:
    frames = 2**depth + 1
    try:
        limits(megapixels).check_film(frames, size)
    except ValueError as error:
        if proposed := re.search(r"depth (\d)", str(error)):
            assert (2 ** int(proposed[1]) + 1) * math.prod(size) <= megapixels * MEGAPIXEL
        if side := re.search(r"longest side of (\d+)", str(error)):
            assert frames * math.prod(size) * (int(side[1]) / max(size)) ** 2 <= megapixels * MEGAPIXEL
    else:
        assert frames * math.prod(size) <= megapixels * MEGAPIXEL


@pytest.mark.parametrize("value", [0, 9, -1, 1.5, float("nan"), float("inf"), 2**70, True, None, "5", [5], {}, 10**400])
def test_what_is_no_whole_number_in_range(value: Any) -> None:
    with pytest.raises(ValueError, match="The depth is .*it must be a whole number from 1 to 8"):
        number("The depth", value, 1, 8, whole=True)


def test_numbers() -> None:
    assert number("The depth", 5.0, 1, 8, whole=True) == 5
    assert isinstance(number("The depth", 5.0, 1, 8, whole=True), int)
    assert number("The frame rate", 23.976, 1, 60) == 23.976


@pytest.mark.parametrize(
    "value", ["nonesuch", "", None, [], ["film-lite"], {}, True, "film-lite\0", "http://127.0.0.1:1/x"]
)
def test_what_is_not_in_the_list(value: Any) -> None:
    with pytest.raises(ValueError, match="The model is .*not in the list: film-lite, film"):
        choice("The model", value, ["film-lite", "film"])
    assert choice("The model", "film", ["film-lite", "film"]) == "film"


def test_a_refusal_repeats_only_the_beginning_of_what_was_sent() -> None:
    with pytest.raises(ValueError) as refusal:
        choice("The model", "x" * 10**6, ["film"])
    assert len(str(refusal.value)) < 200
