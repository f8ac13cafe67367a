"""FILM on OpenVINO: a model that downloads, converts and compiles itself when it is first needed."""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import openvino as ov

from film import catalog, convert, cut, memory, tensorflow_process, tiles
from film.interpolator import Interpolator, Preparation
from film.session import DirectSession, Session, WholeSession
from film.tiled import TiledGraphs, TiledSession

log = logging.getLogger(__name__)

# A single inference keeps a few cores busy; with more of them, independent middles are made side by side. On two cores
# two lanes measured 0 - 10 % faster for film-lite and no faster for FILM, for twice the scratch memory: not worth it.
CORES_PER_LANE = 4
MAX_LANES = 64
COMPILED_SHAPES = 2  # kept per model: each holds its weights and scratch memory until it is dropped
# Flows address pixels, and bfloat16 counts exactly only to 256: full precision unless somebody asks otherwise.
CONFIG = {"EXECUTION_MODE_HINT": "ACCURACY", "PERFORMANCE_HINT": "LATENCY"}
# Scratch memory of the synthesizer, in feature sets (2.3 measured for 64 filters, 2.9 for 8).
SCRATCH_SETS = 3
# What the coarse half of a tiled frame needs, as a share of what the whole frame would (cut at the first level).
COARSE_SHARE = 0.06
# Of one compiled model, in sizes of its weights: as a file, as constants, packed for the processor, with margin.
WEIGHT_COPIES = 6


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
class Shape:
    """What graphs are compiled for."""

    frame: tuple[int, int]  # height and width, padded to the model's alignment
    tile: tuple[int, int]  # the same if the frame fits the memory whole
    lanes: int = 1  # middles that may be in the works at once
    level: int = 0  # where the graphs are cut, for tiles

    @property
    def tiled(self) -> bool:
        return self.tile != self.frame


@dataclass(frozen=True)
class Compiled:
    """A model compiled for one shape; shared by threads, never changed."""

    shape: Shape
    graphs: tuple[ov.CompiledModel, ...]  # encoder and synthesizer; the four of `TiledGraphs`; or the whole model
    device: str  # that really runs it


class Film(Interpolator):
    """A model of the catalog on one device.

    Threads may share it: the first to need something downloads, converts or compiles it while the others wait, and
    every stream of frames gets a session of its own.
    """

    def __init__(
        self, model: catalog.Model, device: str = "CPU", memory_gb: float | None = None, lanes: int | None = None
    ) -> None:
        if lanes is not None and (isinstance(lanes, bool) or not isinstance(lanes, int) or not 1 <= lanes <= MAX_LANES):
            raise ValueError(f"The number of lanes is {lanes!r}; it must be a whole number from 1 to {MAX_LANES}.")
        self.model = model
        self.name = model.name
        self.asked_device = check_device(device)
        self._budget = memory.budget(memory_gb)
        self._lanes = lanes or max(1, (os.cpu_count() or 1) // CORES_PER_LANE)
        self._lock = threading.RLock()  # guards what follows; held while converting or compiling
        self._converted: convert.Converted | None = None
        self._compiled: OrderedDict[Shape, Compiled] = OrderedDict()  # least recently used first

    @property
    def device(self) -> str:
        compiled = next(reversed(list(self._compiled.values())), None)
        return compiled.device if compiled else self.asked_device

    def preparation(self, height: int, width: int) -> Preparation:
        if self._find_converted() is None:
            if catalog.downloaded(self.model) is None:
                yield "downloading", lambda: tensorflow_process.fetch(self.model)
            yield "converting", self.converted
        if self.shape(height, width) not in self._compiled:
            yield "compiling", lambda: self.compiled(height, width)

    def session(self, height: int, width: int) -> Session[Any]:
        compiled = self.compiled(height, width)
        graphs = compiled.graphs
        if self.converted().kind == "whole":
            return WholeSession(graphs[0], (height, width))
        if compiled.shape.tiled:
            return TiledSession(
                TiledGraphs(graphs[0], graphs[1], graphs[2], graphs[3], compiled.shape.level),
                (height, width),
                self.converted().alignment,
            )
        feature_set = self.converted().bytes_per_pixel * math.prod(compiled.shape.frame)
        capacity = self._available(compiled.shape.frame) // feature_set - SCRATCH_SETS * compiled.shape.lanes
        return DirectSession(graphs[0], graphs[1], (height, width), capacity, compiled.shape.lanes)

    def shape(self, height: int, width: int) -> Shape:
        """What the graphs are compiled for to make frames of this size within the memory budget."""
        alignment = self.converted().alignment
        frame = (math.ceil(height / alignment) * alignment, math.ceil(width / alignment) * alignment)
        pixels = self._pixels_in_budget(frame)
        if self.converted().kind == "whole":
            return Shape(frame, frame)
        if math.prod(frame) <= pixels:
            feature_set = self.converted().bytes_per_pixel * math.prod(frame)
            room = (self._available(frame) // feature_set) // (SCRATCH_SETS + 2)
            return Shape(frame, frame, lanes=min(self._lanes, room))
        for level in (level for level in cut.LEVELS if 2**level <= alignment):  # a flow level that this model has
            # The coarse half works at a quarter of the pixels, and an eighth of their side, per level.
            coarse = math.prod(frame) * COARSE_SHARE // 4 ** (level - cut.LEVELS[0])
            if coarse <= pixels // 2:
                break
        tile = tiles.tile_size(*frame, int(pixels - coarse), alignment)
        return Shape(frame, tile, level=level) if tile != frame else Shape(frame, frame)

    def converted(self) -> convert.Converted:
        """The model as IR on disk, downloaded and converted now if it is not in the cache."""
        with self._lock:
            if self._find_converted() is None:
                source = tensorflow_process.fetch(self.model)
                self._converted = tensorflow_process.convert_model(source, catalog.cache_directory())
                self._remember_fingerprint(convert.fingerprint(source))
            return cast(convert.Converted, self._converted)

    def compiled(self, height: int, width: int) -> Compiled:
        """The graphs for frames of that size, at static shapes: dynamic ones leak memory on CPUs."""
        with self._lock:
            shape = self.shape(height, width)
            if shape not in self._compiled:
                self._make_room(shape)
                self._compiled[shape] = self.compile(shape)
            self._compiled.move_to_end(shape)
            return self._compiled[shape]

    def _make_room(self, shape: Shape) -> None:
        """Drop the shapes that were not used for longest, until one more may be compiled."""
        kept = self._compiled
        limit = self._pixels_in_budget(shape.frame)
        while kept and (
            len(kept) >= COMPILED_SHAPES or sum(math.prod(s.tile) * s.lanes for s in [shape, *kept]) > limit
        ):
            kept.popitem(last=False)

    def _pixels_in_budget(self, frame: tuple[int, int]) -> int:
        """How many pixels may be inferred at once."""
        return self._available(frame) // ((SCRATCH_SETS + 2) * self.converted().bytes_per_pixel)

    def _available(self, frame: tuple[int, int]) -> int:
        """Bytes of the budget beside the model's weights and the frames themselves (two ends, a middle, copies)."""
        weights = sum(path.with_suffix(".bin").stat().st_size for path in self.converted().files)
        return max(0, self._budget - WEIGHT_COPIES * weights - 6 * math.prod(frame) * 3 * 4)

    def compile(self, shape: Shape) -> Compiled:
        """The graphs at one static shape, compiled anew and not kept; see `compiled`."""
        models = [core().read_model(path) for path in self.converted().files]
        if self.converted().kind == "whole":
            models[0].reshape({port.get_any_name(): [1, *shape.frame, 3] for port in models[0].inputs})
        elif shape.tiled:
            encoder, synthesizer = models
            scale = 2 ** cut.image_level(encoder, shape.level)
            flow_shape = [1, 2, *(side >> shape.level for side in shape.tile)]
            flows = {"forward": flow_shape, "backward": flow_shape}
            coarse = cut.coarse_encoder(encoder, shape.level), cut.coarse_flow(synthesizer, shape.level)
            fine = cut.fine_encoder(encoder, shape.level), cut.fine_synthesizer(synthesizer, shape.level)
            _reshape(*coarse, (shape.frame[0] // scale, shape.frame[1] // scale))
            _reshape(*fine, shape.tile, flows)
            models = [*coarse, *fine]
        else:
            _reshape(models[0], models[1], shape.frame)
        graphs = tuple(self._compile_graph(model, shape.lanes) for model in models)
        return Compiled(shape, graphs, ", ".join(graphs[-1].get_property("EXECUTION_DEVICES")))

    def _compile_graph(self, model: ov.Model, lanes: int) -> ov.CompiledModel:
        config = CONFIG if lanes == 1 else {**CONFIG, "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": lanes}
        # Small entries without the weights: whole ones measured slower to load than compiling anew, and 350 MB each.
        cache = {"CACHE_MODE": "OPTIMIZE_SIZE", "CACHE_DIR": str(catalog.cache_directory() / "compiled")}
        try:
            return core().compile_model(model, self.asked_device, {**config, **cache})
        except RuntimeError as error:  # a damaged cache entry, a full disk: neither is needed to compile
            log.warning("Compiling through OpenVINO's cache failed (%s); compiling without it.", error)
        try:
            return core().compile_model(model, self.asked_device, config)
        except RuntimeError as error:
            raise RuntimeError(f"OpenVINO cannot compile {self.name} for {self.asked_device}: {error}") from error

    def _find_converted(self) -> convert.Converted | None:
        """The converted model if it is there already; needs neither TensorFlow nor the network."""
        with self._lock:
            if self._converted is None:
                source = catalog.downloaded(self.model)
                key = convert.fingerprint(source) if source else self._recall_fingerprint()
                self._converted = convert.find(key, catalog.cache_directory()) if key else None
                if key and self._converted:
                    self._remember_fingerprint(key)
            return self._converted

    # TensorFlow Hub's cache may be emptied (by default it lies in the temporary directory), the converted model
    # stays: what a URL was when it was converted is noted beside it.

    @property
    def _note(self) -> Path:
        return catalog.cache_directory() / "handles" / hashlib.sha256(self.model.handle.encode()).hexdigest()

    def _recall_fingerprint(self) -> str | None:
        return self._note.read_text() if self._note.is_file() else None

    def _remember_fingerprint(self, key: str) -> None:
        if not self.model.remote or self._recall_fingerprint() == key:
            return
        partial = self._note.with_suffix(f".{os.getpid()}")
        try:
            self._note.parent.mkdir(exist_ok=True)
            partial.write_text(key)
            os.replace(partial, self._note)
        except OSError as error:  # a read-only or full cache: the model is here, the note only saves a download
            log.warning("What %s was cannot be noted: %s", self.name, error)


def _reshape(
    encoder: ov.Model, synthesizer: ov.Model, size: tuple[int, int], others: dict[str, list[int]] | None = None
) -> None:
    """Fix an encoder's input to (height, width), and the inputs of its synthesizer to what it will give."""
    encoder.reshape([1, 3, *size])
    shapes = {port.get_any_name(): list(port.shape) for port in encoder.outputs}
    shapes["image_0"] = [1, 3, *size]
    names = [port.get_any_name() for port in synthesizer.inputs]
    given = others or {}
    synthesizer.reshape({name: given.get(name) or shapes[name.partition("_")[2]] for name in names})
