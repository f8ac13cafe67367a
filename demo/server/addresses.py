"""Who asks, and from where: the client's address behind named proxies, the names this server goes by, foreign pages.

A page that a visitor has open elsewhere can send requests to a server on his own machine, or let a name of its own
point there (DNS rebinding). So the Host must be a name of this server, and what changes something must not come from
another page. Programs send no Origin and go on working.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import takewhile
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
MINUTE = 60.0
CUSTOMER_BITS = 64  # of an IPv6 address: all that begin so are of one customer


def split(text: str) -> list[str]:
    """The items of a setting that is a list separated by commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def visitor(scope: Scope) -> str:
    """Whose requests are counted together: those from one IPv4 address, or from one customer's IPv6 addresses."""
    address = str((scope.get("client") or ("",))[0])
    ip = _ip(address)
    if not isinstance(ip, ipaddress.IPv6Address):
        return address
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip), CUSTOMER_BITS), strict=False))


class Names:
    """Which Host a request may name: the loopback, what is `allowed`, and numbers if `host` listens beyond it.

    A number in place of a name cannot be rebound. *.example.org stands for every name below it.
    """

    def __init__(self, host: str, allowed: str) -> None:
        self._patterns = split(allowed.lower())
        self._any_number = not self._is_loopback(host)

    def allow(self, host: str) -> bool:
        """Whether a Host header (name or address, with or without a port) names this server."""
        name = hostname(f"//{host}")
        if name is None:
            return False
        return self._is_loopback(name) or self.listed(name) or (self._any_number and _ip(name) is not None)

    def listed(self, name: str) -> bool:
        """Whether the host of this server has named it so."""
        return any(fnmatchcase(name, pattern) for pattern in self._patterns)

    @staticmethod
    def _is_loopback(name: str) -> bool:
        ip = _ip(name)
        return name == "localhost" or (ip is not None and ip.is_loopback)


def hostname(url: str) -> str | None:
    """The name in a URL, in lower case; None if there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


class ForwardedHeaders:
    """Takes `X-Forwarded-*` from the named proxies, and from nobody else: `scope["client"]` is the visitor's address.

    `proxies` are addresses or networks, separated by commas.
    """

    def __init__(self, app: ASGIApp, proxies: str) -> None:
        self._app = app
        self._proxied = ProxyHeadersMiddleware(app, split(proxies))  # type: ignore[arg-type]
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
    """How often each visitor may do something: `limit` times in a minute. For one thread, the event loop's."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._minutes: dict[str, tuple[float, int]] = {}  # when a visitor's began, the oldest first; what he did in it

    def take(self, visitor: str, times: int = 1) -> bool:
        """Whether he may do it so many times more; if so, that counts."""
        now = time.monotonic()
        over = takewhile(lambda known: self._minutes[known][0] <= now - MINUTE, self._minutes)
        for known in list(over):
            del self._minutes[known]
        begun, done = self._minutes.get(visitor, (now, 0))
        if done + times <= self._limit:
            self._minutes[visitor] = begun, done + times
        return done + times <= self._limit


def space_defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of a Hugging Face Space: its own name, and the proxy before it."""
    return {"host": "0.0.0.0", "allowed_hosts": environment.get("SPACE_HOST", ""), "proxies": PRIVATE_NETWORKS}


def frames(environment: Mapping[str, str] = os.environ) -> str:
    """The sites that may show the page in a frame, beside this one."""
    return SPACE_FRAMES if environment.get("SPACE_ID") else ""
