"""How fast a model was on this machine, so that the next film's time can be told before it is started."""

from __future__ import annotations

import json
import logging
import os

from film.catalog import cache_directory

log = logging.getLogger(__name__)


def remember(model: str, device: str, pixels: int, seconds: float) -> None:
    """Note that one middle frame of `pixels` took `seconds`. The cost is close to proportional to the pixels."""
    noted = _noted()
    noted[f"{model} on {device}"] = seconds / pixels
    path = cache_directory() / "speed.json"
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(noted, indent=2))
        os.replace(partial, path)
    except OSError as error:  # a read-only or full cache: the film matters more than the next estimate
        log.warning("The speed of %s on %s cannot be noted: %s", model, device, error)


def estimate(model: str, device: str, height: int, width: int) -> float | None:
    """Seconds a middle frame of that size will take, from the last film made so; None if there was none."""
    per_pixel = _noted().get(f"{model} on {device}")
    return per_pixel * height * width if isinstance(per_pixel, float) else None


def _noted() -> dict[str, float]:
    try:
        return dict(json.loads((cache_directory() / "speed.json").read_text()))
    except (OSError, ValueError, TypeError):
        return {}  # nothing noted yet, or a note that was damaged: it is only an estimate
