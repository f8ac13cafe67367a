"""Visitors' files: what each is known by, and who may open one now: a few at a time, a line of bounded length."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from film.support.fingerprint import fingerprint

AT_ONCE = 2  # files of a kind that are opened at the same time: bounds the memory


def status(path: str | os.PathLike[str]) -> os.stat_result:
    """`os.stat` of an upload. ValueError, in a sentence, if it has expired."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        raise ValueError(f"{Path(path).name} is no longer here: uploads expire. Choose it again.") from None


def version(path: str | os.PathLike[str]) -> tuple[str, str]:
    """An upload as it is now, to be remembered by: its path and a hash of its content. ValueError as above."""
    status(path)
    return os.fspath(path), fingerprint(path)


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
