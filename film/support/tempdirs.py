"""Temporary folders. Each program first deletes those that killed programs left."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

PREFIX = ".film-"
DELETE_SECONDS = 3.0  # that a program which deletes in the background waits for that at its end


@contextlib.contextmanager
def folder(parent: Path | None = None, prefix: str = PREFIX, background: bool = False) -> Iterator[Path]:
    """A new folder in `parent` (default: the system's temporary directory), deleted with what is in it at the end.

    A lock beside it is held until then. The system releases it however the program ends, so a folder whose lock is
    free has lost its owner; such folders with this `prefix` are deleted first, in the temporary directory, too.
    FileNotFoundError if there is no `parent`, RuntimeError if nothing can be written there.

    With `background` nobody waits for what others left to be deleted, and at the end for a few seconds only: what is
    left then is abandoned, too.
    """
    parent = parent or Path(tempfile.gettempdir())
    if not parent.is_dir():  # FileLock would create it
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))
    if background:
        _in_background(_delete_abandoned, parent, prefix)
    else:
        _delete_abandoned(parent, prefix)
    path = parent / f"{prefix}{uuid.uuid4().hex[:12]}"
    lock = FileLock(_lock_file(path), thread_local=False)  # several threads may take one film's events in turn
    try:
        lock.acquire()
        try:
            path.mkdir(mode=0o700)
        except OSError:
            _delete(path, lock)
            raise
    except OSError as error:
        raise RuntimeError(f"Nothing can be written to {parent}: {error}") from error
    try:
        yield path
    finally:
        if background:
            _in_background(_delete, path, lock).join(DELETE_SECONDS)
        else:
            _delete(path, lock)


def check(parent: Path) -> None:
    """Raise as `folder` would, before any work is done."""
    with folder(parent):
        pass


def _in_background(work: Callable[..., None], *arguments: object) -> threading.Thread:
    """A thread that does it and ends with the process at the latest."""
    thread = threading.Thread(target=work, args=arguments, name="delete", daemon=True)
    thread.start()
    return thread


def _delete_abandoned(parent: Path, prefix: str) -> None:
    places = {parent, Path(tempfile.gettempdir())}
    for lock_file in [file for place in places for file in place.glob(f"{prefix}*.lock")]:
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except OSError:  # its owner lives, or it belongs to another user
            continue
        _delete(lock_file.with_suffix(""), lock)


def _delete(path: Path, lock: FileLock) -> None:
    """Delete the folder, then its lock: a lock exists as long as there is something to delete."""
    shutil.rmtree(path, ignore_errors=True)
    lock.release()
    with contextlib.suppress(OSError):
        os.unlink(_lock_file(path))


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")
