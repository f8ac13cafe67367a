"""How fast a model was on this machine, so that the next film's time can be told before it is started."""

from __future__ import annotations

import logging
from pathlib import Path

from film.engine import devices
from film.hub.registry import cache_directory
from film.support import atomic_file

log = logging.getLogger(__name__)

NEAR = 2  # size classes: from a frame more than four times larger or smaller nothing is concluded


def remember(model: str, device: str, pixels: int, seconds: float) -> None:
    """Note that one middle frame of `pixels` took `seconds`; one note per model, device and size class."""
    _note(f"{model} on {device}, 2^{size_class(pixels)} pixels", seconds / pixels)


def name(model: str, precision: str) -> str:
    """What a model's timings are kept under: one name for "mixed", one for "exact"."""
    return model if precision == "exact" else f"{model} ({precision})"


def estimate(model: str, device: str, height: int, width: int, precision: str = "auto") -> float | None:
    """Seconds a middle frame of that size will take, judged by films of about that size; None if there were none.

    Among frames of similar size the cost is close to proportional to the pixels.
    """
    noted, wanted = atomic_file.notes(_path()), size_class(height * width)
    model = name(model, devices.precision_on(device, precision))
    for distance in range(NEAR + 1):
        for near in (wanted - distance, wanted + distance):
            per_pixel = noted.get(f"{model} on {device}, 2^{near} pixels")
            if isinstance(per_pixel, float):
                return per_pixel * height * width
    return None


def compared(model: str, device: str, pixels: int) -> float | str | None:
    """What `remember_comparison` noted: seconds for a frame of that many pixels, or a failure; None if nothing."""
    noted = atomic_file.notes(_path()).get(_comparison(model, device, pixels))
    return noted * pixels if isinstance(noted, float) else noted if isinstance(noted, str) else None


def remember_comparison(model: str, device: str, pixels: int, result: float | str) -> None:
    """Note what one frame took when devices were compared, in seconds, or the words with which the device failed."""
    _note(_comparison(model, device, pixels), result if isinstance(result, str) else result / pixels)


def _comparison(model: str, device: str, pixels: int) -> str:
    return f"{model} on {device}, 2^{size_class(pixels)} pixels, compared"


def size_class(pixels: int) -> int:
    """Frames of one class differ by less than a factor of two in their pixels."""
    return pixels.bit_length()


def _note(key: str, value: float | str) -> None:
    try:
        atomic_file.note(_path(), key, value)
    except OSError as error:  # a read-only or full cache: the film matters more than the next estimate
        log.warning("The speed of %s cannot be noted: %s", key, error)


def _path() -> Path:
    return cache_directory() / "speed.json"
