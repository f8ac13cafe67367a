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
from demo.server.frame_cache import CachedInterpolator
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

    def make(name: str, model: Any, depth: int = 4) -> Any:
        return pipeline.interpolate(photos, model, tmp_path / name, depth=depth, by_level=True)

    whole = list(make("whole.mp4", small_film))[-1].path
    with closing(make("stopped.mp4", CachedInterpolator(small_film, storage, "me"))) as events:
        assert any(isinstance(event, Level) and event.number == 3 for event in events)
    again = CachedInterpolator(small_film, storage, "me")
    assert list(make("again.mp4", again))[-1].path.read_bytes() == whole.read_bytes()
    list(make("longer.mp4", CachedInterpolator(small_film, storage, "me"), depth=5))
    list(make("other.mp4", CachedInterpolator(small_film, storage, "somebody else")))
    assert calls == [15, 7, 8, 16, 15]
    assert (again.found, again.made) == (7, 8) and not again.timings_name  # what was half there tells no speed


def test_the_pace_is_that_of_the_frames_that_were_made(small_film: film.Film, storage: Storage) -> None:
    model = CachedInterpolator(small_film, storage, "me")
    done = Done(Path("film.mp4"), 9, 96, 64, Fraction(15), "film-lite", "CPU", 3.0, 0.5)
    progress = Progress(5, 9, None, 0.5, 2.0)
    assert model.paced(done) is done
    model.found = 4
    assert model.paced(done) == replace(done, seconds_per_frame=None)
    model.made = 2
    assert model.paced(done) == replace(done, seconds_per_frame=1.5)
    assert model.paced(progress) == replace(progress, seconds_per_frame=1.5, seconds_left=6.0)


@pytest.mark.parametrize("ceiling", [GIGABYTE, 2**17])
@pytest.mark.slow
def test_a_frame_that_has_expired_or_found_no_room_is_made_again(
    small_film: film.Film, tmp_path: Path, ceiling: int
) -> None:
    storage, pair = Storage(tmp_path / "page", 3600, ceiling), moved(64, 96)

    def found() -> int:
        model = CachedInterpolator(small_film, storage, "me")
        assert np.array_equal(model.middle(*pair), small_film.middle(*pair))
        return model.found

    kept = ceiling == GIGABYTE
    assert (found(), found()) == (0, kept) and (storage.used() > 0) is kept
    for path in storage.folder.glob("*/frame.npy"):
        path.unlink()
    assert found() == 0
