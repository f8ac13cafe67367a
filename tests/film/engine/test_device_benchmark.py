"""The fastest device is measured once per model and size class, remembered, and told with the reason."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import film
from film.engine import device_benchmark, devices
from film.hub import convert
from film.rendering import pipeline
from film.support import memory
from tests.conftest import moved, photo

# OpenVINO runs a model on the CPU under either name, so both can really be measured anywhere; the third fails.
THREE = {"CPU": "a processor", "HETERO:CPU": "the same, in another way", "GPU.99": "nothing"}


@pytest.fixture(scope="module")
def converted(averaging: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The averaging model's IR."""
    return convert.convert(averaging, tmp_path_factory.mktemp("converted")).directory


@pytest.fixture
def cache(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FILM_CACHE that holds the averaging model, and nothing that was measured."""
    shutil.copytree(converted, tmp_path / "cache" / "ir" / converted.name)
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "real_devices", lambda: THREE)


def noted(cache: Path) -> dict[str, object]:
    return json.loads((cache / "speed.json").read_text()) if (cache / "speed.json").exists() else {}


def stages(model: film.Interpolator, side: int) -> list[str]:
    told = []
    for stage, work in model.setup_steps(side, side):
        told.append(stage)
        work()
    return told


# With devices that OpenVINO really runs


def test_a_single_device_needs_no_measuring(averaging: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "real_devices", lambda: {"CPU": "a processor"})
    model = film.load(averaging, device="FASTEST")
    assert (model.device, model.choice) == ("FASTEST", None)  # nothing is done before it is needed
    assert stages(model, 64) == ["compiling"]
    a, b = moved(64, 64)
    np.testing.assert_allclose(model.middle(a, b), (a + b) / 2, atol=1e-6)
    assert (model.device, model.choice) == ("CPU", "CPU was chosen: it is the only device here.")
    assert noted(cache) == {}
    assert film.load(averaging).choice is None  # nobody asked


@pytest.mark.usefixtures("three")
def test_the_devices_are_compared_once(averaging: Path, cache: Path) -> None:
    model = film.load(averaging, device="FASTEST")
    assert stages(model, 64) == ["measuring", "compiling"]
    assert model.device == "CPU"  # what really runs, under either name
    why = model.choice
    assert why and why.startswith(("CPU was chosen, the fastest here. ", "HETERO:CPU was chosen, the fastest here. "))
    assert why.count(" s per frame") == 2 and "GPU.99 failed: OpenVINO cannot compile" in why and "\n" not in why
    known = noted(cache)
    assert sorted(type(value).__name__ for value in known.values()) == ["float", "float", "str"]
    assert all("averaging" in key and " on " in key and ", OpenVINO " in key for key in known)

    again = film.load(averaging, device="FASTEST")
    assert stages(again, 64) == ["compiling"] and again.choice == why and noted(cache) == known
    assert stages(again, 200) == ["measuring", "compiling"]  # another size class
    assert stages(again, 300) == ["compiling"]
    other = film.load(averaging, device="FASTEST", precision="exact" if model.precision == "mixed" else "mixed")
    a, b = moved(64, 64)
    np.testing.assert_allclose(other.middle(a, b), (a + b) / 2, atol=0.01)  # without `setup_steps`, the same happens
    assert len(noted(cache)) == 3 * len(known)


@pytest.mark.usefixtures("three")
def test_a_film_tells_which_device_was_chosen(averaging: Path, cache: Path, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{name}.png", frame) for name, frame in zip("ab", moved(64, 64), strict=True)]
    model = film.load(averaging, device="FASTEST")
    events = list(pipeline.interpolate(photos, model, tmp_path / "film.mp4", depth=1))
    texts = [event.text for event in events if isinstance(event, pipeline.Stage | pipeline.Notice)]
    assert texts.index("Comparing the devices, once") < texts.index(str(model.choice)) < texts.index("Making frames")
    assert film.estimate(model.name, "FASTEST", 64, 64)  # so the page can tell what the next film will cost


@pytest.mark.usefixtures("three", "cache")
def test_each_size_has_its_own_device(averaging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was used last: a film is told, and kept under, the device that makes its frames."""

    def seconds(self: film.Film, device: str, size: tuple[int, int]) -> float:
        return float((device == "CPU") == (size[0] > 100)) if device in ("CPU", "HETERO:CPU") else 9.0

    monkeypatch.setattr(film.Film, "_seconds", seconds)
    model = film.load(averaging, device="FASTEST")
    small, large = model.execution_info(64, 64), model.execution_info(200, 200)
    assert small.why and small.why.startswith("CPU was chosen")
    assert large.why and large.why.startswith("HETERO:CPU was chosen")
    assert model.execution_info(64, 64) == small and model.choice == small.why


@pytest.mark.usefixtures("three")
def test_threads_measure_once(averaging: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = film.load(averaging, device="FASTEST")
    measured = []
    seconds = film.Film._seconds

    def counted(self: film.Film, device: str, size: tuple[int, int]) -> float:
        measured.append(device)
        return seconds(self, device, size)

    monkeypatch.setattr(film.Film, "_seconds", counted)
    threads = [threading.Thread(target=model.middle, args=moved(64, 64)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(measured) == sorted(THREE)


# The choice itself


class Clock:
    """Measures devices as a test says: seconds, or an error to raise. Counts."""

    def __init__(self, **results: float | Exception) -> None:
        self.results = results
        self.asked: list[str] = []

    def __call__(self, device: str) -> float:
        self.asked.append(device)
        result = self.results[device]
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def fake_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path))

    def are(*names: str, kind: str = "a kind") -> None:
        monkeypatch.setattr(devices, "real_devices", lambda: {name: f"{kind} of {name}" for name in names})

    return are


def test_the_fastest_is_chosen_and_remembered(fake_devices: Callable[..., None]) -> None:
    fake_devices("CPU", "GPU", "NPU")
    clock = Clock(CPU=0.25, GPU=1.3, NPU=RuntimeError("no such\noperation"))
    choice = device_benchmark.choose("film-lite", 1000, clock)
    why = "CPU was chosen, the fastest here. CPU: 0.25 s per frame; GPU: 1.3 s per frame; NPU failed: no such operation"
    assert choice == devices.ExecutionInfo("CPU", why)
    assert device_benchmark.choose("film-lite", 1000, clock) == choice and clock.asked == ["CPU", "GPU", "NPU"]
    assert not device_benchmark.needs_measuring("film-lite", 1000) and device_benchmark.needs_measuring("film", 1000)
    assert device_benchmark.needs_measuring("film-lite", 3000)
    assert device_benchmark.choose("film", 1000, Clock(CPU=9.0, GPU=8.9, NPU=10.0)).device == "GPU"


def test_a_new_device_is_measured_alone(fake_devices: Callable[..., None]) -> None:
    fake_devices("CPU", "GPU")
    device_benchmark.choose("film", 1000, Clock(CPU=2.0, GPU=1.0))
    fake_devices("CPU", "GPU", "NPU")
    clock = Clock(NPU=0.5)
    assert device_benchmark.choose("film", 1000, clock).device == "NPU" and clock.asked == ["NPU"]
    fake_devices("CPU", "GPU", kind="another kind")  # another machine with the same cache
    assert device_benchmark.choose("film", 1000, Clock(CPU=1.0, GPU=2.0)).device == "CPU"


def test_what_says_nothing_of_the_next_time_is_not_remembered(fake_devices: Callable[..., None]) -> None:
    """Memory that ran out; and all devices failing, which may be the fault of something else."""
    fake_devices("CPU", "GPU")
    assert device_benchmark.choose("film", 1000, Clock(CPU=2.0, GPU=memory.NotEnoughMemory("not now"))).device == "CPU"
    clock = Clock(GPU=1.0)
    assert device_benchmark.choose("film", 1000, clock).device == "GPU" and clock.asked == ["GPU"]

    with pytest.raises(RuntimeError, match="No device here can run film-lite. CPU failed: broken; GPU failed: absent"):
        device_benchmark.choose("film-lite", 1000, Clock(CPU=RuntimeError("broken"), GPU=RuntimeError("absent")))
    assert device_benchmark.needs_measuring("film-lite", 1000)
    assert device_benchmark.choose("film-lite", 1000, Clock(CPU=1.0, GPU=RuntimeError("absent"))).device == "CPU"


@pytest.mark.parametrize(("height", "width"), [(64, 64), (512, 512), (2160, 3840), (16, 100_000), (3, 1)])
def test_large_frames_are_judged_by_smaller_ones(height: int, width: int) -> None:
    size = device_benchmark.measured_size(height, width)
    assert 1 <= size[0] <= height and 1 <= size[1] <= width and size[0] * size[1] <= device_benchmark.MEASURED_PIXELS
    if height * width <= device_benchmark.MEASURED_PIXELS:
        assert size == (height, width)
    elif min(height, width) > 100:
        assert size[0] * size[1] > 0.98 * device_benchmark.MEASURED_PIXELS
        assert size[0] / size[1] == pytest.approx(height / width, rel=0.02)
