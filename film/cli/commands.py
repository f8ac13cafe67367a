"""The command line: `python -m film …`, thin over the pipeline."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import logging
import os
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import film
from film.batch import jobs, runner
from film.batch.manifest import Manifest
from film.batch.ray_cluster import CPUS, Cluster
from film.batch.runner import BatchOptions, Failed
from film.cli import progress
from film.engine.openvino_backend import Film
from film.hub import registry
from film.media import images, video_reader, video_writer
from film.rendering import checkpoint, pipeline
from film.rendering.options import PHOTO_FIELDS, VIDEO_FIELDS, FilmOptions, PhotoOptions, VideoOptions
from film.support import errors

BAD_INPUT = 2  # what argparse itself exits with
WRONG_INPUT = (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_SIGPIPE = 141  # 128 + SIGPIPE: whoever read what is printed has left
MODEL = "see `models` (default film-lite); or a TensorFlow Hub URL, a SavedModel's folder, a file of RIFE weights"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are one line on standard error."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by `2>&-`
            setattr(sys, name, open(os.devnull, "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name it cannot write is no reason to fail; stderr's way
    options = _options(arguments)
    logging.basicConfig(level=logging.WARNING, format="film: %(message)s")
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return EXIT_SIGPIPE
    except (ValueError, RuntimeError, OSError) as error:
        print(f"film: {errors.sentence(error)}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, WRONG_INPUT) else FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _silence() -> None:
    """Let what is still to be printed go nowhere: Python complains when it cannot flush at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _rate(text: str) -> Fraction:
    """A number, such as 29.97, or a fraction, such as 30000/1001."""
    try:
        rate = Fraction(text)
        float(rate)  # refuses what is larger than any
        return rate
    except (ValueError, ZeroDivisionError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, or too large") from None


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error here."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"film: {message} (see {self.prog} --help)\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:  # argparse's own refusal would name the help of the whole, where no option of a command is
        names = [name for name in unknown if name.startswith("-") and Path(name).exists()]
        hint = f"; put -- before names that begin with a dash, such as {names[0]}" if names else ""
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m film",
        description="Make a smooth film from photos, or show a video in slow motion.",
        epilog="`python -m film COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"film {film.__version__}")
    parser.set_defaults(run=lambda _: parser.print_help(), parser=parser)  # where no command is given
    commands = parser.add_subparsers(metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        new = commands.add_parser(name, help=text, description=text)
        new.set_defaults(run=run, parser=new)
        return new

    interpolate = command("interpolate", _interpolate, "Make the film through two photos or more.")
    retime = command("retime", _retime, "Show a video in slow motion, or at another frame rate, or both.")
    interpolate.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="in order; or one folder of photos")
    retime.add_argument("video", type=Path, metavar="VIDEO")
    many = command("batch", _batch, "Make many films: of folders of photos, pairs of photos, and videos.")
    many.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help="folders, videos, two photos at a time")
    many.add_argument(
        "--pairs", action="append", default=[], type=Path, metavar="LIST", help="a text: two photos a line, and a comma"
    )
    many.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="made if it is not there")
    many.add_argument("--format", default="mp4", choices=[suffix[1:] for suffix in video_writer.WRITERS])
    many.add_argument(
        "--ray", metavar="ADDRESS", help="let a Ray cluster work: auto, HOST:6379, ray://HOST:10001, local"
    )
    many.set_defaults(backend="openvino")
    many.add_argument("--cpus-per-worker", type=int, default=CPUS, metavar="N", help=f"in the cluster (default {CPUS})")

    _add_options(interpolate, PhotoOptions)
    _add_options(retime, VideoOptions)
    _add_options(many, PhotoOptions, VideoOptions)
    for making in (interpolate, retime, many):
        making.add_argument("--model", default="film-lite", metavar="M", help=MODEL)
        making.add_argument("--device", default="CPU", metavar="D", help="see `devices` (default CPU)")
        making.add_argument(
            "--precision",
            default="auto",
            choices=["auto", "mixed", "exact", "fast"],
            help="mixed: convolutions in bfloat16 or float16, motion and pictures in float32; exact: all in float32;"
            " auto (default): mixed where the device is quicker by it; fast: an old name for mixed",
        )
        making.add_argument(
            "--memory-gb",
            type=float,
            metavar="G",
            help="for the model, or for that of each worker; larger frames are made in tiles",
        )
    for making in (interpolate, retime):
        formats = ", ".join(video_writer.WRITERS)
        making.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=formats)
        making.add_argument(
            "--backend",
            default="openvino",
            choices=["openvino", "tensorflow"],
            help="what runs the model: openvino (default), or tensorflow, the slower reference, on the CPU",
        )

    convert = command("convert", _convert, "Download and convert a model ahead of time; print where it is.")
    convert.add_argument("--model", default="film-lite", metavar="M", help=MODEL)
    command("models", _models, "List the models that can be chosen by name.")
    command("devices", _devices, "List the devices that can be chosen here.")
    return parser


def _add_options(parser: argparse.ArgumentParser, *kinds: type[FilmOptions]) -> None:
    """The fields of these options that say what the command line calls them; what is not given is None."""
    fields = {field.name: field for kind in kinds for field in dataclasses.fields(kind) if field.metadata}
    for name, field in fields.items():
        how, words = dict(field.metadata), str(field.type).split(" | ")
        flag = f"--{name.replace('_', '-')}"
        if field.default is True:
            flag, how["action"] = flag.replace("--", "--no-"), "store_false"
        elif field.default is False:
            how["action"] = "store_true"
        elif "int" in words:
            how["type"] = int
        elif "float" in words and "str" not in words:
            how["type"] = _rate if "Fraction" in words else float
        parser.add_argument(flag, dest=name, default=None, **how)


def _interpolate(options: argparse.Namespace) -> None:
    choices = PhotoOptions(**_given(options, PHOTO_FIELDS))
    photos = _photos(options.photos)
    _make(pipeline.interpolate(photos, _load(options), options.output, choices, resume=True), options.output)


def _photos(named: Sequence[Path]) -> Sequence[Path]:
    """The photos in order. ValueError where a video or an animation is named, which another command is for."""
    for path in named:
        if video_reader.is_video(path) and (path.suffix.lower() != ".gif" or len(named) == 1):  # two GIFs may be photos
            raise ValueError(f"{path} is a video and `interpolate` takes photos; for a video use `retime`.")
        if path.suffix.lower() in (".gif", ".webp"):
            try:
                images.image_size(path)
            except ValueError as error:
                hint = "; `retime` takes videos and animated GIFs." if "animated" in str(error) else "."
                raise ValueError(f"{str(error).removesuffix('.')}{hint}") from error
    return images.in_folder(named[0]) if len(named) == 1 else named


def _video(path: Path) -> Path:
    """The path itself. ValueError for a folder, or for a photo, which another command is for."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder and `retime` takes one video; for many use `batch`.")
    if path.suffix.lower() in images.SUFFIXES - {".webp"}:  # which `interpolate` may have refused as animated
        raise ValueError(
            f"{path} is a photo and `retime` takes a video, {video_reader.READ}; for photos use `interpolate`."
        )
    return path


def _retime(options: argparse.Namespace) -> None:
    video = _video(options.video)
    choices = VideoOptions(**_given(options, VIDEO_FIELDS))
    _make(pipeline.retime(video, _load(options), options.output, choices, resume=True), options.output)


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The choices of a film that are given, by the names of `rendering.options`; `--precision` is the model's."""
    given = {name: value for name, value in vars(options).items() if name in names and value is not None}
    given.pop("precision", None)
    return given


def _batch(options: argparse.Namespace) -> None:
    batch_options = BatchOptions(**_given(options, PHOTO_FIELDS | VIDEO_FIELDS))
    found = jobs.find(options.inputs, options.pairs, options.output, f".{options.format}")
    batch_options.check(found)
    identity = runner.identity(registry.find(options.model), options.device, options.precision)
    cluster: Cluster | None = None
    if options.ray is not None:
        kind = {"cpus_per_worker": options.cpus_per_worker, "memory_gb": options.memory_gb}
        cluster = Cluster(options.ray, options.model, options.device, options.precision, **kind)
    renderer = cluster or _load(options)
    manifest = Manifest(options.output)
    shown = progress.show_plans(runner.plans(found, batch_options))
    planned = {job: plan for job, plan in shown.items() if not isinstance(plan, Failed)}
    try:
        with contextlib.ExitStack() as stack:
            if cluster and planned:
                stack.enter_context(cluster)
                machines = "1 machine" if cluster.machines == 1 else f"{cluster.machines} machines"
                print(f"Ray at {options.ray}: {cluster.size} workers on {machines}", file=sys.stderr)
            films = runner.run(planned, renderer, batch_options, manifest, identity, cluster.room if cluster else None)
            told = stack.enter_context(contextlib.closing(films))
            failed = [job for job in shown if job not in planned] + progress.show(told, planned)
    except KeyboardInterrupt:
        print(f"film: what is finished lies in {options.output}; the same command goes on from there.", file=sys.stderr)
        raise
    if failed:
        names = ", ".join(job.name for job in failed)
        raise RuntimeError(f"{len(failed)} of {len(shown)} films could not be made: {names}.")


def _load(options: argparse.Namespace) -> film.Interpolator:
    return film.load(
        options.model, options.device, options.backend, memory_gb=options.memory_gb, precision=options.precision
    )


def _make(events: Generator[pipeline.Event], output: Path) -> None:
    """Show the events; tell where the parts are when the film is interrupted or fails."""
    begun = False

    def watched() -> Iterator[tuple[None, pipeline.Event]]:
        nonlocal begun
        for event in events:
            begun = begun or isinstance(event, pipeline.Stage) and event.name == runner.STARTED
            yield None, event

    try:
        with contextlib.closing(events):
            progress.show(watched())
    except BaseException as error:
        if begun and checkpoint.is_kept(kept := checkpoint.folder(output)):
            # What failed may fail again.
            on = "; the same command goes on from there" if isinstance(error, KeyboardInterrupt) else ""
            print(f"film: what is finished lies in {kept}{on}.", file=sys.stderr)
        raise


def _convert(options: argparse.Namespace) -> None:
    model = film.load(options.model)
    assert isinstance(model, Film)
    print(model.converted().directory)


def _models(_: argparse.Namespace) -> None:
    for model in film.models():
        size = f", {model.megabytes:g} MB to download once" if model.megabytes else ""
        credits = f" ({model.credits})" if model.credits else ""
        print(f"{model.name:10} {model.summary}{size}{credits}")


def _devices(_: argparse.Namespace) -> None:
    for device, name in film.devices().items():
        print(f"{device:10} {name}")
