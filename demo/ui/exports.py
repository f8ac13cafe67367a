"""Another format of a film that is there: made from its MP4 or WebM, without the model."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

import film
from demo.server.job_service import JobService
from demo.server.storage import Storage
from film.media import video_reader
from film.media.video_segments import Pixels

PIXEL_BYTES = 5.0  # of disk for each pixel of the film: its frames without loss, and the file itself


def converted(path: str, suffix: str, handler: JobService) -> Path:
    """The finished film `path` as another kind of file, kept as films are. ValueError if it is gone; RuntimeError."""
    storage = handler.storage
    if not storage.keeps(path) or not Path(path).is_file():
        raise ValueError("The film is no longer there; create it again.")
    looked = video_reader.read_metadata(path)
    seconds = looked.seconds or 0.0
    pixels = seconds * float(looked.fps) * looked.height * looked.width
    with (
        storage.held([path]),
        storage.reserved(int(pixels * PIXEL_BYTES)),
        tempfile.TemporaryDirectory(prefix="film-", dir=storage.scratch) as folder,
        closing(decoded(looked)) as frames,
    ):
        return storage.keep(film.write_video(Path(folder) / f"{Path(path).stem}.{suffix}", frames, looked.fps))


def decoded(looked: video_reader.VideoMetadata) -> Generator[Pixels]:
    """Its frames, in 8 bits."""
    with video_reader.VideoReader(looked, (looked.height, looked.width)) as reader:
        for still in reader:
            yield still.pixels


def stopped(frames: dict[int, str], total: int, fps: float, storage: Storage) -> Path | None:
    """A film of the frames that were there when it was stopped, over its whole length; None if there are too few."""
    there = [(int(place), storage.folder / path) for place, path in sorted(frames.items())]
    files = [path for _, path in there if storage.keeps(str(path)) and path.is_file()]
    if len(files) < 3:
        return None
    rate = Fraction(len(files) - 1, max(1, total - 1)) * Fraction(fps).limit_denominator(1000)

    def read() -> Generator[Pixels]:
        for file in files:
            with Image.open(file) as image:
                yield np.asarray(image.convert("RGB"))

    with tempfile.TemporaryDirectory(prefix="film-", dir=storage.scratch) as folder, closing(read()) as pictures:
        return storage.keep(film.write_video(Path(folder) / "stopped-film.mp4", pictures, rate, play="pingpong"))
