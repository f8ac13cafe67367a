"""How the films of a batch are made, whatever each is made of."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from film.batch.jobs import Job
from film.media import images, scene_detection, video_segments
from film.rendering import pipeline, planning
from film.rendering.events import Event
from film.rendering.planning import Plan
from film.rendering.renderer import AnyRenderer

# Settings that are for one kind of film, in words.
OF_PHOTOS = {"depth": "A depth", "count": "A count", "seconds": "A length in seconds", "spacing": "A spacing"}
OF_VIDEOS = {"slowdown": "A slowdown", "sound": "A choice of sound", "cut": "A cut"}


@dataclass(frozen=True)
class BatchOptions:
    """How the films of a batch are made: photos as by `pipeline.interpolate`, videos as by `pipeline.retime`."""

    depth: int | None = None  # of films through photos
    count: int | None = None
    slowdown: Fraction | None = None  # of videos
    fps: Fraction | None = None  # photos: 30; videos: their own
    longest_side: int | None = None
    quality: int = video_segments.QUALITY
    play: str = "loop"
    seconds: float | None = None  # of photos
    spacing: str = "equal"
    sound: bool = True  # of videos
    cut: float = scene_detection.CUT

    def check(self, jobs: Sequence[Job]) -> None:
        """ValueError where no film of these jobs can be made like that, or a setting is for none of them."""
        photos, videos = ([job for job in jobs if job.is_video is kind] for kind in (False, True))
        video_segments.check_quality(self.quality)
        images.common_size([(images.MIN_SIDE, images.MIN_SIDE)], self.longest_side)
        if self.fps is not None:
            video_segments.exact(self.fps)
        if photos:
            most = max(photos, key=lambda job: len(job.inputs))
            count, _ = self._length(most)
            planning.moments(max(2, len(most.inputs)), self.depth, count, play=self.play)
            pipeline.check_spacing(self.spacing, count is not None)
        else:
            self._check_not_given(OF_PHOTOS, "photos")
        if videos:
            planning.check_pace(self.slowdown or 1, self.fps)
            pipeline.check_cut(self.cut)
        else:
            self._check_not_given(OF_VIDEOS, "videos")

    def _check_not_given(self, options: Mapping[str, str], kind: str) -> None:
        for name, told in options.items():
            if getattr(self, name) != getattr(BatchOptions, name):
                raise ValueError(f"{told} is for {kind}, and there are none among the inputs.")

    def _length(self, job: Job) -> tuple[int | None, Fraction]:
        """The count of a film through photos, if that is how its length is given, and its frame rate."""
        fps = self.fps or Fraction(30)
        if self.seconds is None:
            return self.count, fps
        return planning.lasting(self.seconds, fps, job.output, self.play, len(job.inputs))

    def _planned(self, job: Job) -> dict[str, Any]:
        """What decides the job's frames."""
        shared = {"longest_side": self.longest_side, "play": self.play}
        if job.is_video:
            return {"slowdown": self.slowdown or 1, "fps": self.fps, **shared}
        count, fps = self._length(job)
        return {"depth": self.depth, "count": count, "fps": fps, **shared}

    def plan(self, job: Job) -> Plan:
        """What the job's film would be. ValueError, OSError as in `planning`."""
        if job.is_video:
            return planning.plan_retime(job.inputs[0], job.output, **self._planned(job))
        planning.moments(len(job.inputs))  # refuses a single photo
        return planning.plan(job.inputs, job.output, **self._planned(job))

    def choices(self, job: Job) -> dict[str, Any]:
        """What of it decides the job's film."""
        own = {"sound": self.sound, "cut": self.cut} if job.is_video else {"spacing": self.spacing}
        return {"quality": self.quality, **self._planned(job), **own}

    def events(self, job: Job, renderer: AnyRenderer) -> Generator[Event]:
        """Make the job's film. ValueError, RuntimeError, OSError as in `pipeline`."""
        if job.is_video:
            return pipeline.retime(job.inputs[0], renderer, job.output, **self.choices(job), resume=True)
        return pipeline.interpolate(job.inputs, renderer, job.output, **self.choices(job), resume=True)
