"""What may be asked over HTTP, as an ASGI middleware in front of Gradio.

Gradio serves far more than this product needs: proxies, fetching of URLs, an editor, recordings. Only the routes below
are open. A request may name no file but one that was uploaded here or belongs to the page, and so no address either;
bodies are bounded before anything reads them, in the time they take, too.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs

from anyio import current_time, fail_after, to_thread

from demo.config import Config
from demo.gradio_patches import file_comes
from demo.server.addresses import Rate
from demo.server.disk_full import WORDS, is_disk_full
from demo.server.limits import short
from demo.server.storage import Full, Storage

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Result = TypeVar("Result")

API = "/gradio_api"
FILE = f"{API}/file="
UPLOAD = f"{API}/upload"
READ = re.compile(
    r"/|/health|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/pwa_icon(/\d{2,3})?"
    r"|/(assets|static|svelte)/.+"
    rf"|{API}/(theme\.css|info/?|openapi\.json|app_id/?|startup-events|heartbeat/\w+|upload_progress)"
    rf"|{API}/(mcp/schema|queue/data|call/\w+/\w+|call/v2/\w+/\w+|stream/.+|file=.+)"
)
WRITE = re.compile(rf"{UPLOAD}|{API}/(queue/join|cancel|reset|call/\w+|call/v2/\w+|run/\w+|api/\w+|mcp)/?")
JOB = re.compile(rf"{API}/(queue/join|call/\w+|call/v2/\w+|mcp)/?")
PAGE = re.compile(rf"{API}/heartbeat/(\w+)")
LISTEN = re.compile(rf"{API}/(queue/data|call/\w+/(\w+))")
TOOLS = re.compile(rf"{API}/mcp/?")  # a call of a tool is a POST; who would listen there is told that it need not
BODY_BYTES = 2**20  # an order names its photos, it does not hold them
SILENCE_SECONDS = 30.0  # without one byte of a body
SLOWEST = 50_000  # bytes per second that a body comes with in all, beside two such silences: the slowest DSL

log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that goes no further; the sentence is its answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Rates:
    """How often one address may do what, a minute."""

    requests: Rate
    jobs: Rate
    files: Rate

    @classmethod
    def of(cls, config: Config) -> Rates:
        return cls(*map(Rate, (config.requests_per_minute, config.jobs_per_minute, config.files_per_minute)))


class Guard:
    """Lets through to `app` what is allowed. `public` are the files that belong to the page.

    `sessions` are those that Gradio has messages for, `functions` the page's events: it fails on others, at length.
    """

    def __init__(
        self,
        app: App,
        storage: Storage,
        public: Iterable[str],
        upload_bytes: int,
        upload_files: int,
        rates: Rates,
        sessions: Container[str] | None = None,
        functions: Container[int] | None = None,
    ) -> None:
        self._app = app
        self._upload_files = upload_files  # of one request
        self._rates = rates
        self._sessions = sessions
        self._functions = functions
        self._storage = storage
        self._public = frozenset(map(os.path.realpath, public))
        self._upload_bytes = upload_bytes  # of one request

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})
        try:
            path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
            address = _address(scope)
            if not self._rates.requests.take(address):
                raise Refused(429, "Too many requests come from your address; try again in a minute.")
            self._check_route(scope["method"], path, scope["query_string"])
            if scope["method"] == "POST" and path.rstrip("/") == UPLOAD:
                await self._upload(scope, receive, send)
            elif scope["method"] == "POST":
                if JOB.fullmatch(path) and not self._rates.jobs.take(address):
                    raise Refused(429, "Busy: your address has asked for many films; try again in a minute.")
                await self._pass(scope, await self._checked_body(scope, receive), send)
            elif page := PAGE.fullmatch(path):
                with self._storage.page_open(page[1]):
                    await self._pass(scope, receive, send)
            else:
                await self._pass(scope, receive, send)
        except Refused as refusal:
            await _answer(send, refusal.status, str(refusal))

    async def _pass(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request through; where Gradio fails on it, say so in a sentence and in one line of the log."""
        started = failed = False
        refused = Refused(400, "The request cannot be understood.")

        async def sent(message: Message) -> None:
            nonlocal started, failed
            failed = failed or message.get("status") == 500  # Gradio has logged why, its answer has no words
            started = not failed
            if started:
                await send(message)

        try:
            await self._app(scope, receive, sent)
        except Refused as refusal:  # while its body was read
            failed, refused = True, refusal
        except Exception as error:
            failed = True
            if is_disk_full(error):
                log.error("%s failed, the disk is full: %s", scope["method"], error)
                refused = Refused(507, WORDS)
            else:
                log.exception("%s %s failed", scope["method"], scope["path"][:200])
        if failed and not started:
            raise refused

    def _check_route(self, method: str, path: str, query: bytes) -> None:
        if method == "GET" and TOOLS.fullmatch(path):
            raise Refused(405, "Tools are called by POST; there is nothing to listen to.")
        allowed = {"GET": READ, "HEAD": READ, "POST": WRITE}.get(method)
        if allowed is None or not allowed.fullmatch(path) or "deep_link" in parse_qs(query.decode("latin-1")):
            raise Refused(404, "There is nothing at this address.")
        session = LISTEN.fullmatch(path)
        if session and self._sessions is not None:
            asked = session[2] or "".join(parse_qs(query.decode("latin-1")).get("session_hash", []))
            if asked not in self._sessions:
                raise Refused(404, "There is no such session; it may have expired.")
        if path.startswith(FILE) and not self._ours(path.removeprefix(FILE)):
            raise Refused(403, "Only the page's own files and your own films can be read.")

    def _ours(self, path: str) -> bool:
        """Whether a path names a file of the page, or one that was uploaded or made here."""
        if "\0" in path or not os.path.isabs(path):
            return False
        real = os.path.realpath(path)
        return real in self._public or self._storage.keeps(real)

    async def _upload(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let an upload through if there is room for it; it takes the room while it comes in, and no sooner."""
        size = _length(scope)
        if size > self._upload_bytes:
            limit = self._upload_bytes // 2**20
            raise Refused(413, f"The upload has {size / 2**20:.0f} MB; at most {limit} MB are taken at once.")
        timely = _timely(receive, size)
        came = room = files = 0
        answer = b""
        owner = _address(scope)

        async def received() -> Message:
            nonlocal came, room
            message = await timely()
            came += len(message.get("body", b""))
            if came > room:
                room = await _roomy(make_room, came, files)
            return message

        def file_came() -> None:
            nonlocal files
            files += 1
            if files > self._upload_files:
                raise Refused(413, f"The upload has too many files; at most {self._upload_files} are taken at once.")
            if not self._rates.files.take(owner):
                raise Refused(429, "Your address has uploaded many files; try again in a minute.")
            try:
                make_room(came, files)
            except Full as error:
                raise Refused(507, str(error)) from None

        async def sent(message: Message) -> None:
            nonlocal answer
            answer += message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await to_thread.run_sync(self._storage.add, _uploaded(answer), owner)  # before anybody can use it
            await send(message)

        await _roomy(self._storage.check_room, size, owner)
        with self._storage.upload(size, owner) as make_room:
            told = file_comes.set(file_came)
            try:
                await self._pass(scope, received, sent)
            finally:
                file_comes.reset(told)

    async def _checked_body(self, scope: MutableMapping[str, Any], receive: Receive) -> Receive:
        """A `receive` that gives the body again, which was read here and names no file but ours."""
        if (size := _length(scope)) > BODY_BYTES:
            raise Refused(413, f"The request is too large; at most {BODY_BYTES // 2**10} kB are taken.")
        timely = _timely(receive, size)
        body = b""
        more = True
        while more:
            message = await timely()
            if message["type"] == "http.disconnect":
                raise Refused(400, "The request ended early.")
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            order = json.loads(body, parse_constant=_refuse_constant)
            files = list(_files(order))
        except (ValueError, RecursionError):
            raise Refused(400, "The request is not JSON.") from None
        for file in files:
            if file is not None and not (isinstance(file, str) and self._ours(file)):
                raise Refused(403, "Only photos that were uploaded to this server can be used.")
        if isinstance(order, dict):
            function = order.get("fn_index")
            if (
                function is not None
                and self._functions is not None
                and not (isinstance(function, int) and function in self._functions)
            ):
                raise Refused(404, f"The page has no event {short(function)}.")
            self._storage.page_shows(str(order.get("session_hash")), [file for file in files if file])
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again


def _address(scope: MutableMapping[str, Any]) -> str:
    """The visitor's address; see `addresses.ForwardedHeaders`."""
    return str((scope.get("client") or ("",))[0])


def _uploaded(answer: bytes) -> list[str]:
    """The paths that Gradio's answer to an upload names."""
    try:
        paths = json.loads(answer)
    except ValueError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


def _length(scope: MutableMapping[str, Any]) -> int:
    """The length a request declares; the server sees to it that no more comes."""
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 15:
        raise Refused(411, "The request does not tell its length.")
    return int(lengths[0])


def _timely(receive: Receive, size: int) -> Receive:
    """A `receive` whose body, of `size` bytes, keeps coming. Refused when it falls silent or is too slow in all."""
    limit = 2 * SILENCE_SECONDS + size / SLOWEST
    end = current_time() + limit
    more = True

    async def timely() -> Message:
        nonlocal more
        if not more:  # what still comes is that the client has left, whenever that is
            return await receive()
        left = end - current_time()
        try:
            with fail_after(max(0.0, min(SILENCE_SECONDS, left))):
                message = await receive()
        except TimeoutError:
            if left < SILENCE_SECONDS:
                raise Refused(408, f"The request took more than {limit:.0f} s; use a faster line for it.") from None
            raise Refused(408, f"Nothing came of the request for {SILENCE_SECONDS:g} s; send it again.") from None
        more = message.get("more_body", False)
        return message

    return timely


async def _roomy(look: Callable[..., Result], *sizes: Any) -> Result:
    """What a look for room returns, which may delete files: not for the event loop. Refused if the disk is full."""
    try:
        return await to_thread.run_sync(look, *sizes)
    except Full as error:
        raise Refused(507, str(error)) from None


def _files(value: Any) -> Iterator[Any]:
    """Every `path` in a request, wherever it stands: Gradio takes any object that has one for a file."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        for item in value.values():
            yield from _files(item)
    elif isinstance(value, list):
        for item in value:
            yield from _files(item)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 408:  # nobody waits for the rest of it
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
