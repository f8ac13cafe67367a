"""What passes the guard, told by an application behind it that writes down what reaches it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.config import Config
from demo.server.http_guard import BODY_BYTES, Guard, Rates
from demo.server.storage import PART_BYTES, Storage

OWN = "0123456789abcdef" * 4
UPLOAD_BYTES = 1000
UPLOAD, ORDER = "/gradio_api/upload", "/gradio_api/call/interpolate"


class Behind:
    """An ASGI application that notes (method, path, body) and answers with 200; or fails in one of three ways."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, str, bytes]] = []
        self.fails = ""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        self.reached.append((scope["method"], scope["path"], body + message.get("body", b"")))
        if self.fails == "before":
            raise KeyError("/secret/path")
        await send({"type": "http.response.start", "status": 500 if self.fails == "unsaid" else 200, "headers": []})
        if self.fails == "after":
            raise KeyError("/secret/path")
        await send({"type": "http.response.body", "body": b"reached"})


class Gate:
    """The guard before `Behind`, asked as a server would ask it."""

    def __init__(self, folder: Path, ceiling: int = 2**20, upload_bytes: int = UPLOAD_BYTES) -> None:
        self.behind = Behind()
        self.storage = Storage(folder / "page", 3600, ceiling)
        self.public = folder / "examples" / "first.jpg"
        self.own = self.storage.folder / OWN / "photo.jpg"
        for path in (self.public, self.own, folder / "secret.jpg"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"pixels")
        self.storage.recount()
        self.guard = Guard(self.behind, self.storage, [str(self.public)], upload_bytes, 100, Rates.of(Config()))

    def ask(self, method: str, path: str, body: bytes = b"", query: str = "", headers: Any = None) -> tuple[int, str]:
        """(status, text) of the answer. The body comes in two parts."""
        sent: list[MutableMapping[str, Any]] = []
        parts = [{"type": "http.request", "body": body[:10], "more_body": True}]
        parts += [{"type": "http.request", "body": body[10:], "more_body": False}]
        given = [(b"content-length", b"%d" % len(body))] if headers is None else headers
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": given}

        async def receive() -> MutableMapping[str, Any]:
            return parts.pop(0)

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.guard(scope, receive, send))
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()

    def order(self, *values: Any) -> int:
        return self.ask("POST", ORDER, json.dumps({"data": values}).encode())[0]

    async def begin(self, path: str, size: int, *parts: bytes) -> Begun:
        """Announce a body of that size and send parts of it, until more is waited for or there is an answer."""
        sent: list[MutableMapping[str, Any]] = []
        coming, waits = list(parts), asyncio.Event()
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}

        async def receive() -> MutableMapping[str, Any]:
            if not coming:
                waits.set()
                await asyncio.Event().wait()
            return {"type": "http.request", "body": coming.pop(0), "more_body": True}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        asked = self.guard(scope | {"headers": [(b"content-length", b"%d" % size)]}, receive, send)
        begun = Begun(asyncio.ensure_future(asked), sent)
        await asyncio.wait([begun.task, asyncio.ensure_future(waits.wait())], return_when=asyncio.FIRST_COMPLETED)
        return begun


@dataclass
class Begun:
    """A request that has not come to its end."""

    task: asyncio.Future[None]
    sent: list[MutableMapping[str, Any]]

    @property
    def answer(self) -> tuple[int, str]:
        return self.sent[0]["status"], self.sent[1]["body"].decode()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


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
    assert gate.ask("POST", "/gradio_api/queue/join", body) == (400, '{"detail": "The request is not JSON."}')


def test_bodies_are_bounded(gate: Gate) -> None:
    assert gate.ask("POST", "/gradio_api/queue/join", b" " * (BODY_BYTES + 1))[0] == 413
    for headers in ([], [(b"content-length", b"-1")], [(b"content-length", b"1"), (b"content-length", b"2")]):
        assert gate.ask("POST", "/gradio_api/queue/join", b"{}", headers=headers)[0] == 411
    assert gate.behind.reached == []
    assert gate.ask("POST", UPLOAD, bytes(UPLOAD_BYTES))[0] == 200
    assert gate.ask("POST", UPLOAD, bytes(UPLOAD_BYTES + 1))[0] == 413
    assert gate.ask("POST", UPLOAD, b"", headers=[])[0] == 411


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


def test_the_room_of_an_upload_grows_with_what_has_come(tmp_path: Path) -> None:
    gate = Gate(tmp_path, ceiling=10 * PART_BYTES, upload_bytes=4 * PART_BYTES)
    part = bytes(PART_BYTES)

    async def visit() -> None:
        held = []
        for parts in ([], [b"x"], [part], [part, part], [part] * 3, [part] * 4):
            visitor = await gate.begin(UPLOAD, 4 * PART_BYTES, *parts)
            held.append(gate.storage._uploading)
            await visitor.leave()
        assert held == [0, PART_BYTES + 1, *[PART_BYTES * parts for parts in (2, 2, 4, 4)]]
        assert gate.storage._uploading == gate.storage._reserved == 0

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
    monkeypatch.setattr("demo.server.http_guard.SILENCE_SECONDS", 0.01)
    monkeypatch.setattr("demo.server.http_guard.SLOWEST", 0.01)

    async def visit() -> None:
        visitor = await gate.begin(path, 10, *parts)
        await visitor.task
        assert visitor.answer == (408, '{"detail": "Nothing came of the request for 0.01 s; send it again."}')
        assert (b"connection", b"close") in visitor.sent[0]["headers"]

    asyncio.run(asyncio.wait_for(visit(), 60))
    assert gate.behind.reached == [] and gate.storage._uploading == 0


@pytest.mark.parametrize("path", [UPLOAD, ORDER])
def test_a_body_that_trickles_is_not_waited_for(gate: Gate, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    clock = itertools.chain([0.0, 0.0, 20.0, 40.0], itertools.repeat(61.0))  # at the beginning, then at each part
    monkeypatch.setattr("demo.server.http_guard.current_time", lambda: next(clock))

    async def visit() -> None:
        visitor = await gate.begin(path, 100, b"{", b"}", b"}")
        await visitor.task
        assert visitor.answer == (408, '{"detail": "The request took more than 60 s; use a faster line for it."}')

    asyncio.run(asyncio.wait_for(visit(), 60))


def test_who_has_sent_everything_may_be_silent(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after the body is that the client has left, and it may listen for hours before."""
    monkeypatch.setattr("demo.server.http_guard.SILENCE_SECONDS", 0.01)
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
        assert gate.ask("GET", "/config") == (400, '{"detail": "The request cannot be understood."}')
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
