"""What a film took is remembered per model and device, and never stands in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

import film
from film.engine import timings
from tests.conftest import moved, photo


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_estimate_is_in_proportion_to_the_pixels(cache: Path) -> None:
    assert film.estimate("film", "CPU", 512, 512, precision="exact") is None
    timings.remember("film", "CPU", 512 * 512, 8.0)
    assert film.estimate("film", "CPU", 512, 512, precision="exact") == pytest.approx(8.0)
    assert film.estimate("film", "CPU", 256, 512, precision="exact") == pytest.approx(4.0)
    assert film.estimate("film", "CPU", 64, 64, precision="exact") is None  # too different to conclude anything
    assert film.estimate("film", "GPU", 512, 512, precision="exact") is None
    assert film.estimate("film-lite", "CPU", 512, 512, precision="exact") is None
    timings.remember("film-lite", "CPU", 100, 1.0)
    timings.remember("film", "CPU", 512 * 512, 2.0)
    assert film.estimate("film", "CPU", 512, 512, precision="exact") == pytest.approx(2.0)
    assert film.estimate("film-lite", "CPU", 10, 10, precision="exact") == pytest.approx(1.0)
    assert {path.name for path in cache.iterdir()} == {"speed.json", "speed.json.lock"}


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", "null", "3", '{"film on CPU": "fast"}', '{"film on CPU": null}', "\xff"]
)
def test_a_damaged_note_is_no_estimate(cache: Path, damage: str) -> None:
    cache.mkdir()
    (cache / "speed.json").write_text(damage, encoding="latin-1")
    assert film.estimate("film", "CPU", 100, 100, precision="exact") is None
    timings.remember("film", "CPU", 100, 1.0)
    assert film.estimate("film", "CPU", 10, 10, precision="exact") == pytest.approx(1.0)


def test_a_cache_that_cannot_be_written_does_not_matter(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache.write_text("a file where the directory should be")
    timings.remember("film", "CPU", 100, 1.0)
    assert "cannot be noted" in caplog.text
    assert film.estimate("film", "CPU", 10, 10, precision="exact") is None


def test_another_precision_is_noted_apart(averaging: Path, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{n}.png", frame) for n, frame in enumerate(moved(64, 64))]
    exact, mixed = (film.load(averaging, precision=precision) for precision in ("exact", "mixed"))
    list(film.interpolate(photos, mixed, tmp_path / "film.mp4", depth=1))
    assert film.estimate(exact.name, "CPU", 64, 64, "exact") is None
    assert film.estimate(exact.name, "CPU", 64, 64, "mixed")
    list(film.interpolate(photos, exact, tmp_path / "film.mp4", depth=1))
    assert film.estimate(exact.name, "CPU", 64, 64, "exact")
