"""The layout: three ways to begin, one stage. What two photos need is seen at once; the rest is a click away.

Everything is always there; the style sheet shows what belongs to the kind of film that is chosen. So a click on
"Video" asks nobody, and nothing jumps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.server.job_requests import FORMATS, FPS, JobRequest, OutputOptions, PhotoRequest, VideoRequest
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
from demo.ui.thumbnails import CELLS
from film import Model
from film.media import scene_detection
from film.rendering import planning

MEASURES = {"depth": "Depth", "count": "Frames", "seconds": "Seconds"}
PLAYS = {"loop": "Again and again", "once": "Once", "pingpong": "Forth and back"}
SLOWDOWNS = (("None", 1), ("× 2", 2), ("× 4", 4), ("× 8", 8), ("× 16", 16))
RATES = (24, 25, 30, 50, 60)  # frames per second
AS_IT_IS = 0  # the frame rate that stands for the video's
COUNTS = (2, 500)  # frames, as the slider offers them; programs may ask for more
SECONDS = (0.5, 60)


@dataclass(frozen=True)
class Layout:
    """The page's components: what is asked, and what is shown, by name."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    plan: gr.HTML
    gallery: gr.Dataset

    def job_request(self, given: Sequence[Any]) -> JobRequest:
        """What the values of all inputs ask for together. ValueError if there is no such kind of film."""
        values = dict(zip(self.inputs, given, strict=True))
        options = OutputOptions(
            *(values[name] for name in ("model", "device", "longest_side", "format", "quality", "play"))
        )
        kind, measure = values["kind"], values["measure"]
        if kind == "video":
            return VideoRequest(
                values["video"], options, values["slowdown"], values["rate"], values["sound"], values["cut"]
            )
        if kind not in html.KINDS or measure not in MEASURES:
            raise ValueError("There is no such kind of film.")
        return PhotoRequest(
            [values["first"], values["last"]] if kind == "two" else values["photos"],
            options,
            values["depth"],
            values["count"] if measure == "count" else None,
            values["seconds"] if measure == "seconds" else None,
            values["fps"],
        )


def build(
    models: Sequence[Model],
    devices: Mapping[str, str],
    sides: Sequence[int],
    depths: int,
    options: OutputOptions,
    pairs: Sequence[tuple[str, str]],
    videos: bool = True,
) -> Layout:
    """Lay the page out, in the Blocks whose context this is.

    `options` holds the defaults; `videos` says whether it takes any.
    """
    gr.HTML(html.HEADER, elem_id="header")
    with gr.Row(elem_id="choose"):
        kind = RadioInput(
            [(text, name) for name, text in html.KINDS.items() if videos or name != "video"],
            value="two",
            label="Make a film of",
            show_label=False,
            container=False,
            elem_id="kind",
            elem_classes="segments",
        )
        gallery = gr.Dataset(
            label="No photos at hand? Take one of these pairs.",
            components=[gr.Image(visible=False)],
            samples=[[pair[0]] for pair in pairs],
            type="index",
            visible=bool(pairs),
            elem_id="examples",
            elem_classes="for-two",
        )
    with gr.Row(elem_id="stage"):
        with gr.Column(elem_id="photos", elem_classes="source for-two"):
            first = PhotoInput(label="First photo", placeholder=html.DROP, sources=["upload"], elem_id="first")
            last = PhotoInput(label="Last photo", placeholder=html.DROP, sources=["upload"], elem_id="last")
        with gr.Column(elem_classes="source for-many"):
            photos = FilesInput(
                label="Photos, in their order",
                file_count="multiple",
                allow_reordering=True,
                elem_id="many",
            )
        with gr.Column(elem_classes="source for-video"):
            clip = VideoInput(label="Video", sources=["upload"], elem_id="clip")
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
    refused = gr.HTML(visible=False, elem_id="refused")
    strip = gr.HTML(html.strip_html([None] * CELLS), elem_id="strip")
    with gr.Row(elem_id="caption"):
        state = gr.HTML(html.idle_html(), elem_id="state")
        download = gr.DownloadButton("Download MP4", visible=False, size="sm", elem_id="download")
    with gr.Row(elem_id="controls"):
        with gr.Column(elem_id="length"):
            with gr.Row(elem_classes="for-photos", elem_id="measures"):
                measure = RadioInput(
                    [(text, name) for name, text in MEASURES.items()],
                    value="depth",
                    label="Length by",
                    show_label=False,
                    container=False,
                    elem_id="measure",
                    elem_classes="segments small",
                )
                depth = SliderInput(
                    1,
                    depths,
                    min(planning.DEFAULT_DEPTH, depths),
                    step=1,
                    precision=0,
                    label="Depth",
                    info="Each step doubles the frames.",
                    elem_classes="by-depth",
                )
                count = SliderInput(
                    *COUNTS, 24, step=1, precision=0, label="Frames", info="In the whole film.", elem_classes="by-count"
                )
                seconds = SliderInput(
                    *SECONDS, 4, step=0.5, label="Seconds", info="The whole film’s length.", elem_classes="by-seconds"
                )
            with gr.Row(elem_classes="for-video", elem_id="pace"):
                slowdown = RadioInput(
                    list(SLOWDOWNS), value=4, label="Slow motion", elem_id="slowdown", elem_classes="segments small"
                )
                rate = DropdownInput(
                    [("As the video", AS_IT_IS), *((f"{rate}", rate) for rate in RATES)],
                    value=AS_IT_IS,
                    label="Frames per second",
                    elem_id="rate",
                )
                sound = CheckboxInput(True, label="Keep the sound", elem_id="sound")
            plan = gr.HTML(elem_id="plan")
        with gr.Column(elem_id="actions"):
            create = gr.Button("Create", variant="primary", elem_id="create")
            stop = gr.Button("Stop", interactive=False, elem_id="stop")
    with gr.Accordion("Format, speed, size, model and device", open=False, elem_id="advanced"):
        with gr.Row():
            format = DropdownInput(
                [(text, name) for name, text in FORMATS.items()], value=options.format, label="Format"
            )
            play = DropdownInput([(text, name) for name, text in PLAYS.items()], value=options.play, label="Play")
            quality = SliderInput(1, 100, options.quality, step=1, precision=0, label="Quality")
            fps = SliderInput(*FPS, PhotoRequest.fps, step=1, label="Frames per second", elem_classes="for-photos")
            cut = SliderInput(
                1,
                100,
                scene_detection.CUT,
                step=1,
                label="New scene from",
                info="Difference, of 255.",
                elem_classes="for-video",
            )
        with gr.Row():
            sizes = [(f"{side} pixels" if side else "Original", side) for side in sides]
            longest_side = DropdownInput(sizes, value=options.longest_side, label="Longest side")
            model = DropdownInput([model.name for model in models], value=options.model, label="Model")
            device = DropdownInput(
                [(f"{key}: {name}", key) for key, name in devices.items()], value=options.device, label="Device"
            )
        gr.Markdown(html.models_text(models))
    with gr.Accordion("Compare with a plain cross-fade", open=False, elem_id="comparing", elem_classes="for-photos"):
        gr.HTML(html.COMPARED, elem_id="compared")
        compare = gr.ImageSlider(
            show_label=False, interactive=False, buttons=[], format="jpeg", elem_id="compare", max_height=700
        )
    gr.Markdown(html.FOOTER, elem_id="footer")
    gr.HTML("<p id='machine-line'></p>", js_on_load=html.MACHINE, elem_id="machine")

    inputs = {
        "kind": kind,
        "first": first,
        "last": last,
        "photos": photos,
        "video": clip,
        "measure": measure,
        "depth": depth,
        "count": count,
        "seconds": seconds,
        "fps": fps,
        "slowdown": slowdown,
        "rate": rate,
        "sound": sound,
        "cut": cut,
        "model": model,
        "device": device,
        "longest_side": longest_side,
        "format": format,
        "quality": quality,
        "play": play,
    }
    outputs = {
        "player": player,
        "refused": refused,
        "state": state,
        "strip": strip,
        "download": download,
        "compare": compare,
        "create": create,
        "stop": stop,
    }
    return Layout(inputs, outputs, plan, gallery)
