"""What a film would be, told without making it: frames, length, size, and how many of the frames must be computed."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from film.engine import bisection
from film.media import images, video_segments, video_writer
from film.media.images import Reader
from film.media.video_reader import VideoMetadata, read_metadata
from film.media.video_writer import SEAMLESS
from film.rendering import pace as pace_
from film.rendering.options import MAX_SLOWDOWN, PhotoOptions, VideoOptions, chosen
from film.rendering.pace import Pace, SpeedCurve, Steady
from film.support import validation

__all__ = ["DEFAULT_DEPTH", "MAX_SLOWDOWN", "Plan"]

DEFAULT_DEPTH = 5


@dataclass(frozen=True)
class Plan:
    """What would be made."""

    frames: int  # to be made; of a video's film: as far as its header tells
    fps: Fraction  # frames per second, as the film plays
    size: tuple[int, int] | None  # height and width; None while there are no photos
    calls: int | None  # middles that it takes; None for a video that does not tell its length
    play: str = "loop"
    # Of a film of photos: the moments between each two of them, and whether a model that makes any moment makes them.
    moments: Sequence[Sequence[Fraction]] = field(default=(), compare=False, repr=False)
    honours_time: bool = field(default=False, compare=False)

    @property
    def length_known(self) -> bool:
        """If not, frames and duration are the least that there may be."""
        return self.calls is not None

    @property
    def shown(self) -> int:
        """Frames of the file: forth and back counts both ways."""
        return video_writer.shown_frames(self.frames, self.play)

    @property
    def duration(self) -> float:
        """Of the film, seconds."""
        return float(self.shown / self.fps)


def plan(
    photos: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "film.mp4",
    options: PhotoOptions | None = None,
    *,
    reader: Reader = images,
    honours_time: bool = False,
    **choices: Any,
) -> Plan:
    """What `pipeline.interpolate` would make of these photos, or of any two if there are none yet. ValueError as there.

    Reads the photos' headers only; of `output` only the format matters. `honours_time` is the model's.
    """
    options = chosen(PhotoOptions, options, choices)
    pairs, rate = length(options, max(2, len(photos)), output, honours_time=honours_time)
    sizes = [reader.image_size(photo) for photo in photos]
    size = images.common_size(sizes, options.longest_side) if sizes else None
    return Plan(sum(map(len, pairs)), rate, size, calls(pairs, honours_time), options.play, pairs, honours_time)


def plan_retime(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] = "film.mp4",
    options: VideoOptions | None = None,
    *,
    look: Callable[[str | os.PathLike[str]], VideoMetadata] = read_metadata,
    **choices: Any,
) -> Plan:
    """What `pipeline.retime` would make of this video, as far as its header tells, which `look` reads."""
    options = chosen(VideoOptions, options, choices)
    clip = part_of(look(source), options)
    rate, step = pace(clip, options, output)
    size = images.common_size([(clip.height, clip.width)], options.longest_side)
    frames = step.frames(clip.seconds)
    # What a browser records has no length, or one of 0. At a whole multiple of the video's rate a middle makes a frame;
    # other rates need up to twice as many.
    return Plan(frames, rate, size, frames if clip.seconds else None, options.play)


def length(
    options: PhotoOptions,
    photos: int,
    output: str | os.PathLike[str],
    weights: Sequence[float] | None = None,
    honours_time: bool = False,
) -> tuple[list[list[Fraction]], Fraction]:
    """The moments of each gap of a film through so many photos, and the frame rate at which its format plays it.

    `weights` are how long each gap lasts in relation to the others. ValueError if so many photos make no such film.
    """
    count, rate = options.count, video_writer.shown_fps(output, options.rate)
    if options.seconds is not None:
        count, rate = lasting(options.seconds, options.rate, output, options.play, photos)
    pairs = moments(photos, options.depth, count, weights, options.play, options.easing, honours_time)
    return pairs, rate


def lasting(
    seconds: float, fps: float | Fraction, output: str | os.PathLike[str], play: str = "loop", photos: int = 2
) -> tuple[int, Fraction]:
    """The count of frames of a film that lasts so long as it is played, and the frame rate at which its format does."""
    rate = video_writer.shown_fps(output, fps)
    return video_segments.frame_count(seconds, rate, most_shown(photos, play)), rate


def by_halving(
    seconds: float, fps: float | Fraction, output: str | os.PathLike[str], photos: int, play: str, depths: Sequence[int]
) -> tuple[int, Fraction]:
    """The depth and frame rate of a film that lasts so long as it is played, with no frame made that is not shown.

    The rate is the nearest to `fps` that one of `depths` gives: 4 s of two photos at about 15 frames per second are 65
    frames at 16.25, which takes 63 calls of a model that makes middles; 60 frames would take 137. ValueError as in
    `lasting`.
    """
    lasting(seconds, fps, output, play, photos)  # refuses what is no length
    length, wanted = validation.exact(seconds), validation.exact(video_writer.shown_fps(output, fps))
    assert length and wanted
    rates = {depth: video_writer.shown_frames((photos - 1) * 2**depth + 1, play) / length for depth in depths}
    fitting = {
        depth: rate
        for depth, rate in rates.items()
        if rate <= max(2 * wanted, Fraction(1)) and video_writer.shown_fps(output, rate) == rate
    }
    if not fitting:
        fitting = {min(rates): wanted}
    depth = min(fitting, key=lambda depth: abs(math.log(fitting[depth] / wanted)))
    return depth, video_segments.exact(fitting[depth])


def moments(
    photos: int,
    depth: int | None = None,
    count: int | None = None,
    weights: Sequence[float] | None = None,
    play: str = "loop",
    easing: str = "linear",
    honours_time: bool = False,
) -> list[list[Fraction]]:
    """`bisection.pairs`, with the default depth if neither it nor a count is given. `count` is of frames as played.

    A seamless loop has one gap more, from the last photo to the first, whose end is not shown again.
    """
    depth = DEFAULT_DEPTH if depth is None and count is None else depth
    closed = play == SEAMLESS and photos > 1
    shown = validation.whole(count)
    if shown is not None and 2 <= shown <= most_shown(photos, play):  # what else it is, is refused
        count = shown + 1 if closed else video_writer.made_frames(shown, play)
    precision = bisection.EXACT if honours_time else bisection.PRECISION
    pairs = bisection.pairs(photos + closed, depth=depth, count=count, weights=weights, precision=precision)
    if closed:
        pairs[-1].pop()
    return pace_.eased(pairs, easing, honours_time)


def most_shown(photos: int, play: str) -> int:
    """How many frames a film through so many photos can have, as it is played."""
    if play == SEAMLESS:
        return bisection.most(photos + 1) - 1
    return video_writer.shown_frames(bisection.most(photos), play)


def calls(pairs: Sequence[Sequence[Fraction]], honours_time: bool = False) -> int:
    """How often the model is called for the moments of these gaps."""
    return sum(bisection.calls(pair, honours_time)[-1] for pair in pairs if pair)


def pace(clip: VideoMetadata, options: VideoOptions, output: str | os.PathLike[str]) -> tuple[Fraction, Pace]:
    """The film's frame rate, no faster than the format of `output` plays, and how its frames go through the video."""
    if options.fps is None and clip.fps > video_segments.MAX_FPS:
        raise ValueError(
            f"{clip.name} counts {float(clip.fps):g} frames per second, more than the {video_segments.MAX_FPS}"
            " that a film can have; choose a frame rate for the film, such as 30."
        )
    rate = video_writer.shown_fps(output, clip.fps if options.fps is None else options.fps)
    if options.speed is not None:
        return rate, SpeedCurve(pace_.curve_points(options.speed), rate, float(options.part[0]))
    return rate, Steady(1 / (rate * Fraction(options.slowdown)))


def part_of(clip: VideoMetadata, options: VideoOptions) -> VideoMetadata:
    """The video, as long as the part of it that is used. ValueError where it ends before that part begins."""
    begin, end = options.part
    if not clip.seconds:
        return clip
    if begin >= clip.seconds:
        raise ValueError(f"The part begins at {float(begin):g} s, but {clip.name} lasts {clip.seconds:g} s.")
    last = clip.seconds if end is None else min(clip.seconds, float(end))
    return dataclasses.replace(clip, seconds=last - float(begin))
