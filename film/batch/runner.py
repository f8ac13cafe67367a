"""Make many films in one run; each is a job with the pipeline's events. One that fails does not stop the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from film.batch import concurrent
from film.batch.jobs import Job
from film.batch.manifest import Manifest
from film.batch.options import BatchOptions
from film.hub import convert, registry
from film.rendering.events import Done, Event, Stage
from film.rendering.planning import Plan
from film.rendering.renderer import AnyRenderer
from film.support import errors
from film.support.fingerprint import fingerprint


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


def identity(model: registry.Model, device: str, precision: str) -> str:
    """What determines a model's frames, as far as it is known without downloading it."""
    content = model.handle if model.remote else convert.fingerprint(Path(model.handle))
    return f"{content} on {device}, {precision}"


def plans(jobs: Iterable[Job], options: BatchOptions) -> Iterator[tuple[Job, Plan | Failed]]:
    """What each film will be, from the headers of its inputs."""
    for job in jobs:
        try:
            yield job, options.plan(job)
        except (ValueError, RuntimeError, OSError) as error:
            yield job, _failed(error)


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
        inputs = [fingerprint(file) for file in job.inputs]
        choices = {"inputs": inputs, "settings": options.choices(job), "model": model}
        if manifest.holds(job.output, choices):
            yield job, There()
            return
        manifest.check_free(job.output)
        with contextlib.closing(options.events(job, renderer)) as events:
            for event in events:
                if isinstance(event, Stage) and event.name == WRITTEN:
                    manifest.claim(job.output)
                elif isinstance(event, Done):
                    manifest.note(job.output, choices)
                yield job, event
    except (ValueError, RuntimeError, OSError) as error:
        yield job, _failed(error)


def _failed(error: Exception) -> Failed:
    return Failed(errors.sentence(error))
