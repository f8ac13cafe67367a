"""FILM on OpenVINO: a model that downloads, converts and compiles itself when it is first needed."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from typing import Any, cast

from film import catalog, compiled, convert, memory, tensorflow_process
from film.compiled import Compiled, Shape
from film.hardware import check_device
from film.interpolator import Interpolator, Preparation
from film.session import Session

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
        model: catalog.Model,
        device: str = "CPU",
        memory_gb: float | None = None,
        lanes: int | None = None,
        precision: str = "exact",
        threads: int | None = None,
    ) -> None:
        if precision not in compiled.PRECISIONS:
            raise ValueError(f"There is no precision {precision!r}; choose {' or '.join(compiled.PRECISIONS)}.")
        if lanes is not None and (isinstance(lanes, bool) or not isinstance(lanes, int) or not 1 <= lanes <= MAX_LANES):
            raise ValueError(f"The number of lanes is {lanes!r}; it must be a whole number from 1 to {MAX_LANES}.")
        if threads is not None and threads < 1:
            raise ValueError(f"The number of threads is {threads}; it must be 1 or more.")
        self.model = model
        self.name = model.name
        self.asked_device = check_device(device)
        self._budget = memory.budget(memory_gb)
        self._precision = precision
        self._threads = threads
        self._lanes = lanes or max(1, (threads or os.cpu_count() or 1) // CORES_PER_LANE)
        self._lock = threading.RLock()  # guards what follows; held while converting or compiling
        self._converted: convert.Converted | None = None
        self._compiled: OrderedDict[Shape, Compiled] = OrderedDict()  # least recently used first

    @property
    def device(self) -> str:
        compiled = next(reversed(list(self._compiled.values())), None)
        return compiled.device if compiled else self.asked_device

    @property
    def fingerprint(self) -> str:
        return f"{self.converted().directory.name} on {self.asked_device}, {self._precision}"

    def preparation(self, height: int, width: int) -> Preparation:
        if self._find_converted() is None:
            if catalog.downloaded(self.model) is None:
                yield "downloading", lambda: tensorflow_process.fetch(self.model)
            yield "converting", self.converted
        if self.shape(height, width) not in self._compiled:
            yield "compiling", lambda: self.compiled(height, width)

    def session(self, height: int, width: int) -> Session[Any]:
        return self.compiled(height, width).session((height, width), self._budget)

    def shape(self, height: int, width: int) -> Shape:
        """What the graphs are compiled for to make frames of this size within the memory budget."""
        return compiled.choose(self.converted(), (height, width), self._budget, self._lanes)

    def converted(self) -> convert.Converted:
        """The model as IR on disk, downloaded and converted now if it is not in the cache."""
        with self._lock:
            if self._find_converted() is None:
                source = tensorflow_process.fetch(self.model)
                self._converted = tensorflow_process.convert_model(source, catalog.cache_directory())
                catalog.note_fingerprint(self.model, convert.fingerprint(source))
            return cast(convert.Converted, self._converted)

    def compiled(self, height: int, width: int) -> Compiled:
        """The graphs for frames of that size, compiled now unless they are kept from before."""
        with self._lock:
            shape = self.shape(height, width)
            if shape not in self._compiled:
                self._make_room(shape)
                self._compiled[shape] = self.compile(shape)
            self._compiled.move_to_end(shape)
            return self._compiled[shape]

    def compile(self, shape: Shape) -> Compiled:
        """The graphs at that shape, compiled anew and not kept."""
        cache = catalog.cache_directory() / "compiled"
        return compiled.compile_model(self.converted(), shape, self.asked_device, self._precision, cache, self._threads)

    def _make_room(self, shape: Shape) -> None:
        """Drop the shapes that were not used for longest, until one more may be compiled."""
        kept = self._compiled
        limit = compiled.pixels_in_budget(self.converted(), shape.frame, self._budget)
        while kept and (
            len(kept) >= COMPILED_SHAPES or sum(math.prod(s.tile) * s.lanes for s in [shape, *kept]) > limit
        ):
            kept.popitem(last=False)

    def _find_converted(self) -> convert.Converted | None:
        """The converted model if it is there already; needs neither TensorFlow nor the network."""
        with self._lock:
            if self._converted is None:
                source = catalog.downloaded(self.model)
                key = convert.fingerprint(source) if source else catalog.noted_fingerprint(self.model)
                self._converted = convert.find(key, catalog.cache_directory()) if key else None
                if key and self._converted:
                    catalog.note_fingerprint(self.model, key)
            return self._converted
