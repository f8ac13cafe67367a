"""A video in, its frames out: one after the other, each with the time at which it is shown.

ffmpeg decodes in a process of its own, so a hostile file can neither crash nor fill this one, and a stalled one is
ended. Only formats that hold a film by themselves are opened: no playlists, which name other files or hosts.

Conventions: times are exact `Fraction`s in seconds from the start of the file, for pictures and sound alike. Frames
are upright, of square pixels, 8-bit sRGB; a film in high dynamic range is brought to that range.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from film import ffmpeg, images

SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .3gp .flv .wmv .ogv .gif".split())
STALLED = 60.0  # seconds without a frame after which ffmpeg is ended
AHEAD = 2  # decoded frames that wait to be taken
HD = 720  # rows from which an untagged video is taken for BT.709, as players do; below it is BT.601
HDR = {"smpte2084", "arib-std-b67"}  # transfer functions: PQ and HLG, as phones record them
TO_SDR = (
    "zscale=transfer=linear:npl=203,format=gbrpf32le,zscale=primaries=bt709,tonemap=mobius:desat=0,"
    "zscale=transfer=bt709:matrix=bt709:range=tv,format=yuv444p10le,"
)


class Still(NamedTuple):
    """One frame of a video."""

    pixels: npt.NDArray[np.uint8]  # (H, W, 3) RGB
    time: Fraction  # when it appears
    duration: Fraction  # how long it is shown, as the file says


@dataclass(frozen=True)
class Clip:
    """What is known of a video before it is decoded."""

    path: Path
    height: int  # pixels, upright and square
    width: int
    fps: Fraction  # nominal: phones and screen recorders leave it
    seconds: float | None  # as the container says
    sound: bool
    filters: str  # of ffmpeg, from what the file holds to 8-bit RGB

    @property
    def name(self) -> str:
        return self.path.name


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is one of a video."""
    return Path(path).suffix.lower() in SUFFIXES


def read_clip(path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS) -> Clip:
    """Look into a video. ValueError if it is none, is too small or too large; OSError when it cannot be opened."""
    path = Path(path)
    with open(path, "rb"):  # for the system's own words, should it not be there
        pass
    command = [*_ffmpeg(path, max_pixels), "-frames:v", "1", "-vf", "showinfo=checksum=0", "-f", "null", "-"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STALLED)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path.name} is no video that can be read: nothing came of it in {STALLED:g} s.") from None
    said = done.stderr.decode(errors="replace")
    decoded = re.search(r"showinfo.* s:(\d+)x(\d+)", said)
    told = decoded or re.search(r"Stream #.* Video: .* (\d+)x(\d+)", said)  # what is too large is not decoded
    if told:
        aspect = _ratio(re.search(r"showinfo.* sar:(\d+/\d+)", said)) or Fraction(1)
        width, height = round(int(told[1]) * aspect), int(told[2])
        if min(width, height) < images.MIN_SIDE or width * height > max_pixels:
            raise ValueError(
                f"{path.name} is {width}x{height}; both sides must be at least {images.MIN_SIDE} pixels,"
                f" and the whole at most {max_pixels / 1e6:g} megapixels."
            )
    if decoded is None:
        if "matches no streams" in said:
            raise ValueError(f"{path.name} holds no video.")
        raise ValueError(f"{path.name} is not a video this program reads ({_reason(said)}).")
    lasting = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said)
    return Clip(
        path,
        height,
        width,
        fps=_ratio(re.search(r"frame_rate: (\d+/\d+)", said)) or Fraction(25),
        seconds=int(lasting[1]) * 3600 + int(lasting[2]) * 60 + float(lasting[3]) if lasting else None,
        sound=re.search(r"Stream #\S+ Audio:", said) is not None,
        filters=_filters(said, height),
    )


class Decoder:
    """Iterate for the `Still`s of a clip, scaled to `size` (height, width). Leaving the context ends ffmpeg.

    RuntimeError when ffmpeg stalls, ValueError when it finds no frame at all. What a damaged file is missing is
    left out; `damage` then says so.
    """

    def __init__(self, clip: Clip, size: tuple[int, int], max_pixels: int = images.MAX_PIXELS) -> None:
        self.damage: str | None = None  # known at the end
        self._clip = clip
        self._size = size
        self._ended = threading.Event()
        height, width = size
        command = [*_ffmpeg(clip.path, max_pixels), "-fps_mode", "passthrough"]
        command += ["-vf", f"{clip.filters.format(width=width, height=height)},showinfo=checksum=0"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise RuntimeError(f"ffmpeg cannot be started: {error}") from error
        # Bounded: a reader that waits lets ffmpeg wait, which reads no further.
        self._pictures: queue.Queue[npt.NDArray[np.uint8] | None] = queue.Queue(AHEAD)
        self._times: queue.Queue[tuple[Fraction | None, Fraction]] = queue.Queue()
        self._words: list[str] = []
        for target in (self._read_pictures, self._read_words):
            threading.Thread(target=target, args=(self._process,), daemon=True).start()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._process.kill()
        self._process.wait()

    def __iter__(self) -> Iterator[Still]:
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
            yield Still(pixels, time, duration)
        status = self._process.wait()
        words = [line for line in self._words if _is_complaint(line)]
        if last is None:
            raise ValueError(f"{self._clip.name} holds no frame that can be decoded ({_reason(' '.join(words))}).")
        if status or words:
            self.damage = (
                f"{self._clip.name} is damaged; what could be read was used ({_reason(words[0] if words else '')})."
            )

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
        """`showinfo` tells each frame's time before the frame comes; everything else is kept, up to a length."""
        base = Fraction(1)
        assert process.stderr
        with process.stderr as pipe:
            for raw in pipe:
                line = raw.decode(errors="replace")
                if found := re.search(r"showinfo.*\bpts:\s*(\S+).*\bduration:\s*(\d+)", line):
                    time = base * int(found[1]) if found[1].lstrip("-").isdecimal() else None
                    self._times.put((time, base * int(found[2])))
                elif found := re.search(r"showinfo.*config in time_base: (\d+/\d+)", line):
                    base = _ratio(found) or base
                elif len(self._words) < 1000 and "showinfo" not in line:
                    self._words.append(line.strip())


def _ffmpeg(path: Path, max_pixels: int) -> list[str]:
    """ffmpeg with the video stream of a file as its input; level "info" for `showinfo`."""
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"),
        *("-max_pixels", str(max_pixels), *ffmpeg.untrusted(path)),
        *("-map", "0:V:0"),  # a capital V: a cover picture is no video
    ]


def _filters(said: str, height: int) -> str:
    """From what the file holds to 8-bit RGB of a `width` and `height` to be filled in."""
    size = "scale={width}:{height}:flags=lanczos+accurate_rnd+full_chroma_int"
    if any(f"color_trc:{transfer}" in said for transfer in HDR):
        return f"{TO_SDR}{size}:in_color_matrix=bt709,format=rgb24"
    untagged = "color_space:unknown" in said
    matrix = ("bt709" if height >= HD else "bt601") if untagged else "auto"
    return f"{size}:in_color_matrix={matrix},format=rgb24"


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


def _is_complaint(line: str) -> bool:
    return "[error]" in line or "[fatal]" in line


def _reason(said: str) -> str:
    """The tool's last complaint, without addresses in memory and places on the disk."""
    lines = [line for line in said.splitlines() if _is_complaint(line)] or said.splitlines()
    line = re.sub(r"\[[^\]]*\]\s*|file:\S+:?\s*", "", lines[-1] if lines else "").strip()
    return line or "ffmpeg said nothing of it"
