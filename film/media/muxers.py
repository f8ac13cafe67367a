"""One function per format: segments -> one file, streaming, with memory that the film's length does not change.

`play` is "loop", "once" or "pingpong", `quality` from 1 to 100; video_writer.py says what they mean.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import zipfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from film.media import audio, lossless_segments
from film.media.audio import Sound
from film.media.colour_depth import ColourDepth, even
from film.media.ffmpeg import Ffmpeg, local
from film.media.video_segments import Pixels, Segment, SegmentEncoder, h264_factor, raw_video

# Browsers show a frame of 10 ms or less for 100 ms.
MAX_GIF_FPS = Fraction(50)  # a GIF counts hundredths of a second: two are the fewest
MAX_WEBP_FPS = Fraction(90)  # a WebP counts thousandths: 11 are the fewest
# Both filters of a GIF remember each colour they meet. In 6 bits those are few enough for a film of any length; of
# 256 colours that is not seen.
_LEVEL = "trunc(val/4)*255/63"
SIX_BITS = f"lutrgb=r={_LEVEL}:g={_LEVEL}:b={_LEVEL}"
# An ordered pattern stands still where the film does, and compresses; 4 is the strongest that is not seen as one.
DITHER = "paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
THREADS = 2  # of x265, whose result depends on it
ENCODER_WORK = 2e-6  # seconds of processor time for each byte of a frame: twenty times what is usual
MP4 = ["-f", "mp4", "-movflags", "+faststart"]


def mp4(
    segments: Sequence[Segment], path: Path, play: str, quality: int, heard: Sound | None, depth: ColourDepth
) -> None:
    """H.264: the segments as they are; for the way back of a ping-pong, more of them. In 10 bits H.265."""
    if depth.bits > 8:
        _h265(segments, path, play, quality, heard, depth)
        return
    if play == "pingpong":
        with (
            SegmentEncoder(path.parent, segments[0].fps, quality=quality, first=_count(segments)) as encoder,
            contextlib.closing(lossless_segments.back(segments)) as frames,
        ):
            for frame in frames:
                encoder.write(frame)
            encoder.finish()
        segments = [*segments, *encoder.segments]
    inputs, outputs = audio.arguments(heard, _seconds(segments), ".mp4") if heard else ([], [])
    command = ["-f", "mpegts", "-i", "pipe:0", *inputs, "-map", "0:v", "-c:v", "copy", *_times(segments[0].fps)]
    limit = _limit(segments) if heard else None
    with Ffmpeg(*command, *outputs, *MP4, local(path), reads=True, limit=limit) as process:
        for segment in segments:  # MPEG-TS is made to be cut and joined: the files one after the other are the stream
            with open(segment.path, "rb") as file:
                while block := file.read(1 << 20):
                    process.write(block)


def webm(
    segments: Sequence[Segment], path: Path, play: str, quality: int, heard: Sound | None, depth: ColourDepth
) -> None:
    """VP9."""
    inputs, outputs = audio.arguments(heard, _seconds(segments), ".webm") if heard else ([], [])
    codec = ["-c:v", "libvpx-vp9", "-crf", str(round(63 - 0.5 * quality)), "-b:v", "0"]
    codec += ["-deadline", "good", "-cpu-used", "4", "-row-mt", "1"]
    with _played(segments, play) as frames:
        first = even(next(frames))
        if first.shape[2] == 4:
            codec += ["-pix_fmt", "yuva420p", "-auto-alt-ref", "0"]  # with which libvpx takes no transparency
        else:
            codec += ["-pix_fmt", "yuv420p" if depth.bits == 8 else "yuv420p10le"]
        command = [
            *raw_video(first, segments[0].fps),
            *inputs,
            "-map",
            "0:v",
            *codec,
            "-vf",
            depth.encoded(first.shape[2]),
            *outputs,
        ]
        limit = _limit(segments) + first.nbytes * _count(segments) * ENCODER_WORK if heard else None
        command += ["-fflags", "+bitexact", "-f", "webm", local(path)]  # else it is given a number drawn by lot
        _feed(command, itertools.chain([first], map(even, frames)), limit)


def _h265(
    segments: Sequence[Segment], path: Path, play: str, quality: int, heard: Sound | None, depth: ColourDepth
) -> None:
    """H.265 main 10, with the tags of HDR10 or HLG where the film has such colours."""
    inputs, outputs = audio.arguments(heard, _seconds(segments), ".mp4") if heard else ([], [])
    codec = ["-c:v", "libx265", "-preset", "veryfast", "-crf", f"{h264_factor(quality):g}", "-pix_fmt", "yuv420p10le"]
    # `hvc1` is how Apple's players want it called.
    codec += ["-tag:v", "hvc1", "-x265-params", f"log-level=error:pools={THREADS}:frame-threads=1"]
    with _played(segments, play) as frames:
        first = even(next(frames))
        command = [
            *raw_video(first, segments[0].fps),
            *inputs,
            "-map",
            "0:v",
            *codec,
            "-vf",
            depth.encoded(first.shape[2]),
            *outputs,
        ]
        limit = _limit(segments) + first.nbytes * _count(segments) * ENCODER_WORK if heard else None
        _feed([*command, *MP4, local(path)], itertools.chain([first], map(even, frames)), limit)


def mov(
    segments: Sequence[Segment], path: Path, play: str, quality: int, heard: Sound | None, depth: ColourDepth
) -> None:
    """ProRes 4444, which has 10 bits, and 16 for the opacity."""
    del quality
    inputs, outputs = audio.arguments(heard, _seconds(segments), ".mov") if heard else ([], [])
    with _played(segments, play) as frames:
        first = next(frames)
        form = ["-pix_fmt", "yuva444p10le", "-alpha_bits", "16"] if first.shape[2] == 4 else ["-pix_fmt", "yuv444p10le"]
        codec = ["-c:v", "prores_ks", "-profile:v", "4444", "-vendor", "apl0", *form]
        command = [
            *raw_video(first, segments[0].fps),
            *inputs,
            "-map",
            "0:v",
            *codec,
            "-vf",
            depth.encoded(first.shape[2]),
            *outputs,
        ]
        limit = _limit(segments) + first.nbytes * _count(segments) * ENCODER_WORK if heard else None
        _feed([*command, "-fflags", "+bitexact", "-f", "mov", local(path)], itertools.chain([first], frames), limit)


def gif(
    segments: Sequence[Segment], path: Path, play: str, quality: int, heard: Sound | None, depth: ColourDepth
) -> None:
    """One palette for the whole film, so that what stands still does not flicker; the frames are read twice for it."""
    del quality, heard, depth
    palette = path.with_suffix(".png")
    fps = min(segments[0].fps, MAX_GIF_FPS)
    with _played(segments, "once") as frames:
        first = next(frames)
        command = [*raw_video(first, fps), "-vf", f"{SIX_BITS},palettegen", "-frames:v", "1", "-c:v", "png"]
        _feed([*command, "-f", "image2pipe", local(palette)], itertools.chain([first], frames))
    repeat = "-1" if play == "once" else "0"
    with _played(segments, play) as frames:
        first = next(frames)
        command = [*raw_video(first, fps), "-f", "png_pipe", "-i", local(palette)]
        command += ["-lavfi", f"{SIX_BITS}[film];[film][1]{DITHER}", "-loop", repeat, "-f", "gif", local(path)]
        _feed(command, itertools.chain([first], frames))


def webp(
    segments: Sequence[Segment], path: Path, play: str, quality: int, heard: Sound | None, depth: ColourDepth
) -> None:
    """Animated WebP, frame by frame: libwebp's animation encoder keeps the whole file, and merges equal frames."""
    del heard, depth
    codec = ["-c:v", "libwebp", "-quality", str(quality), "-compression_level", "4", "-pix_fmt", "bgra"]
    fps = min(segments[0].fps, MAX_WEBP_FPS)
    with _played(segments, play) as frames:
        first = next(frames)
        command = [*raw_video(first, fps), *codec, "-loop", "1" if play == "once" else "0", "-f", "webp"]
        _feed([*command, local(path)], itertools.chain([first], frames))
    if first.shape[2] == 4:
        _replace_frames(path)


def _replace_frames(webp: Path) -> None:
    """Let each frame of an animated WebP replace the one before: ffmpeg's are laid over it, where they are opaque."""
    with open(webp, "r+b") as file:
        file.seek(12)  # RIFF, size, WEBP
        while len(header := file.read(8)) == 8:
            size = int.from_bytes(header[4:], "little")
            if header[:4] == b"ANMF":
                file.seek(15, os.SEEK_CUR)  # place, size and time
                file.write(b"\x02")  # "do not blend"
                size -= 16
            file.seek(size + size % 2, os.SEEK_CUR)


def png_zip(
    segments: Sequence[Segment], path: Path, play: str, quality: int, heard: Sound | None, depth: ColourDepth
) -> None:
    """PNG files named by their place, stored as they are, because they are compressed already."""
    del quality, heard, depth
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, _played(segments, play) as frames:
        for number, frame in enumerate(frames, 1):
            png = io.BytesIO()
            Image.fromarray(frame).save(png, "PNG", compress_level=1)
            archive.writestr(zipfile.ZipInfo(f"frame-{number:06d}.png"), png.getbuffer())


@contextlib.contextmanager
def _played(segments: Sequence[Segment], play: str) -> Iterator[Iterator[Pixels]]:
    """All frames in the order in which they are played."""
    with contextlib.ExitStack() as stack:
        forth = stack.enter_context(contextlib.closing(lossless_segments.frames(segments)))
        back = stack.enter_context(contextlib.closing(lossless_segments.back(segments)))
        yield itertools.chain(forth, back) if play == "pingpong" else forth


def _feed(command: Sequence[str], frames: Iterator[Pixels], limit: float | None = None) -> None:
    with Ffmpeg(*command, reads=True, limit=limit) as process:
        for frame in frames:
            process.write(np.ascontiguousarray(frame).data)


def _limit(segments: Sequence[Segment]) -> float:
    """Seconds of processor time for what reads a stranger's sound, which may be of days that are not in the film."""
    return audio.WORK + _seconds(segments)


def _times(fps: Fraction) -> list[str]:
    """Exact times for copied H.264: MPEG-TS rounds them to 1/90000 s, so frames are counted anew, in a fitting unit."""
    unit = fps.numerator
    while unit < 10_000:  # players have seen nothing coarser
        unit *= 2
    count = f"setts=ts=round(N*{fps.denominator}/{fps.numerator}/TB):duration={fps.denominator}/{fps.numerator}/TB"
    return ["-bsf:v", count, "-video_track_timescale", str(unit)]


def _count(segments: Sequence[Segment]) -> int:
    return sum(segment.count for segment in segments)


def _seconds(segments: Sequence[Segment]) -> float:
    return float(_count(segments) / segments[0].fps)
