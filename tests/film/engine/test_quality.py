"""The bundled model: as TensorFlow makes it, exact where nothing moves, and no worse than it was."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import film
from tests.conftest import EXAMPLES, ROOT, Example, psnr, read_example

# In float32: of the middle frame dB, measured minus 0.1, and the perceptual distance times 1000, measured plus 3; least
# detail of a made frame over that of the photos, at half size, measured minus 0.02.
FLOORS = {
    "boats": (23.65, 162, 0.75),
    "fruit": (32.64, 74, 0.89),
    "meadow": (25.20, 219, 0.72),
    "street": (24.37, 136, 0.81),
    "train": (22.75, 180, 0.88),
}
pytestmark = pytest.mark.slow
PERCEPTUAL = Path(__file__).resolve().parents[4] / "shared" / "quality" / "perceptual.py"  # not part of the project


@pytest.fixture(scope="module")
def bundled() -> film.Film:
    return film.load("film-lite", precision="exact")


@pytest.fixture(scope="module")
def found(bundled: film.Film) -> dict[str, Example]:
    """By their names; the middles as the bundled model makes them."""
    return {name: read_example(name, bundled) for name in EXAMPLES}


def test_every_example_has_its_true_middle(found: dict[str, Example]) -> None:
    folders = {path.parent.name for path in (ROOT / "examples").glob("*/last.jpg")}
    assert len(EXAMPLES) >= 4 and set(EXAMPLES) == folders == set(FLOORS)
    for example in found.values():
        assert example.first.shape == example.last.shape == example.truth.shape == (540, 960, 3)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_middle_is_as_near_to_the_truth_as_it_was(found: dict[str, Example], name: str) -> None:
    example = found[name]
    average = (example.first + example.last) / 2
    assert psnr(example.middle, example.truth) > max(FLOORS[name][0], psnr(average, example.truth))


@pytest.mark.skipif(not PERCEPTUAL.is_file(), reason="the perceptual measure is not part of the project")
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_middle_looks_as_much_like_the_truth_as_it_did(found: dict[str, Example], name: str) -> None:
    spec = importlib.util.spec_from_file_location("perceptual", PERCEPTUAL)
    assert spec and spec.loader
    perceptual = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(perceptual)
    distance = perceptual.distance(np.clip(found[name].middle, 0, 1), found[name].truth)
    assert 1000 * distance < FLOORS[name][1]


def detail(frame: np.ndarray) -> float:
    """Mean absolute Laplacian of a frame's brightness."""
    x = np.clip(frame, 0, 1) @ np.float32([0.299, 0.587, 0.114])
    inner = x[1:-1, 1:-1]
    return float(np.abs(4 * inner - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]).mean())


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_film_stays_sharp(bundled: film.Film, found: dict[str, Example], name: str) -> None:
    photos = found[name].first, found[name].last
    first, last = (photo.reshape(270, 2, 480, 2, 3).mean((1, 3), dtype=np.float32) for photo in photos)
    made = bundled.frames(first, last, times=[1 / 32, 1 / 4, 1 / 2, 3 / 4])
    assert min(map(detail, made)) / np.mean([detail(first), detail(last)]) > FLOORS[name][2]


def test_two_equal_photos_give_the_photo(bundled: film.Film, found: dict[str, Example]) -> None:
    photo = found["boats"].first
    for time in (0.5, 0.2):
        assert psnr(bundled.at(photo, photo, time), photo) > 60


@pytest.mark.tensorflow
def test_openvino_equals_tensorflow_at_any_time(bundled: film.Film, found: dict[str, Example]) -> None:
    reference = film.load("film-lite", backend="tensorflow")
    first, last = (photo[:256, :320] for photo in (found["fruit"].first, found["fruit"].last))
    for time in (0.5, 0.3):
        np.testing.assert_allclose(bundled.at(first, last, time), reference.at(first, last, time), atol=1e-4)
