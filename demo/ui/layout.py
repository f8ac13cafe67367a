"""The layout: three ways to begin, one stage. What two photos need is seen at once; the rest is a click away.

Everything is always there; the style sheet shows what belongs to the kind of film that is chosen. So a click on
"Video" asks nobody, and nothing jumps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

import film
from demo.server.job_requests import (
    END_STEP,
    FORMATS,
    FPS,
    JobRequest,
    OutputOptions,
    PhotoRequest,
    VideoRequest,
    request_of,
)
from demo.server.job_service import JobService
from demo.server.limits import choice
from demo.ui import html
from demo.ui.components import (
    CheckboxInput,
    DropdownInput,
    FilesInput,
    PhotoInput,
    RadioInput,
    SliderInput,
    Video,
)
from film.media import colour_depth, scene_detection, video_writer
from film.rendering import planning

MEASURES = {"depth": "Depth", "count": "Frames", "seconds": "Seconds"}
AUTOMATIC = "auto"  # two photos forth and back, for a loop would jump; what else there is again and again
PLAYS = {
    AUTOMATIC: "Automatic",
    "loop": "Again and again",
    "once": "Once",
    "pingpong": "Forth and back",
    "seamless": "Seamless loop",
}
EASES = {
    "linear": "Steady",
    "ease-in": "Starts softly",
    "ease-out": "Ends softly",
    "ease-in-out": "Starts and ends softly",
}
GROUNDS = (("Keep it", ""), ("White", "white"), ("Black", "black"))
DEFAULT_TRACK = 0  # of sound
MOST_TRACKS = 8
OTHERS = ("gif", "webp", "webm")  # formats that are made of a finished MP4
SLOWDOWNS = (("None", 1), ("× 2", 2), ("× 4", 4), ("× 8", 8), ("× 16", 16))
RATES = (24, 25, 30, 50, 60)  # frames per second
AS_IT_IS = 0  # the frame rate that stands for the video's
BARE: dict[str, Any] = {"show_label": False, "container": False}
COUNTS = (2, 500)  # frames, as the slider offers them; programs may ask for more
SECONDS = (0.5, 60)


@dataclass(frozen=True)
class Layout:
    """The page's components by name: what is asked, and all others that something happens to."""

    inputs: Mapping[str, Any]
    parts: Mapping[str, Any]

    def job_request(self, given: Sequence[Any]) -> JobRequest:
        """What the values of all inputs ask for together. ValueError if there is no such film."""
        values = dict(zip(self.inputs, given, strict=True))
        kind = choice("The kind of film", values["kind"], html.KINDS)
        measure = choice("The measure", values["measure"], MEASURES)
        if values["play"] == AUTOMATIC:
            values["play"] = "pingpong" if kind == "two" else "loop"
        if kind == "video":
            part = {"start": values["start"] or None, "end": values["end"] or None}
            return request_of(VideoRequest, {**values, **part, "fps": values["rate"]})
        photos = [values["first"], values["last"]] if kind == "two" else values["photos"]
        count = shown_count(values["count"], values["play"]) if measure == "count" else None
        seconds = values["seconds"] if measure == "seconds" else None
        length = {"count": count, "seconds": seconds, "by_level": True}
        return request_of(PhotoRequest, {**values, **length, "photos": photos})


def shown_count(count: Any, play: str) -> Any:
    """The frames that a film shows in which so many are different: of one forth and back almost twice as many."""
    return video_writer.shown_frames(count, play) if isinstance(count, int) else count


def named(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Choices as Gradio takes them: what is shown, and its value."""
    return [(text, value) for value, text in values.items()]


# One of several, as buttons beside each other; whole numbers.
Buttons = partial(RadioInput, elem_classes="segments small")
Whole = partial(SliderInput, step=1, precision=0)


def build(service: JobService, options: OutputOptions, pairs: Sequence[tuple[str, str]], samples: bool) -> Layout:
    """Lay the page out, in the Blocks whose context this is.

    `options` holds the defaults; `pairs` are examples, and `samples` says whether there are a clip and a burst, too.
    """
    models, sides = film.models(), service.limits.sides
    kinds = [(text, name) for text, name in named(html.KINDS) if service.config.max_video_mb or name != "video"]
    inputs: dict[str, Any] = {}
    parts: dict[str, Any] = {"finished": gr.State(None)}  # where the film that was made lies
    with gr.Row(elem_id="top"):
        gr.HTML(html.HEADER, elem_id="header")
        inputs["kind"] = RadioInput(
            kinds, value="two", label="Make a film of", elem_id="kind", elem_classes="segments", **BARE
        )
    with gr.Row(elem_id="work"):
        with gr.Column(elem_id="setup"):
            sources(inputs, parts, pairs, samples)
            with gr.Column(elem_id="length"):
                length(inputs, parts, max(service.limits.depths))
            cards = [(html.card_text(model, []), model.name) for model in models]
            inputs["model"] = RadioInput(
                cards, value=options.model, label="Quality and speed", elem_id="model", elem_classes="cards", **BARE
            )
            parts["plan"] = gr.HTML(elem_id="plan")
            with gr.Row(elem_id="machinery"):
                names = [(f"{key}: {name}", key) for key, name in film.devices().items()]
                inputs["device"] = DropdownInput(names, value=options.device, label="Device")
                sizes = [(f"{side} pixels" if side else "Original", side) for side in sides]
                inputs["longest_side"] = DropdownInput(sizes, value=options.longest_side, label="Longest side")
            with gr.Column(elem_id="actions"):
                parts["create"] = gr.Button("Create", variant="primary", elem_id="create")
                parts["stop"] = gr.Button("Stop", visible=False, elem_id="stop")
            with gr.Accordion("More choices", open=False, elem_id="advanced"):
                more_choices(inputs, options)
                gr.Markdown(html.models_text(models))
        with gr.Column(elem_id="cinema"):
            cinema(parts)
    gr.Markdown(html.FOOTER, elem_id="footer")
    gr.HTML("<p id='machine-line'></p>", elem_id="machine")
    return Layout(inputs, parts)


def sources(inputs: dict[str, Any], parts: dict[str, Any], pairs: Sequence[tuple[str, str]], samples: bool) -> None:
    """What the film is made of, by its kind, and something to take for who has nothing at hand."""
    with gr.Row(elem_id="photos", elem_classes="source for-two"):
        for name in ("first", "last"):
            inputs[name] = PhotoInput(
                label=f"{name.title()} photo", placeholder=html.DROP, sources=["upload"], elem_id=name
            )
    with gr.Column(elem_classes="source for-many"):
        parts["sheet"] = gr.HTML(html.sheet_html([]), elem_id="sheet", js_on_load=html.SHEET)
        inputs["photos"] = FilesInput(
            label="Photos, in their order", file_count="multiple", allow_reordering=True, elem_id="many"
        )
    with gr.Column(elem_classes="source for-video"):
        inputs["video"] = Video(label="Video", sources=["upload"], elem_id="clip")
    parts["refused"] = gr.HTML(visible=False, elem_id="refused")
    parts["gallery"] = gr.Dataset(
        label="No photos at hand?",
        components=[gr.Image(visible=False)],
        samples=[[pair[0]] for pair in pairs],
        type="index",
        visible=bool(pairs),
        elem_id="examples",
        elem_classes="for-two",
    )
    for name, text, kind in (
        ("sample", "No video at hand? Take this clip.", "video"),
        ("burst", "No photos at hand? Take this burst.", "many"),
    ):
        parts[name] = gr.Button(text, size="sm", visible=samples, elem_id=name, elem_classes=f"for-{kind} sample")


def length(inputs: dict[str, Any], parts: dict[str, Any], depths: int) -> None:
    """How long the film lasts, in one of three measures; of a video, how slow and which part of it."""
    with gr.Row(elem_classes="for-photos", elem_id="measures"):
        inputs["measure"] = Buttons(named(MEASURES), value="depth", label="Length by", elem_id="measure", **BARE)
        depth, doubles = min(planning.DEFAULT_DEPTH, depths), "Each step doubles the frames."
        inputs["depth"] = Whole(1, depths, depth, label="Depth", info=doubles, elem_id="depth", elem_classes="by-depth")
        first_to_last = "From the first photo to the last."
        inputs["count"] = Whole(*COUNTS, 24, label="Frames", info=first_to_last, elem_classes="by-count")
        inputs["seconds"] = SliderInput(
            *SECONDS, 4, step=0.5, label="Seconds", info="Of the whole film.", elem_classes="by-seconds"
        )
    with gr.Row(elem_classes="for-video", elem_id="pace"):
        inputs["slowdown"] = Buttons(list(SLOWDOWNS), value=4, label="Slow motion", elem_id="slowdown")
        rates = [("As the video", AS_IT_IS), *((f"{rate}", rate) for rate in RATES)]
        inputs["rate"] = DropdownInput(rates, value=AS_IT_IS, label="Frames per second", elem_id="rate")
        inputs["sound"] = CheckboxInput(True, label="Keep the sound", elem_id="sound")
    with gr.Row(elem_classes="for-video", elem_id="trim", visible=False) as parts["trim"]:
        inputs["start"] = SliderInput(0, 1, 0, step=END_STEP, label="From, seconds", elem_id="start")
        inputs["end"] = SliderInput(0, 1, 0, step=END_STEP, label="To, seconds", elem_id="end")


def more_choices(inputs: dict[str, Any], options: OutputOptions) -> None:
    """What most visitors leave as it is."""
    photos, video = {"elem_classes": "for-photos"}, {"elem_classes": "for-video"}
    with gr.Row(elem_id="choices"):
        inputs["format"] = DropdownInput(named(FORMATS), value=options.format, label="Format")
        inputs["play"] = DropdownInput(named(PLAYS), value=AUTOMATIC, label="Play")
        inputs["easing"] = DropdownInput(named(EASES), value="linear", label="From photo to photo", **photos)
        inputs["background"] = DropdownInput(list(GROUNDS), value="", label="Transparency", allow_custom_value=True)
        tracks = [("The default", DEFAULT_TRACK), *((f"Track {n}", n) for n in range(1, MOST_TRACKS + 1))]
        inputs["audio_track"] = DropdownInput(tracks, value=DEFAULT_TRACK, label="Sound track", **video)
        bits = [(f"{bits} bits", bits) for bits in colour_depth.DEPTHS]
        inputs["depth_bits"] = Buttons(bits, value=options.depth_bits, label="Colours", elem_id="bits")
        inputs["keep_streams"] = CheckboxInput(False, label="Keep the other tracks", **video)
    inputs["quality"] = Whole(1, 100, options.quality, label="Quality")
    inputs["fps"] = SliderInput(*FPS, PhotoRequest.fps, step=1, label="Frames per second", **photos)
    inputs["cut"] = SliderInput(
        1, 100, scene_detection.CUT, step=1, label="New scene from", info="Difference, of 255.", **video
    )


def cinema(parts: dict[str, Any]) -> None:
    """The stage, and what is told of the film under it."""
    with gr.Column(elem_id="stage"), gr.Column(elem_id="screen"):
        parts["player"] = Video(
            streaming=True, interactive=False, show_label=False, autoplay=True, loop=True, buttons=[], elem_id="film"
        )
        parts["preview"] = gr.HTML(
            "{}", html_template=html.PREVIEW, js_on_load=html.STAGE, elem_id="preview", container=False
        )
    gr.HTML(html.STRIP, elem_id="below")
    parts["state"] = gr.HTML(html.idle_html(), elem_id="state")
    with gr.Row(elem_id="result"):
        parts["download"] = gr.DownloadButton("Download", visible=False, variant="primary", elem_id="download")
        for name in OTHERS:
            parts[f"as-{name}"] = gr.Button(
                FORMATS[name], visible=False, size="sm", elem_classes="other", elem_id=f"as-{name}"
            )
