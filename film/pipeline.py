"""Photos -> frames -> video, told as a stream of events.

The command line and the page are two ways to show these events. Closing the generator stops everything: the frame in
the works is finished by the model, nothing after it is started, the encoder is ended and its files are deleted.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from film import images, recursion, speed, video
from film.images import Frame
from film.interpolator import Interpolator
from film.video import Segment

__all__ = ["Done", "Event", "Notice", "Progress", "Segment", "Plan", "Stage", "interpolate", "plan"]

STAGES = {
    "reading": "Reading the photos",
    "downloading": "Downloading the model, once",
    "converting": "Converting the model, once",
    "loading": "Loading the model",
    "compiling": "Compiling the model for this size",
    "interpolating": "Making frames",
    "finishing": "Finishing the film",
}


@dataclass(frozen=True)
class Stage:
    """What begins now."""

    name: str  # a key of STAGES

    @property
    def text(self) -> str:
        return STAGES[self.name]


@dataclass(frozen=True)
class Notice:
    """Something the user should know about how the photos are used."""

    text: str


@dataclass(frozen=True)
class Progress:
    """A frame of the film is there."""

    done: int  # of the film's frames, this one included
    total: int
    frame: Frame
    seconds_per_frame: float | None  # per synthesized frame; None before the first
    seconds_left: float | None


@dataclass(frozen=True)
class Done:
    """The film is complete."""

    path: Path
    frames: int
    width: int
    height: int
    fps: float
    model: str
    device: str
    seconds: float  # from the first event to this one
    seconds_per_frame: float | None

    @property
    def duration(self) -> float:
        """The film's length in seconds."""
        return self.frames / self.fps


# A segment's file exists until the generator goes on to its end: read it when its event comes.
Event: TypeAlias = Stage | Notice | Progress | Segment | Done


@dataclass(frozen=True)
class Plan:
    """What `interpolate` would make, told without making it."""

    frames: int
    duration: float  # of the film, seconds
    size: tuple[int, int] | None  # height and width; None while there are no photos
    seconds: float | None  # to make it here, from the last film of this model and device; None if there was none


def plan(
    photos: Sequence[str | os.PathLike[str]],
    model: str,
    device: str,
    *,
    depth: int = 5,
    fps: float = 30.0,
    longest_side: int | None = None,
) -> Plan:
    """What two photos (or none yet) would become. Reads their headers only. ValueError as in `interpolate`."""
    moments = recursion.dyadic(depth)
    duration = len(moments) / video.check_fps(fps)
    if not photos:
        return Plan(len(moments), duration, None, None)
    size = images.common_size([images.image_size(photo) for photo in photos], longest_side)
    per_frame = speed.estimate(model, device, *size)
    seconds = None if per_frame is None else per_frame * recursion.calls(moments)[-1]
    return Plan(len(moments), duration, size, seconds)


def interpolate(
    photos: Sequence[str | os.PathLike[str]],
    model: Interpolator,
    output: str | os.PathLike[str],
    *,
    depth: int = 5,
    fps: float = 30.0,
    longest_side: int | None = None,
    max_pixels: int = images.MAX_PIXELS,
) -> Generator[Event]:
    """Make the film between two photos and write it to `output` (MP4), yielding events on the way.

    The film has 2**depth + 1 frames; its longest side is at most `longest_side` pixels, its first and last frame are
    the photos. ValueError for bad input, RuntimeError with the tool's own words when the environment fails.
    """
    if len(photos) != 2:
        raise ValueError(f"A film is made from two photos; {len(photos)} were given.")
    video.check_fps(fps)
    moments = recursion.dyadic(depth)
    output = Path(output)
    if not output.parent.is_dir():
        raise ValueError(f"The film cannot be written to {output}: there is no directory {output.parent}.")
    if output.is_dir():
        raise ValueError(f"The film cannot be written to {output}: that is a directory.")
    return _interpolate(photos, model, output, moments, fps, longest_side, max_pixels)


def _interpolate(
    photos: Sequence[str | os.PathLike[str]],
    model: Interpolator,
    output: Path,
    moments: list[Fraction],
    fps: float,
    longest_side: int | None,
    max_pixels: int,
) -> Generator[Event]:
    started = time.monotonic()
    yield Stage("reading")
    frames = [images.read_image(photo, max_pixels) for photo in photos]
    sizes = [frame.shape[:2] for frame in frames]
    size = images.common_size(sizes, longest_side)
    if notice := _fitting(sizes, size):
        yield Notice(notice)
    first, last = (images.fit(frame, size) for frame in frames)
    del frames

    for stage, work in model.preparation(*size):
        yield Stage(stage)
        work()

    yield Stage("interpolating")
    calls = recursion.calls(moments)
    begun = time.monotonic()
    per_call = None
    with (
        tempfile.TemporaryDirectory(prefix="film-") as scratch,
        video.SegmentEncoder(Path(scratch), fps) as encoder,
        contextlib.closing(model.frames(first, last, times=moments)) as stream,
    ):
        del first, last
        for done, frame in enumerate(stream, 1):
            made = calls[done - 1]
            per_call = (time.monotonic() - begun) / made if made else None
            left = per_call * (calls[-1] - made) if per_call else None
            yield Progress(done, len(moments), frame, per_call, left)
            if segment := encoder.write(frame):
                yield segment
        if segment := encoder.finish():
            yield segment
        yield Stage("finishing")
        video.join(encoder.segments, output)
    if per_call:
        for device in {model.device, model.asked_device}:
            speed.remember(model.name, device, size[0] * size[1], per_call)
    seconds = time.monotonic() - started
    yield Done(output, len(moments), size[1], size[0], fps, model.name, model.device, seconds, per_call)


def _fitting(sizes: Sequence[tuple[int, ...]], size: tuple[int, int]) -> str | None:
    """What to tell the user about photos of different sizes."""
    if len(set(sizes)) == 1:
        return None
    given = " and ".join(f"{width}x{height}" for height, width in sizes)
    aspects = [width / height for height, width in sizes]
    if max(aspects) / min(aspects) < 1.01:
        return f"The photos differ in size ({given}); both are made {size[1]}x{size[0]}."
    return f"The photos differ in shape ({given}); both are cropped around their centre to {size[1]}x{size[0]}."
