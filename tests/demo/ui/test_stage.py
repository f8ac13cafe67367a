"""What the page keeps of films in the making: frames for the stage, and the segments that were played."""

import json
from collections import defaultdict
from typing import Any

import gradio as gr
import numpy as np
from gradio.route_utils import MediaStream
from PIL import Image

from demo.server.storage import Storage
from demo.ui.components import forget_streams, limit_streams
from demo.ui.stage import MOST, Preview, photo_places, step_of
from film.rendering import planning
from film.rendering.events import Progress


def progress(place: int | None, total: int) -> Progress:
    return Progress(1, total, np.full((48, 64, 3), 0.5, np.float32), None, None, place)


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
    for total in (2, 3, 33, 65, 66, 257, 10_000):
        assert min(total, MOST // 2) <= len(range(0, total, step_of(total))) <= MOST + 1
    preview = Preview(storage, {}, photos=[0, 129, 256])
    taken = [place for place in range(257) if preview.take(progress(place, 257))]
    assert {0, 129, 256} <= set(taken) and len(taken) <= MOST + 1
    assert photo_places(planning.moments(3, depth=2)) == [0, 4, 8]
    assert photo_places(planning.moments(2, count=5)) == [0, 4]


def blocks(**films: tuple[int, bool]) -> gr.Blocks:
    """A page whose visitors hold a film of so many bytes each, that has ended or not."""
    app = gr.Blocks()
    app.pending_streams = defaultdict(dict)
    for visitor, (size, ended) in films.items():
        stream = MediaStream()
        chunk: Any = {"id": "0", "data": bytes(size), "duration": 0.5, "extension": ".ts"}
        stream.segments.append(chunk)
        stream.ended = ended
        app.pending_streams[visitor]["run"] = {1: stream}
    return app


def test_the_oldest_films_that_have_ended_go_first_and_who_leaves_is_forgotten() -> None:
    app = blocks(a=(100, False), b=(100, True), c=(100, True), d=(100, True))
    for _ in range(2):
        limit_streams(app, 150)
        assert list(app.pending_streams) == ["a", "d"]
    stream = app.pending_streams["a"]["run"][1]
    forget_streams(app, "a")
    forget_streams(app, "nobody")
    assert list(app.pending_streams) == ["d"] and stream.ended
