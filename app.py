"""The demo: photos become a film, and a video slow motion. `python app.py` serves it.

Nothing is computed here: `page/` says how the page looks, what an order is and how its events are shown, `service/`
how strangers share the machine, `film/` makes the film. Importing it loads neither a model nor TensorFlow.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import film
from film import catalog, engine, hub, images, memory, planning, recursion
from page import look, screen, stage, tools
from page.components import UNSHOWN, Page, forget_streams, limit_streams
from page.endpoints import add_endpoints
from page.filmstrip import CELLS, evenly
from page.forms import bound_forms
from page.listeners import keep_messages, while_heard
from page.look import error_html, time_text
from page.orders import Desk, Making, Order
from page.settings import Settings
from service import log
from service.allocator import few_arenas
from service.budget import Budget
from service.decoder import Decoder
from service.guard import Guard
from service.line import Line
from service.shelf import Shelf
from service.storage import GIGABYTE, Storage, own_folder
from service.studio import Studio, without_paths

EXAMPLES = Path(__file__).resolve().parent / "examples"
LONGEST_SIDES = (512, 768, 1024, 1536, 2048)  # pixels
DEFAULT_SIDE = 1024
ORIGINAL = 0  # the longest side that stands for "as the photos are"

THREADS = 40  # beside those that wait in the line or compute: for what is answered at once
QUEUE = 200  # requests that reached Gradio and not yet the line, which is a matter of milliseconds
SESSIONS = 500  # pages whose state Gradio keeps; it would be 10,000, some hundred kB each
UPLOAD_SHARE = 4  # one request may upload a quarter of the disk's room
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
QUICK: dict[str, Any] = {**HIDDEN, "queue": False}
QUEUED: dict[str, Any] = {"concurrency_limit": None}  # the studio's line decides

logger = logging.getLogger("film.app")
desk: Desk  # where all visitors' orders go; `build_app` opens it


def example_pairs(folder: Path = EXAMPLES) -> list[tuple[str, str]]:
    """(first photo, last photo) of each pair in the examples folder."""
    return [(str(last.with_name("first.jpg")), str(last)) for last in sorted(folder.glob("*/last.jpg"))]


def open_studio(settings: Settings, models: Sequence[str], devices: Sequence[str], sides: Sequence[int]) -> Studio:
    """The machine as its host wants it shared."""
    depths = range(1, min(settings.max_depth, recursion.MAX_DEPTH) + 1)
    return Studio(
        Budget(models, devices, sides, depths, settings.max_megapixels),
        Line(settings.max_running, settings.max_waiting),
        Storage(Path(get_upload_folder()), settings.keep_minutes * 60, int(settings.disk_gb * GIGABYTE)),
        Shelf(film.load, settings.max_running),
        Decoder(int(settings.max_photo_megapixels * 1e6), films=settings.max_running + settings.max_waiting),
    )


def message(error: Exception) -> str:
    """The one sentence a visitor sees: errors of input and environment speak for themselves."""
    if isinstance(error, (ValueError, RuntimeError)):
        return without_paths(str(error))
    logger.error("something failed", exc_info=error)
    return "Something failed on the server; its log says what."


def changes(values: screen.Changes) -> tuple[Any, ...]:
    """New values for some of the page's outputs; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in screen.OUTPUTS)


def plan_html(ask: Callable[[], Order]) -> str:
    """What Create would make of the order, and what it would cost on this machine."""
    try:
        order = desk.checked(ask())
        plan = desk.plan(order, order.files)
        if plan is None:
            return look.plan_html("As long as the video, times the slow motion", "")
        if plan.size:
            desk.check_budget(order, plan.frames, plan.size)
    except (ValueError, RuntimeError, OSError) as error:
        return look.plan_html(message(error), "")
    length = f"{plan.shown} frames, {time_text(plan.duration)} of film"
    if not plan.length_known:
        length = "Length unknown: the video does not tell its own"
    return look.plan_html(length, cost(order, plan))


def cost(order: Order, plan: planning.Plan) -> str:
    """What is known before Create is pressed."""
    model = catalog.find(order.making.model)
    parts = [f"{model.megabytes:g} MB to download first"] if engine.must_download(model) else []
    each = plan.size and film.estimate(order.making.model, order.making.device, *plan.size)
    if each:
        in_all = f", about {time_text(plan.seconds)} in all" if plan.seconds else ""
        parts.append(f"{time_text(each)} per frame{in_all}")
    elif plan.size:
        parts.append("its speed here is known after its first film")
    return "; ".join(parts)


def taken(state: str, refusal: str = "") -> tuple[Any, Any]:
    """Why an upload was not taken, in a line of its own, for a film may be in the making; an earlier error goes."""
    line = gr.update(value=error_html(refusal), visible=True) if refusal else gr.update(visible=False)
    return line, look.idle_html() if look.is_error(state) else gr.skip()


def check_photo(path: str | None, state: str) -> tuple[Any, Any, Any]:
    """Refuse at once an upload that is no photo; show one that browsers do not know as a JPEG."""
    if path is None:
        return gr.skip(), gr.skip(), gr.skip()
    try:
        desk.check_photo(path)
        if Path(path).suffix.lower() in UNSHOWN:
            shown = str(Path(path).with_suffix(".jpg"))
            desk.studio.decoder.save_jpeg(path, shown)
            path = shown
    except Exception as error:
        logger.info("no photo: %s", error)
        return None, *taken(state, message(error))
    return path, *taken(state)


def check_photos(paths: list[str], known: list[str], state: str) -> tuple[Any, ...]:
    """Put new photos behind those that are there, in natural order of their names, and leave out what is no photo."""
    refused, photos = [], [path for path in paths if path in known]
    for path in sorted((path for path in paths if path not in known), key=lambda path: images.natural(Path(path))):
        try:
            if len(photos) == desk.max_photos:
                desk.check_number(len(paths))
            desk.check_photo(path)
            photos.append(path)
        except Exception as error:
            logger.info("no photo: %s", error)
            refused.append(message(error))
    return photos, photos, *taken(state, " ".join(dict.fromkeys(refused)))


def check_video(path: str | None, state: str) -> tuple[Any, Any, Any]:
    """Refuse at once an upload that is no video, or of which nothing can be made."""
    if path is None:
        return gr.skip(), gr.skip(), gr.skip()
    try:
        desk.check_video(path)
    except Exception as error:
        logger.info("no video: %s", error)
        return None, *taken(state, message(error))
    return gr.skip(), *taken(state)


def contact_sheet(photos: list[str]) -> str:
    """The photos in their order, as far as they can be opened."""
    if not photos:
        return look.strip_html([None] * CELLS)
    chosen = evenly(len(photos))
    pictures = [desk.thumbnail(photos[place]) for place in chosen]
    return look.contact_html(pictures, [place + 1 for place in chosen], CELLS)


def build_app(settings: Settings | None = None, examples: Path = EXAMPLES) -> gr.Blocks:
    """The page and its endpoints. ValueError when a setting names a model or device that is not there."""
    global desk
    settings = settings or Settings.read(os.environ)
    models, devices = film.models(), film.devices()
    names = [model.name for model in models]
    for name, value, known in (("FILM_MODEL", settings.model, names), ("FILM_DEVICE", settings.device, devices)):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}.")
    sides = [side for side in LONGEST_SIDES if not 0 < settings.max_side <= side] + [settings.max_side or ORIGINAL]
    default_side = max((side for side in sides if side <= DEFAULT_SIDE), default=sides[0])
    desk = Desk(open_studio(settings, names, list(devices), sides), settings)
    making = Making(settings.model, settings.device, default_side)
    depths = max(desk.studio.budget.depths)
    pairs = example_pairs(examples)
    gr.set_static_paths([examples])

    with Page(title=look.TITLE, analytics_enabled=False) as app:
        page = stage.build(models, devices, sides, depths, making, pairs, videos=settings.max_video_mb > 0)
        wire(app, page, pairs)
        add_endpoints(app, desk, message, making, min(planning.DEFAULT_DEPTH, depths), sides, **QUEUED)
    desk.studio.storage.on_removed = lambda gone: [files.difference_update(gone) for files in app.temp_file_sets]
    app.queue(max_size=QUEUE, api_open=False)
    keep_messages(app)
    return app


def wire(app: gr.Blocks, page: stage.Stage, pairs: Sequence[tuple[str, str]]) -> None:
    """What happens when somebody clicks."""
    asked, shown = list(page.inputs.values()), [page.outputs[name] for name in screen.OUTPUTS]
    inputs, state = page.inputs, page.outputs["state"]
    told = [page.outputs["refused"], state]  # what came of an upload

    def show_plan(*values: Any) -> str:
        return plan_html(lambda: page.order(values))

    def show_film(request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
        limit_streams(app)
        shown = screen.show(lambda: page.order(values), desk, message)
        yield from map(changes, while_heard(app, request.session_hash, shown))

    def begin(request: gr.Request) -> tuple[Any, ...]:
        forget_streams(app, request.session_hash)
        return changes(screen.STARTED)

    # One event for all, so that what an earlier choice would have cost never replaces what a later one does.
    chosen = [app.load, *(control.change for control in asked)]
    gr.on(chosen, show_plan, asked, page.plan, trigger_mode="always_last", **QUICK)
    for photo in (inputs["first"], inputs["last"]):
        photo.upload(check_photo, [photo, state], [photo, *told], **QUICK)
    known, photos, clip = gr.State([]), inputs["photos"], inputs["video"]
    photos.upload(check_photos, [photos, known, state], [photos, known, *told], **QUICK)
    photos.change(contact_sheet, photos, page.outputs["strip"], trigger_mode="always_last", **QUICK)
    clip.upload(check_video, [clip, state], [clip, *told], **QUICK)
    pair = [inputs["first"], inputs["last"], *told]
    page.gallery.click(lambda index, state: (*pairs[index], *taken(state)), [page.gallery, state], pair, **QUICK)
    create, stop = page.outputs["create"], page.outputs["stop"]
    made = create.click(begin, None, shown, **QUICK).then(show_film, asked, shown, **HIDDEN, **QUEUED)
    made.failure(lambda: changes(screen.STOPPED), None, shown, **QUICK)
    stop.click(lambda: changes(screen.STOPPED), None, shown, cancels=[made], **QUICK)


def gate(settings: Settings) -> dict[str, Any]:
    """What stands before Gradio's own routes: the guard, and an answer that needs none of its threads."""

    async def health(_: Request) -> JSONResponse:
        return JSONResponse(desk.studio.health(settings.model))

    storage = desk.studio.storage
    examples = [photo for pair in example_pairs() for photo in pair]
    guard = Middleware(Guard, storage, examples, storage.ceiling // UPLOAD_SHARE)
    return {"middleware": [guard], "routes": [Route("/health", health)]}


def check_address(host: str, port: int) -> None:
    """ValueError, with the system's own words, if nothing can be served there. (Gradio names settings of its own.)"""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        words = f"Nothing can be served at {host}:{port} ({error.strerror})"
        raise ValueError(f"{words}; choose another FILM_HOST or FILM_PORT.") from None


def main() -> None:
    few_arenas()  # before there are threads
    log.to_standard_error()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder is removed then, too
    with own_folder("film-page-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # uploads and finished films
        examples = folder / "examples"  # so that the page does not tell where this program lies
        try:
            examples.symlink_to(EXAMPLES)
        except OSError:  # Windows, to most users
            examples = EXAMPLES
        try:
            settings = Settings.read(os.environ)
            check_address(settings.host, settings.port)
            memory.budget(), hub.time_limit()  # what is set there is refused now, not in a visitor's film
            app = build_app(settings, examples)
        except ValueError as error:
            raise SystemExit(str(error)) from None
        storage = desk.studio.storage
        tempfile.tempdir = str(storage.scratch)  # all that is written counts
        bound_forms()
        storage.keep_swept()
        desk.studio.decoder.start()
        logger.info("serving at http://%s:%d", settings.host, settings.port)
        app.launch(
            server_name=settings.host,
            server_port=settings.port,
            max_threads=settings.max_running + settings.max_waiting + THREADS,
            max_file_size=settings.max_upload_bytes,
            state_session_capacity=SESSIONS,
            theme=look.theme(),
            css_paths=look.STYLE,
            favicon_path=look.ICON,
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
            quiet=True,
            mcp_server=tools.offer(storage),
            app_kwargs=gate(settings),
        )


if __name__ == "__main__":
    main()
