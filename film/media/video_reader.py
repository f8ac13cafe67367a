"""A video in, its frames out: one after the other, each with the time at which it is shown.

ffmpeg decodes in a process of its own, so a hostile file can neither crash nor fill this one, and a stalled one is
ended. Only formats that hold a film by themselves are opened: no playlists, which name other files or hosts.

Conventions: times are exact `Fraction`s in seconds, as the file stamps pictures and sound alike. Frames are upright,
of square pixels, 8-bit sRGB, over white where they are transparent; a film in high dynamic range is brought to that
range, and of an interlaced one each field becomes a frame.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from film.media import ffmpeg, images, video_filters
from film.media.video_clock import LONGEST_PAUSE, Clock

SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .3gp .flv .wmv .ogv .gif".split())
READ = "MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV, OGV or GIF"
STALLED = 60.0  # seconds without a frame after which ffmpeg is ended
PREFETCH = 2  # decoded frames that wait to be taken
LINE = 2000  # bytes of a line of ffmpeg's that are read: it repeats what strangers wrote into a file, at any length
LINES = 1000  # that are kept
# How a line begins that tells something: of a frame, of the file, of what is wrong. No line of a file's own begins so.
SHOWN = r"\[Parsed_showinfo_\d+ @ \w+\] \[info\] "
TOLD = r"\[info\] +"
COMPLAINT = r"(?:\[[^\]]* @ \w+\] )?\[(?:error|fatal)\] "
TELLING = re.compile(rf"{SHOWN}|{TOLD}(?:Stream #|Duration: |alpha_mode  *: 1)|{COMPLAINT}", re.IGNORECASE)
VIDEO = ["-map", "0:V:0"]  # a capital V: a cover picture is no video
OF_OUTPUT = r"\[(?:out#|rawvideo|null)"  # how a complaint begins that is not of the file
RATES = [Fraction(n, 1001) for n in (24_000, 30_000, 60_000)] + [Fraction(n) for n in (12, 15, 24, 25, 30, 50, 60)]
MEASURED = 240  # packets by whose times the frame rate is told where the file has none
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # decoders that read what WebM keeps beside the picture
TRACKS_TRIED = 8  # of sound, to find one that can be decoded


class TimedFrame(NamedTuple):
    """One frame of a video."""

    pixels: npt.NDArray[np.uint8]  # (H, W, 3) RGB
    time: Fraction  # when it appears
    duration: Fraction  # how long it is shown, as the file says


@dataclass(frozen=True)
class VideoMetadata:
    """What is known of a video before it is decoded."""

    path: Path
    height: int  # pixels, upright and square
    width: int
    fps: Fraction  # nominal: phones and screen recorders leave it
    seconds: float | None  # as the container says
    sound: bool  # that can be heard
    filters: str  # of ffmpeg, from what the file holds to 8-bit RGB
    unheard: str | None = None  # why the sound that it has is none
    begins: float = 0.0  # seconds: the first time stamp of any of its streams
    alpha: bool = False  # whether it has transparency
    decoder: str | None = None  # that is to be used instead of ffmpeg's own
    track: int = 0  # of its sound, from 0
    tracks: int = 0  # of sound
    passed_over: bool = False  # of it, what would have been heard cannot be decoded
    interlaced: bool = False  # its first frame is of two fields

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
        aspect = _ratio(looked.found(SHOWN + r"n: .* sar:(\d+/\d+)")) or Fraction(1)
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
    lasting = looked.found(TOLD + r"Duration: (\d+):(\d+):([\d.]+)")
    begins = looked.found(TOLD + r"Duration: .* start: (-?[\d.]+)")
    track, tracks, unheard, passed_over = _sound(path, max_pixels, looked, audio_track)
    codec = looked.found(TOLD + r"Stream #\S+ Video: (vp[89])\b")
    beside = codec is not None and looked.found(rf"(?i){TOLD}alpha_mode  *: 1") is not None
    alpha = beside or looked.found(SHOWN + rf"n: .* fmt:{video_filters.ALPHA}") is not None

    def shown(name: str) -> str | None:
        found = looked.found(SHOWN + rf"(?:n: |color_range:).*\b{name}:(\S+)")
        return found[1] if found else None

    rate = _ratio(looked.found(SHOWN + r"config in .*frame_rate: (\d+/\d+)"))
    return VideoMetadata(
        path,
        height,
        width,
        fps=_checked_rate(path, rate) or Fraction(25),
        seconds=int(lasting[1]) * 3600 + int(lasting[2]) * 60 + float(lasting[3]) if lasting else None,
        sound=tracks > 0 and unheard is None,
        filters=video_filters.chain(shown, height, alpha),
        unheard=unheard,
        begins=float(begins[1]) if begins else 0.0,
        alpha=alpha,
        decoder=WITH_ALPHA[codec[1]] if codec and beside else None,
        track=track,
        tracks=tracks,
        passed_over=passed_over,
        interlaced=shown("i") in ("T", "B"),
    )


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
        unheard = unheard or _reason(heard.complaints)
    return (numbers or [0])[0], len(told), unheard, False


def _checked_rate(path: Path, told: Fraction | None) -> Fraction | None:
    """The frame rate; of a file that has none, and tells how finely it counts, the rate at which its frames come."""
    if told is None or told <= max(RATES):
        return told
    shown = ffmpeg.run(
        *("-copyts", *ffmpeg.untrusted(path), *VIDEO, "-c", "copy", "-frames:v", str(MEASURED)),
        *("-f", "framecrc", "pipe:1"),
    ).decode(errors="replace")
    base = _ratio(re.search(r"^#tb 0: (\d+/\d+)", shown, re.MULTILINE))
    stamps = sorted({int(row.split(",")[2]) for row in shown.splitlines() if re.match(r"\d+,", row)})
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(stamps))
    if base is None or not steps:
        return told
    usual = [step for step in steps if step < 4 * steps[len(steps) // 2]]  # the others are pauses
    measured = len(usual) / (sum(usual) * base)
    if told < measured * Fraction(3, 2):
        return told
    near = min(RATES, key=lambda rate: abs(rate - measured))
    return near if abs(near - measured) < measured / 50 else Fraction(round(measured * 100), 100)


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

    def end() -> None:
        stalled.set()
        process.kill()

    with _started([*_ffmpeg(path, max_pixels), *arguments, "-f", "null", "-"], stdout=subprocess.DEVNULL) as process:
        timer = threading.Timer(STALLED, end)
        timer.start()
        try:
            assert process.stderr
            said = filter(TELLING.match, _lines(process.stderr))
            lines = list(itertools.islice(said, LINES))
            deque(said, maxlen=0)  # ffmpeg would wait for somebody to read the rest
            status = process.wait()
        finally:
            timer.cancel()
            process.kill()  # should something else have ended this
    if stalled.is_set():
        raise ValueError(f"{path.name} is no video that can be read: nothing came of it in {STALLED:g} s.")
    return ProbeResult(lines, status != 0)


class VideoReader:
    """Iterate for the `TimedFrame`s of a clip, scaled to `size` (height, width). Leaving the context ends ffmpeg.

    RuntimeError when ffmpeg stalls, ValueError when it finds no frame at all. What a damaged file is missing is
    left out; `damage` then says so.
    """

    def __init__(
        self,
        clip: VideoMetadata,
        size: tuple[int, int],
        max_pixels: int = images.MAX_PIXELS,
        closes: Callable[[Fraction, Fraction], bool] | None = None,
    ) -> None:
        self.damage: str | None = None  # known at the end
        self.clock = Clock(1 / clip.fps, closes or (lambda before, after: after - before > LONGEST_PAUSE))
        self._clip = clip
        self._size = size
        self._ended = threading.Event()
        height, width = size
        # A fine time base: what is rounded to the frame rate's collides.
        command = [*_ffmpeg(clip.path, max_pixels, clip.decoder), *VIDEO, "-copyts", "-fps_mode", "passthrough"]
        command += ["-enc_time_base", "1/1000000"]
        command += ["-vf", f"{clip.filters.format(width=width, height=height)},showinfo=checksum=0"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgba" if clip.alpha else "rgb24", "pipe:1"]
        self._process = _started(command, stdout=subprocess.PIPE)
        # Bounded: a reader that waits lets ffmpeg wait, which reads no further.
        self._pictures: queue.Queue[npt.NDArray[np.uint8] | None] = queue.Queue(PREFETCH)
        self._times: queue.Queue[tuple[Fraction | None, Fraction]] = queue.Queue()
        self._words: list[str] = []  # complaints
        for target in (self._read_pictures, self._read_words):
            threading.Thread(target=target, args=(self._process,), daemon=True).start()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._process.kill()
        self._process.wait()

    def __iter__(self) -> Iterator[TimedFrame]:
        frame = 1 / self._clip.fps
        shown = False
        while (pixels := self._next(self._pictures)) is not None:
            stamp, duration = self._next(self._times)
            shown = True
            yield TimedFrame(pixels, self.clock.time(stamp), duration if duration > 0 else frame)
        status = self._process.wait()
        words = self._words
        if not shown:  # the first complaint is the cause, the last that nothing was written
            raise ValueError(f"{self._clip.name} holds no frame that can be decoded ({_reason(words)}).")
        if status or words:
            self.damage = f"{self._clip.name} is damaged; what could be read was used ({_reason(words)})."

    def notes(self) -> Iterator[str]:
        """What the user should know, once all frames were read."""
        if self.damage:
            yield self.damage
        if jumps := self.clock.jumps:
            times = "once" if len(jumps) == 1 else f"{len(jumps)} times"
            yield (
                f"The time stamps of {self._clip.name} jump {times}, first from {float(jumps[0].before):.2f} to"
                f" {float(jumps[0].after):.2f} s; what follows is joined on."
            )
        elif self.clock.stepped_back:
            yield f"The time stamps of {self._clip.name} run backwards; its pictures are shown in their order."

    def _next(self, source: queue.Queue[Any]) -> Any:
        try:
            return source.get(timeout=STALLED)
        except queue.Empty:
            raise RuntimeError(f"ffmpeg gave no frame of {self._clip.name} for {STALLED:g} s and was ended.") from None

    def _read_pictures(self, process: subprocess.Popen[bytes]) -> None:
        height, width = self._size
        assert process.stdout
        with process.stdout as pipe:
            while not self._ended.is_set():
                pixels = np.empty((height, width, 4 if self._clip.alpha else 3), np.uint8)
                whole = _fill(pipe, pixels.data.cast("B"))
                if self._clip.alpha:
                    pixels = over_white(pixels)
                if not self._offer(pixels if whole else None) or not whole:
                    return

    def _offer(self, item: npt.NDArray[np.uint8] | None) -> bool:
        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._pictures.put(item, timeout=0.2)
                return True
        return False

    def _read_words(self, process: subprocess.Popen[bytes]) -> None:
        """`showinfo` tells each frame's time before the frame comes; the first complaints are kept."""
        base = Fraction(1)
        assert process.stderr
        with process.stderr as pipe:
            for line in _lines(pipe):
                if found := re.match(SHOWN + r"n: *\d+ pts: *(\S+) .* duration: *(\d+)", line):
                    time = base * int(found[1]) if found[1].lstrip("-").isdecimal() else None
                    self._times.put((time, base * int(found[2])))
                elif found := re.match(SHOWN + r"config in time_base: (\d+/\d+)", line):
                    base = _ratio(found) or base
                elif len(self._words) < LINES and re.match(COMPLAINT, line) and not re.match(OF_OUTPUT, line):
                    self._words.append(line.strip())


def over_white(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(H, W, 4) RGBA, its colours multiplied by its alpha -> (H, W, 3) RGB."""
    return np.minimum(pixels[:, :, :3] + (255 - pixels[:, :, 3:].astype(np.uint16)), 255).astype(np.uint8)


def _ffmpeg(path: Path, max_pixels: int, decoder: str | None = None) -> list[str]:
    """ffmpeg with a file as its input; level "info" for `showinfo`."""
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"),
        *("-max_pixels", str(max_pixels), *(("-c:v", decoder) if decoder else ()), *ffmpeg.untrusted(path)),
    ]


def _started(command: Sequence[str], stdout: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE)
    except OSError as error:
        raise RuntimeError(f"ffmpeg cannot be started: {error}") from error


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """What ffmpeg says, line by line, no more than the beginning of each."""
    begins = True
    while raw := pipe.readline(LINE):
        if begins:
            yield raw.decode(errors="replace")
        begins = raw.endswith(b"\n")


def _fill(pipe: IO[bytes], buffer: memoryview) -> bool:
    """Read until the buffer is full; False when the pipe ends before."""
    while len(buffer):
        count = pipe.readinto(buffer)  # type: ignore[attr-defined]
        if not count:
            return False
        buffer = buffer[count:]
    return True


def _ratio(found: re.Match[str] | None) -> Fraction | None:
    above, below = map(int, found[1].split("/")) if found else (0, 0)
    return Fraction(above, below) if above > 0 and below > 0 else None


def _cause(complaints: Sequence[str]) -> str:
    """What is wrong with a file that was not opened, in brackets, where the tool says more than that it was not."""
    said = _reason(complaints)
    return "" if said.startswith(("Error opening input", "Format not on whitelist")) else f" ({said})"


def _reason(complaints: Sequence[str]) -> str:
    """The first of the tool's complaints, without addresses in memory and places on the disk."""
    said = complaints[0] if complaints else ""
    return re.sub(r"\[[^\]]*\]\s*|file:\S+:?\s*", "", said).strip() or "ffmpeg said nothing of it"
