"""The models in memory: shared, bounded, and never taken away from a film that is being made."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import ExitStack
from typing import Any, cast

import pytest

import film
from demo.server.model_cache import ModelCache
from film.engine.interpolator import Interpolator
from tests.conftest import texture


class Model:
    """Stands for a model; tells how many of its kind are in memory."""

    alive: weakref.WeakSet[Model] = weakref.WeakSet()

    def __init__(self, name: str, device: str) -> None:
        self.name = f"{name} on {device}"
        self.alive.add(self)


def model_cache(room: int) -> ModelCache:
    gc.collect()
    return ModelCache(lambda name, device: cast(Interpolator, Model(name, device)), room)


def test_all_who_ask_for_a_model_share_it() -> None:
    models = model_cache(2)
    with (
        models.model("film", "CPU") as first,
        models.model("film", "CPU") as second,
        models.model("film", "GPU") as other,
    ):
        assert first is second and other is not first
    with models.model("film", "CPU") as again:
        assert again is first


def test_the_one_not_used_for_longest_makes_room() -> None:
    models = model_cache(2)
    for name in ("a", "b", "a", "c"):
        with models.model(name, "CPU"):
            pass
    assert {model.name for model in Model.alive} == {"a on CPU", "c on CPU"}


def test_a_model_at_work_is_not_taken_away() -> None:
    models = model_cache(1)
    with models.model("a", "CPU") as at_work:
        for name in ("b", "c"):
            with models.model(name, "CPU"):
                assert len(Model.alive) == 2
        with models.model("a", "CPU") as same:
            assert same is at_work
    del at_work, same
    assert {model.name for model in Model.alive} == {"a on CPU"}


def test_threads_that_come_at_once_get_one() -> None:
    models, got = model_cache(1), []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        with models.model("film", "CPU") as model:
            got.append(model)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(model) for model in got}) == 1


def test_the_first_visitor_finds_the_model_compiled() -> None:
    models = ModelCache(film.load, 1)
    models.warm_up("film-lite", "CPU", (64, 128)).join()
    with models.model("film-lite", "CPU") as model:
        assert list(model.setup_steps(64, 128)) == []
        assert [stage for stage, _ in model.setup_steps(256, 128)] == ["compiling"]


def test_nothing_is_downloaded_before_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    models = ModelCache(film.load, 1)
    models.warm_up("film", "CPU", (64, 128)).join()
    with models.model("film", "CPU") as model:
        assert next(iter(model.setup_steps(64, 128)))[0] == "downloading"
    assert not caplog.records


@pytest.mark.slow
def test_many_sizes_at_once_compile_once_each_and_keep_two() -> None:
    """A film keeps the graphs it began with: other visitors' sizes neither slow it down nor pile up."""
    models, compiled = ModelCache(lambda name, device: film.load(name, device, lanes=1), 1), []
    sizes = [(64, 64), (64, 128), (128, 64)]
    with models.model("film-lite", "CPU") as model, ExitStack() as films:
        assert isinstance(model, film.Film)
        whole = model.compile

        def count(*arguments: Any) -> Any:
            compiled.append(arguments)
            return whole(*arguments)

        model.compile = count  # type: ignore[method-assign]
        streams = [model.frames(texture(*size), texture(*size, 1), depth=2) for size in sizes]
        for stream in streams:
            films.callback(stream.close)
        for turn in range(5):  # by turns, frame by frame
            for stream, size in zip(streams, sizes, strict=True):
                assert next(stream).shape == (*size, 3), turn
        assert len(compiled) == len(sizes)
        assert len(model._compiled) == 2
