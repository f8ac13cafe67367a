"""What is known of a video before it is decoded, and how ffmpeg is asked.

ffmpeg looks in a process of its own, so a hostile file can neither crash nor fill this one, and a stalled one is
ended. Only formats that hold a film by themselves are opened: no playlists, which name other files or hosts.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

from film.media import ffmpeg, images, video_filters
from film.media.companions import Subtitles
from film.media.video_clock import LONGEST_PAUSE

# In a folder; what is named singly is read whatever its ending.
SUFFIXES = frozenset(
    ".mp4 .m4v .f4v .mov .qt .3gp .3g2 .mkv .webm .avi .divx .mpg .mpeg .mpe .vob .mod .ts .mts .m2ts .m2t .tod .mxf"
    " .flv .wmv .asf .ogv .ogm .gif".split()
)
READ = "MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV, OGV or GIF"
STALLED = 60.0  # seconds without a frame after which ffmpeg is ended
LINE = 2000  # bytes of a line of ffmpeg's that are read: it repeats what strangers wrote into a file, at any length
LINES = 1000  # that are kept
# How a line begins that tells something: of a frame, of the file, of what is wrong. No line of a file's own begins so.
SHOWN = r"\[Parsed_showinfo_\d+ @ \w+\] \[info\] "
TOLD = r"\[info\] +"
REPEATED = r"\[Parsed_idet_\d+ @ \w+\] \[info\] Repeated Fields: Neither: *(\d+) Top: *(\d+) Bottom: *(\d+)"
COMPLAINT = r"(?:\[[^\]]* @ \w+\] )?\[(?:error|fatal)\] "
ALPHA_MODE = TOLD + r"(?i:alpha_mode) +: 1\b"  # of WebM, for which there is no form of pixels
TELLING = re.compile(rf"{SHOWN}|{TOLD}(?:Stream #|Duration: )|{ALPHA_MODE}|{REPEATED}|{COMPLAINT}")
VIDEO = ["-map", "0:V:0"]  # a capital V: a cover picture is no video
RATES = [Fraction(n, 1001) for n in (24_000, 30_000, 60_000)] + [Fraction(n) for n in (12, 15, 24, 25, 30, 50, 60)]
FIELDS_SEEN = 120  # frames of an interlaced video, to see which fields repeat
MEASURED = 240  # packets by whose times the frame rate is told where the file has none
THIN = 8000  # bytes a second below which a length is looked into: two recordings may lie hours apart
STAMPS_READ = 200_000
PULLED_DOWN = ("yuv420p", "yuv422p")  # forms of pixels: of broadcasts and DVDs
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # ffmpeg's own leave the opacity out
TRACKS_TRIED = 8  # of sound, to find one that can be decoded


@dataclass(frozen=True)
class VideoMetadata:
    """What is known of a video before it is decoded."""

    path: Path
    height: int  # pixels, upright and square
    width: int
    fps: Fraction  # nominal: phones and screen recorders leave it
    seconds: float | None  # as the container says
    sound: bool  # that can be heard
    filters: str  # of ffmpeg, from what the file holds to RGB of standard range
    unheard: str | None = None  # why the sound that it has is none
    begins: float = 0.0  # seconds: the first time stamp of any of its streams
    alpha: bool = False  # whether it can be transparent
    decoder: str | None = None  # of ffmpeg, where its own leaves something out
    transfer: str | None = None  # the transfer function of high dynamic range, as ffmpeg calls it
    untoned: str = ""  # as `filters`, but high dynamic range stays as it is encoded
    track: int = 0  # of its sound, from 0
    tracks: int = 0  # of sound
    passed_over: bool = False  # of it, what would have been heard cannot be decoded
    subtitles: tuple[Subtitles, ...] = ()
    interlaced: bool = False  # its first frame is of two fields, each of its own moment

    @property
    def name(self) -> str:
        return self.path.name


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is one of a video."""
    return Path(path).suffix.lower() in SUFFIXES


def read_metadata(
    path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS, audio_track: int | None = None
) -> VideoMetadata:
    """Look into a video. ValueError if it is none, is too small or too large, or has no audio track of that number,
    from 1; OSError when it cannot be opened."""
    path = Path(path)
    with open(path, "rb"):  # for the system's own words, should it not be there
        pass
    looked = _look(path, max_pixels, *VIDEO, "-frames:v", "1", "-vf", "showinfo=checksum=0")
    decoded = looked.found(SHOWN + r"n: .* s:(\d+)x(\d+)")
    told = decoded or looked.found(TOLD + r"Stream #\S+ Video: .* (\d+)x(\d+)")  # what is too large is not decoded
    if told:
        aspect = ratio(looked.found(SHOWN + r"n: .* sar:(\d+/\d+)")) or Fraction(1)
        width, height = round(int(told[1]) * aspect), int(told[2])
        if min(width, height) < images.MIN_SIDE or width * height > max_pixels:
            raise ValueError(
                f"{path.name} is {width}x{height}; both sides must be at least {images.MIN_SIDE} pixels,"
                f" and the whole at most {max_pixels / 1e6:g} megapixels."
            )
    if decoded is None:
        if looked.found(COMPLAINT + ".* matches no streams"):
            raise ValueError(f"{path.name} holds no video.")
        raise ValueError(f"{path.name} is not a video this program reads{_cause(looked.complaints)}; use {READ}.")
    length = looked.found(TOLD + r"Duration: (\d+):(\d+):([\d.]+)")
    lasting = int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None
    begins = looked.found(TOLD + r"Duration: .* start: (-?[\d.]+)")
    track, tracks, unheard, passed_over = _sound(path, max_pixels, looked, audio_track)
    codec = looked.found(TOLD + r"Stream #\S+ Video: (\w+)")
    decoder = ALPHA_DECODERS.get(codec[1]) if codec and looked.found(ALPHA_MODE) else None

    def shown(name: str) -> str | None:
        found = looked.found(SHOWN + rf"(?:n: |color_range:).*\b{name}:(\S+)")
        return found[1] if found else None

    form, transfer = shown("fmt") or "", shown("color_trc")
    transfer = transfer if transfer in video_filters.HDR else None
    alpha = decoder is not None or re.match(video_filters.ALPHA, form) is not None
    alpha = alpha or form == "pal8" and codec is not None and codec[1] in ("png", "apng")
    rate = ratio(looked.found(SHOWN + r"config in .*frame_rate: (\d+/\d+)"))
    interlaced = shown("i") in ("T", "B")
    pulldown = interlaced and form in PULLED_DOWN and _has_pulldown(path, max_pixels)
    fps = (_checked_rate(path, rate) or Fraction(25)) * (Fraction(4, 5) if pulldown else 1)
    return VideoMetadata(
        path,
        height,
        width,
        fps=fps,
        seconds=_lasting(path, lasting, fps),
        sound=tracks > 0 and unheard is None,
        filters=video_filters.chain(shown, height, alpha, pulldown=pulldown),
        untoned=video_filters.chain(shown, height, alpha, toned=False) if transfer else "",
        transfer=transfer,
        unheard=unheard,
        begins=float(begins[1]) if begins else 0.0,
        alpha=alpha,
        decoder=decoder,
        track=track,
        tracks=tracks,
        passed_over=passed_over,
        subtitles=_subtitles(looked),
        interlaced=interlaced and not pulldown,
    )


def _has_pulldown(path: Path, max_pixels: int) -> bool:
    """Whether an interlaced video is film of 24 frames a second, of whose fields two in five frames repeat."""
    looked = _look(path, max_pixels, *VIDEO, "-frames:v", str(FIELDS_SEEN), "-vf", "idet")
    told = [found for line in looked.lines if (found := re.match(REPEATED, line))]
    neither, top, bottom = map(int, told[-1].groups()) if told else (0, 0, 0)
    # By and by the two are equal; where nothing moves, no field repeats another.
    return min(top, bottom) * 5 > (neither + top + bottom) * Fraction(3, 4) and max(top, bottom) * 4 < neither * 3


def _subtitles(looked: ProbeResult) -> tuple[Subtitles, ...]:
    told = (
        re.match(TOLD + r"Stream #[\d:]+(?:\[\w+\])?(?:\((\w+)\))?: Subtitle: (\w+)", line) for line in looked.lines
    )
    return tuple(Subtitles(number, found[2], found[1]) for number, found in enumerate(filter(None, told)))


def _sound(path: Path, max_pixels: int, looked: ProbeResult, chosen: int | None) -> tuple[int, int, str | None, bool]:
    """The track to be heard, from 0: the default one, or the first that can be decoded; how many there are; and why
    none is heard. ValueError if there is no track of that number, `chosen`, from 1."""
    told = [line for line in looked.lines if re.match(TOLD + r"Stream #\S+ Audio:", line)]
    if chosen is not None and not 1 <= chosen <= len(told):
        there = f"{len(told)} audio track{'s' * (len(told) > 1)}" if told else "no sound"
        raise ValueError(f"The audio track is {chosen}, and {path.name} has {there}.")
    numbers = sorted(range(len(told)), key=lambda number: "(default)" not in told[number])[:TRACKS_TRIED]
    unheard = None
    for number in numbers if chosen is None else [chosen - 1]:
        heard = _look(path, max_pixels, "-map", f"0:a:{number}", "-frames:a", "1")
        if not heard.failed:
            return number, len(told), None, unheard is not None
        unheard = unheard or reason(heard.complaints)
    return (numbers or [0])[0], len(told), unheard, False


def _checked_rate(path: Path, told: Fraction | None) -> Fraction | None:
    """The frame rate; of a file that has none, and tells how finely it counts, the rate at which its frames come."""
    if told is None or told <= max(RATES):
        return told
    stamps = sorted({shown for _, shown, _ in ffmpeg.packets(path, *VIDEO, "-frames:v", str(MEASURED))})
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(stamps))
    if not steps:
        return told
    usual = [step for step in steps if step < 4 * steps[len(steps) // 2]]  # the others are pauses
    measured = len(usual) / sum(usual, Fraction(0))
    if told < measured * Fraction(3, 2):
        return told
    near = min(RATES, key=lambda rate: abs(rate - measured))
    return near if abs(near - measured) < measured / 50 else Fraction(round(measured * 100), 100)


def _lasting(path: Path, told: float | None, fps: Fraction) -> float | None:
    """Seconds; of a video with next to no bytes for what it tells, without the jumps of its clock."""
    if not told or path.stat().st_size / told > THIN:
        return told
    stamps = [decoded for decoded, _, _ in ffmpeg.packets(path, *VIDEO, "-frames:v", str(STAMPS_READ))]
    steps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    if len(stamps) == STAMPS_READ or all(0 <= step <= LONGEST_PAUSE for step in steps):
        return told  # such as a picture that stands still while the sound goes on
    return min(told, float(sum(step if 0 <= step <= LONGEST_PAUSE else 1 / fps for step in steps) + 1 / fps))


@dataclass(frozen=True)
class ProbeResult:
    """What ffmpeg told of a file."""

    lines: Sequence[str]
    failed: bool

    def found(self, pattern: str) -> re.Match[str] | None:
        """The first line that begins like that."""
        return next(filter(None, (re.match(pattern, line) for line in self.lines)), None)

    @property
    def complaints(self) -> list[str]:
        return [line for line in self.lines if re.match(COMPLAINT, line)]


def _look(path: Path, max_pixels: int, *arguments: str) -> ProbeResult:
    """Decode the beginning of a file into nothing. ValueError when that takes too long."""
    stalled = threading.Event()
    with started(path, max_pixels, [], *arguments, "-f", "null", "-", stdout=subprocess.DEVNULL) as process:

        def end() -> None:
            stalled.set()
            process.kill()

        timer = threading.Timer(STALLED, end)
        timer.start()
        try:
            assert process.stderr
            said = filter(TELLING.match, lines_of(process.stderr))
            lines = list(itertools.islice(said, LINES))
            deque(said, maxlen=0)  # ffmpeg would wait for somebody to read the rest
            status = process.wait()
        finally:
            process.kill()
            timer.cancel()
    if stalled.is_set():
        raise ValueError(f"{path.name} is no video that can be read: nothing came of it in {STALLED:g} s.")
    return ProbeResult(lines, status != 0)


def started(path: Path, max_pixels: int, options: Sequence[str], *outputs: str, stdout: int) -> subprocess.Popen[bytes]:
    """ffmpeg with a file as its input, and `options` for that; level "info" for `showinfo`."""
    told = ["-nostats", "-loglevel", "level+info", "-max_pixels", str(max_pixels)]
    arguments = [*told, *options, *ffmpeg.untrusted(path), *outputs]
    return ffmpeg.started(arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE)


def lines_of(pipe: IO[bytes]) -> Iterator[str]:
    """What ffmpeg says, line by line, no more than the beginning of each."""
    begins = True
    while raw := pipe.readline(LINE):
        if begins:
            yield raw.decode(errors="replace")
        begins = raw.endswith(b"\n")


def ratio(found: re.Match[str] | None) -> Fraction | None:
    above, below = map(int, found[1].split("/")) if found else (0, 0)
    return Fraction(above, below) if above > 0 and below > 0 else None


def _cause(complaints: Sequence[str]) -> str:
    """What is wrong with a file that was not opened, in brackets, where the tool says more than that it was not."""
    said = reason(complaints)
    return "" if said.startswith(("Error opening input", "Format not on whitelist")) else f" ({said})"


def reason(complaints: Sequence[str]) -> str:
    """The first of the tool's complaints, without addresses in memory and places on the disk."""
    said = complaints[0] if complaints else ""
    return re.sub(r"\[[^\]]*\]\s*|file:\S+:?\s*", "", said).strip() or "ffmpeg said nothing of it"
