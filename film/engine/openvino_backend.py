"""FILM on OpenVINO: a model that downloads, converts and compiles itself when it is first needed."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections import OrderedDict

import numpy as np

from film.engine import compiled, timings
from film.engine.compiled import Compiled, Shape
from film.engine.devices import FASTEST, ExecutionInfo, check_device, cores, precision_on
from film.engine.interpolator import Interpolator, SetupSteps
from film.engine.session import Session
from film.hub import convert, registry, tensorflow_process
from film.hub.convert import Converted
from film.support import memory, validation

# A single inference keeps a few cores busy; with more of them, independent middles are made side by side. On two cores
# two lanes measured 0 - 10 % faster for film-lite and no faster for FILM, for twice the scratch memory: not worth it.
CORES_PER_LANE = 4
MAX_LANES = 64
COMPILED_SHAPES = 2  # kept per model: each holds its weights and scratch memory until it is dropped


class Film(Interpolator):
    """A model of the catalog on one device.

    Threads may share it: the first to need something downloads, converts or compiles it while the others wait, and
    every stream of frames gets a session of its own.
    """

    def __init__(
        self,
        model: registry.Model,
        device: str = "CPU",
        memory_gb: float | None = None,
        lanes: int | None = None,
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        if lanes is not None and not 1 <= (validation.whole(lanes) or 0) <= MAX_LANES:
            raise ValueError(f"The number of lanes is {lanes!r}; it must be a whole number from 1 to {MAX_LANES}.")
        if threads is not None and (validation.whole(threads) or 0) < 1:
            raise ValueError(f"The number of threads is {threads!r}; it must be a whole number, 1 or more.")
        self.model = model
        self.name = model.name
        self.requested_device = check_device(device)
        self._budget = memory.budget(memory_gb)
        self.precision: str = precision_on(self.requested_device, precision)
        self._threads = threads
        self._lanes = lanes or max(1, (threads or cores()) // CORES_PER_LANE)
        self._lock = threading.RLock()  # guards what follows; held while converting or compiling
        self._converted: Converted | None = None
        self._compiled: OrderedDict[Shape, Compiled] = OrderedDict()  # least recently used first
        self._choices: dict[int, ExecutionInfo] = {}  # by size class; for FASTEST
        self._last = ExecutionInfo(self.requested_device)  # what was compiled or used last

    @property
    def device(self) -> str:
        return self._last.device

    @property
    def honours_time(self) -> bool:
        with self._lock:
            return self.model.honours_time if self._converted is None else self._converted.honours_time

    @property
    def fingerprint(self) -> str:
        return f"{self.converted().directory.name}, {self.precision}"

    @property
    def timings_name(self) -> str:
        return timings.name(self.name, self.precision)

    def execution_info(self, height: int, width: int) -> ExecutionInfo:
        with self._lock:
            self.compiled(height, width)
            return self._last

    def setup_steps(self, height: int, width: int) -> SetupSteps:
        if self._found() is None:
            if registry.downloaded(self.model) is None:
                yield "downloading", lambda: tensorflow_process.fetch(self.model)
            yield "converting", self.converted
        shape = self.shape(height, width)
        if self._must_measure(shape.frame):
            yield "measuring", lambda: self._chosen(shape.frame)
        if shape not in self._compiled:
            yield "compiling", lambda: self.compiled(height, width)

    def session(self, height: int, width: int) -> Session:
        return self.compiled(height, width).session((height, width), self._budget)

    def shape(self, height: int, width: int) -> Shape:
        """What the graphs are compiled for to make frames of this size within the memory budget."""
        return compiled.choose(self.converted(), (height, width), self._budget, self._lanes, self._bfloat16())

    def converted(self) -> Converted:
        """The model as IR on disk, downloaded and converted now if it is not in the cache."""
        with self._lock:
            converted = self._converted = self._found() or tensorflow_process.convert_model(self.model)
            return converted

    def compiled(self, height: int, width: int) -> Compiled:
        """The graphs for frames of that size, compiled now unless they are kept from before."""
        with self._lock, memory.told(memory.FOR_A_MODEL):
            shape = self.shape(height, width)
            choice = self._chosen(shape.frame)
            if shape not in self._compiled:
                self._make_room(shape)
                self._compiled[shape] = self.compile(shape, choice.device)
            self._compiled.move_to_end(shape)
            graphs = self._compiled[shape]
            self._last = ExecutionInfo(graphs.device, choice.why, tiles=shape.tiles, precision=graphs.precision)
            return graphs

    def compile(self, shape: Shape, device: str | None = None) -> Compiled:
        """The graphs at that shape, compiled anew and not kept, for `device` (default: the one that was asked for)."""
        cache = registry.cache_directory() / convert.COMPILED
        device = device or self.requested_device
        return compiled.compile_model(self.converted(), shape, device, self.precision, cache, self._threads)

    def _must_measure(self, size: tuple[int, int]) -> bool:
        pixels = math.prod(timings.measured_size(*size))
        unknown = self.requested_device == FASTEST and timings.size_class(pixels) not in self._choices
        return unknown and timings.needs_measuring(self.timings_name, pixels)

    def _chosen(self, size: tuple[int, int]) -> ExecutionInfo:
        """The device for frames of that (height, width): the one asked for, or the fastest, measured now if need be."""
        if self.requested_device != FASTEST:
            return ExecutionInfo(self.requested_device)
        with self._lock:
            size = timings.measured_size(*size)
            size_class = timings.size_class(math.prod(size))
            if size_class not in self._choices:
                measure = functools.partial(self._seconds, size=size)
                self._choices[size_class] = timings.fastest(self.timings_name, math.prod(size), measure)
            return self._choices[size_class]

    def _seconds(self, device: str, size: tuple[int, int]) -> float:
        """What a middle frame of that (height, width) takes on a device, once it has warmed up."""
        with memory.told(memory.FOR_A_MODEL):
            shape = compiled.choose(self.converted(), size, self._budget, 1, self._bfloat16())
            self._make_room(shape)
            session = self.compile(shape, device).session(size, self._budget)
            first, last = (
                session.keyframe(frame) for frame in np.random.default_rng(0).random((2, *size, 3), np.float32)
            )
            between = session.start(first, last)()
            began = time.perf_counter()
            session.start(first, last if session.honours_time else between)()  # as in a film: halving encodes a frame
            return time.perf_counter() - began

    def _make_room(self, shape: Shape) -> None:
        """Drop the shapes that were not used for longest, until one more may be compiled."""
        kept = self._compiled
        limit = compiled.pixels_in_budget(self.converted(), shape.frame, self._budget, self._bfloat16())
        while kept and (
            len(kept) >= COMPILED_SHAPES or sum(math.prod(s.tile) * s.lanes for s in [shape, *kept]) > limit
        ):
            kept.popitem(last=False)

    def _bfloat16(self) -> bool:
        return compiled.in_bfloat16(self.converted(), self.requested_device, self.precision)

    def _found(self) -> Converted | None:
        """The converted model if it is there already; the cache may be emptied under a running server."""
        with self._lock:
            if self._converted is None or not self._converted.present:
                self._converted = tensorflow_process.find_converted(self.model)
            return self._converted
