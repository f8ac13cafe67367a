"""The line: order, bounds, fairness, estimates, and places that are freed however their visitor leaves."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from demo.server.job_queue import LONG_SECONDS, JobQueue, QueueFull, Slot, Waiting

SHORT, LONG = 1.0, LONG_SECONDS * 10


@contextmanager
def visitors(
    queue: JobQueue, *films: float | None | Callable[[], float | None]
) -> Iterator[list[tuple[Slot, Iterator[Waiting], Callable[[], None]]]]:
    """A visitor for each film of so many seconds, in order of arrival: (place, what it is told, how it leaves)."""
    with ExitStack() as all_of_them:
        come = []
        for film in films:
            stay = all_of_them.enter_context(ExitStack())
            slot = stay.enter_context(queue.slot())
            estimate = film if callable(film) else lambda film=film: film
            come.append((slot, queue.wait(slot, estimate), stay.close))
        yield come


def begun(told: Iterator[Waiting]) -> bool:
    """Whether this visitor may begin now."""
    return next(told, None) is None


@pytest.mark.slow
def test_places_are_given_in_order_of_arrival() -> None:
    queue = JobQueue(1, 3)
    with visitors(queue, SHORT, SHORT, SHORT) as (first, second, third):
        assert begun(first[1])
        assert (next(second[1]).position, next(third[1]).position) == (1, 2)
        assert queue.status() == {"running": 1, "waiting": 2}
        second[2]()  # who leaves while waiting makes room
        assert next(third[1]).position == 1
        first[2]()
        assert begun(third[1])
    assert queue.status() == {"running": 0, "waiting": 0}


def test_a_full_line_turns_away() -> None:
    queue = JobQueue(2, 1)
    with visitors(queue, SHORT, SHORT, SHORT) as come:
        assert [begun(told) for _, told, _ in come[:2]] == [True, True]
        with pytest.raises(QueueFull, match="2 films are being made here and 1 visitor waits"):
            queue.slot().__enter__()
        come[2][2]()
        with queue.slot() as slot:
            assert not slot.working
    assert queue.status() == {"running": 0, "waiting": 0}


def test_a_long_film_leaves_a_place_for_short_ones() -> None:
    queue = JobQueue(2, 5)
    with visitors(queue, LONG, LONG, SHORT, SHORT) as (long, longer, short, shorter):
        assert begun(long[1])
        assert next(longer[1]) == Waiting(1, LONG)
        assert begun(short[1])  # though it came later
        assert next(shorter[1]) == Waiting(2, SHORT)
        short[2]()
        assert begun(shorter[1])
        long[2]()
        assert begun(longer[1])  # and it is not starved by short ones in turn


def test_a_film_of_unknown_length_is_a_long_one_until_it_is_known() -> None:
    known: list[float] = []
    with visitors(JobQueue(2, 5), LONG, lambda: known[0] if known else None) as (long, unknown):
        assert begun(long[1])
        assert next(unknown[1]).position == 1
        known.append(SHORT)
        assert begun(unknown[1])


def test_who_is_not_ready_holds_nobody_up() -> None:
    queue = JobQueue(1, 2)
    with queue.slot() as slow, visitors(queue, SHORT) as ((_, told, _),):
        assert begun(told)
        assert next(queue.wait(slow, lambda: SHORT)).position == 1


def test_the_wait_is_the_sum_of_what_comes_before() -> None:
    queue = JobQueue(1, 5)
    with visitors(queue, 10, 20, 30) as (first, second, third):
        assert begun(first[1])
        first[0].seconds_left = 4.0
        assert next(second[1]).seconds == 4
        assert next(third[1]).seconds == 24


@pytest.mark.slow
def test_an_unknown_wait_is_told_as_such_until_films_have_been_made() -> None:
    queue = JobQueue(1, 5)
    with visitors(queue, None, SHORT) as (unknown, waiting):
        assert begun(unknown[1])
        assert next(waiting[1]).seconds is None
        queue.took(10)
        queue.took(30)
        assert next(waiting[1]).seconds == 20


def test_many_threads_never_exceed_the_places_and_all_get_one() -> None:
    queue, at_work, most, hurry = JobQueue(3, 100), list[int](), list[int](), random.Random(0)

    def visit(seconds: float | None, patience: int) -> None:
        with queue.slot() as slot:
            for turn, _ in enumerate(queue.wait(slot, lambda: seconds)):
                if turn == patience:
                    return  # left while waiting
            at_work.append(id(slot))
            most.append(len(at_work))
            time.sleep(hurry.random() / 100)
            at_work.remove(id(slot))

    kinds = [hurry.choice([(SHORT, 99), (LONG, 99), (None, 99), (SHORT, 0)]) for _ in range(60)]
    with ThreadPoolExecutor(len(kinds)) as threads:
        list(threads.map(visit, *zip(*kinds, strict=True)))
    assert max(most) <= 3
    assert queue.status() == {"running": 0, "waiting": 0}


def test_who_fails_frees_his_place_and_harms_nobody_else() -> None:
    queue = JobQueue(1, 2)

    def fail() -> float:
        raise ValueError("photo.jpg is no longer here.")

    with visitors(queue, SHORT, SHORT) as (first, second):
        assert begun(first[1])
        with pytest.raises(ValueError, match="no longer here"), visitors(queue, fail) as ((_, told, _),):
            next(told)
        assert next(second[1]).position == 1
        first[2]()
        assert begun(second[1])


def test_who_has_no_film_in_the_making_comes_first_and_nobody_exceeds_his_share() -> None:
    queue = JobQueue(2, 4, share=2)
    with ExitStack() as line:
        come = [line.enter_context(queue.slot(owner)) for owner in ("a", "a", "b", "", "", "")]
        with pytest.raises(QueueFull, match="2 films from your address are being made or wait already"):
            line.enter_context(queue.slot("a"))
        told = [queue.wait(slot, lambda: SHORT) for slot in come]
        assert begun(told[0])
        come[1].ready = come[2].ready = True
        assert begun(told[2])  # before the second film of "a"
        assert [next(each).position for each in told[3:]] == [1, 2, 3] and next(told[1]).position == 4
