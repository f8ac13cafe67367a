"""Strangers' videos, looked into before anything is made of them.

ffmpeg does it in a process of its own (see `film.media.video_reader`), so a hostile file costs its sender one sentence.
What is left for here: only a few are opened at a time, and each once.
"""

from __future__ import annotations

import itertools
import os
from functools import lru_cache

from demo.server.visitor_files import OpenSlots, version
from film.media import video_reader
from film.media.video_reader import VideoMetadata

LINE = 12  # requests that may wait for a video to be opened
REMEMBERED = 200  # videos


class VideoProbe:
    """Looks into videos whose frames have up to `max_pixels` pixels. Shared by threads."""

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._opening = OpenSlots("videos", LINE)
        self._look = lru_cache(REMEMBERED)(self._open)  # raises what is not to be remembered

    def look(self, path: str | os.PathLike[str]) -> VideoMetadata:
        """As `read_metadata`, of a video that has two frames. ValueError for what has not; TooMany; OSError."""
        return self._look(*version(path))

    def _open(self, path: str, _: str) -> VideoMetadata:
        with self._opening.turn():
            looked = video_reader.read_metadata(path, self.max_pixels)
            with video_reader.VideoReader(looked, (looked.height, looked.width), self.max_pixels) as reader:
                if len(list(itertools.islice(reader, 2))) < 2:
                    raise ValueError(f"{looked.name} holds a single frame; there is no motion in it.")
        return looked
