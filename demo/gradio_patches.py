"""Whether anybody still listens to what is made for him.

Gradio keeps the messages to each session until somebody fetches them, of the latest 2,000 sessions. An order that is
sent and never listened to would be made to its end, and 2,000 of them would take the messages of all whose films are
still in the making, which ends those.
"""

from __future__ import annotations

import time
from asyncio import Queue
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing
from typing import Any, TypeVar

import gradio as gr
from gradio import queueing

SESSIONS = 2000  # whose messages are kept, beside those for which something is made now
SILENCE_SECONDS = 60.0  # without a message being fetched; a program may send its order first and listen then

T = TypeVar("T")


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
    """Keep the messages to everybody for whom something is made. To be called once, after `queue`."""
    blocks._queue.pending_messages_per_session = Messages(blocks._queue)  # type: ignore[assignment]


def while_polled(blocks: gr.Blocks, session: str | None, told: Iterator[T]) -> Iterator[T]:
    """What is told, for as long as somebody fetches it; `told` is closed, as if he had left, once nobody does."""
    heard = time.monotonic()
    with closing(told):  # type: ignore[type-var]
        for each in told:
            messages = blocks._queue.pending_messages_per_session.get(session or "")
            now = time.monotonic()
            if not messages or messages.empty():
                heard = now
            elif now - heard > SILENCE_SECONDS:
                return
            yield each
