"""The guard before an application that writes down what reaches it, asked as a server would ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.config import Config
from demo.server.http_guard import Guard
from demo.server.storage import Storage

OWN = "0123456789abcdef" * 4
UPLOAD_BYTES = 1000
ORDER = "/gradio_api/call/interpolate"


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
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"pixels")
        self.storage.recount()
        self.guard = Guard(self.behind, self.storage, [str(self.public)], upload_bytes, Config())

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
