"""What visitors leave on the disk: it expires, and all of it together stays under a ceiling.

Uploads and finished films lie in one folder, each in a folder of its own with a name nobody guesses, and beside them in
`scratch` what is in the making. What a running film needs is held; of the rest the oldest goes first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

GIGABYTE = 2**30
KEPT_FILE = re.compile(r"[0-9a-f]{64}/[^/]+")  # of an upload or a film, below the folder of what is kept
GRACE_SECONDS = 120  # what is younger makes no room for others: its visitor has just chosen it, or still downloads it
SWEEP_SECONDS = 60  # how often expired files are deleted, at most
FILE_COST = 64 * 1024  # bytes that even an empty file counts as: keeps their number in bounds, too
UPLOADS_SHARE = 2  # uploads on their way may hold half of the ceiling: the rest is for films
PART_BYTES = 64 * 1024  # that an upload takes at once, at least: each time the whole disk is looked at

log = logging.getLogger(__name__)


def status(path: str | os.PathLike[str]) -> os.stat_result:
    """`os.stat` of an upload. ValueError, in a sentence, if it has expired."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        raise ValueError(f"{Path(path).name} is no longer here: uploads expire. Choose it again.") from None


def version(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """An upload as it is now, to be remembered by: its path, when it was changed, its bytes. ValueError as above."""
    facts = status(path)
    return os.fspath(path), facts.st_mtime_ns, facts.st_size


class Full(RuntimeError):
    """There is no room on the disk."""


class Storage:
    """A folder in which nobody else writes, its files kept for `keep_seconds`, below `ceiling` bytes in all.

    Shared by threads.
    """

    def __init__(self, folder: Path, keep_seconds: float, ceiling: int) -> None:
        self.folder = Path(os.path.realpath(folder))
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.ceiling = ceiling  # bytes
        self.on_removed: Callable[[set[str]], object] = lambda gone: None
        self._keep_seconds = keep_seconds
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._reserved = 0  # bytes that are about to be written
        self._uploading = 0  # bytes that uploads on their way hold, written or not

    @contextlib.contextmanager
    def held(self, paths: Iterable[str]) -> Iterator[None]:
        """For as long as the context none of these files expires; their time begins anew."""
        ours = [os.path.realpath(path) for path in paths]
        ours = [path for path in ours if path.startswith(f"{self.folder}{os.sep}")]
        with self._lock:
            self._held.update(ours)
            for path in ours:
                with contextlib.suppress(FileNotFoundError):  # expired: whoever reads it will say so
                    os.utime(path)
        try:
            yield
        finally:
            with self._lock:
                self._held.subtract(ours)
                self._held = +self._held

    @contextlib.contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Room for `size` bytes that will be written during the context. Full if there is none."""
        with self._lock:
            self._make_room(size)
            self._reserved += size
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= size

    def check_room(self, size: int) -> None:
        """Full if `size` bytes could not be written now, even if the oldest files made room. Takes nothing."""
        with self._lock:
            self._oldest_for(size)

    @contextlib.contextmanager
    def upload(self, size: int) -> Iterator[Callable[[int, int], int]]:
        """Room for an upload of `size` bytes, taken while it comes in: what is only announced takes none.

        The function that is given makes room. It is told how many bytes are on the disk and how many have come, and
        returns how many there is room for now: up to twice what has come, so that the disk is seldom looked at. Full
        if there is none, or all uploads together would hold more than their share.
        """
        ahead = room = 0

        def make_room(written: int, came: int) -> int:
            nonlocal ahead, room
            wanted = min(size, came + max(came, PART_BYTES))
            with self._lock:
                self._reserved -= ahead  # what has come of it counts on the disk
                ahead = 0
                if self._uploading - room + wanted > (limit := self.ceiling // UPLOADS_SHARE):
                    raise Full(
                        f"Too many uploads come in at this moment: together they may take {limit / GIGABYTE:.3g} GB"
                        " of the disk. Try again in a few minutes."
                    )
                self._uploading += wanted - room
                room = wanted
                self._make_room(wanted - written)
                ahead = wanted - written
                self._reserved += ahead
            return room

        try:
            yield make_room
        finally:
            with self._lock:
                self._reserved -= ahead
                self._uploading -= room

    def keep(self, path: Path) -> Path:
        """Move a finished film in among what is kept; returns where it is now."""
        target = self.folder / secrets.token_hex(32) / path.name
        target.parent.mkdir()
        return Path(shutil.move(path, target))

    def keeps(self, path: str) -> bool:
        """Whether a path without links in it is one of an upload or a film, be it there still or not."""
        below = path.removeprefix(f"{self.folder}{os.sep}")
        return below != path and KEPT_FILE.fullmatch(below.replace(os.sep, "/")) is not None

    def used(self) -> int:
        """Bytes on the disk, films in the making included."""
        return sum(cost for _, cost, _ in self._files())

    def sweep(self) -> None:
        """Delete what has expired, and folders that were left empty."""
        with self._lock:
            expired = time.time() - self._keep_seconds
            self._remove([path for path, _, changed in self._free() if changed < expired])
            for folder in self.folder.iterdir():
                with contextlib.suppress(OSError):  # it is a file, is not empty, or is gone
                    left = folder.stat().st_mtime < time.time() - min(GRACE_SECONDS, self._keep_seconds)
                    if left and folder != self.scratch:
                        folder.rmdir()

    def keep_swept(self) -> None:
        """Sweep from now on, in a thread that ends with the process."""
        pause = max(1, min(SWEEP_SECONDS, self._keep_seconds / 4))

        def sweep_on() -> None:
            while True:
                time.sleep(pause)
                try:
                    self.sweep()
                except OSError:  # whatever the disk's matter is, the next sweep is due all the same
                    log.exception("Expired files cannot be deleted")

        threading.Thread(target=sweep_on, name="sweep", daemon=True).start()

    def _free(self) -> list[tuple[str, int, float]]:
        """(path, bytes, when it was last used) of what is kept and not held, the oldest first."""
        options = f"{self.scratch}{os.sep}"
        free = (file for file in self._files() if file[0] not in self._held and not file[0].startswith(options))
        return sorted(free, key=lambda file: file[2])

    def _make_room(self, size: int) -> None:
        """Delete the oldest files until `size` bytes more can be written. Called with the lock held."""
        if chosen := self._oldest_for(size):
            self._remove(chosen)
            log.info("%d of the oldest files were deleted to make room", len(chosen))

    def _oldest_for(self, size: int) -> list[str]:
        """The files that must go so that `size` bytes more can be written. Full if that is not enough."""
        excess = self.used() + self._reserved + size - self.ceiling
        chosen: list[str] = []
        if excess <= 0:
            return chosen
        for path, cost, changed in self._free():
            if excess > 0 and changed < time.time() - GRACE_SECONDS:
                chosen.append(path)
                excess -= cost
        if excess > 0:
            raise Full(
                f"The disk for uploads and films is full: {size / 1e6:.0f} MB more would pass the limit of"
                f" {self.ceiling / GIGABYTE:.3g} GB. Files expire; try again in a few minutes."
            )
        return chosen

    def _remove(self, paths: Iterable[str]) -> None:
        gone = set()
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            gone.add(path)
        if gone:
            self.on_removed(gone)

    def _files(self) -> list[tuple[str, int, float]]:
        """(path, bytes, time of the last change) of every file; links are not followed."""
        found = []
        for directory, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(directory, name)
                with contextlib.suppress(FileNotFoundError):  # deleted in this very moment
                    facts = os.lstat(path)
                    found.append((path, facts.st_size + FILE_COST, max(facts.st_mtime, facts.st_ctime)))
        return found
