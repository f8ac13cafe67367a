"""The demo: two almost identical photos become a film. `python app.py` serves it.

Nothing is computed here: `film.pipeline` turns the photos into a stream of events, and this file turns the events into
what the page shows. Importing it loads neither a model nor TensorFlow.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

import film
from film import catalog, pipeline, planning, recursion
from page import look
from page.components import LiveVideo, Photo, Segment, forget_streams
from page.look import error_html, state_html, time_text

EXAMPLES = Path(__file__).resolve().parent / "examples"
LONGEST_SIDES = (512, 768, 1024, 1536, 2048)  # pixels
DEFAULT_SIDE = 1024
ORIGINAL = 0  # the longest side that stands for "as the photos are"
MODELS_KEPT = 4  # models in memory, shared by all visitors; each keeps its compiled sizes
SWEEP_SECONDS = 300  # how often files past their time are deleted
OUTPUTS = ("player", "state", "download", "create", "stop")

logger = logging.getLogger("film.app")


@dataclass(frozen=True)
class Settings:
    """What a host can choose; each field is read from the environment variable FILM_<NAME>."""

    host: str = "127.0.0.1"  # 0.0.0.0 on a Hugging Face Space
    port: int = 7860
    model: str = "film-lite"
    device: str = "CPU"
    max_depth: int = 8
    max_side: int = 0  # pixels; 0: photos may keep their size
    max_upload_mb: int = 30  # per photo
    max_running: int = 2  # films made at the same time
    max_waiting: int = 20  # visitors in the queue
    keep_minutes: int = 60  # how long uploads and films stay

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        chosen: dict[str, Any] = {"host": "0.0.0.0"} if environment.get("SPACE_ID") else {}
        for field in fields(cls):
            name = f"FILM_{field.name.upper()}"
            if text := environment.get(name, "").strip():
                try:
                    chosen[field.name] = type(getattr(cls, field.name))(text)
                except ValueError:
                    raise ValueError(f"{name} is {text!r}; it must be a whole number.") from None
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


def example_pairs() -> list[tuple[str, str]]:
    """(first photo, last photo) of each pair in the examples folder."""
    return [(str(last.with_name("first.jpg")), str(last)) for last in sorted(EXAMPLES.glob("*/last.jpg"))]


def message(error: Exception) -> str:
    """The one sentence a visitor sees: errors of input and environment speak for themselves."""
    if isinstance(error, (ValueError, RuntimeError)):
        logger.warning("no film: %s", error)
        return str(error)
    logger.error("no film", exc_info=error)
    return "Something failed on the server; its log says what."


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


def cost(order: Order, plan: planning.Plan) -> str:
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
    order = Order(*values)
    photos = [photo for photo in (order.first, order.last) if photo]
    choices: dict[str, Any] = {"depth": order.depth, "fps": order.fps, "longest_side": order.longest_side or None}
    try:
        plan = planning.plan(photos, order.model, order.device, **choices)
    except (ValueError, OSError):
        plan = planning.plan([], order.model, order.device, **choices)  # `check` tells what is wrong with the photo
    return look.plan_html(f"{plan.frames} frames, {time_text(plan.duration)} of film", cost(order, plan))


def check(path: str | None, state: str) -> tuple[Any, Any]:
    """Refuse at once an upload that is no photo."""
    if path is None:
        return gr.skip(), gr.skip()
    try:
        film.read_image(path)
    except Exception as error:
        return None, error_html(message(error))
    return path, IDLE if "error" in state else gr.skip()


@lru_cache(maxsize=MODELS_KEPT)
def load(model: str, device: str) -> film.Interpolator:
    return film.load(model, device=device)


def make(order: Order) -> Generator[pipeline.Event]:
    """The pipeline's events for one order. The files they name are gone once the next event is asked for."""
    if not order.first or not order.last:
        raise ValueError("Choose two photos: the first and the last moment of the film.")
    made = "no frame"
    with tempfile.TemporaryDirectory(prefix="film-") as folder:
        events = pipeline.interpolate(
            [order.first, order.last],
            load(order.model, order.device),
            Path(folder) / "film.mp4",
            depth=order.depth,
            fps=order.fps,
            longest_side=order.longest_side or None,
        )
        try:
            with closing(events):
                for event in events:
                    if isinstance(event, pipeline.Progress):
                        made = f"frame {event.done} of {event.total}"
                    yield event
        except GeneratorExit:
            logger.info("stopped after %s", made)
            raise
    logger.info("made %s with %s on %s", made, order.model, order.device)


def show_film(*values: Any) -> Iterator[tuple[Any, ...]]:
    """A film on the page."""
    notes: list[str] = []
    try:
        with closing(make(Order(*values))) as events:
            for event in events:
                match event:
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
                    case pipeline.Progress():
                        yield None, {"done": event.done, "total": event.total, "seconds_left": event.seconds_left}
                    case pipeline.Done():
                        yield str(event.path), {name: value for name, value in asdict(event).items() if name != "path"}
    except Exception as error:
        raise gr.Error(message(error), print_exception=False) from None


def build_app(settings: Settings | None = None) -> gr.Blocks:
    """The page and its HTTP endpoint. ValueError when a setting names a model or device that is not there."""
    settings = settings or Settings.read(os.environ)
    models, devices = film.models(), film.devices()
    names = [model.name for model in models]
    for name, value, known in (("FILM_MODEL", settings.model, names), ("FILM_DEVICE", settings.device, devices)):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}.")
    sides = [side for side in LONGEST_SIDES if not 0 < settings.max_side <= side] + [settings.max_side or ORIGINAL]
    sizes = [(f"{side} pixels" if side else "Original", side) for side in sides]
    default_side = max((side for side in sides if side <= DEFAULT_SIDE), default=sides[0])
    depths = min(settings.max_depth, recursion.MAX_DEPTH)
    pairs = example_pairs()
    gr.set_static_paths([EXAMPLES])

    with gr.Blocks(
        title=look.TITLE, analytics_enabled=False, delete_cache=(SWEEP_SECONDS, settings.keep_minutes * 60)
    ) as app:
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
                depth = gr.Slider(
                    1, depths, min(5, depths), step=1, precision=0, label="Depth", info="Each step doubles the frames."
                )
                plan = gr.HTML(elem_id="plan")
            with gr.Column(elem_id="actions"):
                create = gr.Button("Create", variant="primary", elem_id="create")
                stop = gr.Button("Stop", interactive=False, elem_id="stop")
        with gr.Accordion("Speed, size, model and device", open=False, elem_id="advanced"):
            with gr.Row():
                fps = gr.Slider(1, 60, 15, step=1, label="Frames per second")
                longest_side = gr.Dropdown(sizes, value=default_side, label="Longest side")
                model = gr.Dropdown(names, value=settings.model, label="Model")
                device = gr.Dropdown(
                    [(f"{key}: {name}", key) for key, name in devices.items()], value=settings.device, label="Device"
                )
            gr.Markdown(look.models_text(models))
        gr.Markdown(look.FOOTER, elem_id="footer")

        inputs: list[Any] = [first, last, depth, fps, model, device, longest_side]
        outputs = [player, state, download, create, stop]
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        quick: dict[str, Any] = {**hidden, "queue": False}
        queued: dict[str, Any] = {"concurrency_id": "film", "concurrency_limit": settings.max_running}

        def begin(request: gr.Request) -> tuple[Any, ...]:
            forget_streams(app, request.session_hash)
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
    return app.queue(max_size=settings.max_waiting)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder is removed then, too
    with tempfile.TemporaryDirectory(prefix="film-page-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads and finished films
        try:
            settings = Settings.read(os.environ)
            app = build_app(settings)
        except ValueError as error:
            raise SystemExit(str(error)) from None
        app.launch(
            server_name=settings.host,
            server_port=settings.port,
            max_file_size=settings.max_upload_mb * 2**20,
            theme=look.theme(),
            css_paths=look.STYLE,
            favicon_path=look.ICON,
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
        )


if __name__ == "__main__":
    main()
