"""How the films of a batch are made, whatever each is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from film.batch.jobs import Job
from film.media import video_writer
from film.rendering import pipeline, planning
from film.rendering.events import Event
from film.rendering.options import PHOTO_FIELDS, VIDEO_FIELDS, Options, PhotoOptions, VideoOptions
from film.rendering.planning import Plan
from film.rendering.renderer import AnyRenderer

DEFAULTS = {field.name: field.default for kind in (PhotoOptions, VideoOptions) for field in dataclasses.fields(kind)}


class BatchOptions:
    """How the films of a batch are made: photos as by `PhotoOptions`, videos as by `VideoOptions`."""

    def __init__(self, **given: Any) -> None:
        """The keywords of either; None is as if it were not given. TypeError for others."""
        if unknown := given.keys() - PHOTO_FIELDS - VIDEO_FIELDS:
            raise TypeError(f"There are no such options: {', '.join(sorted(unknown))}.")
        self._given = {name: value for name, value in given.items() if value is not None}

    def check(self, jobs: Sequence[Job]) -> None:
        """ValueError where no film of these jobs can be made like that, or a setting is for none of them."""
        photos, videos = ([job for job in jobs if job.is_video is kind] for kind in (False, True))
        if photos:
            most = max(photos, key=lambda job: len(job.inputs))
            planning.length(self._of(PhotoOptions), max(2, len(most.inputs)), most.output)
        else:
            self._check_not_given(PHOTO_FIELDS - VIDEO_FIELDS, "photos")
        if videos:
            self._of(VideoOptions)
        else:
            self._check_not_given(VIDEO_FIELDS - PHOTO_FIELDS, "videos")
        for job in jobs:
            video_writer.check(job.output, bits=self._given.get("depth_bits", 8))

    def _check_not_given(self, options: Iterable[str], kind: str) -> None:
        for name in sorted(options):
            if self._given.get(name, DEFAULTS[name]) != DEFAULTS[name]:
                told = name.replace("_", "-")
                raise ValueError(f"The option {told} is for {kind}, and there are none among the inputs.")

    def _of(self, kind: type[Options]) -> Options:
        names = PHOTO_FIELDS if kind is PhotoOptions else VIDEO_FIELDS
        return kind(**{name: value for name, value in self._given.items() if name in names})

    def plan(self, job: Job) -> Plan:
        """What the job's film would be. ValueError, OSError as in `planning`."""
        if job.is_video:
            return planning.plan_retime(job.inputs[0], job.output, self._of(VideoOptions))
        planning.moments(len(job.inputs))  # refuses a single photo
        return planning.plan(job.inputs, job.output, self._of(PhotoOptions))

    def choices(self, job: Job) -> dict[str, Any]:
        """What of it decides the job's film."""
        return dataclasses.asdict(self._of(VideoOptions if job.is_video else PhotoOptions))

    def events(self, job: Job, renderer: AnyRenderer) -> Generator[Event]:
        """Make the job's film. ValueError, RuntimeError, OSError as in `pipeline`."""
        if job.is_video:
            return pipeline.retime(job.inputs[0], renderer, job.output, self._of(VideoOptions), resume=True)
        return pipeline.interpolate(job.inputs, renderer, job.output, self._of(PhotoOptions), resume=True)
