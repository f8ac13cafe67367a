"""Strangers' videos, looked into before anything is made of them.

ffmpeg does it in a process of its own (see `film.clip`), so a hostile file costs its sender one sentence. What is left
for here: only a few are opened at a time, and each once.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict

from film import clip
from film.clip import Clip
from service.decoder import TooMany
from service.storage import status

AT_ONCE = 2  # videos that are opened at the same time
LINE = 12  # requests that may wait for that
REMEMBERED = 200  # videos


class Clips:
    """Looks into videos whose frames have up to `max_pixels` pixels. Shared by threads."""

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._opening = threading.Semaphore(AT_ONCE)
        self._line = threading.Semaphore(AT_ONCE + LINE)
        self._lock = threading.Lock()  # guards what follows
        self._known: OrderedDict[tuple[str, int, int], Clip] = OrderedDict()

    def look(self, path: str | os.PathLike[str]) -> Clip:
        """`clip.read_clip`, of a video that has two frames. ValueError for what has not; TooMany; OSError."""
        facts = status(path)
        key = (os.fspath(path), facts.st_mtime_ns, facts.st_size)
        with self._lock:
            if known := self._known.get(key):
                return known
        if not self._line.acquire(blocking=False):
            raise TooMany("Busy: many videos are being opened at this moment. Try again in a few seconds.")
        try:
            with self._opening:
                looked = clip.read_clip(path, self.max_pixels)
                with clip.Decoder(looked, (looked.height, looked.width), self.max_pixels) as decoder:
                    if len(list(itertools.islice(decoder, 2))) < 2:
                        raise ValueError(f"{looked.name} holds a single frame; there is no motion in it.")
        finally:
            self._line.release()
        with self._lock:
            self._known[key] = looked
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return looked
