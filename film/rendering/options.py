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


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """What every film is asked for with. ValueError for what no film can have."""

    fps: float | Fraction | None = None  # None: 30 through photos, a video's own
    longest_side: int | None = None  # pixels, 16 or more; None: as the photos or the video
    quality: int = video_segments.QUALITY  # 1 to 100
    play: str = "loop"  # one of video_writer.PLAYS
    background: str | None = None  # colour under what is transparent; None: kept where the format can, else white
    depth_bits: int = 8  # of each channel in the file: 8 or 10

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

    depth: int | None = None
    count: int | None = None
    seconds: float | None = None
    spacing: str = "equal"  # one of SPACINGS
    easing: str = "linear"  # one of EASINGS

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

    slowdown: float | Fraction = 1  # 1 to 16
    speed: Curve | None = None  # instead of a slowdown
    sound: bool = True
    cut: float = scene_detection.CUT
    duplicates: str = "auto"  # one of scene_detection.DUPLICATES
    audio_track: int | None = None  # from 1; None: the default one
    keep_streams: bool = False  # whether the other audio tracks are kept
    precision: float | Fraction = timeline.VIDEO_PRECISION
    start: float | Fraction | str | None = None  # of the part that is used: seconds or hh:mm:ss
    end: float | Fraction | str | None = None

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
