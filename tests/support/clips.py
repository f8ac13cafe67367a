"""Videos for tests: known scenes, with any timing, rotation and sound; and what another program sees in a file."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import imageio.v3 as imageio
import imageio_ffmpeg
import numpy as np
import pytest

from film.media.video_reader import TimedFrame, VideoMetadata, VideoReader, read_metadata
from tests.conftest import photo, texture
from tests.support.watching import children, command_line

# 4:2:0 halves the colour resolution and x264 at QUALITY rounds a little: mean error on a smooth texture, in levels
# of 255. A wrong matrix or range costs 5 to 20.
COLOUR_TOLERANCE = 3.0


def ffmpeg(*arguments: str) -> str:
    """Run it; what it says."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
    return done.stderr


def pan(count: int, height: int = 64, width: int = 96, step: int = 2, seed: int = 0) -> list[np.ndarray]:
    """`count` pictures, (H, W, 3) uint8, of a texture that moves `step` pixels to the left each time."""
    wide = np.rint(texture(height, width + step * count, seed) * 255).astype(np.uint8)
    return [wide[:, step * k : step * k + width].copy() for k in range(count)]


def walk(folder: Path) -> list[Path]:
    """Photos of one scene that moves on, in an order that is not that of letters."""
    pictures = pan(3, step=4)
    return [photo(folder / f"walk {n}.jpg", picture / 255.0) for n, picture in zip((1, 2, 10), pictures, strict=True)]


def video(path: Path, pictures: Sequence[np.ndarray], fps: str = "24", *options: str, sound: bool = False) -> Path:
    """Write pictures as a video, with `sound` a beep through its second half. `options` are of ffmpeg's output."""
    height, width, _ = pictures[0].shape
    raw = path.with_suffix(".raw")
    raw.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    command = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", str(raw)]
    if sound:
        seconds = len(pictures) / float(Fraction(fps))
        sine = f"sine=frequency=1000:sample_rate=48000:duration={seconds}"
        command += ["-f", "lavfi", "-i", f"{sine},volume='gt(t,{seconds / 2})':eval=frame", "-c:a", "aac"]
    lossy = ["-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p", "-colorspace", "bt709"]
    ffmpeg(*command, "-vf", "scale=out_color_matrix=bt709", *lossy, *options, str(path))
    raw.unlink()
    return path


def recorded(path: Path) -> Path:
    """A video as a browser records it: without its length."""
    source = video(path.with_suffix(".mkv"), pan(12))
    ffmpeg("-i", str(source), "-c:v", "libvpx", "-live", "1", "-f", "webm", str(path))
    return path


def means(pictures: Iterable[np.ndarray]) -> list[float]:
    return [float(picture.mean()) for picture in pictures]


def numbered(count: int, height: int = 48, width: int = 64) -> Iterator[np.ndarray]:
    """Frames that tell their place: a flat grey that rises, over a texture that stays."""
    still = texture(height, width) * 0.2
    for k in range(count):
        yield np.float32(0.8 * k / max(1, count - 1)) + still


def words(path: str | Path) -> str:
    """What ffmpeg says of a file: its streams, their colours and their times."""
    return ffmpeg("-i", str(path), "-f", "null", "-")


def duration(path: Path) -> float:
    """Seconds."""
    found = re.search(r"Duration: (\d+):(\d+):([\d.]+)", words(path))
    assert found
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def times(path: Path) -> list[float]:
    """When each frame of a file is shown, in seconds."""
    form = ["-f", "mpegts"] if path.suffix == ".ts" else []
    shown = ["-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-"]
    said = ffmpeg("-copyts", *form, "-i", str(path), *shown)
    return [float(time) for time in re.findall(r"pts_time:\s*([-\d.]+)", said)]


def decoded(path: str | Path) -> np.ndarray:
    """(N, H, W, 3) uint8, through imageio, which does not take segments, or through what it uses."""
    if Path(path).suffix != ".ts":
        return imageio.imread(path, plugin="FFMPEG")
    # A segment of a few small frames is too short for ffmpeg to guess its format.
    options = {"input_params": ["-f", "mpegts"], "output_params": ["-fps_mode", "passthrough"]}
    reader = imageio_ffmpeg.read_frames(str(path), **options)
    width, height = next(reader)["size"]
    return np.array([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader])


def fake_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A shell script instead of ffmpeg."""
    program = folder / "bin" / "ffmpeg"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    return program


def read(path: Path | VideoMetadata) -> list[TimedFrame]:
    """Every frame of a video, through the package's own reader."""
    looked = read_metadata(path) if isinstance(path, Path) else path
    with VideoReader(looked, (looked.height, looked.width)) as reader:
        return list(reader)


def encoders() -> list[int]:
    """This process's children that are ffmpeg."""
    return [child for child in children(os.getpid()) if b"ffmpeg" in command_line(child)]
