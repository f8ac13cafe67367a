"""The demo: two almost identical photos become a film. `python app.py` serves it.

Nothing is computed here: `film.pipeline` turns the photos into a stream of events, and this file turns the events into
what the page shows. Importing it loads neither a model nor TensorFlow.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

import film
from components import LiveVideo, Photo, Segment, forget_streams
from film import pipeline

ROOT = Path(__file__).resolve().parent
EXAMPLES = ROOT / "examples"
LONGEST_SIDES = (512, 768, 1024, 1536, 2048)  # pixels
ORIGINAL = 0  # the longest side that stands for "as the photos are"
MODELS_KEPT = 4  # compiled models in memory, shared by all visitors
SWEEP_SECONDS = 300  # how often files past their time are deleted
OUTPUTS = ("player", "state", "download", "create", "stop")

HEADER = """
# Two photos become a film
Choose two almost identical photos, taken a moment apart. FILM, Google’s network for frame interpolation, imagines every
moment in between, and the film starts to play while the rest is still being made.
"""
FOOTER = """
**How it works.** FILM looks at both photos at seven scales, finds how everything moves, carries both half-way to each
other and paints one frame from the two. Then it does the same between each pair of neighbours: every step of the slider
doubles the moments. The network runs with [OpenVINO](https://docs.openvino.ai) on the machine that serves this page.
It shines when the photos differ by what can happen in about a second; between unrelated pictures it can only dissolve.
[The paper](https://film-net.github.io): Reda et al., *FILM: Frame Interpolation for Large Motion*, 2022.
"""

TERRACOTTA = gr.themes.Color(
    "#fdf5f1", "#fae6dc", "#f4ccbb", "#eba98e", "#e07f5e", "#cf6140", "#b24a2c", "#933a22", "#77301f", "#602a1d", "#34140c"
)

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
                    chosen[field.name] = type(field.default)(text)
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


def example_pairs() -> list[tuple[str, str, str]]:
    """(name, first photo, last photo) of each pair in the examples folder."""
    folders = sorted(path for path in EXAMPLES.iterdir() if (path / "last.jpg").is_file())
    return [(folder.name, str(folder / "first.jpg"), str(folder / "last.jpg")) for folder in folders]


def time_text(seconds: float) -> str:
    """2.2 s, 48 s, 3 min 20 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def state_html(text: str, detail: str = "", *, done: float | None = None, kind: str = "", notes: Sequence[str] = ()) -> str:
    """What happens now, what is left to wait, and how much is `done` (0 to 1; None hides the bar)."""
    bar = "" if done is None else f"<progress value='{done:.4f}' aria-label='Progress'></progress>"
    more = "".join(f"<p class='note'>{escape(note)}</p>" for note in notes)
    role = "alert" if kind == "error" else "status"
    line = f"<p><b>{escape(text)}</b><span>{escape(detail)}</span></p>"
    return f"<div class='state {kind}' role='{role}'>{line}{bar}{more}</div>"


def changes(**values: Any) -> tuple[Any, ...]:
    """New values for some of the page's OUTPUTS; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in OUTPUTS)


def message(error: Exception) -> str:
    """The one sentence a visitor sees. Input and environment errors speak for themselves."""
    if isinstance(error, (ValueError, RuntimeError)):
        logger.warning("no film: %s", error)
        return str(error)
    logger.error("no film", exc_info=error)
    return "Something failed on the server; its log says what."

IDLE = state_html("Ready", "The film starts to play while it is still being made.")
READY = changes(create=gr.update(interactive=True), stop=gr.update(interactive=False))
STARTED = changes(
    player=gr.update(value=None),
    state=state_html("Waiting for a free place", done=0),
    download=gr.update(value=None, interactive=False),
    create=gr.update(interactive=False),
    stop=gr.update(interactive=True),
)
STOPPED = changes(
    state=state_html("Stopped", "What is there stays playable."),
    create=gr.update(interactive=True),
    stop=gr.update(interactive=False),
)


def theme() -> gr.themes.Base:
    """Warm paper and ink, one colour; fonts that Gradio itself serves, so that nothing comes from elsewhere."""
    return gr.themes.Base(
        primary_hue=TERRACOTTA,
        neutral_hue="stone",
        font=[gr.themes.LocalFont("IBM Plex Sans"), "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
        radius_size="lg",
    ).set(
        body_background_fill="#f6f2eb",
        body_background_fill_dark="#15130f",
        block_background_fill="#fffdfa",
        block_background_fill_dark="#1f1c17",
        block_border_color="#e4dccf",
        block_border_color_dark="#37322a",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )


def plan_html(*values: Any) -> str:
    """What Create would make of the order, and what it would cost on this machine."""
    order = Order(*values)
    photos = [photo for photo in (order.first, order.last) if photo]
    work = {"depth": order.depth, "fps": order.fps, "longest_side": order.longest_side or None}
    try:
        plan = pipeline.plan(photos, order.model, order.device, **work)
    except ValueError:
        plan = pipeline.plan([], order.model, order.device, **work)  # Create will say what is wrong with the photo
    megabytes = next(model.megabytes for model in film.models() if model.name == order.model)
    costs = [f"{megabytes:g} MB to download once"] if megabytes else []
    costs += [f"about {time_text(plan.seconds)} to make"] if plan.seconds else []
    cost = escape("; ".join(costs))
    return f"<p class='plan'><b>{plan.frames} frames</b>, {time_text(plan.duration)} of film<span>{cost}</span></p>"


@lru_cache(maxsize=MODELS_KEPT)
def load(model: str, device: str) -> film.Film:
    return film.load(model, device=device)


def make(order: Order) -> Iterator[pipeline.Event]:
    """The pipeline's events for one order. The files they name are gone once the next event is asked for."""
    if not order.first or not order.last:
        raise ValueError("Choose two photos: the first and the last moment of the film.")
    made = "nothing"
    with tempfile.TemporaryDirectory(prefix="film-") as folder:
        try:
            for event in pipeline.interpolate(
                [order.first, order.last],
                load(order.model, order.device),
                output=Path(folder) / "film.mp4",
                depth=order.depth,
                fps=order.fps,
                longest_side=order.longest_side or None,
            ):
                if isinstance(event, pipeline.Progress):
                    made = f"frame {event.done} of {event.total}"
                yield event
        except GeneratorExit:
            logger.info("stopped after %s", made)
            raise
        logger.info("made %s with %s on %s", made, order.model, order.device)


def show(*values: Any) -> Iterator[tuple[Any, ...]]:
    """A film on the page."""
    notes: list[str] = []
    try:
        for event in make(Order(*values)):
            match event:
                case pipeline.Notice():
                    notes.append(event.text)
                case pipeline.Stage():
                    yield changes(state=state_html(event.text, done=0, notes=notes))
                case pipeline.Progress():
                    left = "" if event.seconds_left is None else f"about {time_text(event.seconds_left)} left"
                    text = f"Frame {event.done} of {event.total}"
                    yield changes(state=state_html(text, left, done=event.done / event.total, notes=notes))
                case pipeline.Segment():
                    yield changes(player=Segment(Path(event.path).read_bytes(), event.duration))
                case pipeline.Done():
                    size = f"{event.frames} frames, {event.width} × {event.height}, {time_text(event.duration)}"
                    by = f"made by {event.model} on {event.device} in {time_text(event.seconds)}"
                    yield changes(
                        player=gr.update(value=event.path),
                        download=gr.update(value=event.path, interactive=True),
                        state=state_html(size, by, kind="done", notes=notes),
                    )
    except Exception as error:
        yield changes(state=state_html(message(error), kind="error"))
    yield READY


def interpolate(
    first: str, last: str, depth: int, fps: float, model: str, device: str, longest_side: int
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Make a film of two photos. Returns the MP4, and a report: frames, size, model, device, seconds.

    Args:
        first: the photo the film begins with
        last: the photo it ends with
        depth: each step doubles the moments; the film has 2**depth + 1 frames
        fps: frames per second
        model: one of the models on the page
        device: one of the devices on the page
        longest_side: larger photos are scaled down to this many pixels; 0 keeps their size
    """
    try:
        for event in make(Order(first, last, depth, fps, model, device, longest_side)):
            match event:
                case pipeline.Progress():
                    yield None, {"done": event.done, "total": event.total, "seconds_left": event.seconds_left}
                case pipeline.Done():
                    yield str(event.path), {name: value for name, value in asdict(event).items() if name != "path"}
    except Exception as error:
        raise gr.Error(message(error), print_exception=False) from None


def build_app(settings: Settings | None = None) -> gr.Blocks:
    settings = settings or Settings.read(os.environ)
    models = {entry.name: entry.summary for entry in film.models()}
    devices = film.devices()
    for name, value, known in (("FILM_MODEL", settings.model, models), ("FILM_DEVICE", settings.device, devices)):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}.")
    sides = [side for side in LONGEST_SIDES if not settings.max_side or side <= settings.max_side]
    sizes = [(f"{side} pixels", side) for side in sides] + [("Original", ORIGINAL)] * (not settings.max_side)
    pairs = example_pairs()
    gr.set_static_paths([EXAMPLES])

    keep = settings.keep_minutes * 60
    with gr.Blocks(title="FILM: two photos become a film", analytics_enabled=False, delete_cache=(SWEEP_SECONDS, keep)) as app:
        gr.Markdown(HEADER, elem_id="header")
        with gr.Row(elem_id="stage", equal_height=False):
            with gr.Column(elem_id="photos"):
                first = Photo(label="First photo", sources=["upload", "clipboard"], elem_id="first")
                last = Photo(label="Last photo", sources=["upload", "clipboard"], elem_id="last")
            with gr.Column(elem_id="cinema"):
                player = LiveVideo(streaming=True, interactive=False, show_label=False, autoplay=True, loop=True, buttons=[], elem_id="film")
                state = gr.HTML(IDLE)
        with gr.Row(elem_id="controls"):
            with gr.Column(elem_id="length"):
                depth = gr.Slider(1, settings.max_depth, min(5, settings.max_depth), step=1, label="Moments in between")
                plan = gr.HTML()
            with gr.Column(elem_id="actions"):
                create = gr.Button("Create", variant="primary", elem_id="create")
                stop = gr.Button("Stop", interactive=False, elem_id="stop")
                download = gr.DownloadButton("Download", interactive=False, elem_id="download")
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            with gr.Row():
                fps = gr.Slider(1, 60, 15, step=1, label="Frames per second")
                longest_side = gr.Dropdown(sizes, value=min(1024, max(sides)), label="Longest side")
                model = gr.Dropdown([(f"{name}: {text}", name) for name, text in models.items()], value=settings.model, label="Model")
                device = gr.Dropdown([(f"{key}: {name}", key) for key, name in devices.items()], value=settings.device, label="Device")
        if pairs:
            gallery = gr.Dataset(
                label="No photos at hand? Try one of these.",
                components=[gr.Image(visible=False)],
                samples=[[first_path] for _, first_path, _ in pairs],
                type="index",
                elem_id="examples",
            )
        gr.Markdown(FOOTER, elem_id="footer")

        inputs = [first, last, depth, fps, model, device, longest_side]
        outputs = [player, state, download, create, stop]
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        aside: dict[str, Any] = {**private, "queue": False}
        queued: dict[str, Any] = {"concurrency_id": "film", "concurrency_limit": settings.max_running}

        def begin(request: gr.Request) -> tuple[Any, ...]:
            forget_streams(app, request.session_hash)
            return STARTED

        app.load(plan_html, inputs, plan, **aside)
        for control in inputs:
            control.change(plan_html, inputs, plan, trigger_mode="always_last", **aside)
        if pairs:
            gallery.click(lambda index: pairs[index][1:], gallery, [first, last], **aside)
        started = create.click(begin, None, outputs, **aside)
        shown = started.then(show, inputs, outputs, **private, **queued)
        shown.failure(lambda: READY, None, outputs, **aside)
        stop.click(lambda: STOPPED, None, outputs, cancels=[shown], **aside)

        film_file, report = gr.Video(visible=False), gr.JSON(visible=False)
        gr.Button(visible=False).click(interpolate, inputs, [film_file, report], api_name="interpolate", **queued)
    app.queue(max_size=settings.max_waiting)
    return app


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder below is removed then, too
    with tempfile.TemporaryDirectory(prefix="film-page-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads and finished films, nowhere else
        try:
            settings = Settings.read(os.environ)
            app = build_app(settings)
        except ValueError as error:
            raise SystemExit(str(error)) from None
        app.launch(
            server_name=settings.host,
            server_port=settings.port,
            max_file_size=settings.max_upload_mb * 2**20,
            theme=theme(),
            css_paths=ROOT / "app.css",
            footer_links=["api", "settings"],
            run_history=False,
            ssr_mode=False,
        )


if __name__ == "__main__":
    main()
