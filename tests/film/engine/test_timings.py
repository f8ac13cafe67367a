"""What films took, and what each device took when they were compared once: noted, told, and never in the way."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock, call

import pytest

import film
from film.engine import devices, timings
from film.rendering import pipeline
from film.support import memory
from tests.conftest import CACHE, moved, photo

# OpenVINO runs a model on the CPU under either name, so both can really be measured anywhere; the third fails.
THREE = {"CPU": "a processor", "HETERO:CPU": "the same, in another way", "GPU.99": "nothing"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def three(averaging: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(CACHE.name) / "ir", cache / "ir")
    monkeypatch.setattr(devices, "real_devices", lambda: THREE)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return [photo(tmp_path / f"{n}.png", frame) for n, frame in enumerate(moved(64, 64))]


def noted(cache: Path) -> dict[str, object]:
    return json.loads((cache / "speed.json").read_text()) if (cache / "speed.json").exists() else {}


def stages(model: film.Interpolator, side: int) -> list[str]:
    told = []
    for stage, work in model.setup_steps(side, side):
        told.append(stage)
        work()
    return told


def test_an_estimate_is_in_proportion_to_the_pixels(cache: Path) -> None:
    def estimate(model: str, height: int, width: int, device: str = "CPU") -> float | None:
        return film.estimate(model, device, height, width, precision="exact")

    assert estimate("film", 512, 512) is None
    timings.remember("film", "CPU", 512 * 512, 8.0)
    assert estimate("film", 512, 512) == pytest.approx(8.0) and estimate("film", 256, 512) == pytest.approx(4.0)
    assert estimate("film", 64, 64) is None  # too different to conclude anything
    assert estimate("film", 512, 512, "GPU") is None and estimate("film-lite", 512, 512) is None
    timings.remember("film-lite", "CPU", 100, 1.0)
    timings.remember("film", "CPU", 512 * 512, 2.0)
    assert estimate("film", 512, 512) == pytest.approx(2.0) and estimate("film-lite", 10, 10) == pytest.approx(1.0)
    assert {path.name for path in cache.iterdir()} == {"speed.json", "speed.json.lock"}


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null", "3", '{"film on CPU, 2^7 pixels": "fast"}', "\xff"])
def test_a_damaged_note_is_no_estimate(cache: Path, damage: str) -> None:
    cache.mkdir()
    (cache / "speed.json").write_text(damage, encoding="latin-1")
    assert film.estimate("film", "CPU", 10, 10, precision="exact") is None
    timings.remember("film", "CPU", 100, 1.0)
    assert film.estimate("film", "CPU", 10, 10, precision="exact") == pytest.approx(1.0)


def test_a_cache_that_cannot_be_written_does_not_matter(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache.write_text("a file where the directory should be")
    timings.remember("film", "CPU", 100, 1.0)
    assert "cannot be noted" in caplog.text
    assert film.estimate("film", "CPU", 10, 10, precision="exact") is None


@pytest.mark.usefixtures("three")
def test_another_precision_is_noted_apart(averaging: Path, tmp_path: Path, photos: list[Path]) -> None:
    model = film.load(averaging, precision="mixed")
    list(film.interpolate(photos, model, tmp_path / "film.mp4", depth=1))
    assert film.estimate(model.name, "CPU", 64, 64, "mixed")
    assert film.estimate(model.name, "CPU", 64, 64, "exact") is None


@pytest.mark.usefixtures("three")
def test_a_single_device_needs_no_measuring(averaging: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "real_devices", lambda: {"CPU": "a processor"})
    model = film.load(averaging, device="FASTEST")
    assert model.device == "FASTEST"  # nothing is done before it is needed
    assert (stages(model, 64), stages(model, 64)) == (["compiling"], [])
    told = model.execution_info(64, 64)
    assert (model.device, told.why) == ("CPU", "CPU was chosen: it is the only device here.") and noted(cache) == {}
    assert film.load(averaging).execution_info(64, 64).why is None  # nobody asked


@pytest.mark.usefixtures("three")
def test_the_devices_are_compared_once(averaging: Path, cache: Path, tmp_path: Path, photos: list[Path]) -> None:
    model = film.load(averaging, device="FASTEST")
    assert stages(model, 64) == ["measuring", "compiling"]
    assert model.device == "CPU"  # what really runs, under either name
    why = model.execution_info(64, 64).why
    assert why and why.startswith(("CPU was chosen, the fastest here. ", "HETERO:CPU was chosen, the fastest here. "))
    assert why.count(" s per frame") == 2 and "GPU.99 failed: OpenVINO cannot compile" in why and "\n" not in why
    known = noted(cache)
    assert sorted(type(value).__name__ for value in known.values()) == ["float", "float", "str"]
    assert all("averaging" in key and " on " in key and ", OpenVINO " in key for key in known)

    again = film.load(averaging, device="FASTEST")
    assert stages(again, 64) == ["compiling"] and again.execution_info(64, 64).why == why and noted(cache) == known
    assert stages(again, 200) == ["measuring", "compiling"]  # another size class
    assert stages(again, 300) == ["compiling"]
    other = film.load(averaging, device="FASTEST", precision="exact" if model.precision == "mixed" else "mixed")
    events = list(pipeline.interpolate(photos, other, tmp_path / "film.mp4", depth=1))
    texts = [event.text for event in events if isinstance(event, pipeline.Stage | pipeline.Notice)]
    why = str(other.execution_info(64, 64).why)
    assert texts.index("Comparing the devices, once") < texts.index(why) < texts.index("Making frames")
    assert film.estimate(other.name, "FASTEST", 64, 64, str(other.precision))  # for the next film


@pytest.mark.usefixtures("three")
def test_each_size_has_its_own_device_measured_once(averaging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was used last, and however many threads ask."""
    measured = []

    def seconds(self: film.Film, device: str, size: tuple[int, int]) -> float:
        measured.append(device)
        return float((device == "CPU") == (size[0] > 100)) if device in ("CPU", "HETERO:CPU") else 9.0

    monkeypatch.setattr(film.Film, "_seconds", seconds)
    model = film.load(averaging, device="FASTEST")
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(model.middle, *zip(*[moved(64, 64)] * 3, strict=True)))
    assert sorted(measured) == sorted(THREE)
    for _ in range(2):
        for side, device in ((64, "CPU"), (200, "HETERO:CPU")):
            assert str(model.execution_info(side, side).why).startswith(f"{device} was chosen")


@pytest.fixture
def fake_devices(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def are(*names: str, kind: str = "a kind") -> None:
        monkeypatch.setattr(devices, "real_devices", lambda: {name: f"{kind} of {name}" for name in names})

    return are


def test_the_fastest_is_chosen_and_remembered(fake_devices: Callable[..., None]) -> None:
    fake_devices("CPU", "GPU", "NPU")
    clock = Mock(side_effect=[0.25, 1.3, RuntimeError("no such\noperation")])
    choice = timings.fastest("film-lite", 1000, clock)
    why = "CPU was chosen, the fastest here. CPU: 0.25 s per frame; GPU: 1.3 s per frame; NPU failed: no such operation"
    assert choice == devices.ExecutionInfo("CPU", why)
    assert timings.fastest("film-lite", 1000, clock) == choice
    assert clock.mock_calls == [call("CPU"), call("GPU"), call("NPU")]
    asked = [("film-lite", 1000), ("film", 1000), ("film-lite", 3000)]
    assert [timings.needs_measuring(*one) for one in asked] == [False, True, True]
    fake_devices("CPU", "GPU", "NPU", "GPU.1")  # a new device is measured alone
    clock = Mock(return_value=0.1)
    assert timings.fastest("film-lite", 1000, clock).device == "GPU.1" and clock.mock_calls == [call("GPU.1")]
    fake_devices("CPU", "GPU", kind="another kind")  # another machine with the same cache
    assert timings.fastest("film-lite", 1000, Mock(side_effect=[2.0, 1.0])).device == "GPU"


def test_what_says_nothing_of_the_next_time_is_not_remembered(fake_devices: Callable[..., None]) -> None:
    """Memory that ran out; and all devices failing, which may be the fault of something else."""
    fake_devices("CPU", "GPU")
    assert timings.fastest("film", 1000, Mock(side_effect=[2.0, memory.NotEnoughMemory("not now")])).device == "CPU"
    clock = Mock(return_value=1.0)
    assert timings.fastest("film", 1000, clock).device == "GPU" and clock.mock_calls == [call("GPU")]

    with pytest.raises(RuntimeError, match="No device here can run film-lite. CPU failed: broken; GPU failed: absent"):
        timings.fastest("film-lite", 1000, Mock(side_effect=[RuntimeError("broken"), RuntimeError("absent")]))
    assert timings.needs_measuring("film-lite", 1000)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (512, 512), (2160, 3840), (16, 100_000), (3, 1)])
def test_large_frames_are_judged_by_smaller_ones(height: int, width: int) -> None:
    size = timings.measured_size(height, width)
    assert 1 <= size[0] <= height and 1 <= size[1] <= width and size[0] * size[1] <= timings.MEASURED_PIXELS
    if height * width <= timings.MEASURED_PIXELS:
        assert size == (height, width)
    elif min(height, width) > 100:
        assert size[0] * size[1] > 0.98 * timings.MEASURED_PIXELS
        assert size[0] / size[1] == pytest.approx(height / width, rel=0.02)
