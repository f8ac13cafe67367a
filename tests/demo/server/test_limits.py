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


def test_the_refusal_tells_the_numbers_and_what_would_fit() -> None:
    words = (
        "33 frames of 4000x3000 are 396 megapixels; this server makes at most 300 in one film:"
        " choose depth 4 or a longest side of 2048."
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        limits().check_film(33, (3000, 4000))


def test_a_film_that_is_not_a_recursion_is_told_frames() -> None:
    with pytest.raises(ValueError, match="choose at most 25 frames or a longest side of 2048"):
        limits().check_film(33, (3000, 4000), at_most)


def test_no_more_frames_are_proposed_than_can_be_asked_for() -> None:
    with pytest.raises(ValueError, match=f"choose at most {MAX_COUNT} frames"):
        limits().check_film(30_000, (128, 96), at_most)


def test_where_no_choice_fits_it_says_so() -> None:
    with pytest.raises(ValueError, match="choose fewer frames and a smaller size"):
        limits(1).check_film(257, (9000, 9000))


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
