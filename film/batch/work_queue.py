"""Whose turn it is: films ask for somebody to make their chunks, and those who make them take the next.

Nothing is read from a film's source before there is somebody for it, so frames never pile up. Films each run in a
thread of their own, and so do those who make chunks; films that began first are served first.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from film.media.video_segments import Segment
from film.rendering.renderer import Chunk, Encoding, Made

HEARTBEAT = 0.5  # seconds; a film can be stopped that often


@dataclass(frozen=True)
class Result:
    """A chunk was made: its segments lie in the film's folder."""

    segments: Sequence[Segment]
    made: Made


class Production:
    """A film in the making, as those see it who make its chunks."""

    def __init__(self, folder: Path, encoding: Encoding, order: int) -> None:
        self.folder = folder
        self.encoding = encoding
        self.order = order
        self._news: queue.Queue[Future[Chunk | None] | Result | Exception] = queue.Queue()
        self._lock = threading.Lock()
        self._closed = False

    def chunk(self) -> Chunk | None:
        """Its next chunk, which it reads now; None if there is no more."""
        asked: Future[Chunk | None] = Future()
        with self._lock:
            if self._closed:
                return None
            self._news.put(asked)
        return asked.result()

    def deliver(self, result: Callable[[], Result]) -> None:
        """Hand it a result, which is written to its folder by this call; or not at all, if the film was given up."""
        with self._lock:
            if not self._closed:
                self._news.put(result())

    def fail(self, error: Exception) -> None:
        with self._lock:
            self._news.put(error)

    def next(self) -> Future[Chunk | None] | Result | Exception | None:
        """What comes next: somebody who asks for a chunk, a result, an error; None when nothing did for a while."""
        with contextlib.suppress(queue.Empty):
            return self._news.get(timeout=HEARTBEAT)
        return None

    def close(self) -> None:
        """Give it up, or tell that it is complete: nothing is written to its folder after this."""
        with self._lock:
            self._closed = True
            while not self._news.empty():
                if isinstance(news := self._news.get_nowait(), Future):
                    news.set_result(None)


@dataclass
class Task:
    """A chunk that somebody has taken."""

    film: Production
    chunk: Chunk
    tries: int = 0  # that came to nothing


# What stands in the line: the lowest is served first; the second number tells equals apart.
Ask: TypeAlias = "tuple[int, int, Production | Task | None]"


class WorkQueue:
    """The line in which films wait for those who make their chunks."""

    def __init__(self) -> None:
        self._line: queue.PriorityQueue[Ask] = queue.PriorityQueue()
        self._count = itertools.count()
        self._lock = threading.Lock()
        self._idle = 0  # who waits in `get`

    def make(
        self, chunks: Iterable[Chunk | Segment], folder: Path, encoding: Encoding, check: Callable[[], None]
    ) -> Generator[Made | Segment]:
        """`Renderer.make` for one film. Segments come as they are finished, not in order.

        At least twice a second something is told, were it that no frame is there, so that the film can be stopped;
        `check` is called then, and may raise.
        """
        film = Production(folder, encoding, next(self._count))
        waiting = iter(chunks)
        asks, away = True, 0  # whether it stands in the line; chunks that are being made
        try:
            self._enter(film.order, film)
            while asks or away:
                match film.next():
                    case None:
                        check()
                        yield Made(0, 0)
                    case Exception() as error:
                        raise error
                    case Result() as result:
                        away -= 1
                        yield from result.segments
                        yield result.made
                    case Future() as asked:
                        chunk = None
                        try:
                            for item in waiting:
                                if isinstance(item, Chunk):
                                    chunk = item
                                    break
                                yield item
                        finally:
                            asked.set_result(chunk)
                        asks = chunk is not None
                        if asks:
                            away += 1
                            self._enter(film.order, film)
                        del chunk, asked  # so that its frames can be freed
        finally:
            film.close()

    def get(self) -> Task | None:
        """The next chunk, when it comes; None to go home."""
        while True:
            with self._lock:
                self._idle += 1
            _, _, ask = self._line.get()
            with self._lock:
                self._idle -= 1
            if isinstance(ask, Production):
                if chunk := ask.chunk():
                    return Task(ask, chunk)
                continue
            if ask is None:
                self.close()  # for the next of them
            return ask

    def requeue(self, task: Task) -> None:
        """Let somebody else make it, before anything new."""
        self._enter(-1, task)

    def room(self) -> bool:
        """Whether somebody waits for a film that there is not yet."""
        with self._lock:
            return self._idle > self._line.qsize()

    def close(self) -> None:
        """Let all who take go home."""
        self._enter(-2, None)

    def _enter(self, order: int, what: Production | Task | None) -> None:
        self._line.put((order, next(self._count), what))
