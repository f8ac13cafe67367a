"""One function per format: segments -> one file, streaming, with memory that the film's length does not change.

ffmpeg reads the lossless copies of the segments by itself, in the order in which they are played. `play` is "loop",
"once" or "pingpong", `quality` from 1 to 100; video_writer.py says what they mean.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from film.media import audio, ffmpeg
from film.media.audio import Sound
from film.media.colour_depth import ColourDepth, even
from film.media.ffmpeg import Ffmpeg, local
from film.media.video_segments import Segment, h264, h264_factor
from film.support import tempdirs

# Browsers show a frame of 10 ms or less for 100 ms.
MAX_GIF_FPS = Fraction(50)  # a GIF counts hundredths of a second: two are the fewest
MAX_WEBP_FPS = Fraction(90)  # a WebP counts thousandths: 11 are the fewest
# Both filters of a GIF remember each colour they meet. In 6 bits those are few enough for a film of any length; of
# 256 colours that is not seen.
_LEVEL = "trunc(val/4)*255/63"
SIX_BITS = f"format=rgb24,lutrgb=r={_LEVEL}:g={_LEVEL}:b={_LEVEL}"
# An ordered pattern stands still where the film does, and compresses; 4 is the strongest that is not seen as one.
DITHER = "paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
THREADS = 2  # of x265, whose result depends on it
ENCODER_WORK = 2e-6  # seconds of processor time for each byte of a frame: twenty times what is usual
MP4 = ["-movflags", "+faststart"]
BITEXACT = ["-fflags", "+bitexact"]  # without a number drawn by lot


@dataclass(frozen=True)
class Output:
    """A file that is to be made of segments. `path` ends in the format's suffix."""

    segments: Sequence[Segment]
    path: Path
    play: str
    quality: int
    sound: Sound | None
    depth: ColourDepth

    @property
    def fps(self) -> Fraction:
        return self.segments[0].fps

    @property
    def seconds(self) -> float:
        """Forth."""
        return float(sum(segment.count for segment in self.segments) / self.fps)

    def with_sound(self) -> tuple[list[str], list[str], float | None]:
        """ffmpeg's arguments for its second input and for the output; and its limit of processor time: a stranger's
        sound may be of days that are not in the film."""
        if self.sound is None:
            return [], [], None
        return *audio.arguments(self.sound, self.seconds, self.path.suffix), audio.WORK + self.seconds

    @property
    def copies(self) -> list[Path]:
        """The lossless ones, all in one folder."""
        return [segment.lossless_copy for segment in self.segments if segment.lossless_copy]

    def shape(self) -> tuple[int, int, int]:
        """Of its frames: height, width, channels."""
        first = ["-i", local(self.copies[0]), "-frames:v", "1"]
        told = ffmpeg.run(*first, "-c:v", "pam", "-f", "image2pipe", "pipe:1")
        found = [int(number) for number in re.findall(rb"(?:WIDTH|HEIGHT|DEPTH) (\d+)", told[:99])]
        if len(found) != 3:
            raise RuntimeError("What the film is made of is damaged: its first frame cannot be decoded.")
        return found[1], found[0], found[2]


def mp4(output: Output) -> None:
    """H.264, in 10 bits H.265, with the tags of HDR10 or HLG where the film has such colours.

    What goes forth in 8 bits is made of the segments as they are.
    """
    if output.depth.bits > 8:
        codec = ["-c:v", "libx265", "-preset", "veryfast", "-crf", f"{h264_factor(output.quality):g}"]
        codec += ["-x265-params", f"log-level=error:pools={THREADS}:frame-threads=1"]
        _encode(output, [*codec, "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1"], MP4)  # as Apple's players want it called
        return
    if output.play == "pingpong":
        _encode(output, h264(output.quality), MP4)
        return
    inputs, outputs, limit = output.with_sound()
    command = ["-f", "mpegts", "-i", "pipe:0", *inputs, "-map", "0:v", "-c:v", "copy", *_times(output.fps)]
    with Ffmpeg(*command, *outputs, *MP4, local(output.path), reads=True, limit=limit) as process:
        for segment in output.segments:  # MPEG-TS is made to be cut and joined: the files in a row are the stream
            with open(segment.path, "rb") as file:
                while block := file.read(1 << 20):
                    process.write(block)


def webm(output: Output) -> None:
    """VP9."""
    codec = ["-c:v", "libvpx-vp9", "-crf", str(round(63 - 0.5 * output.quality)), "-b:v", "0"]
    codec += ["-deadline", "good", "-cpu-used", "4", "-row-mt", "1"]
    opaque = [*codec, "-pix_fmt", "yuv420p" if output.depth.bits == 8 else "yuv420p10le"]
    transparent = [*codec, "-auto-alt-ref", "0", "-pix_fmt", "yuva420p"]  # libvpx takes no alternate references then
    _encode(output, opaque, BITEXACT, transparent)


def mov(output: Output) -> None:
    """ProRes 4444, which has 10 bits, and 16 for the opacity."""
    codec = ["-c:v", "prores_ks", "-profile:v", "4444", "-vendor", "apl0", "-pix_fmt"]
    _encode(output, [*codec, "yuv444p10le"], BITEXACT, [*codec, "yuva444p10le", "-alpha_bits", "16"])


def _encode(output: Output, opaque: list[str], options: list[str], transparent: Sequence[str] = ()) -> None:
    """Frames and sound through one encoder. `opaque` and `transparent`: its arguments for such frames; `options`: the
    container's."""
    inputs, outputs, limit = output.with_sound()
    height, width, channels = output.shape()
    codec = transparent if channels == 4 else opaque
    sides = "" if output.path.suffix == ".mov" else even(height, width)  # in 4:4:4 every size is possible
    command = ["-map", "0:v", *codec, "-vf", f"{sides}{output.depth.encoded(channels)}", *outputs, *options]
    if limit is not None:
        frame = height * width * channels * (1 if output.depth.bits == 8 else 2)
        limit += frame * output.seconds * float(output.fps) * ENCODER_WORK
    _make(output, output.path, *inputs, *command, limit=limit)


def gif(output: Output) -> None:
    """One palette for the whole film, so that what stands still does not flicker; the frames are read twice for it."""
    palette, fps = output.path.with_suffix(".png"), min(output.fps, MAX_GIF_FPS)
    once = replace(output, play="once")
    _make(once, palette, "-vf", f"{SIX_BITS},palettegen", "-c:v", "png", "-f", "image2pipe", shown=1)
    command = ["-f", "png_pipe", "-i", local(palette), "-lavfi", f"{SIX_BITS}[film];[film][1]{DITHER}"]
    repeat = "-1" if output.play == "once" else "0"
    _make(output, output.path, *command, "-loop", repeat, "-f", "gif", fps=fps)


def webp(output: Output) -> None:
    """Animated WebP, frame by frame: libwebp's animation encoder keeps the whole file, and merges equal frames."""
    codec = ["-c:v", "libwebp", "-quality", str(output.quality), "-compression_level", "4", "-pix_fmt", "bgra"]
    repeat = ["-loop", "1" if output.play == "once" else "0"]
    _make(output, output.path, *codec, *repeat, "-f", "webp", fps=min(output.fps, MAX_WEBP_FPS))
    _replace_frames(output.path)


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


def png_zip(output: Output) -> None:
    """PNG files named by their place, stored as they are, because they are compressed already."""
    with tempdirs.folder(output.path.parent) as folder:
        names = Path(str(folder).replace("%", "%%")) / "frame-%06d.png"
        _make(output, names, "-c:v", "png", "-compression_level", "1", "-f", "image2")
        with zipfile.ZipFile(output.path, "w", zipfile.ZIP_STORED) as archive:
            for png in sorted(folder.iterdir()):
                archive.writestr(zipfile.ZipInfo(png.name), png.read_bytes())
                png.unlink()


def _make(
    output: Output,
    path: Path,
    *arguments: str,
    fps: Fraction | None = None,
    shown: int | None = None,
    limit: float | None = None,
) -> None:
    """A file of ffmpeg's whose first input are the frames, at that rate, as they are played. RuntimeError where it does
    not have all of them, or as many as `shown`."""
    names, count = [copy.name for copy in output.copies], sum(segment.count for segment in output.segments)
    folder = output.copies[0].parent  # names in it need no escapes
    with tempdirs.folder(folder) as back:
        if output.play == "pingpong":
            names += [f"{back.name}/{name}" for name in _turned(output, back)]
            count = max(count, 2 * count - 2)
        script = "ffconcat version 1.0\n" + "".join(f"file 'file:{name}'\n" for name in names)
        source = ["-protocol_whitelist", "file,pipe", "-f", "concat", "-safe", "0", "-r", str(fps or output.fps)]
        told = ["-progress", "pipe:1", "-stats_period", "1000000"]  # once, at the end
        command = [*told, *source, "-i", "pipe:0", *arguments, "-fps_mode", "passthrough", local(path)]
        with Ffmpeg(*command, reads=True, writes=True, limit=limit, cwd=folder) as process:
            said = process.exchange(script.encode())
    made = int(re.findall(rb"^frame= *(\d+)", said, re.MULTILINE)[-1])
    if made != (shown or count):
        raise RuntimeError(f"What the film is made of is damaged: there are {made} frames, not {shown or count}.")


def _turned(output: Output, folder: Path) -> Iterator[str]:
    """Write each segment backwards, the last one first, and without either end of the film. Their names."""
    first, last = output.segments[0], output.segments[-1]
    codec = output.depth.lossless(output.shape()[2])
    for segment, copy in zip(reversed(output.segments), reversed(output.copies), strict=True):
        begin, end = int(segment is first), segment.count - (segment is last)
        if begin < end:
            turned = ["-vf", f"trim=start_frame={begin}:end_frame={end},reverse", *codec, "-f", "matroska"]
            ffmpeg.run("-i", local(copy), *turned, local(folder / copy.name))
            yield copy.name


def _times(fps: Fraction) -> list[str]:
    """Exact times for copied H.264: MPEG-TS rounds them to 1/90000 s, so frames are counted anew, in a fitting unit."""
    unit = fps.numerator
    while unit < 10_000:  # players have seen nothing coarser
        unit *= 2
    count = f"setts=ts=round(N*{fps.denominator}/{fps.numerator}/TB):duration={fps.denominator}/{fps.numerator}/TB"
    return ["-bsf:v", count, "-video_track_timescale", str(unit)]
