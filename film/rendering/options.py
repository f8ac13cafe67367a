"""What a film is asked for with, checked once, for all who make films: package, batch, command line, HTTP, page.

What depends on the photos or the video (a count of frames for so many photos, a part of a video that is shorter) is
checked where they are known: `planning`, `inputs`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from film.engine import bisection
from film.media import alpha, colour_depth, images, scene_detection, video_segments, video_writer
from film.rendering import timeline
from film.rendering.pace import EASINGS, Curve, curve_points, seconds
from film.support import validation

MAX_SLOWDOWN = 16
SPACINGS = ("equal", "motion")  # of photos in a film of a given count of frames


def option(default: Any, words: str, **how: Any) -> Any:
    """A field with what is told of it, by the command line and by `help`; `how`: other arguments of `argparse`."""
    return dataclasses.field(default=default, metadata={"help": words, **how})


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """What every film is asked for with. ValueError for what no film can have."""

    fps: float | Fraction | None = option(
        None, "frames per second, such as 60 or 30000/1001 (default: 30 for photos, a video's own for a video)"
    )
    longest_side: int | None = option(None, "make it smaller, 16 or more (default: original)", metavar="PIXELS")
    quality: int = option(80, "1, the smallest file, to 100, the best picture (default 80)", metavar="N")
    play: str = option("loop", "loop (default), once, pingpong: forth and back, or seamless: on to the beginning")
    background: str | None = option(
        None, "a name or #rrggbb, under what is transparent (default: kept where the format can, else white)"
    )
    depth_bits: int = option(8, "8 (default), or 10 for .mp4, .webm, .mov", metavar="N")

    def __post_init__(self) -> None:
        if self.fps is not None:
            object.__setattr__(self, "fps", video_segments.exact(self.fps))
        images.common_size([(images.MIN_SIDE, images.MIN_SIDE)], self.longest_side)
        video_segments.check_quality(self.quality)
        video_writer.check_play(self.play)
        self.ground()
        if validation.whole(self.depth_bits) not in colour_depth.DEPTHS:
            raise ValueError(f"The depth is {validation.told(self.depth_bits)} bits; it must be 8 or 10.")

    def ground(self) -> tuple[float, float, float]:
        """The background as RGB, 0 to 1."""
        return alpha.colour(self.background or "white")

    def keeps_alpha(self, output: str) -> bool:
        """Whether a film with that name is transparent where its photos or its video are."""
        return self.background is None and video_writer.carries_alpha(output)


@dataclass(frozen=True, kw_only=True)
class PhotoOptions(FilmOptions):
    """A film through photos: see `pipeline.interpolate`. Its length is given in one way, or is of the default depth."""

    depth: int | None = option(None, "2^N - 1 frames between photos (default 5: 31)", metavar="N")
    count: int | None = option(None, "frames of a whole film of photos, an even number for a pingpong", metavar="N")
    seconds: float | None = option(None, "length of a whole film of photos, as played", metavar="S")
    spacing: str = option("equal", "equal (default), or motion: with a count or seconds, gaps last as photos differ")
    easing: str = option("linear", "from photo to photo: linear (default), ease-in, ease-out or ease-in-out")

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(given is not None for given in (self.depth, self.count, self.seconds)) > 1:
            raise ValueError("Give the film's length in one way: a depth, a count of frames, or seconds.")
        if self.depth is not None:
            bisection.dyadic(self.depth)
        counted = self.count is not None or self.seconds is not None
        if self.spacing not in SPACINGS or (self.spacing == "motion" and not counted):
            raise ValueError(f"The spacing is {self.spacing!r}; choose equal, or motion with a count of frames.")
        if self.easing not in list(EASINGS):
            raise ValueError(f"The easing is {self.easing!r}; choose {', '.join(EASINGS)}.")

    @property
    def rate(self) -> Fraction:
        """Frames per second that are asked for."""
        return video_segments.exact(30 if self.fps is None else self.fps)


@dataclass(frozen=True, kw_only=True)
class VideoOptions(FilmOptions):
    """A video shown anew: see `pipeline.retime`. ValueError where that would be the video as it is."""

    slowdown: float | Fraction = option(1, "of a video: as many times as long, 1 to 16", metavar="N")
    speed: Curve | None = option(None, "instead of a slowdown: points time:factor, such as 0:1,2.5:0.25,4:1")
    start: float | Fraction | str | None = option(None, "of the part of a video: seconds or hh:mm:ss")
    end: float | Fraction | str | None = option(None, "of the part of a video: seconds or hh:mm:ss")
    sound: bool = option(True, "a video's sound is left out, or stretched with the film, its pitch kept")
    cut: float = option(
        scene_detection.CUT,
        "how different two frames are between which nothing is made (default 15; inf: make frames everywhere)",
    )
    duplicates: str = option(
        "auto", "frames that repeat the one before: auto (default: left out, but a standstill stays), drop or keep"
    )
    audio_track: int | None = option(None, "of a video, from 1 (default: the default)", metavar="N")
    keep_streams: bool = option(False, "keep a video's other audio tracks as well")
    precision: float | Fraction = timeline.VIDEO_PRECISION  # of a moment between two frames: a power of 1/2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.speed is not None and self.slowdown != 1:
            raise ValueError("Give a slowdown or a curve of speeds, not both.")
        object.__setattr__(self, "slowdown", self._factor())
        object.__setattr__(self, "precision", bisection.exact(self.precision))
        if not self.cut >= 0:
            told = validation.told(self.cut)
            raise ValueError(f"The threshold of a cut is {told}; it must be 0 or more (15 is usual, inf finds none).")
        if self.duplicates not in list(scene_detection.DUPLICATES):
            raise ValueError(f"The duplicates are {self.duplicates!r}; choose {', '.join(scene_detection.DUPLICATES)}.")
        if self.audio_track is not None and not (validation.whole(self.audio_track) or 0) >= 1:
            raise ValueError(f"The audio track is {validation.told(self.audio_track)}; they are counted from 1.")
        if self.speed is not None:
            object.__setattr__(self, "speed", curve_points(self.speed))
        begin, end = self.part
        if end is not None and end <= begin:
            raise ValueError(f"The part of the video ends at {float(end):g} s, but begins at {float(begin):g} s.")

    @property
    def part(self) -> tuple[Fraction, Fraction | None]:
        """The part of the video that is used, in seconds after its first frame; None: to its end."""
        begin = Fraction(0) if self.start is None else seconds(self.start, "The start")
        return begin, None if self.end is None else seconds(self.end, "The end")

    def _factor(self) -> Fraction:
        factor = validation.exact(self.slowdown)
        if factor is None or not 1 <= factor <= MAX_SLOWDOWN:
            raise ValueError(f"The slowdown is {validation.told(self.slowdown)}; it must be from 1 to {MAX_SLOWDOWN}.")
        if factor == 1 and self.fps is None and self.speed is None:
            raise ValueError("Say what to make of the video: a slowdown above 1, a frame rate, or both.")
        return factor


PHOTO_FIELDS = frozenset(field.name for field in dataclasses.fields(PhotoOptions))
VIDEO_FIELDS = frozenset(field.name for field in dataclasses.fields(VideoOptions))

Options = TypeVar("Options", bound=FilmOptions)


def chosen(kind: type[Options], options: Options | None, choices: Mapping[str, Any]) -> Options:
    """The options, or those of the choices where there are none. ValueError for both."""
    if options is not None and choices:
        raise ValueError(f"Options are given, and {', '.join(choices)} beside them; give one or the other.")
    return kind(**choices) if options is None else options
