"""FILM run by TensorFlow itself: the tutorial's baseline and the tests' oracle, behind the same interface."""

from __future__ import annotations

import threading

from film.engine.interpolator import Interpolator, SetupSteps
from film.engine.session import PairSession, Session, aligned
from film.hub import convert, registry
from film.hub.saved_model import SavedModel
from film.networks import film as network


class Reference(Interpolator):
    """A SavedModel of the catalog, called once per frame."""

    precision = "exact"
    device = "TensorFlow"
    honours_time = False

    def __init__(self, model: registry.Model) -> None:
        self.model = model
        self.name = model.name
        self.requested_device = self.device
        self.honours_time = model.honours_time
        self._lock = threading.Lock()
        self._loaded: SavedModel | None = None

    @property
    def fingerprint(self) -> str:
        return f"{convert.fingerprint(registry.fetch(self.model))} in TensorFlow"

    def setup_steps(self, height: int, width: int) -> SetupSteps:
        if registry.downloaded(self.model) is None:
            yield "downloading", lambda: registry.fetch(self.model)
        if self._loaded is None:
            yield "loading", self.loaded

    def session(self, height: int, width: int) -> Session:
        size = height, width
        return PairSession(self.loaded().at, size, aligned(size, network.ALIGNMENT), self.honours_time)

    def loaded(self) -> SavedModel:
        """The model in TensorFlow's memory, loaded now if it is not."""
        with self._lock:
            if self._loaded is None:
                self._loaded = SavedModel(registry.fetch(self.model))
            return self._loaded
