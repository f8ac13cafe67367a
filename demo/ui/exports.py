"""A film from what is there, without the model: in another format, or of what was made before it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import imageio.v3 as imageio

import film
from demo.server.job_service import JobService
from demo.server.storage import Storage
from film.media import video_reader
from film.media.ffmpeg import Ffmpeg, local

STOPPED = "stopped-film.mp4"
PIXEL_BYTES = 5.0  # of disk for each pixel of the film: its frames without loss, and the file itself


def converted(path: str, suffix: str, handler: JobService) -> Path:
    """The finished film `path` as another kind of file, kept as films are. ValueError if it is gone; RuntimeError."""
    storage = handler.storage
    if not storage.keeps(path) or not Path(path).is_file():
        raise ValueError("The film is no longer there; create it again.")
    looked = video_reader.read_metadata(path)
    pixels = (looked.seconds or 0.0) * float(looked.fps) * looked.height * looked.width
    with (
        storage.held([path]),
        handler.exports.turn(path),
        storage.reserved(int(pixels * PIXEL_BYTES)),
        storage.making() as folder,
        video_reader.VideoReader(looked, (looked.height, looked.width)) as reader,
    ):
        frames = (still.pixels for still in reader)
        return storage.keep(film.write_video(folder / f"{Path(path).stem}.{suffix}", frames, looked.fps))


def stopped(frames: dict[int, str], fps: float, storage: Storage) -> Path | None:
    """A film of the frames that were there when it was stopped, each at its time; None if there are too few.

    `frames` are files below the storage's folder, by their places in a film of `fps` frames a second.
    """
    there = {place: storage.folder / name for place, name in frames.items()}
    places = sorted(place for place, path in there.items() if storage.keeps(str(path)) and path.is_file())
    if len(places) < 3:
        return None
    rate = Fraction(len(places) - 1, places[-1] - places[0]) * Fraction(fps).limit_denominator(1000)
    pictures = (imageio.imread(there[place]) for place in places)
    with storage.making() as folder:
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
