"""Make many films in one run; each is a job with the pipeline's events. One that fails does not stop the others."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from film.batch import concurrent
from film.batch.jobs import Job
from film.batch.manifest import Manifest
from film.hub import convert, registry
from film.media import video_writer
from film.rendering import pipeline, planning
from film.rendering.events import Done, Event, Stage
from film.rendering.options import PHOTO_FIELDS, VIDEO_FIELDS, PhotoOptions, VideoOptions
from film.rendering.planning import Plan
from film.rendering.renderer import AnyRenderer
from film.support import errors
from film.support.fingerprint import fingerprint

DEFAULTS = {field.name: field.default for kind in (PhotoOptions, VideoOptions) for field in dataclasses.fields(kind)}


@dataclass(frozen=True)
class Failed:
    """The film could not be made."""

    reason: str  # one sentence


@dataclass(frozen=True)
class There:
    """The film exists from an earlier run."""


STARTED = "interpolating"  # the stage at which a film has been read and waits for the model
WRITTEN = "finishing"  # the stage at which its file is written
LAST = (Done, There, Failed)  # the last event of a film is one of these
Told: TypeAlias = tuple[Job, Event | Failed | There]


class BatchOptions:
    """How the films of a batch are made: photos as by `PhotoOptions`, videos as by `VideoOptions`."""

    def __init__(self, **given: Any) -> None:
        """The keywords of either; None is as if it were not given. TypeError for others."""
        if unknown := given.keys() - PHOTO_FIELDS - VIDEO_FIELDS:
            raise TypeError(f"There are no such options: {', '.join(sorted(unknown))}.")
        self._given = {name: value for name, value in given.items() if value is not None}

    def of(self, job: Job) -> PhotoOptions | VideoOptions:
        """Those of the job's film. ValueError where no film can be made like that."""
        kind, names = (VideoOptions, VIDEO_FIELDS) if job.is_video else (PhotoOptions, PHOTO_FIELDS)
        return kind(**{name: value for name, value in self._given.items() if name in names})

    def check(self, jobs: Sequence[Job]) -> None:
        """ValueError where no film of these jobs can be made like that, or a setting is for none of them."""
        photos, videos = ([job for job in jobs if job.is_video is kind] for kind in (False, True))
        for kind, there, own in (
            ("photos", photos, PHOTO_FIELDS - VIDEO_FIELDS),
            ("videos", videos, VIDEO_FIELDS - PHOTO_FIELDS),
        ):
            for name in sorted(own if not there else ()):
                if self._given.get(name, DEFAULTS[name]) != DEFAULTS[name]:
                    told = name.replace("_", "-")
                    raise ValueError(f"The option {told} is for {kind}, and there are none among the inputs.")
        most = max(2, *(len(job.inputs) for job in jobs))
        for job in (*photos[:1], *videos[:1]):
            chosen = self.of(job)
            if isinstance(chosen, PhotoOptions):
                planning.length(chosen, most, job.output)
            video_writer.check(job.output, bits=chosen.depth_bits)


def identity(model: registry.Model, device: str, precision: str) -> str:
    """What determines a model's frames, as far as it is known without downloading it."""
    content = model.handle if model.remote else convert.fingerprint(Path(model.handle))
    return f"{content} on {device}, {precision}"


def plans(jobs: Iterable[Job], options: BatchOptions) -> Iterator[tuple[Job, Plan | Failed]]:
    """What each film will be, from the headers of its inputs."""
    for job in jobs:
        try:
            chosen = options.of(job)
            if isinstance(chosen, VideoOptions):
                yield job, planning.plan_retime(job.inputs[0], job.output, chosen)
            else:
                planning.moments(len(job.inputs))  # refuses a single photo
                yield job, planning.plan(job.inputs, job.output, chosen)
        except (ValueError, RuntimeError, OSError) as error:
            yield job, Failed(errors.sentence(error))


def run(
    jobs: Iterable[Job],
    renderer: AnyRenderer,
    options: BatchOptions,
    manifest: Manifest,
    model: str,
    room: Callable[[], bool] | None = None,
) -> Generator[Told]:
    """Make the films that the manifest does not hold and yield all their events; `model` is the model's `identity`.

    The last event of each is one of LAST. Films are made one after the other; with `room`, which says whether the
    renderer can start another, also in parallel threads. Closing the generator stops the work; finished films stay
    for the next run. A film fails if its name is taken by a file that the manifest does not know.
    """
    films = (_film(job, renderer, options, manifest, model) for job in jobs)
    if room is None:
        for film in films:
            yield from film
    else:
        yield from concurrent.run(films, room, lambda told: isinstance(told[1], Stage) and told[1].name == STARTED)


def _film(job: Job, renderer: AnyRenderer, options: BatchOptions, manifest: Manifest, model: str) -> Generator[Told]:
    try:
        chosen = options.of(job)
        inputs = [fingerprint(file) for file in job.inputs]
        choices = {"inputs": inputs, "settings": dataclasses.asdict(chosen), "model": model}
        if manifest.holds(job.output, choices):
            yield job, There()
            return
        manifest.check_free(job.output)
        if isinstance(chosen, VideoOptions):
            making = pipeline.retime(job.inputs[0], renderer, job.output, chosen, resume=True)
        else:
            making = pipeline.interpolate(job.inputs, renderer, job.output, chosen, resume=True)
        with contextlib.closing(making) as events:
            for event in events:
                if isinstance(event, Stage) and event.name == WRITTEN:
                    manifest.claim(job.output)
                elif isinstance(event, Done):
                    manifest.note(job.output, choices)
                yield job, event
    except (ValueError, RuntimeError, OSError) as error:
        yield job, Failed(errors.sentence(error))
