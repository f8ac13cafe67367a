"""OpenVINO and the devices it finds on this machine."""

from __future__ import annotations

import functools

import openvino as ov


@functools.cache
def core() -> ov.Core:
    """OpenVINO itself; one per process."""
    return ov.Core()


def devices() -> dict[str, str]:
    """The devices that can be asked for here, by OpenVINO's name, each with its full name."""
    names = {"AUTO": "chosen by OpenVINO"}
    for device in core().available_devices:
        names[device] = str(core().get_property(device, "FULL_DEVICE_NAME")).strip()
    return names


def check_device(device: str) -> str:
    """`device` itself. ValueError if it cannot be asked for here."""
    if device not in (known := devices()):
        raise ValueError(f"There is no device {device!r} on this machine; choose one of {', '.join(known)}.")
    return device
