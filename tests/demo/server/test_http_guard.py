"""What passes the guard, told by an application behind it that writes down what reaches it."""

import asyncio
import base64
import itertools
import json
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from demo.server.bodies import PART_BYTES
from demo.server.http_guard import BODY_BYTES
from demo.server.storage import FILE_COST
from tests.support.gate import ORDER, SESSION, UPLOAD_BYTES, Gate

API = "/gradio_api"
UPLOAD, TOOL, JOIN = f"{API}/upload", f"{API}/mcp/", f"{API}/queue/join"
ONE = "data:image/png;base64,AAAA"


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


OPEN = f"""
    / /health /assets/a.js /?theme=dark&__theme=light {API}/info {API}/heartbeat/a1 {ORDER}/{SESSION}
    {API}/queue/data?session_hash={SESSION}
"""
CLOSED = f"""
    /?deep_link=x /monitoring /config/x {API}/proxy=http://127.0.0.1:1/ {API}/file/etc/passwd {API}/deep_link
    {ORDER}/other {ORDER}/x/../../upload {API}/queue/data?session_hash=other
"""
UNKNOWN = "component_server vibe-edit process_recording stream/x mcp/sse call/v2/a1".split()


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        *(("GET", address, 200) for address in OPEN.split()),
        *(("GET", address, 404) for address in CLOSED.split()),
        *(("POST", f"{API}/{name}", 404) for name in UNKNOWN),
        *(("HEAD", "/config", 200), ("GET", TOOL, 405)),
        *(("POST", "/", 404), ("PUT", UPLOAD, 404), ("DELETE", "/config", 404)),
    ],
)
def test_what_the_product_needs_passes_and_nothing_else(gate: Gate, method: str, address: str, status: int) -> None:
    path, _, query = address.partition("?")
    assert gate.ask(method, path, query=query)[0] == status
    assert [reached[:2] for reached in gate.reached] == ([(method, path)] if status == 200 else [])


def test_only_files_of_the_page_and_of_visitors_can_be_read(gate: Gate, tmp_path: Path) -> None:
    for own in (gate.own, gate.public):
        assert gate.ask("GET", f"{API}/file={own}")[0] == 200
    gate.reached.clear()
    (link := gate.own.with_name("link.jpg")).symlink_to(tmp_path / "secret.jpg")
    others = [tmp_path / "secret.jpg", link, gate.own.parent / "deeper" / "photo.jpg", gate.own.parent]
    others += [gate.storage.folder, gate.storage.folder / "tmpabc", gate.storage.scratch / "a.ts", gate.public.parent]
    odd = ["photo.jpg", "", "http://127.0.0.1:1/x.jpg", f"{gate.own}\0", f"{gate.own.parent}/../../secret.jpg"]
    for path in [*map(str, others), *odd]:
        assert gate.ask("GET", f"{API}/file={path}")[0] in (403, 404), path
        assert gate.order({"path": path, "meta": {"_type": "gradio.FileData"}}) == 403, path
    assert gate.reached == []


@pytest.mark.parametrize("path", ["/a" * 300_000, "/" + "a" * 5000, "/a" * 100])
def test_a_long_path_is_not_followed(gate: Gate, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Of each of its parts the disk is asked: of a million bytes for minutes, while nobody else is answered."""
    monkeypatch.setattr("os.path.realpath", lambda path: pytest.fail("followed"))
    assert gate.ask("GET", f"{API}/file={path}")[0] == 403
    assert gate.order({"path": path}) == 403


def test_an_order_names_its_own_photos(gate: Gate) -> None:
    order = {"data": [{"path": str(gate.own), "meta": {"_type": "gradio.FileData"}}, {"path": None}, 5, "film-lite"]}
    body = json.dumps(order).encode()
    assert gate.ask("POST", ORDER, body)[0] == 200
    assert gate.reached == [("POST", ORDER, body)]  # the body is there again


PATH = '{"path": "/etc/passwd"}'
NONE = '{"path": null}'
NO_JSON, FOREIGN = "The request is not JSON.", "Only photos that were uploaded"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        *((shape % PATH, 403, FOREIGN) for shape in ("%s", "[%s]", '{"a": [{"b": %s}]}', '{"path": %s}')),
        *((f'{{"path": {path}}}', 403, FOREIGN) for path in ("5", "true", '["/etc/passwd"]', '""')),
        *((body, 400, NO_JSON) for body in ("", "{", '{"data": [NaN]}', '{"data": [-Infinity]}', "[" * 100_000)),
        (b"\xff", 400, NO_JSON),
        (" " * (BODY_BYTES + 1), 413, "at most 1024 kB"),
        (f"[{','.join([NONE] * 401)}]", 413, "401 files"),
        ('{"session_hash": "%s"}' % ("x" * 101), 400, "name"),
        *((f'{{"fn_index": {index}}}', 404, "The page has no event") for index in (1, -1, '"x"', "[]")),
    ],
)
def test_orders_that_are_refused(gate: Gate, body: str | bytes, status: int, words: str) -> None:
    answer = gate.ask("POST", JOIN, body.encode() if isinstance(body, str) else body)
    assert answer[0] == status and words in answer[1]
    assert gate.reached == []


def test_bodies_have_a_length_and_uploads_a_limit(gate: Gate) -> None:
    for headers in ([], [(b"content-length", b"-1")], [(b"content-length", b"1"), (b"content-length", b"2")]):
        for path in (JOIN, UPLOAD, TOOL):
            assert gate.ask("POST", path, b"{}", headers=headers)[0] == 411
    assert gate.ask("POST", UPLOAD, bytes(UPLOAD_BYTES + 1))[0] == 413
    assert gate.reached == []
    assert gate.ask("POST", UPLOAD, bytes(UPLOAD_BYTES))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "times"),
    [
        ("GET", "/health", b"", 1500),
        ("GET", "/config", b"", 150),  # takes long to answer
        ("POST", f"{API}/cancel", b" " * (2**20 - 1) + b"1", 23),  # takes long to look through
        ("POST", f"{API}/cancel", json.dumps([{"path": None}] * 16_000).encode(), 0),
        ("POST", f"{API}/run/predict", b'{"session_hash": "{}"}', 1500 // 31),  # each time another page's state
    ],
)
@pytest.mark.slow
def test_an_address_takes_no_more_than_its_share_of_the_thread_that_answers_all(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: bytes, times: int
) -> None:
    monkeypatch.setattr("demo.server.http_guard.WAIT", 0)
    taken = [gate.ask(method, path, body.replace(b"{}", b"%d" % time))[0] for time in range(times + 1)]
    assert taken == [200] * times + [429]


@pytest.mark.anyio
async def test_an_address_listens_so_often_at_once(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.server.http_guard.LISTENERS", 2)
    over = asyncio.Event()

    async def listens(scope: Any, receive: Any, send: Any) -> None:
        await over.wait()
        await gate.behind(scope, receive, send)

    gate.guard._app = listens
    begun = [gate.asked("GET", f"{ORDER}/{SESSION}", b"") for _ in range(3)]
    await begun[2].task
    assert begun[2].answer[0] == 429
    over.set()
    await asyncio.wait([each.task for each in begun])
    assert [each.answer[0] for each in begun] == [200, 200, 429] and not gate.guard._listeners


def test_the_files_in_a_tools_call_are_uploads(tmp_path: Path) -> None:
    gate, large = Gate(tmp_path, ceiling=2**26, upload_bytes=2**24), bytes(2 * BODY_BYTES)
    used = gate.storage.used()
    data = f"data:image/png;base64,{base64.b64encode(large).decode()}"
    assert gate.ask("POST", TOOL, json.dumps({"first": data, "last": None}).encode())[0] == 200
    file = json.loads(gate.reached[0][2])["first"].removeprefix(f"{API}/file=")
    assert Path(file).read_bytes() == large and gate.storage.keeps(file)
    assert gate.storage.used() == used + len(large) + FILE_COST and gate.storage._rooms == []
    assert gate.ask("POST", TOOL, b'{"first": "%s"}' % bytes(BODY_BYTES).replace(b"\0", b"x"))[0] == 413
    assert gate.ask("POST", TOOL, f'{{"first": "{data}", "last": {PATH}}}'.encode())[0] == 403
    assert gate.ask("POST", TOOL, json.dumps({"photos": [ONE] * 101}).encode())[0] == 413
    assert len(list(gate.storage.folder.glob("*/file.png"))) == 1
    full = Gate(tmp_path / "full", ceiling=100)
    assert full.ask("POST", TOOL, json.dumps({"first": ONE}).encode())[0] == 507
    assert full.ask("POST", TOOL, b'{"first": "/gradio_api/file=x"}')[0] == 200


def test_the_room_for_an_upload_is_given_back(gate: Gate) -> None:
    for gate.fails in ("", "before", "after"):
        gate.ask("POST", UPLOAD, bytes(500))
        assert gate.storage._rooms == []


@pytest.mark.anyio
async def test_an_upload_takes_room_when_it_comes_and_not_when_it_is_announced(tmp_path: Path) -> None:
    gate = Gate(tmp_path, ceiling=16 * PART_BYTES, upload_bytes=4 * PART_BYTES)
    begun = [await gate.begin(UPLOAD, 4 * PART_BYTES) for _ in range(4)]
    assert [visitor.sent for visitor in begun] == [[]] * 4  # they are waited for
    begun.append(await gate.begin(UPLOAD, 4 * PART_BYTES, bytes(PART_BYTES)))
    assert [room.size for room in gate.storage._rooms] == [0, 0, 0, 0, 2 * PART_BYTES]
    begun.append(await gate.begin(UPLOAD, 4 * PART_BYTES, bytes(PART_BYTES)))
    assert begun[-1].answer[0] == 507  # its address has a quarter
    for visitor in begun:
        await visitor.leave()
    assert gate.storage._rooms == []


@pytest.mark.parametrize("path", [UPLOAD, ORDER, TOOL])
@pytest.mark.parametrize("parts", [[], [b"{"]])
@pytest.mark.anyio
async def test_a_silent_body_is_not_waited_for(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, path: str, parts: list[bytes]
) -> None:
    monkeypatch.setattr("demo.server.bodies.SILENCE_SECONDS", 0.01)
    monkeypatch.setattr("demo.server.bodies.SLOWEST", 0.01)
    visitor = await gate.begin(path, 10, *parts)
    await asyncio.wait_for(visitor.task, 60)
    assert visitor.answer == (408, '{"detail":"Nothing came of the request for 0.01 s; send it again."}')
    assert (b"connection", b"close") in visitor.sent[0]["headers"]
    assert gate.reached == [] and gate.storage._rooms == []


@pytest.mark.parametrize("path", [UPLOAD, ORDER])
@pytest.mark.anyio
async def test_a_body_that_trickles_is_not_waited_for(gate: Gate, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    clock = itertools.chain([0.0, 0.0, 20.0, 40.0], itertools.repeat(61.0))  # at the beginning, then at each part
    monkeypatch.setattr("demo.server.bodies.current_time", lambda: next(clock))
    visitor = await gate.begin(path, 100, b"{", b"}", b"}")
    await asyncio.wait_for(visitor.task, 60)
    assert visitor.answer == (408, '{"detail":"The request took more than 60 s; use a faster line for it."}')


@pytest.mark.parametrize("path", [UPLOAD, ORDER])
@pytest.mark.anyio
async def test_who_has_sent_everything_may_be_silent(gate: Gate, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """What comes after the body is that the client has left, and it may listen for hours before."""
    monkeypatch.setattr("demo.server.bodies.SILENCE_SECONDS", 0.01)
    left: list[str] = []

    async def listens(scope: Any, receive: Any, send: Any) -> None:
        await gate.behind(scope, receive, send)
        left.append((await receive())["type"])

    gate.guard._app = listens
    begun = gate.asked("POST", path, b"{}")
    await asyncio.sleep(0.1)
    assert left == []
    begun.gone.set()
    await begun.task
    assert begun.answer[0] == 200 and left == ["http.disconnect"]


def test_a_failure_behind_is_a_sentence(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    for gate.fails in ("before", "unsaid"):
        assert gate.ask("GET", "/config") == (400, '{"detail":"The request cannot be understood."}')
        assert [record.getMessage() for record in caplog.records] == ["GET /config failed"]
    gate.fails = "after"
    assert gate.ask("GET", "/config") == (200, "")


@pytest.mark.anyio
async def test_what_is_no_http(gate: Gate) -> None:
    send = AsyncMock()
    await gate.guard({"type": "websocket", "path": "/"}, send, send)  # type: ignore[arg-type]
    send.assert_awaited_once_with({"type": "websocket.close"})
