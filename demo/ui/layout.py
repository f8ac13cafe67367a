"""The layout: three ways to begin, one stage. What two photos need is seen at once; the rest is a click away.

Everything is always there; the style sheet shows what belongs to the kind of film that is chosen. So a click on
"Video" asks nobody, and nothing jumps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

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
from demo.server.limits import choice
from demo.ui import html
from demo.ui.components import (
    CheckboxInput,
    DropdownInput,
    FilesInput,
    LiveVideo,
    PhotoInput,
    RadioInput,
    SliderInput,
    VideoInput,
)
from film import Model
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
OTHERS = {"gif": "GIF", "webp": "WebP", "webm": "WebM"}  # formats that are made of a finished MP4
SLOWDOWNS = (("None", 1), ("× 2", 2), ("× 4", 4), ("× 8", 8), ("× 16", 16))
RATES = (24, 25, 30, 50, 60)  # frames per second
AS_IT_IS = 0  # the frame rate that stands for the video's
SAMPLES = (
    ("No video at hand? Take this clip.", "sample", "video"),
    ("No photos at hand? Take this burst.", "burst", "many"),
)
BARE: dict[str, Any] = {"show_label": False, "container": False}
COUNTS = (2, 500)  # frames, as the slider offers them; programs may ask for more
SECONDS = (0.5, 60)


@dataclass(frozen=True)
class Layout:
    """The page's components: what is asked, and what is shown, by name."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    plan: gr.HTML
    gallery: gr.Dataset
    sheet: gr.HTML
    sample: gr.Button
    burst: gr.Button

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


def buttons(
    choices: Sequence[tuple[str, Any]], value: Any, label: str, name: str, look: str = "segments small", **shown: Any
) -> gr.Radio:
    """One of several, as buttons beside each other."""
    return RadioInput(list(choices), value=value, label=label, elem_id=name, elem_classes=look, **shown)


def build(
    models: Sequence[Model],
    devices: Mapping[str, str],
    sides: Sequence[int],
    depths: int,
    options: OutputOptions,
    pairs: Sequence[tuple[str, str]],
    videos: bool = True,
    samples: bool = True,
) -> Layout:
    """Lay the page out, in the Blocks whose context this is.

    `options` holds the defaults; `videos` says whether it takes any, `samples` whether there are a clip and a burst.
    """
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    with gr.Row(elem_id="top"):
        gr.HTML(html.HEADER, elem_id="header")
        inputs["kind"] = buttons(
            [(text, name) for text, name in named(html.KINDS) if videos or name != "video"],
            "two",
            "Make a film of",
            "kind",
            "segments",
            **BARE,
        )
    with gr.Row(elem_id="work"):
        with gr.Column(elem_id="setup"):
            with gr.Row(elem_id="photos", elem_classes="source for-two"):
                inputs["first"] = PhotoInput(
                    label="First photo", placeholder=html.DROP, sources=["upload"], elem_id="first"
                )
                inputs["last"] = PhotoInput(
                    label="Last photo", placeholder=html.DROP, sources=["upload"], elem_id="last"
                )
            with gr.Column(elem_classes="source for-many"):
                sheet = gr.HTML(html.sheet_html([]), elem_id="sheet", js_on_load=html.SHEET)
                inputs["photos"] = FilesInput(
                    label="Photos, in their order", file_count="multiple", allow_reordering=True, elem_id="many"
                )
            with gr.Column(elem_classes="source for-video"):
                inputs["video"] = VideoInput(label="Video", sources=["upload"], elem_id="clip")
            outputs["refused"] = gr.HTML(visible=False, elem_id="refused")
            gallery = gr.Dataset(
                label="No photos at hand?",
                components=[gr.Image(visible=False)],
                samples=[[pair[0]] for pair in pairs],
                type="index",
                visible=bool(pairs),
                elem_id="examples",
                elem_classes="for-two",
            )
            sample, burst = (
                gr.Button(text, size="sm", visible=samples, elem_id=name, elem_classes=f"for-{of} sample")
                for text, name, of in SAMPLES
            )
            with gr.Column(elem_id="length"):
                with gr.Row(elem_classes="for-photos", elem_id="measures"):
                    inputs["measure"] = buttons(named(MEASURES), "depth", "Length by", "measure", **BARE)
                    inputs["depth"] = SliderInput(
                        1,
                        depths,
                        min(planning.DEFAULT_DEPTH, depths),
                        step=1,
                        precision=0,
                        label="Depth",
                        info="Each step doubles the frames.",
                        elem_id="depth",
                        elem_classes="by-depth",
                    )
                    inputs["count"] = SliderInput(
                        *COUNTS,
                        24,
                        step=1,
                        precision=0,
                        label="Frames",
                        info="From the first photo to the last.",
                        elem_classes="by-count",
                    )
                    inputs["seconds"] = SliderInput(
                        *SECONDS, 4, step=0.5, label="Seconds", info="Of the whole film.", elem_classes="by-seconds"
                    )
                with gr.Row(elem_classes="for-video", elem_id="pace"):
                    inputs["slowdown"] = buttons(SLOWDOWNS, 4, "Slow motion", "slowdown")
                    inputs["rate"] = DropdownInput(
                        [("As the video", AS_IT_IS), *((f"{rate}", rate) for rate in RATES)],
                        value=AS_IT_IS,
                        label="Frames per second",
                        elem_id="rate",
                    )
                    inputs["sound"] = CheckboxInput(True, label="Keep the sound", elem_id="sound")
                with gr.Row(elem_classes="for-video", elem_id="trim", visible=False) as outputs["trim"]:
                    inputs["start"] = SliderInput(0, 1, 0, step=END_STEP, label="From, seconds", elem_id="start")
                    inputs["end"] = SliderInput(0, 1, 0, step=END_STEP, label="To, seconds", elem_id="end")
            inputs["model"] = buttons(
                [(html.card_text(model, []), model.name) for model in models],
                options.model,
                "Quality and speed",
                "model",
                "cards",
                **BARE,
            )
            plan = gr.HTML(elem_id="plan")
            with gr.Row(elem_id="machinery"):
                inputs["device"] = DropdownInput(
                    [(f"{key}: {name}", key) for key, name in devices.items()], value=options.device, label="Device"
                )
                sizes = [(f"{side} pixels" if side else "Original", side) for side in sides]
                inputs["longest_side"] = DropdownInput(sizes, value=options.longest_side, label="Longest side")
            with gr.Column(elem_id="actions"):
                outputs["create"] = gr.Button("Create", variant="primary", elem_id="create")
                outputs["stop"] = gr.Button("Stop", visible=False, elem_id="stop")
            with gr.Accordion("More choices", open=False, elem_id="advanced"):
                with gr.Row(elem_id="choices"):
                    inputs["format"] = DropdownInput(named(FORMATS), value=options.format, label="Format")
                    inputs["play"] = DropdownInput(named(PLAYS), value=AUTOMATIC, label="Play")
                    inputs["easing"] = DropdownInput(
                        named(EASES), value="linear", label="From photo to photo", elem_classes="for-photos"
                    )
                    inputs["background"] = DropdownInput(
                        list(GROUNDS), value="", label="Transparency", allow_custom_value=True
                    )
                    inputs["audio_track"] = DropdownInput(
                        [("The default", DEFAULT_TRACK), *((f"Track {n}", n) for n in range(1, MOST_TRACKS + 1))],
                        value=DEFAULT_TRACK,
                        label="Sound track",
                        elem_classes="for-video",
                    )
                    inputs["depth_bits"] = buttons(
                        [(f"{bits} bits", bits) for bits in colour_depth.DEPTHS], options.depth_bits, "Colours", "bits"
                    )
                    inputs["keep_streams"] = CheckboxInput(
                        False, label="Keep the other tracks", elem_classes="for-video"
                    )
                inputs["quality"] = SliderInput(1, 100, options.quality, step=1, precision=0, label="Quality")
                inputs["fps"] = SliderInput(
                    *FPS, PhotoRequest.fps, step=1, label="Frames per second", elem_classes="for-photos"
                )
                inputs["cut"] = SliderInput(
                    1,
                    100,
                    scene_detection.CUT,
                    step=1,
                    label="New scene from",
                    info="Difference, of 255.",
                    elem_classes="for-video",
                )
                gr.Markdown(html.models_text(models))
        with gr.Column(elem_id="cinema"):
            with gr.Column(elem_id="stage"), gr.Column(elem_id="screen"):
                outputs["player"] = LiveVideo(
                    streaming=True,
                    interactive=False,
                    show_label=False,
                    autoplay=True,
                    loop=True,
                    buttons=[],
                    elem_id="film",
                )
                outputs["preview"] = gr.HTML(
                    "{}", html_template=html.PREVIEW, js_on_load=html.STAGE, elem_id="preview", container=False
                )
            gr.HTML(html.STRIP, elem_id="below")
            outputs["state"] = gr.HTML(html.idle_html(), elem_id="state")
            with gr.Row(elem_id="result"):
                outputs["download"] = gr.DownloadButton(
                    "Download", visible=False, variant="primary", elem_id="download"
                )
                outputs["others"] = [
                    gr.Button(text, visible=False, size="sm", elem_classes="other", elem_id=f"as-{name}")
                    for name, text in OTHERS.items()
                ]
    gr.Markdown(html.FOOTER, elem_id="footer")
    gr.HTML("<p id='machine-line'></p>", js_on_load=html.MACHINE, elem_id="machine")
    return Layout(inputs, outputs, plan, gallery, sheet, sample, burst)
