"""Photos -> frames -> video, told as a stream of events.

The command line and the page are two ways to show these events. Closing the generator stops everything: the frame in
the works is finished by the model, nothing after it is started, the encoder is ended and its files are deleted.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from film import images, recursion, scratch, speed, video
from film.images import Frame
from film.interpolator import Interpolator
from film.video import Segment

__all__ = ["Done", "Event", "Notice", "Progress", "Segment", "Plan", "Stage", "interpolate", "plan"]

DEFAULT_DEPTH = 5
STAGES = {
    "reading": "Reading the photos",
    "downloading": "Downloading the model, once",
    "converting": "Converting the model, once",
    "loading": "Loading the model",
    "measuring": "Comparing the devices, once",
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
    depth: int | None = None,
    count: int | None = None,
    fps: float = 30.0,
    longest_side: int | None = None,
) -> Plan:
    """What these photos would become, or any two if there are none yet. Reads their headers only.

    ValueError as in `interpolate`.
    """
    gaps = _gaps(max(2, len(photos)), depth, count)
    frames = sum(map(len, gaps))
    duration = frames / video.check_fps(fps)
    if not photos:
        return Plan(frames, duration, None, None)
    size = images.common_size([images.image_size(photo) for photo in photos], longest_side)
    per_frame = speed.estimate(model, device, *size)
    seconds = None if per_frame is None else per_frame * _calls(gaps)[-1]
    return Plan(frames, duration, size, seconds)


def interpolate(
    photos: Sequence[str | os.PathLike[str]],
    model: Interpolator,
    output: str | os.PathLike[str],
    *,
    depth: int | None = None,
    count: int | None = None,
    fps: float = 30.0,
    longest_side: int | None = None,
    max_pixels: int = images.MAX_PIXELS,
) -> Generator[Event]:
    """Make the film through two or more photos and write it to `output` (MP4), yielding events on the way.

    Between neighbours come 2**depth - 1 frames (default depth 5); or the film has `count` frames in all, evenly spaced.
    Its longest side is at most `longest_side` pixels, its first and last frame are photos. ValueError for bad input,
    RuntimeError with the tool's own words when the environment fails.
    """
    gaps = _gaps(len(photos), depth, count)
    video.check_fps(fps)
    output = Path(output)
    if not output.parent.is_dir():
        raise ValueError(f"The film cannot be written to {output}: there is no directory {output.parent}.")
    if output.is_dir():
        raise ValueError(f"The film cannot be written to {output}: that is a directory.")
    return _interpolate([Path(photo) for photo in photos], model, output, gaps, fps, longest_side, max_pixels)


def _gaps(photos: int, depth: int | None, count: int | None) -> list[list[Fraction]]:
    if depth is None and count is None:
        depth = DEFAULT_DEPTH
    return recursion.gaps(photos, depth=depth, count=count)


def _calls(gaps: Sequence[Sequence[Fraction]]) -> list[int]:
    """How many middles are made by the time each frame of the film is there."""
    made: list[int] = []
    for moments in gaps:
        before = made[-1] if made else 0
        made += [before + calls for calls in recursion.calls(moments)]
    return made


def _interpolate(
    photos: Sequence[Path],
    model: Interpolator,
    output: Path,
    gaps: Sequence[Sequence[Fraction]],
    fps: float,
    longest_side: int | None,
    max_pixels: int,
) -> Generator[Event]:
    started = time.monotonic()
    yield Stage("reading")
    sizes = [images.image_size(photo, max_pixels) for photo in photos]
    size = images.common_size(sizes, longest_side)
    # Two are read before any work is done, so that a damaged one is refused at once; more would fill the memory.
    read = (images.fit(images.read_image(photo, max_pixels), size) for photo in photos)
    first, second = next(read), next(read)
    if notice := _fitting(sizes, size):
        yield Notice(notice)

    for stage, work in model.preparation(*size):
        yield Stage(stage)
        work()
    if model.choice:
        yield Notice(model.choice)

    yield Stage("interpolating")
    calls = _calls(gaps)
    begun = time.monotonic()
    per_call = None
    with (
        scratch.folder() as folder,
        video.SegmentEncoder(folder, fps) as encoder,
        contextlib.closing(model.sequence(itertools.chain([first, second], read), gaps)) as stream,
    ):
        del first, second
        for made, frame in zip(calls, stream, strict=True):
            per_call = (time.monotonic() - begun) / made if made else None
            left = per_call * (calls[-1] - made) if per_call else None
            yield Progress(encoder.count + 1, len(calls), frame, per_call, left)
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
    yield Done(output, len(calls), size[1], size[0], fps, model.name, model.device, seconds, per_call)


def _fitting(sizes: Sequence[tuple[int, ...]], size: tuple[int, int]) -> str | None:
    """What to tell the user about photos of different sizes."""
    if len(set(sizes)) == 1:
        return None
    which = "both" if len(sizes) == 2 else "all"
    given = " and ".join(f"{width}x{height}" for height, width in dict.fromkeys(sizes))
    aspects = [width / height for height, width in sizes]
    if max(aspects) / min(aspects) < 1.01:
        return f"The photos differ in size ({given}); {which} are made {size[1]}x{size[0]}."
    return f"The photos differ in shape ({given}); {which} are cropped around their centre to {size[1]}x{size[0]}."
