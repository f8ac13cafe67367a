"""What the page holds in memory for films that are played while they are made."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import gradio as gr
from gradio.route_utils import MediaStream

from demo.ui.components import forget_streams, limit_streams


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


def test_the_oldest_films_that_have_ended_go_first() -> None:
    app = blocks(a=(100, False), b=(100, True), c=(100, True), d=(100, True))
    limit_streams(app, 150)
    assert list(app.pending_streams) == ["a", "d"]
    limit_streams(app, 150)
    assert list(app.pending_streams) == ["a", "d"]


def test_a_visitor_is_forgotten() -> None:
    app = blocks(a=(100, False))
    stream = app.pending_streams["a"]["run"][1]
    forget_streams(app, "a")
    forget_streams(app, "nobody")
    assert not app.pending_streams and stream.ended
