"""Run several generators at once, each in its own thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")

POLL = 0.1  # seconds between two looks for room
WAITING = 4  # items that wait to be taken; then the generators wait


def run(
    generators: Iterator[Generator[Item]], room: Callable[[], bool], settled: Callable[[Item], bool]
) -> Generator[Item]:
    """Yield what the generators yield, as it comes.

    The first starts at once. Another starts when there is `room` for it and the one started last has ended or yielded
    an item by which it is `settled`. An exception of one generator ends all of them; so does closing this one. Each is
    closed in its own thread when it yields next.
    """
    news: queue.Queue[tuple[threading.Thread, str, Any]] = queue.Queue(WAITING)
    stop = threading.Event()
    threads: set[threading.Thread] = set()
    newest: threading.Thread | None = None  # not settled yet
    following = next(generators, None)

    def offer(what: str, item: Any = None) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                news.put((threading.current_thread(), what, item), timeout=POLL)
                return

    def feed(generator: Generator[Item]) -> None:
        try:
            with contextlib.closing(generator):
                for item in generator:
                    offer("item", item)
                    del item  # free it once it is taken
                    if stop.is_set():
                        return
        except BaseException as error:  # of any kind: the consumer gets it
            offer("error", error)
        else:
            offer("end")

    try:
        while threads or following:
            if following and newest is None and (not threads or room()):
                newest = threading.Thread(target=feed, args=(following,), daemon=True)
                threads.add(newest)
                newest.start()
                following = next(generators, None)
            try:
                thread, what, item = news.get(timeout=POLL)
            except queue.Empty:
                continue
            if what == "error":
                raise item
            if what == "end":
                threads.remove(thread)
            if thread is newest and (what == "end" or settled(item)):
                newest = None
            if what == "item":
                yield item
                del item
    finally:
        stop.set()
        for thread in threads:
            thread.join()
