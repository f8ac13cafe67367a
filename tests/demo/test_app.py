"""The demo over HTTP: who waits, who leaves, and what is left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.support.attacks import API, REST, Attacker
from tests.support.serving import ENDLESS, ROOT, TIMEOUT, Server, long_pair, photos, serve, wait_until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("server"), FILM_MAX_UPLOAD_MB="2", FILM_MAX_VIDEO_MB="2") as server:
        yield server
    assert list(server.temporary.glob("film-*")) == []  # ended by SIGTERM, it left no upload and no film


def connected(server: Server) -> Client:
    # Its own patience, 5 s, is little where all cores compute.
    return Client(server.url, verbose=False, httpx_kwargs={"timeout": TIMEOUT})


def cancel(server: Server, first: Path, last: Path) -> None:
    client = connected(server)
    photos = {"first": handle_file(first), "last": handle_file(last)}
    job = client.submit(**photos, count=ENDLESS, api_name="/interpolate")
    wait_until(lambda: bool(job.outputs()), "the first frame")
    job.cancel()
    client.close()


def hang_up(server: Server, first: Path, last: Path) -> None:
    attacker = Attacker(server.url)
    pair = [attacker.photo(path.name, path.read_bytes()) for path in (first, last)]
    format, quality, play, _, *rest = REST
    job_request = {"data": [*pair, 1, 15, "film-lite", "CPU", 1024, format, quality, play, ENDLESS, *rest]}
    event = httpx.post(f"{server.url}{API}/call/interpolate", json=job_request, timeout=TIMEOUT).json()["event_id"]
    with httpx.stream("GET", f"{server.url}{API}/call/interpolate/{event}", timeout=TIMEOUT) as events:
        assert next(line for line in events.iter_lines() if "done" in line)


def leave_a_tool(server: Server, first: Path, last: Path) -> None:
    attacker = Attacker(server.url)
    pair = [f"{API}/file={attacker.photo(path.name, path.read_bytes())['path']}" for path in (first, last)]
    job_request = {"first": pair[0], "last": pair[1], "count": ENDLESS}

    async def leave() -> None:
        begun = asyncio.Event()

        async def progress(*_: Any) -> None:
            begun.set()

        async with (
            streamablehttp_client(f"{server.url}{API}/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            work = asyncio.create_task(session.call_tool("interpolate", job_request, progress_callback=progress))
            await begun.wait()
            work.cancel()

    asyncio.run(asyncio.wait_for(leave(), TIMEOUT))


@pytest.mark.parametrize("leave", [cancel, hang_up, leave_a_tool])
def test_who_leaves_stops_the_computing(
    server: Server, tmp_path: Path, leave: Callable[[Server, Path, Path], None]
) -> None:
    stopped = server.log().count("stopped after frame")
    leave(server, *long_pair(tmp_path))
    wait_until(lambda: server.log().count("stopped after frame") > stopped, "the end of the computing")
    wait_until(lambda: server.scratch() == [], "the folder to be removed")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one place and room for one visitor to wait, whose place is taken by a film that takes long."""
    folder = tmp_path_factory.mktemp("busy")
    limits = {"FILM_MAX_RUNNING": "1", "FILM_MAX_WAITING": "1", "FILM_KEEP_MINUTES": "0.2"}
    with serve(folder, **limits) as server:
        client = connected(server)
        first, last = map(handle_file, long_pair(folder))
        job = client.submit(first=first, last=last, count=ENDLESS, api_name="/interpolate")
        wait_until(lambda: bool(job.outputs()), "the first frame")
        yield server
        job.cancel()
        wait_until(lambda: health(server)["running"] == 0, "the end of all computing")
        client.close()
        wait_until(lambda: stored(server) == [], "uploads and films to expire")


def health(server: Server) -> dict[str, Any]:
    return httpx.get(f"{server.url}/health", timeout=TIMEOUT).json()


def stored(server: Server) -> list[Path]:
    """What visitors left on the disk."""
    return [path for path in server.temporary.glob("film-page-*/**/*") if path.is_file()]


def test_health_answers_while_a_film_is_made(busy: Server) -> None:
    assert health(busy).items() >= {"status": "ok", "running": 1, "waiting": 0, "model": "film-lite"}.items()


def test_who_waits_is_told_and_can_leave(busy: Server, tmp_path: Path) -> None:
    client = connected(busy)
    job_request = dict(zip(("first", "last"), map(handle_file, photos(tmp_path, 64, 64)), strict=True)) | {"depth": 1}
    waiting = client.submit(**job_request, api_name="/interpolate")
    wait_until(lambda: bool(waiting.outputs()), "news of the line")
    assert waiting.outputs()[0][1]["place"] == 1
    assert health(busy)["waiting"] == 1
    with pytest.raises(AppError, match="Busy: 1 film is being made here and 1 visitor waits"):
        client.predict(**job_request, api_name="/interpolate")
    waiting.cancel()
    wait_until(lambda: health(busy)["waiting"] == 0, "the place in the line to be free")
    assert health(busy)["running"] == 1
    client.close()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak memory is read from Linux's /proc")
def test_importing_the_page_is_light() -> None:
    code = (
        "import re, sys, app; app.build_app(); print('tensorflow' in sys.modules,"
        " re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tensorflow, kilobytes = printed.split()
    assert tensorflow == "False"
    assert int(kilobytes) < 600 * 1024
