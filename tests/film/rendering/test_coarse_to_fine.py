"""A film made level by level: the same file, something of its whole length at once, and nothing left behind."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import film
from film.rendering import coarse_to_fine, pipeline, planning
from film.rendering.events import Level, Progress
from tests.conftest import SMALL_FILM, moved, photo


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    first, second = moved(48, 64)
    third, _ = moved(48, 64, seed=1)
    return [photo(tmp_path / f"{n}.png", picture) for n, picture in enumerate((first, second, third))]


def made(photos: list[Path], model: film.Interpolator, output: Path, **how: Any) -> list[Any]:
    return list(pipeline.interpolate(photos, model, output, fps=15, **how))


@pytest.mark.parametrize(
    ("number", "how"),
    [
        (2, {"depth": 4}),
        (2, {"depth": 1}),
        (2, {"count": 7}),
        (3, {"count": 20, "play": "pingpong"}),
        (3, {"depth": 2, "suffix": ".gif"}),
    ],
)
@pytest.mark.slow
def test_the_file_is_the_same(
    photos: list[Path], small_film: film.Film, tmp_path: Path, number: int, how: dict[str, Any]
) -> None:
    suffix = how.pop("suffix", ".mp4")
    (tmp_path / "order").mkdir(), (tmp_path / "level").mkdir()
    files = [tmp_path / name / f"film{suffix}" for name in ("order", "level")]
    in_order = made(photos[:number], small_film, files[0], **how)
    model = film.load(SMALL_FILM, lanes=3, precision="exact") if how.get("depth") == 4 else small_film
    by_level = made(photos[:number], model, files[1], by_level=True, **how)
    assert files[0].read_bytes() == files[1].read_bytes()
    frames = [{e.place: e.frame for e in events if isinstance(e, Progress)} for events in (in_order, by_level)]
    frames[1].pop(None, None)  # a moment on the way to others
    assert frames[0].keys() == frames[1].keys()
    for place, frame in frames[0].items():
        np.testing.assert_array_equal(frame, frames[1][place])
    assert in_order[-1].frames == by_level[-1].frames


def test_the_whole_film_moves_after_one_call(photos: list[Path], small_film: film.Film, tmp_path: Path) -> None:
    told: list[Any] = []
    for event in pipeline.interpolate(photos[:2], small_film, tmp_path / "film.mp4", depth=5, by_level=True):
        if isinstance(event, Progress):
            told.append(event.place)
            assert (event.done, event.total) == (sum(isinstance(each, int) for each in told), 33)
        elif isinstance(event, Level):
            told.append(f"level {event.number}: {event.frames}")
            assert event.total == 33
    assert told[:5] == [0, 32, "level 0: 2", 16, "level 1: 3"]
    assert told[5:8] == [8, 24, "level 2: 5"]
    assert told[-1] == "level 5: 33" and told[-17:-1] == list(range(1, 33, 2))


def test_every_ancestor_is_made_once(small_film: film.Film) -> None:
    for gaps in (planning.moments(2, depth=6), planning.moments(3, count=50), planning.moments(5, count=7)):
        nodes = [node for level in coarse_to_fine.levels(gaps) for node in level]
        assert len(nodes) == len({middle for *_, middle in nodes}) == planning.calls(gaps)
        there = {Fraction(n) for n in range(len(gaps) + 1)}
        for left, right, middle in nodes:
            assert left in there and right in there and middle == (left + right) / 2
            there.add(middle)
        assert coarse_to_fine.stored_frames(gaps) == len(there) - len(coarse_to_fine.levels(gaps)[-1])


def test_stopping_leaves_nothing(photos: list[Path], small_film: film.Film, tmp_path: Path, scratch: Path) -> None:
    events = pipeline.interpolate(photos, small_film, tmp_path / "film.mp4", depth=4, by_level=True)
    next(event for event in events if isinstance(event, Level) and event.number == 2)
    assert list(scratch.rglob("*.npy"))
    events.close()
    assert list(scratch.iterdir()) == [] and not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("count", [3, 4, 12, 33])
def test_a_model_that_makes_any_moment_makes_each_from_the_photos(count: int) -> None:
    moments = [Fraction(k, count - 1) for k in range(count)]
    nodes = coarse_to_fine.levels([moments], direct=True)
    assert sorted(time for level in nodes for *_, time in level) == moments[1:-1]
    assert all((left, right) == (0, 1) for level in nodes for left, right, _ in level)
    assert len(nodes[0]) == 1 and abs(nodes[0][0][2] - Fraction(1, 2)) <= Fraction(1, count - 1)
    assert all(len(later) <= 2 * len(level) for level, later in zip(nodes, nodes[1:], strict=False))
    assert all(level == sorted(level) for level in nodes)
    assert coarse_to_fine.stored_frames([moments], direct=True) == 2 + len(moments[1:-1]) - len(nodes[-1])
