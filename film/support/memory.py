"""How much memory a model may take, and one error for running out of it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from film.support import validation

GIGABYTE = 2**30
DEFAULT_SHARE = 4  # a quarter of the machine: the rest is for photos, the encoder, other visitors, the system
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
FOR_A_MODEL = "smaller photos need less, and so does a lower memory budget (FILM_MEMORY_GB)"  # advice
# What OpenVINO and its plugins for CPUs and GPUs write into a RuntimeError then.
SHORTAGE = re.compile(
    r"bad_alloc|failed to allocate|cannot allocate memory|out of memory|could not create a memory"
    r"|Resource temporarily unavailable"  # no memory for another thread's stack
    r"|exceeded max size of memory|CL_OUT_OF_|CL_MEM_OBJECT_ALLOCATION_FAILURE",
    re.IGNORECASE,
)


def machine() -> int:
    """Bytes of memory this process can count on: the machine's, or its container's if that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 * GIGABYTE
    try:
        return min(physical, int(CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no such limit, or "max"
        return physical


def budget(gigabytes: float | None = None) -> int:
    """Bytes for one running model: `gigabytes`, else FILM_MEMORY_GB, else a quarter of the machine's memory.

    ValueError unless that is a number above 0.
    """
    if gigabytes is None and (setting := os.environ.get("FILM_MEMORY_GB")):
        try:
            gigabytes = float(setting)
        except ValueError:
            raise ValueError(f"FILM_MEMORY_GB is {setting!r}; it must be a number of gigabytes.") from None
    if gigabytes is None:
        return machine() // DEFAULT_SHARE
    amount = validation.exact(gigabytes)
    if amount is None or not amount > 0:
        raise ValueError(f"The memory budget is {validation.told(gigabytes)} GB; it must be a number above 0.")
    return int(amount * GIGABYTE)


class NotEnoughMemory(RuntimeError):
    """Memory ran out during one piece of work; the next one may have enough."""


@contextlib.contextmanager
def told(advice: str = "smaller photos need less") -> Iterator[None]:
    """Turn every error inside that means "out of memory" into NotEnoughMemory, with advice."""
    try:
        yield
    except Exception as error:
        if isinstance(error, NotEnoughMemory) or not is_shortage(error):
            raise
        words = " ".join(str(error).split()) or type(error).__name__
        raise NotEnoughMemory(f"There is not enough memory for this; {advice}. {words}") from error


def is_shortage(error: Exception) -> bool:
    """Whether the error means that memory ran out."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(SHORTAGE.search(str(error))))
