"""The memory that glibc keeps: by default a heap for nearly every thread, each as large as its largest moment was."""

from __future__ import annotations

import contextlib
import ctypes
import sys

M_ARENA_MAX = -8  # of glibc's mallopt
ARENAS = 2  # films are made by whichever thread is free: 64 of them at 512 pixels left 1.9 GB, with two heaps 0.8 GB


def limit_malloc_arenas() -> None:
    """From now on all threads of this process share a few heaps, where the C library knows how."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
