"""What visitors leave on the disk: it expires, and all of it together stays under a ceiling.

Uploads and finished films lie in one folder, each in a folder of its own with a name nobody guesses, and beside them in
`scratch` what is in the making. What a running job needs is held, what an open page shows is never deleted to make
room; of the rest the oldest goes first. Files are counted as they come; the whole folder is only read by the sweep.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

GIGABYTE = 2**30
KEPT_FILE = re.compile(r"[0-9a-f]{64}/[^/]+")  # of an upload or a film, below the folder of what is kept
GRACE_SECONDS = 120  # what is younger makes no room for others: its visitor has just chosen it, or still downloads it
SWEEP_SECONDS = 60  # how often expired files are deleted, at most
FILE_COST = 64 * 1024  # bytes that even an empty file counts as: keeps their number in bounds, too
UPLOADS_SHARE = 2  # uploads on their way may hold half of the ceiling: the rest is for films
RESERVE_SHARE = 4  # a quarter of the ceiling is for films alone: files that are already here can always be used
ADDRESS_SHARE = 4  # the uploads of one address may take a quarter of the ceiling
PATH_LENGTH, PATH_DEPTH = 1000, 40  # of a file here, at most
PAGE_REQUESTS = 8  # of a page: what the latest of them name is what it shows

FULL = (
    "The disk for uploads and films is full: {megabytes:.0f} MB more would pass the limit of {limit:.3g} GB."
    " Files expire; try again in a few minutes."
)
YOURS = (
    "Uploads from your address may take {limit:.3g} GB of the disk together, and these would be more."
    " Files expire; try again in a few minutes."
)
CROWDED = (
    "Too many uploads come in at this moment: together they may take {limit:.3g} GB of the disk."
    " Try again in a few minutes."
)

T = TypeVar("T")

log = logging.getLogger(__name__)


def real(path: str) -> str:
    """A path without links in it; empty for one that this server has not made, which would take long to follow."""
    odd = "\0" in path or len(path) > PATH_LENGTH or path.count("/") > PATH_DEPTH or not os.path.isabs(path)
    return "" if odd else os.path.realpath(path)


class Full(RuntimeError):
    """There is no room on the disk."""


@dataclass(eq=False)
class Stored:
    """A file that counts, or room for what is about to be written."""

    size: int  # bytes
    owner: str | None = None  # the address of an upload, "" if it is not known; none of a film
    used: float = 0.0  # when it was last used, in seconds since the epoch


@dataclass(eq=False)
class Page:
    """A visitor's page that is open, and the files that its latest requests named."""

    session: str
    shown: deque[list[str]] = field(default_factory=lambda: deque(maxlen=PAGE_REQUESTS))


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
        self._files: OrderedDict[str, Stored] = OrderedDict()  # least recently used first
        self._in_scratch = 0  # bytes of films in the making, when the folder was last read
        self._held: list[list[str]] = []
        self._pages: list[Page] = []
        self._rooms: list[Stored] = []  # for what is being written

    @contextlib.contextmanager
    def held(self, paths: Iterable[str]) -> Iterator[None]:
        """For as long as the context none of these files expires; their time begins anew."""
        ours = self._ours(paths)
        with self._listed(self._held, ours):
            self._touch(ours)
            yield

    @contextlib.contextmanager
    def page_open(self, session: str) -> Iterator[None]:
        """For as long as the context a visitor's page is open: what it shows makes no room for others."""
        with self._listed(self._pages, Page(session)):
            yield

    def page_shows(self, session: str, paths: Iterable[str]) -> None:
        """A request of a page names these files: they are what it shows now; their time begins anew."""
        if ours := self._ours(paths):
            self._touch(ours)
            with self._lock:
                for page in self._pages:
                    if page.session == session:
                        page.shown.append(ours)

    @contextlib.contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Room for `size` bytes that will be written during the context. Full if there is none."""
        with self.room() as enlarge:
            enlarge(size)
            yield

    @contextlib.contextmanager
    def room(self, owner: str | None = None) -> Iterator[Callable[[int], None]]:
        """Room that grows, for an upload from an address, or for a film. The files count on their own once `add`ed.

        The function that is given lets so many bytes be written in all. Full if there are not.
        """
        room = Stored(0, owner)

        def enlarge(size: int) -> None:
            with self._lock:
                if size > room.size:
                    self._remove(self._must_go(size - room.size, owner))
                    room.size = size

        with self._listed(self._rooms, room):
            yield enlarge

    def check_room(self, size: int, owner: str) -> None:
        """Full if an upload of `size` bytes could not be taken, even if the oldest files made room. Takes nothing."""
        with self._lock:
            self._must_go(size, owner)

    def add(self, paths: Iterable[str], owner: str | None = None) -> None:
        """Files that have come to lie in the folder count from now on."""
        for path in self._ours(paths):
            with contextlib.suppress(FileNotFoundError):  # deleted in this very moment
                file = Stored(os.lstat(path).st_size + FILE_COST, owner, time.time())
                with self._lock:
                    self._files[path] = file
                    self._files.move_to_end(path)

    def owner(self, path: str | os.PathLike[str]) -> str | None:
        """The address from which a file was uploaded; None of any other."""
        file = self._files.get(os.path.realpath(path))
        return file.owner if file else None

    def made(self, path: str) -> bool:
        """Whether a file was made here, and not sent by somebody: the server may open it."""
        return path in self._files and self._files[path].owner is None

    @contextlib.contextmanager
    def making(self) -> Iterator[Path]:
        """A folder for what is in the making, for as long as the context."""
        with tempfile.TemporaryDirectory(prefix="film-", dir=self.scratch) as folder:
            yield Path(folder)

    def keep(self, path: Path, name: str = "") -> Path:
        """Move a finished film in among what is kept; returns where it is now.

        `name`, 64 hexadecimal digits that nobody guesses, is of its folder.
        """
        target = self.folder / (name or secrets.token_hex(32)) / path.name
        target.parent.mkdir(exist_ok=True)
        kept = Path(shutil.move(path, target))
        self.add([str(kept)])
        return kept

    def keeps(self, path: str) -> bool:
        """Whether a path, as `real` gives it, is one of an upload or a film, be it there still or not."""
        below = path.removeprefix(f"{self.folder}{os.sep}")
        return below != path and KEPT_FILE.fullmatch(below.replace(os.sep, "/")) is not None

    def used(self) -> int:
        """Bytes of all files, films in the making included."""
        with self._lock:
            return _sum(self._files.values()) + self._in_scratch

    def sweep(self) -> None:
        """Read the whole folder, for what libraries have written there counts, too; delete what has expired."""
        found, now = self._read(), time.time()
        making = [path for path in found if path.startswith(f"{self.scratch}{os.sep}")]
        with self._lock:
            self._in_scratch = sum(found.pop(path) for path in making)
            for path in [path for path in self._files if path not in found and not os.path.lexists(path)]:
                del self._files[path]
            for path, size in found.items():
                self._files.setdefault(path, Stored(size, "", now)).size = size  # of whomever
            held = set(itertools.chain(*self._held))
            expired = (path for path, file in self._files.items() if file.used < now - self._keep_seconds)
            self._remove([path for path in expired if path not in held])
            with contextlib.suppress(Full):  # libraries ask for no room; what is young may go at the next sweep
                self._remove(self._must_go(0, None))
        for folder in self.folder.iterdir():
            with contextlib.suppress(OSError):  # it is a file, is not empty, or is gone
                left = folder.stat().st_mtime < now - min(GRACE_SECONDS, self._keep_seconds)
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

    @contextlib.contextmanager
    def _listed(self, all_of_them: list[T], one: T) -> Iterator[T]:
        """It is in that list for as long as the context."""
        with self._lock:
            all_of_them.append(one)
        try:
            yield one
        finally:
            with self._lock:
                all_of_them.remove(one)

    def _ours(self, paths: Iterable[str]) -> list[str]:
        real = [os.path.realpath(path) for path in paths]
        return [path for path in real if path.startswith(f"{self.folder}{os.sep}")]

    def _touch(self, paths: Iterable[str]) -> None:
        with self._lock:
            for path in paths:
                if file := self._files.get(path):  # else it has expired: whoever reads it will say so
                    file.used = time.time()
                    self._files.move_to_end(path)

    def _must_go(self, size: int, owner: str | None) -> list[str]:
        """The files that must go so that `size` bytes more can be written, the oldest. Full if that is not enough."""
        files, uploads = self._files.values(), [room for room in self._rooms if room.owner is not None]
        in_all = _sum(files) + max(_sum(self._rooms), self._in_scratch)
        # What counts, how much of it there may be, which files may go for it, what is said if that is not enough.
        bounds: list[tuple[int, int, Callable[[Stored], bool], str]] = [(in_all, self.ceiling, lambda _: True, FULL)]
        if owner is not None:  # films have a reserve, and all who upload their shares
            own = _sum(each for each in (*files, *uploads) if each.owner == owner)
            bounds = [
                (_sum(uploads), self.ceiling // UPLOADS_SHARE, lambda _: False, CROWDED),
                (own, self.ceiling // ADDRESS_SHARE, lambda file: file.owner == owner, YOURS),
                (_sum(files) + _sum(uploads), self.ceiling - self.ceiling // RESERVE_SHARE, lambda _: True, FULL),
                *bounds,
            ]
        gone: dict[str, Stored] = {}
        freed = 0
        for counted, limit, may_go, words in bounds:
            for path, file in self._free() if counted + size - freed > limit else ():
                if counted + size - freed > limit and may_go(file) and path not in gone:
                    gone[path] = file
                    freed += file.size
            if counted + size - freed > limit:
                raise Full(words.format(megabytes=size / 1e6, limit=limit / GIGABYTE))
        return list(gone)

    def _free(self) -> list[tuple[str, Stored]]:
        """What may make room for others now, the least recently used first."""
        shown = (paths for page in self._pages for paths in page.shown)
        needed = set(itertools.chain(*self._held, *shown))
        young = time.time() - GRACE_SECONDS
        return [(path, file) for path, file in self._files.items() if file.used < young and path not in needed]

    def _remove(self, paths: list[str]) -> None:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            del self._files[path]
        if paths:
            log.info("%d files were deleted", len(paths))
            self.on_removed(set(paths))

    def _read(self) -> dict[str, int]:
        """What each file in the folder costs; links are not followed. The lock is not held meanwhile."""
        found: dict[str, int] = {}
        for directory, _, names in os.walk(self.folder):
            for path in (os.path.join(directory, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # deleted in this very moment
                    found[path] = os.lstat(path).st_size + FILE_COST
        return found


def _sum(stored: Iterable[Stored]) -> int:
    return sum(each.size for each in stored)
