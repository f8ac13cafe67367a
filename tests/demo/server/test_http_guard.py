"""What passes the guard, told by an application behind it that writes down what reaches it."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from demo.server.http_guard import BODY_BYTES
from demo.server.storage import FILE_COST, PART_BYTES
from tests.support.gate import ORDER, UPLOAD_BYTES, Gate

UPLOAD, TOOL = "/gradio_api/upload", "/gradio_api/mcp/"


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_what_the_product_needs_passes(gate: Gate) -> None:
    api = "/gradio_api"
    for path in ("/", "/health", "/config", "/assets/a.js", f"{api}/info", f"{api}/queue/data", f"{api}/heartbeat/a1"):
        assert gate.ask("GET", path) == (200, "reached")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/proxy=http://127.0.0.1:1/"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/monitoring"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/stream/x"),
        ("GET", "/gradio_api/deep_link"),
        ("POST", "/"),
        ("PUT", "/gradio_api/upload"),
        ("DELETE", "/config"),
        ("GET", "/gradio_api/call/interpolate/x/../../upload"),
        ("GET", "/config/x"),
    ],
)
def test_all_else_does_not(gate: Gate, method: str, path: str) -> None:
    assert gate.ask(method, path)[0] == 404
    assert gate.behind.reached == []


def test_deep_links_do_not_pass(gate: Gate) -> None:
    assert gate.ask("GET", "/", query="deep_link=x")[0] == 404
    assert gate.ask("GET", "/", query="theme=dark&__theme=light")[0] == 200


def test_only_files_of_the_page_and_of_visitors_can_be_read(gate: Gate, tmp_path: Path) -> None:
    for own in (gate.own, gate.public):
        assert gate.ask("GET", f"/gradio_api/file={own}")[0] == 200
    gate.behind.reached.clear()
    (link := gate.own.with_name("link.jpg")).symlink_to(tmp_path / "secret.jpg")
    others = [tmp_path / "secret.jpg", link, gate.own.parent / "deeper" / "photo.jpg", gate.own.parent]
    others += [gate.storage.folder, gate.storage.folder / "tmpabc", gate.storage.scratch / "a.ts", gate.public.parent]
    odd = ["photo.jpg", "", "http://127.0.0.1:1/x.jpg", f"{gate.own}\0", f"{gate.own.parent}/../../secret.jpg"]
    for path in [*map(str, others), *odd]:
        assert gate.ask("GET", f"/gradio_api/file={path}")[0] in (403, 404), path
        assert gate.order({"path": path, "meta": {"_type": "gradio.FileData"}}) == 403, path
    assert gate.behind.reached == []


def test_an_order_names_its_own_photos(gate: Gate) -> None:
    order = {"data": [{"path": str(gate.own), "meta": {"_type": "gradio.FileData"}}, {"path": None}, 5, "film-lite"]}
    body = json.dumps(order).encode()
    assert gate.ask("POST", ORDER, body)[0] == 200
    assert gate.behind.reached == [("POST", ORDER, body)]  # the body is there again


@pytest.mark.parametrize("shape", ["{}", "[{}]", '{{"a": [{{"b": {}}}]}}'])
def test_a_foreign_path_is_found_wherever_it_stands(gate: Gate, shape: str) -> None:
    body = shape.format('{"path": "/etc/passwd"}').encode()
    assert gate.ask("POST", "/gradio_api/queue/join", body)[0] == 403
    assert gate.behind.reached == []


@pytest.mark.parametrize("path", [5, True, ["/etc/passwd"], {"path": "/etc/passwd"}, ""])
def test_a_path_that_is_none(gate: Gate, path: Any) -> None:
    assert gate.order({"path": path}) == 403


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"data": [NaN]}', b'{"data": [-Infinity]}', b"[" * 100_000])
def test_what_is_no_json(gate: Gate, body: bytes) -> None:
    assert gate.ask("POST", "/gradio_api/queue/join", body) == (400, '{"detail":"The request is not JSON."}')


def test_bodies_are_bounded(gate: Gate) -> None:
    assert gate.ask("POST", "/gradio_api/queue/join", b" " * (BODY_BYTES + 1))[0] == 413
    for headers in ([], [(b"content-length", b"-1")], [(b"content-length", b"1"), (b"content-length", b"2")]):
        assert gate.ask("POST", "/gradio_api/queue/join", b"{}", headers=headers)[0] == 411
    assert gate.behind.reached == []
    assert gate.ask("POST", UPLOAD, bytes(UPLOAD_BYTES))[0] == 200
    assert gate.ask("POST", UPLOAD, bytes(UPLOAD_BYTES + 1))[0] == 413
    assert gate.ask("POST", UPLOAD, b"", headers=[])[0] == 411


def test_the_files_in_a_tools_call_are_uploads(tmp_path: Path) -> None:
    gate, large = Gate(tmp_path, ceiling=2**26, upload_bytes=2**24), bytes(2 * BODY_BYTES)
    used = gate.storage.used()
    data = f"data:image/png;base64,{base64.b64encode(large).decode()}"
    assert gate.ask("POST", TOOL, json.dumps({"first": data, "last": None}).encode())[0] == 200
    file = json.loads(gate.behind.reached[0][2])["first"].removeprefix("/gradio_api/file=")
    assert Path(file).read_bytes() == large and gate.storage.keeps(file)
    assert gate.storage.used() == used + len(large) + FILE_COST and gate.storage._reserved == 0
    assert gate.ask("POST", TOOL, b'{"first": "%s"}' % bytes(BODY_BYTES).replace(b"\0", b"x"))[0] == 413
    assert gate.ask("POST", TOOL, f'{{"first": "{data}", "last": {{"path": "/etc/passwd"}}}}'.encode())[0] == 403
    assert gate.ask("POST", TOOL, json.dumps({"photos": ["data:image/png;base64,AAAA"] * 101}).encode())[0] == 413
    assert len(list(gate.storage.folder.glob("*/file.png"))) == 1
    full = Gate(tmp_path / "full", ceiling=100)
    assert full.ask("POST", TOOL, b'{"first": "data:image/png;base64,AAAA"}')[0] == 507
    assert full.ask("POST", TOOL, b'{"first": "/gradio_api/file=x"}')[0] == 200


def test_a_full_disk_takes_no_upload(tmp_path: Path) -> None:
    gate = Gate(tmp_path, ceiling=100)
    status, text = gate.ask("POST", UPLOAD, bytes(500))
    assert status == 507 and "The disk for uploads and films is full" in text
    assert gate.behind.reached == []


def test_the_room_for_an_upload_is_given_back(gate: Gate) -> None:
    for fails in ("", "before", "after"):
        gate.behind.fails = fails
        gate.ask("POST", UPLOAD, bytes(500))
        with gate.storage.reserved(gate.storage.ceiling - gate.storage.used()):
            pass


def test_an_upload_takes_room_when_it_comes_and_not_when_it_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.server.storage.GRACE_SECONDS", -1)  # every file is old enough to make room
    gate = Gate(tmp_path, ceiling=100_000, upload_bytes=50_000)

    def free() -> int:  # bytes that a film could have without any file being deleted
        return gate.storage.ceiling - gate.storage.used() - gate.storage._reserved

    async def visit() -> None:
        room = free()
        begun = [await gate.begin(UPLOAD, 50_000) for _ in range(4)]
        assert [visitor.sent for visitor in begun] == [[]] * 4  # they are waited for
        assert free() == room and gate.own.exists()
        begun.append(await gate.begin(UPLOAD, 50_000, b"x"))
        assert not gate.own.exists() and free() == 50_000
        for visitor in begun:
            await visitor.leave()
        assert free() == 100_000

    asyncio.run(visit())


def test_uploads_together_leave_half_of_the_disk_to_films(tmp_path: Path) -> None:
    gate = Gate(tmp_path, ceiling=8 * PART_BYTES, upload_bytes=2 * PART_BYTES)

    async def visit() -> None:
        begun = [await gate.begin(UPLOAD, 2 * PART_BYTES, bytes(PART_BYTES)) for _ in range(3)]
        assert begun[1].sent == []
        assert begun[2].answer[0] == 507 and "is full" in begun[2].answer[1]
        with gate.storage.reserved(gate.storage.ceiling // 2 - gate.storage.used()):
            await begun[0].leave()
            assert (await gate.begin(UPLOAD, 2 * PART_BYTES, bytes(PART_BYTES))).sent == []

    asyncio.run(visit())


@pytest.mark.parametrize(("path", "parts"), [(UPLOAD, []), (UPLOAD, [b"x"]), (ORDER, []), (ORDER, [b"{"])])
def test_a_body_that_falls_silent_is_not_waited_for(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, path: str, parts: list[bytes]
) -> None:
    monkeypatch.setattr("demo.server.bodies.SILENCE_SECONDS", 0.01)
    monkeypatch.setattr("demo.server.bodies.SLOWEST", 0.01)

    async def visit() -> None:
        visitor = await gate.begin(path, 10, *parts)
        await visitor.task
        assert visitor.answer == (408, '{"detail":"Nothing came of the request for 0.01 s; send it again."}')
        assert (b"connection", b"close") in visitor.sent[0]["headers"]

    asyncio.run(asyncio.wait_for(visit(), 60))
    assert gate.behind.reached == [] and gate.storage._uploading == 0


@pytest.mark.parametrize("path", [UPLOAD, ORDER])
def test_a_body_that_trickles_is_not_waited_for(gate: Gate, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    clock = itertools.chain([0.0, 0.0, 20.0, 40.0], itertools.repeat(61.0))  # at the beginning, then at each part
    monkeypatch.setattr("demo.server.bodies.current_time", lambda: next(clock))

    async def visit() -> None:
        visitor = await gate.begin(path, 100, b"{", b"}", b"}")
        await visitor.task
        assert visitor.answer == (408, '{"detail":"The request took more than 60 s; use a faster line for it."}')

    asyncio.run(asyncio.wait_for(visit(), 60))


def test_who_has_sent_everything_may_be_silent(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after the body is that the client has left, and it may listen for hours before."""
    monkeypatch.setattr("demo.server.bodies.SILENCE_SECONDS", 0.01)
    left: list[str] = []

    async def listens(scope: Any, receive: Any, send: Any) -> None:
        await gate.behind(scope, receive, send)
        left.append((await receive())["type"])

    gate.guard._app = listens

    async def visit(path: str) -> None:
        coming = [{"type": "http.request", "body": b"{}", "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            if coming:
                return coming.pop()
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            assert message.get("status", 200) == 200

        headers = [(b"content-length", b"2")]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        await gate.guard(scope, receive, send)

    asyncio.run(visit(UPLOAD))
    asyncio.run(visit(ORDER))
    assert left == ["http.disconnect"] * 2


def test_a_failure_behind_is_a_sentence(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    for gate.behind.fails in ("before", "unsaid"):
        assert gate.ask("GET", "/config") == (400, '{"detail":"The request cannot be understood."}')
        assert [record.getMessage() for record in caplog.records] == ["GET /config failed"]
    gate.behind.fails = "after"
    assert gate.ask("GET", "/config") == (200, "")


def test_what_is_no_http(gate: Gate) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    asyncio.run(gate.guard({"type": "websocket", "path": "/"}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]
