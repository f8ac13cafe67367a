"""Events -> what a program that asked over HTTP is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import gradio as gr

from demo.server.job_queue import Waiting
from demo.server.job_requests import JobRequest
from demo.server.job_service import JobService
from demo.server.messages import message
from film.rendering.events import Done, Notice, Progress

Report = tuple[str | None, dict[str, Any]]  # the film's file, and what is known of it


def report(job_request: JobRequest, service: JobService, owner: str = "") -> Iterator[Report]:
    """The place in the line, then the frames as they are made, then the film. gr.Error with one sentence otherwise."""
    notes: list[str] = []
    try:
        with closing(service.make(job_request, owner)) as events:
            for event in events:
                match event:
                    case Waiting():
                        yield None, {"place": event.position, "seconds_until_it_begins": event.seconds}
                    case Notice():
                        notes.append(event.text)
                    case Progress():
                        total = event.total or None
                        yield None, {"done": event.done, "total": total, "seconds_left": event.seconds_left}
                    case Done():
                        facts = {name: value for name, value in asdict(event).items() if name != "path"}
                        facts["fps"] = float(Fraction(event.fps))
                        yield str(event.path), {**facts, "duration": event.duration, "notes": notes}
    except Exception as error:
        raise gr.Error(message(error), print_exception=False) from None
