"""Cuts are found, fast motion is none; repeated frames are left out, standstill stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from clips import pan

from film.clip import Still
from film.shots import Shot, content_value, likeness, shots, small

FRAME = Fraction(1, 24)


def stills(pictures: Sequence[np.ndarray]) -> list[Still]:
    return [Still(picture, k * FRAME, FRAME) for k, picture in enumerate(pictures)]


def found(pictures: Sequence[np.ndarray], **options: float) -> list[int]:
    """The numbers of the frames with which a new scene begins."""
    return [int(shot.time / FRAME) for shot in shots(stills(pictures), **options) if shot.cut]


def test_a_cut_is_found_where_it_is() -> None:
    one, other = pan(7, seed=1), pan(8, seed=2)
    assert found(one + other) == [7]
    assert found(one + other + one) == [7, 15]
    assert found(one + other, cut=math.inf) == []


@pytest.mark.parametrize("step", [1, 8, 24])
def test_motion_is_no_cut(step: int) -> None:
    assert found(pan(12, step=step)) == []


def test_a_cut_beside_either_end_is_found() -> None:
    one, other = pan(6, seed=1), pan(6, seed=2)
    assert found(one[:1] + other) == [1]
    assert found(one + other[:1]) == [6]
    assert found(one[:1] + other[:1]) == [1]  # nothing around it to stand out from


def test_repeated_frames_are_left_out() -> None:
    pictures = pan(6)
    twice = [picture for picture in pictures for _ in range(2)]
    kept = list(shots(stills(twice)))
    assert [shot.time for shot in kept] == [2 * k * FRAME for k in range(6)]
    assert all(shot.held == shot.time for shot in kept)  # the motion goes on through the repetition
    assert kept[-1].end == 12 * FRAME
    for shot, picture in zip(kept, pictures, strict=True):
        np.testing.assert_array_equal(shot.pixels, picture)


def test_a_standstill_stays() -> None:
    a, b, c = pan(3)
    held: list[Shot] = list(shots(stills([a, *[b] * 10, c])))
    assert [(shot.time, shot.held) for shot in held] == [(0, 0), (FRAME, 10 * FRAME), (11 * FRAME, 11 * FRAME)]


def test_coding_noise_is_a_repetition_and_a_small_object_is_not() -> None:
    (a,) = pan(1, 128, 128)
    noisy = np.clip(a + np.random.default_rng(0).integers(-1, 2, a.shape), 0, 255).astype(np.uint8)
    moved = a.copy()
    moved[40:46, 40:46] = 255 - moved[40:46, 40:46]
    assert len(list(shots(stills([a, noisy])))) == 1
    assert len(list(shots(stills([a, moved])))) == 2


def test_the_same_picture_is_alike_whatever_its_brightness() -> None:
    (a,), (b,) = pan(1, seed=1), pan(1, seed=2)
    assert likeness(small(a), small((a * 0.5 + 60).astype(np.uint8))) > 0.99
    assert likeness(small(a), small(255 - a)) < -0.99
    assert abs(likeness(small(a), small(b))) < 0.5
    assert content_value(small(a), small(a)) == 0


def test_only_a_few_frames_are_held_back() -> None:
    taken = 0

    def counted() -> object:
        nonlocal taken
        for still in stills(pan(30)):
            taken += 1
            yield still

    for number, _ in enumerate(shots(counted())):  # type: ignore[arg-type]
        assert taken <= number + 4
