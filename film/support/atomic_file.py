"""Small text files that several programs read and replace atomically."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def update(path: Path, change: Callable[[str | None], str]) -> None:
    """Replace the text at `path` with `change(old)`; `old` is None if there is no file yet. OSError if that fails.

    A lock admits one process at a time. A killed one leaves the old text, and a `.partial` that the next overwrites.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_beside(path, "lock")):
        partial = _beside(path, "partial")
        partial.write_text(change(read(path)), encoding="utf-8")
        os.replace(partial, path)


def read(path: Path) -> str | None:
    """The text at `path`, or None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # absent, unreadable or damaged: callers can do without it
        return None


def _beside(path: Path, extension: str) -> Path:
    return path.with_name(f"{path.name}.{extension}")
