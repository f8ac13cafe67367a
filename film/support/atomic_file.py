"""A note: a small file of text that programs running at once read and replace, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def update(path: Path, change: Callable[[str | None], str]) -> None:
    """Replace the text at `path` by `change` of what it was (None: there is none yet). OSError if that cannot be done.

    One process at a time; a killed one leaves the old text and a `.partial` that the next overwrites.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_beside(path, "lock")):
        partial = _beside(path, "partial")
        partial.write_text(change(read(path)), encoding="utf-8")
        os.replace(partial, path)


def read(path: Path) -> str | None:
    """The text at `path`, or None if there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # absent, unreadable, or damaged: to have no note is always possible
        return None


def _beside(path: Path, extension: str) -> Path:
    return path.with_name(f"{path.name}.{extension}")
