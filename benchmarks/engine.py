"""This engine, the tutorial's way and TensorFlow, side by side: time, memory, conversion, largest difference.

    python -m benchmarks.engine [--model DIR] [--size 512x512] [--depth 3] [--rounds 3] [--json FILE]

Every way runs in a process of its own, so that its peak memory is its own, and they take turns round by round, so that
a machine whose speed drifts is fair to all. Without --model it makes a full-size FILM (64 filters) with random
variables; `film-lite` works too. The tutorial's way is `ov.convert_model` of the whole SavedModel and 2**depth - 1
independent calls. Where a processor has bfloat16, OpenVINO's defaults compute in it and the output is off by far more
than a rounding; `tutorial` computes in float32, so that all make the same frames, `tutorial-defaults` does not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from film import recursion
from film.images import Frame

WAYS = ("engine", "tutorial", "tutorial-defaults", "tensorflow")


def photo(height: int, width: int, shift: int) -> Frame:
    """A smooth texture, moved by `shift` pixels: real motion, without a file."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x = x + shift
    channels = [np.sin(x / (9 + c) + 2 * np.sin(y / 17)) * np.cos(y / (13 - c)) for c in range(3)]
    return (np.stack(channels, axis=2) * 0.45 + 0.5).astype(np.float32)


def engine(model: str) -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """Our engine. Its conversion runs in a process of its own; its time includes that process."""
    import film

    started = time.perf_counter()
    loaded = film.load(model)
    loaded.converted()
    return loaded.frames, {"convert_s": time.perf_counter() - started}


def tutorial(model: str, precision: str = "f32") -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """The tutorial: convert the SavedModel whole, compile it, call it for every middle frame."""
    import openvino as ov
    import tensorflow as tf

    from film import catalog

    started = time.perf_counter()
    loaded = tf.saved_model.load(str(catalog.fetch(catalog.find(model))))
    image = tf.TensorSpec([1, None, None, 3], tf.float32)
    moment = tf.TensorSpec([1, 1], tf.float32)
    traced = tf.function(
        lambda x0, x1, time: loaded({"x0": x0, "x1": x1, "time": time}, training=False)["image"],
        input_signature=[image, image, moment],
    )
    converting = time.perf_counter()
    converted = ov.convert_model(traced.get_concrete_function())
    times = {"convert_s": time.perf_counter() - started, "convert_model_s": time.perf_counter() - converting}
    config = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
    with tempfile.TemporaryDirectory() as scratch:
        ov.save_model(converted, f"{scratch}/film.xml", compress_to_fp16=False)
        compiled = ov.Core().compile_model(f"{scratch}/film.xml", "CPU", config)
    half = np.full((1, 1), 0.5, np.float32)
    inputs = [port.get_any_name() for port in compiled.inputs]

    def middle(a: Frame, b: Frame) -> Frame:
        feed = {name: value for name, value in zip(("x0", "x1", "time"), (a[None], b[None], half), strict=True)}
        return compiled({name: feed[name] for name in inputs})[0][0]

    return lambda a, b, depth: recursion.walk(a, b, recursion.dyadic(depth), middle), times


def tutorial_defaults(model: str) -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """The tutorial to the letter: whatever precision OpenVINO takes for the fastest here."""
    return tutorial(model, precision="")


def tensorflow(model: str) -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """TensorFlow, through the package's reference."""
    import film

    return film.load(model, backend="tensorflow").frames, {}


def worker(way: str, model: str, height: int, width: int, depth: int) -> None:
    """Answer each line on standard input with one line of JSON: a recursion's times, at last the peak memory."""
    start = {"engine": engine, "tutorial": tutorial, "tutorial-defaults": tutorial_defaults, "tensorflow": tensorflow}
    frames, facts = start[way](model)
    a, b = photo(height, width, 0), photo(height, width, 8)
    middle: Frame | None = None
    for _ in sys.stdin:
        started, cpu, first = time.perf_counter(), time.process_time(), None
        for moment, frame in zip(recursion.dyadic(depth), frames(a, b, depth=depth), strict=True):
            if moment > 0 and first is None:
                first = time.perf_counter() - started
            if moment == Fraction(1, 2):
                middle = np.array(frame)
        calls = 2**depth - 1
        seconds, cpu = (time.perf_counter() - started) / calls, (time.process_time() - cpu) / calls
        facts |= {"s": seconds, "cpu_s": cpu, "first_s": first}
        facts["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        np.save(f"{os.environ['BENCHMARK_SCRATCH']}/{way}.npy", middle)
        print(json.dumps(facts), flush=True)


def measure(model: str, height: int, width: int, depth: int, rounds: int, ways: list[str]) -> dict[str, Any]:
    """Medians per way, one round each in turn; a first round warms everything up and is not counted."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "FILM_CACHE": f"{scratch}/cache", "BENCHMARK_SCRATCH": scratch}
        command = [sys.executable, "-m", "benchmarks.engine", "--worker"]
        size = [f"--size={width}x{height}", f"--depth={depth}", f"--model={model}"]
        workers = {
            way: subprocess.Popen(
                [*command, way, *size], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for way in ways
        }
        answers: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for turn in range(rounds + 1):
            for way, process in workers.items():
                assert process.stdin and process.stdout
                process.stdin.write("go\n")
                process.stdin.flush()
                answers[way].append(json.loads(process.stdout.readline()))
                print(f"  round {turn} {way}: {answers[way][-1]['s']:.2f} s per frame", file=sys.stderr, flush=True)
        for process in workers.values():
            process.communicate()
        middles = {way: np.load(f"{scratch}/{way}.npy") for way in ways}
    result: dict[str, Any] = {}
    for way in ways:
        counted = answers[way][1:]
        facts = {key: statistics.median(answer[key] for answer in counted) for key in ("s", "cpu_s", "first_s")}
        facts |= {key: answers[way][-1][key] for key in answers[way][-1] if key not in facts}
        facts["first_run_first_frame_s"] = answers[way][0]["first_s"]
        if ways[0] != way:
            pairs = zip(answers[way][1:], answers[ways[0]][1:], strict=True)
            facts["times_slower"] = statistics.median(other["s"] / ours["s"] for other, ours in pairs)
            facts["largest_difference"] = float(np.abs(middles[way] - middles[ways[0]]).max())
        result[way] = facts
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="film-lite or a SavedModel directory (default: full-size, random variables)")
    parser.add_argument("--size", default="512x512", metavar="WxH")
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    if options.worker:
        return worker(options.worker, options.model, height, width, options.depth)
    with tempfile.TemporaryDirectory() as scratch:
        if options.model is None:
            options.model = f"{scratch}/film"
            export = [sys.executable, "-m", "training.export", "--filters", "64", "--random", "0"]
            subprocess.run([*export, "--output", options.model], check=True, capture_output=True)
        result = measure(options.model, height, width, options.depth, options.rounds, options.ways)
    print(f"{options.size}, depth {options.depth}, {os.cpu_count()} cores, {platform.machine()}")
    columns = ["s", "times_slower", "cpu_s", "peak_gb", "convert_s", "convert_model_s", "first_s", "largest_difference"]
    print(f"{'':11}" + "".join(f"{column:>20}" for column in columns))
    for way, facts in result.items():
        cells = [f"{facts[column]:.3g}" if column in facts else "" for column in columns]
        print(f"{way:11}" + "".join(f"{cell:>20}" for cell in cells))
    if options.json:
        options.json.write_text(json.dumps({"size": options.size, "depth": options.depth, "ways": result}, indent=2))


if __name__ == "__main__":
    main()
