"""Whether sound and picture stay together through a long film: by how much each sound comes after its picture.

    python -m benchmarks.sync [--minutes 12] [--slowdown 4] [--fps 6] [--format mp4] [--model film-lite]

The video is made here: every ten seconds a white picture and a tone begin together. Their times in the film are read
from the finished file by ffmpeg; a tone's is the centre of its energy, less half of its length. Pictures are small,
and segments long, because neither changes a time.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections import deque
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

import film
from benchmarks import command
from film.media import video_segments
from film.rendering import planning

EVERY = 10  # seconds of the video from one impulse to the next
TONE = 0.2  # seconds
RATE = 8000  # samples a second that are read
SHOWN = 0.5  # seconds of white
SIZE = "64x48"
SEGMENT = 30.0  # seconds: thousands of encoders would be all that takes time


def ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True)


def make_video(path: Path, minutes: int, fps: int) -> None:
    """Black and silent but for the impulses, the first of them after one EVERY."""
    begun = f"gte(t,{EVERY})"
    white = f"{begun}*lt(mod(t,{EVERY}),{SHOWN})"
    picture = f"color=black:s={SIZE}:r={fps}:d={60 * minutes},drawbox=color=white:t=fill:enable='{white}'"
    tone = f"aevalsrc='if({begun}*lt(mod(t,{EVERY}),{TONE}),0.5*sin(2*PI*440*t),0)':s=48000:d={60 * minutes}"
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, *codecs, str(path))


def pictures(path: Path) -> list[float]:
    """When each white picture begins, seconds."""
    told = ffmpeg("-i", str(path), "-an", "-vf", "signalstats,metadata=print", "-f", "null", "-").stderr.decode()
    found = re.findall(r"pts_time:([\d.]+).*?YAVG=([\d.]+)", told, re.DOTALL)
    bright = [(float(time), float(level) > 220) for time, level in found]
    return [time for (_, before), (time, now) in zip(bright, bright[1:], strict=False) if now and not before]


def tones(path: Path, length: float) -> list[float]:
    """When each tone of that length begins, seconds."""
    raw = ffmpeg("-i", str(path), "-vn", "-af", f"aresample={RATE}:async=1:first_pts=0", "-ac", "1", "-f", "s16le", "-")
    energy: npt.NDArray[np.float64] = np.square(np.frombuffer(raw.stdout, np.int16) / 32768.0)
    loud = np.flatnonzero(np.convolve(energy, np.ones(RATE // 100), "same") > 0.1)
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > RATE * length) + 1)
    centres = [np.average(group, weights=energy[group]) / RATE for group in groups]
    return [float(centre - length / 2) for centre in centres]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=command.number(1), default=12, help="of the video")
    parser.add_argument("--slowdown", type=command.number(1, planning.MAX_SLOWDOWN), default=4)
    parser.add_argument("--fps", type=command.number(2), default=6, help="of the video and of the film")
    parser.add_argument("--format", default="mp4", choices=["mp4", "webm", "mov"])
    parser.add_argument("--model", default="film-lite")
    options = parser.parse_args()
    video_segments.SEGMENT_SECONDS = SEGMENT
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "source.mp4", Path(folder) / f"film.{options.format}"
        make_video(source, options.minutes, options.fps)
        events = film.retime(source, film.load(options.model), output, slowdown=options.slowdown, fps=options.fps)
        deque(events, maxlen=0)
        seen, heard = pictures(output), tones(output, TONE * options.slowdown)
        expected = [EVERY * options.slowdown * k for k in range(1, 6 * options.minutes)]
        late = [1000 * (sound - picture) for sound, picture in zip(heard, seen, strict=True)]
        off = [1000 * (picture - time) for picture, time in zip(seen, expected, strict=True)]
        print(f"{len(seen)} impulses in {options.minutes * options.slowdown} minutes of .{options.format}")
        print(
            f"sound after picture: {min(late):+.1f} to {max(late):+.1f} ms, first {late[0]:+.1f}, last {late[-1]:+.1f}"
        )
        print(f"picture after its time: {min(off):+.1f} to {max(off):+.1f} ms")


if __name__ == "__main__":
    main()
