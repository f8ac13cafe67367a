"""Photos or a video -> frames -> film, told as a stream of events.

The command line and the page are two ways to show these events. Closing the generator stops everything: the frame in
the works is finished by the model, nothing after it is started, the encoder is ended. What was made is deleted then,
unless it is to be kept for the next run.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from film.engine import bisection, timings
from film.engine.frame_pair import FramePair
from film.engine.interpolator import Interpolator
from film.media import images, video_reader, video_writer
from film.media.images import Reader
from film.media.video_reader import VideoMetadata
from film.rendering import coarse_to_fine, inputs, planning, timeline
from film.rendering.events import Done, Event, Level, Notice, Progress, Segment, Stage
from film.rendering.inputs import Source
from film.rendering.options import FilmOptions, PhotoOptions, VideoOptions, chosen
from film.rendering.progress_clock import ProgressClock
from film.rendering.renderer import AnyRenderer, Chunk, Encoding, RenderedFrames, handed_over, render
from film.rendering.target import Target

__all__ = ["Done", "Event", "Level", "Notice", "Progress", "Segment", "Stage", "interpolate", "retime"]


Function = TypeVar("Function", bound=Callable[..., Any])


def _choices_of(options: type[FilmOptions]) -> Callable[[Function], Function]:
    """Show a function's `choices` as what they are: the fields of `options`."""

    def shown(function: Function) -> Function:
        signature = inspect.signature(function)
        named = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        named += inspect.signature(options).parameters.values()
        function.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        return function

    return shown


@_choices_of(PhotoOptions)
def interpolate(
    photos: Sequence[str | os.PathLike[str]],
    model: AnyRenderer,
    output: str | os.PathLike[str],
    options: PhotoOptions | None = None,
    *,
    max_pixels: int = images.MAX_PIXELS,
    resume: bool = False,
    reader: Reader = images,
    by_level: bool = False,
    **choices: Any,
) -> Generator[Event]:
    """Make the film through two or more photos and write it to `output`, yielding events on the way.

    `choices` are the keywords of `PhotoOptions`, where no `options` are given.

    Between neighbours come 2**depth - 1 frames (0 to 8, default depth 5); or the film has `count` frames in all, from 2
    to 10,000 for each gap, as it is played: forth and back an even number, one more than an odd count; or it lasts
    `seconds`. With the `spacing` "equal" each gap lasts as long, with "motion" in proportion to how much its photos
    differ. `easing` (linear, ease-in, ease-out, ease-in-out) is how it moves from each photo to the next. It plays
    `fps` frames a second, 1/600 to 240, or as many as its format does at most, which the suffix of `output` decides.
    Its longest side is at most `longest_side` pixels, 16 or more; its first and last frame are photos, each of at most
    `max_pixels` pixels. `quality` (1 to 100) and `play` are those of `film.write_video`; a `play` of "seamless" also
    makes what lies between the last photo and the first. Transparent photos make a transparent film where the format
    can be one (WebP, PNG, WebM, MOV) and no `background` (a colour's name, or #rrggbb) is given; else they are shown
    over it, white by default. `depth_bits` of 10 is for MP4 (H.265), WebM and MOV. With `resume` an interrupted film
    leaves its parts in a folder beside it, and the next run goes on from there. `reader` opens the photos.
    With `by_level` the levels of the bisection are made one after the other, so that the whole film moves after
    one call of the model (see `coarse_to_fine`): `Progress` comes in the order in which frames are made, with the place
    of each, and `Level` when a level is complete; the file is the same. Where there is no second level, many machines
    make the film, it is transparent, or an interrupted one goes on, it is made in order.
    ValueError for bad input, OSError for a photo that cannot be opened (FileNotFoundError if there is none),
    RuntimeError with the tool's own words when the environment fails: what can be told without reading the photos at
    once, the rest with the events.
    """
    options = chosen(PhotoOptions, options, choices)
    if isinstance(photos, (str, bytes, os.PathLike)):
        raise ValueError(f"The photos are {photos!r}; give a list of two or more.")
    video_writer.check_place(Path(output))
    paths = [Path(photo) for photo in photos]
    _, fps = planning.length(options, len(paths), output, honours_time=model.honours_time)
    asked = fps if options.seconds is not None else options.rate  # a length in seconds knows the format's rate
    target = Target(Path(output), asked, options, resume, inputs=paths)
    opened = partial(inputs.open_photos, paths, target.path, options, max_pixels, reader, model.honours_time)
    return _events("reading", opened, model, target, by_level)


@_choices_of(VideoOptions)
def retime(
    source: str | os.PathLike[str] | VideoMetadata,
    model: AnyRenderer,
    output: str | os.PathLike[str],
    options: VideoOptions | None = None,
    *,
    max_pixels: int = images.MAX_PIXELS,
    resume: bool = False,
    **choices: Any,
) -> Generator[Event]:
    """Show a video in slow motion, at another frame rate, or both, and write it to `output`, yielding events.

    `choices` are the keywords of `VideoOptions`, where no `options` are given.

    The film lasts `slowdown` (1 to 16) times as long as the video and has `fps` frames per second (1/600 to 240,
    default: the video's), or as many as its format plays at most. Instead of a slowdown, `speed` is a curve of points,
    "time:factor" with commas between them (or pairs, or a mapping): from "0:1,2:0.25" on the video slows down to a
    quarter of its speed, straight from point to point; such a film is silent. `start` and `end` are the part of the
    video that is used: seconds, or text as hh:mm:ss; the times of `speed` are of the whole video, too. Sound is
    stretched with its pitch kept, unless `sound` is false. Nothing is made across a cut, which is a content value of
    `cut` or more (0 to 255, inf: none; see `scene_detection`). With `duplicates` of "auto" repeated frames are left
    out, and what stands still for long stays; "drop" goes on through it, "keep" takes every frame as it is. The sound
    is that of `audio_track`, from 1, or the default one; with `keep_streams` the others are there as well. Subtitles,
    chapters and tags are kept where the format can. Moments are made to the nearest `precision`, a power of 1/2, of the
    interval between two frames, by a model that honours the time exactly. A `play` of "seamless" moves from the last
    frame to the first, unless they are of two scenes. With `depth_bits` of 10 a video in HDR stays so (MP4, WebM); else
    it becomes standard range. The rest is as in `interpolate`, but the video is looked into at once: OSError when it
    cannot be opened (FileNotFoundError if there is none).
    """
    options = chosen(VideoOptions, options, choices)
    if not isinstance(source, VideoMetadata):
        source = video_reader.read_metadata(source, max_pixels, options.audio_track)
    looked = planning.part_of(source, options)
    fps, pace = planning.pace(looked, options, output)
    target = Target(Path(output), fps, options, resume, [looked.path])
    alpha = options.keeps_alpha(os.fspath(output))
    precision = bisection.EXACT if model.honours_time else Fraction(options.precision)
    opened = partial(inputs.open_video, looked, pace, options, max_pixels, alpha, precision)
    return _events("looking", opened, model, target)


def _events(
    first_stage: str,
    opened: Callable[[], AbstractContextManager[Source]],
    renderer: AnyRenderer,
    target: Target,
    by_level: bool = False,
) -> Generator[Event]:
    started = time.monotonic()
    yield Stage(first_stage)
    with opened() as source:
        encoding = target.encoding(source)  # refused, if it is, before the model is prepared
        sound = source.sound if target.sound else None
        source.notes.extend(target.notes(sound))
        sound = sound if video_writer.carries_sound(target.path, target.play) else None
        yield from map(Notice, source.take_notes())
        for stage, work in renderer.setup_steps(*source.size):
            yield Stage(stage)
            work()
        execution_info = renderer.execution_info(*source.size)
        if execution_info.why:
            yield Notice(execution_info.why)
        with target.parts(source, renderer, execution_info) as folder:
            yield from map(Notice, source.take_notes())
            yield Stage("interpolating")
            clock = ProgressClock(source)
            segments = yield from _segments(source, renderer, encoding, folder, clock, by_level)
            yield Stage("finishing")
            write = partial(target.write, segments, encoding)
            try:
                write(sound=sound)
            except RuntimeError as error:
                if sound is None:
                    raise
                write()  # its frames were the work; if something else is wrong, this says so
                yield Notice(f"The film is silent: its sound could not be added. {error}")
            yield from map(Notice, _with_companions(source, target, clock.done))
    height, width = source.size
    if clock.per_call and renderer.timings_name:
        for device in {execution_info.device, renderer.requested_device}:
            timings.remember(renderer.timings_name, device, height * width, clock.per_call)
    height, width = video_writer.shown_size(target.path, source.size)
    yield Done(
        target.path,
        video_writer.shown_frames(clock.done, target.play),
        width,
        height,
        target.shown_fps,
        renderer.name,
        str(execution_info),
        time.monotonic() - started,
        clock.per_call,
        execution_info.precision,
    )


def _with_companions(source: Source, target: Target, frames: int) -> list[str]:
    """Put what the video holds beside picture and sound into the film; what to tell of it."""
    if source.companions is None:
        return []
    try:
        return source.companions.add(target.path, float(frames / target.shown_fps))
    except RuntimeError as error:
        return [f"The film is without the video's subtitles, chapters and title: they could not be added. {error}"]


def _segments(
    source: Source, renderer: AnyRenderer, encoding: Encoding, folder: Path, clock: ProgressClock, by_level: bool
) -> Generator[Event, None, list[Segment]]:
    """Make the film's segments, but for those that are in the folder already, and return all of them."""
    segments: list[Segment] = []
    there = {segment.first: segment for segment in encoding.finished(folder)}
    if there:
        yield Notice(f"{sum(segment.count for segment in there.values())} frames are there from an earlier run.")
    everything: Generator[RenderedFrames | Segment | Level]
    if (
        by_level
        and isinstance(renderer, Interpolator)
        and not there
        and not source.alpha
        and len(coarse_to_fine.levels(source.moments or (), renderer.honours_time)) > 1
    ):
        everything = coarse_to_fine.render(renderer, source.pairs, source.moments or (), source.size, folder, encoding)
    else:
        everything = render(renderer, _missing(source, encoding.length, there), folder, encoding)
    with contextlib.closing(everything):
        for made in everything:
            yield from map(Notice, source.take_notes())
            if isinstance(made, RenderedFrames):
                yield clock.tick(made)
            elif isinstance(made, Level):
                yield made
            else:
                if there.get(made.first) is made:
                    clock.skip(made.count)
                segments.append(made)
                yield made
    yield from map(Notice, source.take_notes())
    return sorted(segments, key=lambda segment: segment.first)


def _missing(source: Source, least: int, there: Mapping[int, Segment]) -> Generator[Chunk | Segment]:
    """The film in order: the segments that are there, and the chunks that are not, or what is missing of them."""
    begin = 0

    def missing(pairs: list[FramePair]) -> Generator[Chunk | Segment]:
        nonlocal begin
        start, first = begin, begin
        begin += timeline.length(pairs)
        while first < begin:
            if segment := there.get(first):
                yield segment
                first += segment.count
            else:
                until = next((number for number in range(first, begin) if number in there), begin)
                yield Chunk(first, timeline.part(pairs, first - start, until - start))
                first = until

    return handed_over(timeline.chunks(source.pairs, least), missing)
