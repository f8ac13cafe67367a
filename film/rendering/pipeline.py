"""Photos or a video -> frames -> film, told as a stream of events.

The command line and the page are two ways to show these events. Closing the generator stops everything: the frame in
the works is finished by the model, nothing after it is started, the encoder is ended. What was made is deleted then,
unless it is to be kept for the next run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from film.engine import bisection, timings
from film.engine.interpolator import Interpolator
from film.media import images, video_reader, video_writer
from film.media.audio import COPIED, Sound
from film.media.colour_depth import ColourDepth
from film.media.images import Reader
from film.media.video_reader import VideoMetadata
from film.rendering import checkpoint, coarse_to_fine, inputs, planning, renderer, video_input
from film.rendering.events import Done, Event, Level, Notice, Progress, Segment, Stage
from film.rendering.inputs import Source
from film.rendering.options import FilmOptions, PhotoOptions, VideoOptions, chosen
from film.rendering.renderer import AnyRenderer, Encoding, ProgressClock, RenderedFrames
from film.support import tempdirs

__all__ = ["Done", "Event", "Level", "Notice", "Progress", "Segment", "Stage", "interpolate", "retime"]

Function = TypeVar("Function", bound=Callable[..., Any])


def _choices_of(options: type[FilmOptions]) -> Callable[[Function], Function]:
    """Show a function's `choices` as what they are: the fields of `options`, with their words."""

    def shown(function: Function) -> Function:
        signature = inspect.signature(function)
        named = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        named += inspect.signature(options).parameters.values()
        function.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        told = [f"{one.name}: {one.metadata['help']}" for one in dataclasses.fields(options) if one.metadata]
        function.__doc__ = "\n    ".join([inspect.cleandoc(function.__doc__ or ""), *told])
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

    The suffix of `output` is the film's format; it plays as many frames a second as that does at most. Its first and
    last frame are photos, each of at most `max_pixels` pixels, which `reader` opens. A `count` is from 2 to 10,000 for
    each gap. With `resume` an interrupted film leaves its parts in a folder beside it, and the next run goes on from
    there. With `by_level` the levels of the bisection are made one after the other, where there are several (see
    `coarse_to_fine`), unless the film is transparent, made elsewhere, or gone on with: `Progress` comes as frames are
    made, and `Level` when a level is complete; the file is the same.
    Bad arguments are a ValueError at once. What is wrong with the photos comes with the events: ValueError, OSError for
    one that cannot be opened (FileNotFoundError if there is none); RuntimeError with the tool's own words when the
    environment fails.

    Give `options`, or their fields as keywords:
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

    A `speed` such as "0:1,2:0.25" (or pairs, or a mapping) slows down to a quarter from second 2 of the whole video on,
    straight from point to point; such a film is silent. Nothing is made across a cut, which is a content value of `cut`
    or more (see `scene_detection`). What stands still for long goes on moving with `duplicates` of "drop". Subtitles,
    chapters and tags are kept where the format can, and with `depth_bits` of 10 the range of a video in HDR. Moments
    are made to the nearest `precision`, a power of 1/2, of the interval between two frames, by a model that honours the
    time exactly. A `play` of "seamless" makes nothing between two scenes. The rest is as in `interpolate`, but the
    video is looked into at once: OSError when it cannot be opened (FileNotFoundError if there is none).

    Give `options`, or their fields as keywords:
    """
    options = chosen(VideoOptions, options, choices)
    if not isinstance(source, VideoMetadata):
        source = video_reader.read_metadata(source, max_pixels, options.audio_track)
    looked = planning.part_of(source, options)
    fps, pace = planning.pace(looked, options, output)
    target = Target(Path(output), fps, options, resume, [looked.path])
    alpha = options.keeps_alpha(os.fspath(output))
    precision = bisection.EXACT if model.honours_time else Fraction(options.precision)
    opened = partial(video_input.open_video, looked, pace, options, max_pixels, alpha, precision)
    return _events("looking", opened, model, target)


@dataclasses.dataclass(frozen=True)
class Target:
    """The file that a film is to be: what it can have of what was asked for. ValueError where it cannot be."""

    path: Path
    fps: Fraction  # that was asked for
    options: FilmOptions
    resume: bool
    inputs: Sequence[Path]  # what it is made of

    def __post_init__(self) -> None:
        video_writer.check_place(self.path)
        if self.path.exists() and any(path.exists() and path.samefile(self.path) for path in self.inputs):
            raise ValueError(f"The film {self.path} would replace what it is made of; choose another name for it.")
        video_writer.check(self.path, bits=self.options.depth_bits)

    @property
    def shown_fps(self) -> Fraction:
        return video_writer.shown_fps(self.path, self.fps)

    def encoding(self, source: Source) -> Encoding:
        bits = self.options.depth_bits
        if source.alpha and bits > 8 and self.path.suffix.lower() == ".webm":
            raise ValueError(
                "A transparent WebM has 8 bits a channel, because libvpx encodes no more; choose a .mov for 10, or give"
                " a background."
            )
        lossless = source.alpha or video_writer.needs_lossless(self.path, self.options.play, bits)
        return Encoding(self.shown_fps, self.options.quality, lossless, ColourDepth(bits, source.transfer))

    def notes(self, sound: Sound | None) -> Iterator[str]:
        """What the file cannot have of what was asked for."""
        suffix, fps = video_writer.check(self.path), self.shown_fps
        if fps < self.fps:
            longer = f"{float(self.fps / fps):.3g}"
            yield f"A {suffix} plays at most {fps} frames a second: the film lasts {longer} times as long."
        if sound and not video_writer.carries_sound(self.path):
            *others, last = COPIED
            yield f"The film is silent: a {suffix} has no sound; {', '.join(others)} and {last} do."
        elif sound and not video_writer.carries_sound(self.path, self.options.play):
            yield "The film is silent: what is played forth and back has no sound."


def _events(
    first_stage: str,
    opened: Callable[[], AbstractContextManager[Source]],
    model: AnyRenderer,
    target: Target,
    by_level: bool = False,
) -> Generator[Event]:
    started = time.monotonic()
    options = target.options
    yield Stage(first_stage)
    with opened() as source:
        encoding = target.encoding(source)  # refused, if it is, before the model is prepared
        sound = source.sound if isinstance(options, VideoOptions) and options.sound else None
        source.notes.extend(target.notes(sound))
        yield from source.take_notes()
        for stage, work in model.setup_steps(*source.size):
            yield Stage(stage)
            work()
        info = model.execution_info(*source.size)
        if info.why:
            yield Notice(info.why)
        parts = tempdirs.folder()  # that nobody will come back to
        if target.resume:
            made_by = {"model": f"{model.fingerprint}, on {info.device}", "tiles": info.tiles, **vars(encoding)}
            parts = checkpoint.kept(checkpoint.folder(target.path), source.choices | made_by, source.notes.append)
        with parts as folder:
            yield from source.take_notes()
            yield Stage("interpolating")
            clock = ProgressClock(source.frames, source.calls)
            segments = yield from _segments(source, model, encoding, folder, clock, by_level)
            yield Stage("finishing")
            write = partial(
                video_writer.write,
                segments,
                target.path,
                play=options.play,
                quality=options.quality,
                depth=encoding.depth,
            )
            try:
                write(sound=sound)
            except RuntimeError as error:
                if sound is None or not video_writer.carries_sound(target.path, options.play):
                    raise
                write()  # its frames were the work; if something else is wrong, this says so
                yield Notice(f"The film is silent: its sound could not be added. {error}")
            yield from map(Notice, _with_companions(source, target, clock.done))
    height, width = source.size
    if clock.per_call and model.timings_name:
        for device in {info.device, model.requested_device}:
            timings.remember(model.timings_name, device, height * width, clock.per_call)
    height, width = video_writer.shown_size(target.path, source.size)
    yield Done(
        target.path,
        video_writer.shown_frames(clock.done, options.play),
        width,
        height,
        target.shown_fps,
        model.name,
        str(info),
        time.monotonic() - started,
        clock.per_call,
        info.precision,
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
    source: Source, model: AnyRenderer, encoding: Encoding, folder: Path, clock: ProgressClock, by_level: bool
) -> Generator[Event, None, list[Segment]]:
    """Make the film's segments, but for those that are in the folder already, and return all of them."""
    segments: list[Segment] = []
    there = {segment.first: segment for segment in encoding.finished(folder)}
    if there:
        yield Notice(f"{sum(segment.count for segment in there.values())} frames are there from an earlier run.")
    everything: Generator[RenderedFrames | Segment | Level]
    levels = coarse_to_fine.levels(source.moments or (), model.honours_time) if by_level else []
    if isinstance(model, Interpolator) and len(levels) > 1 and not there and not source.alpha:
        everything = coarse_to_fine.render(model, source.pairs, source.moments or (), source.size, folder, encoding)
    else:
        everything = renderer.render(model, renderer.missing(source.pairs, encoding.length, there), folder, encoding)
    with contextlib.closing(everything):
        for made in everything:
            yield from source.take_notes()
            if isinstance(made, RenderedFrames):
                yield clock.tick(made)
                continue
            if isinstance(made, Segment):
                segments.append(made)
                if there.get(made.first) is made:
                    clock.skip(made.count)
            yield made
    yield from source.take_notes()
    return sorted(segments, key=lambda segment: segment.first)
