"""The demo over HTTP: who waits, who leaves, and what is left behind."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession

from tests.support.attacks import API, Attacker, pair_order
from tests.support.programs import called, connected
from tests.support.serving import ENDLESS, ROOT, TIMEOUT, Server, long_pair, photos, serve, wait_until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("server"), FILM_MAX_UPLOAD_MB="2", FILM_MAX_VIDEO_MB="2") as server:
        yield server
    assert list(server.temporary.glob("film-*")) == []  # ended by SIGTERM, it left no upload and no film


def cancel(server: Server, first: Path, last: Path) -> None:
    with connected(server.url) as client:
        photos = {"first": handle_file(first), "last": handle_file(last)}
        job = client.submit(**photos, count=ENDLESS, api_name="/interpolate")
        wait_until(lambda: bool(job.outputs()), "the first frame")
        job.cancel()


def hang_up(server: Server, first: Path, last: Path) -> None:
    attacker = Attacker(server.url)
    order = pair_order(*attacker.photos(first, last), count=ENDLESS, longest_side=1024)
    call = f"{API}/call/interpolate"
    event = attacker.post(call, {"data": order}).event
    with httpx.stream("GET", f"{server.url}{call}/{event}", timeout=TIMEOUT) as events:
        assert next(line for line in events.iter_lines() if "done" in line)


def leave_a_tool(server: Server, first: Path, last: Path) -> None:
    pair = [f"{API}/file={photo['path']}" for photo in Attacker(server.url).photos(first, last)]
    job_request = {"first": pair[0], "last": pair[1], "count": ENDLESS}

    async def leave(session: ClientSession) -> None:
        begun = asyncio.Event()
        progress = AsyncMock(side_effect=lambda *_: begun.set())
        work = asyncio.create_task(session.call_tool("interpolate", job_request, progress_callback=progress))
        await begun.wait()
        work.cancel()

    called(server.url, leave)


@pytest.mark.parametrize("leave", [cancel, hang_up, leave_a_tool])
def test_who_leaves_stops_the_computing(server: Server, tmp_path: Path, leave: Any) -> None:
    with server.stopping():
        leave(server, *long_pair(tmp_path))


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one place and room for one visitor to wait, whose place is taken by a film that takes long."""
    folder = tmp_path_factory.mktemp("busy")
    limits = {"FILM_MAX_RUNNING": "1", "FILM_MAX_WAITING": "1", "FILM_KEEP_MINUTES": "0.2"}
    with serve(folder, **limits) as server:
        with connected(server.url) as client:
            first, last = map(handle_file, long_pair(folder))
            job = client.submit(first=first, last=last, count=ENDLESS, api_name="/interpolate")
            wait_until(lambda: bool(job.outputs()), "the first frame")
            yield server
            job.cancel()
            wait_until(lambda: server.health()["running"] == 0, "the end of all computing")
        wait_until(lambda: not any(map(Path.is_file, server.temporary.glob("film-page-*/**/*"))), "files to expire")


def test_who_waits_is_told_and_can_leave(busy: Server, tmp_path: Path) -> None:
    assert busy.health().items() >= {"status": "ok", "running": 1, "waiting": 0, "model": "film-lite"}.items()
    job_request = dict(zip(("first", "last"), map(handle_file, photos(tmp_path, 64, 64)), strict=True)) | {"depth": 1}
    with connected(busy.url) as client:
        waiting = client.submit(**job_request, api_name="/interpolate")
        wait_until(lambda: bool(waiting.outputs()), "news of the line")
        assert waiting.outputs()[0][1]["place"] == 1
        assert busy.health()["waiting"] == 1
        with pytest.raises(AppError, match="Busy: 1 film is being made here and 1 visitor waits"):
            client.predict(**job_request, api_name="/interpolate")
        waiting.cancel()
        wait_until(lambda: busy.health()["waiting"] == 0, "the place in the line to be free")
        assert busy.health()["running"] == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak memory is read from Linux's /proc")
def test_importing_the_page_is_light() -> None:
    code = "import sys, app; app.build_app(); print('tensorflow' in sys.modules, open('/proc/self/status').read())"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("False")
    peak = re.search(r"VmHWM:\s+(\d+) kB", printed)
    assert peak and int(peak[1]) < 600 * 1024
