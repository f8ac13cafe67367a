"""The demo: two almost identical photos become a film. `python app.py` serves it.

Nothing is computed here: `film.pipeline` turns the photos into a stream of events, and this file turns the events into
what the page shows. Importing it loads neither a model nor TensorFlow.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import film
from film import catalog, pipeline, recursion
from page import look
from page.components import UNSHOWN, Amount, Choice, LiveVideo, Photo, Segment, forget_streams, limit_streams
from page.forms import bound_forms
from page.look import error_html, state_html, time_text
from service import log
from service.allocator import few_arenas
from service.budget import Budget, choice, number
from service.decoder import Decoder
from service.guard import Guard
from service.line import Line, Waiting
from service.shelf import Shelf
from service.storage import GIGABYTE, Storage, own_folder
from service.studio import Event, Job, Studio, without_paths

EXAMPLES = Path(__file__).resolve().parent / "examples"
LONGEST_SIDES = (512, 768, 1024, 1536, 2048)  # pixels
DEFAULT_SIDE = 1024
FPS = (1, 60)  # frames per second, from … to …
ORIGINAL = 0  # the longest side that stands for "as the photos are"
OUTPUTS = ("player", "state", "download", "create", "stop")

THREADS = 40  # beside those that wait in the line or compute: for what is answered at once
QUEUE = 200  # requests that reached Gradio and not yet the line, which is a matter of milliseconds
SESSIONS = 500  # pages whose state Gradio keeps; it would be 10,000, some hundred kB each
UPLOAD_SHARE = 4  # one request may upload a quarter of the disk's room

logger = logging.getLogger("film.app")
studio: Studio  # what all visitors share; `build_app` opens it


@dataclass(frozen=True)
class Settings:
    """What a host can choose; each field is read from the environment variable FILM_<NAME>."""

    host: str = "127.0.0.1"  # 0.0.0.0 on a Hugging Face Space
    port: int = 7860
    model: str = "film-lite"
    device: str = "CPU"
    max_depth: int = 8
    max_side: int = 0  # pixels; 0: photos may keep their size
    max_megapixels: float = 300.0  # of all frames of one film; any film at the default size has fewer
    max_photo_megapixels: float = 50.0  # as the best phones take them
    max_upload_mb: int = 30  # per photo
    max_running: int = 2  # films made at the same time
    max_waiting: int = 20  # visitors in the line
    keep_minutes: float = 60.0  # how long uploads and films stay
    disk_gb: float = 4.0  # that uploads and films may take together

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        chosen: dict[str, Any] = {"host": "0.0.0.0"} if environment.get("SPACE_ID") else {}
        for field in fields(cls):
            name = f"FILM_{field.name.upper()}"
            if text := environment.get(name, "").strip():
                kind = type(getattr(cls, field.name))
                try:
                    chosen[field.name] = kind(text)
                    if kind is not str and not 0 <= chosen[field.name] < math.inf:
                        raise ValueError
                except ValueError:
                    whole = "whole " if kind is int else ""
                    raise ValueError(f"{name} is {text!r}; it must be a {whole}number, 0 or more.") from None
        return cls(**chosen)


class Order(NamedTuple):
    """What a visitor asks for, in the order of the page's inputs."""

    first: str | None
    last: str | None
    depth: int
    fps: float
    model: str
    device: str
    longest_side: int


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


def checked(order: Order) -> Order:
    """The order, with every name on its list and every number in its range. ValueError says what is not."""
    may = studio.budget
    for name, photo in (("first", order.first), ("last", order.last)):
        if photo is not None and not isinstance(photo, str):
            raise ValueError(f"The {name} photo is no file; upload it first.")
    return order._replace(
        depth=number("The depth", order.depth, min(may.depths), max(may.depths), whole=True),
        fps=number("The frame rate", order.fps, *FPS),
        model=choice("The model", order.model, may.models),
        device=choice("The device", order.device, may.devices),
        longest_side=choice("The longest side", order.longest_side, may.sides),
    )


def changes(**values: Any) -> tuple[Any, ...]:
    """New values for some of the page's OUTPUTS; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in OUTPUTS)


IDLE = state_html("Choose two photos, then press Create.")
READY = changes(create=gr.update(interactive=True), stop=gr.update(interactive=False))
STARTED = changes(
    player=gr.update(value=None),
    state=state_html("Waiting for a free place", done=0),
    download=gr.update(value=None, visible=False),
    create=gr.update(interactive=False),
    stop=gr.update(interactive=True),
)
STOPPED = changes(
    state=state_html("Stopped"),
    create=gr.update(interactive=True),
    stop=gr.update(interactive=False),
)


def cost(order: Order, plan: pipeline.Plan) -> str:
    """What is known before Create is pressed."""
    model = catalog.find(order.model)
    parts = [f"{model.megabytes:g} MB to download first"] if catalog.downloaded(model) is None else []
    each = plan.size and film.estimate(order.model, order.device, *plan.size)
    if each and plan.seconds:
        parts.append(f"{time_text(each)} per frame, about {time_text(plan.seconds)} in all")
    elif plan.size:
        parts.append("its speed here is known after its first film")
    return "; ".join(parts)


def show_plan(*values: Any) -> str:
    """What Create would make of the order, and what it would cost on this machine."""
    try:
        order = checked(Order(*values))
        photos = [photo for photo in (order.first, order.last) if photo]
        try:
            plan = planned(order, photos)
        except (ValueError, RuntimeError, OSError):
            plan = planned(order, [])  # `check` tells what is wrong with the photo
        if plan.size:
            studio.budget.check_film(plan.frames, plan.size)
    except ValueError as error:
        return look.plan_html(str(error), "")
    return look.plan_html(f"{plan.frames} frames, {time_text(plan.duration)} of film", cost(order, plan))


def planned(order: Order, photos: Sequence[str]) -> pipeline.Plan:
    return pipeline.plan(
        photos,
        order.model,
        order.device,
        depth=order.depth,
        fps=order.fps,
        longest_side=order.longest_side or None,
        reader=studio.decoder,
    )


def check(path: str | None, state: str) -> tuple[Any, Any]:
    """Refuse at once an upload that is no photo; show one that browsers do not know as a JPEG."""
    if path is None:
        return gr.skip(), gr.skip()
    try:
        studio.decoder.image_size(path)
        if Path(path).suffix.lower() in UNSHOWN:
            shown = str(Path(path).with_suffix(".jpg"))
            studio.decoder.save_jpeg(path, shown)
            path = shown
    except Exception as error:
        logger.info("no photo: %s", error)
        return None, error_html(message(error))
    return path, IDLE if "error" in state else gr.skip()


def make(order: Order) -> Generator[Event]:
    """The events of one order. What they name is there until the next one is asked for; the film stays."""
    order = checked(order)
    if not order.first or not order.last:
        raise ValueError("Choose two photos: the first and the last moment of the film.")
    photos = [order.first, order.last]

    def plan() -> pipeline.Plan:
        plan = planned(order, photos)
        assert plan.size
        studio.budget.check_film(plan.frames, plan.size)
        return plan

    def start(model: film.Interpolator, folder: Path) -> Generator[pipeline.Event]:
        return pipeline.interpolate(
            photos,
            model,
            folder / "film.mp4",
            depth=order.depth,
            fps=order.fps,
            longest_side=order.longest_side or None,
            reader=studio.decoder,
        )

    yield from studio.run(Job(order.model, order.device, photos, plan, start))


def waiting_text(waiting: Waiting) -> tuple[str, str]:
    """The place in the line, and the time until it is reached."""
    wait = "" if waiting.seconds is None else f"about {time_text(waiting.seconds)} until it begins"
    return f"Place {waiting.position} in the line", wait


def show_film(*values: Any) -> Iterator[tuple[Any, ...]]:
    """A film on the page."""
    notes: list[str] = []
    try:
        with closing(make(Order(*values))) as events:
            for event in events:
                match event:
                    case Waiting():
                        yield changes(state=state_html(*waiting_text(event), done=0))
                    case pipeline.Notice():
                        notes.append(event.text)
                    case pipeline.Stage():
                        yield changes(state=state_html(event.text, done=0, notes=notes))
                    case pipeline.Progress():
                        left = "" if event.seconds_left is None else f"about {time_text(event.seconds_left)} left"
                        text = f"Frame {event.done} of {event.total}"
                        yield changes(state=state_html(text, left, event.done / event.total, notes))
                    case pipeline.Segment():
                        yield changes(player=Segment(event.path.read_bytes(), event.duration))
                    case pipeline.Done():
                        size = f"{event.frames} frames, {event.width} × {event.height}, {time_text(event.duration)}"
                        device = f"{event.device} ({film.devices().get(event.device, 'device')})"
                        by = f"made by {event.model} on {device} in {time_text(event.seconds)}"
                        yield changes(
                            player=gr.update(value=event.path),
                            download=gr.update(value=event.path, visible=True),
                            state=state_html(size, by, notes=notes),
                        )
    except Exception as error:
        yield changes(state=error_html(message(error)))
    yield READY


def interpolate(
    first: str, last: str, depth: int, fps: float, model: str, device: str, longest_side: int
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Make a film of two photos. Returns the MP4, and what is known of it: frames, size, model, device, seconds.

    On the way it reports the place in the line (place, seconds_until_it_begins), then the frames (done, total,
    seconds_left).

    Args:
        first: the photo the film begins with
        last: the photo it ends with
        depth: each step doubles the moments in between; the film has 2**depth + 1 frames
        fps: frames per second
        model: one of the models on the page
        device: one of the devices on the page
        longest_side: larger photos are scaled down to this many pixels; 0 keeps their size
    """
    try:
        with closing(make(Order(first, last, depth, fps, model, device, longest_side))) as events:
            for event in events:
                match event:
                    case Waiting():
                        yield None, {"place": event.position, "seconds_until_it_begins": event.seconds}
                    case pipeline.Progress():
                        yield None, {"done": event.done, "total": event.total, "seconds_left": event.seconds_left}
                    case pipeline.Done():
                        yield str(event.path), {name: value for name, value in asdict(event).items() if name != "path"}
    except Exception as error:
        raise gr.Error(message(error), print_exception=False) from None


def build_app(settings: Settings | None = None, examples: Path = EXAMPLES) -> gr.Blocks:
    """The page and its HTTP endpoint. ValueError when a setting names a model or device that is not there."""
    global studio
    settings = settings or Settings.read(os.environ)
    models, devices = film.models(), film.devices()
    names = [model.name for model in models]
    for name, value, known in (("FILM_MODEL", settings.model, names), ("FILM_DEVICE", settings.device, devices)):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}.")
    sides = [side for side in LONGEST_SIDES if not 0 < settings.max_side <= side] + [settings.max_side or ORIGINAL]
    sizes = [(f"{side} pixels" if side else "Original", side) for side in sides]
    default_side = max((side for side in sides if side <= DEFAULT_SIDE), default=sides[0])
    studio = open_studio(settings, names, list(devices), sides)
    depths = max(studio.budget.depths)
    pairs = example_pairs(examples)
    gr.set_static_paths([examples])

    with gr.Blocks(title=look.TITLE, analytics_enabled=False) as app:
        with gr.Row(elem_id="top"):
            gr.HTML(look.HEADER, elem_id="header")
            gallery = gr.Dataset(
                label="No photos at hand? Take one of these pairs.",
                components=[gr.Image(visible=False)],
                samples=[[pair[0]] for pair in pairs],
                type="index",
                visible=bool(pairs),
                elem_id="examples",
            )
        with gr.Row(elem_id="stage"):
            with gr.Column(elem_id="photos"):
                first = Photo(label="First photo", placeholder=look.DROP, sources=["upload"], elem_id="first")
                last = Photo(label="Last photo", placeholder=look.DROP, sources=["upload"], elem_id="last")
            with gr.Column(elem_id="cinema"):
                player = LiveVideo(
                    streaming=True,
                    interactive=False,
                    show_label=False,
                    autoplay=True,
                    loop=True,
                    buttons=[],
                    elem_id="film",
                )
        with gr.Row(elem_id="caption"):
            state = gr.HTML(IDLE, elem_id="state")
            download = gr.DownloadButton("Download MP4", visible=False, size="sm", elem_id="download")
        with gr.Row(elem_id="controls"):
            with gr.Column(elem_id="length"):
                depth = Amount(
                    1, depths, min(5, depths), step=1, precision=0, label="Depth", info="Each step doubles the frames."
                )
                plan = gr.HTML(elem_id="plan")
            with gr.Column(elem_id="actions"):
                create = gr.Button("Create", variant="primary", elem_id="create")
                stop = gr.Button("Stop", interactive=False, elem_id="stop")
        with gr.Accordion("Speed, size, model and device", open=False, elem_id="advanced"):
            with gr.Row():
                fps = Amount(*FPS, 15, step=1, label="Frames per second")
                longest_side = Choice(sizes, value=default_side, label="Longest side")
                model = Choice(names, value=settings.model, label="Model")
                device = Choice(
                    [(f"{key}: {name}", key) for key, name in devices.items()], value=settings.device, label="Device"
                )
            gr.Markdown(look.models_text(models))
        gr.Markdown(look.FOOTER, elem_id="footer")
        gr.HTML("<p id='machine-line'></p>", js_on_load=look.MACHINE, elem_id="machine")

        inputs: list[Any] = [first, last, depth, fps, model, device, longest_side]
        outputs = [player, state, download, create, stop]
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        quick: dict[str, Any] = {**hidden, "queue": False}
        queued: dict[str, Any] = {"concurrency_limit": None}  # the studio's line decides

        def begin(request: gr.Request) -> tuple[Any, ...]:
            forget_streams(app, request.session_hash)
            limit_streams(app)
            return STARTED

        app.load(show_plan, inputs, plan, **quick)
        for control in inputs:
            control.change(show_plan, inputs, plan, trigger_mode="always_last", **quick)
        for photo in (first, last):
            photo.upload(check, [photo, state], [photo, state], **quick)
        gallery.click(lambda index: pairs[index], gallery, [first, last], **quick)
        shown = create.click(begin, None, outputs, **quick).then(show_film, inputs, outputs, **hidden, **queued)
        shown.failure(lambda: STOPPED, None, outputs, **quick)
        stop.click(lambda: STOPPED, None, outputs, cancels=[shown], **quick)

        made, report = gr.Video(label="film", visible=False), gr.JSON(label="report", visible=False)
        gr.Button(visible=False).click(interpolate, inputs, [made, report], api_name="interpolate", **queued)
    studio.storage.on_removed = lambda gone: [files.difference_update(gone) for files in app.temp_file_sets]
    return app.queue(max_size=QUEUE, api_open=False)


def gate(settings: Settings) -> dict[str, Any]:
    """What stands before Gradio's own routes: the guard, and an answer that needs none of its threads."""

    async def health(_: Request) -> JSONResponse:
        return JSONResponse(studio.health(settings.model))

    examples = [photo for pair in example_pairs() for photo in pair]
    guard = Middleware(Guard, studio.storage, examples, studio.storage.ceiling // UPLOAD_SHARE)
    return {"middleware": [guard], "routes": [Route("/health", health)]}


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
            app = build_app(settings, examples)
        except ValueError as error:
            raise SystemExit(str(error)) from None
        tempfile.tempdir = str(studio.storage.scratch)  # all that is written counts
        bound_forms()
        studio.storage.keep_swept()
        studio.decoder.start()
        logger.info("serving at http://%s:%d", settings.host, settings.port)
        app.launch(
            server_name=settings.host,
            server_port=settings.port,
            max_threads=settings.max_running + settings.max_waiting + THREADS,
            max_file_size=settings.max_upload_mb * 2**20,
            state_session_capacity=SESSIONS,
            theme=look.theme(),
            css_paths=look.STYLE,
            favicon_path=look.ICON,
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
            quiet=True,
            app_kwargs=gate(settings),
        )


if __name__ == "__main__":
    main()
