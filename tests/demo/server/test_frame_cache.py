"""What a stopped film leaves for the next one."""

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
from film.rendering import pipeline
from film.rendering.events import Done, Level, Progress
from tests.conftest import moved, photo


@pytest.mark.slow
def test_a_film_goes_on_from_what_was_made(small_film: film.Film, storage: Storage, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{n}.png", frame) for n, frame in enumerate(moved(64, 96))]
    models: list[CachedInterpolator] = []

    def make(name: str, owner: str = "me", depth: int = 4) -> Any:
        models.append(CachedInterpolator(small_film, storage, owner))
        return pipeline.interpolate(photos, models[-1], tmp_path / name, depth=depth, by_level=True)

    with closing(make("stopped.mp4")) as events:
        assert any(isinstance(event, Level) and event.number == 3 for event in events)
    again = list(make("again.mp4"))[-1].path
    list(make("longer.mp4", depth=5))
    whole = list(make("other.mp4", "somebody else"))[-1].path
    assert again.read_bytes() == whole.read_bytes()
    assert [(model.found, model.made) for model in models] == [(0, 7), (7, 8), (15, 16), (0, 15)]
    assert [bool(model.timings_name) for model in models] == [True, False, False, True]  # half of it tells no speed


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
def test_a_frame_that_is_not_there_is_made_again(small_film: film.Film, tmp_path: Path, ceiling: int) -> None:
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
