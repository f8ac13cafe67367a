"""Visitors' files: what each is known by, who may open one now, and what videos tell of themselves.

ffmpeg opens videos in a process of its own (see `film.media.video_reader`), so a hostile one costs its sender one
sentence; photos have `photo_sandbox`. What takes long to open holds up nobody but who has uploaded it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from film.media import video_reader
from film.media.video_reader import VideoMetadata
from film.support.fingerprint import fingerprint

AT_ONCE = 2  # files of a kind that are opened at the same time, one of an address: bounds the memory
VIDEO_LINE = 12  # requests that may wait for a video to be opened
LINE_SHARE = 2  # half of a line may be of one address
REMEMBERED = 200  # videos

AnyPath: TypeAlias = "str | os.PathLike[str]"
OwnerOf: TypeAlias = Callable[[AnyPath], "str | None"]  # the address from which a file was uploaded


def status(path: AnyPath) -> os.stat_result:
    """`os.stat` of an upload. ValueError, in a sentence, if it has expired."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        raise ValueError(f"{Path(path).name} is no longer here: uploads expire. Choose it again.") from None


def version(path: AnyPath) -> tuple[str, str]:
    """An upload as it is now, to be remembered by: its path and a hash of its content. ValueError as above."""
    status(path)
    return os.fspath(path), fingerprint(path)


class TooMany(RuntimeError):
    """More files are to be opened than anybody would wait for."""


class OpenSlots:
    """Where files of one kind are opened; up to `line` requests may wait for that. Shared by threads."""

    def __init__(self, kind: str, line: int, owner_of: OwnerOf) -> None:
        self._kind, self._room, self._owner_of = kind, AT_ONCE + line, owner_of
        self._changed = threading.Condition()
        self._asked: list[str | None] = []  # the owner of each file that waits or is open
        self._open: list[str | None] = []

    @contextlib.contextmanager
    def turn(self, path: AnyPath) -> Iterator[None]:
        """This file's turn for as long as the context, once it has come. TooMany if the line is full."""
        owner = self._owner_of(path)
        with self._changed:
            own = 0 if owner is None else self._asked.count(owner)
            if len(self._asked) >= self._room or own >= self._room / LINE_SHARE:
                raise TooMany(f"Busy: many {self._kind} are being opened at this moment. Try again in a few seconds.")
            self._asked.append(owner)
            self._changed.wait_for(lambda: len(self._open) < AT_ONCE and (owner is None or owner not in self._open))
            self._open.append(owner)
        try:
            yield
        finally:
            with self._changed:
                self._open.remove(owner)
                self._asked.remove(owner)
                self._changed.notify_all()


class VideoProbe:
    """Looks into videos whose frames have up to `max_pixels` pixels. Shared by threads."""

    def __init__(self, max_pixels: int, owner_of: OwnerOf) -> None:
        self.max_pixels = max_pixels
        self._opening = OpenSlots("videos", VIDEO_LINE, owner_of)
        self._look = lru_cache(REMEMBERED)(self._open)  # raises what is not to be remembered

    def look(self, path: AnyPath) -> VideoMetadata:
        """As `read_metadata`, of a video that has two frames. ValueError for what has not; TooMany; OSError."""
        return self._look(*version(path))

    def _open(self, path: str, _: str) -> VideoMetadata:
        with self._opening.turn(path):
            looked = video_reader.read_metadata(path, self.max_pixels)
            with video_reader.VideoReader(looked, (looked.height, looked.width), self.max_pixels) as reader:
                if len(list(itertools.islice(reader, 2))) < 2:
                    raise ValueError(f"{looked.name} holds a single frame; there is no motion in it.")
        return looked
