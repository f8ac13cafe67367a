"""The page for programs: three functions with named, typed parameters, over HTTP and as MCP tools.

Gradio reads types and defaults off components, which nobody sees here, and the words off the docstrings; the names
are part of the interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import gradio as gr

from demo.api.reports import Report, report
from demo.gradio_patches import client_address, while_polled
from demo.server.job_requests import FORMATS, PLAYS, OutputOptions, PhotoRequest, VideoRequest
from demo.server.job_service import JobService
from demo.ui.components import CheckboxInput, DropdownInput, FilesInput, NumberInput, PhotoInput, TextInput, VideoInput
from film.media import scene_detection
from film.rendering.pace import EASINGS

OUTPUT = """model: Which network makes the frames.
            device: What computes them.
            longest_side: What is larger is scaled down to this many pixels; 0 keeps its size.
            format: The kind of file; zip holds numbered PNG files.
            quality: From 1, the smallest file, to 100, the best picture.
            play: Loop and once differ in GIF and WebP; pingpong goes forth and back; seamless also makes the way back.
            background: A colour's name or #rrggbb, under what is transparent; none keeps it where the format can.
            depth_bits: Bits of each colour channel, 8 or 10; 10 is for mp4 (H.265), webm and mov."""
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def described(endpoint: Endpoint) -> Endpoint:
    """Put what all endpoints take into the docstring of one: Gradio tells programs what stands there."""
    endpoint.__doc__ = (endpoint.__doc__ or "").replace("{output}", OUTPUT)
    return endpoint


class Endpoints:
    """Methods are endpoints; they tell the events of one film each."""

    def __init__(self, blocks: gr.Blocks, service: JobService) -> None:
        self._blocks = blocks
        self._service = service

    @described
    def interpolate(
        self,
        first: str,
        last: str,
        depth: int,
        fps: float,
        model: str,
        device: str,
        longest_side: int,
        format: str,
        quality: int,
        play: str,
        count: int | None = None,
        seconds: float | None = None,
        easing: str = "linear",
        background: str | None = None,
        depth_bits: int = 8,
        request: gr.Request | None = None,
    ) -> Iterator[Report]:
        """Make a film of two photos. Returns its file, and what is known of it: frames, size, model, device, seconds.

        On the way it reports the place in the line (place, seconds_until_it_begins), then the frames (done, total,
        seconds_left).

        Args:
            first: The photo the film begins with.
            last: The photo it ends with.
            depth: Each step doubles the moments in between; the film has 2**depth + 1 frames.
            fps: Frames per second.
            count: The film's number of frames as it plays, both ways of a pingpong, instead of a depth.
            seconds: The film's length as it plays, instead of a depth.
            easing: How it moves from photo to photo: linear, ease-in, ease-out or ease-in-out.
            {output}
        """
        options = OutputOptions(model, device, longest_side, format, quality, play, background, depth_bits)
        yield from self._report(PhotoRequest([first, last], options, depth, count, seconds, fps, easing), request)

    @described
    def interpolate_many(
        self,
        photos: list[str],
        depth: int,
        fps: float,
        model: str,
        device: str,
        longest_side: int,
        format: str,
        quality: int,
        play: str,
        count: int | None = None,
        seconds: float | None = None,
        easing: str = "linear",
        background: str | None = None,
        depth_bits: int = 8,
        request: gr.Request | None = None,
    ) -> Iterator[Report]:
        """Make one film through many photos, in the order given. Returns and reports what `interpolate` does.

        Args:
            photos: The photos, in the order in which the film comes to them.
            depth: Each step doubles the moments between neighbours: there are 2**depth - 1 of them.
            fps: Frames per second.
            count: The whole film's number of frames as it plays, both ways of a pingpong, instead of a depth.
            seconds: The whole film's length as it plays, instead of a depth.
            easing: How it moves from photo to photo: linear, ease-in, ease-out or ease-in-out.
            {output}
        """
        options = OutputOptions(model, device, longest_side, format, quality, play, background, depth_bits)
        yield from self._report(PhotoRequest(photos or [], options, depth, count, seconds, fps, easing), request)

    @described
    def retime(
        self,
        video: str,
        slowdown: float,
        model: str,
        device: str,
        longest_side: int,
        format: str,
        quality: int,
        play: str,
        sound: bool,
        cut: float,
        fps: float | None = None,
        start: str | None = None,
        end: str | None = None,
        speed: str | None = None,
        background: str | None = None,
        depth_bits: int = 8,
        duplicates: str = "auto",
        audio_track: int | None = None,
        keep_streams: bool = False,
        request: gr.Request | None = None,
    ) -> Iterator[Report]:
        """Show a video in slow motion, at another frame rate, or both. Returns and reports what `interpolate` does.

        Args:
            video: The video.
            slowdown: How many times as long the film lasts, from 1 to 16.
            sound: Whether the sound is kept, stretched with its pitch kept, where the format has sound.
            cut: How different two frames must be, 0 to 255, for a new scene; nothing is made across a cut.
            fps: Frames per second of the film; none keeps the video's.
            start: Where the part of the video that is used begins: seconds or hh:mm:ss.
            end: Where that part ends.
            speed: Instead of slowdown, points time:factor with commas, such as 0:1,2.5:0.25; the film is then silent.
            {output}
            duplicates: What becomes of repeated frames: auto (left out, but what stands for long stays), drop, or keep.
            audio_track: Which audio track is heard, from 1; none takes the default one.
            keep_streams: Whether the other audio tracks are kept as well.
        """
        options = OutputOptions(model, device, longest_side, format, quality, play, background, depth_bits)
        part = (start, end, speed, duplicates, audio_track, keep_streams)
        yield from self._report(VideoRequest(video, options, slowdown, fps, sound, cut, *part), request)

    def _report(self, job_request: PhotoRequest | VideoRequest, request: gr.Request | None) -> Iterator[Report]:
        told = report(job_request, self._service, client_address(request))
        return while_polled(self._blocks, request.session_hash if request else None, told)


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
    hidden: dict[str, Any] = {"visible": False}
    model = DropdownInput(list(limits.models), value=options.model, label="model", **hidden)
    device = DropdownInput(list(limits.devices), value=options.device, label="device", **hidden)
    longest_side = DropdownInput(list(sides), value=options.longest_side, label="longest side in pixels", **hidden)
    format = DropdownInput(list(FORMATS), value=options.format, label="format", **hidden)
    quality = NumberInput(options.quality, precision=0, label="quality", **hidden)
    play = DropdownInput(list(PLAYS), value=options.play, label="play", **hidden)
    made: list[Any] = [model, device, longest_side, format, quality, play]

    first, last = PhotoInput(label="first photo", **hidden), PhotoInput(label="last photo", **hidden)
    photos = FilesInput(label="photos", file_count="multiple", **hidden)
    depths = NumberInput(depth, precision=0, label="depth", **hidden)
    fps = NumberInput(PhotoRequest.fps, label="frames per second", **hidden)
    length = [NumberInput(label="number of frames", precision=0, **hidden), NumberInput(label="seconds", **hidden)]

    video, slowdown = (
        VideoInput(label="video", **hidden),
        NumberInput(VideoRequest.slowdown, label="slow motion", **hidden),
    )
    sound, cut = CheckboxInput(True, label="sound", **hidden), NumberInput(scene_detection.CUT, label="cut", **hidden)
    rate = NumberInput(label="frames per second", **hidden)

    part = [TextInput(label=label, **hidden) for label in ("start", "end", "speed")]
    easing = DropdownInput(list(EASINGS), value=PhotoRequest.easing, label="easing", **hidden)
    form: list[Any] = [
        TextInput(label="background", **hidden),
        NumberInput(options.depth_bits, precision=0, label="bits of each colour", **hidden),
    ]

    streams: list[Any] = [
        DropdownInput(list(scene_detection.DUPLICATES), value="auto", label="duplicates", **hidden),
        NumberInput(precision=0, label="audio track", **hidden),
        CheckboxInput(False, label="keep streams", **hidden),
    ]

    outputs = [gr.File(label="film", **hidden), gr.JSON(label="report", **hidden)]
    endpoints = Endpoints(blocks, service)
    for endpoint, inputs in (
        (endpoints.interpolate, [first, last, depths, fps, *made, *length, easing, *form]),
        (endpoints.interpolate_many, [photos, depths, fps, *made, *length, easing, *form]),
        (endpoints.retime, [video, slowdown, *made, sound, cut, rate, *part, *form, *streams]),
    ):
        gr.Button(visible=False).click(endpoint, inputs, outputs, api_name=endpoint.__name__, **queued)
