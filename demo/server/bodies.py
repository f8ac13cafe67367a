"""How a request's body is read: of a known length, in time, with the files in it on the disk instead of in memory."""

from __future__ import annotations

import base64
import binascii
import contextlib
import mimetypes
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from anyio import current_time, fail_after, to_thread
from starlette.types import Message, Receive, Scope

from demo.server.storage import FILE_COST, Full

SILENCE_SECONDS = 30.0  # without one byte of a body
SLOWEST = 50_000  # bytes per second that a body comes with in all, beside two such silences: the slowest DSL
DATA_URI = re.compile(rb'(?<!\\)"data:((?:[^",\\]|\\/){0,100});base64,')  # as a string in JSON begins
PART_BYTES = 64 * 1024  # that an upload takes at once, at least
HEAD = 220  # bytes that hold the whole of such a beginning
DAMAGED = b'"data:"'  # what stands for a data URI that cannot be decoded


class Refused(Exception):
    """A request that goes no further; the sentence is its answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def length(scope: Scope) -> int:
    """The length a request declares; the server sees to it that no more comes."""
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 15:
        raise Refused(411, "The request does not tell its length.")
    return int(lengths[0])


def timely(receive: Receive, size: int) -> Receive:
    """A `receive` whose body, of `size` bytes, keeps coming. Refused when it falls silent or is too slow in all."""
    limit = 2 * SILENCE_SECONDS + size / SLOWEST
    end = current_time() + limit
    more = True

    async def receive_in_time() -> Message:
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

    return receive_in_time


class DataUris:
    """Writes the data URIs of a JSON body into files below `folder` as the body comes in.

    `address` is put before a file's path where its data URI was. `begun` is called before each file. The files are
    deleted when the context ends with an exception.
    """

    def __init__(self, folder: Path, address: str, begun: Callable[[], object]) -> None:
        self.paths: list[Path] = []
        self._folder, self._address, self._begun = folder, address.encode(), begun
        self._rest = b""  # of what came, not looked at yet
        self._file: IO[bytes] | None = None  # while its data come
        self._damaged = False

    def __enter__(self) -> DataUris:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._file:
            self._file.close()
        if kind is not None:
            for path in self.paths:
                with contextlib.suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()

    def without(self, part: bytes, last: bool) -> bytes:
        """A part of the body with its data URIs replaced, as far as that can be told before the next part."""
        data, told = self._rest + part, b""
        while True:
            if self._file:
                text, quote, data = data.partition(b'"')
                self._rest = self._write(text, bool(quote))
                if not quote:
                    return told
                self._file.close()
                self._file = None
                path = str(self.paths[-1]).encode()
                told += DAMAGED if self._damaged else b'"%s%s"' % (self._address, path)
            elif found := DATA_URI.search(data):
                told, data = told + data[: found.start()], data[found.end() :]
                self._open(found[1].replace(b"\\", b"").split(b";")[0].decode("latin-1"))
            else:
                end = len(data) if last else max(0, len(data) - HEAD)
                self._rest = data[end:]
                return told + data[:end]

    def _open(self, kind: str) -> None:
        self._begun()
        folder = self._folder / secrets.token_hex(32)
        folder.mkdir()
        self.paths.append(folder / f"file{mimetypes.guess_extension(kind) or ''}")
        self._file, self._damaged = self.paths[-1].open("wb"), False

    def _write(self, text: bytes, whole: bool) -> bytes:
        """Decode that much of a data URI; returns what belongs to the next four characters of it."""
        assert self._file
        cut = b"\\" if text.endswith(b"\\") and not whole else b""
        data = text.removesuffix(cut).replace(b"\\/", b"/")  # as some programs write JSON
        end = len(data) - (0 if whole else len(data) % 4)
        try:
            self._file.write(base64.b64decode(data[:end], validate=True))
        except binascii.Error:
            self._damaged = True
        return data[end:] + cut


class Incoming:
    """The files of one request of `size` bytes while they come in: they get room on the disk as they come.

    `take` says whether one more file may come.
    """

    def __init__(self, enlarge: Callable[[int], None], size: int, most: int, take: Callable[[], bool]) -> None:
        self._enlarge, self._size, self._most, self._take = enlarge, size, most, take
        self._came = self._room = self._files = 0

    async def bytes(self, count: int) -> None:
        """So many bytes have come. They get room for as many more: what is only announced takes none."""
        self._came += count
        if self._came > self._room:
            self._room = min(self._size, self._came + max(self._came, PART_BYTES))
            await roomy(self._enlarge, self._room + self._files * FILE_COST)

    def file(self) -> None:
        """Another file comes."""
        self._files += 1
        if self._files > self._most:
            raise Refused(413, f"The upload has too many files; at most {self._most} are taken at once.")
        if not self._take():
            raise Refused(429, "Your address has uploaded many files; try again in a minute.")
        try:
            self._enlarge(self._room + self._files * FILE_COST)
        except Full as error:
            raise Refused(507, str(error)) from None


def again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already."""
    left = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return again


async def roomy(look: Callable[..., None], *sizes: Any) -> None:
    """Look for room, which may delete files: not for the event loop. Refused if the disk is full."""
    try:
        await to_thread.run_sync(look, *sizes)
    except Full as error:
        raise Refused(507, str(error)) from None
