"""Another format of a film that is there: made from its MP4 or WebM, without the model."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

import film
from demo.server.job_service import JobService
from demo.server.storage import Storage
from film.media import video_reader
from film.media.ffmpeg import Ffmpeg, local
from film.media.video_segments import Pixels

STOPPED = "stopped-film.mp4"
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
        storage.making() as folder,
        closing(decoded(looked)) as frames,
    ):
        return storage.keep(film.write_video(folder / f"{Path(path).stem}.{suffix}", frames, looked.fps))


def decoded(looked: video_reader.VideoMetadata) -> Generator[Pixels]:
    """Its frames, in 8 bits."""
    with video_reader.VideoReader(looked, (looked.height, looked.width)) as reader:
        for still in reader:
            yield still.pixels


def stopped(frames: dict[int, str], fps: float, storage: Storage) -> Path | None:
    """A film of the frames that were there when it was stopped, each at its time; None if there are too few.

    `frames` are files below the storage's folder, by their places in a film of `fps` frames a second.
    """
    there = [(place, storage.folder / name) for place, name in sorted(frames.items())]
    there = [(place, file) for place, file in there if storage.keeps(str(file)) and file.is_file()]
    if len(there) < 3:
        return None
    span = max(1, there[-1][0] - there[0][0])
    rate = Fraction(len(there) - 1, span) * Fraction(fps).limit_denominator(1000)

    def read() -> Generator[Pixels]:
        for _, file in there:
            with Image.open(file) as image:
                yield np.asarray(image.convert("RGB"))

    with storage.making() as folder, closing(read()) as pictures:
        return storage.keep(film.write_video(folder / STOPPED, pictures, rate, play="pingpong"))


def joined(segments: Sequence[bytes], storage: Storage) -> Path:
    """MPEG-TS segments of one timeline as an MP4, as they are. RuntimeError in ffmpeg's words."""
    with storage.making() as folder:
        path = folder / STOPPED
        copied = ("-f", "mpegts", "-i", "pipe:0", "-c", "copy", "-movflags", "+faststart", local(path))
        with Ffmpeg(*copied, reads=True) as ffmpeg:
            for segment in segments:
                ffmpeg.write(segment)
        return storage.keep(path)
