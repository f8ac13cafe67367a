"""A model is shared by threads, streams and lanes, is light to import, and needs no TensorFlow once it is converted."""

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

import film
from film.engine import devices
from film.engine import session as sessions
from film.hub import registry, tensorflow_process
from tests.conftest import ROOT, SMALL_FILM, moved


@pytest.mark.slow
def test_devices_are_listed_with_their_names(small_film: film.Film) -> None:
    names = film.devices()
    assert {"AUTO", "FASTEST", "CPU"} <= set(names) and all(names.values())
    small_film.middle(*moved(64, 64))
    assert small_film.device == "CPU" and small_film.name == str(SMALL_FILM)


def test_auto_says_what_it_chose(average: film.Film, averaging: Path) -> None:
    model = film.load(averaging, device="AUTO")
    assert model.device == "AUTO"  # nothing is compiled yet
    a, b = moved(64, 64)
    np.testing.assert_allclose(model.middle(a, b), (a + b) / 2, atol=1e-6)
    assert "CPU" in model.device or len(film.devices()) > len({"AUTO", "FASTEST", "CPU"})
    assert model.device != "AUTO"


def test_threads_share_a_model_and_get_their_own_frames(averaging: Path) -> None:
    """They all compile, and drop what the others compiled, while frames are being made."""
    model = film.load(averaging)

    def make(side: int) -> None:
        a, b = moved(side, 63, side)
        for k, frame in enumerate(model.frames(a, b, depth=3)):
            assert frame.shape == (side, 63, 3) and frame.dtype == np.float32
            np.testing.assert_allclose(frame, a + (b - a) * k / 8, atol=1e-6)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(make, (64, 128, 192, 33, 64, 250)))


def test_interleaved_streams_do_not_disturb_each_other(small_film: film.Film) -> None:
    streams: list[Iterator[np.ndarray]] = [small_film.frames(*moved(64, 64, seed), depth=2) for seed in (1, 2)]
    taken = list(zip(*streams, strict=True))
    for seed, frames in zip((1, 2), zip(*taken, strict=True), strict=True):
        np.testing.assert_allclose(frames, list(small_film.frames(*moved(64, 64, seed), depth=2)), atol=1e-6)


@pytest.fixture(scope="module")
def lanes() -> Callable[[int], film.Film]:
    """A small FILM making so many middles side by side."""

    return functools.cache(lambda count: film.load(SMALL_FILM, lanes=count, precision="exact"))


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many middles are in the works `now`, how many were `most`ly, and in `all`."""
    counts: Counter[str] = Counter()
    started = sessions.Synthesizer.started

    @contextlib.contextmanager
    def counted(self: sessions.Synthesizer, tensors: dict[str, ov.Tensor]) -> Iterator[ov.InferRequest]:
        with started(self, tensors) as request:
            counts["all"] += 1
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
            yield request
        counts["now"] -= 1

    monkeypatch.setattr(sessions.Synthesizer, "started", counted)
    return counts


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.slow
def test_lanes_make_the_same_film(
    small_film: film.Film,
    lanes: Callable[[int], film.Film],
    working: Counter[str],
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = moved(70, 100)
    encoded = []
    give = sessions.FeatureSet.give
    for how in ({"depth": 3}, {"count": 6}, {"times": [0.25, 0.25, 0.3, 1]}):
        expected = list(small_film.frames(a, b, **how))
        working.clear()
        with monkeypatch.context() as patch:
            patch.setattr(sessions.FeatureSet, "give", lambda *one: (encoded.append(1), give(*one))[1])
            frames = list(lanes(count).frames(a, b, **how))
        assert len(encoded) == 2**2 + 1 or "depth" not in how  # each frame once, as with one lane
        assert len(frames) == len(expected)
        for frame, other in zip(frames, expected, strict=True):
            np.testing.assert_allclose(frame, other, atol=1e-5)
        assert working["now"] == 0 and working["most"] <= count
        assert working["most"] > 1 or "times" in how  # those are made one from the other
    np.testing.assert_array_equal(frames[-1], b)


@pytest.mark.slow
def test_lanes_stop_when_the_film_is_closed(lanes: Callable[[int], film.Film], working: Counter[str]) -> None:
    a, b = moved(70, 100)
    frames = lanes(3).frames(a, b, depth=5)
    for _ in range(4):
        kept = next(frames)
    copy = kept.copy()
    begun = working["all"]
    assert begun < 15
    frames.close()
    assert working["now"] == 0 and working["all"] == begun and list(frames) == []
    assert len(list(lanes(3).frames(a, b, depth=2))) == 5
    np.testing.assert_array_equal(kept, copy)


def test_lanes_are_for_the_cores_that_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(devices, "CONTAINER_LIMIT", limit)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(12), raising=False)
    for text, cores in (
        ("max 100000", 12),
        ("400000 100000", 4),
        ("50000 100000", 1),
        ("9900000 100000", 12),
        ("", 12),
    ):
        limit.write_text(text)
        assert devices.cores() == cores
    limit.unlink()
    model = film.load(SMALL_FILM)
    assert model._lanes == 12 // 4


def test_lanes_share_the_memory(small_film: film.Film) -> None:
    """Each takes its own; with little of it there are fewer, never none."""
    budgets = (0.001, 0.1, 0.2, 0.4, 0.8, 64)
    counts = [film.load(SMALL_FILM, lanes=8, memory_gb=budget).shape(256, 512).lanes for budget in budgets]
    assert counts == sorted(counts) and counts[0] == 1 and counts[-1] == 8 and 1 < counts[3] < 8
    assert small_film.shape(256, 512).lanes == 1


@pytest.mark.slow
def test_fewer_threads_make_the_same_frames_to_the_bit(small_film: film.Film, pair: tuple) -> None:
    one = film.load(SMALL_FILM, lanes=1, threads=1, precision="exact")
    for made, expected in zip(one.frames(*pair, depth=2), small_film.frames(*pair, depth=2), strict=True):
        np.testing.assert_array_equal(made, expected)


@pytest.mark.slow
def test_a_converted_model_needs_no_tensorflow(small_film: film.Film, tmp_path: Path) -> None:
    """Nothing imports it, not even in another process: where it would be found, there is one that cannot be."""
    small_film.converted()
    for name in ("tensorflow", "tensorflow_hub"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('TensorFlow was imported')")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np, film
model = film.load({str(SMALL_FILM)!r})
a = np.zeros((64, 64, 3), np.float32)
assert [stage for stage, _ in model.setup_steps(64, 64)] == ["compiling"]
heavy = {{"tensorflow", "tensorflow_hub", "keras", "gradio", "torch"}}
print(len(list(model.frames(a, a + 0.5, depth=1))), heavy & set(sys.modules))
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "3 set()"), done.stderr


@pytest.mark.slow
def test_a_downloaded_model_stays_when_the_hub_cache_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow Hub keeps its modules in the temporary directory, which is cleared now and then."""
    url = "http://127.0.0.1:9/kept"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    module = tmp_path / "hub" / hashlib.sha1(url.encode()).hexdigest()
    assert tensorflow_process.must_download(registry.find(url))
    shutil.copytree(SMALL_FILM, module)
    assert not tensorflow_process.must_download(registry.find(url))
    film.load(url).middle(*moved(64, 64))
    shutil.rmtree(module)
    assert not tensorflow_process.must_download(registry.find(url))
    a, b = moved(64, 64)
    np.testing.assert_allclose(film.load(url).middle(a, b), film.load(SMALL_FILM).middle(a, b), atol=1e-6)
