"""A video in, its frames out: one after the other, each with the time at which it is shown.

ffmpeg decodes in a process of its own, so a hostile file can neither crash nor fill this one, and a stalled one is
ended. Only formats that hold a film by themselves are opened: no playlists, which name other files or hosts.

Conventions: times are exact `Fraction`s in seconds, as the file stamps pictures and sound alike. Frames are upright,
of square pixels, 8-bit sRGB; a film in high dynamic range is brought to that range, and of an interlaced one two fields
become a frame.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from film.media import ffmpeg, images

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
TELLING = re.compile(rf"{SHOWN}|{TOLD}(?:Stream #|Duration: )|{COMPLAINT}")
VIDEO = ["-map", "0:V:0"]  # a capital V: a cover picture is no video
HD = 720  # rows from which an untagged video is taken for BT.709, as players do; below it is BT.601
# Of two fields, each half the picture at its own moment, a whole frame at the first; other frames pass as they are. Any
# other form of pixels would be converted for it, which changes colours, and no interlaced video has one.
DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced,"
FIELDS = r"yuvj?4(?:11|20|22|44)p(?:10le)?"
HDR = {"smpte2084", "arib-std-b67"}  # transfer functions: PQ and HLG, as phones record them
WIDE = {"color_primaries": "color_primaries=bt2020", "color_space": "colorspace=bt2020nc"}  # what those come with
TO_SDR = (
    "zscale=transfer=linear:npl=203,format=gbrpf32le,zscale=primaries=bt709,tonemap=mobius:desat=0,"
    "zscale=transfer=bt709:matrix=bt709:range=tv,format=yuv444p10le,"
)


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

    @property
    def name(self) -> str:
        return self.path.name


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is one of a video."""
    return Path(path).suffix.lower() in SUFFIXES


def read_metadata(path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS) -> VideoMetadata:
    """Look into a video. ValueError if it is none, is too small or too large; OSError when it cannot be opened."""
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
    sound, unheard = looked.found(TOLD + r"Stream #\S+ Audio:") is not None, None
    if sound and (heard := _look(path, max_pixels, "-map", "0:a:0", "-frames:a", "1")).failed:
        sound, unheard = False, _reason(heard.complaints)
    return VideoMetadata(
        path,
        height,
        width,
        fps=_ratio(looked.found(SHOWN + r"config in .*frame_rate: (\d+/\d+)")) or Fraction(25),
        seconds=int(lasting[1]) * 3600 + int(lasting[2]) * 60 + float(lasting[3]) if lasting else None,
        sound=sound,
        filters=_filters(looked, height),
        unheard=unheard,
    )


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

    def __init__(self, clip: VideoMetadata, size: tuple[int, int], max_pixels: int = images.MAX_PIXELS) -> None:
        self.damage: str | None = None  # known at the end
        self._clip = clip
        self._size = size
        self._ended = threading.Event()
        height, width = size
        command = [*_ffmpeg(clip.path, max_pixels), *VIDEO, "-copyts", "-fps_mode", "passthrough"]
        command += ["-vf", f"{clip.filters.format(width=width, height=height)},showinfo=checksum=0"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
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
        last: Fraction | None = None
        frame = 1 / self._clip.fps
        while (pixels := self._next(self._pictures)) is not None:
            time, duration = self._next(self._times)
            duration = duration if duration > 0 else frame
            if time is None:
                time = Fraction(0) if last is None else last + frame
            if last is not None and time <= last:
                continue  # a damaged file may step back
            last = time
            yield TimedFrame(pixels, time, duration)
        status = self._process.wait()
        words = self._words
        if last is None:  # the first complaint is the cause, the last that nothing was written
            raise ValueError(f"{self._clip.name} holds no frame that can be decoded ({_reason(words)}).")
        if status or words:
            self.damage = f"{self._clip.name} is damaged; what could be read was used ({_reason(words)})."

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
                pixels = np.empty((height, width, 3), np.uint8)
                whole = _fill(pipe, pixels.data.cast("B"))
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
                elif len(self._words) < LINES and re.match(COMPLAINT, line):
                    self._words.append(line.strip())


def _ffmpeg(path: Path, max_pixels: int) -> list[str]:
    """ffmpeg with a file as its input; level "info" for `showinfo`."""
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"),
        *("-max_pixels", str(max_pixels), *ffmpeg.untrusted(path)),
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


def _filters(looked: ProbeResult, height: int) -> str:
    """From what the file holds to whole frames of 8-bit RGB, of a `width` and `height` to be filled in."""
    size = "scale={width}:{height}:flags=lanczos+accurate_rnd+full_chroma_int"
    # Of any yuv video: one whose first frame is whole may have fields later.
    whole = DEINTERLACE if looked.found(SHOWN + rf"n: .* fmt:{FIELDS} ") else ""
    transfer = looked.found(SHOWN + r"color_range:.* color_trc:(\S+)")
    if transfer and transfer[1] in HDR:
        # zscale knows no way from colours that are not told.
        untold = [told for tag, told in WIDE.items() if looked.found(SHOWN + rf"color_range:.* {tag}:unknown ")]
        tags = f"setparams={':'.join(untold)}," if untold else ""
        return f"{whole}{tags}{TO_SDR}{size}:in_color_matrix=bt709,format=rgb24"
    untagged = looked.found(SHOWN + r"color_range:.* color_space:unknown ")
    matrix = ("bt709" if height >= HD else "bt601") if untagged else "auto"
    return f"{whole}{size}:in_color_matrix={matrix},format=rgb24"


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
