"""The models in memory: one of each, shared by all films that are made with it.

A model keeps what it has compiled, and the memory that takes, for the next film. So there are never more models than
films may be made at once: the one that was not used for longest makes room for another.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from film.engine.interpolator import Interpolator

log = logging.getLogger(__name__)


class ModelCache:
    """Up to `room` models, or as many as are at work if that is more. Shared by threads."""

    def __init__(self, load: Callable[[str, str], Interpolator], room: int) -> None:
        self._load = load  # from a model's name and a device; must be quick
        self._room = room
        self._lock = threading.Lock()
        self._models: OrderedDict[tuple[str, str], Interpolator] = OrderedDict()  # least recently used first
        self._at_work: Counter[tuple[str, str]] = Counter()  # films

    @contextlib.contextmanager
    def model(self, name: str, device: str) -> Iterator[Interpolator]:
        """The model of that name on that device, for as long as the context."""
        key = name, device
        with self._lock:
            if key not in self._models:
                self._models[key] = self._load(name, device)
            self._models.move_to_end(key)
            self._at_work[key] += 1
            self._make_room()
            model = self._models[key]
        try:
            yield model
        finally:
            with self._lock:
                self._at_work[key] -= 1
                self._make_room()

    def warm_up(self, name: str, device: str, size: tuple[int, int]) -> threading.Thread:
        """Begin to compile that model for frames of this (height, width), for the first visitor; nothing is downloaded.

        A film that is asked for meanwhile waits for what is being compiled and then uses it.
        """

        def compile_model() -> None:
            try:
                with self.model(name, device) as model:
                    for stage, work in model.setup_steps(*size):
                        if stage == "downloading":
                            return
                        work()
            except (ValueError, RuntimeError, OSError) as error:  # the first film will tell its visitor
                log.warning("%s was not compiled ahead: %s", name, error)

        thread = threading.Thread(target=compile_model, name="warm-up", daemon=True)
        thread.start()
        return thread

    def _make_room(self) -> None:
        """Drop idle models, the least recently used first. Called with the lock held."""
        for key in list(self._models):
            if len(self._models) > self._room and not self._at_work[key]:
                del self._models[key]
