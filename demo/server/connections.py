"""Connections that come to something: how long one may stay silent, and how many an address may hold.

uvicorn's keep-alive limit begins with the first answer; here a connection that never sends a whole head is closed, too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

KEEP_ALIVE_SECONDS = 10  # between two requests of one connection
HEAD_SECONDS = 15.0  # until the head of a request has come
GRACEFUL_SECONDS = 3  # for answers on their way when the server ends
PER_ADDRESS = 200  # connections; a page holds seven at most, many pages may come from one address


class TimedProtocol(H11Protocol):
    """HTTP, with a limit on the time until a request's head has come, and on the connections of an address."""

    seconds = HEAD_SECONDS
    per_address = PER_ADDRESS
    proxies: Any = frozenset()  # addresses that speak for many visitors
    _open: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late: asyncio.TimerHandle | None = None
        self._address = self.client[0] if self.client else ""
        self._open[self._address] += 1
        if self._open[self._address] > self.per_address and self._address not in self.proxies:
            transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open[self._address] -= 1
        if not self._open[self._address]:
            del self._open[self._address]
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Start the clock where no request is being answered; stop it where one is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self.seconds, self.transport.abort)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def limit(config: uvicorn.Config, proxies: Any) -> None:
    """Let uvicorn serve so. Headers of proxies are taken in `addresses`, not by uvicorn itself."""
    config.http = type("Protocol", (TimedProtocol,), {"proxies": proxies, "_open": Counter()})
    config.timeout_keep_alive = KEEP_ALIVE_SECONDS
    config.timeout_graceful_shutdown = GRACEFUL_SECONDS
    config.proxy_headers = False
