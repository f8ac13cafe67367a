"""What may be asked over HTTP, as an ASGI middleware in front of Gradio.

Gradio serves far more than this product needs: proxies, fetching of URLs, an editor, recordings. Only the routes below
are open. A request may name no file but one that was uploaded here or belongs to the page, and so no address either;
bodies are bounded before anything reads them, in the time they take, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Container, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.config import Config
from demo.gradio_patches import file_comes
from demo.server.addresses import Rate, visitor
from demo.server.bodies import DataUris, Incoming, Refused, again, length, roomy, timely
from demo.server.limits import short
from demo.server.messages import DISK_FULL, is_disk_full
from demo.server.storage import Storage, real

API = "/gradio_api"
FILE = f"{API}/file="
UPLOAD = f"{API}/upload"
READ = re.compile(
    r"/|/health|/config/?|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/pwa_icon(/\d{2,3})?"
    r"|/(assets|static|svelte)/.+"
    rf"|{API}/(theme\.css|info/?|openapi\.json|app_id/?|startup-events|heartbeat/\w+|upload_progress)"
    rf"|{API}/(mcp/schema|queue/data|call/\w+/\w+|stream/.+|file=.+)"
)
WRITE = re.compile(rf"{UPLOAD}|{API}/(queue/join|cancel|reset|call/\w+|run/\w+|api/\w+|mcp)/?")
JOB = re.compile(rf"{API}/(queue/join|call/\w+)/?")  # a tool joins the queue, too
PAGE = re.compile(rf"{API}/heartbeat/(\w+)")
LISTEN = re.compile(rf"{API}/(queue/data|call/\w+/(\w+))")
TOOLS = re.compile(rf"{API}/mcp/?")  # a call of a tool is a POST; who would listen there is told that it need not
WAIT = 0.25  # seconds before an address that asks too often is answered
# What costs more than a request counts as several.
WHOLE = re.compile(r"/|/config/?")  # the page, some 25 ms of the one thread that answers everybody
WHOLE_COST = 10
NEW_SESSION_COST = 30  # Gradio keeps the state of some hundred sessions
KNOWN_SESSIONS = 10_000
NAME_LENGTH = 100  # of a session, which a client makes up
COUNTED_BYTES, COUNTED_FILES = 16 * 1024, 8  # of an order, that count as a request: both are looked through
NAMED = 4  # times as many files as an upload may have: those of a page, and some twice
LISTENERS = 100  # of one address, at the same time: each is looked after 20 times in a second
QUERY_BYTES = 4096
BODY_BYTES = 2**20  # an order names its photos, it does not hold them; a tool may be given them as data URIs

TOO_OFTEN = "Too many requests come from your address; try again in a minute."
TOO_LARGE = f"The request is too large; at most {BODY_BYTES // 2**10} kB are taken."
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
        sessions: Container[str],
        functions: Container[int],
    ) -> None:
        self._app = app
        self._upload_files = config.max_photos  # of one request
        # How often one address may do what.
        self._requests = Rate(config.requests_per_minute)
        self._jobs, self._files = Rate(config.jobs_per_minute), Rate(config.files_per_minute)
        self._listeners: list[str] = []  # addresses
        self._known_sessions: set[str] = set()
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
        scope = {**scope, "client": (visitor(scope), 0)}
        try:
            return await self._let(scope, receive, send)
        except Refused as error:
            refusal = error
        except Exception as error:
            if not is_disk_full(error):
                raise
            log.error("%s failed, the disk is full: %s", scope["method"], error)
            refusal = Refused(507, DISK_FULL)
        if refusal.status == 429:
            await asyncio.sleep(WAIT)  # who asks again at once would keep the server busy with refusals
        close = {"connection": "close"} if refusal.status == 408 else None  # nobody waits for the rest of it
        await JSONResponse({"detail": str(refusal)}, refusal.status, close)(scope, receive, send)

    async def _let(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through. Refused, or OSError for a full disk, unless an answer has begun."""
        path, method = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/")), scope["method"]
        address = scope["client"][0]
        self._count(address, WHOLE_COST if WHOLE.fullmatch(path) else 1)
        self._check_route(method, path, scope["query_string"])
        if method != "POST":
            with self._open(path, address):
                await self._pass(scope, receive, send)
        elif path.rstrip("/") == UPLOAD:
            await self._upload(scope, receive, send)
        elif TOOLS.fullmatch(path):
            await self._call_tool(scope, receive, send)
        else:
            if JOB.fullmatch(path) and not self._jobs.take(address):
                raise Refused(429, "Busy: your address has asked for many films; try again in a minute.")
            if (size := length(scope)) > BODY_BYTES:
                raise Refused(413, TOO_LARGE)
            body = await self._checked(Request(scope, timely(receive, size)).stream(), address)
            await self._pass(scope, again(body, receive), send)

    @contextlib.contextmanager
    def _open(self, path: str, address: str) -> Iterator[None]:
        """While what was asked for by GET is answered, which may be for as long as a page is open. Refused."""
        if page := PAGE.fullmatch(path):
            with self._storage.page_open(page[1]):
                yield
        elif LISTEN.fullmatch(path):
            if self._listeners.count(address) >= LISTENERS:
                raise Refused(429, "Too many films are listened to from your address; try again when one is finished.")
            self._listeners.append(address)
            try:
                yield
            finally:
                self._listeners.remove(address)
        else:
            yield

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to Gradio; where that fails, it is said in a sentence and in one line of the log."""
        started = failed = False

        async def sent(message: Message) -> None:
            nonlocal started, failed
            failed = failed or message.get("status") == 500  # Gradio has logged why, its answer has no words
            started = not failed
            if started:
                await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            failed = True
            if not started and (isinstance(error, Refused) or is_disk_full(error)):  # while its body was read
                raise
            log.exception("%s %s failed", scope["method"], scope["path"].partition("=")[0][:200])
        if failed and not started:
            raise Refused(400, "The request cannot be understood.")

    def _check_route(self, method: str, path: str, query: bytes) -> None:
        given = parse_qs(query[:QUERY_BYTES].decode("latin-1"))
        if method == "GET" and TOOLS.fullmatch(path):
            raise Refused(405, "Tools are called by POST; there is nothing to listen to.")
        allowed = {"GET": READ, "HEAD": READ, "POST": WRITE}.get(method)
        if allowed is None or not allowed.fullmatch(path) or len(query) > QUERY_BYTES or "deep_link" in given:
            raise Refused(404, "There is nothing at this address.")
        session = LISTEN.fullmatch(path)
        if session and (session[2] or "".join(given.get("session_hash", []))) not in self._sessions:
            raise Refused(404, "There is no such session; it may have expired.")
        if path.startswith(FILE) and not self._ours(path.removeprefix(FILE)):
            raise Refused(403, "Only the page's own files and your own films can be read.")

    def _ours(self, path: str) -> bool:
        """Whether a path names a file of the page, or one that was uploaded or made here."""
        followed = real(path)
        return followed in self._public or self._storage.keeps(followed)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an upload through if there is room for it; it takes the room while it comes in, and no sooner."""
        size, owner, answer = self._size(scope), scope["client"][0], b""
        receive_in_time = timely(receive, size)

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

        await roomy(self._storage.check_room, size, owner)
        with self._storage.room(owner) as enlarge:
            incoming = Incoming(enlarge, size, self._upload_files, lambda: self._files.take(owner))
            file_comes.set(incoming.file)
            await self._pass(scope, received, sent)

    async def _call_tool(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the call of a tool through; the files that it holds as data URIs count as uploads."""
        size, owner = self._size(scope), scope["client"][0]
        with (
            self._storage.room(owner) as enlarge,
            DataUris(self._storage.folder, FILE, lambda: incoming.file()) as uris,
        ):
            incoming = Incoming(enlarge, size, self._upload_files, lambda: self._files.take(owner))

            async def without_files() -> AsyncIterator[bytes]:
                async for part in Request(scope, timely(receive, size)).stream():
                    yield uris.without(part, last=not part)
                    if uris.paths:  # what came before needs no room
                        await incoming.bytes(len(part))

            body = await self._checked(without_files(), owner)
            await to_thread.run_sync(self._storage.add, list(map(str, uris.paths)), owner)
        headers = [header for header in scope["headers"] if header[0].lower() != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        await self._pass({**scope, "headers": headers}, again(body, receive), send)

    def _size(self, scope: Scope) -> int:
        """The bytes of an upload."""
        if (size := length(scope)) > self._upload_bytes:
            limit = self._upload_bytes // 2**20
            raise Refused(413, f"The upload has {size / 2**20:.0f} MB; at most {limit} MB are taken at once.")
        return size

    def _count(self, address: str, times: int) -> None:
        if not self._requests.take(address, times):
            raise Refused(429, TOO_OFTEN)

    async def _checked(self, parts: AsyncIterator[bytes], address: str) -> bytes:
        """The body of a request, which names no file but ours."""
        body = bytearray()
        try:
            async for part in parts:
                body += part
                if len(body) > BODY_BYTES:
                    raise Refused(413, TOO_LARGE)
            self._count(address, len(body) // COUNTED_BYTES)
            order = json.loads(body, parse_constant=_refuse_constant)
            files = list(_files(order))
        except ClientDisconnect:
            raise Refused(400, "The request ended early.") from None
        except (ValueError, RecursionError):
            raise Refused(400, "The request is not JSON.") from None
        self._count(address, len(files) // COUNTED_FILES)
        if len(files) > NAMED * self._upload_files:
            raise Refused(413, f"The request names {len(files)} files, which is too many.")
        for file in files:
            if file is not None and not (isinstance(file, str) and self._ours(file)):
                raise Refused(403, "Only photos that were uploaded to this server can be used.")
        if isinstance(order, dict):
            function = order.get("fn_index")
            if function is not None and not (isinstance(function, int) and function in self._functions):
                raise Refused(404, f"The page has no event {short(function)}.")
            if len(session := str(order.get("session_hash", ""))) > NAME_LENGTH:
                raise Refused(400, f"The session's name {short(session)} is too long.")
            if session and session not in self._known_sessions:
                self._count(address, NEW_SESSION_COST)
                if len(self._known_sessions) >= KNOWN_SESSIONS:
                    self._known_sessions.clear()
                self._known_sessions.add(session)
            self._storage.page_shows(session, [file for file in files if file])
        return bytes(body)


def _uploaded(answer: bytes) -> list[str]:
    """The paths that Gradio's answer to an upload names."""
    try:
        paths = json.loads(answer)
    except ValueError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


def _files(order: Any) -> Iterator[Any]:
    """Every `path` in a request, wherever it stands: Gradio takes any object that has one for a file."""
    left = [order]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "path" in value:
                yield value["path"]
            left += value.values()
        elif isinstance(value, list):
            left += value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
