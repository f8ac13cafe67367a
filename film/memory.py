"""How much memory a model may take."""

from __future__ import annotations

import math
import os
from pathlib import Path

GIGABYTE = 2**30
DEFAULT_SHARE = 4  # a quarter of the machine: the rest is for photos, the encoder, other visitors, the system
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def machine() -> int:
    """Bytes of memory this process can count on: the machine's, or its container's if that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 * GIGABYTE
    try:
        return min(physical, int(CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no such limit, or "max"
        return physical


def budget(gigabytes: float | None = None) -> int:
    """Bytes for one model at work: `gigabytes`, else FILM_MEMORY_GB, else a quarter of the machine's memory."""
    if gigabytes is None and (setting := os.environ.get("FILM_MEMORY_GB")):
        try:
            gigabytes = float(setting)
        except ValueError:
            raise ValueError(f"FILM_MEMORY_GB is {setting!r}; it must be a number of gigabytes.") from None
    if gigabytes is None:
        return machine() // DEFAULT_SHARE
    if not 0 < gigabytes < math.inf:
        raise ValueError(f"The memory budget is {gigabytes:g} GB; it must be above 0.")
    return int(gigabytes * GIGABYTE)
