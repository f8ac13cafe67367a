"""Videos made for tests: scenes that are known, written by ffmpeg with any timing, rotation and sound."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from tests.conftest import texture


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


def video(path: Path, pictures: Sequence[np.ndarray], fps: str = "24", *options: str, sound: bool = False) -> Path:
    """Write pictures as a video, with `sound` a beep through its second half. `options` are of ffmpeg's output."""
    height, width, _ = pictures[0].shape
    raw = path.with_suffix(".raw")
    raw.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    command = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", str(raw)]
    if sound:
        seconds = len(pictures) / rate(fps)
        sine = f"sine=frequency=1000:sample_rate=48000:duration={seconds}"
        command += ["-f", "lavfi", "-i", f"{sine},volume='gt(t,{seconds / 2})':eval=frame", "-c:a", "aac"]
    lossy = ["-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p", "-colorspace", "bt709"]
    ffmpeg(*command, "-vf", "scale=out_color_matrix=bt709", *lossy, *options, str(path))
    raw.unlink()
    return path


def rate(fps: str) -> float:
    above, _, below = fps.partition("/")
    return float(above) / float(below or 1)


def means(pictures: Iterable[np.ndarray]) -> list[float]:
    return [float(picture.mean()) for picture in pictures]
