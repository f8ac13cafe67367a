"""What a visitor asks for: checked, planned, and made by the studio that everybody shares.

An order holds whatever was sent. `Desk` refuses in one sentence what is not on a list, not in its range, or more than
this machine makes; the page and the endpoints differ only in how they show what comes of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from demo.config import Config
from demo.server.job_service import JobEvent, JobService, RenderJob
from demo.server.limits import at_most, choice, number, short
from demo.server.storage import status
from demo.server.video_probe import VideoProbe
from demo.ui import thumbnails
from film.engine import bisection
from film.engine.interpolator import Interpolator
from film.media import scene_detection, video_segments, video_writer
from film.rendering import pipeline, planning
from film.rendering.events import Event, Progress

FORMATS = {"mp4": "MP4", "webm": "WebM", "gif": "GIF", "webp": "WebP", "zip": "PNG files"}
PLAYED = {"mp4", "webm"}  # formats that the page's player plays
PLAYS = tuple(video_writer.PLAYS)
FPS = (1, 60)  # frames per second, from … to …
SLOWDOWNS = (1, planning.MAX_SLOWDOWN)
CUTS = (0, 255)  # content values
MASTER_BYTES = 4.0  # per pixel of a film whose frames are kept without loss until it is written
THUMBNAILS = 1000  # of uploaded photos, remembered; a few kB each


@dataclass(frozen=True)
class OutputOptions:
    """What every film is asked for with."""

    model: str
    device: str
    longest_side: int = 0  # pixels; 0 stands for any
    format: str = "mp4"
    quality: int = video_segments.QUALITY
    play: str = "loop"

    @property
    def file(self) -> str:
        """The film's name."""
        return f"film.{self.format}"


@dataclass(frozen=True)
class PhotoRequest:
    """A film through photos. Its length is `count` frames, or `seconds`, or of `depth` if neither is given."""

    photos: Sequence[str | None]
    making: OutputOptions
    depth: int = planning.DEFAULT_DEPTH
    count: int | None = None
    seconds: float | None = None
    fps: float = 15

    @property
    def files(self) -> list[str]:
        return [photo for photo in self.photos if photo]


@dataclass(frozen=True)
class VideoRequest:
    """A video shown anew."""

    video: str | None
    making: OutputOptions
    slowdown: float = 4
    fps: float | None = None  # None or 0: as the video
    sound: bool = True
    cut: float = scene_detection.CUT

    @property
    def files(self) -> list[str]:
        return [self.video] if self.video else []

    def slower(self, share: float) -> str:
        """What to choose for a film of that share of the frames."""
        slowdown = int(self.slowdown * share)
        return f"a slow motion of at most × {slowdown}" if 1 <= slowdown < self.slowdown else "a shorter video"


JobRequest: TypeAlias = PhotoRequest | VideoRequest


class RequestHandler:
    """Where orders are taken."""

    def __init__(self, studio: JobService, settings: Config) -> None:
        self.studio = studio
        self.clips = VideoProbe(studio.decoder.max_pixels)
        self._thumbnail = lru_cache(THUMBNAILS)(self._read_thumbnail)  # raises what is not to be remembered
        self.settings = settings

    def checked(self, order: JobRequest) -> JobRequest:
        """The order with every name on its list, every number in its range, and no more photos than are taken.

        ValueError says what is not. It comes before all else that is done with an order: nothing is planned unbounded.
        """
        making = self._checked_making(order.making)
        if isinstance(order, VideoRequest):
            if not isinstance(order.sound, bool):
                raise ValueError(f"The sound is {order.sound!r}; it must be true or false.")
            return dataclasses.replace(
                order,
                making=making,
                slowdown=number("The slow motion", order.slowdown, *SLOWDOWNS),
                fps=None if order.fps in (None, 0) else number("The frame rate", order.fps, *FPS),
                cut=number("The cut sensitivity", order.cut, *CUTS),
            )
        self.check_number(len(order.files))
        depths = self.studio.budget.depths
        fps = number("The frame rate", order.fps, *FPS)
        count = order.count
        if count is not None and order.seconds is not None:
            lengths = f"{short(count)} frames and {short(order.seconds)} seconds"
            raise ValueError(f"The length is given twice, as {lengths}; give one of them.")
        if order.seconds is not None:
            seconds = number("The length in seconds", order.seconds, 0, math.inf)
            count, fps = planning.lasting(seconds, fps, making.file, making.play, max(2, len(order.files)))
        depth = planning.DEFAULT_DEPTH  # which a count makes meaningless
        if count is None:
            depth = number("The depth", order.depth, min(depths), max(depths), whole=True)
        return dataclasses.replace(
            order,
            making=making,
            depth=depth,
            count=None if count is None else number("The number of frames", count, 2, bisection.MAX_COUNT, whole=True),
            seconds=None,
            fps=fps,
        )

    def _checked_making(self, making: OutputOptions) -> OutputOptions:
        may = self.studio.budget
        return dataclasses.replace(
            making,
            model=choice("The model", making.model, may.models),
            device=choice("The device", making.device, may.devices),
            longest_side=choice("The longest side", making.longest_side, may.sides),
            format=choice("The format", making.format, FORMATS),
            quality=number("The quality", making.quality, 1, 100, whole=True),
            play=choice("The play", making.play, PLAYS),
        )

    def check_photo(self, path: str) -> None:
        """ValueError for a file that is no photo this server takes."""
        self._check_size(path, self.settings.max_upload_mb)
        self.studio.decoder.image_size(path)

    def check_number(self, photos: int) -> None:
        """ValueError for more photos than this server makes a film of."""
        if photos > (most := self.settings.max_photos):
            raise ValueError(f"These are {photos} photos; this server makes a film of at most {most}.")

    def check_video(self, path: str) -> None:
        """ValueError for a file that is no video this server takes."""
        self._check_video_size(path)
        self.clips.look(path)

    def check_files(self, order: JobRequest) -> None:
        """ValueError unless there are files, and all of a size that this server takes."""
        if isinstance(order, VideoRequest):
            if not order.video:
                raise ValueError("Choose a video first.")
            if not isinstance(order.video, str):
                raise ValueError("The video is no file; upload it first.")
            self._check_video_size(order.video)
            return
        if not all(isinstance(photo, str) for photo in order.files):
            raise ValueError("A photo is no file; upload it first.")
        if not all(order.photos):
            raise ValueError("Choose two photos: the first and the last moment of the film.")
        if len(order.photos) < 2:
            raise ValueError("Choose two photos at least; a film is made of what lies between them.")
        for photo in order.files:
            self._check_size(photo, self.settings.max_upload_mb)

    def thumbnail(self, photo: str) -> str | None:
        """A photo as a small data URI; None if it cannot be opened, or not at this moment."""
        try:
            return self._thumbnail(photo)
        except (ValueError, RuntimeError, OSError):
            return None

    def plan(self, order: JobRequest, files: Sequence[str]) -> planning.Plan | None:
        """What would be made of a checked order and these files of it, opening them. ValueError as in `film`.

        None for a video that is not there yet.
        """
        making = order.making
        if isinstance(order, VideoRequest):
            if not files:
                return None
            return planning.plan_retime(
                files[0],
                making.file,
                slowdown=order.slowdown,
                fps=order.fps,
                longest_side=making.longest_side or None,
                play=making.play,
                look=self.clips.look,
            )
        return planning.plan(
            files,
            making.file,
            depth=order.depth if order.count is None else None,
            count=order.count,
            fps=order.fps,
            longest_side=making.longest_side or None,
            play=making.play,
            reader=self.studio.decoder,
        )

    def check_budget(self, order: JobRequest, frames: int, size: tuple[int, int]) -> None:
        """ValueError if that many frames of that size are more than this server makes."""
        if isinstance(order, VideoRequest):
            self.studio.budget.check_film(frames, size, lambda fitting: order.slower(fitting / frames))
        elif order.count is not None or len(order.files) > 2:
            self.studio.budget.check_film(frames, size, at_most)
        else:
            self.studio.budget.check_film(frames, size)

    def make(self, order: JobRequest) -> Generator[JobEvent]:
        """The events of one film. What they name is there until the next one is asked for; the film stays."""
        order = self.checked(order)
        self.check_files(order)

        def plan() -> planning.Plan:
            plan = self.plan(order, order.files)
            assert plan and plan.size
            self.check_budget(order, plan.frames, plan.size)
            return plan

        masters = video_writer.needs_lossless(order.making.file, order.making.play)
        request = RenderJob(
            order.making.model,
            order.making.device,
            order.files,
            plan,
            lambda model, folder: self._start(order, model, folder),
            MASTER_BYTES if masters else 1.0,
        )
        yield from self.studio.run(request)

    def _start(self, order: JobRequest, model: Interpolator, folder: Path) -> Generator[Event]:
        making = order.making
        target = folder / making.file
        shared: dict[str, Any] = {
            "longest_side": making.longest_side or None,
            "quality": making.quality,
            "play": making.play,
        }
        if isinstance(order, PhotoRequest):
            yield from pipeline.interpolate(
                order.files,
                model,
                target,
                depth=order.depth if order.count is None else None,
                count=order.count,
                fps=order.fps,
                reader=self.studio.decoder,
                **shared,
            )
            return
        assert order.video
        events = pipeline.retime(
            order.video,
            model,
            target,
            slowdown=order.slowdown,
            fps=order.fps,
            sound=order.sound,
            cut=order.cut,
            max_pixels=self.clips.max_pixels,
            **shared,
        )
        with closing(events):
            for event in events:
                # A header may tell less than there is.
                if isinstance(event, Progress) and event.frame is not None:
                    height, width, _ = event.frame.shape
                    self.check_budget(order, event.done, (height, width))
                yield event

    def _read_thumbnail(self, photo: str) -> str:
        return thumbnails.uri(self.studio.decoder.thumbnail(photo, 2 * thumbnails.HEIGHT))

    def _check_video_size(self, path: str) -> None:
        if not self.settings.max_video_mb:
            raise ValueError("This server takes no videos, only photos.")
        self._check_size(path, self.settings.max_video_mb)

    def _check_size(self, path: str, megabytes: int) -> None:
        size = status(path).st_size
        if size > megabytes * 2**20:
            raise ValueError(f"{Path(path).name} has {size / 2**20:.1f} MB; this server takes at most {megabytes} MB.")
