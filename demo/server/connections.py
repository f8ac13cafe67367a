"""Connections that come to something: how long one may stay silent or unread, and how many an address may hold.

uvicorn's keep-alive limit begins with the first answer, and it has none on how long an answer may wait to be read;
here a connection that never sends a whole head, or never takes its answer, is closed, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from demo.config import Config
from demo.server.addresses import ForwardedHeaders, Names, SameSite, frames, visitor

KEEP_ALIVE_SECONDS = 10  # between two requests of one connection
HEAD_SECONDS = 15.0  # until the head of a request has come
UNREAD_SECONDS = 60.0  # that an answer waits for its client to read on; a player that pauses asks again later
GRACEFUL_SECONDS = 3  # for answers on their way when the server ends
PER_ADDRESS = 200  # connections; a page holds seven at most, many pages may come from one address
OPEN_FILES = 65_536  # often only 1,024 may be open at once, which the connections of a few addresses would take


class TimedProtocol(H11Protocol):
    """HTTP, with limits on how long a client is waited for, and on the connections of an address."""

    head_seconds = HEAD_SECONDS
    unread_seconds = UNREAD_SECONDS
    per_address = PER_ADDRESS
    proxies: Any = frozenset()  # addresses that speak for many visitors
    _open: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late: asyncio.TimerHandle | None = None
        self._visitor = visitor({"client": self.client})
        self._open[self._visitor] += 1
        if self._open[self._visitor] > self.per_address and (self.client or ("",))[0] not in self.proxies:
            transport.abort()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open[self._visitor] -= 1
        if not self._open[self._visitor]:
            del self._open[self._visitor]
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unwatch()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unwatch()
        self._watch()

    def _watch(self) -> None:
        """Start the clock where the client is waited for; stop it where a request is being answered."""
        unread = self.flow.write_paused
        if not unread and self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()
        elif self._late is None:
            seconds = self.unread_seconds if unread else self.head_seconds
            self._late = self.loop.call_later(seconds, self.transport.abort)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def limit(served: uvicorn.Config, config: Config) -> None:
    """Let uvicorn serve so, under this server's own names, and believe the proxies that its host has named alone."""
    same_site = SameSite(served.app, Names(config.host, config.allowed_hosts), frames())  # type: ignore[arg-type]
    served.app = forwarded = ForwardedHeaders(same_site, config.proxies)
    served.http = type("Protocol", (TimedProtocol,), {"proxies": forwarded.proxies, "_open": Counter()})
    served.timeout_keep_alive = KEEP_ALIVE_SECONDS
    served.timeout_graceful_shutdown = GRACEFUL_SECONDS
    served.proxy_headers = False  # they are taken in `addresses`
    # Whoever sends something else than HTTP could fill the log.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "Invalid HTTP request" not in record.getMessage())
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
