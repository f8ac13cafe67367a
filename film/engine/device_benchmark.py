"""Which device of this machine makes a model's frames the fastest: measured once, then remembered.

OpenVINO's AUTO prefers a GPU to a CPU whatever they are, and for FILM an integrated GPU can be several times slower.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import openvino as ov

from film.engine import devices, timings
from film.engine.devices import ExecutionInfo
from film.support import memory

log = logging.getLogger(__name__)

# Larger frames are judged by frames of this size, which keep a device as busy: the answer should not take minutes.
MEASURED_PIXELS = 512 * 512
WORDS = 300  # characters kept of how a device failed; OpenVINO can speak at length


def measured_size(height: int, width: int) -> tuple[int, int]:
    """The (height, width) of the frame by which the devices are judged: this one, made smaller if it is large."""
    scale = min(1.0, math.sqrt(MEASURED_PIXELS / (height * width)))
    return max(1, int(height * scale)), max(1, int(width * scale))


def needs_measuring(model: str, pixels: int) -> bool:
    """Whether `choose` would have to measure."""
    names = devices.real_devices()
    return len(names) > 1 and None in _noted(model, names, pixels).values()


def choose(model: str, pixels: int, measure: Callable[[str], float]) -> ExecutionInfo:
    """The fastest device for `model` (its name, and whatever else decides its speed) at frames of `pixels`.

    `measure` gives the seconds a device takes for such a frame; it is called for the devices of which nothing is
    noted. One that raises RuntimeError is noted with its words and passed over. RuntimeError if all of them do.
    """
    names = devices.real_devices()
    if len(names) == 1:
        (only,) = names
        return ExecutionInfo(only, f"{only} was chosen: it is the only device here.")
    results = _noted(model, names, pixels)
    for device, result in results.items():
        if result is None:
            results[device] = _measured(model, device, names[device], pixels, measure)
    seconds = {device: result for device, result in results.items() if isinstance(result, float)}
    told = "; ".join(_told(device, result) for device, result in results.items())
    if not seconds:
        raise RuntimeError(f"No device here can run {model}. {told}")
    fastest = min(seconds, key=seconds.__getitem__)
    choice = ExecutionInfo(fastest, f"{fastest} was chosen, the fastest here. {told}")
    log.info("%s: %s", model, choice.why)
    return choice


def _noted(model: str, names: dict[str, str], pixels: int) -> dict[str, float | str | None]:
    """What is known of each device. If all have failed, nothing is: that may have been the fault of something else."""
    noted = {device: timings.compared(model, _described(device, name), pixels) for device, name in names.items()}
    if all(isinstance(result, str) for result in noted.values()):
        return dict.fromkeys(names)
    return noted


def _measured(model: str, device: str, name: str, pixels: int, measure: Callable[[str], float]) -> float | str:
    result: float | str
    try:
        result = measure(device)
    except memory.NotEnoughMemory as error:  # says nothing of the next time: not noted
        return str(error)
    except RuntimeError as error:
        result = " ".join(str(error).split())[:WORDS]
        log.warning("%s cannot run %s: %s", device, model, result)
    timings.remember_comparison(model, _described(device, name), pixels, result)
    return result


def _described(device: str, name: str) -> str:
    """A cache may be shared by machines, and a new OpenVINO may be faster, or run where the old one failed."""
    return f"{device} ({name}, OpenVINO {ov.__version__.partition('-')[0]})"


def _told(device: str, result: float | str | None) -> str:
    return f"{device}: {result:.2g} s per frame" if isinstance(result, float) else f"{device} failed: {result}"
