"""A film made here and by the workers of a Ray on this machine: how time falls with workers, and what sizes a cluster.

    python -m benchmarks.cluster [--model film-lite] [--size 512x512] [--workers 1 2] [--photos 7] [--json FILE]

The same film, through synthetic photos that move, is made by this process on one core and by each number of workers of
one core. Processor seconds (of the model and of ffmpeg) decide how many frames a core makes in an hour; the clock tells
how well workers keep busy, as far as the machine has a free core for each. `apart` is what a stretch costs beside its
making: reading, packing, carrying, writing. All runs must make the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

import film
from benchmarks import command
from benchmarks.engine import peak_gb, photo
from film.batch import ray_worker
from film.batch.ray_cluster import Cluster
from film.engine import bisection
from film.engine.interpolator import FramePair
from film.media import images
from film.rendering import pipeline
from film.rendering.events import Done
from film.rendering.renderer import AnyRenderer, Chunk


def make(renderer: AnyRenderer, photos: list[Path], depth: int, output: Path) -> Done:
    (done,) = (e for e in pipeline.interpolate(photos, renderer, output, depth=depth) if isinstance(e, Done))
    return done


def processor() -> float:
    """Seconds that this process and those it waited for have worked."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def here(model: str, photos: list[Path], depth: int, output: Path) -> dict[str, Any]:
    """One core, in this process; the model is compiled before the clock starts."""
    loaded = film.load(model, threads=1)
    make(loaded, photos[:2], 1, output)
    begun, worked = time.monotonic(), processor()
    done = make(loaded, photos, depth, output)
    frames, worked = done.frames, processor() - worked
    return {
        "s": time.monotonic() - begun,
        "frames": frames,
        "cpu_s_per_frame": worked / frames,
        "frames_per_core_hour": 3600 * frames / worked,
        "peak_gb": peak_gb(),
        "bytes_per_frame_back": output.stat().st_size / frames,
    }


def there(model: str, workers: int, photos: list[Path], depth: int, output: Path) -> dict[str, Any]:
    """Workers of one core; each has compiled the model before the clock starts."""
    os.environ["RAY_OVERRIDE_RESOURCES"] = json.dumps({"CPU": workers})
    with Cluster("local", model, cpus_per_worker=1) as cluster:
        for _ in range(2):  # the first may be over before all of them are there
            make(cluster, photos, 1, output)
        begun = time.monotonic()
        done = make(cluster, photos, depth, output)
        seconds = time.monotonic() - begun
    assert done.seconds_per_frame
    calls, chunks = (len(photos) - 1) * (2**depth - 1), len(photos) - 1
    return {
        "workers": cluster.size,
        "s": seconds,
        "busy": done.seconds_per_frame * calls / (seconds * workers),
        "apart_s_per_stretch": (seconds * workers - done.seconds_per_frame * calls) / chunks,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=command.model, default="film-lite")
    parser.add_argument("--size", type=command.size, default="512x512", metavar="WxH")
    parser.add_argument("--workers", type=command.number(1), nargs="*", default=[1, 2])
    parser.add_argument("--photos", type=command.number(2), default=7)
    parser.add_argument("--depth", type=command.number(1, bisection.MAX_DEPTH), default=4)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    width, height = options.size
    with tempfile.TemporaryDirectory() as scratch:
        photos = [Path(scratch) / f"{n}.png" for n in range(options.photos)]
        for n, path in enumerate(photos):
            Image.fromarray(images.to_uint8(photo(height, width, 8 * n))).save(path)
        outputs = [Path(scratch) / f"{n}.mp4" for n in range(len(options.workers) + 1)]
        pair = FramePair(film.read_image(photos[0]), film.read_image(photos[1]), [], (0, 1))
        (sent,) = ray_worker.packed(Chunk(0, [pair])).pairs
        result = {"size": str(options.size), "here": here(options.model, photos, options.depth, outputs[0])}
        result["here"]["bytes_per_frame_sent"] = (sent.left.nbytes + sent.right.nbytes) / 2**options.depth
        print(
            f"{options.size}, depth {options.depth}, here:", {k: float(f"{v:.4g}") for k, v in result["here"].items()}
        )
        for count, output in zip(options.workers, outputs[1:], strict=True):
            result[str(count)] = there(options.model, count, photos, options.depth, output)
            print(f"{count} workers:", {k: float(f"{v:.4g}") for k, v in result[str(count)].items()}, flush=True)
            assert output.read_bytes() == outputs[0].read_bytes(), "the films differ"
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
