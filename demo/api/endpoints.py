"""The page for programs: three functions with named, typed parameters, over HTTP and as MCP tools.

Gradio reads types and defaults off components, which nobody sees here, names off a signature, and the words off a
docstring. The names are part of the interface; they, the types and the defaults are those of the requests' fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, fields
from fractions import Fraction
from functools import partial
from typing import Any

import gradio as gr

from demo.gradio_patches import client_address, while_polled
from demo.server.job_queue import Waiting
from demo.server.job_requests import FORMATS, PLAYS, JobRequest, OutputOptions, PhotoRequest, VideoRequest, request_of
from demo.server.job_service import JobService
from demo.server.messages import message
from demo.ui.components import CheckboxInput, DropdownInput, FilesInput, NumberInput, PhotoInput, TextInput, Video
from film.media import scene_detection
from film.rendering.events import Done, Notice, Progress
from film.rendering.options import PhotoOptions, VideoOptions
from film.rendering.pace import EASINGS

Report = tuple[str | None, dict[str, Any]]  # the film's file, and what is known of it

FILM = "model device longest_side format quality play"
LENGTH = "count seconds easing background depth_bits"
FILES = {"first": PhotoInput, "last": PhotoInput, "photos": partial(FilesInput, file_count="multiple"), "video": Video}
CHOICES = {"format": FORMATS, "play": PLAYS, "easing": EASINGS, "duplicates": scene_detection.DUPLICATES}
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
    **{field.name: field.metadata.get("help", "") for kind in (PhotoOptions, VideoOptions) for field in fields(kind)},
    "first": "the photo the film begins with",
    "last": "the photo it ends with",
    "photos": "the photos, in the order in which the film comes to them",
    "video": "the video",
    "depth": "each step doubles the moments between two photos: there are 2**depth - 1 of them",
    "fps": "frames per second of the film; of a video, none keeps its own",
    "model": "which network makes the frames",
    "device": "what computes them",
    "longest_side": "what is larger is scaled down to so many pixels, one of {sides}; 0 keeps its size",
    "format": "the kind of file; zip holds numbered PNG files",
    "cut": "how different two frames must be, 0 to 255, for a new scene; nothing is made across a cut",
}


def add_endpoints(blocks: gr.Blocks, service: JobService, options: OutputOptions, depth: int, **queued: Any) -> None:
    """Add them to the Blocks, whose context this is. `options` and `depth` are the defaults."""
    with gr.Row(visible=False):
        outputs = [gr.File(label="film"), gr.JSON(label="report")]
        for name, (takes, text) in ENDPOINTS.items():
            asked = fields(VideoRequest if name == "retime" else PhotoRequest) + fields(OutputOptions)
            kinds = {field.name: str(field.type) for field in asked}
            defaults = {field.name: field.default for field in asked} | asdict(options) | {"depth": depth}
            taken = {each: component(each, kinds.get(each, ""), defaults.get(each), service) for each in takes.split()}
            answer = endpoint(name, text, taken, blocks, service)
            gr.Button().click(answer, list(taken.values()), outputs, api_name=name, **queued)


def component(name: str, kind: str, default: Any, service: JobService) -> Any:
    """What a parameter is taken with, by the type of the request's field; programs are told its type and default."""
    label = name.replace("_", " ")
    choices = CHOICES | {"model": service.limits.models, "device": service.limits.devices}
    if name in FILES:
        return FILES[name](label=label)
    if name in choices:
        return DropdownInput(list(choices[name]), value=default, label=label)
    if kind.startswith(("int", "float")):
        return NumberInput(default, precision=0 if kind.startswith("int") else None, label=label)
    return CheckboxInput(default, label=label) if kind == "bool" else TextInput(default, label=label)


def endpoint(
    name: str, text: str, taken: Mapping[str, Any], blocks: gr.Blocks, service: JobService
) -> Callable[..., Iterator[Report]]:
    """A function of the values of those components, by their names, that tells the events of one film."""

    def answer(*given: Any) -> Iterator[Report]:
        *values, request = given
        told = report(job_request(dict(zip(taken, values, strict=True))), service, client_address(request))
        yield from while_polled(blocks, request.session_hash if request else None, told)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    needed = [inspect.Parameter(each, kind) for each in taken if each in FILES]
    others = [inspect.Parameter(each, kind, default=None) for each in (*taken, "request") if each not in FILES]
    sides = ", ".join(map(str, service.limits.sides))
    answer.__name__ = name
    answer.__doc__ = "\n".join([text, "Args:", *(f"    {each}: {WORDS[each].format(sides=sides)}" for each in taken)])
    answer.__signature__ = inspect.Signature([*needed, *others])  # type: ignore[attr-defined]
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
