"""Run several generators at once, each in its own thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

POLL = 0.1  # seconds between two looks for room
MOST = 1024  # generators that run at once


def run(
    generators: Iterator[Generator[Item]], room: Callable[[], bool], settled: Callable[[Item], bool]
) -> Generator[Item]:
    """Yield what the generators yield, as it comes; items should be small, for nothing holds the generators back.

    The first starts at once. Another starts when there is `room` for it and the one started last has ended or yielded
    an item by which it is `settled`. An exception of one generator ends all of them; so does closing this one. Each is
    closed in its own thread when it yields next.
    """
    items: queue.SimpleQueue[Item] = queue.SimpleQueue()
    stop = threading.Event()

    def feed(generator: Generator[Item], begun: threading.Event) -> None:
        try:
            with contextlib.closing(generator):
                for item in generator:
                    items.put(item)
                    if settled(item):
                        begun.set()
                    if stop.is_set():
                        return
        finally:
            begun.set()

    running: set[Future[None]] = set()
    newest = threading.Event()
    newest.set()
    following = next(generators, None)
    with ThreadPoolExecutor(MOST) as pool:
        try:
            while running or following or not items.empty():
                if following and newest.is_set() and (not running or room()):
                    newest = threading.Event()
                    running.add(pool.submit(feed, following, newest))
                    following = next(generators, None)
                with contextlib.suppress(queue.Empty):
                    yield items.get(timeout=POLL)
                for ended in [future for future in running if future.done()]:
                    running.remove(ended)
                    ended.result()
        finally:
            stop.set()
