"""FILM on OpenVINO: a model that downloads, converts and compiles itself when it is first needed."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import openvino as ov

from film import catalog, convert, tensorflow_process
from film.interpolator import Interpolator, Preparation
from film.session import DirectSession, Session, WholeSession

log = logging.getLogger(__name__)

COMPILED_SIZES = 2  # kept per model: a compiled size holds its weights and scratch memory until it is dropped
# Flows address pixels, and bfloat16 counts exactly only to 256: full precision unless somebody asks otherwise.
CONFIG = {"EXECUTION_MODE_HINT": "ACCURACY", "PERFORMANCE_HINT": "LATENCY"}


@functools.cache
def core() -> ov.Core:
    """OpenVINO itself; one per process."""
    return ov.Core()


def devices() -> dict[str, str]:
    """The devices that can be asked for here, by OpenVINO's name, each with its full name."""
    names = {"AUTO": "chosen by OpenVINO"}
    for device in core().available_devices:
        names[device] = str(core().get_property(device, "FULL_DEVICE_NAME")).strip()
    return names


def check_device(device: str) -> str:
    """`device` itself. ValueError if it cannot be asked for here."""
    if device not in (known := devices()):
        raise ValueError(f"There is no device {device!r} on this machine; choose one of {', '.join(known)}.")
    return device


@dataclass(frozen=True)
class Compiled:
    """A model compiled for one padded size; shared by threads, never changed."""

    kind: str  # as in `convert.Converted`
    graphs: tuple[ov.CompiledModel, ...]  # encoder and synthesizer, or the whole model

    @property
    def device(self) -> str:
        return ", ".join(self.graphs[-1].get_property("EXECUTION_DEVICES"))


class Film(Interpolator):
    """A model of the catalog on one device.

    Threads may share it: the first to need something downloads, converts or compiles it while the others wait, and
    every stream of frames gets a session of its own.
    """

    def __init__(self, model: catalog.Model, device: str = "CPU", feature_sets: int = 3) -> None:
        self.model = model
        self.name = model.name
        self._asked_device = check_device(device)
        self._feature_sets = feature_sets
        self._lock = threading.RLock()  # guards what follows; held while converting or compiling
        self._converted: convert.Converted | None = None
        self._compiled: OrderedDict[tuple[int, int], Compiled] = OrderedDict()  # least recently used first

    @property
    def device(self) -> str:
        compiled = next(reversed(list(self._compiled.values())), None)
        return compiled.device if compiled else self._asked_device

    def preparation(self, height: int, width: int) -> Preparation:
        if self._find_converted() is None:
            if catalog.downloaded(self.model) is None:
                yield "downloading", lambda: tensorflow_process.fetch(self.model)
            yield "converting", self.converted
        if self.padded(height, width) not in self._compiled:
            yield "compiling", lambda: self.compiled(height, width)

    def session(self, height: int, width: int) -> Session[Any]:
        compiled = self.compiled(height, width)
        if compiled.kind == "direct":
            encoder, synthesizer = compiled.graphs
            return DirectSession(encoder, synthesizer, (height, width), self._feature_sets)
        return WholeSession(compiled.graphs[0], (height, width))

    def converted(self) -> convert.Converted:
        """The model as IR on disk, downloaded and converted now if it is not in the cache."""
        with self._lock:
            if self._find_converted() is None:
                source = tensorflow_process.fetch(self.model)
                self._converted = tensorflow_process.convert_model(source, catalog.cache_directory())
                if self.model.remote:
                    self._remember_fingerprint(convert.fingerprint(source))
            return cast(convert.Converted, self._converted)

    def compiled(self, height: int, width: int) -> Compiled:
        """The graphs compiled for frames of that size, at a static shape: dynamic ones leak memory on CPUs."""
        with self._lock:
            size = self.padded(height, width)
            if size not in self._compiled:
                compiled = self._compile(size)
                while len(self._compiled) >= COMPILED_SIZES:
                    self._compiled.popitem(last=False)
                self._compiled[size] = compiled
            self._compiled.move_to_end(size)
            return self._compiled[size]

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The size the graphs see: both sides rounded up to the model's alignment. Converts if need be."""
        alignment = self.converted().alignment
        return -(-height // alignment) * alignment, -(-width // alignment) * alignment

    def _compile(self, size: tuple[int, int]) -> Compiled:
        converted = self.converted()
        models = [core().read_model(path) for path in converted.files]
        if converted.kind == "direct":
            encoder, synthesizer = models
            encoder.reshape([1, 3, *size])
            shapes = {port.get_any_name(): list(port.shape) for port in [encoder.input(), *encoder.outputs]}
            shapes["image_0"] = shapes.pop("image")
            names = [port.get_any_name() for port in synthesizer.inputs]
            synthesizer.reshape({name: shapes[name.partition("_")[2]] for name in names})
        else:
            models[0].reshape({port.get_any_name(): [1, *size, 3] for port in models[0].inputs})
        return Compiled(converted.kind, tuple(self._compile_graph(model) for model in models))

    def _compile_graph(self, model: ov.Model) -> ov.CompiledModel:
        cache = {"CACHE_DIR": str(catalog.cache_directory() / "compiled")}
        try:
            return core().compile_model(model, self._asked_device, CONFIG | cache)
        except RuntimeError as error:  # a damaged cache entry, a full disk: neither is needed to compile
            log.warning("Compiling through OpenVINO's cache failed (%s); compiling without it.", error)
        try:
            return core().compile_model(model, self._asked_device, CONFIG)
        except RuntimeError as error:
            raise RuntimeError(f"OpenVINO cannot compile {self.name} for {self._asked_device}: {error}") from error

    def _find_converted(self) -> convert.Converted | None:
        """The converted model if it is there already; needs neither TensorFlow nor the network."""
        with self._lock:
            if self._converted is None:
                source = catalog.downloaded(self.model)
                key = convert.fingerprint(source) if source else self._recall_fingerprint()
                self._converted = convert.find(key, catalog.cache_directory()) if key else None
            return self._converted

    # TensorFlow Hub's cache may be emptied (by default it lies in the temporary directory), the converted model
    # stays: what a URL was when it was converted is noted beside it.

    @property
    def _note(self) -> Path:
        return catalog.cache_directory() / "handles" / hashlib.sha256(self.model.handle.encode()).hexdigest()

    def _recall_fingerprint(self) -> str | None:
        return self._note.read_text() if self._note.is_file() else None

    def _remember_fingerprint(self, key: str) -> None:
        self._note.parent.mkdir(exist_ok=True)
        partial = self._note.with_suffix(f".{os.getpid()}")
        partial.write_text(key)
        os.replace(partial, self._note)
