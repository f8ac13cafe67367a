"""This engine, the tutorial's way and TensorFlow, side by side: time, memory, conversion, largest difference.

    python -m benchmarks.engine [--model DIR] [--size 512x512] [--depth 3] [--rounds 3] [--json FILE]

Every way runs in a process of its own, so that its peak memory is its own, and they take turns round by round, every
second round in reverse, so that a machine whose speed drifts is fair to all. What a way converts is kept, and measured
is a process that finds it: what converting takes is told apart. Without --model it makes a full-size FILM (64 filters)
with random variables; `film-lite` works too. The tutorial's way is `ov.convert_model` of the whole SavedModel and
2**depth - 1 independent calls. `engine` and `tutorial` are what a user gets by default, `engine-exact` and
`tutorial-float32` compute in float32 throughout. Where a processor has bfloat16, OpenVINO's defaults take it for
everything, and our engine for the convolutions alone. What precision costs is told as the largest difference of the
middle frame from TensorFlow's, and as its PSNR against that in dB.
"""

from __future__ import annotations

import argparse
import contextlib
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

from benchmarks import command
from benchmarks.command import Size
from film.engine import bisection
from film.media.images import Frame

WAYS = ("engine", "engine-exact", "tutorial", "tutorial-float32", "tensorflow")
MEASURED = ("s", "cpu_s", "peak_gb")  # of each recursion; what else a process tells is of its start
FOLDER = "BENCHMARK_FOLDER"  # of the environment: where a way keeps what it converts, and leaves its middle frame


def photo(height: int, width: int, shift: int) -> Frame:
    """A smooth texture, moved by `shift` pixels: real motion, without a file."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x = x + shift
    channels = [np.sin(x / (9 + c) + 2 * np.sin(y / 17)) * np.cos(y / (13 - c)) for c in range(3)]
    return (np.stack(channels, axis=2) * 0.45 + 0.5).astype(np.float32)


def peak_gb(whose: int = resource.RUSAGE_SELF) -> float:
    """The most memory that this process has had, or the largest of the children that it waited for."""
    return resource.getrusage(whose).ru_maxrss / 2**20


def engine(model: str, precision: str = "auto") -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """Our engine. Its conversion runs in a process of its own; its time and memory include that process."""
    import film

    started = time.perf_counter()
    loaded = film.load(model, precision=precision)
    loaded.converted()
    facts = {"convert_s": time.perf_counter() - started}
    return loaded.frames, facts | {"convert_peak_gb": peak_gb() + peak_gb(resource.RUSAGE_CHILDREN)}


def engine_exact(model: str) -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """Our engine in float32."""
    return engine(model, precision="exact")


def tutorial(model: str, precision: str = "") -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """The tutorial to the letter: convert the SavedModel whole, compile it, call it for every middle frame."""
    import openvino as ov

    converted = Path(os.environ[FOLDER]) / "film.xml"
    facts = {} if converted.exists() else convert_whole(model, converted)
    config = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
    compiled = ov.Core().compile_model(converted, "CPU", config)
    half = np.full((1, 1), 0.5, np.float32)
    inputs = [port.get_any_name() for port in compiled.inputs]

    def middle(a: Frame, b: Frame) -> Frame:
        feed = {name: value for name, value in zip(("x0", "x1", "time"), (a[None], b[None], half), strict=True)}
        return compiled({name: feed[name] for name in inputs})[0][0]

    def frames(a: Frame, b: Frame, depth: int) -> Iterator[Frame]:
        ends = {Fraction(0): a, Fraction(1): b}
        return bisection.walk(ends, bisection.dyadic(depth), lambda left, right, _: lambda: middle(left, right))

    return frames, facts


def convert_whole(model: str, output: Path) -> dict[str, float]:
    """The tutorial's conversion, to IR; what it took, and of that `ov.convert_model` alone."""
    import openvino as ov
    import tensorflow as tf

    from film.hub import registry

    started = time.perf_counter()
    loaded = tf.saved_model.load(str(registry.fetch(registry.find(model))))
    image = tf.TensorSpec([1, None, None, 3], tf.float32)
    moment = tf.TensorSpec([1, 1], tf.float32)
    traced = tf.function(
        lambda x0, x1, time: loaded({"x0": x0, "x1": x1, "time": time}, training=False)["image"],
        input_signature=[image, image, moment],
    )
    converting = time.perf_counter()
    converted = ov.convert_model(traced.get_concrete_function())
    converted_s = time.perf_counter() - converting
    ov.save_model(converted, output, compress_to_fp16=False)
    facts = {"convert_s": time.perf_counter() - started, "convert_model_s": converted_s}
    return facts | {"convert_peak_gb": peak_gb()}


def tutorial_float32(model: str) -> tuple[Callable[..., Iterator[Frame]], dict[str, float]]:
    """The tutorial in float32."""
    return tutorial(model, precision="f32")


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
    start = (engine, engine_exact, tutorial, tutorial_float32, tensorflow)
    try:
        frames, facts = dict(zip(WAYS, start, strict=True))[way](model)
    except (ValueError, RuntimeError) as error:  # what film says of a model that it cannot read
        sys.exit(str(error))
    a, b = photo(height, width, 0), photo(height, width, 8)
    for line in sys.stdin:
        depth = int(line)
        started, cpu = time.perf_counter(), time.process_time()
        for moment, frame in zip(bisection.dyadic(depth), frames(a, b, depth=depth), strict=True):
            if moment == Fraction(1, 2):
                np.save(Path(os.environ[FOLDER]) / "middle.npy", frame)
        calls = 2**depth - 1
        facts["s"] = (time.perf_counter() - started) / calls
        facts["cpu_s"] = (time.process_time() - cpu) / calls
        facts["peak_gb"] = peak_gb()
        print(json.dumps(facts), flush=True)


@contextlib.contextmanager
def process(way: str, model: str, size: Size, folder: Path) -> Iterator[Callable[[int], dict[str, float]]]:
    """A `worker` in a process of its own, as the function that asks it. RuntimeError with its last words if it ends."""
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "FILM_CACHE": str(folder / "cache"), FOLDER: str(folder)}
    program = [sys.executable, "-m", "benchmarks.engine", "--worker", way, "--size", str(size), "--model", model]
    pipe = subprocess.PIPE
    with (
        (folder / "log.txt").open("w+") as said,
        subprocess.Popen(program, bufsize=0, env=environment, stdin=pipe, stdout=pipe, stderr=said) as child,
    ):

        def ask(depth: int) -> dict[str, float]:
            assert child.stdin and child.stdout
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(b"%d\n" % depth)
            if answer := child.stdout.readline():
                return json.loads(answer)
            status = child.wait()
            said.seek(0)
            raise command.ended(way, status, said.read())

        yield ask


def measure(model: str, size: Size, depth: int, rounds: int, ways: list[str]) -> dict[str, Any]:
    """Medians per way over rounds in which all take turns. A single middle frame first warms each up."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as running:
        folders = {way: Path(scratch, way) for way in ways}
        result: dict[str, Any] = {}
        workers = {}
        for way, folder in folders.items():
            started = time.perf_counter()
            with process(way, model, size, folder) as ask:
                first = ask(1)
                result[way] = {name: value for name, value in first.items() if name not in MEASURED}
                result[way]["start_s"] = time.perf_counter() - started  # from the process' start to its first middle
            started = time.perf_counter()  # once more, now that what it converts is there
            workers[way] = running.enter_context(process(way, model, size, folder))
            workers[way](1)
            result[way]["start_again_s"] = time.perf_counter() - started
        answers: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for turn in range(rounds):
            for way in ways if turn % 2 == 0 else ways[::-1]:
                answers[way].append(workers[way](depth))
                print(f"  round {turn + 1} {way}: {answers[way][-1]['s']:.2f} s per frame", file=sys.stderr, flush=True)
        running.close()  # what follows has the machine for itself
        middles = {way: np.load(folder / "middle.npy") for way, folder in folders.items()}
        gflop = 0.0
        if "engine" in ways:
            os.environ["FILM_CACHE"] = str(folders["engine"] / "cache")
            gflop = work(model, size.height, size.width, depth)
    for way in ways:
        facts = result[way] = answers[way][-1] | result[way]
        facts |= {key: statistics.median(answer[key] for answer in answers[way]) for key in ("s", "cpu_s")}
        if way != ways[0]:
            pairs = list(zip(answers[way], answers[ways[0]], strict=True))
            facts["ratio"] = statistics.median(other["s"] / ours["s"] for other, ours in pairs)
            facts["cpu_ratio"] = statistics.median(other["cpu_s"] / ours["cpu_s"] for other, ours in pairs)
        if "tensorflow" in ways and way != "tensorflow":
            error = middles[way] - middles["tensorflow"]
            facts["difference"] = float(np.abs(error).max())
            facts["psnr"] = -10 * math.log10(float(np.square(error).mean()))
    if "engine" in ways:
        result["engine"]["share_of_peak"] = gflop / result["engine"]["s"] / convolution_peak()
    return result


def full_size(directory: Path) -> str:
    """A full-size FILM with random variables, in the form of the official one, written to `directory`."""
    program = [sys.executable, "-m", "tests.support.keras2_film", "64", str(directory)]
    export = subprocess.run(program, capture_output=True, text=True)
    if export.returncode:
        raise command.ended("keras2_film", export.returncode, export.stderr)
    return str(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=command.model, help="film-lite or a SavedModel directory (default: full-size, random variables)"
    )
    parser.add_argument("--size", type=command.size, default="512x512", metavar="WxH")
    parser.add_argument("--depth", type=command.number(1, bisection.MAX_DEPTH), default=3)
    parser.add_argument("--rounds", type=command.number(1), default=3)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options.worker, options.model, options.size.height, options.size.width)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            model = options.model or full_size(Path(scratch) / "film")
            result = measure(model, options.size, options.depth, options.rounds, options.ways)
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"{options.size}, depth {options.depth}, {os.cpu_count()} cores, {platform.machine()}")
    columns = "s ratio cpu_s cpu_ratio peak_gb convert_s convert_model_s convert_peak_gb".split()
    columns += "start_s start_again_s share_of_peak difference psnr".split()
    print(f"{'':18}" + "".join(f"{column:>16}" for column in columns))
    for way, facts in result.items():
        cells = [f"{facts[column]:.3g}" if column in facts else "" for column in columns]
        print(f"{way:18}" + "".join(f"{cell:>16}" for cell in cells))
    if options.json:
        told = {"size": str(options.size), "depth": options.depth, "ways": result}
        options.json.write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
