"""One film, from a stranger's request to its result: checks, a plan, a place in the line, room on the disk, a log.

The page and the endpoints differ only in how they show what comes of a request.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import film
from demo.config import Config
from demo.server import thumbnails
from demo.server.frame_cache import CachedInterpolator
from demo.server.job_queue import JobQueue, QueueFull, Waiting
from demo.server.job_requests import END_STEP, JobRequest, PhotoRequest, VideoRequest
from demo.server.json_logging import RequestLog
from demo.server.limits import MEGAPIXEL, Limits
from demo.server.messages import message
from demo.server.model_cache import ModelCache
from demo.server.photo_sandbox import PhotoSandbox
from demo.server.storage import GIGABYTE, Full, Storage
from demo.server.visitor_files import OpenSlots, TooMany, VideoProbe, status, version
from film.engine.interpolator import Interpolator
from film.hub import registry
from film.media import video_writer
from film.rendering import coarse_to_fine, pipeline, planning
from film.rendering.events import Done, Event, Progress
from film.rendering.options import VideoOptions

JobEvent: TypeAlias = Event | Waiting
BUSY = (QueueFull, TooMany, Full)  # what is refused now, and may be taken in a minute

UNKNOWN = 300.0  # megapixels: what room is taken for a film of unknown length, where there is no limit
# Bytes of disk per pixel of all frames, while a film is made.
ENCODED_BYTES = 1.0  # an encoded frame and its copy in the film take less
LOSSLESS_BYTES = 4.0  # where frames are kept without loss until the film is written
DEEP_BYTES = 9.0  # the same where they have more than 8 bits
LEVEL_BYTES = 7.25  # more, coarse to fine: about half the frames wait in 12 bytes per pixel
EXPORTS = 6  # that wait
THUMBNAILS = 1000  # of uploaded photos, remembered; a few kB each

logger = logging.getLogger("film.jobs")


class JobService:
    """The machine that everybody shares, as its host wants it shared; `folder` is for uploads and films.

    ValueError when a setting names a model or a device that is not there.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.limits = Limits.of(config)
        self.queue = JobQueue(config.max_running, config.max_waiting, config.max_per_address)
        self.storage = Storage(folder, config.keep_minutes * 60, int(config.disk_gb * GIGABYTE))
        self.model_cache = ModelCache(film.load, config.max_running)
        films = config.max_running + config.max_waiting
        pixels, owner_of = int(config.max_photo_megapixels * MEGAPIXEL), self.storage.owner
        self.sandbox = PhotoSandbox(pixels, films=films, owner_of=owner_of)
        self.video_probe = VideoProbe(pixels, owner_of)
        self.exports = OpenSlots("films", EXPORTS, owner_of)  # into another format, beside the queue
        self._thumbnail = lru_cache(THUMBNAILS)(self._read_thumbnail)  # raises what is not to be remembered
        self._pace: dict[tuple[str, str], float] = {}  # of a model on a device now: seconds per frame and pixel

    def check_photo(self, path: str) -> None:
        """ValueError for a file that is no photo this server takes."""
        self._check_size(path)
        self.sandbox.image_size(path)

    def check_video(self, path: str) -> None:
        """ValueError for a file that is no video this server takes."""
        self._check_size(path, video=True)
        self.video_probe.look(path)

    def check_files(self, job_request: JobRequest) -> None:
        """ValueError unless there are files, and all of a size that this server takes."""
        job_request.check_files()
        for path in job_request.files:
            self._check_size(path, isinstance(job_request, VideoRequest))

    def check_budget(self, job_request: JobRequest, frames: int, size: tuple[int, int]) -> None:
        """ValueError if that many frames of that size are more than this server makes."""
        self.limits.check_film(frames, size, lambda fitting: job_request.shorter(frames, fitting, self.limits))

    def thumbnail(self, photo: str) -> str | None:
        """A photo as a small data URI; None if it cannot be opened, or not at this moment."""
        try:
            return self._thumbnail(*version(photo))
        except (ValueError, RuntimeError, OSError):
            return None

    def plan(self, job_request: JobRequest) -> planning.Plan | None:
        """What would be made of a checked request, opening its files. ValueError as in `film`.

        None for a video that is not there yet.
        """
        options = job_request.options
        if isinstance(job_request, PhotoRequest):
            return planning.plan(
                job_request.files,
                options.file,
                job_request.film,
                reader=self.sandbox,
                honours_time=registry.find(options.model).honours_time,
            )
        if not job_request.video:
            return None
        film_options = self._video_options(job_request)
        return planning.plan_retime(job_request.video, options.file, film_options, look=self.video_probe.look)

    def make(self, job_request: JobRequest, owner: str = "") -> Generator[JobEvent]:
        """The events of one film, with `Waiting` before them while it waits. Closing the generator frees its place.

        `owner` is the address that asks, which has its share of the line. The film that `Done` names stays until it
        expires; a segment's file is gone with the next event. Of a film of unknown length `Progress` tells a total of
        0. ValueError or RuntimeError, with one sentence fit to be shown, when there will be no film.
        """
        job_request = job_request.checked(self.limits)
        self.check_files(job_request)
        options = job_request.options
        named = job_request.files + [options.name] * (options.name != "film")  # a film is called after its first photo
        log = RequestLog(logger, named, model=options.model, device=options.device)
        made = "no frame"
        try:
            with closing(self._run(job_request, owner, log)) as events:
                for event in events:
                    if isinstance(event, Progress):
                        made = f"frame {event.done} of {event.total or 'an unknown number'}"
                    yield event
        except GeneratorExit:
            log.info("stopped after %s", made)
            raise
        except BUSY as error:
            log.info("turned away: %s", error)
            raise
        except Exception as error:
            kind, told = ValueError if isinstance(error, ValueError) else RuntimeError, message(error, log)
            log.warning("no film: %s", error)
            raise kind(told) from error

    def _run(self, job_request: JobRequest, owner: str, log: RequestLog) -> Generator[JobEvent]:
        asked = time.monotonic()
        model_key = job_request.options.model, job_request.options.device
        with self.queue.slot(owner) as slot, self.storage.held(job_request.files):
            plan = self.plan(job_request)
            assert plan and plan.size
            self.check_budget(job_request, plan.frames, plan.size)
            height, width = plan.size
            log.know(size=f"{width}x{height}", frames=plan.frames if plan.length_known else None)
            yield from self.queue.wait(slot, lambda: self._seconds(model_key, plan))
            begun = time.monotonic()
            log.know(waited=round(begun - asked, 1))
            log.info("begun")
            with (
                self.storage.reserved(self._disk_bytes(job_request, plan)),
                self.storage.making() as folder,
                self.model_cache.model(*model_key) as model,
                closing(self._film(job_request, plan, model, folder, owner)) as events,
            ):
                for event in events:
                    if isinstance(event, Progress):
                        if not plan.length_known:  # the header's total is what has been made
                            event = replace(event, total=0, seconds_left=None)
                        slot.seconds_left = event.seconds_left
                        if event.seconds_per_frame:
                            self._pace[model_key] = event.seconds_per_frame / (height * width)
                    elif isinstance(event, Done):
                        self.queue.took(time.monotonic() - begun)
                        per_frame = event.seconds_per_frame and round(event.seconds_per_frame, 3)
                        log.know(device=event.device, precision=event.precision)
                        log.know(seconds=round(event.seconds, 1), seconds_per_frame=per_frame)
                        log.info("made frame %d of %d", event.frames, event.frames)
                        event = replace(event, path=self.storage.keep(event.path))
                    yield event

    def _film(
        self, job_request: JobRequest, plan: planning.Plan, model: Interpolator, folder: Path, owner: str
    ) -> Generator[Event]:
        """The pipeline's events of a film that is made in `folder`."""
        target, cached = folder / job_request.options.file, None
        if isinstance(job_request, PhotoRequest):
            if job_request.by_level:  # the page; a video's frames are too many to be kept
                model = cached = CachedInterpolator(model, self.storage, owner)
            by_level = job_request.by_level and self._made_by_level(job_request, plan)
            events = pipeline.interpolate(
                job_request.files, model, target, job_request.film, reader=self.sandbox, by_level=by_level
            )
        else:
            assert job_request.video
            film_options = self._video_options(job_request)
            events = pipeline.retime(
                job_request.video, model, target, film_options, max_pixels=self.video_probe.max_pixels
            )
        with closing(events):
            for event in events:
                # A video's header may tell less than there is.
                if isinstance(event, Progress) and event.frame is not None:
                    height, width, _ = event.frame.shape
                    self.check_budget(job_request, event.done, (height, width))
                yield cached.paced(event) if cached else event

    def _video_options(self, job_request: VideoRequest) -> VideoOptions:
        """As the pipeline takes it; an end that is the video's, as finely as it can be set, is none."""
        assert job_request.video
        options = job_request.film
        seconds, end = self.video_probe.look(job_request.video).seconds, options.part[1]
        if seconds and end is not None and end > seconds - END_STEP:
            return replace(options, end=None)
        return options

    def _disk_bytes(self, job_request: JobRequest, plan: planning.Plan) -> int:
        """What the disk must hold while the film is made, at most."""
        assert plan.size
        options, each = job_request.options, ENCODED_BYTES
        if video_writer.needs_lossless(options.file, options.play, options.depth_bits):
            each = DEEP_BYTES if options.depth_bits > 8 else LOSSLESS_BYTES
        if isinstance(job_request, PhotoRequest) and job_request.by_level:
            each += LEVEL_BYTES
        if plan.length_known:
            return int(plan.frames * math.prod(plan.size) * each)
        return int(min(self.limits.megapixels, UNKNOWN) * MEGAPIXEL * each)

    @staticmethod
    def _made_by_level(job_request: PhotoRequest, plan: planning.Plan) -> bool:
        """Whether to make it coarse to fine: it takes longer to make than to play, and there is room for that."""
        assert plan.size and plan.calls is not None
        stored = coarse_to_fine.stored_frames(plan.moments, plan.honours_time)
        if stored * coarse_to_fine.STORED_BYTES > plan.frames * LEVEL_BYTES:
            return False
        each = film.estimate(job_request.options.model, job_request.options.device, *plan.size)
        return each is None or each * plan.calls > plan.duration

    def _seconds(self, model_key: tuple[str, str], plan: planning.Plan) -> float | None:
        """What a film will take: as noted from films like it, else as it goes with the one that is made just now."""
        if plan.calls is None or plan.size is None:
            return None
        each = film.estimate(*model_key, *plan.size)
        if each is None and (pace := self._pace.get(model_key)) is not None:
            each = pace * math.prod(plan.size)
        return None if each is None else each * plan.calls

    def health(self) -> dict[str, object]:
        """What the machine is doing."""
        return {"status": "ok", **self.queue.status(), "model": self.config.model, "version": film.__version__}

    def _read_thumbnail(self, photo: str, _: str) -> str:
        return thumbnails.uri(self.sandbox.thumbnail(photo, 3 * thumbnails.HEIGHT))

    def _check_size(self, path: str, video: bool = False) -> None:
        most = self.config.max_video_mb if video else self.config.max_upload_mb
        if not most:
            raise ValueError("This server takes no videos, only photos.")
        size = status(path).st_size
        if size > most * 2**20:
            raise ValueError(f"{Path(path).name} has {size / 2**20:.1f} MB; this server takes at most {most} MB.")
