"""Segments -> the file that was asked for. Its suffix says the format.

| suffix | what | `quality` | sound |
|---|---|---|---|
| .mp4 | H.264, the segments joined without encoding them again | x264's CRF is 49 - 0.4 quality: 17 for 80 | AAC |
| .webm | VP9 | its CRF is 63 - 0.5 quality: 23 for 80 | Opus |
| .mov | ProRes 4444, 10 bits, transparent where the frames are | has no effect | AAC |
| .gif | one palette of 256 colours | has no effect | |
| .webp | animated WebP | libwebp's own scale | |
| .zip | numbered PNG files, exact | has no effect | |

WebM, WebP and ZIP are transparent, too, where the frames are. In 10 bits an MP4 is H.265 (main 10) and a WebM VP9's
profile 2, with the same factors. MP4 and WebM have even sides: an odd one gets its last row or column twice. The others
keep the frames' size.
A GIF shows a frame for whole hundredths of a second; they alternate so that the film lasts as long as it should.
Browsers slow down what is faster than FASTEST, so a GIF plays at most 50 frames a second and a WebP 90, and longer
rather than with fewer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from film.media import images, muxers, video_segments
from film.media.audio import COPIED, Sound
from film.media.colour_depth import STANDARD, ColourDepth
from film.media.images import Frame
from film.media.video_segments import QUALITY, Pixels, Segment, SegmentEncoder
from film.support import tempdirs

WRITERS = {
    ".mp4": muxers.mp4,
    ".webm": muxers.webm,
    ".gif": muxers.gif,
    ".webp": muxers.webp,
    ".zip": muxers.png_zip,
    ".mov": muxers.mov,
}
FASTEST = {".gif": muxers.MAX_GIF_FPS, ".webp": muxers.MAX_WEBP_FPS}  # frames per second
WITH_ALPHA = (".webm", ".mov", ".webp", ".zip")
DEEP = {".mp4": "H.265", ".webm": "VP9", ".mov": "ProRes"}  # formats with 10 bits
SEAMLESS = "seamless"
PLAYS = {
    "loop": "GIF and WebP repeat for ever; MP4 and WebM leave that to the player",
    "once": "GIF and WebP stop at the end",
    "pingpong": "forth and back, neither end twice: 2n - 2 frames; without sound; GIF and WebP repeat for ever",
    SEAMLESS: "what lies between the end and the beginning is made as well: a loop without a jump",
}


def check(path: str | os.PathLike[str], play: str = "loop", quality: int = QUALITY, bits: int = 8) -> str:
    """The format's suffix. ValueError if there is no such format, `play` not in PLAYS, or `quality` not in 1 .. 100.

    Also where the format has no such `bits` per channel.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        told = f"ends in {suffix}" if suffix else "has no ending"
        raise ValueError(f"The name {os.fspath(path)} {told}; a film can be {', '.join(WRITERS)}.")
    check_play(play)
    video_segments.check_quality(quality)
    if bits > 8 and suffix not in DEEP:
        can = ", ".join(f"{name} ({codec})" for name, codec in DEEP.items())
        raise ValueError(f"A {suffix} holds 8 bits a channel; for {bits} bits choose {can}.")
    return suffix


def check_play(play: str) -> None:
    """ValueError unless it is one of PLAYS."""
    if play not in list(PLAYS):
        raise ValueError(f"A film cannot be played {play!r}; choose {', '.join(PLAYS)}.")


def check_place(path: Path) -> None:
    """ValueError where no film can be at `path`: it is a directory, or there is none.

    RuntimeError, with the system's own words, where nothing can be written.
    """
    if not path.parent.is_dir():
        raise ValueError(f"The film cannot be written to {path}: there is no directory {path.parent}.")
    if path.is_dir():
        raise ValueError(f"The film cannot be written to {path}: that is a directory.")
    tempdirs.check(path.parent)


def needs_lossless(path: str | os.PathLike[str], play: str = "loop", bits: int = 8) -> bool:
    """Whether `write` needs lossless segments for that file. ValueError as in `check`."""
    return check(path, play, bits=bits) != ".mp4" or play == "pingpong" or bits > 8


def carries_alpha(path: str | os.PathLike[str]) -> bool:
    """Whether that file can be transparent. ValueError as in `check`."""
    return check(path) in WITH_ALPHA


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
    depth: ColourDepth = STANDARD,
) -> Path:
    """Make one file of a film's segments, given in order. The file appears when it is complete.

    `play` is one of PLAYS. `quality` is that of the segments if the file is an MP4. `sound` is left out where
    `carries_sound` is false. ValueError as in `check` and for no segments; RuntimeError with ffmpeg's own words when it
    fails. Memory does not grow with the film's length.
    """
    path = Path(path)
    suffix = check(path, play, quality, depth.bits)
    if not segments:
        raise ValueError("There are no frames to write.")
    heard = sound if carries_sound(path, play) else None
    with tempdirs.folder(path.parent) as folder:
        unfinished = folder / f"film{suffix}"
        WRITERS[suffix](muxers.Output(segments, unfinished, play, quality, heard, depth))
        os.replace(unfinished, path)
    return path


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[Frame | Pixels],
    fps: float | Fraction = 30,
    *,
    quality: int = QUALITY,
    play: str = "loop",
    depth_bits: int = 8,
) -> Path:
    """Write Frames, all of the first one's size, as MP4, WebM, MOV, GIF, animated WebP or a ZIP of PNG files.

    Arrays of uint8 (0 … 255) are taken as they are. `fps` is from 1/600 to 240. `quality` is from 1, the smallest file,
    to 100, the best picture; 80 is visually lossless for photographs (GIF and ZIP have no choice). `play` is "loop",
    "once" or "pingpong": see PLAYS. `depth_bits` is 8, or 10 for MP4 (H.265), WebM and MOV. Frames of four channels,
    RGB multiplied by the opacity and the opacity, make a transparent WebM, MOV, WebP or ZIP; of uint8 they are not
    multiplied. The file appears when it is complete; until then the film is in a hidden folder
    beside it. Returns the path. ValueError for an unknown suffix, a place where no file can be, an unusable frame rate,
    `quality` or `play`, before any frame is taken; for no frames, what is no frame, frames of different sizes, or
    values far outside of [0, 1], while slightly larger or smaller ones are clipped. RuntimeError with the tool's own
    words when it fails. An exception in `frames` passes through; nothing is left behind.
    """
    path = Path(path)
    check(path, play, quality, depth_bits)
    check_place(path)
    depth, lossless = ColourDepth(depth_bits), needs_lossless(path, play, depth_bits)
    with (
        tempdirs.folder(path.parent) as folder,
        SegmentEncoder(folder, fps, quality=quality, lossless=lossless, depth=depth) as encoder,
    ):
        for number, frame in enumerate(frames, 1):
            images.check_frame(frame, f"Frame {number}", alpha=carries_alpha(path), integers=True)
            encoder.write(frame)
        encoder.finish()
        return write(encoder.segments, path, play=play, quality=quality, depth=depth)
