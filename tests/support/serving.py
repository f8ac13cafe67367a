"""The real server for tests: `python app.py` on a free port, with everything temporary in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import imageio.v3 as imageio
import numpy as np
import pytest

from tests.conftest import moved, photo

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 300  # seconds until something that must happen counts as never happening
# Every visitor of a test comes from one address; tests of the shares set their own.
GENEROUS = {
    "FILM_MAX_PER_ADDRESS": "1000",
    "FILM_JOBS_PER_MINUTE": "100000",
    "FILM_FILES_PER_MINUTE": "100000",
    "FILM_REQUESTS_PER_MINUTE": "1000000",
}
ENDLESS = 5000  # frames of a film of a `long_pair` that no machine finishes before a test ends
LOSSY = 0.03  # mean difference that JPEG and H.264 may leave, of 1


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]
    temporary: Path  # TMPDIR of the server
    output: Path  # what it printed

    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def scratch(self) -> list[Path]:
        """Folders of films in the making."""
        return list(self.temporary.glob("film-page-*/scratch/film-*"))

    def health(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/health", timeout=TIMEOUT).json()

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """What stops a film within the context, so that its computing ends and its folder is removed."""
        stopped = self.log().count("stopped after frame")
        yield
        wait_until(lambda: self.log().count("stopped after frame") > stopped, "the end of the computing")
        wait_until(lambda: self.scratch() == [], "the folder to be removed")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"waited {TIMEOUT} s for {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serve(folder: Path, **settings: str) -> Iterator[Server]:
    """A running server; `settings` are environment variables."""
    port, temporary, output = free_port(), folder / "tmp", folder / "log.txt"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {"FILM_PORT": str(port), "TMPDIR": str(temporary)} | GENEROUS | settings
    with output.open("wb") as log:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    server = Server(f"http://127.0.0.1:{port}", process, temporary, output)
    try:
        wait_until(lambda: process.poll() is not None or answers(server.url), "the server")
        assert process.poll() is None, server.log()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        finally:
            process.kill()  # one that does not end is not left behind


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def served(scope: Any = "module", **settings: str) -> Any:
    """A fixture: a running server with these settings."""

    @pytest.fixture(scope=scope)
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with serve(tmp_path_factory.mktemp("server"), **settings) as server:
            yield server

    return server


def photos(folder: Path, height: int, width: int, seed: int = 0) -> tuple[Path, Path]:
    """Two JPEG photos of a scene that moved a little."""
    first, last = moved(height, width, seed)
    return photo(folder / f"first-{seed}.jpg", first), photo(folder / f"last-{seed}.jpg", last)


def long_pair(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Photos so large that a film of 257 frames outlasts what a test does meanwhile, on a fast machine, too."""
    return photos(folder, 768, 1024, seed)


def difference(frame: np.ndarray, image: Path) -> float:
    """Mean absolute difference, of 1."""
    return float(np.abs(frame / 255.0 - imageio.imread(image) / 255.0).mean())
