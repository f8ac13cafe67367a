"""A converted model made ready for one size on one device, within a memory budget."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from film.engine import tiling
from film.engine.devices import core, has_short_floats
from film.engine.session import DirectSession, PairSession, Session, aligned
from film.hub.convert import Converted
from film.networks import graph_split
from film.networks.precision import handing_over_bfloat16
from film.support import memory

log = logging.getLogger(__name__)

# "mixed": what `networks.precision` marks is float32, the rest is what the device is fastest in. "exact": float32.
EXECUTION_MODES = {"mixed": "PERFORMANCE", "exact": "ACCURACY"}
# Scratch memory of the synthesizer, in float32 feature sets (3.3 measured for FILM, 5.3 for film-lite).
SCRATCH_SETS = 5
# Of that and of the features, what is taken where convolutions are in bfloat16 (0.57 measured for FILM and film-lite).
BFLOAT16_SHARE = 2 / 3
# What the coarse half of a tiled frame needs, as a share of what the whole frame would (cut at the first level).
COARSE_SHARE = 0.06
# Of one compiled model, in sizes of its weights: as a file, as constants, packed for the processor, with margin.
WEIGHT_COPIES = 6
TIMED_CUT = 3  # the tensors of a cut of a network that makes any moment are of 1/8 size
CACHED_GRAPHS = 100  # of a converted model, on disk: up to a megabyte each
FRAMES = 6  # float32 frames beside the inference: two ends, a middle, and a copy of each


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

    @property
    def tiles(self) -> str | None:
        """What decides the frames beside the model: tiles, and where they look at less of the frame. None if whole."""
        height, width = self.tile
        return f"{width}x{height}, cut at level {self.level}" if self.tiled else None


@dataclass(frozen=True)
class Compiled:
    """A model compiled for one shape; shared by threads, never changed."""

    converted: Converted
    shape: Shape
    graphs: tuple[ov.CompiledModel, ...]  # encoder and synthesizer; the four of `TiledSession`; or the whole model
    device: str  # that really runs it
    precision: str  # "mixed" or "exact"

    def session(self, size: tuple[int, int], budget: int) -> Session:
        """The means to make one stream of frames of this (height, width), padded to this shape, within `budget`."""
        graphs, shape = self.graphs, self.shape
        if self.converted.kind == "whole":
            return PairSession(_between(graphs[0]), size, shape.frame, self.converted.honours_time)
        if shape.tiled:
            return tiling.TiledSession(graphs, size, self.converted.alignment, self.converted.honours_time)
        bfloat16 = in_bfloat16(self.converted, self.device, self.precision)
        sets = (SCRATCH_SETS + 2) * pixels_in_budget(self.converted, shape.frame, budget, bfloat16)
        capacity = sets // math.prod(shape.frame) - SCRATCH_SETS * shape.lanes
        return DirectSession(graphs[0], graphs[1], size, capacity, shape.lanes, self.converted.honours_time)


def _between(graph: ov.CompiledModel) -> Callable[[np.ndarray, np.ndarray, float], np.ndarray]:
    """The frame at a time between two, (1, H, W, 3), by a SavedModel that was converted whole."""
    request = graph.create_infer_request()
    names = [port.get_any_name() for port in graph.inputs]

    def between(x0: np.ndarray, x1: np.ndarray, time: float) -> np.ndarray:
        given = {"x0": x0, "x1": x1, "time": np.array([[time]], np.float32)}
        request.infer({name: given[name] for name in names})
        return request.get_output_tensor().data

    return between


def in_bfloat16(converted: Converted, device: str, precision: str) -> bool:
    """Whether a processor computes the convolutions so, and features are handed over so."""
    return converted.kind == "direct" and precision == "mixed" and device.startswith("CPU") and has_short_floats(device)


def choose(converted: Converted, size: tuple[int, int], budget: int, lanes: int, bfloat16: bool) -> Shape:
    """The shape for frames of this (height, width): whole if that fits the budget (bytes), else in tiles.

    `lanes` is how many middles may be made at once if there is memory for them.
    """
    alignment = converted.alignment
    frame = aligned(size, alignment)
    if converted.kind == "whole":
        return Shape(frame, frame)
    pixels = pixels_in_budget(converted, frame, budget, bfloat16)
    if math.prod(frame) <= pixels:
        return Shape(frame, frame, lanes=min(lanes, pixels // math.prod(frame)))
    if converted.honours_time:
        tile = tiling.tile_size(*frame, pixels, alignment)
        return Shape(frame, tile, level=TIMED_CUT) if tile != frame else Shape(frame, frame)
    for level in (level for level in graph_split.LEVELS if 2**level <= alignment):  # a flow level that this model has
        coarse = math.prod(frame) * COARSE_SHARE // 4 ** (level - graph_split.LEVELS[0])
        if coarse <= pixels // 2:
            break
    tile = tiling.tile_size(*frame, int(pixels - coarse), alignment)
    return Shape(frame, tile, level=level) if tile != frame else Shape(frame, frame)


def pixels_in_budget(converted: Converted, frame: tuple[int, int], budget: int, bfloat16: bool) -> int:
    """How many pixels may be inferred at once, beside the model's weights and frames of this size."""
    weights = sum(path.with_suffix(".bin").stat().st_size for path in converted.files)
    available = max(0, budget - WEIGHT_COPIES * weights - FRAMES * math.prod(frame) * 3 * 4)
    return int(available / ((SCRATCH_SETS + 2) * converted.bytes_per_pixel * (BFLOAT16_SHARE if bfloat16 else 1)))


def compile_model(
    converted: Converted, shape: Shape, device: str, precision: str, cache: Path, threads: int | None = None
) -> Compiled:
    """The graphs at one static shape (dynamic ones leak memory on CPUs). RuntimeError with OpenVINO's words.

    `precision` is "mixed" or "exact"; a model converted whole is exact.
    `threads` is how many cores a processor may use (default: all); the frames are the same to the bit.
    """
    if converted.kind == "whole":
        precision = "exact"  # nothing in it is marked
    config = {"EXECUTION_MODE_HINT": EXECUTION_MODES[precision], "PERFORMANCE_HINT": "LATENCY"}
    if shape.lanes > 1:
        config |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": str(shape.lanes)}
    if threads and device.startswith("CPU"):
        config["INFERENCE_NUM_THREADS"] = str(threads)
    models = [core().read_model(path) for path in converted.files]
    if converted.kind == "whole":
        shapes = {port.get_any_name(): [1, *shape.frame, 3] for port in models[0].inputs}
        models[0].reshape({name: [1, 1] if name == "time" else one for name, one in shapes.items()})
    elif shape.tiled:
        encoder, synthesizer = models
        scale = 2 ** graph_split.image_level(encoder, shape.level)
        coarse_encoder, flow, fine_encoder, fine = graph_split.split(encoder, synthesizer, shape.level)
        _reshape(coarse_encoder, flow, (shape.frame[0] // scale, shape.frame[1] // scale))
        cut = {port.get_any_name(): list(port.shape) for port in flow.outputs}
        for one in cut.values():
            one[2:] = (side * tile // whole for side, tile, whole in zip(one[2:], shape.tile, shape.frame, strict=True))
        _reshape(fine_encoder, fine, shape.tile, cut)
        models = [coarse_encoder, flow, fine_encoder, fine]
    else:
        _reshape(models[0], models[1], shape.frame)
    if in_bfloat16(converted, device, precision):
        models = [handing_over_bfloat16(model) for model in models]
    entries = cache / converted.directory.name
    graphs = tuple(
        _compile_graph(model, device, config, entries, file)
        for model, file in zip(models, itertools.cycle(converted.files), strict=False)  # four are of two, in turns
    )
    _prune(entries)
    return Compiled(converted, shape, graphs, ", ".join(graphs[-1].get_property("EXECUTION_DEVICES")), precision)


def _prune(cache: Path) -> None:
    """Keep the newest entries: visitors' photos are of all sizes."""
    with contextlib.suppress(OSError):  # another process prunes as well, or nothing could be written
        for entry in sorted(cache.glob("*.blob"), key=lambda path: path.stat().st_mtime)[:-CACHED_GRAPHS]:
            entry.unlink()


def _compile_graph(model: ov.Model, device: str, config: dict[str, str], cache: Path, source: Path) -> ov.CompiledModel:
    # Small entries without the weights, which are read from the source: whole ones measured slower to load than
    # compiling anew, and 350 MB each. Each converted model has a folder of its own, so no entry meets other weights.
    caching = {"CACHE_MODE": "OPTIMIZE_SIZE", "CACHE_DIR": str(cache), "WEIGHTS_PATH": str(source.with_suffix(".bin"))}
    try:
        return core().compile_model(model, device, {**config, **caching})
    except RuntimeError as error:  # a full disk, a device without this kind of cache: neither is needed to compile
        if memory.is_shortage(error):
            raise
        log.warning("Compiling through OpenVINO's cache failed (%s); compiling without it.", error)
    try:
        return core().compile_model(model, device, config)
    except RuntimeError as error:
        raise RuntimeError(f"OpenVINO cannot compile {model.get_friendly_name()} for {device}: {error}") from error


def _reshape(
    encoder: ov.Model, synthesizer: ov.Model, size: tuple[int, int], others: dict[str, list[int]] | None = None
) -> None:
    """Fix an encoder's input to (height, width), and the inputs of its synthesizer to what it will give."""
    encoder.reshape([1, 3, *size])
    shapes = {port.get_any_name(): list(port.shape) for port in encoder.outputs}
    shapes["image_0"] = [1, 3, *size]
    names = [port.get_any_name() for port in synthesizer.inputs]
    given = {"time": [1], **(others or {})}
    synthesizer.reshape({name: given.get(name) or shapes[name.partition("_")[2]] for name in names})
