"""What may be asked over HTTP, as an ASGI middleware in front of Gradio.

Gradio serves far more than this product needs: proxies, fetching of URLs, an editor, recordings. Only the routes below
are open. A request may name no file but one that was uploaded here or belongs to the page, and so no address either;
bodies are bounded before anything reads them, in the time they take, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qs

from anyio import to_thread
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.config import Config
from demo.gradio_patches import file_comes
from demo.server.addresses import Rate
from demo.server.bodies import DataUris, Refused, length, timely
from demo.server.limits import short
from demo.server.messages import DISK_FULL, is_disk_full
from demo.server.storage import Full, Storage

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
JOB = re.compile(rf"{API}/(queue/join|call/\w+|call/v2/\w+)/?")  # a tool joins the queue, too
PAGE = re.compile(rf"{API}/heartbeat/(\w+)")
LISTEN = re.compile(rf"{API}/(queue/data|call/\w+/(\w+))")
TOOLS = re.compile(rf"{API}/mcp/?")  # a call of a tool is a POST; who would listen there is told that it need not
WAIT = 0.25  # seconds before an address that asks too often is answered
BODY_BYTES = 2**20  # an order names its photos, it does not hold them; a tool may be given them as data URIs

log = logging.getLogger(__name__)


class Guard:
    """Lets through to `app` what is allowed. `public` are the files that belong to the page.

    `sessions` are those that Gradio has messages for, `functions` the page's events: it fails on others, at length.
    """

    def __init__(
        self,
        app: ASGIApp,
        storage: Storage,
        public: Iterable[str],
        upload_bytes: int,
        config: Config,
        sessions: Container[str] | None = None,
        functions: Container[int] | None = None,
    ) -> None:
        self._app = app
        self._upload_files = config.max_photos  # of one request
        # How often one address may do what.
        self._requests = Rate(config.requests_per_minute)
        self._jobs, self._files = Rate(config.jobs_per_minute), Rate(config.files_per_minute)
        self._sessions = sessions
        self._functions = functions
        self._storage = storage
        self._public = frozenset(map(os.path.realpath, public))
        self._upload_bytes = upload_bytes  # of one request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})
        try:
            path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
            address = _address(scope)
            if not self._requests.take(address):
                raise Refused(429, "Too many requests come from your address; try again in a minute.")
            self._check_route(scope["method"], path, scope["query_string"])
            if scope["method"] == "POST" and path.rstrip("/") == UPLOAD:
                await self._upload(scope, receive, send)
            elif scope["method"] == "POST" and TOOLS.fullmatch(path):
                await self._call_tool(scope, receive, send)
            elif scope["method"] == "POST":
                if JOB.fullmatch(path) and not self._jobs.take(address):
                    raise Refused(429, "Busy: your address has asked for many films; try again in a minute.")
                if (size := length(scope)) > BODY_BYTES:
                    raise _too_large()
                await self._pass(scope, self._again(await self._checked(timely(receive, size)), receive), send)
            elif page := PAGE.fullmatch(path):
                with self._storage.page_open(page[1]):
                    await self._pass(scope, receive, send)
            else:
                await self._pass(scope, receive, send)
        except Refused as refusal:
            if refusal.status == 429:
                await asyncio.sleep(WAIT)  # who asks again at once would keep the server busy with refusals
            await _answer(refusal.status, str(refusal))(scope, receive, send)
        except OSError as error:  # while files were written here
            if not is_disk_full(error):
                raise
            log.error("%s failed, the disk is full: %s", scope["method"], error)
            await _answer(507, DISK_FULL)(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
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
                refused = Refused(507, DISK_FULL)
            else:
                log.exception("%s %s failed", scope["method"], scope["path"].partition("=")[0][:200])
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

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an upload through if there is room for it; it takes the room while it comes in, and no sooner."""
        size, owner = length(scope), _address(scope)
        self._check_size(size)
        receive_in_time, answer = timely(receive, size), b""

        async def received() -> Message:
            message = await receive_in_time()
            await incoming.bytes(len(message.get("body", b"")))
            return message

        async def sent(message: Message) -> None:
            nonlocal answer
            answer += message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await to_thread.run_sync(self._storage.add, _uploaded(answer), owner)  # before anybody can use it
            await send(message)

        await _roomy(self._storage.check_room, size, owner)
        with self._storage.upload(size, owner) as make_room:
            incoming = Incoming(make_room, self._upload_files, self._files, owner)
            told = file_comes.set(incoming.file)
            try:
                await self._pass(scope, received, sent)
            finally:
                file_comes.reset(told)

    async def _call_tool(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the call of a tool through; the files that it holds as data URIs count as uploads."""
        size, owner = length(scope), _address(scope)
        self._check_size(size)
        with (
            self._storage.upload(size, owner) as make_room,
            DataUris(self._storage.folder, FILE, lambda: incoming.file()) as uris,
        ):
            incoming = Incoming(make_room, self._upload_files, self._files, owner)

            async def without_files(part: bytes, last: bool) -> bytes:
                rest = uris.without(part, last)
                await incoming.bytes(len(part), to_keep=bool(uris.paths))
                return rest

            body = await self._checked(timely(receive, size), without_files)
            await to_thread.run_sync(self._storage.add, list(map(str, uris.paths)), owner)
        headers = [header for header in scope["headers"] if header[0].lower() != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        await self._pass({**scope, "headers": headers}, self._again(body, receive), send)

    def _check_size(self, size: int) -> None:
        if size > self._upload_bytes:
            limit = self._upload_bytes // 2**20
            raise Refused(413, f"The upload has {size / 2**20:.0f} MB; at most {limit} MB are taken at once.")

    async def _checked(
        self, receive: Receive, without_files: Callable[[bytes, bool], Awaitable[bytes]] | None = None
    ) -> bytes:
        """The body of a request, which names no file but ours."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "The request ended early.")
            part, more = message.get("body", b""), message.get("more_body", False)
            body += await without_files(part, not more) if without_files else part
            if len(body) > BODY_BYTES:
                raise _too_large()
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
        return body

    @staticmethod
    def _again(body: bytes, receive: Receive) -> Receive:
        """A `receive` that gives a body which was read already."""
        left = [body]

        async def again() -> Message:
            return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

        return again


class Incoming:
    """The files of one request while they come in: they get room on the disk as they come and count for `owner`."""

    def __init__(self, make_room: Callable[[int, int], int], most: int, rate: Rate, owner: str) -> None:
        self._make_room, self._most, self._rate, self._owner = make_room, most, rate, owner
        self._came = self._room = self._files = 0

    async def bytes(self, count: int, to_keep: bool = True) -> None:
        """So many bytes have come; those before the first that are to be kept need no room."""
        self._came += count
        if to_keep and self._came > self._room:
            self._room = await _roomy(self._make_room, self._came, self._files)

    def file(self) -> None:
        """Another file comes."""
        self._files += 1
        if self._files > self._most:
            raise Refused(413, f"The upload has too many files; at most {self._most} are taken at once.")
        if not self._rate.take(self._owner):
            raise Refused(429, "Your address has uploaded many files; try again in a minute.")
        try:
            self._make_room(self._came, self._files)
        except Full as error:
            raise Refused(507, str(error)) from None


def _too_large() -> Refused:
    return Refused(413, f"The request is too large; at most {BODY_BYTES // 2**10} kB are taken.")


def _address(scope: Scope) -> str:
    """The visitor's address; see `addresses.ForwardedHeaders`."""
    return str((scope.get("client") or ("",))[0])


def _uploaded(answer: bytes) -> list[str]:
    """The paths that Gradio's answer to an upload names."""
    try:
        paths = json.loads(answer)
    except ValueError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


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


def _answer(status: int, text: str) -> JSONResponse:
    close = {"connection": "close"} if status == 408 else None  # nobody waits for the rest of it
    return JSONResponse({"detail": text}, status, close)
