"""OpenVINO and the devices it finds on this machine."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")
FASTEST = "FASTEST"  # of the devices themselves, as measured here; OpenVINO's own AUTO goes by their kind


@dataclass(frozen=True)
class ExecutionInfo:
    """A device, here or at each of some workers elsewhere. As a string it is told to the user."""

    device: str
    why: str | None = None  # it was chosen, as a sentence for the user; None if it was asked for
    workers: int | None = None
    tiles: str | None = None  # in which frames are made here; None: whole, or as each worker has to
    precision: str | None = None  # "mixed" or "exact"; None: what each worker takes

    def __str__(self) -> str:
        return self.device if self.workers is None else f"{self.device} of {self.workers} workers"


@functools.cache
def core() -> ov.Core:
    """OpenVINO itself; one per process."""
    return ov.Core()


def cores() -> int:
    """Cores this process can count on: the machine's, or those it is confined to, or its container's share of them."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CONTAINER_LIMIT.read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no such limit, or "max"
        return count


def real_devices() -> dict[str, str]:
    """The devices that are really here, by OpenVINO's name, each with its full name."""
    names = core().available_devices
    return {name: str(core().get_property(name, "FULL_DEVICE_NAME")).strip() for name in names}


def devices() -> dict[str, str]:
    """What can be asked for here, name -> description: the ways to choose among the devices, and these themselves."""
    return {"AUTO": "chosen by OpenVINO", FASTEST: "the fastest here, measured once"} | real_devices()


def check_device(device: str) -> str:
    """`device` itself. ValueError if it cannot be asked for here."""
    if device not in (known := list(devices())):
        raise ValueError(f"There is no device {device!r} on this machine; choose one of {', '.join(known)}.")
    return device


def precision_on(device: str, precision: str) -> str:
    """What `precision` comes to on that device: "mixed" ("fast" is its old name) or "exact".

    "auto" is mixed where that is quicker. ValueError if there is none of that name.
    """
    if precision not in ("auto", "mixed", "fast", "exact"):
        raise ValueError(f"There is no precision {precision!r}; choose auto, mixed or exact.")
    if precision == "auto":
        real = real_devices()
        precision = "mixed" if any(map(has_short_floats, [device] if device in real else real)) else "exact"
    return "exact" if precision == "exact" else "mixed"


@functools.cache
def has_short_floats(device: str) -> bool:
    """Whether a device computes in bfloat16 or float16. A CPU without bfloat16 only stores in float16."""
    kinds = core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    return ("BF16" if device.startswith("CPU") else "FP16") in kinds
