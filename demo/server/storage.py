"""What visitors leave on the disk: it expires, and all of it together stays under a ceiling.

Uploads and finished films lie in one folder, each in a folder of its own with a name nobody guesses, and beside them in
`scratch` what is in the making. What a running job needs is held, what an open page shows is never deleted to make
room; of the rest the oldest goes first. Files are counted as they come; the whole folder is only read by the sweep.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

GIGABYTE = 2**30
KEPT_FILE = re.compile(r"[0-9a-f]{64}/[^/]+")  # of an upload or a film, below the folder of what is kept
GRACE_SECONDS = 120  # what is younger makes no room for others: its visitor has just chosen it, or still downloads it
SWEEP_SECONDS = 60  # how often expired files are deleted, at most
FILE_COST = 64 * 1024  # bytes that even an empty file counts as: keeps their number in bounds, too
UPLOADS_SHARE = 2  # uploads on their way may hold half of the ceiling: the rest is for films
RESERVE_SHARE = 4  # a quarter of the ceiling is for films alone: files that are already here can always be used
ADDRESS_SHARE = 4  # the uploads of one address may take a quarter of the ceiling
PART_BYTES = 64 * 1024  # that an upload takes at once, at least
PAGES = 2000  # open pages whose files are remembered
PAGE_REQUESTS = 8  # of a page: what the latest of them name is what it shows

log = logging.getLogger(__name__)


class Full(RuntimeError):
    """There is no room on the disk."""


@dataclass
class StoredFile:
    """A file that counts."""

    cost: int  # bytes
    used: float  # when it was last used, in seconds since the epoch
    owner: str = ""  # the address it was uploaded from; none of a film


class Storage:
    """A folder in which nobody else writes, its files kept for `keep_seconds`, below `ceiling` bytes in all.

    Shared by threads.
    """

    def __init__(self, folder: Path, keep_seconds: float, ceiling: int) -> None:
        self.folder = Path(os.path.realpath(folder))
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.ceiling = ceiling  # bytes
        self._upload_ceiling = ceiling - ceiling // RESERVE_SHARE  # uploads stay below it
        self.on_removed: Callable[[set[str]], object] = lambda gone: None
        self._keep_seconds = keep_seconds
        self._lock = threading.Lock()
        self._files: dict[str, StoredFile] = {}
        self._kept = 0  # bytes of all files
        self._of_owner: Counter[str] = Counter()  # bytes of the uploads of an address, those on their way included
        self._in_scratch = 0  # bytes of films in the making, when the folder was last read
        self._held: Counter[str] = Counter()
        self._open_pages: Counter[str] = Counter()
        self._shown: OrderedDict[str, deque[tuple[str, ...]]] = OrderedDict()  # by an open page, to its session
        self._reserved = 0  # bytes that are about to be written
        self._uploading = 0  # bytes that uploads on their way hold, written or not

    @contextlib.contextmanager
    def held(self, paths: Iterable[str]) -> Iterator[None]:
        """For as long as the context none of these files expires; their time begins anew."""
        ours = self._ours(paths)
        with self._lock:
            self._held.update(ours)
            self._touch(ours)
        try:
            yield
        finally:
            with self._lock:
                self._held.subtract(ours)
                self._held = +self._held

    @contextlib.contextmanager
    def page_open(self, session: str) -> Iterator[None]:
        """For as long as the context a visitor's page is open: what it shows makes no room for others."""
        with self._lock:
            self._open_pages[session] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open_pages[session] -= 1
                if not self._open_pages[session]:
                    del self._open_pages[session]
                    self._shown.pop(session, None)

    def page_shows(self, session: str, paths: Iterable[str]) -> None:
        """A request of a page names these files: they are what it shows now; their time begins anew."""
        if ours := self._ours(paths):
            with self._lock:
                self._shown.setdefault(session, deque(maxlen=PAGE_REQUESTS)).append(tuple(ours))
                self._shown.move_to_end(session)
                self._touch(ours)
                while len(self._shown) > PAGES:
                    self._shown.popitem(last=False)

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

    def check_room(self, size: int, owner: str = "") -> None:
        """Full if an upload of `size` bytes could not be taken, even if the oldest files made room. Takes nothing."""
        with self._lock:
            self._oldest_of(owner, size)
            self._oldest_for(size, self._upload_ceiling)

    @contextlib.contextmanager
    def upload(self, size: int, owner: str = "") -> Iterator[Callable[[int, int], int]]:
        """Room for an upload of `size` bytes, taken while it comes in: what is only announced takes none.

        The function that is given makes room. It is told how many bytes and how many files have come, and returns how
        many bytes there is room for now: up to twice what has come. Full if there is none, if all uploads together
        would hold more than their share, or if `owner` would. The files count on their own once they are `add`ed.
        """
        room = taken = 0

        def make_room(came: int, files: int = 0) -> int:
            nonlocal room, taken
            wanted = min(size, came + max(came, PART_BYTES))
            more = wanted + files * FILE_COST - taken
            if more <= 0:
                return room
            with self._lock:
                if self._uploading + more > (limit := self.ceiling // UPLOADS_SHARE):
                    raise Full(
                        f"Too many uploads come in at this moment: together they may take {limit / GIGABYTE:.3g} GB"
                        " of the disk. Try again in a few minutes."
                    )
                self._remove(self._oldest_of(owner, more))
                self._make_room(more, self._upload_ceiling)
                self._uploading += more
                self._reserved += more
                self._of_owner[owner] += more
                taken += more
                room = max(room, wanted)
            return room

        try:
            yield make_room
        finally:
            with self._lock:
                self._reserved -= taken
                self._uploading -= taken
                self._of_owner[owner] -= taken
                self._of_owner = +self._of_owner

    def add(self, paths: Iterable[str], owner: str = "") -> None:
        """Files that have come to lie in the folder count from now on."""
        for path in self._ours(paths):
            with contextlib.suppress(FileNotFoundError):  # deleted in this very moment
                size = os.lstat(path).st_size
                with self._lock:
                    self._count(path, StoredFile(size + FILE_COST, time.time(), owner))

    @contextlib.contextmanager
    def making(self) -> Iterator[Path]:
        """A folder for what is in the making, for as long as the context."""
        with tempfile.TemporaryDirectory(prefix="film-", dir=self.scratch) as folder:
            yield Path(folder)

    def keep(self, path: Path) -> Path:
        """Move a finished film in among what is kept; returns where it is now."""
        target = self.folder / secrets.token_hex(32) / path.name
        target.parent.mkdir()
        kept = Path(shutil.move(path, target))
        self.add([str(kept)])
        return kept

    def keeps(self, path: str) -> bool:
        """Whether a path without links in it is one of an upload or a film, be it there still or not."""
        below = path.removeprefix(f"{self.folder}{os.sep}")
        return below != path and KEPT_FILE.fullmatch(below.replace(os.sep, "/")) is not None

    def used(self) -> int:
        """Bytes of all files, films in the making included."""
        with self._lock:
            return self._kept + self._in_scratch

    def recount(self) -> None:
        """Read the whole folder: what libraries have written there counts, too. The lock is not held meanwhile."""
        found, in_scratch = self._read()
        with self._lock:
            for path in [path for path in self._files if path not in found and not os.path.lexists(path)]:
                self._forget(path)
            for path, file in found.items():
                if known := self._files.get(path):
                    file.owner = known.owner
                self._count(path, file)
            self._in_scratch = in_scratch

    def sweep(self) -> None:
        """Delete what has expired, and folders that were left empty."""
        self.recount()
        with self._lock:
            expired = time.time() - self._keep_seconds
            self._remove([path for path, file in self._free() if file.used < expired])
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

    def _ours(self, paths: Iterable[str]) -> list[str]:
        real = [os.path.realpath(path) for path in paths]
        return [path for path in real if path.startswith(f"{self.folder}{os.sep}")]

    def _touch(self, paths: Iterable[str]) -> None:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # expired: whoever reads it will say so
                os.utime(path)
            if file := self._files.get(path):
                file.used = time.time()

    def _free(self) -> list[tuple[str, StoredFile]]:
        """What is kept and not held, the least recently used first."""
        free = ((path, file) for path, file in self._files.items() if path not in self._held)
        return sorted(free, key=lambda each: each[1].used)

    def _evictable(self) -> list[tuple[str, StoredFile]]:
        """Of that, what may make room for others now."""
        shown = {path for session in self._open_pages for paths in self._shown.get(session, ()) for path in paths}
        young = time.time() - GRACE_SECONDS
        return [(path, file) for path, file in self._free() if path not in shown and file.used < young]

    def _make_room(self, size: int, limit: int | None = None) -> None:
        """Delete the oldest files until `size` bytes more can be written. Called with the lock held."""
        if chosen := self._oldest_for(size, limit):
            self._remove(chosen)
            log.info("%d of the oldest files were deleted to make room", len(chosen))

    def _oldest_for(self, size: int, limit: int | None = None) -> list[str]:
        """The files that must go so that `size` bytes more can be written. Full if that is not enough."""
        excess = self._kept + max(self._reserved, self._in_scratch) + size - self.ceiling
        if limit is not None:  # of what is kept and what comes in, whatever films have reserved
            excess = max(excess, self._kept + self._uploading + size - limit)
        chosen = self._enough(excess)
        if chosen is None:
            raise Full(
                f"The disk for uploads and films is full: {size / 1e6:.0f} MB more would pass the limit of"
                f" {(limit or self.ceiling) / GIGABYTE:.3g} GB. Files expire; try again in a few minutes."
            )
        return chosen

    def _oldest_of(self, owner: str, size: int) -> list[str]:
        """The files of this address that must go so that it may upload so much more. Full if that is not enough."""
        share = self.ceiling // ADDRESS_SHARE
        chosen = self._enough(self._of_owner[owner] + size - share, owner) if owner else []
        if chosen is None:
            raise Full(
                f"Uploads from your address may take {share / GIGABYTE:.3g} GB of the disk together, and these would"
                " be more. Files expire; try again in a few minutes."
            )
        return chosen

    def _enough(self, excess: int, owner: str | None = None) -> list[str] | None:
        """The oldest files, of this address if one is given, that hold `excess` bytes together; None if all do not."""
        chosen: list[str] = []
        for path, file in self._evictable() if excess > 0 else ():
            if excess > 0 and owner in (None, file.owner):
                chosen.append(path)
                excess -= file.cost
        return chosen if excess <= 0 else None

    def _remove(self, paths: Iterable[str]) -> None:
        for path in (gone := set(paths)):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            self._forget(path)
        if gone:
            self.on_removed(gone)

    def _count(self, path: str, file: StoredFile) -> None:
        self._forget(path)
        self._files[path] = file
        self._kept += file.cost
        self._of_owner[file.owner] += file.cost

    def _forget(self, path: str) -> None:
        if file := self._files.pop(path, None):
            self._kept -= file.cost
            self._of_owner[file.owner] -= file.cost

    def _read(self) -> tuple[dict[str, StoredFile], int]:
        """All files that are kept, and the bytes of those in the making; links are not followed."""
        found: dict[str, StoredFile] = {}
        in_scratch = 0
        for directory, _, names in os.walk(self.folder):
            below = f"{directory}{os.sep}".startswith(f"{self.scratch}{os.sep}")
            for name in names:
                path = os.path.join(directory, name)
                with contextlib.suppress(FileNotFoundError):  # deleted in this very moment
                    facts = os.lstat(path)
                    cost = facts.st_size + FILE_COST
                    if below:
                        in_scratch += cost
                    else:
                        found[path] = StoredFile(cost, max(facts.st_mtime, facts.st_ctime))
        return found, in_scratch
