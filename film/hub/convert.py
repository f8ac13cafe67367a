"""SavedModel -> OpenVINO IR on disk: once, atomically, and verified before it is trusted.

A converted model is a directory named by the fingerprint of the SavedModel's content and of the converter. It
appears by one rename, so it is complete or absent; its manifest holds the hash of every file, so one that was damaged
later is rebuilt. A lock file keeps two processes from converting the same model at once.

Where the variables are FILM's, the graphs are built directly from them (`networks/film.py`) and compared once with
TensorFlow's own output. Otherwise OpenVINO converts the whole SavedModel, as its tutorial does. A directory that holds
its variables as `variables.npz` too is of a network that makes any moment; its graphs are built from these, without
TensorFlow.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from filelock import FileLock
from PIL import Image

from film.hub import torch_weights
from film.hub.download import VARIABLES
from film.hub.saved_model import SavedModel
from film.networks import compact, precision, rife
from film.networks import film as network
from film.support import atomic_file

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FORMAT = 10  # of what is kept: raise it when the graphs that are built from a model, or the manifest, change
COMPILED = "compiled"  # the folder, in the cache, of what OpenVINO has compiled of each converted model
# Of the output's range. Far above float32 rounding through 80 layers (1e-6 … 1e-5), far below any wrong graph.
CHECK_TOLERANCE = 1e-3
WHOLE_BYTES_PER_PIXEL = 3_500  # a full-size FILM converted whole takes 3.7 - 4.6 GB for 512x512, five such sets
OTHER_LEVELS = (6, 5, 8)  # pyramid levels tried when the published 7 does not reproduce the SavedModel
UNUSED_DAYS = 60  # a converted model that was not used for so long goes when another one comes
KINDS = ("direct", "whole")
FACTS = ("kind", "alignment", "bytes_per_pixel", "honours_time")  # of a converted model, in its manifest


@dataclass(frozen=True)
class Converted:
    """A model as IR files. `kind` is "direct" (encoder.xml, synthesizer.xml) or "whole" (film.xml)."""

    directory: Path
    kind: str
    alignment: int  # height and width of what the graphs see must be multiples of this; a power of two
    bytes_per_pixel: int  # of one frame's features; what else inference needs is in proportion to it
    honours_time: bool = False  # whether any moment between two frames takes one call

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.alignment.bit_count() != 1 or self.bytes_per_pixel < 1:
            raise ValueError(f"{self.kind!r}, {self.alignment!r}, {self.bytes_per_pixel!r}")

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.directory)

    @property
    def present(self) -> bool:
        """Whether the files are there, at a glance; `find` looks closer."""
        return all(file.is_file() and file.with_suffix(".bin").is_file() for file in self.files)

    @property
    def files(self) -> tuple[Path, ...]:
        names = ("film",) if self.kind == "whole" else ("encoder", "synthesizer")
        return tuple(self.directory / f"{name}.xml" for name in names)


def fingerprint(saved_model: Path) -> str:
    """Hash of everything in the SavedModel that decides what it computes. ValueError if there is no SavedModel."""
    files = [saved_model / "saved_model.pb", *sorted((saved_model / "variables").glob("variables.*"))]
    files = [variables] if (variables := of_variables(saved_model)) else files
    digest = hashlib.sha256()
    try:
        for file in files:
            digest.update(f"{file.name} {file.stat().st_size}\n".encode())
            digest.update(_sha256(file).encode())
    except FileNotFoundError as error:
        raise ValueError(f"{saved_model} is not a SavedModel directory: {error.filename} is missing.") from error
    return digest.hexdigest()[:32]


def of_variables(source: Path) -> Path | None:
    """The file of variables of a network that makes any moment; None for a SavedModel alone, which takes TensorFlow."""
    if source.is_file():
        return source
    return source / VARIABLES if (source / VARIABLES).is_file() else None


def fingerprint_of(directory: Path) -> str:
    """The fingerprint of the model that was converted into that directory."""
    return directory.name.partition("-")[0]


def find(model_fingerprint: str, cache: Path) -> Converted | None:
    """The converted model of that fingerprint if it is there and undamaged, else None."""
    directory = _directory(model_fingerprint, cache)
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
        converted = Converted(directory, **{name: manifest[name] for name in FACTS})
        for file in converted.files:
            for part in (file, file.with_suffix(".bin")):
                if _sha256(part) != manifest["files"][part.name]:
                    log.warning("The converted model in %s is damaged (%s); it will be rebuilt.", directory, part.name)
                    return None
        with contextlib.suppress(OSError):  # a cache that is only read: then nothing in it goes, either
            os.utime(directory)
        return converted
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("The converted model in %s has an unreadable manifest (%s); rebuilding.", directory, error)
        return None


def seems_kept(model_fingerprint: str, cache: Path) -> bool:
    """Whether there is a converted model of that fingerprint, at a glance; `find` looks closer."""
    return (_directory(model_fingerprint, cache) / MANIFEST).is_file()


def convert(saved_model: Path, cache: Path) -> Converted:
    """The converted form of a SavedModel, made now unless it is in the cache.

    Raises ValueError if the SavedModel is not a FILM, RuntimeError with the tool's words if loading, converting or
    writing fails.
    """
    key = fingerprint(saved_model)
    directory = _directory(key, cache)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _delete_old(directory.parent)
        with _lock(directory):
            if converted := find(key, cache):
                return converted
            with atomic_file.folder(directory) as partial:
                converted = _write(saved_model, partial)
    except OSError as error:
        raise RuntimeError(
            f"The converted model cannot be written to {cache}: {error}. FILM_CACHE can name another directory."
        ) from error
    return replace(converted, directory=directory)


def _delete_old(directory: Path) -> None:
    """Delete what killed conversions left, and models not used for long, also those of other versions of this program
    or of OpenVINO."""
    oldest = time.time() - UNUSED_DAYS * 86_400
    for kept in directory.iterdir():
        abandoned = kept.suffix == ".partial"
        if abandoned or ((kept / MANIFEST).is_file() and kept.stat().st_mtime < oldest):
            with contextlib.suppress(OSError), _lock(directory / kept.name.removesuffix(".partial"), timeout=0):
                shutil.rmtree(kept, ignore_errors=True)  # nobody writes it, else its lock were taken
                if not abandoned:
                    shutil.rmtree(directory.parent / COMPILED / kept.name, ignore_errors=True)


def _directory(model_fingerprint: str, cache: Path) -> Path:
    return cache / "ir" / f"{model_fingerprint}-{FORMAT}-{ov.__version__.split('-')[0]}"


def _lock(directory: Path, timeout: float = -1) -> FileLock:
    return FileLock(directory.with_name(f"{directory.name}.lock"), timeout)


def _write(source: Path, directory: Path) -> Converted:
    variables = of_variables(source)
    graphs, alignment, honours_time = _timed_graphs(variables) if variables else _graphs(SavedModel(source))
    kind = "whole" if "film" in graphs else "direct"
    for name, graph in graphs.items():
        path = directory / f"{name}.xml"
        try:
            ov.save_model(graph, path, compress_to_fp16=False)
        except RuntimeError as error:  # of a full disk it only says "iostream error"
            free = shutil.disk_usage(directory).free
            raise OSError(f"{error} ({path.name}; {free / 1e6:.1f} MB are free)") from error
        if kind == "direct":
            precision.mark(path)
    files = {path.name: _sha256(path) for path in sorted(directory.iterdir())}
    features = WHOLE_BYTES_PER_PIXEL if kind == "whole" else _bytes_per_pixel(graphs["encoder"])
    converted = Converted(directory, kind, alignment, features, honours_time)
    facts = {name: getattr(converted, name) for name in FACTS}
    (directory / MANIFEST).write_text(json.dumps(facts | {"files": files}, indent=2))
    return converted


def _timed_graphs(path: Path) -> tuple[dict[str, ov.Model], int, bool]:
    """`_graphs` of a network that makes any moment, from its file of variables."""
    if path.suffix == ".npz":
        try:
            with np.load(path) as file:
                variables = {name: file[name].astype(np.float32) for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} does not hold a network's variables: {error}") from error
    else:
        variables = torch_weights.read(path)
    family: Any = rife if "encode.cnn0.weight" in variables else compact
    size = family.Architecture.of(variables)
    graphs = {"encoder": family.encoder(variables, size), "synthesizer": family.synthesizer(variables, size)}
    return graphs, size.alignment, True


def _graphs(source: SavedModel) -> tuple[dict[str, ov.Model], int, bool]:
    """The graphs by file name, the alignment they need, and whether they honour the time."""
    try:
        network.Architecture.of(source.variables)
    except ValueError as error:
        log.warning("%s The whole SavedModel is converted instead.", error)
    else:
        for levels in (network.PYRAMID_LEVELS, *OTHER_LEVELS):
            architecture = network.Architecture.of(source.variables, levels)
            x0, x1 = _check_pair(max(64, architecture.alignment))
            expected = source.at(x0, x1, 0.5)
            graphs = {
                "encoder": network.encoder(source.variables, architecture),
                "synthesizer": network.synthesizer(source.variables, architecture),
            }
            difference = float(np.abs(_run(graphs, x0, x1) - expected).max())
            if difference <= CHECK_TOLERANCE * max(1.0, float(np.ptp(expected))):
                log.info("Direct graph with %d levels: within %.1e of TensorFlow.", levels, difference)
                return graphs, architecture.alignment, False
        log.warning(
            "The directly built graph differs from the SavedModel by %.1e; the whole SavedModel is converted instead.",
            difference,
        )
    try:
        honours_time = _honours_time(source)
        traced = source.traced(with_time=honours_time).get_concrete_function()
        return {"film": ov.convert_model(traced)}, network.ALIGNMENT, honours_time
    except Exception as error:  # the frontend raises its own types
        raise RuntimeError(f"OpenVINO cannot convert {source.directory}: {error}") from error


def _honours_time(source: SavedModel) -> bool:
    """Whether another time gives another frame, tried once on two moving pictures."""
    if not source.takes_time:
        return False
    x0, x1 = _check_pair(128)
    early, late = (source.at(x0, x1, time) for time in (0.25, 0.75))
    return float(np.abs(early - late).max()) > CHECK_TOLERANCE * max(1.0, float(np.ptp(early)))


def _bytes_per_pixel(encoder: ov.Model) -> int:
    """Size of a feature set, float32, divided by the pixels of its frame."""
    encoder = encoder.clone()
    encoder.reshape([1, 3, 256, 256])
    return math.ceil(sum(math.prod(port.shape) for port in [encoder.input(), *encoder.outputs]) * 4 / 256**2)


def _check_pair(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Two (1, side, side, 3) views of one smooth random texture, a few pixels apart."""
    noise = np.random.default_rng(0).integers(0, 256, (side // 8 + 1, side // 8 + 1, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((side + 8, side + 8), Image.Resampling.BICUBIC)
    texture = np.asarray(smooth, np.float32)[None] / 255
    return texture[:, :-8, :-8], texture[:, 3:-5, 6:-2]


def _run(graphs: dict[str, ov.Model], x0: np.ndarray, x1: np.ndarray) -> np.ndarray:
    """The middle of x0 and x1 (1, H, W, 3) by the two graphs, as they will be compiled on a CPU."""
    core = ov.Core()
    config = {"EXECUTION_MODE_HINT": "ACCURACY"}
    encode = core.compile_model(graphs["encoder"], "CPU", config)
    synthesize = core.compile_model(graphs["synthesizer"], "CPU", config)
    inputs: dict[str, np.ndarray] = {}
    for prefix, x in (("first", x0), ("last", x1)):
        image = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        features = encode({"image": image})
        inputs |= {f"{prefix}_{port.get_any_name()}": features[port].copy() for port in encode.outputs}
        inputs[f"{prefix}_image_0"] = image
    return synthesize(inputs)["middle"].transpose(0, 2, 3, 1)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
