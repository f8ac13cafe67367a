"""This engine, the tutorial's way and TensorFlow, side by side: time, memory, conversion, largest difference.

    python -m benchmarks.engine [--model DIR] [--size 512x512] [--depth 3] [--rounds 3] [--json FILE]

Every way runs in a process of its own, so that its peak memory is its own, and they take turns round by round, so that
a machine whose speed drifts is fair to all. Without --model it makes a full-size FILM (64 filters) with random
variables; `film-lite` works too. The tutorial's way is `ov.convert_model` of the whole SavedModel and 2**depth - 1
independent calls. Where a processor has bfloat16, OpenVINO's defaults compute in it and the output is off by far more
than a rounding: `engine`, `tutorial` and `tensorflow` compute in float32 and make the same frames, `engine-fast` and
`tutorial-defaults` take that precision.
"""

from __future__ import annotations

import argparse
import json
import math
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

WAYS = ("engine", "tutorial", "tensorflow", "engine-fast", "tutorial-defaults")


def photo(height: int, width: int, shift: int) -> Frame:
    """A smooth texture, moved by `shift` pixels: real motion, without a file."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x = x + shift
    channels = [np.sin(x / (9 + c) + 2 * np.sin(y / 17)) * np.cos(y / (13 - c)) for c in range(3)]
    return (np.stack(channels, axis=2) * 0.45 + 0.5).astype(np.float32)


def engine(model: str, precision: str = "exact") -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """Our engine. Its conversion runs in a process of its own; its time includes that process."""
    import film

    started = time.perf_counter()
    loaded = film.load(model, precision=precision)
    loaded.converted()
    return loaded.frames, {"convert_s": time.perf_counter() - started}


def engine_fast(model: str) -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """Our engine in the precision that OpenVINO takes for the fastest here."""
    return engine(model, precision="fast")


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


def work(model: str, height: int, width: int, depth: int) -> float:
    """Arithmetic of one middle frame through our engine, in GFLOP: its graphs' convolutions, encodings shared out."""
    import openvino as ov

    import film

    loaded = film.load(model)
    assert isinstance(loaded, film.Film)
    encoder, synthesizer = loaded.compiled(height, width).graphs

    def macs(graph: ov.CompiledModel) -> float:
        total = 0.0
        for node in graph.get_runtime_model().get_ops():
            facts = node.get_rt_info()
            if facts["layerType"].astype(str) in ("Convolution", "Deconvolution"):
                kernel = node.input(1).get_shape()  # OIHW
                pixels = math.prod(node.output(0).shape[2:])
                if facts["layerType"].astype(str) == "Deconvolution":
                    pixels /= 4  # stride 2: a kernel's products are spread over four pixels
                total += pixels * math.prod(kernel)
        return total

    encodings = (2 ** (depth - 1) + 1) / (2**depth - 1)
    return 2e-9 * (macs(synthesizer) + encodings * macs(encoder))


def convolution_peak() -> float:
    """GFLOP/s of the best of many repetitions of one large convolution: what this machine's convolutions can reach."""
    import openvino as ov
    from openvino import opset15 as ops

    image = ops.parameter([1, 256, 128, 128], np.float32)
    kernel = ops.constant(np.random.default_rng(0).random((256, 256, 3, 3), np.float32))
    y = ops.convolution(image, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    compiled = ov.Core().compile_model(ov.Model([y], [image]), "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})
    request, x = compiled.create_infer_request(), np.ones((1, 256, 128, 128), np.float32)
    seconds = []
    for _ in range(40):
        started = time.perf_counter()
        request.infer([x])
        seconds.append(time.perf_counter() - started)
    return 2e-9 * 128 * 128 * 256 * 256 * 9 / min(seconds)


def worker(way: str, model: str, height: int, width: int) -> None:
    """For each depth read from standard input answer with one line of JSON: the recursion's times, the peak memory."""
    start = (engine, tutorial, tensorflow, engine_fast, tutorial_defaults)
    frames, facts = dict(zip(WAYS, start, strict=True))[way](model)
    a, b = photo(height, width, 0), photo(height, width, 8)
    for line in sys.stdin:
        depth = int(line)
        started, cpu = time.perf_counter(), time.process_time()
        for moment, frame in zip(recursion.dyadic(depth), frames(a, b, depth=depth), strict=True):
            if moment == Fraction(1, 2):
                np.save(f"{os.environ['BENCHMARK_SCRATCH']}/{way}.npy", frame)
        calls = 2**depth - 1
        facts["s"] = (time.perf_counter() - started) / calls
        facts["cpu_s"] = (time.process_time() - cpu) / calls
        facts["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(facts), flush=True)


def measure(model: str, height: int, width: int, depth: int, rounds: int, ways: list[str]) -> dict[str, Any]:
    """Medians per way over rounds in which all take turns. A single middle frame first warms each up."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "FILM_CACHE": f"{scratch}/cache", "BENCHMARK_SCRATCH": scratch}

        def ask(process: subprocess.Popen[str], depth: int) -> dict[str, float]:
            assert process.stdin and process.stdout
            process.stdin.write(f"{depth}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        def start(way: str) -> tuple[subprocess.Popen[str], dict[str, float]]:
            """A worker, and what it says of its first middle frame; `start_s` from the process' start to that frame."""
            command = [sys.executable, "-m", "benchmarks.engine", "--worker", way]
            command += ["--size", f"{width}x{height}", "--model", model]
            started = time.perf_counter()
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            facts = ask(process, 1)
            return process, {**facts, "start_s": time.perf_counter() - started}

        result: dict[str, Any] = {way: {} for way in ways}
        workers = {}
        for way in ways:
            workers[way], result[way] = start(way)
            if way == "engine":  # once more, now that the model is converted
                workers[way].communicate()
                workers[way], again = start(way)
                result[way]["start_again_s"] = again["start_s"]
        answers: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for turn in range(rounds):
            for way, process in workers.items():
                answers[way].append(ask(process, depth))
                print(f"  round {turn + 1} {way}: {answers[way][-1]['s']:.2f} s per frame", file=sys.stderr, flush=True)
        for process in workers.values():
            process.communicate()
        middles = {way: np.load(f"{scratch}/{way}.npy") for way in ways}
        os.environ["FILM_CACHE"] = environment["FILM_CACHE"]
        gflop = work(model, height, width, depth) if "engine" in ways else 0.0
    for way in ways:
        facts = answers[way][-1] | result[way] | {"peak_gb": answers[way][-1]["peak_gb"]}
        result[way] = facts
        facts |= {key: statistics.median(answer[key] for answer in answers[way]) for key in ("s", "cpu_s")}
        if way != ways[0]:
            pairs = list(zip(answers[way], answers[ways[0]], strict=True))
            facts["ratio"] = statistics.median(other["s"] / ours["s"] for other, ours in pairs)
            facts["cpu_ratio"] = statistics.median(other["cpu_s"] / ours["cpu_s"] for other, ours in pairs)
            facts["difference"] = float(np.abs(middles[way] - middles[ways[0]]).max())
    if "engine" in ways:
        result["engine"]["share_of_peak"] = gflop / result["engine"]["s"] / convolution_peak()
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
        return worker(options.worker, options.model, height, width)
    with tempfile.TemporaryDirectory() as scratch:
        if options.model is None:
            options.model = f"{scratch}/film"
            export = [sys.executable, "-m", "training.export", "--filters", "64", "--random", "0"]
            subprocess.run([*export, "--output", options.model], check=True, capture_output=True)
        result = measure(options.model, height, width, options.depth, options.rounds, options.ways)
    print(f"{options.size}, depth {options.depth}, {os.cpu_count()} cores, {platform.machine()}")
    columns = [
        "s",
        "ratio",
        "cpu_s",
        "cpu_ratio",
        "peak_gb",
        "convert_s",
        "convert_model_s",
        "start_s",
        "start_again_s",
    ]
    columns += ["share_of_peak", "difference"]
    print(f"{'':18}" + "".join(f"{column:>16}" for column in columns))
    for way, facts in result.items():
        cells = [f"{facts[column]:.3g}" if column in facts else "" for column in columns]
        print(f"{way:18}" + "".join(f"{cell:>16}" for cell in cells))
    if options.json:
        options.json.write_text(json.dumps({"size": options.size, "depth": options.depth, "ways": result}, indent=2))


if __name__ == "__main__":
    main()
