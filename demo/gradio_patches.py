"""Where Gradio needs other behaviour than its own; each function says why. Checked with Gradio 6.31."""

from __future__ import annotations

import os
import time
from asyncio import Event, Queue
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import uvicorn
from gradio import component_meta, http_server, queueing, route_utils, routes
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException

FIELD_BYTES = 64 * 2**10  # of all fields of one form that are no files; the page sends none
UPLOADS = 1000  # whose progress is remembered
SESSIONS = 2000  # whose messages are kept, beside those for which something is made now
SILENCE_SECONDS = 60.0  # without a message being fetched; a program may send its order first and listen then
UNHEARD_SECONDS = 20.0  # that a job waits for somebody to listen before it is dropped
LOOK_SECONDS = 0.05

T = TypeVar("T")

# Told of each file of an upload before it is written; what it raises ends the upload. The guard sets it.
file_comes: ContextVar[Callable[[], None] | None] = ContextVar("file_comes", default=None)


class Messages(OrderedDict[str, Queue[Any]]):
    """The messages to each session; of too many those go first for which nothing is made any more, the oldest first."""

    def __init__(self, queue: queueing.Queue) -> None:
        super().__init__()
        self._queue = queue

    def __setitem__(self, session: str, messages: Queue[Any]) -> None:
        super().__setitem__(session, messages)
        if len(self) > SESSIONS:
            kept = {session, *(event.session_hash for event in self._events())}
            for old in [old for old in self if old not in kept][: len(self) - SESSIONS]:
                del self[old]
                self._queue.pending_event_ids_session.pop(old, None)

    def _events(self) -> Iterator[queueing.Event]:
        """What is made now, or about to be."""
        for job in self._queue.active_jobs:
            yield from job or ()
        for waiting in self._queue.event_queue_per_concurrency_id.values():
            yield from waiting.queue


def keep_messages(blocks: gr.Blocks) -> None:
    """Keep the messages to everybody for whom something is made. To be called once, after `queue`.

    Gradio keeps those of the latest 2,000 sessions: so many that listen to nothing would end everybody else's films.
    """
    blocks._queue.pending_messages_per_session = Messages(blocks._queue)  # type: ignore[assignment]


def client_address(request: gr.Request | None) -> str:
    """The address a request came from; "" if it came from none."""
    return request.client.host if request and request.client else ""


def while_polled(blocks: gr.Blocks, session: str | None, told: Iterator[T]) -> Iterator[T]:
    """What is told, once the client polls and for as long as it does; then `told` is closed, as if it had left.

    Gradio would make a film to its end though nobody fetches a message. A generator that was not begun has done
    nothing: it holds no slot of the queue.
    """

    def unheard() -> bool:
        messages = blocks._queue.pending_messages_per_session.get(session or "")
        return bool(messages and not messages.empty())

    heard = time.monotonic()
    with closing(told):  # type: ignore[type-var]
        while unheard():
            if time.monotonic() - heard > UNHEARD_SECONDS:
                return
            time.sleep(LOOK_SECONDS)
        heard = time.monotonic()
        for each in told:
            if not unheard():
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_SECONDS:
                return
            yield each


class BoundedForm(route_utils.GradioMultiPartParser):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._field_bytes = 0

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._current_part.content_disposition or b"")
        if b"filename" in options and (told := file_comes.get()):
            told()
        super().on_headers_finished()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self._field_bytes += end - start
            if self._field_bytes > FIELD_BYTES:
                raise MultiPartException("The form holds more than its files.")
        super().on_part_data(data, start, end)

    async def parse(self) -> FormData:
        try:
            return await super().parse()
        except BaseException:
            for file in self._files_to_close_on_error:
                with suppress(OSError):  # on a full disk what is left to be written cannot be
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            raise


class Latest(defaultdict[str, Any]):
    """The latest uploads whose progress was asked for, by the names that clients make up; Gradio would keep all."""

    def __setitem__(self, upload: str, value: Any) -> None:
        super().__setitem__(upload, value)
        while len(self) > UPLOADS:
            del self[next(iter(self))]


def bound_forms() -> None:
    """From now on Gradio keeps no more of a form in memory, and deletes what came of an upload that breaks off."""
    route_utils.GradioMultiPartParser = BoundedForm  # type: ignore[misc]
    routes.file_upload_statuses._signals = Latest(Event)
    routes.file_upload_statuses._statuses = Latest()


def keep_in(folder: Path) -> None:
    """From now on whatever Gradio writes lies in `folder`; it reads where when it is imported."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder)  # uploads and finished films
    routes.DEFAULT_TEMP_DIR = str(folder)  # a history of edits, which nobody makes here


def serve_with(change: Callable[[uvicorn.Config], object]) -> None:
    """From now on `launch`, which takes no settings of uvicorn's, serves with those that `change` has changed."""

    class Server(http_server.Server):
        def __init__(self, config: uvicorn.Config, *arguments: Any, **options: Any) -> None:
            super().__init__(config, *arguments, **options)
            change(config)

    http_server.Server = Server  # type: ignore[misc]


def write_no_stubs() -> None:
    """From now on declaring a component writes no `.pyi` beside its source."""
    component_meta.create_or_modify_pyi = lambda *_: None
