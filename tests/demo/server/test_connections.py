"""Connections that come to nothing, on a server that does not wait long for them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from demo.config import Config
from demo.server import connections


@asynccontextmanager
async def connected(answer: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server before this application, which the server must give up."""
    config = uvicorn.Config(answer, lifespan="off", log_config=None)
    connections.limit(config, Config())
    lost = asyncio.Event()

    class Impatient(config.http):  # type: ignore[misc, name-defined]
        head_seconds = unread_seconds = 0.1

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    config.http = Impatient
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Impatient(config, ServerState(), {"lost": lost}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1024)
    yield reader, writer
    await asyncio.wait_for(lost.wait(), 60)
    writer.close()
    server.close()
    assert not Impatient._open


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [1, 10**6], ids=["the rest of an answer", "an answer without an end"])
async def test_an_answer_that_is_not_read_is_given_up(parts: int) -> None:
    """Else each would hold a connection, a file and a piece of memory for ever."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        for part in range(parts):
            await send({"type": "http.response.body", "body": bytes(2**25), "more_body": part < parts - 1})
            if scope["state"]["lost"].is_set():
                return

    async with connected(answer) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b""),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 200 OK"),  # and a silence after it
    ],
    ids=["nothing", "half a head", "no HTTP", "a request"],
)
async def test_who_falls_silent_keeps_no_connection(caplog: pytest.LogCaptureFixture, sent: bytes, told: bytes) -> None:
    """And writes no log."""
    caplog.set_level(logging.INFO)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with connected(answer) as (reader, writer):
        writer.write(sent)
        assert (await reader.read()).partition(b"\r\n")[0] == told
    assert [record for record in caplog.records if record.name != "uvicorn.access"] == []
