"""Who asks, and from where: the client's address behind named proxies, the names this server goes by, foreign pages.

A page that a visitor has open elsewhere can send requests to a server on his own machine, or let a name of its own
point there (DNS rebinding). So the Host must be a name of this server, and what changes something must not come from
another page. Programs send no Origin and go on working.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

# What a Space is reached through: Hugging Face's proxy, in the network of its machines.
PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
SPACE_FRAMES = "https://huggingface.co https://*.huggingface.co https://*.hf.space"
SECRET = secrets.token_hex(16)  # by which this server knows its own requests
CALLER = "x-film-caller"  # a header of such a request: the secret, and the address on whose behalf it is sent
REMEMBERED = 10_000  # addresses whose requests are counted
MINUTE = 60.0


def split(text: str) -> tuple[str, ...]:
    """The items of a setting that is a list separated by commas."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


@dataclass(frozen=True)
class Names:
    """Which Host a request may name."""

    # Beside the loopback's, which always do; in lower case. *.example.org stands for every name below it.
    names: frozenset[str]
    any_address: bool = False  # a number in place of a name cannot be rebound

    @classmethod
    def of(cls, host: str, allowed: Iterable[str]) -> Names:
        """Of a server that listens at `host`: loopback names, those allowed, and addresses if it is not a loopback."""
        local = host == "localhost" or _is_loopback(host)
        return cls(frozenset(name.lower() for name in allowed), not local)

    def allow(self, host: str) -> bool:
        """Whether a Host header (name or address, with or without a port) names this server."""
        name = hostname(f"//{host}")
        if name is None:
            return False
        return (
            name == "localhost" or _is_loopback(name) or self.listed(name) or (self.any_address and _is_address(name))
        )

    def listed(self, name: str) -> bool:
        """Whether the host of this server has named it so."""
        below = any(wild.startswith("*.") and name.endswith(wild[1:]) for wild in self.names)
        return name in self.names or below


def hostname(url: str) -> str | None:
    """The name in a URL, in lower case; None if there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


class ForwardedHeaders:
    """Takes `X-Forwarded-*` from the named proxies, and from nobody else: `scope["client"]` is the visitor's address.

    `proxies` are addresses or networks, separated by commas.
    """

    def __init__(self, app: ASGIApp, proxies: str) -> None:
        self._app = app
        self._proxied = ProxyHeadersMiddleware(app, list(split(proxies)))  # type: ignore[arg-type]
        self.proxies = self._proxied.trusted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        secret, _, caller = Headers(scope=scope).get(CALLER, "").partition(" ")
        if secrets.compare_digest(secret.encode(), SECRET.encode()):
            scope = {**scope, "client": (caller, 0)}
        elif scope.get("client") and scope["client"][0] in self.proxies:
            return await self._proxied(scope, receive, send)  # type: ignore[arg-type]
        kept = [
            header for header in scope["headers"] if not header[0].lower().startswith((b"x-forwarded-", b"forwarded"))
        ]
        await self._app({**scope, "headers": kept}, receive, send)


def on_behalf_of(address: str) -> dict[str, str]:
    """The header of a request that this server sends itself for somebody at that address."""
    return {CALLER: f"{SECRET} {address}"}


class SameSite:
    """Refuses requests to another Host and, where they change something, from another page; sets the safe headers."""

    def __init__(self, app: ASGIApp, names: Names, frames: str = "") -> None:
        self._app = app
        self._names = names
        self._headers = {
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "content-security-policy": f"frame-ancestors 'self' {frames}".strip(),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if foreign:  # Gradio lets any page read what a hosted server answers
                    del headers["access-control-allow-origin"]
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        hosts = [part.strip() for name in ("host", "x-forwarded-host") for part in headers.get(name, "").split(",")]
        hosts = [host for host in hosts if host] or [""]
        foreign = self._foreign(headers.get("origin"), hosts)
        answer = self._refusal(scope["method"], hosts, foreign)
        await (answer or self._app)(scope, receive, sent)

    def _refusal(self, method: str, hosts: list[str], foreign: bool) -> JSONResponse | None:
        for host in hosts:
            if not self._names.allow(host):
                words = f"This server does not go by the name {host[:80]!r}; its host can add it to FILM_ALLOWED_HOSTS."
                return JSONResponse({"detail": words}, 421)
        if foreign and method not in ("GET", "HEAD"):
            return JSONResponse({"detail": "Requests from other web pages are refused."}, 403)
        return None

    def _foreign(self, origin: str | None, hosts: list[str]) -> bool:
        """Whether a request comes from a page of another site. A program names no origin."""
        if origin is None:
            return False
        name = hostname(origin)
        own = name is not None and urlsplit(origin).netloc.lower() in {host.lower() for host in hosts}
        return not own and not (name and self._names.listed(name))


class Rate:
    """How often each address may do something: `limit` a minute. Shared by threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._done: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def take(self, address: str, count: int = 1) -> bool:
        """Whether this address may do it `count` times more; if so, that counts."""
        now = time.monotonic()
        with self._lock:
            done = self._done.setdefault(address, deque())
            self._done.move_to_end(address)
            while done and done[0][0] < now - MINUTE:
                done.popleft()
            if sum(taken for _, taken in done) + count > self._limit:
                return False
            done.append((now, count))
            while len(self._done) > REMEMBERED:
                self._done.popitem(last=False)
            return True


def space_defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of a Hugging Face Space: its own name, and the proxy before it."""
    return {"host": "0.0.0.0", "allowed_hosts": environment.get("SPACE_HOST", ""), "proxies": PRIVATE_NETWORKS}


def frames(environment: Mapping[str, str] = os.environ) -> str:
    """The sites that may show the page in a frame, beside this one."""
    return SPACE_FRAMES if environment.get("SPACE_ID") else ""
