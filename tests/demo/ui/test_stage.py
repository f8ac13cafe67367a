"""What the page tells before and while a film is made: frames for the stage, the plan, names in people's terms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.server.storage import GIGABYTE, Storage
from demo.ui import exports
from demo.ui.stage import MOST, Preview, photo_places, step_of
from film.rendering import planning
from film.rendering.events import Progress


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "page", 3600, GIGABYTE)


def progress(place: int | None, total: int) -> Progress:
    return Progress(1, total, np.full((48, 64, 3), 0.5, np.float32), None, None, place)


@pytest.mark.parametrize("total", [2, 3, 33, 65, 66, 257, 10_000])
def test_no_more_frames_are_shown_than_a_preview_needs(total: int) -> None:
    shown = len(range(0, total, step_of(total)))
    assert min(total, MOST // 2) <= shown <= MOST + 1


def test_frames_come_in_any_order_and_are_files_of_the_visitor(storage: Storage) -> None:
    preview = Preview(storage, {"fps": 15.0}, photos=[0, 32])
    assert [preview.take(progress(place, 33)) for place in (0, 32, 16, None)] == [True, True, True, False]
    told = json.loads(preview.told())
    assert list(told["frames"]) == ["0", "32", "16"] and told["size"] == [64, 48] and told["total"] == 33
    for name in told["frames"].values():
        assert storage.keeps(str(storage.folder / name))
        assert Image.open(storage.folder / name).size == (64, 48)
    assert list(storage.scratch.iterdir()) == []


def test_of_a_long_film_a_share_is_kept_and_every_photo(storage: Storage) -> None:
    preview = Preview(storage, {}, photos=[0, 129, 256])
    taken = [place for place in range(257) if preview.take(progress(place, 257))]
    assert {0, 129, 256} <= set(taken) and len(taken) <= MOST + 1


def test_where_the_photos_lie() -> None:
    assert photo_places(planning.moments(3, depth=2)) == [0, 4, 8]
    assert photo_places(planning.moments(2, count=5)) == [0, 4]


def test_what_was_made_before_a_stop_becomes_a_film(storage: Storage) -> None:
    preview = Preview(storage, {"fps": 15.0})
    for place in (0, 32, 16):
        preview.take(progress(place, 33))
    path = exports.stopped(preview.frames, 15, storage)
    assert path and storage.keeps(str(path)) and path.stat().st_size > 0
    stolen = {0: "../../etc/passwd", 1: "x/y", 2: "z"}
    assert exports.stopped(stolen, 15, storage) is None
