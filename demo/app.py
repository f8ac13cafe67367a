"""The demo: photos become a film, and a video slow motion. `python app.py` serves it.

Nothing is computed here: `ui` says how the page looks and how a film's events are shown, `server` how strangers share
the machine, `film` makes the film. Importing it loads neither a model nor TensorFlow.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.api import mcp
from demo.api.endpoints import add_endpoints
from demo.config import Config
from demo.gradio_patches import bound_forms, client_address, keep_in, keep_messages, serve_with, while_polled
from demo.server import connections, json_logging
from demo.server.http_guard import Guard
from demo.server.job_requests import OutputOptions
from demo.server.job_service import JobService
from demo.server.malloc import limit_malloc_arenas
from demo.ui import html, layout, plan, updates
from demo.ui.components import Page, forget_streams, limit_streams, streamed
from demo.ui.uploads import Uploads, refused
from film.hub import download
from film.media import images
from film.rendering import planning
from film.support import memory, tempdirs

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DEFAULT_SIDE = 1024

THREADS = 40  # beside those that wait in the line or compute: for what is answered at once
QUEUE = 200  # requests that reached Gradio and not yet the line, which is a matter of milliseconds
SESSIONS = 500  # pages whose state Gradio keeps; it would be 10,000, some hundred kB each
UPLOAD_SHARE = 4  # one request may upload a quarter of the disk's room
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
QUICK: dict[str, Any] = {**HIDDEN, "queue": False}
QUEUED: dict[str, Any] = {"concurrency_limit": None}  # the job queue decides

logger = logging.getLogger("film.app")


def example_pairs(folder: Path = EXAMPLES) -> list[tuple[str, str]]:
    """(first photo, last photo) of each pair in the examples folder."""
    return [(str(last.with_name("first.jpg")), str(last)) for last in sorted(folder.glob("*/last.jpg"))]


def samples(folder: Path = EXAMPLES) -> tuple[list[str], list[str]]:
    """A clip and a burst of photos, for the tabs whose visitors have nothing at hand; empty where there is none."""
    return sorted(map(str, folder.glob("sample/*.mp4"))), sorted(map(str, folder.glob("sample/burst-*.jpg")))


def open_service(config: Config) -> JobService:
    """Where all visitors' requests go."""
    return JobService(config, Path(get_upload_folder()))


def default_side(sides: Sequence[int]) -> int:
    """The longest side that the page offers first."""
    return max((side for side in sides if side <= DEFAULT_SIDE), default=sides[0])


def build_app(service: JobService | None = None, examples: Path = EXAMPLES) -> gr.Blocks:
    """The page and its endpoints; without a service, as the environment says. ValueError as in `JobService`."""
    service = service or open_service(Config.read(os.environ))
    config, limits = service.config, service.limits
    options = OutputOptions(config.model, config.device, default_side(limits.sides))
    pairs = example_pairs(examples)
    gr.set_static_paths([examples])

    with Page(title=html.TITLE, analytics_enabled=False) as app:
        clips, burst = samples(examples)
        page = layout.build(service, options, pairs, bool(clips and burst))
        wire(app, page, service, pairs, clips, burst)
        add_endpoints(app, service, options, min(planning.DEFAULT_DEPTH, max(limits.depths)), **QUEUED)
    service.storage.on_removed = lambda gone: [files.difference_update(gone) for files in app.temp_file_sets]
    app.queue(max_size=QUEUE, api_open=False)
    keep_messages(app)
    return app


def wire(
    app: gr.Blocks,
    page: layout.Layout,
    service: JobService,
    pairs: Sequence[tuple[str, str]],
    clips: Sequence[str],
    burst: Sequence[str],
) -> None:
    """What happens when somebody clicks."""
    inputs, parts = page.inputs, page.parts
    asked, state, refusal = list(inputs.values()), parts["state"], parts["refused"]
    shown = [parts[name] for name in updates.STARTED]
    uploads = Uploads(service)

    def changes(values: updates.Changes) -> dict[Any, Any]:
        return {parts[name]: value for name, value in values.items()}

    def show_plan(*values: Any) -> tuple[Any, ...]:
        return plan.show_plan(lambda: page.job_request(values), service)

    def show_film(request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
        limit_streams(app)
        shown = updates.show(lambda: page.job_request(values), service, client_address(request))
        yield from map(changes, while_polled(app, request.session_hash, shown))

    def begin(request: gr.Request) -> dict[Any, Any]:
        forget_streams(app, request.session_hash)
        return changes(updates.STARTED)

    def keep_stopped(request: gr.Request, told: str) -> dict[Any, Any]:
        return changes(updates.stopped(told, streamed(app, request.session_hash), service))

    # One event for all, so that what an earlier choice would have cost never replaces what a later one does.
    planned = [parts["plan"], inputs["model"]]
    chosen = [app.load, *(control.change for control in asked)]
    gr.on(chosen, show_plan, asked, planned, trigger_mode="always_last", **QUICK)
    for place in ("first", "last"):
        photo = inputs[place]
        photo.upload(partial(uploads.check_photo, place=place), photo, [photo, refusal], **QUICK)
    known, photos, clip = gr.State([]), inputs["photos"], inputs["video"]
    photos.upload(uploads.check_photos, [photos, known], [photos, known, refusal], **QUICK)
    photos.change(uploads.contact_sheet, photos, parts["sheet"], **QUICK)
    parts["sheet"].input(uploads.reordered, photos, photos, **QUICK)
    clip.upload(uploads.check_video, clip, [clip, refusal], **QUICK)
    clip.change(uploads.trim, clip, [parts["trim"], inputs["start"], inputs["end"]], **QUICK)
    pair = [inputs["first"], inputs["last"], refusal]
    parts["gallery"].click(lambda index: (*pairs[index], refused()), parts["gallery"], pair, **QUICK)
    parts["burst"].click(lambda: (burst, burst, refused()), None, [photos, known, refusal], **QUICK)
    parts["sample"].click(lambda: (clips[0], refused()), None, [clip, refusal], **QUICK)
    ready = [inputs[name] for name in ("kind", "first", "last", "photos", "video")]
    gr.on([control.change for control in ready], uploads.next_step, [*ready, state], state, **QUICK)

    create, stop, preview = (parts[name] for name in ("create", "stop", "preview"))
    made = create.click(begin, None, shown, **QUICK).then(show_film, asked, shown, **HIDDEN, **QUEUED)
    stop.click(lambda: changes(updates.STOPPED), None, shown, cancels=[made], **QUICK)
    made.failure(keep_stopped, preview, shown, **QUICK)  # a film that is stopped fails, too
    made.then(show_plan, asked, planned, **QUICK)  # a speed has been learnt
    # What was stopped goes on only as it was asked for.
    gr.on([control.change for control in asked], None, None, create, js="() => 'Create'", **HIDDEN)
    for format in layout.OTHERS:
        export, button = partial(updates.export, format=format, handler=service), parts[f"as-{format}"]
        button.click(export, parts["finished"], [parts["download"], state, button], **HIDDEN, **QUEUED)


def gate(app: gr.Blocks, service: JobService) -> dict[str, Any]:
    """What stands before Gradio's own routes: the guard, and an answer that needs none of its threads."""

    async def health(_: Request) -> JSONResponse:
        return JSONResponse(service.health())

    storage = service.storage
    examples = [str(path) for kind in ("*/*.jpg", "*/*.mp4") for path in EXAMPLES.glob(kind)]
    guard = Middleware(
        Guard,
        storage,
        examples,
        storage.ceiling // UPLOAD_SHARE,
        service.config,
        app._queue.pending_messages_per_session,
        app.fns,
    )
    return {"middleware": [guard], "routes": [Route("/health", health)]}


def compile_ahead(service: JobService) -> None:
    """Compile the page's first choice of model for the examples' size, in the background."""
    config = service.config
    for pair in example_pairs()[:1]:
        size = images.common_size(
            [images.image_size(photo) for photo in pair], default_side(service.limits.sides) or None
        )
        service.model_cache.warm_up(config.model, config.device, size)


def check_address(host: str, port: int) -> None:
    """ValueError, with the system's own words, if nothing can be served there. (Gradio names settings of its own.)"""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        words = f"Nothing can be served at {host}:{port} ({error.strerror})"
        raise ValueError(f"{words}; choose another FILM_HOST or FILM_PORT.") from None


def main() -> None:
    limit_malloc_arenas()  # before there are threads
    json_logging.to_standard_error()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder is removed then, too
    with tempdirs.folder(prefix="film-page-", background=True) as folder:
        serve(folder)
    logging.shutdown()
    os._exit(0)  # films in the making end here: their threads compute in C++, which cannot be told to stop


def serve(folder: Path) -> None:
    """Serve until SIGTERM or Ctrl-C, with everything temporary in `folder`. SystemExit if nothing can be served."""
    keep_in(folder)
    examples = folder / "examples"  # so that the page does not tell where this program lies
    try:
        examples.symlink_to(EXAMPLES)
    except OSError:  # Windows, to most users
        examples = EXAMPLES
    try:
        config = Config.read(os.environ)
        check_address(config.host, config.port)
        memory.budget(), download.time_limit()  # what is set there is refused now, not in a visitor's film
        service = open_service(config)
        app = build_app(service, examples)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    storage = service.storage
    tempfile.tempdir = str(storage.scratch)  # all that is written counts
    bound_forms()
    serve_with(partial(connections.limit, config=config))
    storage.keep_swept()
    service.sandbox.start()
    compile_ahead(service)
    logger.info("serving at http://%s:%d", config.host, config.port)
    mcp.offer(storage)
    # Gradio announces it on standard output, which is the log, whatever `quiet` says.
    with contextlib.redirect_stdout(io.StringIO()):
        app.launch(
            server_name=config.host,
            server_port=config.port,
            max_threads=config.max_running + config.max_waiting + THREADS,
            max_file_size=config.max_upload_bytes,
            state_session_capacity=SESSIONS,
            theme=html.theme(),
            css_paths=html.STYLE,
            favicon_path=html.ICON,
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
            quiet=True,
            prevent_thread_lock=True,
            mcp_server=True,
            app_kwargs=gate(app, service),
        )
    with contextlib.redirect_stdout(sys.stderr):  # a line of the log, too
        app.block_thread()
