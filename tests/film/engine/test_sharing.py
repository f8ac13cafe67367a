"""A model is shared by threads and streams, is light to import, and needs no TensorFlow once it is converted."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import film
from film.hub import registry, tensorflow_process
from tests.conftest import SMALL_FILM, moved

ROOT = Path(film.__file__).parents[1]


def test_devices_are_listed_with_their_names(small_film: film.Film) -> None:
    devices = film.devices()
    assert {"AUTO", "FASTEST", "CPU"} <= set(devices) and all(devices.values())
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
        a, b = moved(side, 64, side)
        for k, frame in enumerate(model.frames(a, b, depth=3)):
            np.testing.assert_allclose(frame, a + (b - a) * k / 8, atol=1e-6)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(make, (64, 128, 192, 256, 64, 128)))


def test_interleaved_streams_do_not_disturb_each_other(small_film: film.Film) -> None:
    streams: list[Iterator[np.ndarray]] = [small_film.frames(*moved(64, 64, seed), depth=2) for seed in (1, 2)]
    taken = list(zip(*streams, strict=True))
    for seed, frames in zip((1, 2), zip(*taken, strict=True), strict=True):
        np.testing.assert_allclose(frames, list(small_film.frames(*moved(64, 64, seed), depth=2)), atol=1e-6)


@pytest.mark.slow
def test_what_remains_to_be_done_is_told(averaging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path))
    model = film.load(averaging)
    assert list(tmp_path.iterdir()) == []
    stages = []
    for stage, work in model.setup_steps(64, 64):
        stages.append(stage)
        work()
    assert stages == ["converting", "compiling"]
    assert list(model.setup_steps(64, 64)) == []
    assert [stage for stage, _ in model.setup_steps(128, 64)] == ["compiling"]
    assert [stage for stage, _ in film.load(averaging).setup_steps(64, 64)] == ["compiling"]


# TensorFlow stays out


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
