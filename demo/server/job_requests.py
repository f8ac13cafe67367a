"""What a visitor asks for, and its checks.

A request holds whatever was sent. `checked` gives it back with every name on its list and every number in its range, or
refuses it in one sentence. It comes before all else that is done with a request: nothing is planned unbounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias, TypeVar

from demo.server.limits import Limits, choice, number, short, text
from film.engine import bisection
from film.media import colour_depth, scene_detection, video_segments, video_writer
from film.rendering import planning
from film.rendering.options import FilmOptions, PhotoOptions, VideoOptions
from film.rendering.pace import EASINGS

FORMATS = {"mp4": "MP4", "webm": "WebM", "gif": "GIF", "webp": "WebP", "zip": "PNG files", "mov": "ProRes"}
PLAYED = {"mp4", "webm"}  # formats that the page's player plays
PLAYS = tuple(video_writer.PLAYS)
FPS = (1, 60)  # frames per second, from … to …
SLOWDOWNS = (1, planning.MAX_SLOWDOWN)
CUTS = (0, 255)  # content values
END_STEP = 0.1  # seconds: how finely the page sets where a video's part ends

Options = TypeVar("Options", bound=FilmOptions)


@dataclass(frozen=True)
class OutputOptions:
    """What every film is asked for with."""

    model: str
    device: str
    longest_side: int = 0  # pixels; 0 stands for any
    format: str = "mp4"
    quality: int = video_segments.QUALITY
    play: str = "loop"
    background: str | None = None  # under what is transparent; None or "": kept where the format can, else white
    depth_bits: int = 8
    name: str = "film"  # of the file, without its suffix

    @property
    def file(self) -> str:
        """The film's name."""
        return f"{self.name}.{self.format}"

    def checked(self, limits: Limits) -> OutputOptions:
        return replace(
            self,
            model=choice("The model", self.model, limits.models),
            device=choice("The device", self.device, limits.devices),
            longest_side=choice("The longest side", limits.side(self.longest_side), limits.sides),
            format=choice("The format", self.format, FORMATS),
            quality=number("The quality", self.quality, 1, 100, whole=True),
            play=choice("The play", self.play, PLAYS),
            background=text("The background", self.background) or None,
            depth_bits=choice("The depth in bits", self.depth_bits, colour_depth.DEPTHS),
        )


def _options(kind: type[Options], request: JobRequest, **others: Any) -> Options:
    """The pipeline's options, which a request and its own options have under the same names."""
    values = {**vars(request.options), **vars(request), "longest_side": request.options.longest_side or None, **others}
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})


@dataclass(frozen=True)
class PhotoRequest:
    """A film through photos. Its length is `count` frames, or `seconds`, or of `depth` if neither is given."""

    photos: Sequence[str | None]
    options: OutputOptions
    depth: int = planning.DEFAULT_DEPTH
    count: int | None = None
    seconds: float | None = None
    fps: float = 15
    easing: str = "linear"
    by_level: bool = False  # coarse to fine, where the film takes longer to make than to play

    @property
    def film(self) -> PhotoOptions:
        """As the pipeline takes it, of a checked request. ValueError as there."""
        return _options(PhotoOptions, self, depth=self.depth if self.count is None else None)

    @property
    def files(self) -> list[str]:
        return [photo for photo in self.photos if photo]

    def checked(self, limits: Limits) -> PhotoRequest:
        """The request as it can be made. ValueError says why it cannot."""
        options = self.options.checked(limits)
        limits.check_photos(len(self.files))
        fps, count = number("The frame rate", self.fps, *FPS), self.count
        if count is not None and self.seconds is not None:
            lengths = f"{short(count)} frames and {short(self.seconds)} seconds"
            raise ValueError(f"The length is given twice, as {lengths}; give one of them.")
        if self.seconds is not None:
            seconds = number("The length in seconds", self.seconds, 0, math.inf)
            count, fps = planning.lasting(seconds, fps, options.file, options.play, max(2, len(self.files)))
        depth = planning.DEFAULT_DEPTH  # which a count makes meaningless
        if count is None:
            depth = number("The depth", self.depth, min(limits.depths), max(limits.depths), whole=True)
        else:
            count = number("The number of frames", count, 2, bisection.MAX_COUNT, whole=True)
        easing = choice("The easing", self.easing, EASINGS)
        checked = replace(self, options=options, depth=depth, count=count, seconds=None, fps=fps, easing=easing)
        video_writer.check(options.file, bits=checked.film.depth_bits)
        return checked

    def check_files(self) -> None:
        """ValueError unless there are files that a film can be made of."""
        if not all(isinstance(photo, str) for photo in self.files):
            raise ValueError("A photo is no file; upload it first.")
        if not all(self.photos):
            raise ValueError("Choose two photos: the first and the last moment of the film.")
        if len(self.photos) < 2:
            raise ValueError("Choose two photos at least; a film is made of what lies between them.")

    def shorter(self, frames: int, fitting: int, limits: Limits) -> str:
        """What to choose for a film of `fitting` frames instead of so many; empty if nothing would do."""
        if self.count is not None or len(self.files) > 2:
            return f"at most {min(fitting, bisection.MAX_COUNT)} frames" if fitting >= 2 else ""
        depths = [depth for depth in limits.depths if 2**depth + 1 <= fitting]
        return f"depth {max(depths)}" if depths else ""


@dataclass(frozen=True)
class VideoRequest:
    """A video shown anew."""

    video: str | None
    options: OutputOptions
    slowdown: float = 4
    fps: float | None = None  # None or 0: as the video
    sound: bool = True
    cut: float = scene_detection.CUT
    start: str | float | None = None  # of the part: seconds or hh:mm:ss; None or "": its beginning
    end: str | float | None = None
    speed: str | None = None  # instead of a slow motion: points time:factor
    duplicates: str = "auto"  # one of scene_detection.DUPLICATES
    audio_track: int | None = None  # from 1; None or 0: the default one
    keep_streams: bool = False  # the other audio tracks, too

    @property
    def film(self) -> VideoOptions:
        """As the pipeline takes it, of a checked request. ValueError as there."""
        return _options(VideoOptions, self, slowdown=1 if self.speed else self.slowdown)

    @property
    def files(self) -> list[str]:
        return [self.video] if self.video else []

    def checked(self, limits: Limits) -> VideoRequest:
        """The request as it can be made. ValueError says why it cannot."""
        for name, value in (("sound", self.sound), ("keeping of streams", self.keep_streams)):
            if not isinstance(value, bool):
                raise ValueError(f"The {name} is {short(value)}; it must be true or false.")
        track = self.audio_track
        checked = replace(
            self,
            options=self.options.checked(limits),
            slowdown=number("The slow motion", self.slowdown, *SLOWDOWNS),
            fps=None if self.fps in (None, 0) else number("The frame rate", self.fps, *FPS),
            cut=number("The cut sensitivity", self.cut, *CUTS),
            start=text("The start", self.start),
            end=text("The end", self.end),
            speed=text("The speed", self.speed),
            duplicates=choice("The choice of duplicates", self.duplicates, scene_detection.DUPLICATES),
            audio_track=None if track in (None, 0) else number("The audio track", track, 1, 99, whole=True),
        )
        if checked.speed or checked.fps or checked.slowdown > 1:  # else the pipeline says that nothing changes
            video_writer.check(checked.options.file, bits=checked.film.depth_bits)
        return checked

    def check_files(self) -> None:
        """ValueError unless there is a file that a film can be made of."""
        if not self.video:
            raise ValueError("Choose a video first.")
        if not isinstance(self.video, str):
            raise ValueError("The video is no file; upload it first.")

    def shorter(self, frames: int, fitting: int, limits: Limits) -> str:
        """What to choose for a film of `fitting` frames instead of so many."""
        slowdown = int(self.slowdown * fitting / frames)
        return f"a slow motion of at most × {slowdown}" if 1 <= slowdown < self.slowdown else "a shorter video"


JobRequest: TypeAlias = PhotoRequest | VideoRequest
Request = TypeVar("Request", PhotoRequest, VideoRequest)


def request_of(kind: type[Request], values: Mapping[str, Any]) -> Request:
    """The request that these values ask for, by the names of its fields and of those of its options."""

    def of(named: type) -> dict[str, Any]:
        return {field.name: values[field.name] for field in fields(named) if field.name in values}

    return kind(options=OutputOptions(**of(OutputOptions)), **of(kind))
