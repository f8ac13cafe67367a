"""What all tests share: one cache for converted models, so that each model is converted once per run."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

import film
from film.hub import convert

CACHE = tempfile.TemporaryDirectory(prefix="film-tests-")
# Before anything is started: child processes inherit it.
os.environ["FILM_CACHE"] = CACHE.name
os.environ["TFHUB_CACHE_DIR"] = os.path.join(CACHE.name, "hub")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and their children, ignore it

ROOT = Path(__file__).parents[1]
SMALL_FILM = ROOT / "tests" / "models" / "film-small"  # a FILM with an eighth of the filters, trained


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests whose models are made, or run, by TensorFlow."""
    for item in items:
        if {"averaging", "reference"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("tensorflow")


@pytest.fixture(scope="session", autouse=True)
def cache() -> str:
    """The session's FILM_CACHE."""
    return CACHE.name


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random Frame: something with motion that can be followed."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(4)), np.float32)
    return (smooth - smooth.min()) / np.float32(smooth.max() - smooth.min())


def moved(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two Frames of that size, the second moved by 3 rows and 5 columns."""
    wide = texture(height + 3, width + 5, seed)
    return wide[3:, 5:].copy(), wide[:-3, :-5].copy()


def photo(path: Path, frame: np.ndarray) -> Path:
    """Save a Frame as an 8-bit image."""
    Image.fromarray(np.rint(frame * 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two Frames of 96x128, the second moved by 3 rows and 5 columns."""
    return moved(96, 128)


@pytest.fixture(scope="session")
def small_film() -> film.Film:
    """A small FILM on OpenVINO in float32, one middle at a time however many cores there are."""
    model = film.load(SMALL_FILM, lanes=1, precision="exact")
    assert isinstance(model, film.Film)
    return model


@dataclass(frozen=True)
class Example:
    """An example pair (Frames of 540x960) with what is known about the moment half-way between its photos."""

    first: np.ndarray
    last: np.ndarray
    truth: np.ndarray  # as it was rendered
    middle: np.ndarray  # as a model makes it, of the whole photos at once


EXAMPLES = sorted(path.stem for path in (Path(__file__).parent / "truth").glob("*.jpg"))


def read_example(name: str, model: film.Film) -> Example:
    photos = ROOT / "examples" / name
    first, last = film.read_image(photos / "first.jpg"), film.read_image(photos / "last.jpg")
    truth = film.read_image(Path(__file__).parent / "truth" / f"{name}.jpg")
    return Example(first, last, truth, model.middle(first, last))


@pytest.fixture(scope="session")
def examples(small_film: film.Film) -> Callable[[str], Example]:
    """The example of that name; its middle is made once for all tests."""

    return functools.cache(lambda name: read_example(name, small_film))


def psnr(frame: np.ndarray, expected: np.ndarray) -> float:
    """Peak signal-to-noise ratio in decibels, of Frames as they are shown: clipped to [0, 1]."""
    difference = np.clip(frame, 0, 1) - np.clip(expected, 0, 1)
    return float(-10 * np.log10(max(1e-12, np.mean(np.square(difference, dtype=np.float64)))))


@pytest.fixture(scope="session")
def reference() -> film.Reference:
    """The small FILM run by TensorFlow: the oracle."""
    model = film.load(SMALL_FILM, backend="tensorflow")
    assert isinstance(model, film.Reference)
    return model


@pytest.fixture(scope="session")
def averaging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with FILM's signature whose middle is the plain average: every film it makes is linear."""
    import tensorflow as tf

    image = [tf.TensorSpec([None, None, None, 3], tf.float32, name=name) for name in ("x0", "x1")]
    module = tf.Module()
    module.average = tf.function(
        lambda x0, x1, time: {"image": (x0 + x1) / 2, "x0_copy": x0},
        input_signature=[*image, tf.TensorSpec([None, 1], tf.float32, name="time")],
    )
    directory = tmp_path_factory.mktemp("models") / "averaging"
    tf.saved_model.save(module, str(directory), signatures=module.average)
    convert.convert(directory, Path(CACHE.name))  # here, where TensorFlow is: a process for it alone takes seconds
    return directory


@pytest.fixture
def small_film_copy(tmp_path: Path) -> Path:
    """The small FILM's SavedModel, to be damaged."""
    return Path(shutil.copytree(SMALL_FILM, tmp_path / "copy"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium."""
    from tests.support.browsing import browsing

    with browsing() as browser:
        yield browser


@pytest.fixture
def page(server: Any, browser: Any) -> Iterator[Any]:
    """The page of the module's `server`, ready to be clicked."""
    from tests.support.browsing import visiting

    with visiting(server, browser) as page:
        yield page


@pytest.fixture(scope="module")
def average(averaging: Path) -> film.Film:
    """A model that was converted whole, and whose films are linear."""
    model = film.load(averaging)
    assert isinstance(model, film.Film)
    return model


def touch(*paths: Path) -> tuple[Path, ...]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error) and "Traceback" not in str(error)
    return str(error)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A hub that serves the small FILM, and an empty TensorFlow Hub cache."""
    from tests.support.hub_server import Server, archive

    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(archive()) as server:
        yield server


def own_cache(model: film.Film, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the folder FILM_CACHE, with that model converted and nothing compiled."""
    converted = model.converted().directory
    shutil.copytree(converted, folder / "ir" / converted.name)
    monkeypatch.setenv("FILM_CACHE", str(folder))
