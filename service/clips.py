"""Strangers' videos, looked into before anything is made of them.

ffmpeg does it in a process of its own (see `film.clip`), so a hostile file costs its sender one sentence. What is left
for here: only a few are opened at a time, and each once.
"""

from __future__ import annotations

import itertools
import os
from functools import lru_cache

from film import clip
from film.clip import Clip
from service.opening import Opening
from service.storage import version

LINE = 12  # requests that may wait for a video to be opened
REMEMBERED = 200  # videos


class Clips:
    """Looks into videos whose frames have up to `max_pixels` pixels. Shared by threads."""

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._opening = Opening("videos", LINE)
        self._look = lru_cache(REMEMBERED)(self._open)  # raises what is not to be remembered

    def look(self, path: str | os.PathLike[str]) -> Clip:
        """`clip.read_clip`, of a video that has two frames. ValueError for what has not; TooMany; OSError."""
        return self._look(*version(path))

    def _open(self, path: str, *_: int) -> Clip:
        with self._opening.turn():
            looked = clip.read_clip(path, self.max_pixels)
            with clip.Decoder(looked, (looked.height, looked.width), self.max_pixels) as decoder:
                if len(list(itertools.islice(decoder, 2))) < 2:
                    raise ValueError(f"{looked.name} holds a single frame; there is no motion in it.")
        return looked
