"""A FILM in the form of the official one, made by other code: converts, runs, equals TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import film
from film.hub import convert, registry
from tests.conftest import texture

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

BUILDER = Path(__file__).parents[2] / "support" / "keras2_film.py"


@pytest.fixture(scope="module")
def keras2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keras2") / "film"
    subprocess.run([sys.executable, str(BUILDER), "8", str(directory)], check=True, capture_output=True)
    return directory


def test_it_is_converted_directly_and_equals_tensorflow(keras2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, model = film.load(keras2, backend="tensorflow"), film.load(keras2, precision="exact")
    assert isinstance(reference, film.Reference) and isinstance(model, film.Film)
    monkeypatch.setattr(convert, "SavedModel", lambda directory: reference.loaded())  # to load it once more takes long
    converted = convert.convert(keras2, registry.cache_directory())
    assert model.converted() == converted and converted.kind == "direct"
    a, b = texture(150, 200), texture(150, 200)[:, ::-1].copy()
    expected = reference.middle(a, b)
    assert np.ptp(expected) > 0.05  # random variables, but an output that depends on the input
    assert np.abs(model.middle(a, b) - expected).max() < 1e-4
