"""Small text files that several programs read and replace atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def note(path: Path, key: str, value: object) -> None:
    """Set a member of the JSON object at `path`. OSError as in `update`."""
    update(path, lambda text: json.dumps(_members(text) | {key: value}, indent=1))


def notes(path: Path) -> dict[str, Any]:
    """The JSON object at `path`; empty if there is none, or it is damaged."""
    return _members(read(path))


def _members(text: str | None) -> dict[str, Any]:
    try:
        return dict(json.loads(text or "{}"))
    except (ValueError, TypeError):
        return {}


def _beside(path: Path, extension: str) -> Path:
    return path.with_name(f"{path.name}.{extension}")
