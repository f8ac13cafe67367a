"""How fast models are on this machine: what films took, and what each device took when they were compared.

So the next film's time can be told before it is started, and its device be the fastest: OpenVINO's AUTO prefers a GPU
to a CPU whatever they are, and for FILM an integrated GPU can be several times slower.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import openvino as ov

from film.engine import devices
from film.engine.devices import ExecutionInfo
from film.hub.registry import cache_directory
from film.support import atomic_file, memory

log = logging.getLogger(__name__)

NEAR = 2  # size classes: from a frame more than four times larger or smaller nothing is concluded
# Larger frames are judged by frames of this size, which keep a device as busy: the answer should not take minutes.
MEASURED_PIXELS = 512 * 512
WORDS = 300  # characters kept of how a device failed; OpenVINO can speak at length


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


def size_class(pixels: int) -> int:
    """Frames of one class differ by less than a factor of two in their pixels."""
    return pixels.bit_length()


def measured_size(height: int, width: int) -> tuple[int, int]:
    """The (height, width) of the frame by which the devices are judged: this one, made smaller if it is large."""
    scale = min(1.0, math.sqrt(MEASURED_PIXELS / (height * width)))
    return max(1, int(height * scale)), max(1, int(width * scale))


def needs_measuring(model: str, pixels: int) -> bool:
    """Whether `fastest` would have to measure."""
    return len(devices.real_devices()) > 1 and None in _compared(model, pixels).values()


def fastest(model: str, pixels: int, measure: Callable[[str], float]) -> ExecutionInfo:
    """The fastest device for `model` (its name, and whatever else decides its speed) at frames of `pixels`.

    `measure` gives the seconds a device takes for such a frame; it is called for the devices of which nothing is
    noted. One that raises RuntimeError is noted with its words and passed over. RuntimeError if all of them do.
    """
    names = list(devices.real_devices())
    if len(names) == 1:
        return ExecutionInfo(names[0], f"{names[0]} was chosen: it is the only device here.")
    results = {
        device: _measured(model, device, pixels, measure) if result is None else result
        for device, result in _compared(model, pixels).items()
    }
    told = "; ".join(
        f"{device}: {result:.2g} s per frame" if isinstance(result, float) else f"{device} failed: {result}"
        for device, result in results.items()
    )
    seconds = {device: result for device, result in results.items() if isinstance(result, float)}
    if not seconds:
        raise RuntimeError(f"No device here can run {model}. {told}")
    best = min(seconds, key=seconds.__getitem__)
    choice = ExecutionInfo(best, f"{best} was chosen, the fastest here. {told}")
    log.info("%s: %s", model, choice.why)
    return choice


def _compared(model: str, pixels: int) -> dict[str, float | str | None]:
    """What is known of each device: seconds, its failure, or None.

    If all have failed, nothing is known: that may have been the fault of something else.
    """
    noted = atomic_file.notes(_path())
    results: dict[str, float | str | None] = {}
    for device in devices.real_devices():
        result = noted.get(_comparison(model, device, pixels))
        results[device] = result * pixels if isinstance(result, float) else result
    return dict.fromkeys(results) if all(isinstance(result, str) for result in results.values()) else results


def _measured(model: str, device: str, pixels: int, measure: Callable[[str], float]) -> float | str:
    try:
        seconds = measure(device)
    except memory.NotEnoughMemory as error:  # says nothing of the next time: not noted
        return str(error)
    except RuntimeError as error:
        words = " ".join(str(error).split())[:WORDS]
        log.warning("%s cannot run %s: %s", device, model, words)
        _note(_comparison(model, device, pixels), words)
        return words
    _note(_comparison(model, device, pixels), seconds / pixels)
    return seconds


def _comparison(model: str, device: str, pixels: int) -> str:
    """Under what it is noted. A cache may be shared by machines, and a new OpenVINO may be faster, or run where the old
    one failed."""
    described = f"{device} ({devices.real_devices()[device]}, OpenVINO {ov.__version__.partition('-')[0]})"
    return f"{model} on {described}, 2^{size_class(pixels)} pixels, compared"


def _note(key: str, value: float | str) -> None:
    try:
        atomic_file.note(_path(), key, value)
    except OSError as error:  # a read-only or full cache: the film matters more than the next estimate
        log.warning("The speed of %s cannot be noted: %s", key, error)


def _path() -> Path:
    return cache_directory() / "speed.json"
