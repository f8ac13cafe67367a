"""The models in memory: shared, bounded, and never taken away from a film that is being made."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import film
from demo.server.model_cache import ModelCache
from film.engine.interpolator import Interpolator


def model_cache(room: int) -> tuple[ModelCache, weakref.WeakSet[Interpolator]]:
    """A cache, and what of its models is in memory; nothing is compiled."""
    alive: weakref.WeakSet[Interpolator] = weakref.WeakSet()

    def load(name: str, device: str) -> Interpolator:
        alive.add(model := film.load(name, device))
        return model

    return ModelCache(load, room), alive


def test_all_who_ask_for_a_model_share_it() -> None:
    models, _ = model_cache(2)
    with models.model("film", "CPU") as first, models.model("film", "CPU") as second:
        with models.model("rife", "CPU") as other:
            assert first is second and other is not first
    with models.model("film", "CPU") as again:
        assert again is first


@pytest.mark.slow
def test_the_one_not_used_for_longest_makes_room_unless_it_is_at_work() -> None:
    models, alive = model_cache(2)
    with models.model("film", "CPU") as at_work:
        for name in ("rife", "film-lite"):
            with models.model(name, "CPU") as model:
                del model
            gc.collect()
            assert {model.name for model in alive} == {"film", name}
        del at_work
    with models.model("rife", "CPU"):
        gc.collect()
        assert {model.name for model in alive} == {"film-lite", "rife"}  # which were asked for after it


def test_threads_that_come_at_once_get_one() -> None:
    (models, _), together = model_cache(1), threading.Barrier(8)

    def ask(_: int) -> Interpolator:
        together.wait()
        with models.model("film", "CPU") as model:
            return model

    with ThreadPoolExecutor(8) as threads:
        assert len(set(map(id, list(threads.map(ask, range(8)))))) == 1


@pytest.mark.slow
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
