"""A running server that one stranger tries to close: with files, orders, names, connections, leftovers, a full disk."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.support.attacks import API, REST, Attacker, file, foreign_requests
from tests.support.serving import ROOT, TIMEOUT, Server, photos, serve, wait_until

pytestmark = pytest.mark.server

LONG = 10_000  # frames of a film that no machine finishes before the test is at its end
PHOTO = (ROOT / "examples" / "boats" / "first.jpg").read_bytes()
PROXY = {"FILM_PROXIES": "127.0.0.1"}
get, post = partial(httpx.get, timeout=TIMEOUT), partial(httpx.post, timeout=TIMEOUT)
EXAMPLES = [str(path) for path in sorted((ROOT / "examples").glob("*/*.jpg"))[:2]]


def visitor(address: str) -> dict[str, str]:
    """The headers by which a proxy tells who asks."""
    return {"x-forwarded-for": address}


def upload(server: Server, files: int, size: int = 12, data: bytes = b"", **headers: str) -> httpx.Response:
    """Files of random bytes, for Gradio keeps what it has already once; or of these bytes."""
    given = [("files", (f"{number}.jpg", data or os.urandom(size))) for number in range(files)]
    return post(f"{server.url}{API}/upload", files=given, headers=headers)


def order(server: Server, first: str, last: str, address: str, count: int = 3) -> httpx.Response:
    format, quality, play, _, *rest = REST
    data = [file(first), file(last), 1, 15, "film-lite", "CPU", 512, format, quality, play, count, *rest]
    url = f"{server.url}{API}/call/interpolate"
    return post(url, json={"data": data}, headers=visitor(address))


def film(server: Server, first: str, last: str, address: str) -> str:
    """The events of a small film of two files that are there."""
    asked = order(server, first, last, address)
    assert asked.status_code == 200, asked.text
    event = f"{server.url}{API}/call/interpolate/{asked.json()['event_id']}"
    return get(event, headers=visitor(address)).text


def by_tool(server: Server, address: str) -> str:
    """What a tool answers who asks it for a small film."""
    path = upload(server, 1, data=PHOTO, **visitor(address)).json()[0]
    arguments = {"first": f"{API}/file={path}", "last": f"{API}/file={path}", "depth": 1, "longest_side": 512}

    async def call() -> str:
        url, headers = f"{server.url}{API}/mcp/", visitor(address)
        async with streamablehttp_client(url, headers) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return str(await session.call_tool("interpolate", arguments))

    return asyncio.run(asyncio.wait_for(call(), TIMEOUT))


def example(server: Server) -> str:
    """The path of an example, as the page knows it."""
    return str(next(server.temporary.glob("film-page-*/examples")) / Path(EXAMPLES[0]).relative_to(ROOT / "examples"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a proxy, with little disk."""
    shares = {"FILM_FILES_PER_MINUTE": "20", "FILM_MAX_PHOTOS": "15", "FILM_DISK_GB": "0.06"}
    with serve(tmp_path_factory.mktemp("shared"), **PROXY, **shares) as server:
        yield server


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a proxy, with small shares of its line. Its disk has room for the longest films."""
    shares = {"FILM_JOBS_PER_MINUTE": "10", "FILM_MAX_PER_ADDRESS": "2"}
    with serve(tmp_path_factory.mktemp("line"), **PROXY, **shares) as server:
        yield server


def test_many_small_files_fill_no_disk(shared: Server) -> None:
    assert upload(shared, 16, **visitor("192.0.2.1")).status_code == 413  # more than a page sends at once
    assert [upload(shared, 15, **visitor("192.0.2.2")).status_code for _ in range(2)] == [200, 429]
    assert upload(shared, 2, **visitor("192.0.2.3")).status_code == 200
    assert "event: complete" in film(shared, *[example(shared)] * 2, "192.0.2.4")


def test_large_files_of_one_address_leave_room_for_others(shared: Server) -> None:
    sent = [upload(shared, 1, 5 * 2**20, **visitor("192.0.2.10")).status_code for _ in range(5)]
    assert sent[0] == 200 and sent[-1] == 507  # a quarter of the disk
    for address in ("192.0.2.11", "192.0.2.12", "192.0.2.13"):  # many of them leave the films' reserve
        for _ in range(4):
            upload(shared, 1, 5 * 2**20, **visitor(address))
    assert "event: complete" in film(shared, *[example(shared)] * 2, "192.0.2.14")


def test_orders_that_nobody_listens_to_hold_no_place(line: Server) -> None:
    photo = example(line)
    statuses = [order(line, photo, photo, "192.0.2.20", count=LONG).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert get(f"{line.url}/health").json()["waiting"] == 0
    assert "event: complete" in film(line, photo, photo, "192.0.2.21")


def test_one_address_has_its_share_of_the_line(line: Server) -> None:
    photo = example(line)
    events = [order(line, photo, photo, "192.0.2.30", count=LONG).json()["event_id"] for _ in range(2)]
    streams = [httpx.stream("GET", f"{line.url}{API}/call/interpolate/{event}", timeout=TIMEOUT) for event in events]
    open_streams = [stream.__enter__() for stream in streams]
    try:
        wait_until(lambda: sum(get(f"{line.url}/health").json()[k] for k in ("running", "waiting")) == 2, "both")
        assert "that is the share of one address" in film(line, photo, photo, "192.0.2.30")
        for address, told in (("192.0.2.30", "that is the share of one address"), ("192.0.2.32", "film.mp4")):
            assert told in by_tool(line, address)  # a caller of a tool has a share of his own
        assert "event: complete" in film(line, photo, photo, "192.0.2.31")
    finally:
        for stream, opened in zip(streams, open_streams, strict=True):
            opened.close()
            stream.__exit__(None, None, None)
    wait_until(lambda: get(f"{line.url}/health").json()["running"] == 0, "the end of all computing")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as somebody runs it at home."""
    with serve(tmp_path_factory.mktemp("home"), FILM_REQUESTS_PER_MINUTE="400") as server:
        yield server


def test_other_names_and_other_pages_are_refused(home: Server) -> None:
    own = urlsplit(home.url).netloc
    attacker = Attacker(home.url)
    answers = [attacker.request(method, path, headers=headers) for method, path, headers in foreign_requests(own)]
    assert [answer for answer in answers if answer.status not in (400, 403, 421)] == []
    foreign = get(home.url, headers={"host": "evil.example", "origin": "http://evil.example"})
    assert foreign.status_code == 421 and "FILM_ALLOWED_HOSTS" in foreign.text
    assert "access-control-allow-origin" not in foreign.headers
    assert upload(home, 1, origin="http://evil.example").status_code == 403
    preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    assert httpx.options(f"{home.url}{API}/upload", headers=preflight, timeout=TIMEOUT).status_code == 403
    assert upload(home, 1).status_code == upload(home, 1, origin=home.url).status_code == 200
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert get(f"{home.url}/health", headers={"host": f"{host}:{urlsplit(home.url).port}"}).status_code == 200


def test_a_strangers_headers_are_not_believed_and_answers_have_safe_ones(home: Server) -> None:
    answer = get(f"{home.url}/config", headers={"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"})
    assert answer.status_code == 200 and answer.json()["root"] == home.url and "evil.example" not in answer.text
    headers = get(home.url).headers
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
    assert headers["content-security-policy"] == "frame-ancestors 'self'"


def test_unknown_sessions_and_events_cost_one_line(home: Server) -> None:
    before = home.log()
    for number in range(10):
        assert get(f"{home.url}{API}/queue/data?session_hash=none{number}").status_code == 404
        assert get(f"{home.url}{API}/call/interpolate/none{number}").status_code == 404
        body = {"data": [], "fn_index": 9000 + number, "session_hash": "x"}
        assert post(f"{home.url}{API}/queue/join", json=body).status_code == 404
    said = home.log()[len(before) :]
    assert "Traceback" not in said and len(said.splitlines()) <= 30
    upload(home, 1)
    assert "0.jpg" not in home.log()
    with httpx.Client(timeout=TIMEOUT) as client:  # a minute may end on the way, but not two
        assert any(client.get(f"{home.url}/health").status_code == 429 for _ in range(801))


def test_what_lies_there_delays_neither_the_start_nor_the_end(tmp_path: Path) -> None:
    left = tmp_path / "tmp" / "film-page-left"
    for number in range(5_000):
        (left / f"{number}").mkdir(parents=True)
    left.with_name("film-page-left.lock").touch()
    with serve(tmp_path) as server:
        wait_until(lambda: not left.exists(), "what was left to be deleted")
        photo = example(server)
        event = order(server, photo, photo, "", LONG).json()["event_id"]
        with httpx.stream("GET", f"{server.url}{API}/call/interpolate/{event}", timeout=TIMEOUT) as events:
            next(line for line in events.iter_lines() if '"done"' in line)
            for number in range(5_000):
                (server.temporary / f"{photo.split('/examples')[0]}/{number}").mkdir()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(TIMEOUT) == 0
        assert "terminate called" not in server.log()
        assert not (server.temporary / "gradio").exists()  # where Gradio would write by itself
        assert [line for level, line in server.lines() if level == "stray"] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A temporary folder on a disk of its own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_called_one(small_disk: Path, tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        attacker = Attacker(server.url)
        pair = photos(tmp_path, 256, 256)
        first, last = (attacker.photo(path.name, path.read_bytes()) for path in pair)
        full = small_disk / "full"
        with full.open("wb") as file, pytest.raises(OSError):
            while True:
                file.write(bytes(2**16))
                file.flush()
        answer = attacker.upload("other.jpg", pair[0].read_bytes() + bytes(2**17))
        assert answer.status == 507 and "disk is full" in answer.text
        made = attacker.order(first, last, 3, 15, "film-lite", "CPU", 512, case="full")
        assert "disk is full" in made.refusal, made
        assert os.strerror(28) in server.log()
        full.unlink()
        again: dict[str, Any] = attacker.photo("again.jpg", pair[0].read_bytes())
        assert attacker.order(again, last, 1, 15, "film-lite", "CPU", 512, case="again").made
        assert all(json.loads(line) for line in server.log().splitlines())
