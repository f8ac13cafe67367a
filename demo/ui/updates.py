"""Events -> what changes on the page. One way to show a film, whatever it is made from."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

import film
from demo.server.job_queue import Waiting
from demo.server.job_requests import FORMATS, PLAYED, JobRequest, PhotoRequest, VideoRequest
from demo.server.job_service import BUSY, JobService
from demo.server.messages import message
from demo.ui import exports, plan, stage
from demo.ui.components import StreamSegment
from demo.ui.html import button_html, error_html, size_text, state_html, time_text
from demo.ui.layout import OTHERS
from demo.ui.stage import Preview
from film.media import video_writer
from film.rendering import planning
from film.rendering.events import Done, Level, Notice, Progress, Segment, Stage

logger = logging.getLogger("film.page")

# Where a model could not be fetched from, and the library's words around the reason; the log has them.
DOWNLOAD = re.compile(r" from \S+://\S+ \((?:<urlopen error )?(?:\[Errno -?\d+\] )?(.*?)>?\)\.")

Changes = dict[str, Any]  # new values of some of the page's parts, by their names; the others stay as they are

CREATE = "#create"
FORMAT_BUTTONS = tuple(f"as-{name}" for name in OTHERS)
READY: Changes = {"create": gr.update(value="Create", visible=True), "stop": gr.update(visible=False)}
STARTED: Changes = {  # all that changes while a film is made
    "player": gr.update(value=None),
    "refused": gr.update(visible=False),
    "state": state_html("Waiting for a free place", done=0),
    "preview": "{}",
    "download": gr.update(value=None, visible=False),
    "create": gr.update(visible=False),
    "stop": gr.update(visible=True),
    "finished": None,
    **{name: gr.update(visible=False) for name in FORMAT_BUTTONS},
}
STOPPED: Changes = {**READY, "state": state_html("Stopped")}


def show(ask: Callable[[], JobRequest], handler: JobService, owner: str = "") -> Iterator[Changes]:
    """A film on the page, from its order to its end. What goes wrong is told in a sentence, and what plays stays."""
    notes: list[str] = []
    preview: Preview | None = None
    job_request: JobRequest | None = None
    stage = ""
    try:
        job_request = ask()
        job_request, planned, note = plan.planned(job_request, handler)
        handler.check_files(job_request)
        assert planned
        notes += [note] if note else []
        preview = Preview(handler.storage, *known_facts(job_request, planned))
        yield {"preview": preview.told()}
        with closing(handler.make(job_request, owner)) as events:
            for event in events:
                match event:
                    case Waiting():
                        yield {"state": state_html(*waiting_text(event), done=0)}
                    case Notice():
                        notes.append(event.text)
                    case Stage():
                        stage = event.name
                        yield {"state": state_html(event.text, done=0, notes=notes)}
                    case Progress():
                        changes: Changes = {"state": progress_html(event, notes)}
                        if preview.take(event):
                            changes["preview"] = preview.told()
                        yield changes
                    case Level():
                        preview.by_level = True
                        yield {"preview": preview.told()}
                    case Segment():
                        if not preview.by_level:
                            yield {"player": StreamSegment(event.path.read_bytes(), event.duration)}
                    case Done():
                        yield finished(event, job_request, preview, notes)
    except Exception as error:
        told = DOWNLOAD.sub(r" (\1).", message(error))
        changes = {"state": error_html(told, remedy(error, job_request, stage))}
        yield changes if preview is None else {**changes, "preview": preview.told("failed")}
    yield READY


def remedy(error: Exception, job_request: JobRequest | None, stage: str) -> str:
    """A button for what solves that error, which came at that stage; empty where nothing on the page does."""
    if isinstance(error, BUSY):
        return button_html("Try again", CREATE)
    if job_request is None:
        return ""
    options = job_request.options
    if isinstance(job_request, VideoRequest):
        if not job_request.video:
            return button_html("Take the sample clip", "#sample")
    elif not (all(job_request.photos) and len(job_request.photos) > 1):
        return button_html("Take an example", "#examples .gallery-item, #burst")
    if isinstance(error, RuntimeError) and stage in ("downloading", "converting") and options.model != plan.QUICK:
        return button_html("Make it with Quick", f"#model input[value='{plan.QUICK}']", CREATE)
    if isinstance(error, ValueError) and options.depth_bits != 8 and "bit" in str(error):
        return button_html("Make it in 8 bits", "#bits input[value='8']", CREATE)
    return ""


def known_facts(job_request: JobRequest, planned: planning.Plan) -> tuple[dict[str, Any], list[int]]:
    """What the stage is told of a film before it is made, and the places of its photos."""
    known = {"fps": float(planned.fps), "play": planned.play, "total": planned.frames if planned.length_known else 0}
    if isinstance(job_request, PhotoRequest):
        return known, stage.photo_places(planned.moments)
    return known | {"slowdown": float(job_request.slowdown)}, []


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


def finished(event: Done, job_request: JobRequest, preview: Preview, notes: list[str]) -> Changes:
    """The complete film: in the player if browsers play it, on the stage if it is a picture, and to be downloaded."""
    path = event.path
    kind = path.suffix.removeprefix(".")
    play = job_request.options.play
    frames = plan.frames_text(video_writer.made_frames(event.frames, play), play)
    size = f"{frames}, {event.width} × {event.height}, {time_text(event.duration)}"
    device = f"{event.device_text} ({film.devices().get(event.device, 'device')})"
    pace = f", {time_text(event.seconds_per_frame)} per frame" if event.seconds_per_frame else ""
    by = f"made by {event.model} on {device} in {time_text(event.seconds)}{pace}"
    image = str(path.relative_to(path.parents[1])) if kind in ("gif", "webp") else None
    changes: Changes = {
        "download": download(path),
        "state": state_html(size, by, notes=notes),
        "preview": preview.told("done", image=image),
        "finished": str(path),
    }
    if kind in PLAYED:
        changes["player"] = gr.update(value=path)
        changes |= {f"as-{name}": gr.update(visible=name != kind) for name in OTHERS}
    return changes


def download(path: Path) -> Any:
    """The button that saves a film, with its format and size."""
    format = FORMATS[path.suffix.removeprefix(".")]
    return gr.update(value=path, label=f"Download {format} ({size_text(path.stat().st_size)})", visible=True)


def stopped(told: str, streamed: Sequence[tuple[bytes, float]], handler: JobService) -> Changes:
    """What had been made when a film was stopped or broke off, to be downloaded unless that is too little.

    `told` is what the stage knew, `streamed` the segments that the player had, and how long each lasts.
    """
    storage = handler.storage
    try:
        facts = json.loads(told)
        # The page tells them: what somebody has sent is not opened here, as what was made is.
        frames = {
            int(place): str(name) for place, name in facts["frames"].items() if storage.made(f"{storage.folder}/{name}")
        }
        with handler.exports.turn(storage.folder):
            if streamed:
                made = f"the {time_text(sum(seconds for _, seconds in streamed))} that were made"
                path: Path | None = exports.joined([data for data, _ in streamed], storage)
            else:
                made = f"the {len(frames)} frames that were made"
                path = exports.stopped(frames, float(facts["fps"]), storage)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        logger.info("nothing to keep of a stopped film: %s", error)
        return STOPPED
    if path is None:
        return STOPPED
    goes_on = "slowdown" not in facts  # what photos became is kept; see `server.frame_cache`
    return {
        **STOPPED,
        "create": gr.update(value="Continue" if goes_on else "Create", visible=True),
        "download": download(path),
        "state": state_html(f"Stopped; {made} can be downloaded"),
        "preview": json.dumps(facts | {"state": "stopped"}),
    }


def export(finished: str | None, format: str, handler: JobService) -> tuple[Any, Any, Any]:
    """The finished film in another format: the download, what is told, and the button that asked for it."""
    try:
        path = exports.converted(finished or "", format, handler)
    except Exception as error:
        return gr.skip(), error_html(message(error)), gr.skip()
    return download(path), gr.skip(), gr.update(visible=False)
