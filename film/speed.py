"""How fast a model was on this machine, so that the next film's time can be told before it is started."""

from __future__ import annotations

import json
import logging
import os

from film.catalog import cache_directory

log = logging.getLogger(__name__)

NEAR = 2  # size classes: from a frame more than four times larger or smaller nothing is concluded


def remember(model: str, device: str, pixels: int, seconds: float) -> None:
    """Note that one middle frame of `pixels` took `seconds`; one note per model, device and size class."""
    noted = _noted()
    noted[f"{model} on {device}, 2^{_size_class(pixels)} pixels"] = seconds / pixels
    path = cache_directory() / "speed.json"
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(noted, indent=2))
        os.replace(partial, path)
    except OSError as error:  # a read-only or full cache: the film matters more than the next estimate
        log.warning("The speed of %s on %s cannot be noted: %s", model, device, error)


def estimate(model: str, device: str, height: int, width: int) -> float | None:
    """Seconds a middle frame of that size will take, judged by films of about that size; None if there were none.

    Among frames of similar size the cost is close to proportional to the pixels.
    """
    noted, wanted = _noted(), _size_class(height * width)
    for distance in range(NEAR + 1):
        for size_class in (wanted - distance, wanted + distance):
            per_pixel = noted.get(f"{model} on {device}, 2^{size_class} pixels")
            if isinstance(per_pixel, float):
                return per_pixel * height * width
    return None


def _size_class(pixels: int) -> int:
    return pixels.bit_length()


def _noted() -> dict[str, float]:
    try:
        return dict(json.loads((cache_directory() / "speed.json").read_text()))
    except (OSError, ValueError, TypeError):
        return {}  # nothing noted yet, or a note that was damaged: it is only an estimate
