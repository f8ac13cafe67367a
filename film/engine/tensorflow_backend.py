"""FILM run by TensorFlow itself: the tutorial's baseline and the tests' oracle, behind the same interface."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from film.engine.interpolator import Interpolator, SetupSteps
from film.engine.session import PairSession, Session, aligned
from film.hub import convert, registry
from film.hub.saved_model import SavedModel
from film.networks import film as network

ALIGNMENT = 2 ** (network.PYRAMID_LEVELS - 1)


class Reference(Interpolator):
    """A SavedModel of the catalog, called once per middle frame."""

    precision = "exact"

    def __init__(self, model: registry.Model) -> None:
        self.model = model
        self.name = model.name
        self.requested_device = self.device
        self._lock = threading.Lock()
        self._loaded: SavedModel | None = None

    @property
    def device(self) -> str:
        return "TensorFlow"

    @property
    def honours_time(self) -> bool:
        return self.model.honours_time

    @property
    def fingerprint(self) -> str:
        return f"{convert.fingerprint(registry.fetch(self.model))} in TensorFlow"

    def setup_steps(self, height: int, width: int) -> SetupSteps:
        if registry.downloaded(self.model) is None:
            yield "downloading", lambda: registry.fetch(self.model)
        if self._loaded is None:
            yield "loading", self.loaded

    def session(self, height: int, width: int) -> Session[Any]:
        return ReferenceSession(self.loaded(), (height, width), self.honours_time)

    def loaded(self) -> SavedModel:
        """The model in TensorFlow's memory, loaded now if it is not."""
        with self._lock:
            if self._loaded is None:
                self._loaded = SavedModel(registry.fetch(self.model))
            return self._loaded


class ReferenceSession(PairSession):
    """The SavedModel on frames of one size."""

    def __init__(self, model: SavedModel, size: tuple[int, int], honours_time: bool) -> None:
        super().__init__(size, aligned(size, ALIGNMENT))
        self.honours_time = honours_time
        self._model = model

    def between(self, x0: np.ndarray, x1: np.ndarray, time: float) -> np.ndarray:
        return self._model.at(x0, x1, time) if self.honours_time else self._model.middle(x0, x1)
