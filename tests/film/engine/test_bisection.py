"""Which moments a film has, and the order in which they are made, with numbers in place of frames."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Generator
from fractions import Fraction

import pytest

from film.engine import bisection
from film.engine.bisection import EXACT, dyadic, moments, nearest, pairs

HALF = Fraction(1, 2)


@pytest.mark.parametrize("count", [2, 3, 5, 24, 25, 60, 129, 257, 1000])
def test_a_count_is_evenly_spaced(count: int) -> None:
    film = moments(count=count)
    precision = min(bisection.PRECISION, Fraction(1, 2 ** math.ceil(math.log2(count - 1))))
    assert len(film) == count and film[0] == 0 and film[-1] == 1
    assert sorted(set(film)) == film  # ascending, none twice
    for k, moment in enumerate(film):
        assert abs(moment - Fraction(k, count - 1)) <= precision / 2 and moment.denominator.bit_count() == 1
    # One call per frame, and one per shared ancestor: never more than the tree that holds them all.
    assert count - 2 <= bisection.calls(film)[-1] <= min(1 / precision - 1, (count - 2) * 8)
    if (count - 1).bit_count() == 1:
        assert bisection.calls(film)[-1] == count - 2
    exact = moments(count=count, precision=EXACT)
    assert exact == [Fraction(k, count - 1) for k in range(count)]
    assert bisection.calls(exact, honours_time=True)[-1] == count - 2


def test_times_go_to_the_nearest_multiple() -> None:
    assert nearest([0, 0.3, 1 / 3, 1.0], Fraction(1, 4)) == [0, Fraction(1, 4), Fraction(1, 4), 1]
    assert nearest([0.3]) == [Fraction(77, 256)]
    assert nearest([Fraction(1, 3)], Fraction(1)) == [0]
    assert nearest([]) == []
    assert nearest([0.3], 1 / 16) == nearest([0.3], Fraction(1, 16))
    assert moments(count=100, precision=1 / 16) == moments(count=100, precision=Fraction(1, 16))


def test_a_film_is_given_in_one_way() -> None:
    assert moments(depth=1) == moments(count=3) == moments(times=[0, 0.5, 1]) == [0, HALF, 1]


@pytest.mark.slow
def test_every_gap_may_have_as_many_frames_as_a_film_of_two_photos() -> None:
    film = pairs(4, count=30_000)
    assert sum(map(len, film)) == 30_000 and max(map(len, film)) <= bisection.MAX_COUNT


def test_calls_are_counted_up_to_each_moment() -> None:
    film = [Fraction(1, 8), Fraction(1, 8), Fraction(3, 8), HALF, Fraction(1)]
    assert bisection.calls(film) == [3, 3, 4, 4, 4]  # 1/2, 1/4, 1/8; 3/8
    assert bisection.calls(film, honours_time=True) == [1, 1, 2, 3, 3]
    assert bisection.calls([Fraction(1, 3)]) == [8]  # planned for a model that honours the time: the nearest 1/256
    assert bisection.calls([]) == []
    with pytest.raises(ValueError, match="1/3 is not reached by halving"):
        bisection.tree([Fraction(1, 3)])


def test_a_count_is_spread_evenly_over_all_gaps() -> None:
    film = pairs(4, count=25)
    positions = [pair + moment for pair, moments in enumerate(film) for moment in moments]
    assert len(positions) == 25
    assert positions[0] == 0 and positions[-1] == 3
    for k, position in enumerate(positions):
        assert abs(position - Fraction(3 * k, 24)) <= bisection.PRECISION / 2
    assert film[1][0] == 0 and film[2][0] == 0  # 24 steps divide by 3: the photos themselves are in the film


def test_gaps_last_in_proportion_to_their_weights() -> None:
    film = pairs(4, count=13, weights=[1, 4, 1])
    assert [len(pair) for pair in film] == [2, 8, 3]
    assert [float(moment) for moment in film[1]] == [k / 8 for k in range(8)]
    still = pairs(3, count=101, weights=[0, 1])  # two photos alike: a moment all the same, no division by 0
    assert [len(pair) for pair in still] == [1, 100]


class Keyframe:
    """A moment that can be counted while it is alive."""

    def __init__(self, moment: Fraction, alive: weakref.WeakSet[Keyframe]) -> None:
        self.moment = moment
        alive.add(self)


class Works:
    """Begins keyframes and counts them: those in the works, and those alive."""

    def __init__(self, lanes: int = 1, honours_time: bool = False) -> None:
        self.lanes, self.honours_time = lanes, honours_time
        self.running: list[Fraction] = []
        self.started: list[Fraction] = []
        self.most = 0  # that were running at once
        self.alive: weakref.WeakSet[Keyframe] = weakref.WeakSet()
        self.fails_to_start: Fraction | None = None
        self.fails: set[Fraction] = set()

    def walk(self, film: list[Fraction]) -> Generator[Keyframe]:
        ends = {moment: Keyframe(moment, self.alive) for moment in (Fraction(0), Fraction(1))}
        return bisection.walk(ends, film, self.start, self.lanes, self.honours_time)

    def start(self, left: Keyframe, right: Keyframe, time: float) -> Callable[[], Keyframe]:
        assert self.honours_time or time == 0.5
        moment = left.moment + (right.moment - left.moment) * Fraction(time).limit_denominator(1000)
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


FILMS = [*map(dyadic, range(7)), moments(count=24)]
FILMS += [nearest(times) for times in ([], [0], [1], [0.3], [0, 0, 0.5, 0.5, 1, 1], [0.1, 0.11, 0.9])]
EXACT_FILMS = [*FILMS, moments(count=24, precision=EXACT)]


@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
@pytest.mark.parametrize("honours_time", [False, True])
def test_the_keyframes_come_in_order_each_made_once(honours_time: bool, lanes: int) -> None:
    for film in EXACT_FILMS if honours_time else FILMS:
        works = Works(lanes, honours_time)
        made, counts = [], []
        for keyframe in works.walk(film):
            made.append(keyframe.moment)
            counts.append(len(works.started))
            del keyframe
        assert made == film and works.most <= lanes and not works.running and not works.alive
        expected = [node[2] for node in bisection.tree(film, honours_time)]
        assert sorted(works.started) == sorted(expected) and len(set(expected)) == len(expected)
        if lanes == 1:
            assert works.started == expected and counts == bisection.calls(film, honours_time)
        if film == dyadic(6):
            assert works.most == lanes  # they are used


@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
@pytest.mark.parametrize("depth", [0, 1, 3, 6, bisection.MAX_DEPTH])
def test_few_keyframes_are_alive_at_once(depth: int, lanes: int) -> None:
    works = Works(lanes)
    counts, ahead = [], []
    for k, keyframe in enumerate(works.walk(dyadic(depth))):
        del keyframe
        counts.append(len(works.alive))
        ahead.append(len(works.started) - k)
    assert max(counts) <= max(2, depth + 1 + (2 * lanes if lanes > 1 else 0))
    assert max(ahead) <= depth + 2 * lanes  # the levels above it, and a few more
    assert counts[-1] == 1 and not works.alive  # the past is not kept


@pytest.mark.parametrize("honours_time", [False, True])
@pytest.mark.parametrize("taken", [0, 1, 2, 7])
@pytest.mark.parametrize("lanes", [2, 3])
def test_closing_waits_for_what_is_running(taken: int, lanes: int, honours_time: bool) -> None:
    """Whatever becomes of those that nobody waits for."""
    works = Works(lanes, honours_time)
    film = works.walk(dyadic(4))
    for _ in range(taken):
        next(film)
    begun = list(works.started)
    works.fails = set(works.running)
    assert bool(works.running) == bool(taken)
    film.close()
    assert not works.running and works.started == begun and not works.alive and list(film) == []


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("at_start", [False, True])
def test_a_failure_stops_the_film_and_leaves_nothing_running(at_start: bool, lanes: int) -> None:
    for numerator in range(1, 16):
        moment = Fraction(numerator, 16)
        works = Works(lanes)
        works.fails_to_start, works.fails = (moment, set()) if at_start else (None, {moment})
        film = works.walk(dyadic(4))
        with pytest.raises(RuntimeError, match="cannot begin" if at_start else f"failed at {moment}"):
            for keyframe in film:
                assert keyframe.moment < moment
        assert not works.running and list(film) == []


@pytest.mark.parametrize("lanes", [1, 3])
def test_works_in_order_are_begun_as_they_are_taken(lanes: int) -> None:
    begun: list[int] = []
    made = bisection.in_order((begun.append(k) or (lambda k=k: k) for k in range(9)), lanes)  # type: ignore[misc]
    for k in range(4):
        assert next(made) == k and len(begun) == k + lanes
    assert list(made) == [4, 5, 6, 7, 8]
