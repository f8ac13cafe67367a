"""Events -> what changes on the page. One way to show a film, whatever it is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gradio as gr

import film
from demo.server.job_queue import Waiting
from demo.server.job_requests import FORMATS, PLAYED, JobRequest, PhotoRequest, RequestHandler
from demo.server.messages import message
from demo.ui.comparison import Comparison
from demo.ui.components import StreamSegment
from demo.ui.html import error_html, state_html, strip_html, time_text
from demo.ui.thumbnails import Filmstrip
from film.rendering import planning
from film.rendering.events import Done, Notice, Progress, Segment, Stage

Changes = dict[str, Any]  # new values of some of the page's outputs, by their names; the others stay as they are

OUTPUTS = ("player", "refused", "state", "strip", "download", "compare", "create", "stop")
READY: Changes = {"create": gr.update(interactive=True), "stop": gr.update(interactive=False)}
STARTED: Changes = {
    "player": gr.update(value=None),
    "refused": gr.update(visible=False),
    "state": state_html("Waiting for a free place", done=0),
    "strip": strip_html(Filmstrip().cells),
    "download": gr.update(value=None, visible=False),
    "compare": gr.update(value=None),
    "create": gr.update(interactive=False),
}
BEGUN: Changes = {"stop": gr.update(interactive=True)}  # no sooner: what has not begun cannot be stopped
STOPPED: Changes = {**READY, "state": state_html("Stopped")}


def show(ask: Callable[[], JobRequest], handler: RequestHandler) -> Iterator[Changes]:
    """A film on the page, from its order to its end. What goes wrong is told in a sentence, and what plays stays."""
    notes: list[str] = []
    strip = Filmstrip()
    yield BEGUN
    try:
        job_request = handler.checked(ask())
        comparison = compared(job_request)
        with closing(handler.make(job_request)) as events:
            for event in events:
                match event:
                    case Waiting():
                        yield {"state": state_html(*waiting_text(event), done=0)}
                    case Notice():
                        notes.append(event.text)
                    case Stage():
                        yield {"state": state_html(event.text, done=0, notes=notes)}
                    case Progress():
                        changes: Changes = {"state": progress_html(event, notes)}
                        if strip.take(event):
                            changes["strip"] = strip_html(strip.cells)
                        if comparison and (pair := comparison.take(event)):
                            changes["compare"] = pair
                        yield changes
                    case Segment():
                        yield {"player": StreamSegment(event.path.read_bytes(), event.duration)}
                    case Done():
                        yield finished(event, notes)
    except Exception as error:
        yield {"state": error_html(message(error))}
    yield READY


def compared(job_request: JobRequest) -> Comparison | None:
    """What the film's middle is compared with; of a video nobody knows where its frames will lie."""
    if not isinstance(job_request, PhotoRequest):
        return None
    try:
        depth = None if job_request.count else job_request.depth
        return Comparison(
            planning.moments(len(job_request.files), depth, job_request.count, play=job_request.options.play)
        )
    except ValueError:
        return None  # there will be no film; `show` tells why


def progress_html(event: Progress, notes: list[str]) -> str:
    """How far the film is, of those of unknown length, too."""
    if not event.total:
        return state_html(f"Frame {event.done}", "length unknown", notes=notes)
    left = "" if event.seconds_left is None else f"about {time_text(event.seconds_left)} left"
    return state_html(f"Frame {event.done} of {event.total}", left, event.done / event.total, notes)


def waiting_text(waiting: Waiting) -> tuple[str, str]:
    """The place in the line, and the time until it is reached."""
    wait = "" if waiting.seconds is None else f"about {time_text(waiting.seconds)} until it begins"
    return f"Place {waiting.position} in the line", wait


def finished(event: Done, notes: list[str]) -> Changes:
    """The complete film: in the player if browsers play it, and to be downloaded."""
    size = f"{event.frames} frames, {event.width} × {event.height}, {time_text(event.duration)}"
    device = f"{event.device_text} ({film.devices().get(event.device, 'device')})"
    by = f"made by {event.model} on {device} in {time_text(event.seconds)}"
    kind = event.path.suffix.removeprefix(".")
    changes = {
        "download": gr.update(value=event.path, label=f"Download {FORMATS[kind]}", visible=True),
        "state": state_html(size, by, notes=notes),
    }
    return {**changes, "player": gr.update(value=event.path)} if kind in PLAYED else changes
