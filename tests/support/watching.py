"""A process seen from outside: its children, its memory, and how a server that it is answers meanwhile."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import threading
import time
from pathlib import Path

import httpx

LOOK_SECONDS = 0.5


def children(process: int) -> list[int]:
    """Started by whichever of its threads."""
    found: list[int] = []
    for listed in glob.glob(f"/proc/{process}/task/*/children"):
        with contextlib.suppress(OSError):  # the thread has just ended
            found += map(int, Path(listed).read_text().split())
    return found


def family(process: int) -> list[int]:
    """A process and all that it, and they, have started. A child that is not yet the program it is to become is left
    out: until then its memory is its parent's, and would count twice."""
    own = command_line(process)
    below = [family(child) for child in children(process) if command_line(child) != own]
    return [process, *itertools.chain.from_iterable(below)]


def command_line(process: int) -> bytes:
    """Empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def resident(process: int) -> int:
    """Bytes of a process that are in memory, 0 if it has ended; what it shares with others counts for each."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class Watch(threading.Thread):
    """Looks at the server at `url` from entering the context to leaving it, even when the server is gone by then."""

    def __init__(self, url: str, process: int) -> None:
        super().__init__(daemon=True)
        self._url, self._process = url, process
        self._done = threading.Event()
        self.peak = 0  # bytes, of all its processes together
        self.server_at_peak = 0  # of these the server's own, beside what converts, decodes and encodes
        self.server_peak = 0
        self.health: list[float] = []  # seconds until each answer of /health
        self.unanswered = 0  # how often /health gave none
        self.most = {"running": 0, "waiting": 0}

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            parts = {process: resident(process) for process in family(self._process)}
            if sum(parts.values()) > self.peak:
                self.peak, self.server_at_peak = sum(parts.values()), parts[self._process]
            self.server_peak = max(self.server_peak, parts[self._process])
            started = time.monotonic()
            try:
                answer = httpx.get(f"{self._url}/health", timeout=60).json()
                self.most = {name: max(most, answer[name]) for name, most in self.most.items()}
            except (httpx.HTTPError, ValueError, KeyError):
                self.unanswered += 1
            else:
                self.health.append(time.monotonic() - started)
