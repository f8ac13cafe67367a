"""Generators side by side, each in a thread."""

import contextlib
import threading
import time
from collections.abc import Generator

import pytest

from film.batch import concurrent


def test_generators_run_side_by_side_as_far_as_there_is_room() -> None:
    open_now: set[int] = set()
    most = 0

    def counting(n: int) -> Generator[tuple[int, int]]:
        nonlocal most
        open_now.add(n)
        most = max(most, len(open_now))
        try:
            for k in range(20):
                time.sleep(0.002)
                yield n, k
        finally:
            open_now.remove(n)

    room = threading.Event()
    items = list(concurrent.run(map(counting, range(4)), room.is_set, lambda item: item[1] == 3))
    assert items == [(n, k) for n in range(4) for k in range(20)] and most == 1
    room.set()
    items = list(concurrent.run(map(counting, range(4)), room.is_set, lambda item: item[1] == 3))
    assert sorted(items) == [(n, k) for n in range(4) for k in range(20)] and most > 1
    with contextlib.closing(concurrent.run(map(counting, range(4)), room.is_set, lambda item: True)) as some:
        next(some)
    assert not open_now


def test_an_exception_of_one_ends_all() -> None:
    closed = []

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    def failing() -> Generator[int]:
        yield 2
        raise KeyError("a defect")

    with pytest.raises(KeyError, match="a defect"):
        list(concurrent.run(iter([endless(), failing()]), lambda: True, lambda item: True))
    assert closed == [True]
