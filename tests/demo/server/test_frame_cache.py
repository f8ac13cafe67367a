"""What a stopped film leaves for the next one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import film
from demo.server.frame_cache import CachedInterpolator, FrameCache
from demo.server.storage import GIGABYTE, Storage
from film.engine.openvino_backend import Film
from film.rendering import pipeline
from film.rendering.events import Done, Level, Progress
from tests.conftest import moved, photo


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "page", 3600, GIGABYTE)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each session of the model: how many frames it has made."""
    counts: list[int] = []
    session = Film.session

    def counted(model: Film, height: int, width: int) -> Any:
        made = session(model, height, width)
        start, number = made.start, len(counts)
        counts.append(0)

        def count(*ends: Any) -> Any:
            counts[number] += 1
            return start(*ends)

        made.start = count  # type: ignore[method-assign]
        return made

    monkeypatch.setattr(Film, "session", counted)
    return counts


@pytest.mark.slow
def test_a_film_goes_on_from_what_was_made(
    small_film: film.Film, storage: Storage, tmp_path: Path, calls: list[int]
) -> None:
    photos = [photo(tmp_path / f"{n}.png", frame) for n, frame in enumerate(moved(64, 96))]
    cache = FrameCache(storage)

    def make(name: str, model: Any, depth: int = 4) -> Any:
        return pipeline.interpolate(photos, model, tmp_path / name, depth=depth, by_level=True)

    whole = list(make("whole.mp4", small_film))[-1].path
    with closing(make("stopped.mp4", CachedInterpolator(small_film, cache, "me"))) as events:
        assert any(isinstance(event, Level) and event.number == 3 for event in events)
    again = CachedInterpolator(small_film, cache, "me")
    assert list(make("again.mp4", again))[-1].path.read_bytes() == whole.read_bytes()
    list(make("longer.mp4", CachedInterpolator(small_film, cache, "me"), depth=5))
    list(make("other.mp4", CachedInterpolator(small_film, cache, "somebody else")))
    assert calls == [15, 7, 8, 16, 15]
    assert (again.found, again.made) == (7, 8) and not again.timings_name  # what was half there tells no speed


def test_the_pace_is_that_of_the_frames_that_were_made(small_film: film.Film, storage: Storage) -> None:
    model = CachedInterpolator(small_film, FrameCache(storage), "me")
    done = Done(Path("film.mp4"), 9, 96, 64, Fraction(15), "film-lite", "CPU", 3.0, 0.5)
    progress = Progress(5, 9, None, 0.5, 2.0)
    assert model.paced(done) is done
    model.found = 4
    assert model.paced(done) == replace(done, seconds_per_frame=None)
    model.made = 2
    assert model.paced(done) == replace(done, seconds_per_frame=1.5)
    assert model.paced(progress) == replace(progress, seconds_per_frame=1.5, seconds_left=6.0)


def test_what_has_expired_is_made_again(storage: Storage) -> None:
    cache, frame = FrameCache(storage), np.ones((4, 4, 3), np.float32)
    cache.save("a", frame)
    assert (kept := cache.load("a")) is not None and (kept == frame).all() and kept.dtype == np.float32
    for path in storage.folder.glob("*/frame.npy"):
        path.unlink()
    assert cache.load("a") is None


def test_nothing_is_kept_where_the_disk_is_half_full(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "page", 3600, 2**20)
    cache = FrameCache(storage)
    cache.save("a", np.ones((256, 256, 3), np.float32))
    assert cache.load("a") is None and storage.used() == 0
