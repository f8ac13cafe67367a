"""What a visitor asks for: checked, planned, and made by the studio that everybody shares.

A request holds whatever was sent. `RequestHandler` refuses in one sentence what is not on a list, not in its range, or
more than this machine makes; the page and the endpoints differ only in how they show what comes of it.
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
from demo.server.limits import at_most, choice, number, short, text
from demo.server.storage import status, version
from demo.server.video_probe import VideoProbe
from demo.ui import thumbnails
from film.engine import bisection, timings
from film.engine.interpolator import Interpolator
from film.hub import registry
from film.media import colour_depth, scene_detection, video_segments, video_writer
from film.rendering import coarse_to_fine, pipeline, planning
from film.rendering.events import Event, Progress
from film.rendering.options import PhotoOptions, VideoOptions
from film.rendering.pace import EASINGS

FORMATS = {"mp4": "MP4", "webm": "WebM", "gif": "GIF", "webp": "WebP", "zip": "PNG files", "mov": "ProRes"}
PLAYED = {"mp4", "webm"}  # formats that the page's player plays
PLAYS = tuple(video_writer.PLAYS)
FPS = (1, 60)  # frames per second, from … to …
SLOWDOWNS = (1, planning.MAX_SLOWDOWN)
CUTS = (0, 255)  # content values
MASTER_BYTES = 4.0  # per pixel of a film whose frames are kept without loss until it is written
DEEP_BYTES = 9.0  # the same where they have more than 8 bits
END_STEP = 0.1  # seconds: how finely the page sets where a video's part ends
LEVEL_BYTES = 7.0  # per pixel of a film made coarse to fine: about half its frames wait in 12 bytes per pixel
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
    background: str | None = None  # under what is transparent; None or "": kept where the format can, else white
    depth_bits: int = 8
    name: str = "film"  # of the file, without its suffix

    @property
    def film(self) -> dict[str, Any]:
        """By the names of `rendering.options.FilmOptions`."""
        return {
            "longest_side": self.longest_side or None,
            "quality": self.quality,
            "play": self.play,
            "background": self.background or None,
            "depth_bits": self.depth_bits,
        }

    @property
    def file(self) -> str:
        """The film's name."""
        return f"{self.name}.{self.format}"


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
        depth = self.depth if self.count is None else None
        return PhotoOptions(depth=depth, count=self.count, fps=self.fps, easing=self.easing, **self.options.film)

    @property
    def files(self) -> list[str]:
        return [photo for photo in self.photos if photo]


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
        return VideoOptions(
            slowdown=1 if self.speed else self.slowdown,
            speed=self.speed or None,
            fps=self.fps,
            sound=self.sound,
            cut=self.cut,
            start=None if self.start == "" else self.start,
            end=None if self.end == "" else self.end,
            duplicates=self.duplicates,
            audio_track=self.audio_track or None,
            keep_streams=self.keep_streams,
            **self.options.film,
        )

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

    def __init__(self, job_service: JobService, config: Config) -> None:
        self.job_service = job_service
        self.video_probe = VideoProbe(job_service.sandbox.max_pixels)
        self._thumbnail = lru_cache(THUMBNAILS)(self._read_thumbnail)  # raises what is not to be remembered
        self.config = config

    def checked(self, job_request: JobRequest) -> JobRequest:
        """The order with every name on its list, every number in its range, and no more photos than are taken.

        ValueError says what is not. It comes before all else that is done with an order: nothing is planned unbounded.
        """
        options = self._checked_making(job_request.options)
        if isinstance(job_request, VideoRequest):
            for name, value in (("sound", job_request.sound), ("keeping of streams", job_request.keep_streams)):
                if not isinstance(value, bool):
                    raise ValueError(f"The {name} is {short(value)}; it must be true or false.")
            track = job_request.audio_track
            checked: JobRequest = dataclasses.replace(
                job_request,
                options=options,
                slowdown=number("The slow motion", job_request.slowdown, *SLOWDOWNS),
                fps=None if job_request.fps in (None, 0) else number("The frame rate", job_request.fps, *FPS),
                cut=number("The cut sensitivity", job_request.cut, *CUTS),
                start=text("The start", job_request.start),
                end=text("The end", job_request.end),
                speed=text("The speed", job_request.speed),
                duplicates=choice("The choice of duplicates", job_request.duplicates, scene_detection.DUPLICATES),
                audio_track=number("The audio track", track, 1, 99, whole=True) if track not in (None, 0) else None,
            )
            self._check_film(checked)
            return checked
        self.check_number(len(job_request.files))
        depths = self.job_service.limits.depths
        fps = number("The frame rate", job_request.fps, *FPS)
        count = job_request.count
        if count is not None and job_request.seconds is not None:
            lengths = f"{short(count)} frames and {short(job_request.seconds)} seconds"
            raise ValueError(f"The length is given twice, as {lengths}; give one of them.")
        if job_request.seconds is not None:
            seconds = number("The length in seconds", job_request.seconds, 0, math.inf)
            count, fps = planning.lasting(seconds, fps, options.file, options.play, max(2, len(job_request.files)))
        depth = planning.DEFAULT_DEPTH  # which a count makes meaningless
        if count is None:
            depth = number("The depth", job_request.depth, min(depths), max(depths), whole=True)
        checked = dataclasses.replace(
            job_request,
            options=options,
            depth=depth,
            count=None if count is None else number("The number of frames", count, 2, bisection.MAX_COUNT, whole=True),
            seconds=None,
            fps=fps,
            easing=choice("The easing", job_request.easing, EASINGS),
        )
        self._check_film(checked)
        return checked

    def _check_film(self, job_request: JobRequest) -> None:
        """ValueError for what no film, or none of that format, can have."""
        if (
            not isinstance(job_request, VideoRequest)
            or job_request.speed
            or job_request.fps
            or job_request.slowdown > 1
        ):
            video_writer.check(job_request.options.file, bits=job_request.film.depth_bits)

    def _checked_making(self, options: OutputOptions) -> OutputOptions:
        may = self.job_service.limits
        return dataclasses.replace(
            options,
            model=choice("The model", options.model, may.models),
            device=choice("The device", options.device, may.devices),
            longest_side=choice("The longest side", options.longest_side, may.sides),
            format=choice("The format", options.format, FORMATS),
            quality=number("The quality", options.quality, 1, 100, whole=True),
            play=choice("The play", options.play, PLAYS),
            background=text("The background", options.background) or None,
            depth_bits=choice("The depth in bits", options.depth_bits, colour_depth.DEPTHS),
        )

    def check_photo(self, path: str) -> None:
        """ValueError for a file that is no photo this server takes."""
        self._check_size(path, self.config.max_upload_mb)
        self.job_service.sandbox.image_size(path)

    def check_number(self, photos: int) -> None:
        """ValueError for more photos than this server makes a film of."""
        if photos > (most := self.config.max_photos):
            raise ValueError(f"These are {photos} photos; this server makes a film of at most {most}.")

    def check_video(self, path: str) -> None:
        """ValueError for a file that is no video this server takes."""
        self._check_video_size(path)
        self.video_probe.look(path)

    def check_files(self, job_request: JobRequest) -> None:
        """ValueError unless there are files, and all of a size that this server takes."""
        if isinstance(job_request, VideoRequest):
            if not job_request.video:
                raise ValueError("Choose a video first.")
            if not isinstance(job_request.video, str):
                raise ValueError("The video is no file; upload it first.")
            self._check_video_size(job_request.video)
            return
        if not all(isinstance(photo, str) for photo in job_request.files):
            raise ValueError("A photo is no file; upload it first.")
        if not all(job_request.photos):
            raise ValueError("Choose two photos: the first and the last moment of the film.")
        if len(job_request.photos) < 2:
            raise ValueError("Choose two photos at least; a film is made of what lies between them.")
        for photo in job_request.files:
            self._check_size(photo, self.config.max_upload_mb)

    def thumbnail(self, photo: str) -> str | None:
        """A photo as a small data URI; None if it cannot be opened, or not at this moment."""
        try:
            return self._thumbnail(*version(photo))
        except (ValueError, RuntimeError, OSError):
            return None

    def plan(self, job_request: JobRequest, files: Sequence[str]) -> planning.Plan | None:
        """What would be made of a checked order and these files of it, opening them. ValueError as in `film`.

        None for a video that is not there yet.
        """
        options = job_request.options
        if isinstance(job_request, VideoRequest):
            if not files:
                return None
            return planning.plan_retime(
                files[0], options.file, self._video_options(job_request), look=self.video_probe.look
            )
        return planning.plan(
            files,
            options.file,
            job_request.film,
            reader=self.job_service.sandbox,
            honours_time=registry.find(options.model).honours_time,
        )

    def check_budget(self, job_request: JobRequest, frames: int, size: tuple[int, int]) -> None:
        """ValueError if that many frames of that size are more than this server makes."""
        if isinstance(job_request, VideoRequest):
            self.job_service.limits.check_film(frames, size, lambda fitting: job_request.slower(fitting / frames))
        elif job_request.count is not None or len(job_request.files) > 2:
            self.job_service.limits.check_film(frames, size, at_most)
        else:
            self.job_service.limits.check_film(frames, size)

    def make(self, job_request: JobRequest, owner: str = "") -> Generator[JobEvent]:
        """The events of one film. What they name is there until the next one is asked for; the film stays.

        `owner` is the address that asks, which has its share of the line.
        """
        job_request = self.checked(job_request)
        self.check_files(job_request)

        def plan() -> planning.Plan:
            plan = self.plan(job_request, job_request.files)
            assert plan and plan.size
            self.check_budget(job_request, plan.frames, plan.size)
            return plan

        lossless = video_writer.needs_lossless(
            job_request.options.file, job_request.options.play, job_request.options.depth_bits
        )
        request = RenderJob(
            job_request.options.model,
            job_request.options.device,
            job_request.files,
            plan,
            lambda plan, model, folder: self._start(job_request, plan, model, folder),
            owner,
            ((DEEP_BYTES if job_request.options.depth_bits > 8 else MASTER_BYTES) if lossless else 1.0)
            + (LEVEL_BYTES if isinstance(job_request, PhotoRequest) and job_request.by_level else 0.0),
        )
        yield from self.job_service.run(request)

    def _start(
        self, job_request: JobRequest, plan: planning.Plan, model: Interpolator, folder: Path
    ) -> Generator[Event]:
        options = job_request.options
        target = folder / options.file
        if isinstance(job_request, PhotoRequest):
            yield from pipeline.photo_film(
                job_request.files,
                model,
                target,
                job_request.film,
                reader=self.job_service.sandbox,
                by_level=job_request.by_level and self._made_by_level(job_request.options, plan),
            )
            return
        assert job_request.video
        video_options = self._video_options(job_request)
        events = pipeline.video_film(
            job_request.video, model, target, video_options, max_pixels=self.video_probe.max_pixels
        )
        with closing(events):
            for event in events:
                # A header may tell less than there is.
                if isinstance(event, Progress) and event.frame is not None:
                    height, width, _ = event.frame.shape
                    self.check_budget(job_request, event.done, (height, width))
                yield event

    def _video_options(self, job_request: VideoRequest) -> VideoOptions:
        """As the pipeline takes it; an end that is the video's, as finely as it can be set, is none."""
        assert job_request.video
        options = job_request.film
        seconds, end = self.video_probe.look(job_request.video).seconds, options.part[1]
        if seconds and end is not None and end > seconds - END_STEP:
            return dataclasses.replace(options, end=None)
        return options

    @staticmethod
    def _made_by_level(options: OutputOptions, plan: planning.Plan) -> bool:
        """Whether to make it coarse to fine: it takes longer to make than to play, and there is room for that."""
        assert plan.size and plan.calls is not None
        stored = coarse_to_fine.stored_frames(plan.moments, plan.honours_time)
        if stored * coarse_to_fine.STORED_BYTES > plan.frames * LEVEL_BYTES:
            return False
        each = timings.estimate(options.model, options.device, *plan.size)
        return each is None or each * plan.calls > plan.duration

    def _read_thumbnail(self, photo: str, _: str) -> str:
        return thumbnails.uri(self.job_service.sandbox.thumbnail(photo, 3 * thumbnails.HEIGHT))

    def _check_video_size(self, path: str) -> None:
        if not self.config.max_video_mb:
            raise ValueError("This server takes no videos, only photos.")
        self._check_size(path, self.config.max_video_mb)

    def _check_size(self, path: str, megabytes: int) -> None:
        size = status(path).st_size
        if size > megabytes * 2**20:
            raise ValueError(f"{Path(path).name} has {size / 2**20:.1f} MB; this server takes at most {megabytes} MB.")
