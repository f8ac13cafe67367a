"""Who may open a stranger's file now: a few at a time, and a line of bounded length before them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

AT_ONCE = 2  # files of a kind that are opened at the same time: bounds the memory


class TooMany(RuntimeError):
    """More files are to be opened than anybody would wait for."""


class OpenSlots:
    """Where files of one kind are opened; up to `queue` requests may wait for that. Shared by threads."""

    def __init__(self, kind: str, queue: int) -> None:
        self._kind = kind
        self._places = threading.Semaphore(AT_ONCE)
        self._line = threading.Semaphore(AT_ONCE + queue)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """One's turn for as long as the context, once it has come. TooMany if the line is full."""
        if not self._line.acquire(blocking=False):
            raise TooMany(f"Busy: many {self._kind} are being opened at this moment. Try again in a few seconds.")
        try:
            with self._places:
                yield
        finally:
            self._line.release()
