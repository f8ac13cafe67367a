"""The page for programs: three functions with named, typed parameters, over HTTP and as MCP tools.

Gradio reads types and defaults off components, which nobody sees here, names off a signature, and the words off a
docstring. The names are part of the interface; they are those of the requests' fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from typing import Any

import gradio as gr

from demo.gradio_patches import client_address, while_polled
from demo.server.job_queue import Waiting
from demo.server.job_requests import FORMATS, PLAYS, JobRequest, OutputOptions, PhotoRequest, VideoRequest, request_of
from demo.server.job_service import JobService
from demo.server.messages import message
from demo.ui.components import CheckboxInput, DropdownInput, FilesInput, NumberInput, PhotoInput, TextInput, VideoInput
from film.media import scene_detection
from film.rendering.events import Done, Notice, Progress
from film.rendering.pace import EASINGS

Report = tuple[str | None, dict[str, Any]]  # the film's file, and what is known of it

FILM = "model device longest_side format quality play"
LENGTH = "count seconds easing background depth_bits"
# Each with what it takes, in this order, and what it does.
ENDPOINTS = {
    "interpolate": (
        f"first last depth fps {FILM} {LENGTH}",
        "Make a film of two photos. Returns its file, and what is known of it: frames, size, model, device, seconds."
        " On the way it reports the place in the line (place, seconds_until_it_begins), then the frames (done, total,"
        " seconds_left).",
    ),
    "interpolate_many": (
        f"photos depth fps {FILM} {LENGTH}",
        "Make one film through many photos, in the order given. Returns and reports what `interpolate` does.",
    ),
    "retime": (
        f"video slowdown {FILM} sound cut fps start end speed background depth_bits"
        " duplicates audio_track keep_streams",
        "Show a video in slow motion, at another frame rate, or both. Returns and reports what `interpolate` does.",
    ),
}
WORDS = {
    "first": "The photo the film begins with.",
    "last": "The photo it ends with.",
    "photos": "The photos, in the order in which the film comes to them.",
    "depth": "Each step doubles the moments between two photos: there are 2**depth - 1 of them.",
    "fps": "Frames per second of the film; of a video, none keeps its own.",
    "model": "Which network makes the frames.",
    "device": "What computes them.",
    "longest_side": "What is larger is scaled down to this many pixels; 0 keeps its size.",
    "format": "The kind of file; zip holds numbered PNG files.",
    "quality": "From 1, the smallest file, to 100, the best picture.",
    "play": "Loop and once differ in GIF and WebP; pingpong goes forth and back; seamless also makes the way back.",
    "count": "The whole film's number of frames as it plays, both ways of a pingpong, instead of a depth.",
    "seconds": "The whole film's length as it plays, instead of a depth.",
    "easing": "How it moves from photo to photo: linear, ease-in, ease-out or ease-in-out.",
    "background": "A colour's name or #rrggbb, under what is transparent; none keeps it where the format can.",
    "depth_bits": "Bits of each colour channel, 8 or 10; 10 is for mp4 (H.265), webm and mov.",
    "video": "The video.",
    "slowdown": "How many times as long the film lasts, from 1 to 16.",
    "sound": "Whether the sound is kept, stretched with its pitch kept, where the format has sound.",
    "cut": "How different two frames must be, 0 to 255, for a new scene; nothing is made across a cut.",
    "start": "Where the part of the video that is used begins: seconds or hh:mm:ss.",
    "end": "Where that part ends.",
    "speed": "Instead of slowdown, points time:factor with commas, such as 0:1,2.5:0.25; the film is then silent.",
    "duplicates": "What becomes of repeated frames: auto (left out, but what stands for long stays), drop, or keep.",
    "audio_track": "Which audio track is heard, from 1; none takes the default one.",
    "keep_streams": "Whether the other audio tracks are kept as well.",
}


def add_endpoints(
    blocks: gr.Blocks,
    service: JobService,
    options: OutputOptions,
    depth: int,
    sides: Sequence[int],
    **queued: Any,
) -> None:
    """Add them to the Blocks, whose context this is. `options` and `depth` are the defaults."""
    limits = service.limits
    dropdown, number, whole = DropdownInput, NumberInput, partial(NumberInput, precision=0)
    components: dict[str, Any] = {
        "first": PhotoInput(visible=False),
        "last": PhotoInput(visible=False),
        "photos": FilesInput(file_count="multiple", visible=False),
        "depth": whole(depth, visible=False),
        "fps": number(PhotoRequest.fps, visible=False),
        "model": dropdown(list(limits.models), value=options.model, visible=False),
        "device": dropdown(list(limits.devices), value=options.device, visible=False),
        "longest_side": dropdown(list(sides), value=options.longest_side, visible=False),
        "format": dropdown(list(FORMATS), value=options.format, visible=False),
        "quality": whole(options.quality, visible=False),
        "play": dropdown(list(PLAYS), value=options.play, visible=False),
        "count": whole(visible=False),
        "seconds": number(visible=False),
        "easing": dropdown(list(EASINGS), value=PhotoRequest.easing, visible=False),
        "background": TextInput(visible=False),
        "depth_bits": whole(options.depth_bits, visible=False),
        "video": VideoInput(visible=False),
        "slowdown": number(VideoRequest.slowdown, visible=False),
        "sound": CheckboxInput(True, visible=False),
        "cut": number(scene_detection.CUT, visible=False),
        **{name: TextInput(visible=False) for name in ("start", "end", "speed")},
        "duplicates": dropdown(list(scene_detection.DUPLICATES), value="auto", visible=False),
        "audio_track": whole(visible=False),
        "keep_streams": CheckboxInput(False, visible=False),
    }
    own_rate = {"fps": number(visible=False)}  # a video has one
    outputs = [gr.File(label="film", visible=False), gr.JSON(label="report", visible=False)]
    for name, (takes, text) in ENDPOINTS.items():
        taken = {each: (components | own_rate if name == "retime" else components)[each] for each in takes.split()}
        for each, component in taken.items():
            component.label = each.replace("_", " ")
        answer = endpoint(name, text, taken, blocks, service)
        gr.Button(visible=False).click(answer, list(taken.values()), outputs, api_name=name, **queued)


def endpoint(
    name: str, text: str, taken: Mapping[str, Any], blocks: gr.Blocks, service: JobService
) -> Callable[..., Iterator[Report]]:
    """A function of the values of those components, by their names, that tells the events of one film."""

    def answer(*given: Any) -> Iterator[Report]:
        *values, request = given
        told = report(job_request(dict(zip(taken, values, strict=True))), service, client_address(request))
        yield from while_polled(blocks, request.session_hash if request else None, told)

    file_inputs = (PhotoInput, FilesInput, VideoInput)
    needed = [each for each, component in taken.items() if isinstance(component, file_inputs)]
    empty, kind = inspect.Parameter.empty, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(each, kind, default=empty if each in needed else None) for each in taken]
    parameters.append(inspect.Parameter("request", kind, default=None))
    answer.__name__ = name
    answer.__doc__ = "\n".join([text, "Args:", *(f"    {each}: {WORDS[each]}" for each in taken)])
    answer.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    answer.__annotations__ = {"request": gr.Request | None}
    return answer


def job_request(values: Mapping[str, Any]) -> JobRequest:
    """What an endpoint is asked for."""
    if "video" in values:
        return request_of(VideoRequest, values)
    photos = [values["first"], values["last"]] if "first" in values else values["photos"]
    return request_of(PhotoRequest, {**values, "photos": photos})


def report(job_request: JobRequest, service: JobService, owner: str = "") -> Iterator[Report]:
    """The place in the line, then the frames as they are made, then the film. gr.Error with one sentence otherwise."""
    notes: list[str] = []
    try:
        with closing(service.make(job_request, owner)) as events:
            for event in events:
                match event:
                    case Waiting():
                        yield None, {"place": event.position, "seconds_until_it_begins": event.seconds}
                    case Notice():
                        notes.append(event.text)
                    case Progress():
                        total = event.total or None
                        yield None, {"done": event.done, "total": total, "seconds_left": event.seconds_left}
                    case Done():
                        facts = {name: value for name, value in asdict(event).items() if name != "path"}
                        facts["fps"] = float(Fraction(event.fps))
                        yield str(event.path), {**facts, "duration": event.duration, "notes": notes}
    except Exception as error:
        raise gr.Error(message(error), print_exception=False) from None
