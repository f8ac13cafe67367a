"""A process seen from outside: its children and its memory."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
from pathlib import Path


def children(process: int) -> list[int]:
    """Started by whichever of its threads."""
    found: list[int] = []
    for listed in glob.glob(f"/proc/{process}/task/*/children"):
        with contextlib.suppress(OSError):  # the thread has just ended
            found += map(int, Path(listed).read_text().split())
    return found


def family(process: int) -> list[int]:
    """A process and all that it, and they, have started. A child that is not yet the program it is to become is left
    out: until then its memory is its parent's, and would count twice."""
    own = command_line(process)
    below = [family(child) for child in children(process) if command_line(child) != own]
    return [process, *itertools.chain.from_iterable(below)]


def command_line(process: int) -> bytes:
    """Empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def resident(process: int) -> int:
    """Bytes of a process that are in memory, 0 if it has ended; what it shares with others counts for each."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
