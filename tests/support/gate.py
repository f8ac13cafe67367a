"""The guard before an application that writes down what reaches it, asked as a server would ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

from demo.config import Config
from demo.server.http_guard import Guard
from demo.server.storage import Storage

OWN = "0123456789abcdef" * 4
UPLOAD_BYTES = 1000
ORDER, SESSION = "/gradio_api/call/interpolate", "a1"

Message = MutableMapping[str, Any]


class Gate:
    """The guard before an ASGI application that notes (method, path, body) and answers with 200; or fails.

    The photo `own` was uploaded here, `public` belongs to the page, and `secret.jpg` lies beside both.
    """

    def __init__(self, folder: Path, ceiling: int = 2**20, upload_bytes: int = UPLOAD_BYTES) -> None:
        self.reached: list[tuple[str, str, bytes]] = []
        self.fails = ""
        self.storage = Storage(folder / "page", 3600, ceiling)
        self.public = folder / "examples" / "first.jpg"
        self.own = self.storage.folder / OWN / "photo.jpg"
        for path in (self.public, self.own, folder / "secret.jpg"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"pixels")
        self.storage.add([str(self.own)])
        self.guard = Guard(self.behind, self.storage, [str(self.public)], upload_bytes, Config(), {SESSION}, {0})

    async def behind(self, scope: Message, receive: Any, send: Any) -> None:
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

    def ask(self, method: str, path: str, body: bytes = b"", **more: Any) -> tuple[int, str]:
        """(status, text) of the answer. The body comes in two parts."""

        async def visit() -> tuple[int, str]:
            begun = self.asked(method, path, body[:10], body[10:], **more)
            await begun.task
            return begun.answer

        return asyncio.run(visit())

    def order(self, *values: Any) -> int:
        return self.ask("POST", ORDER, json.dumps({"data": values}).encode())[0]

    async def begin(self, path: str, size: int, *parts: bytes) -> Begun:
        """Announce a body of that size and send parts of it, until more is waited for or there is an answer."""
        begun = self.asked("POST", path, *parts, size=size)
        await asyncio.wait([begun.task, asyncio.ensure_future(begun.waits.wait())], return_when="FIRST_COMPLETED")
        return begun

    def asked(
        self, method: str, path: str, *parts: bytes, size: int | None = None, query: str = "", headers: Any = None
    ) -> Begun:
        """A request whose body comes in these parts. Of a larger `size` the rest does not come."""
        left, whole = list(parts), b"".join(parts)
        length = [(b"content-length", b"%d" % (len(whole) if size is None else size))]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
        scope["headers"] = length if headers is None else headers
        sent: list[Message] = []
        waits, gone = asyncio.Event(), asyncio.Event()

        async def receive() -> Message:
            if not left:
                waits.set()
                await gone.wait()
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or size is not None}

        send = AsyncMock(side_effect=sent.append)
        return Begun(asyncio.ensure_future(self.guard(scope, receive, send)), sent, waits, gone)


@dataclass
class Begun:
    """A request that has not come to its end."""

    task: asyncio.Future[None]
    sent: list[Message]
    waits: asyncio.Event  # set once the server waits for what does not come
    gone: asyncio.Event  # to be set when the client leaves

    @property
    def answer(self) -> tuple[int, str]:
        return self.sent[0]["status"], b"".join(message.get("body", b"") for message in self.sent).decode()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
