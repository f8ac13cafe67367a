"""Many films, one run: each is a job, told by the pipeline's events. A film that fails does not stop the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from film import catalog, convert, images, parts, pipeline, planning, side_by_side, video
from film.events import Done, Event, Stage
from film.jobs import Job
from film.making import Maker
from film.planning import Plan
from film.record import Record


@dataclass(frozen=True)
class Failed:
    """There will be no such film."""

    reason: str  # one sentence


@dataclass(frozen=True)
class There:
    """The film is there from an earlier run."""


STARTED = "interpolating"  # the stage at which a film has been read and stands in line for its maker
WRITTEN = "finishing"  # ... and at which its file is written
LAST = (Done, There, Failed)  # the last word about a film is one of these
Told: TypeAlias = tuple[Job, Event | Failed | There]


@dataclass(frozen=True)
class Settings:
    """How the films of a batch are made: photos as by `pipeline.interpolate`, videos as by `pipeline.retime`."""

    depth: int | None = None  # of films through photos
    count: int | None = None
    slowdown: Fraction | None = None  # of videos
    fps: Fraction | None = None  # photos: 30; videos: their own
    longest_side: int | None = None
    quality: int = video.QUALITY

    def check(self, jobs: Sequence[Job]) -> None:
        """ValueError where no film of these jobs can be made like that, or a setting is for none of them."""
        photos, videos = ([job for job in jobs if job.is_video is kind] for kind in (False, True))
        video.check_quality(self.quality)
        images.common_size([(images.MIN_SIDE, images.MIN_SIDE)], self.longest_side)
        if self.fps is not None:
            video.exact(self.fps)
        if photos:
            planning.moments(2, self.depth, self.count)
        elif self.depth is not None or self.count is not None:
            raise ValueError("A depth or a count is for photos, and there are none among the inputs.")
        if videos:
            planning.check_pace(self.slowdown or 1, self.fps)
        elif self.slowdown is not None:
            raise ValueError("A slowdown is for videos, and there are none among the inputs.")

    @property
    def of_photos(self) -> dict[str, Any]:
        return {"depth": self.depth, "count": self.count, "fps": self.fps or 30, "longest_side": self.longest_side}

    @property
    def of_videos(self) -> dict[str, Any]:
        return {"slowdown": self.slowdown or 1, "fps": self.fps, "longest_side": self.longest_side}

    def plan(self, job: Job, model: str, device: str) -> Plan:
        """What the job's film would be. ValueError, OSError as in `planning`."""
        if job.is_video:
            return planning.plan_retime(job.inputs[0], model, device, **self.of_videos)
        planning.moments(len(job.inputs), self.depth, self.count)  # refuses a single photo
        return planning.plan(job.inputs, model, device, **self.of_photos)

    def choices(self, job: Job) -> dict[str, Any]:
        """What of it decides the job's film."""
        return {"quality": self.quality, **(self.of_videos if job.is_video else self.of_photos)}

    def events(self, job: Job, maker: Maker) -> Generator[Event]:
        """Make the job's film. ValueError, RuntimeError, OSError as in `pipeline`."""
        kept: dict[str, Any] = {"quality": self.quality, "resume": True}
        if job.is_video:
            return pipeline.retime(job.inputs[0], maker, job.output, **self.of_videos, **kept)
        return pipeline.interpolate(job.inputs, maker, job.output, **self.of_photos, **kept)


def identity(model: catalog.Model, device: str, precision: str) -> str:
    """What decides a model's frames, as far as it is known without downloading the model."""
    content = model.handle if model.remote else convert.fingerprint(Path(model.handle))
    return f"{content} on {device}, {precision}"


def plans(jobs: Iterable[Job], settings: Settings, model: str, device: str) -> Iterator[tuple[Job, Plan | Failed]]:
    """What each film would be, as far as the headers of its inputs tell."""
    for job in jobs:
        try:
            yield job, settings.plan(job, model, device)
        except (ValueError, RuntimeError, OSError) as error:
            yield job, _failed(error)


def run(
    jobs: Iterable[Job],
    maker: Maker,
    settings: Settings,
    record: Record,
    model: str,
    room: Callable[[], bool] | None = None,
) -> Generator[Told]:
    """Make the films, but for those that the record holds, and tell all that happens; `model` is its `identity`.

    The last word about each is one of LAST. They are made one after the other; with `room`, which tells whether the
    maker could begin another, also side by side, in threads. Closing the generator stops the work; what is finished
    stays for the next run. A film fails whose name is taken by a file that the record does not know.
    """
    films = (_film(job, maker, settings, record, model) for job in jobs)
    if room is None:
        for film in films:
            yield from film
    else:
        yield from side_by_side.run(films, room, lambda told: isinstance(told[1], Stage) and told[1].name == STARTED)


def _film(job: Job, maker: Maker, settings: Settings, record: Record, model: str) -> Generator[Told]:
    try:
        choices = {"inputs": parts.content(job.inputs), "settings": settings.choices(job), "model": model}
        if record.holds(job.output, choices):
            yield job, There()
            return
        record.check_free(job.output)
        with contextlib.closing(settings.events(job, maker)) as events:
            for event in events:
                if isinstance(event, Stage) and event.name == WRITTEN:
                    record.claim(job.output)
                elif isinstance(event, Done):
                    record.note(job.output, choices)
                yield job, event
    except (ValueError, RuntimeError, OSError) as error:
        yield job, _failed(error)


def _failed(error: Exception) -> Failed:
    return Failed(" ".join(str(error).split()))
