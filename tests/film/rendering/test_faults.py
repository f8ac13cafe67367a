"""Full disks, caches that cannot be written, an ffmpeg that dies, memory that runs out.

Each time: one clear message, nothing half-done that would be trusted later, and the next request works.
"""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import film
from film.batch.manifest import Manifest
from film.hub import convert, registry
from film.rendering import pipeline
from film.support import tempdirs
from tests.conftest import ROOT, SMALL_FILM, moved, one_line, photo, texture
from tests.film.conftest import made
from tests.support.clips import decoded, encoders
from tests.support.hub_server import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, of 16 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"This needs the right to mount a small disk: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def remount(disk: Path, option: str) -> None:
    """With another size, as size=40k, or for reading only (ro) or writing (rw)."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photos of 96x128 with much to encode."""
    noise = np.random.default_rng(0).random((2, 96, 128, 3), np.float32)
    return [photo(tmp_path / f"{k}.png", frame) for k, frame in enumerate(noise)]


def make(photos: list[Path], model: film.Interpolator, output: Path, depth: int = 4) -> pipeline.Done:
    done = made(pipeline.interpolate(photos, model, output, depth=depth, fps=10)).done
    assert len(decoded(output)) == done.frames
    return done


def test_a_full_cache(disk: Path, averaging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remount(disk, "size=4k")
    monkeypatch.setenv("FILM_CACHE", str(disk))
    with pytest.raises(RuntimeError, match="cannot be written to .*disk.*FILM_CACHE") as raised:
        convert.convert(averaging, disk)
    assert one_line(raised.value)
    assert [path for path in (disk / "ir").iterdir() if path.suffix != ".lock"] == []
    remount(disk, "size=4096k")
    convert.convert(averaging, disk)

    with contextlib.suppress(OSError), open(disk / "filling", "wb", buffering=0) as filling:
        while filling.write(b"\0" * 4096):
            pass
    a, b = moved(64, 64)
    for _ in range(2):  # compiled without the entry in OpenVINO's cache, then with it
        np.testing.assert_allclose(film.load(averaging).middle(a, b), (a + b) / 2, atol=1e-6)
        (disk / "filling").unlink(missing_ok=True)


@pytest.mark.parametrize("place", ["output", "temporary"])
def test_a_full_disk_for_the_film(
    disk: Path, place: str, photos: list[Path], averaging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remount(disk, "size=40k")
    output = (disk if place == "output" else tmp_path) / "film.mp4"
    monkeypatch.setattr(tempfile, "tempdir", str(disk if place == "temporary" else tmp_path))
    model = film.load(averaging)
    with pytest.raises(RuntimeError, match="No space left on device") as raised:
        make(photos, model, output)
    assert "ffmpeg failed" in str(raised.value) and not encoders()
    assert os.listdir(disk) == [] and not output.exists()
    remount(disk, "size=4096k")
    assert make(photos, model, output).frames == 17
    assert sorted(os.listdir(disk)) == (["film.mp4"] if place == "output" else [])


def test_a_full_disk_for_a_download(disk: Path, hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    remount(disk, "size=1024k")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(disk))
    model = registry.find(hub.url)
    with pytest.raises(RuntimeError, match="could not be downloaded.*No space left on device.*film-lite"):
        registry.fetch(model)
    assert registry.downloaded(model) is None and not list(disk.glob("*partial*"))
    remount(disk, "size=8192k")
    assert (registry.fetch(model) / "saved_model.pb").read_bytes() == (SMALL_FILM / "saved_model.pb").read_bytes()


def test_a_cache_that_cannot_be_written(
    disk: Path,
    small_film: film.Film,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An empty one is an error in words; one that holds the model is all that a film needs."""
    converted = small_film.converted().directory
    monkeypatch.setenv("FILM_CACHE", str(disk))
    remount(disk, "ro")
    with pytest.raises(RuntimeError, match="cannot be written to .*disk.*Read-only file system.*FILM_CACHE") as raised:
        film.load(SMALL_FILM).middle(*moved(64, 64))
    assert one_line(raised.value)

    remount(disk, "rw")
    shutil.copytree(converted, disk / "ir" / converted.name)
    remount(disk, "ro")
    with caplog.at_level(logging.WARNING):
        make(photos, film.load(SMALL_FILM), tmp_path / "film.mp4", depth=1)
    assert "cannot be noted" in caplog.text
    assert [path.name for path in disk.rglob("*.*")] == [path.name for path in (disk / "ir").rglob("*.*")]


def test_an_output_folder_that_cannot_be_written(disk: Path, photos: list[Path], averaging: Path) -> None:
    remount(disk, "ro")
    for attempt in (
        lambda: film.write_video(disk / "film.mp4", [texture(64, 64)] * 2),
        # Before there are any events: nothing is converted for it.
        lambda: film.interpolate(photos, film.load(averaging), disk / "film.mp4", depth=1),
        lambda: Manifest(disk),
    ):
        with pytest.raises(RuntimeError, match="Nothing can be written to .*disk.*Read-only file system") as raised:
            attempt()
        assert one_line(raised.value)


def test_a_cache_that_vanishes_under_a_running_program(
    averaging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never existed; it is made; it is emptied; another size is asked for."""
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "not" / "there"))
    convert.convert(averaging, registry.cache_directory())  # TensorFlow is here already
    model = film.load(averaging)
    a, b = moved(64, 64)
    np.testing.assert_allclose(model.middle(a, b), (a + b) / 2, atol=1e-6)
    shutil.rmtree(tmp_path / "not")
    assert [stage for stage, _ in model.setup_steps(128, 64)] == ["converting", "compiling"]
    a, b = moved(128, 64)
    np.testing.assert_allclose(model.middle(a, b), (a + b) / 2, atol=1e-6)


def test_two_versions_share_a_cache(
    averaging: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two programs whose converters differ, at once, then again: each keeps to its own, and neither starts over."""
    other = tmp_path / "other"
    shutil.copytree(ROOT / "film", other / "film", ignore=shutil.ignore_patterns("models", "__pycache__"))
    with open(other / "film" / "hub" / "convert.py", "a") as source:
        source.write("FORMAT += 1\n")
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    for converts in (True, False):
        running = []
        for root in (ROOT, other):
            output = str(tmp_path / f"{root.name}.mp4")
            command = [sys.executable, "-m", "film", "interpolate", *map(str, photos), "-o", output, "--depth", "1"]
            command += ["--model", str(averaging), "--longest-side", "64"]
            running.append(subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        for process in running:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
            assert (b"Converting" in said) == converts
    films = [decoded(tmp_path / f"{root.name}.mp4") for root in (ROOT, other)]
    np.testing.assert_array_equal(*films)
    kept = [path for path in (tmp_path / "cache" / "ir").iterdir() if path.is_dir()]
    assert len(kept) == 2 and all((path / convert.MANIFEST).is_file() for path in kept)
    assert json.loads((tmp_path / "cache" / "speed.json").read_text())


def test_an_encoder_that_is_killed(averaging: Path, photos: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "film.mp4"
    model = film.load(averaging)
    events = pipeline.interpolate(photos, model, output, depth=6, fps=120)
    with pytest.raises(RuntimeError, match="ffmpeg failed: it was ended by SIGKILL"):
        for event in events:
            if isinstance(event, pipeline.Progress) and event.done == 10:
                (encoder,) = encoders()
                os.kill(encoder, signal.SIGKILL)
    assert not output.exists() and not encoders() and not list(tmp_path.glob(f"{tempdirs.PREFIX}*"))
    make(photos, model, output)


def test_memory_that_runs_out(small_film: film.Film, tmp_path: Path) -> None:
    """In one request: while the model is compiled for a large photo, while a film is made, while a photo is read."""
    small_film.converted()
    large = photo(tmp_path / "large.png", np.zeros((3000, 3000, 3), np.float32))
    program = f"""
import resource
import numpy as np, film
from film.support import memory

def limit(more):  # bytes beyond what is taken now
    taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + more if more else -1, -1))

def refused(work):
    try:
        work()
    except memory.NotEnoughMemory as error:
        assert isinstance(error, RuntimeError) and "\\n" not in str(error), error
        print(error)

a, b = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
model = film.load({str(SMALL_FILM)!r}, lanes=1, memory_gb=64)
expected = model.middle(a, b)
large = np.zeros((1500, 1500, 3), np.float32)
for more in (20, 200):
    limit(more << 20)
    refused(lambda: model.middle(large, large))
    assert np.allclose(model.middle(a, b), expected, atol=1e-6)
limit(0)
model.compiled(1500, 1500)
limit(50 << 20)
refused(lambda: list(model.frames(large, large, depth=2)))
refused(lambda: film.read_image({str(large)!r}))
assert np.allclose(model.middle(a, b), expected, atol=1e-6)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("There is not enough memory for this; smaller photos need less") == 4, done.stdout
