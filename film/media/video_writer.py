"""Segments -> the file that was asked for. Its suffix says the format.

| suffix | what | `quality` | sound |
|---|---|---|---|
| .mp4 | H.264, the segments joined without encoding them again | x264's CRF is 49 - 0.4 quality: 17 for 80 | AAC |
| .webm | VP9 | its CRF is 63 - 0.5 quality: 23 for 80 | Opus |
| .gif | one palette of 256 colours | has no effect | |
| .webp | animated WebP | libwebp's own scale | |
| .zip | numbered PNG files, exact | has no effect | |

MP4 and WebM have even sides: an odd one gets its last row or column twice. The others keep the frames' size.
A GIF shows a frame for whole hundredths of a second; they alternate so that the film lasts as long as it should.
Browsers slow down what is faster than FASTEST, so a GIF plays at most 50 frames a second and a WebP 90, and longer
rather than with fewer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from film.media import images, muxers, video_segments
from film.media.audio import COPIED, Sound
from film.media.images import Frame
from film.media.video_segments import QUALITY, Pixels, Segment, SegmentEncoder
from film.support import tempdirs

WRITERS = {
    ".mp4": muxers.mp4,
    ".webm": muxers.webm,
    ".gif": muxers.gif,
    ".webp": muxers.webp,
    ".zip": muxers.png_zip,
}
FASTEST = {".gif": muxers.MAX_GIF_FPS, ".webp": muxers.MAX_WEBP_FPS}  # frames per second
PLAYS = {
    "loop": "GIF and WebP repeat for ever; MP4 and WebM leave that to the player",
    "once": "GIF and WebP stop at the end",
    "pingpong": "forth and back, neither end twice: 2n - 2 frames; without sound; GIF and WebP repeat for ever",
}


def check(path: str | os.PathLike[str], play: str = "loop", quality: int = QUALITY) -> str:
    """The format's suffix. ValueError if there is no such format, `play` not in PLAYS, or `quality` not in 1 .. 100."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        told = f"ends in {suffix}" if suffix else "has no ending"
        raise ValueError(f"The name {os.fspath(path)} {told}; a film can be {', '.join(WRITERS)}.")
    if play not in list(PLAYS):
        raise ValueError(f"A film cannot be played {play!r}; choose {', '.join(PLAYS)}.")
    video_segments.check_quality(quality)
    return suffix


def check_place(path: Path) -> None:
    """ValueError where no film can be at `path`: it is a directory, or there is none.

    RuntimeError, with the system's own words, where nothing can be written.
    """
    if not path.parent.is_dir():
        raise ValueError(f"The film cannot be written to {path}: there is no directory {path.parent}.")
    if path.is_dir():
        raise ValueError(f"The film cannot be written to {path}: that is a directory.")
    tempdirs.check(path.parent)


def needs_lossless(path: str | os.PathLike[str], play: str = "loop") -> bool:
    """Whether `write` needs lossless segments for that file. ValueError as in `check`."""
    return check(path, play) != ".mp4" or play == "pingpong"


def carries_sound(path: str | os.PathLike[str], play: str = "loop") -> bool:
    """Whether that file can have sound. ValueError as in `check`."""
    return check(path, play) in COPIED and play != "pingpong"


def shown_fps(path: str | os.PathLike[str], fps: float | Fraction) -> Fraction:
    """The frame rate at which that file plays: `fps`, but at most what FASTEST says of its format."""
    rate = video_segments.exact(fps)
    return min(rate, FASTEST.get(check(path), rate))


def shown_size(path: str | os.PathLike[str], size: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) at which that file shows frames of `size`: even sides in MP4 and WebM."""
    height, width = size
    return (height + height % 2, width + width % 2) if check(path) in (".mp4", ".webm") else size


def shown_frames(count: int, play: str) -> int:
    """How many frames a file has that plays `count` frames like that."""
    return max(count, 2 * count - 2) if play == "pingpong" else count


def made_frames(shown: int, play: str) -> int:
    """How many frames are to be made for a file that has `shown`: half as many where they are played forth and back.

    It then has an even number of them, one more than an odd `shown`.
    """
    return shown // 2 + 1 + shown % 2 if play == "pingpong" else shown


def write(
    segments: Sequence[Segment],
    path: str | os.PathLike[str],
    *,
    play: str = "loop",
    quality: int = QUALITY,
    sound: Sound | None = None,
) -> Path:
    """Make one file of a film's segments, given in order. The file appears when it is complete.

    `play` is one of PLAYS. `quality` is that of the segments if the file is an MP4. `sound` is left out where
    `carries_sound` is false. ValueError as in `check` and for no segments; RuntimeError with ffmpeg's own words when it
    fails. Memory does not grow with the film's length.
    """
    path = Path(path)
    suffix = check(path, play, quality)
    if not segments:
        raise ValueError("There are no frames to write.")
    heard = sound if carries_sound(path, play) else None
    with tempdirs.folder(path.parent) as folder:
        unfinished = folder / f"film{suffix}"
        WRITERS[suffix](segments, unfinished, play, quality, heard)
        os.replace(unfinished, path)
    return path


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[Frame | Pixels],
    fps: float | Fraction = 30,
    *,
    quality: int = QUALITY,
    play: str = "loop",
) -> Path:
    """Write Frames, all of the first one's size, as MP4, WebM, GIF, animated WebP or a ZIP of PNG files, by the suffix.

    Arrays of uint8 (0 … 255) are taken as they are. `fps` is from 1/600 to 240. `quality` is from 1, the smallest file,
    to 100, the best picture; 80 is visually lossless for photographs (GIF and ZIP have no choice). `play` is "loop",
    "once" or "pingpong": see PLAYS. The file appears when it is complete; until then the film is in a hidden folder
    beside it. Returns the path. ValueError for an unknown suffix, a place where no file can be, an unusable frame rate,
    `quality` or `play`, before any frame is taken; for no frames, what is no frame, frames of different sizes, or
    values far outside of [0, 1], while slightly larger or smaller ones are clipped. RuntimeError with the tool's own
    words when it fails. An exception in `frames` passes through; nothing is left behind.
    """
    path = Path(path)
    check(path, play, quality)
    check_place(path)
    with (
        tempdirs.folder(path.parent) as folder,
        SegmentEncoder(folder, fps, quality=quality, lossless=needs_lossless(path, play)) as encoder,
    ):
        for frame in frames:
            # What is no frame at all, the encoder refuses.
            if isinstance(frame, np.ndarray) and frame.size and frame.dtype.kind == "f":
                images.check_values(frame, f"frame {encoder.count + 1}")
            encoder.write(frame)
        encoder.finish()
        return write(encoder.segments, path, play=play, quality=quality)
