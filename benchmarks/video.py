"""A video in slow motion: frames per second of processor time, and peak memory of short and long videos.

    python -m benchmarks.video [--size 320x180] [--seconds 6 60] [--slowdown 2] [--model film-lite rife]
        [--json FILE]

Each length and model is a run of the command line in a process of its own, models in turns; the memory is the largest
that it and its children (ffmpeg) had together. The video is made here: a texture that moves, with a cut in the middle
and a tone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg

from benchmarks import command
from film.rendering import planning
from tests.support.watching import family, resident

FPS = 24


def make_video(path: Path, width: int, height: int, seconds: int) -> None:
    """ffmpeg's own moving test pictures."""
    half = seconds / 2
    size = f"s={width}x{height}:r={FPS}:d={half}"
    scenes = ["-f", "lavfi", "-i", f"testsrc2={size}", "-f", "lavfi", "-i", f"mandelbrot=s={width}x{height}:r={FPS}"]
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"]
    joined = f"[1:v]trim=duration={half}[second];[0:v][second]concat=n=2:v=1:a=0,format=yuv420p[v]"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *scenes, *tone]
    subprocess.run([*ffmpeg, "-filter_complex", joined, "-map", "[v]", "-map", "2:a", str(path)], check=True)


def run(source: Path, output: Path, slowdown: int, model: str) -> dict[str, float]:
    """RuntimeError with the program's own words if it makes no film."""
    before = os.times()
    began, peak = time.monotonic(), 0
    retime = [sys.executable, "-m", "film", "retime", str(source), "-o", str(output)]
    retime += ["--slowdown", str(slowdown), "--model", model]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(retime, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(0.1)
        if process.returncode:
            said.seek(0)
            raise command.ended("film", process.returncode, said.read())
        assert process.stdout
        frames = int(process.stdout.read().rsplit(": ", 1)[1].split()[0])
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return {"frames": frames, "seconds": time.monotonic() - began, "processor_s": processor, "peak_gb": peak / 2**30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=command.even_size, default="320x180", metavar="WxH")
    parser.add_argument("--seconds", type=command.number(1), nargs="+", default=[6, 60], help="lengths of the videos")
    parser.add_argument("--slowdown", type=command.number(2, planning.MAX_SLOWDOWN), default=2)
    parser.add_argument("--model", type=command.model, nargs="+", default=["film-lite"])
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    results: dict[str, dict[int, dict[str, float]]] = {model: {} for model in options.model}
    print("| video | model | frames made | processor s / frame | peak GB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.seconds:
            source = Path(folder) / "source.mp4"
            make_video(source, *options.size, seconds)
            for model in options.model:
                try:
                    result = results[model][seconds] = run(source, Path(folder) / "film.mp4", options.slowdown, model)
                except RuntimeError as error:
                    sys.exit(str(error))
                each = result["processor_s"] / result["frames"]
                row = [f"{seconds} s", model, result["frames"], f"{each:.3f}", f"{result['peak_gb']:.3f}"]
                print("|", " | ".join(map(str, row)), "|", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"size": str(options.size), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
