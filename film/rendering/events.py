"""What happens while a film is made, as a stream: whoever shows it matches on these."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from film.media.images import Frame
from film.media.video_segments import Segment

__all__ = ["Done", "Event", "Level", "Notice", "Progress", "Segment", "Stage"]

STAGES = {
    "reading": "Reading the photos",
    "looking": "Looking into the video",
    "downloading": "Downloading the model, once",
    "converting": "Converting the model, once",
    "loading": "Loading the model",
    "measuring": "Comparing the devices, once",
    "compiling": "Compiling the model for this size",
    "interpolating": "Making frames",
    "finishing": "Finishing the film",
}


PRECISIONS = {"mixed": "mixed precision", "exact": "float32"}


@dataclass(frozen=True)
class Stage:
    """What begins now."""

    name: str  # a key of STAGES

    @property
    def text(self) -> str:
        return STAGES[self.name]


@dataclass(frozen=True)
class Notice:
    """Something the user should know about how the photos or the video are used."""

    text: str


@dataclass(frozen=True)
class Progress:
    """Frames of the film are there: one more, if they are made here; else as many as came, which may be none."""

    done: int  # of the film's frames
    total: int  # for a video: as far as its header tells
    frame: Frame | None  # the last of them, if it was made here
    seconds_per_frame: float | None  # per synthesized frame; None before the first
    seconds_left: float | None
    place: int | None = None  # of `frame` in the film, from 0; None for one that is not shown, or if there is none


@dataclass(frozen=True)
class Level:
    """A film made coarse to fine has all frames of one more level: they are spread over its whole length."""

    number: int  # 0: the photos alone; each level doubles the moments between them
    frames: int  # of the film that are there now
    total: int


@dataclass(frozen=True)
class Done:
    """The film is complete."""

    path: Path
    frames: int  # in the file: forth and back counts both ways
    width: int
    height: int
    fps: Fraction
    model: str
    device: str
    seconds: float  # from the first event to this one
    seconds_per_frame: float | None
    precision: str | None = None  # "mixed" or "exact"; None: what each worker takes

    @property
    def device_text(self) -> str:
        """The device and the precision, for the user."""
        return f"{self.device}, {PRECISIONS[self.precision]}" if self.precision else self.device

    @property
    def duration(self) -> float:
        """The film's length in seconds."""
        return float(self.frames / self.fps)


# A segment's file exists until the generator goes on to its end: read it when its event comes.
Event: TypeAlias = Stage | Notice | Progress | Level | Segment | Done
