"""What all tests share: one cache for converted models, so that each model is converted once per run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageFilter

CACHE = tempfile.TemporaryDirectory(prefix="film-tests-")
os.environ["FILM_CACHE"] = CACHE.name  # before anything is imported or started: child processes inherit it


@pytest.fixture(scope="session", autouse=True)
def cache() -> Iterator[str]:
    """The session's FILM_CACHE."""
    yield CACHE.name
    CACHE.cleanup()


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random Frame: something with motion that can be followed."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(4)), np.float32)
    return (smooth - smooth.min()) / np.float32(smooth.max() - smooth.min())


@pytest.fixture(scope="session")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two Frames of 96x128, the second moved by 3 rows and 5 columns."""
    wide = texture(99, 133)
    return wide[3:, 5:].copy(), wide[:-3, :-5].copy()
