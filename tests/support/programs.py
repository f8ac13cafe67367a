"""The programs that ask a server for films: gradio_client, and MCP's own client for tools."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.support.serving import TIMEOUT


def connected(url: str) -> closing[Client]:
    """Its own patience, 5 s, is little where all cores compute."""
    return closing(Client(url, verbose=False, httpx_kwargs={"timeout": TIMEOUT}))


def called(url: str, calls: Callable[[ClientSession], Awaitable[Any]], headers: dict[str, str] | None = None) -> Any:
    """What comes of some calls of tools in one session."""

    async def session() -> Any:
        address = f"{url}/gradio_api/mcp/"
        async with streamablehttp_client(address, headers) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await calls(session)

    return asyncio.run(asyncio.wait_for(session(), TIMEOUT))
