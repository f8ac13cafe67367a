"""Full disks, caches that cannot be written, hubs that lie or dawdle, an ffmpeg that dies, memory that runs out.

Each time: one clear message, nothing half-done that would be trusted later, and the next request works.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

import film
from film.batch.manifest import Manifest
from film.hub import convert, registry
from film.rendering import checkpoint, pipeline
from film.support import tempdirs
from tests.conftest import LITE, moved, photo, texture
from tests.film.media.test_video_segments import encoders
from tests.support.hub_server import Server, archive

pytestmark = pytest.mark.slow

ROOT = Path(film.__file__).parents[1]


class Disk:
    """A small disk of its own."""

    def __init__(self, path: Path, kilobytes: int) -> None:
        self.path = path
        path.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)], capture_output=True, text=True
        )
        if done.returncode:
            path.rmdir()
            pytest.skip(f"This needs the right to mount a small disk: {done.stderr.strip()}")

    def resize(self, kilobytes: int) -> None:
        self._remount(f"size={kilobytes}k")

    def allow_writing(self, allowed: bool) -> None:
        self._remount("rw" if allowed else "ro")

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.path)], check=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    """Makes a disk of that many kilobytes; it is gone after the test."""
    with contextlib.ExitStack() as disks:

        def make(kilobytes: int) -> Disk:
            made = Disk(tmp_path / "disk", kilobytes)
            disks.callback(made.close)
            return made

        yield make


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A hub that serves film-lite, and an empty TensorFlow Hub cache."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server(archive())
    yield server
    server.close()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photos of 96x128 with much to encode."""
    noise = np.random.default_rng(0).random((2, 96, 128, 3), np.float32)
    return [photo(tmp_path / f"{k}.png", frame) for k, frame in enumerate(noise)]


def make(photos: list[Path], model: film.Interpolator, output: Path, depth: int = 4) -> pipeline.Done:
    *_, done = pipeline.interpolate(photos, model, output, depth=depth, fps=10)
    assert isinstance(done, pipeline.Done)
    assert len(imageio.imread(output, plugin="FFMPEG")) == done.frames
    return done


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error) and "Traceback" not in str(error)
    return str(error)


# Disks that are full


def test_a_full_cache(disk: Callable[[int], Disk], averaging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = disk(4)
    monkeypatch.setenv("FILM_CACHE", str(small.path))
    with pytest.raises(RuntimeError, match="cannot be written to .*disk.*FILM_CACHE") as raised:
        convert.convert(averaging, small.path)
    assert one_line(raised.value)
    assert [path for path in (small.path / "ir").iterdir() if path.suffix != ".lock"] == []
    small.resize(4096)
    convert.convert(averaging, small.path)

    with contextlib.suppress(OSError), open(small.path / "filling", "wb", buffering=0) as filling:
        while filling.write(b"\0" * 4096):
            pass
    a, b = moved(64, 64)
    for _ in range(2):  # compiled without the entry in OpenVINO's cache, then with it
        np.testing.assert_allclose(film.load(averaging).middle(a, b), (a + b) / 2, atol=1e-6)
        (small.path / "filling").unlink(missing_ok=True)


@pytest.mark.parametrize("place", ["output", "temporary"])
def test_a_full_disk_for_the_film(
    disk: Callable[[int], Disk],
    place: str,
    photos: list[Path],
    averaging: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = disk(40)
    output = (small.path if place == "output" else tmp_path) / "film.mp4"
    monkeypatch.setattr(tempfile, "tempdir", str(small.path if place == "temporary" else tmp_path))
    model = film.load(averaging)
    with pytest.raises(RuntimeError, match="No space left on device") as raised:
        make(photos, model, output)
    assert "ffmpeg failed" in str(raised.value) and not encoders()
    assert os.listdir(small.path) == [] and not output.exists()
    small.resize(4096)
    assert make(photos, model, output).frames == 17
    assert sorted(os.listdir(small.path)) == (["film.mp4"] if place == "output" else [])


def test_a_full_disk_for_a_film_written_at_once(disk: Callable[[int], Disk]) -> None:
    small = disk(40)
    frames = np.random.default_rng(0).random((20, 96, 128, 3), np.float32)
    with pytest.raises(RuntimeError, match="ffmpeg failed.*No space left on device"):
        film.write_video(small.path / "film.mp4", iter(frames))
    assert os.listdir(small.path) == []
    small.resize(4096)
    film.write_video(small.path / "film.mp4", iter(frames))
    assert os.listdir(small.path) == ["film.mp4"]


def test_a_full_disk_for_a_download(disk: Callable[[int], Disk], hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    small = disk(1024)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(small.path))
    model = registry.find(hub.url)
    with pytest.raises(RuntimeError, match="could not be downloaded.*No space left on device.*film-lite"):
        registry.fetch(model)
    assert registry.downloaded(model) is None and not list(small.path.glob("*partial*"))
    small.resize(8192)
    assert (registry.fetch(model) / "saved_model.pb").read_bytes() == (LITE / "saved_model.pb").read_bytes()


# Caches


def test_a_cache_that_cannot_be_written(
    disk: Callable[[int], Disk],
    lite: film.Film,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An empty one is an error in words; one that holds the model is all that a film needs."""
    converted = lite.converted().directory
    cache = disk(16_000)
    monkeypatch.setenv("FILM_CACHE", str(cache.path))
    cache.allow_writing(False)
    with pytest.raises(RuntimeError, match="cannot be written to .*disk.*Read-only file system.*FILM_CACHE") as raised:
        film.load("film-lite").middle(*moved(64, 64))
    assert one_line(raised.value)

    cache.allow_writing(True)
    shutil.copytree(converted, cache.path / "ir" / converted.name)
    cache.allow_writing(False)
    with caplog.at_level(logging.WARNING):
        make(photos, film.load("film-lite"), tmp_path / "film.mp4", depth=1)
    assert "cannot be noted" in caplog.text
    assert [path.name for path in cache.path.rglob("*.*")] == [path.name for path in (cache.path / "ir").rglob("*.*")]


def test_an_output_folder_that_cannot_be_written(
    disk: Callable[[int], Disk], photos: list[Path], averaging: Path
) -> None:
    folder = disk(1024)
    folder.allow_writing(False)
    for attempt in (
        lambda: film.write_video(folder.path / "film.mp4", [texture(64, 64)] * 2),
        # Before there are any events: nothing is converted for it.
        lambda: film.interpolate(photos, film.load(averaging), folder.path / "film.mp4", depth=1),
        lambda: Manifest(folder.path),
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
    with open(other / "film" / "networks" / "film.py", "a") as source:
        source.write("# another version\n")
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
    films = [imageio.imread(tmp_path / f"{root.name}.mp4", plugin="FFMPEG") for root in (ROOT, other)]
    np.testing.assert_array_equal(*films)
    kept = [path for path in (tmp_path / "cache" / "ir").iterdir() if path.is_dir()]
    assert len(kept) == 2 and all((path / convert.MANIFEST).is_file() for path in kept)
    assert json.loads((tmp_path / "cache" / "speed.json").read_text())


def test_what_killed_programs_left_is_deleted_by_the_next(averaging: Path, tmp_path: Path) -> None:
    """Folders of scratch, and half-done conversions of other models; but not what a living one is using."""
    program = f"""
import signal, sys, os
from pathlib import Path
from film.support import tempdirs
with tempdirs.folder(Path({str(tmp_path)!r})) as folder:
    (folder / "000000.ts").write_bytes(b"half")
    print(folder.name, flush=True)
    sys.stdin.read(1)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    running = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    names = []
    for process in running:
        assert process.stdout
        names.append(process.stdout.readline().decode().strip())
    running[0].communicate(b"x")
    assert running[0].returncode == -signal.SIGKILL and (tmp_path / names[0] / "000000.ts").is_file()
    (tmp_path / ".film-notes").mkdir()  # a user's own
    with tempdirs.folder(tmp_path) as folder:
        assert not (tmp_path / names[0]).exists() and (tmp_path / names[1] / "000000.ts").is_file()
        assert len(list(folder.iterdir())) == 0
    running[1].communicate(b"x")
    film.write_video(tmp_path / "film.mp4", [texture(32, 32)] * 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".film-notes", "film.mp4"]

    abandoned = tmp_path / "cache" / "ir" / "0123-4567.partial"
    abandoned.mkdir(parents=True)
    (abandoned / "encoder.bin").write_bytes(b"half")
    convert.convert(averaging, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "ir").glob("*.partial"))


def test_a_folder_of_scratch_may_be_left_by_another_thread(tmp_path: Path) -> None:
    """As a film's is, whose events a server takes with whatever thread is free: its lock must not stay open."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        stack = contextlib.ExitStack()
        stack.enter_context(tempdirs.folder(tmp_path))
        assert len(os.listdir("/proc/self/fd")) == before + 1
        thread = threading.Thread(target=stack.close)
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) == before and os.listdir(tmp_path) == []


@pytest.mark.parametrize("note", ["", '{"key": "0f', "{}", "[]", None])
def test_parts_of_a_film_whose_note_was_being_written_are_made_anew(tmp_path: Path, note: str | None) -> None:
    folder = checkpoint.folder(tmp_path / "film.mp4")
    folder.mkdir()
    (folder / "00000000-000015.ts").write_bytes(b"of what?")
    if note is not None:
        (folder / checkpoint.NOTE).write_text(note)
    with pytest.raises(KeyError), checkpoint.kept(folder, {"fps": 30}):
        assert os.listdir(folder) == [checkpoint.NOTE]
        (folder / "00000000-000015.ts").write_bytes(b"whole")
        raise KeyError
    with checkpoint.kept(folder, {"fps": 30}):
        for choices in ({"fps": 30}, {"fps": 24}):  # whoever comes meanwhile destroys nothing
            with pytest.raises(RuntimeError, match="Another run is making the film"), checkpoint.kept(folder, choices):
                pass
        assert (folder / "00000000-000015.ts").read_bytes() == b"whole"
    assert not folder.exists()


# Hubs (one that is out of reach and one that answers with a page: test_registry.py)


def refused(hub: Server, message: str) -> None:
    """The module cannot be had, in words that match; nothing of it is kept; when the hub has recovered, it can."""
    model = registry.find(hub.url)
    with pytest.raises(RuntimeError, match=f"could not be downloaded from .*{message}.*film-lite") as raised:
        registry.fetch(model)
    assert one_line(raised.value)
    assert registry.downloaded(model) is None and not list(Path(os.environ["TFHUB_CACHE_DIR"]).rglob("*.pb"))
    hub.pace = lambda sent: None
    assert (registry.fetch(model) / "saved_model.pb").is_file()


@pytest.mark.parametrize("sent", [0, 200_000])
def test_a_hub_that_falls_silent(hub: Server, monkeypatch: pytest.MonkeyPatch, sent: int) -> None:
    monkeypatch.setenv("FILM_DOWNLOAD_SECONDS", "1")
    hub.pace = lambda so_far: hub.closing.wait(20) if so_far >= sent else None
    refused(hub, "nothing came for 1 s")


def test_a_hub_that_dawdles(hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is always something coming, but it would take a minute."""
    monkeypatch.setenv("FILM_DOWNLOAD_SECONDS", "1")
    hub.pace = lambda sent: time.sleep(0.5)
    refused(hub, r"not complete after 1 s \(FILM_DOWNLOAD_SECONDS\)")


def test_a_hub_that_hangs_up(hub: Server) -> None:
    hub.pace = lambda sent: sent > 300_000
    refused(hub, r"the connection ended early, after \d+ bytes of \d+")


def test_a_hub_that_hangs_up_before_it_answers(hub: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a killed download of TensorFlow Hub's own left, its lock above all, is not waited for."""
    hub.pace = lambda sent: True
    directory = tmp_path / "hub" / hashlib.sha1(hub.url.encode()).hexdigest()
    directory.parent.mkdir()
    directory.with_name(f"{directory.name}.lock").write_text("elsewhere.1.0123456789abcdef")
    refused(hub, "the connection ended early, after 0 bytes")


@pytest.mark.parametrize("setting", ["0", "-1", "soon", "nan", "inf"])
def test_an_unusable_time_limit_is_refused(hub: Server, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("FILM_DOWNLOAD_SECONDS", setting)
    with pytest.raises(ValueError, match=f"FILM_DOWNLOAD_SECONDS is '{setting}'"):
        registry.fetch(registry.find(hub.url))


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


DATA = "variables/variables.data-00000-of-00001"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "variables cut": lambda module: os.truncate(module / DATA, 100_000),
    "variables changed": lambda module: flip(module / DATA),
    "variables missing": lambda module: (module / DATA).unlink(),
    "index missing": lambda module: (module / "variables/variables.index").unlink(),
    "graph garbage": lambda module: (module / "saved_model.pb").write_bytes(b"<html>"),
    "graph cut": lambda module: os.truncate(module / "saved_model.pb", 10_000),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_module_is_downloaded_again(
    hub: Server, damage: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = registry.find(hub.url)
    module = registry.fetch(model)
    damage(module)
    hub.pace = lambda sent: True
    with pytest.raises(RuntimeError, match="could not be downloaded"):  # offline
        registry.fetch(model)
    hub.pace = lambda sent: None
    assert registry.fetch(model) == module
    for file in LITE.rglob("*.*"):
        assert (module / file.relative_to(LITE)).read_bytes() == file.read_bytes()


def test_a_model_converted_before_its_module_was_damaged_is_used(hub: Server, lite: film.Film) -> None:
    model = registry.find(hub.url)
    module = registry.fetch(model)
    a, b = moved(64, 64)
    expected = film.load(hub.url).middle(a, b)  # converted already, for film-lite
    DAMAGES["variables cut"](module)
    asked = len(hub.requests)
    np.testing.assert_array_equal(film.load(hub.url).middle(a, b), expected)
    assert len(hub.requests) == asked


# ffmpeg (one that fails by itself, or is not there: test_video_segments.py)


def kill_encoder() -> None:
    (process,) = [
        status.parent
        for status in Path("/proc").glob("[0-9]*/stat")
        if f") S {os.getpid()} " in (text := status.read_text()) or f") R {os.getpid()} " in text
        if b"ffmpeg" in (status.parent / "cmdline").read_bytes()
    ]
    os.kill(int(process.name), signal.SIGKILL)


def test_an_encoder_that_is_killed(averaging: Path, photos: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "film.mp4"
    model = film.load(averaging)
    events = pipeline.interpolate(photos, model, output, depth=6, fps=120)
    with pytest.raises(RuntimeError, match="ffmpeg failed: it was ended by SIGKILL"):
        for event in events:
            if isinstance(event, pipeline.Progress) and event.done == 10:
                kill_encoder()

    def frames() -> Iterator[np.ndarray]:
        for k in range(50):
            yield texture(96, 128)
            if k == 20:
                kill_encoder()

    with pytest.raises(RuntimeError, match="ffmpeg failed: it was ended by SIGKILL"):
        film.write_video(output, frames())
    assert not output.exists() and not encoders() and not list(tmp_path.glob(f"{tempdirs.PREFIX}*"))
    make(photos, model, output)


# Memory


def test_memory_that_runs_out(lite: film.Film, tmp_path: Path) -> None:
    """In one request: while the model is compiled for a large photo, while a film is made, while a photo is read."""
    lite.converted()
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
model = film.load("film-lite", lanes=1, memory_gb=64)
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
