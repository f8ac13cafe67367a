"""What a film would be, told without making it: frames, length, size, and how many of the frames must be computed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from film.engine import bisection, direct
from film.media import images, video_segments, video_writer
from film.media.images import Reader
from film.media.video_reader import VideoMetadata, read_metadata
from film.support import validation

DEFAULT_DEPTH = 5
MAX_SLOWDOWN = 16


@dataclass(frozen=True)
class Plan:
    """What would be made."""

    frames: int  # to be made; of a video's film: as far as its header tells
    fps: Fraction  # frames per second, as the film plays
    size: tuple[int, int] | None  # height and width; None while there are no photos
    calls: int | None  # of the model that it takes; None for a video that does not tell its length
    play: str = "loop"

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
    *,
    depth: int | None = None,
    count: int | None = None,
    fps: float | Fraction = 30,
    longest_side: int | None = None,
    play: str = "loop",
    reader: Reader = images,
    honours_time: bool = False,
) -> Plan:
    """What `pipeline.interpolate` would make of these photos, or of any two if there are none yet.

    Reads their headers only; of `output` only the format matters. `honours_time` is the model's, see
    `engine.interpolator`. ValueError as there.
    """
    pairs = moments(max(2, len(photos)), depth, count, play=play, honours_time=honours_time)
    frames = sum(map(len, pairs))
    rate = video_writer.shown_fps(output, fps)
    size = images.common_size([reader.image_size(photo) for photo in photos], longest_side) if photos else None
    return Plan(frames, rate, size, calls(pairs, honours_time), play)


def plan_retime(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] = "film.mp4",
    *,
    slowdown: float | Fraction = 1,
    fps: float | Fraction | None = None,
    longest_side: int | None = None,
    play: str = "loop",
    look: Callable[[str | os.PathLike[str]], VideoMetadata] = read_metadata,
) -> Plan:
    """What `pipeline.retime` would make of this video, as far as its header tells. ValueError as there.

    Of `output` only the format matters. `look` opens the video.
    """
    clip = look(source)
    rate, step = pace(clip, slowdown, fps, output)
    size = images.common_size([(clip.height, clip.width)], longest_side)
    frames = frames_of(clip, step)
    # What a browser records has no length, or one of 0. At a whole multiple of the video's rate a middle makes a frame;
    # other rates need up to twice as many.
    return Plan(frames, rate, size, frames if clip.seconds else None, play)


def lasting(
    seconds: float, fps: float | Fraction, output: str | os.PathLike[str], play: str = "loop", photos: int = 2
) -> tuple[int, Fraction]:
    """The count of frames of a film that lasts so long as it is played, and the frame rate at which its format does.

    ValueError if so many photos make no such film.
    """
    rate = video_writer.shown_fps(output, fps)
    return video_segments.frame_count(seconds, rate, video_writer.shown_frames(bisection.most(photos), play)), rate


def moments(
    photos: int,
    depth: int | None = None,
    count: int | None = None,
    weights: Sequence[float] | None = None,
    play: str = "loop",
    honours_time: bool = False,
) -> list[list[Fraction]]:
    """`bisection.pairs`, with the default depth if neither it nor a count is given. `count` is of frames as played."""
    depth = DEFAULT_DEPTH if depth is None and count is None else depth
    shown, most = validation.whole(count), video_writer.shown_frames(bisection.most(photos), play)
    if shown is not None and 2 <= shown <= most:  # what else it is, is refused
        count = video_writer.made_frames(shown, play)
    precision = bisection.EXACT if honours_time else bisection.PRECISION
    return bisection.pairs(photos, depth=depth, count=count, weights=weights, precision=precision)


def calls(pairs: Sequence[Sequence[Fraction]], honours_time: bool = False) -> int:
    """How often the model is called for the moments of these gaps."""
    count = direct.calls if honours_time else bisection.calls
    return sum(count(pair)[-1] for pair in pairs if pair)


def pace(
    clip: VideoMetadata, slowdown: float | Fraction, fps: float | Fraction | None, output: str | os.PathLike[str]
) -> tuple[Fraction, Fraction]:
    """The film's frame rate, and the seconds of the video from one of its frames to the next. ValueError if absurd.

    It is no faster than the format of `output` plays, so that the film lasts as long as it should.
    """
    factor = check_pace(slowdown, fps)
    if fps is None and clip.fps > video_segments.MAX_FPS:
        raise ValueError(
            f"{clip.name} counts {float(clip.fps):g} frames per second, more than the {video_segments.MAX_FPS}"
            " that a film can have; choose a frame rate for the film, such as 30."
        )
    rate = video_writer.shown_fps(output, clip.fps if fps is None else fps)
    return rate, 1 / (rate * factor)


def check_pace(slowdown: float | Fraction, fps: float | Fraction | None) -> Fraction:
    """`slowdown` as a fraction. ValueError unless it and `fps` say what to make of a video."""
    factor = validation.exact(slowdown)
    if factor is None or not 1 <= factor <= MAX_SLOWDOWN:
        raise ValueError(f"The slowdown is {validation.told(slowdown)}; it must be from 1 to {MAX_SLOWDOWN}.")
    if factor == 1 and fps is None:
        raise ValueError("Say what to make of the video: a slowdown above 1, a frame rate, or both.")
    return factor


def frames_of(clip: VideoMetadata, step: Fraction) -> int:
    """How many frames the film of a video has, as far as the header tells."""
    return max(2, math.ceil(round((clip.seconds or 0.0) / float(step), 3)))
