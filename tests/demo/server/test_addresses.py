"""Whose request it is: the client's own address, unless a named proxy or this server itself says whose."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from demo.server.addresses import CALLER, SECRET, ForwardedHeaders, on_behalf_of

FORWARDED = {"x-forwarded-for": "192.0.2.1", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}


def seen(client: str, proxies: str, headers: dict[str, str]) -> tuple[str, str]:
    """(address, scheme) as the application behind sees them; it sees no forwarded host."""
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)

    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "client": (client, 1), "scheme": "http", "headers": given}
    asyncio.run(ForwardedHeaders(app, proxies)(scope, None, None))  # type: ignore[arg-type]
    return scopes[0]["client"][0], scopes[0]["scheme"]


@pytest.mark.parametrize(
    ("client", "proxies", "headers", "expected"),
    [
        ("198.51.100.7", "", FORWARDED, ("198.51.100.7", "http")),
        ("198.51.100.7", "127.0.0.1", FORWARDED, ("198.51.100.7", "http")),
        ("127.0.0.1", "127.0.0.1", FORWARDED, ("192.0.2.1", "https")),
        ("10.1.2.3", "10.0.0.0/8", FORWARDED, ("192.0.2.1", "https")),
        ("127.0.0.1", "", on_behalf_of("192.0.2.9"), ("192.0.2.9", "http")),
        ("127.0.0.1", "127.0.0.1", FORWARDED | on_behalf_of("192.0.2.9"), ("192.0.2.9", "http")),
        ("198.51.100.7", "", {CALLER: f"{SECRET[::-1]} 192.0.2.9"}, ("198.51.100.7", "http")),
        ("198.51.100.7", "", {CALLER: " 192.0.2.9"}, ("198.51.100.7", "http")),
        ("198.51.100.7", "", {CALLER: "é"}, ("198.51.100.7", "http")),
    ],
)
def test_whose_request_it_is(client: str, proxies: str, headers: dict[str, str], expected: tuple[str, str]) -> None:
    assert seen(client, proxies, headers) == expected
