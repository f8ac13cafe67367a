"""One film, from a stranger's order to its result: a place in the line, room on the disk, a log, a budget.

A request is for anything that is told as `rendering.events`. A new kind of film needs a `RenderJob` and nothing else.
"""

from __future__ import annotations

import logging
import math
import re
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import film
from demo.server import disk_full
from demo.server.disk_full import is_disk_full
from demo.server.job_queue import JobQueue, QueueFull, Waiting
from demo.server.json_logging import RequestLog
from demo.server.limits import MEGAPIXEL, Limits
from demo.server.model_cache import ModelCache
from demo.server.photo_sandbox import PhotoSandbox
from demo.server.storage import Storage
from film.engine.interpolator import Interpolator
from film.rendering import planning
from film.rendering.events import Done, Event, Progress

JobEvent: TypeAlias = Event | Waiting

# An absolute path inside what a tool said; not the path of a URL.
PATH = re.compile(r"(?<![\w:/.])(?:/[^\s/:'\"(),;]+)+/([^\s/:'\"(),;]+)|\b[A-Za-z]:\\(?:[^\s\\:'\"]+\\)*([^\s\\:'\"]+)")

UNKNOWN = 300.0  # megapixels: what room is taken for a film of unknown length, where there is no limit

logger = logging.getLogger("film.studio")


@dataclass(frozen=True)
class RenderJob:
    """A film somebody asks for."""

    model: str
    device: str
    files: Sequence[str]  # uploads that it is made of
    plan: Callable[[], planning.Plan]  # opens them; ValueError for what the server does not make
    # Makes the film that is planned so with that model, and its files in that folder.
    start: Callable[[planning.Plan, Interpolator, Path], Generator[Event]]
    owner: str = ""  # the address that asks; no share is kept of none
    bytes_per_pixel: float = 1.0  # of disk, while it is made: an encoded frame and its copy in the film take less


class JobService:
    """The machine that everybody shares."""

    def __init__(
        self, limits: Limits, queue: JobQueue, storage: Storage, model_cache: ModelCache, sandbox: PhotoSandbox
    ) -> None:
        self.limits = limits
        self.queue = queue
        self.storage = storage
        self.model_cache = model_cache
        self.sandbox = sandbox
        self._pace: dict[tuple[str, str], float] = {}  # of a model on a device now: seconds per frame and pixel

    def run(self, request: RenderJob) -> Generator[JobEvent]:
        """The events of one film, with `Waiting` before them while it waits. Closing the generator frees its place.

        The film that `Done` names stays until it expires; a segment's file is gone with the next event. Of a film of
        unknown length `Progress` tells a total of 0. ValueError or RuntimeError, with one sentence fit to be shown,
        when there will be no film.
        """
        log = RequestLog(logger, model=request.model, device=request.device)
        made = "no frame"
        try:
            with closing(self._run(request, log)) as events:
                for event in events:
                    if isinstance(event, Progress):
                        made = f"frame {event.done} of {event.total or 'an unknown number'}"
                    yield event
        except GeneratorExit:
            log.info("stopped after %s", made)
            raise
        except QueueFull as error:
            log.info("turned away: %s", error)
            raise
        except (ValueError, RuntimeError, OSError) as error:
            if is_disk_full(error):
                log.error("no film, the disk is full: %s", error)
                raise RuntimeError(disk_full.WORDS) from error
            if isinstance(error, OSError):
                log.exception("no film")
                raise RuntimeError(failed(log)) from error
            log.warning("no film: %s", error)
            kind = ValueError if isinstance(error, ValueError) else RuntimeError
            raise kind(without_paths(str(error))) from error
        except Exception as error:
            log.exception("no film")
            raise RuntimeError(failed(log)) from error

    def _run(self, request: RenderJob, log: RequestLog) -> Generator[JobEvent]:
        asked = time.monotonic()
        with self.queue.slot(request.owner) as slot, self.storage.held(request.files):
            plan = request.plan()
            assert plan.size
            height, width = plan.size
            log.know(size=f"{width}x{height}", frames=plan.frames if plan.length_known else None)
            yield from slot.wait(lambda: self._seconds(request, plan))
            pixels = (
                plan.frames * height * width if plan.length_known else min(self.limits.megapixels, UNKNOWN) * MEGAPIXEL
            )
            begun = time.monotonic()
            log.know(waited=round(begun - asked, 1))
            log.info("begun")
            with (
                self.storage.reserved(int(pixels * request.bytes_per_pixel)),
                tempfile.TemporaryDirectory(prefix="film-", dir=self.storage.scratch) as folder,
                self.model_cache.model(request.model, request.device) as model,
                closing(request.start(plan, model, Path(folder))) as events,
            ):
                for event in events:
                    if isinstance(event, Progress):
                        if not plan.length_known:  # the header's total is what has been made
                            event = replace(event, total=0, seconds_left=None)
                        slot.seconds_left = event.seconds_left
                        if event.seconds_per_frame:
                            self._pace[request.model, request.device] = event.seconds_per_frame / (height * width)
                    elif isinstance(event, Done):
                        self.queue.took(time.monotonic() - begun)
                        per_frame = event.seconds_per_frame and round(event.seconds_per_frame, 3)
                        log.know(device=event.device, precision=event.precision)
                        log.know(seconds=round(event.seconds, 1), seconds_per_frame=per_frame)
                        log.info("made frame %d of %d", event.frames, event.frames)
                        event = replace(event, path=self.storage.keep(event.path))
                    yield event

    def _seconds(self, request: RenderJob, plan: planning.Plan) -> float | None:
        """What a film will take: as noted from films like it, else as it goes with the one that is made just now."""
        if plan.calls is None or plan.size is None:
            return None
        each = film.estimate(request.model, request.device, *plan.size)
        if each is None and (pace := self._pace.get((request.model, request.device))) is not None:
            each = pace * math.prod(plan.size)
        return None if each is None else each * plan.calls

    def health(self, model: str) -> dict[str, object]:
        """What the machine is doing."""
        return {"status": "ok", **self.queue.status(), "model": model, "version": film.__version__}


def failed(log: RequestLog) -> str:
    """What a visitor is told of a failure that is the server's."""
    return f"Something failed on the server; its log says what, for request {log.id}."


def without_paths(text: str) -> str:
    """The text with every absolute path cut down to the name at its end."""
    return PATH.sub(lambda found: found[1] or found[2], text)
