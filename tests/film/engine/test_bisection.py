"""The order in which middles are made, with numbers in place of frames."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Generator
from fractions import Fraction

import numpy as np
import pytest

from film.engine import bisection


class Counter:
    """`middle(a, b) = (a + b) / 2`, exactly, counting its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, a: Fraction, b: Fraction) -> Fraction:
        self.calls += 1
        return (a + b) / 2


def walk(moments: list[Fraction], middle: Callable[[Fraction, Fraction], Fraction]) -> list[Fraction]:
    return list(bisection.walk(Fraction(0), Fraction(1), moments, middle))


@pytest.mark.parametrize("depth", range(bisection.MAX_DEPTH + 1))
def test_a_depth_is_an_exactly_linear_film(depth: int) -> None:
    middle = Counter()
    moments = bisection.dyadic(depth)
    made = [(moment, middle.calls) for moment in bisection.walk(Fraction(0), Fraction(1), moments, middle)]
    assert [moment for moment, _ in made] == moments == [Fraction(k, 2**depth) for k in range(2**depth + 1)]
    assert [calls for _, calls in made] == bisection.calls(moments)
    assert middle.calls == 2**depth - 1


def test_arrays_are_halved_exactly() -> None:
    first, last = np.array([0.0, 32.0]), np.array([64.0, -32.0])
    film = list(bisection.walk(first, last, bisection.dyadic(5), lambda a, b: (a + b) / 2))
    np.testing.assert_array_equal(film, np.linspace(first, last, 33))
    assert film[0] is first and film[-1] is last


@pytest.mark.parametrize("depth", range(1, bisection.MAX_DEPTH + 1))
def test_the_first_middle_comes_after_as_many_calls_as_levels(depth: int) -> None:
    middle = Counter()
    film = bisection.walk(Fraction(0), Fraction(1), bisection.dyadic(depth), middle)
    assert next(film) == 0 and middle.calls == 0
    assert next(film) == Fraction(1, 2**depth) and middle.calls == depth
    assert next(film) == Fraction(2, 2**depth) and middle.calls == depth  # made on the way
    film.close()
    assert middle.calls == depth


class Keyframe:
    """A moment that can be counted while it is alive."""

    def __init__(self, moment: Fraction, alive: weakref.WeakSet[Keyframe]) -> None:
        self.moment = moment
        alive.add(self)


@pytest.mark.parametrize("depth", range(bisection.MAX_DEPTH + 1))
def test_no_more_keyframes_are_alive_than_levels_and_one(depth: int) -> None:
    alive: weakref.WeakSet[Keyframe] = weakref.WeakSet()

    def middle(a: Keyframe, b: Keyframe) -> Keyframe:
        assert len(alive) <= depth + 1
        return Keyframe((a.moment + b.moment) / 2, alive)

    film = bisection.walk(Keyframe(Fraction(0), alive), Keyframe(Fraction(1), alive), bisection.dyadic(depth), middle)
    counts = []
    for keyframe in film:
        del keyframe
        counts.append(len(alive))
    assert len(counts) == 2**depth + 1
    assert max(counts) <= max(2, depth + 1)
    assert counts[-1] == 1 and not alive  # the past is not kept: at the end only the last was, and now nothing is


def test_other_moments_share_their_ancestors() -> None:
    middle = Counter()
    moments = [Fraction(1, 8), Fraction(1, 8), Fraction(3, 8), Fraction(1, 2), Fraction(1)]
    assert walk(moments, middle) == moments
    assert middle.calls == 4  # 1/2, 1/4, 1/8, 3/8
    assert bisection.calls(moments) == [3, 3, 4, 4, 4]
    assert walk([], Counter()) == []
    assert walk([Fraction(0), Fraction(1)], Counter()) == [0, 1]


@pytest.mark.parametrize("count", [2, 3, 5, 24, 25, 60, 129, 257, 1000])
def test_a_count_is_evenly_spaced(count: int) -> None:
    moments = bisection.evenly(count)
    precision = min(bisection.PRECISION, Fraction(1, 2 ** math.ceil(math.log2(count - 1))))
    assert len(moments) == count and moments[0] == 0 and moments[-1] == 1
    assert sorted(set(moments)) == moments  # ascending, none twice
    for k, moment in enumerate(moments):
        assert abs(moment - Fraction(k, count - 1)) <= precision / 2
        assert moment.denominator.bit_count() == 1
    middle = Counter()
    assert walk(moments, middle) == moments
    # One call per frame, and one per shared ancestor: never more than the tree that holds them all.
    assert count - 2 <= middle.calls <= min(1 / precision - 1, (count - 2) * 8)
    if (count - 1).bit_count() == 1:
        assert middle.calls == count - 2


def test_twenty_four_frames_cost_little_more_than_a_coarser_grid() -> None:
    coarse, fine = (bisection.calls(bisection.evenly(24, Fraction(1, n)))[-1] for n in (32, 256))
    assert coarse <= 31 and fine <= 22 * 4


def test_times_go_to_the_nearest_multiple() -> None:
    assert bisection.nearest([0, 0.3, 1 / 3, 1.0], Fraction(1, 4)) == [0, Fraction(1, 4), Fraction(1, 4), 1]
    assert bisection.nearest([0.3]) == [Fraction(77, 256)]
    assert bisection.nearest([Fraction(1, 3)], Fraction(1)) == [0]
    assert bisection.nearest([]) == []


def test_a_film_is_given_in_one_way() -> None:
    assert bisection.moments(depth=1) == [0, Fraction(1, 2), 1]
    assert bisection.moments(count=3) == [0, Fraction(1, 2), 1]
    assert bisection.moments(times=[0.5], precision=Fraction(1, 2)) == [Fraction(1, 2)]
    for several in ({}, {"depth": 1, "count": 3}, {"depth": 1, "times": [0]}, {"count": 3, "times": [0], "depth": 1}):
        with pytest.raises(ValueError, match="one way"):
            bisection.moments(**several)


def test_every_gap_may_have_as_many_frames_as_a_film_of_two_photos() -> None:
    film = bisection.pairs(4, count=30_000)
    assert sum(map(len, film)) == 30_000 and max(map(len, film)) <= bisection.MAX_COUNT


def test_numbers_of_numpy_are_numbers() -> None:
    assert bisection.dyadic(np.int64(2)) == bisection.dyadic(2)
    assert bisection.evenly(np.int64(5)) == bisection.evenly(5)
    assert bisection.pairs(3, depth=np.uint8(1)) == bisection.pairs(3, depth=1)


def test_a_precision_may_be_a_float() -> None:
    assert bisection.nearest([0.3], 1 / 16) == bisection.nearest([0.3], Fraction(1, 16))
    assert bisection.evenly(100, 1 / 16) == bisection.evenly(100, Fraction(1, 16))


# Several middles at once

WALKS = [*(bisection.dyadic(depth) for depth in range(7)), bisection.evenly(24)]
WALKS += [bisection.nearest(times) for times in ([], [0], [1], [0.3], [0, 0, 0.5, 0.5, 1, 1], [0.1, 0.11, 0.9])]


class Works:
    """Begins middles and counts them: those in the works, and the keyframes alive."""

    def __init__(self) -> None:
        self.running: list[Fraction] = []
        self.started: list[Fraction] = []
        self.most = 0  # that were running at once
        self.alive: weakref.WeakSet[Keyframe] = weakref.WeakSet()
        self.fails_to_start: Fraction | None = None
        self.fails: set[Fraction] = set()

    def walk(self, moments: list[Fraction], lanes: int) -> Generator[Keyframe]:
        ends = {moment: Keyframe(moment, self.alive) for moment in (Fraction(0), Fraction(1))}
        return bisection.walk_ahead(ends, moments, self.start, lanes)

    def start(self, left: Keyframe, right: Keyframe) -> Callable[[], Keyframe]:
        moment = (left.moment + right.moment) / 2
        if moment == self.fails_to_start:
            raise RuntimeError("cannot begin")
        self.started.append(moment)
        self.running.append(moment)
        self.most = max(self.most, len(self.running))

        def finish() -> Keyframe:
            self.running.remove(moment)  # a ValueError if it is waited for twice
            if moment in self.fails:
                raise RuntimeError(f"failed at {moment}")
            return Keyframe(moment, self.alive)

        return finish


@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
@pytest.mark.parametrize("moments", WALKS, ids=len)
def test_lanes_give_the_same_keyframes_in_the_same_order(moments: list[Fraction], lanes: int) -> None:
    works = Works()
    made = []
    for keyframe in works.walk(moments, lanes):
        made.append(keyframe.moment)
        del keyframe
    assert made == moments
    assert works.most <= lanes and not works.running
    needed: list[Fraction] = []
    walk(moments, lambda a, b: needed.append((a + b) / 2) or needed[-1])  # type: ignore[func-returns-value]
    assert sorted(works.started) == sorted(needed)  # each of them once
    if lanes == 1:
        assert works.started == needed
    assert not works.alive


@pytest.mark.parametrize("lanes", [2, 3, 8])
def test_lanes_are_used(lanes: int) -> None:
    works = Works()
    list(works.walk(bisection.dyadic(6), lanes))
    assert works.most == lanes


@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
@pytest.mark.parametrize("depth", [3, 6, bisection.MAX_DEPTH])
def test_few_keyframes_are_alive_at_once(depth: int, lanes: int) -> None:
    works = Works()
    counts = []
    for keyframe in works.walk(bisection.dyadic(depth), lanes):
        del keyframe
        counts.append(len(works.alive))
    assert max(counts) <= depth + 1 + 2 * lanes


def test_nothing_is_begun_before_it_is_asked_for() -> None:
    works = Works()
    film = works.walk(bisection.dyadic(4), 3)
    assert not works.started
    film.close()
    assert not works.started
    film = works.walk(bisection.dyadic(4), 3)
    ahead = []
    for k, keyframe in enumerate(film):
        ahead.append(len(works.started) - k)
        del keyframe
    assert max(ahead) <= 4 + 2 * 3  # the levels above it, and a few more


@pytest.mark.parametrize("taken", [0, 1, 2, 7])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_closing_waits_for_what_is_running(taken: int, lanes: int) -> None:
    works = Works()
    film = works.walk(bisection.dyadic(4), lanes)
    for _ in range(taken):
        next(film)
    begun = list(works.started)
    assert taken == 0 or works.running
    film.close()
    assert not works.running and works.started == begun and not works.alive
    assert list(film) == []


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("numerator", range(1, 16))
def test_a_failure_stops_the_film_and_leaves_nothing_running(numerator: int, lanes: int) -> None:
    moment = Fraction(numerator, 16)
    for at_start in (True, False):
        works = Works()
        if at_start:
            works.fails_to_start = moment
        else:
            works.fails = {moment}
        film = works.walk(bisection.dyadic(4), lanes)
        with pytest.raises(RuntimeError, match="cannot begin" if at_start else f"failed at {moment}"):
            for keyframe in film:
                assert keyframe.moment < moment
        assert not works.running
        assert list(film) == []


@pytest.mark.parametrize("taken", [2, 3, 5])
def test_failures_of_what_nobody_waits_for_leave_nothing_running(taken: int) -> None:
    """The film is closed, or has failed already: the others are waited for, whatever becomes of them."""
    works = Works()
    film = works.walk(bisection.dyadic(4), 3)
    for _ in range(taken):
        next(film)
    works.fails = set(works.running)
    assert len(works.fails) > 1
    with contextlib.suppress(RuntimeError):
        film.close()
    assert not works.running
