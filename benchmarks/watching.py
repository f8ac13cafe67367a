"""A server seen from outside while it is measured: its memory, its answers, its log."""

from __future__ import annotations

import json
import threading
import time

import httpx

from tests.support.serving import Server
from tests.support.watching import family, resident

LOOK_SECONDS = 0.5


def log_lines(server: Server) -> list[tuple[str, str]]:
    """(level, line) of its log; "stray" is what no logger wrote, such as the last words of a crash."""
    return [(level(line), line) for line in server.log().splitlines()]


def level(line: str) -> str:
    try:
        return json.loads(line)["level"]
    except (ValueError, TypeError, KeyError):
        return "stray"


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
