"""Photos or a video -> frames -> film, told as a stream of events.

The command line and the page are two ways to show these events. Closing the generator stops everything: the frame in
the works is finished by the model, nothing after it is started, the encoder is ended. What was made is deleted then,
unless it is to be kept for the next run.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from film.engine import bisection, timings
from film.engine.devices import ExecutionInfo
from film.media import images, scene_detection, video_reader, video_segments, video_writer
from film.media.audio import COPIED, Sound
from film.media.images import Reader
from film.rendering import checkpoint, inputs, planning, timeline
from film.rendering.events import Done, Event, Notice, Progress, Segment, Stage
from film.rendering.inputs import Source
from film.rendering.renderer import AnyRenderer, Chunk, Encoding, Made, render

__all__ = ["Done", "Event", "Notice", "Progress", "Segment", "Stage", "interpolate", "retime"]


SPACINGS = ("equal", "motion")  # of photos in a film of a given count of frames


def interpolate(
    photos: Sequence[str | os.PathLike[str]],
    model: AnyRenderer,
    output: str | os.PathLike[str],
    *,
    depth: int | None = None,
    count: int | None = None,
    spacing: str = "equal",
    fps: float | Fraction = 30,
    longest_side: int | None = None,
    quality: int = video_segments.QUALITY,
    play: str = "loop",
    max_pixels: int = images.MAX_PIXELS,
    resume: bool = False,
    reader: Reader = images,
) -> Generator[Event]:
    """Make the film through two or more photos and write it to `output`, yielding events on the way.

    Between neighbours come 2**depth - 1 frames (0 to 8, default depth 5); or the film has `count` frames in all, from 2
    to 10,000 for each gap, as it is played: forth and back an even number, one more than an odd count. With the
    `spacing` "equal" each gap lasts as long, with "motion" in proportion to how much its photos differ. It plays `fps`
    frames a second, 1/600 to 240, or as many as its format does at most, which the suffix of `output` decides. Its
    longest side is at most `longest_side` pixels, 16 or more; its first and last frame are photos, each of at most
    `max_pixels` pixels. `quality` (1 to 100) and `play` are those of `film.write_video`. With `resume` an interrupted
    film leaves its parts in a folder beside it, and the next run goes on from there. `reader` opens the photos.
    ValueError for bad input, OSError for a photo that cannot be opened (FileNotFoundError if there is none),
    RuntimeError with the tool's own words when the environment fails: what can be told without reading the photos at
    once, the rest with the events.
    """
    if isinstance(photos, (str, bytes, os.PathLike)):
        raise ValueError(f"The photos are {photos!r}; give a list of two or more.")
    timed = model.honours_time
    moments = planning.moments(len(photos), depth, count, play=play, honours_time=timed)
    check_spacing(spacing, count is not None)
    paths = [Path(photo) for photo in photos]
    target = Target(Path(output), video_segments.exact(fps), quality, play, resume, inputs=paths)

    def opened() -> AbstractContextManager[Source]:
        wanted = moments
        if spacing == "motion":
            weights = inputs.differences(paths, max_pixels, reader)
            wanted = planning.moments(len(paths), count=count, weights=weights, play=play, honours_time=timed)
        return contextlib.nullcontext(inputs.open_photos(paths, wanted, longest_side, max_pixels, reader, timed))

    return _events("reading", opened, model, target)


def retime(
    source: str | os.PathLike[str],
    model: AnyRenderer,
    output: str | os.PathLike[str],
    *,
    slowdown: float | Fraction = 1,
    fps: float | Fraction | None = None,
    sound: bool = True,
    cut: float = scene_detection.CUT,
    precision: float | Fraction = timeline.VIDEO_PRECISION,
    longest_side: int | None = None,
    quality: int = video_segments.QUALITY,
    play: str = "loop",
    max_pixels: int = images.MAX_PIXELS,
    resume: bool = False,
) -> Generator[Event]:
    """Show a video in slow motion, at another frame rate, or both, and write it to `output`, yielding events.

    The film lasts `slowdown` (1 to 16) times as long as the video and has `fps` frames per second (1/600 to 240,
    default: the video's), or as many as its format plays at most. Sound is stretched with its pitch kept, unless
    `sound` is false. Nothing is made across a cut, which is a content value of `cut` or more (0 to 255, inf: none; see
    `scene_detection`); repeated frames are left out. Moments are made to the nearest `precision`, a power of 1/2, of
    the interval between two frames, by a model that honours the time exactly. The rest is as in `interpolate`, but the
    video is looked into at once: OSError when it cannot be opened (FileNotFoundError if there is none).
    """
    looked = video_reader.read_metadata(source, max_pixels)
    factor = planning.check_pace(slowdown, fps)
    fps, step = planning.pace(looked, factor, fps, output)
    precision = bisection.EXACT if model.honours_time else bisection.exact(precision)
    check_cut(cut)
    target = Target(Path(output), fps, quality, play, resume, sound, [looked.path])

    def opened() -> AbstractContextManager[Source]:
        return inputs.open_video(looked, step, factor, cut, precision, longest_side, max_pixels)

    return _events("looking", opened, model, target)


def check_spacing(spacing: str, counted: bool) -> None:
    """ValueError unless it is one of SPACINGS, and "motion" only for a film of a given number of frames."""
    if spacing not in SPACINGS or (spacing == "motion" and not counted):
        raise ValueError(f"The spacing is {spacing!r}; choose equal, or motion with a count of frames.")


def check_cut(cut: float) -> None:
    """ValueError unless that can be a content value."""
    if not cut >= 0:
        raise ValueError(f"The threshold of a cut is {cut:g}; it must be 0 or more (15 is usual, inf finds none).")


@dataclass(frozen=True)
class Target:
    """The file that a film is to be. ValueError where it cannot be."""

    path: Path
    fps: Fraction  # that was asked for
    quality: int = video_segments.QUALITY
    play: str = "loop"
    resume: bool = False
    sound: bool = True
    inputs: Sequence[Path] = ()  # what it is made of

    def __post_init__(self) -> None:
        video_writer.check_place(self.path)
        if self.path.exists() and any(path.exists() and path.samefile(self.path) for path in self.inputs):
            raise ValueError(f"The film {self.path} would replace what it is made of; choose another name for it.")
        video_writer.check(self.path, self.play, self.quality)

    @property
    def encoding(self) -> Encoding:
        fps = video_writer.shown_fps(self.path, self.fps)
        return Encoding(fps, self.quality, video_writer.needs_lossless(self.path, self.play))

    def notes(self, sound: Sound | None) -> Iterator[str]:
        """What the file cannot have of what was asked for."""
        suffix, fps = video_writer.check(self.path), self.encoding.fps
        if fps < self.fps:
            longer = f"{float(self.fps / fps):.3g}"
            yield f"A {suffix} plays at most {fps} frames a second: the film lasts {longer} times as long."
        if sound and not video_writer.carries_sound(self.path):
            yield f"The film is silent: a {suffix} has no sound; {' and '.join(COPIED)} do."
        elif sound and not video_writer.carries_sound(self.path, self.play):
            yield "The film is silent: what is played forth and back has no sound."

    def parts(self, source: Source, renderer: AnyRenderer, info: ExecutionInfo) -> AbstractContextManager[Path]:
        """The folder for the film's segments, as `info` runs `renderer`."""
        if not self.resume:
            return checkpoint.discarded()
        made_by = {
            "model": f"{renderer.fingerprint}, on {info.device}",
            "tiles": info.tiles,
            **vars(self.encoding),
        }
        return checkpoint.kept(checkpoint.folder(self.path), source.choices | made_by, source.notes.append)


def _events(
    first_stage: str, opened: Callable[[], AbstractContextManager[Source]], renderer: AnyRenderer, target: Target
) -> Generator[Event]:
    started = time.monotonic()
    yield Stage(first_stage)
    with opened() as source:
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
            clock = _Clock(source)
            segments = yield from _segments(source, renderer, target.encoding, folder, clock)
            yield Stage("finishing")
            write = partial(video_writer.write, segments, target.path, play=target.play, quality=target.quality)
            try:
                write(sound=sound)
            except RuntimeError as error:
                if sound is None:
                    raise
                write()  # its frames were the work; if something else is wrong, this says so
                yield Notice(f"The film is silent: its sound could not be added. {error}")
    height, width = source.size
    if clock.per_call and renderer.timings_name:
        for device in {execution_info.device, renderer.requested_device}:
            timings.remember(renderer.timings_name, device, height * width, clock.per_call)
    frames = video_writer.shown_frames(clock.done, target.play)
    height, width = video_writer.shown_size(target.path, source.size)
    seconds = time.monotonic() - started
    fps = target.encoding.fps
    yield Done(
        target.path,
        frames,
        width,
        height,
        fps,
        renderer.name,
        str(execution_info),
        seconds,
        clock.per_call,
        execution_info.precision,
    )


def _segments(
    source: Source, renderer: AnyRenderer, encoding: Encoding, folder: Path, clock: _Clock
) -> Generator[Event, None, list[Segment]]:
    """Make the film's segments, but for those that are in the folder already, and return all of them."""
    segments: list[Segment] = []
    there = {segment.first: segment for segment in encoding.finished(folder)}
    if there:
        yield Notice(f"{sum(segment.count for segment in there.values())} frames are there from an earlier run.")
    with contextlib.closing(render(renderer, _missing(source, encoding.length, there), folder, encoding)) as everything:
        for made in everything:
            yield from map(Notice, source.take_notes())
            if isinstance(made, Made):
                yield clock.tick(made)
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
    for pairs in timeline.chunks(source.pairs, least):
        first, end = begin, begin + timeline.length(pairs)
        while first < end:
            if segment := there.get(first):
                yield segment
                first += segment.count
            else:
                until = next((number for number in range(first, end) if number in there), end)
                yield Chunk(first, timeline.part(pairs, first - begin, until - begin))
                first = until
        begin = end
        del pairs  # before the next are read


class _Clock:
    """Counts the frames of a film, and tells how long the rest will take."""

    def __init__(self, source: Source) -> None:
        self.done = 0
        self.per_call: float | None = None  # seconds
        self._source = source
        self._begun = time.monotonic()
        self._calls = self._skipped = 0
        self._elsewhere = 0.0  # seconds that others worked for it, side by side

    def skip(self, frames: int) -> None:
        """Frames that need not be made."""
        self.done += frames
        self._skipped += frames

    def tick(self, made: Made) -> Progress:
        """Frames were made."""
        self.done += made.frames
        self._calls += made.calls
        self._elsewhere += made.seconds or 0.0
        passed = time.monotonic() - self._begun
        total, left = max(self.done, self._source.frames), None
        if self._calls:
            self.per_call = (self._elsewhere or passed) / self._calls
            if self._source.calls is None or self._skipped:
                left = passed / (self.done - self._skipped) * (total - self.done)
            else:
                left = passed / self._calls * max(0, self._source.calls - self._calls)
        return Progress(self.done, total, made.frame, self.per_call, left)
