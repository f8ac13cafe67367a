"""Turn near-duplicate photos into a smooth film: Google's FILM network on OpenVINO.

import film
model = film.load("film-lite")
frames = model.frames(film.read_image("one.jpg"), film.read_image("two.jpg"), depth=5)
film.write_video("film.mp4", frames, fps=30)
"""

from __future__ import annotations

import os

from film.support import telemetry as _offline  # noqa: F401  # isort: skip  (before OpenVINO is imported)

from film.engine.devices import devices
from film.engine.interpolator import Interpolator
from film.engine.openvino_backend import Film
from film.engine.tensorflow_backend import Reference
from film.engine.timings import estimate
from film.hub.registry import Model, find, models
from film.media.images import Frame, read_image
from film.media.video_writer import write_video
from film.rendering.events import Done, Event, Level, Notice, Progress, Segment, Stage
from film.rendering.pipeline import interpolate, retime
from film.support.memory import NotEnoughMemory

__all__ = [
    "Done",
    "Event",
    "Film",
    "Frame",
    "Interpolator",
    "Level",
    "Model",
    "NotEnoughMemory",
    "Notice",
    "Progress",
    "Reference",
    "Segment",
    "Stage",
    "devices",
    "estimate",
    "find",
    "interpolate",
    "load",
    "models",
    "read_image",
    "retime",
    "write_video",
]

__version__ = "0.1.0"


def load(
    name: str | os.PathLike[str] = "film-lite",
    device: str = "CPU",
    backend: str = "openvino",
    memory_gb: float | None = None,
    lanes: int | None = None,
    precision: str = "auto",
    threads: int | None = None,
) -> Interpolator:
    """A model by catalog name, TensorFlow Hub URL or SavedModel directory. Nothing is fetched or compiled yet.

    `device` is one of `devices()`; `backend` is "openvino", or "tensorflow" for the reference, on which
    the other parameters have no effect.
    Frames too large for `memory_gb` (default: FILM_MEMORY_GB, else a quarter of the machine) are made in tiles.
    `threads` is how many of the processor's cores it uses (default: all); `lanes` is how many frames are made side by
    side (default: one per four cores).
    `precision` "mixed" computes convolutions in bfloat16 or float16 where the device has it, and motion and pictures in
    float32; "exact" is float32 throughout; "auto" is mixed where the device is quicker by it.
    ValueError when there is no such model, device, backend or precision, and for amounts that cannot be: `memory_gb` is
    above 0, `threads` 1 or more, `lanes` from 1 to 64.
    """
    if backend not in ("openvino", "tensorflow"):
        raise ValueError(f"There is no backend {backend!r}; choose openvino or tensorflow.")
    model = Film(find(name), device, memory_gb, lanes, precision, threads)  # refuses what cannot be, for either
    return Reference(model.model) if backend == "tensorflow" else model
