"""Files and folders that are there completely or not at all, whatever happens to the program that writes them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A new folder, to be filled, that takes the place of `path` at the end of the context; by an exception it goes.

    The caller's lock keeps others out. What a killed program left, and an older folder, are deleted first.
    """
    partial = _beside(path, "partial")
    for old in (partial, path):
        shutil.rmtree(old, ignore_errors=True)
    try:
        partial.mkdir()
        yield partial
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def note(path: Path, key: str, value: object) -> None:
    """Set a member of the JSON object at `path`. OSError if that fails.

    A lock admits one process at a time. A killed one leaves the old text, and a `.partial` that the next overwrites.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_beside(path, "lock")):
        partial = _beside(path, "partial")
        partial.write_text(json.dumps(notes(path) | {key: value}, indent=1), encoding="utf-8")
        os.replace(partial, path)


def notes(path: Path) -> dict[str, Any]:
    """The JSON object at `path`; empty if there is none, or it is damaged: callers can do without it."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _beside(path: Path, extension: str) -> Path:
    return path.with_name(f"{path.name}.{extension}")
