"""Killed with SIGKILL, the whole process group, in every stage of a film: what is left is never trusted half-done.

One film is begun again and again in one set of folders: each run starts from what the kill before it left, and has to
come further. The moments are random (seeded), but tied to what happens.
"""

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import film
from film.hub import convert, registry
from film.rendering import events
from tests.conftest import ROOT, SMALL_FILM, moved, photo
from tests.support.clips import decoded
from tests.support.hub_server import Server, archive

pytestmark = pytest.mark.slow
SEED = 20
PATIENCE = 180  # seconds for one run on a busy machine
STAGES = {f"{text} …": name for name, text in events.STAGES.items()}
SIZE = len(archive())
# For each stage: what the program has come to when the time begins to run, and the seconds in which it is then killed.
KILLS: dict[str, list[tuple[Any, float]]] = {
    "downloading": [(0.2 * SIZE, 0.2), (0.8 * SIZE, 0.2)],  # bytes
    "converting": [
        ("ir/*.partial", 2.0),  # while the graphs are made and compared
        ("ir/*.partial/encoder.bin", 0.03),  # while they are written
        ("ir/*/manifest.json", 0.0),  # beside the rename that makes them the model, on either side of it
    ],
    "compiling": [(256, 0.4), (288, 0.4)],  # the width of a film, which the cache does not know
    "interpolating": [("frame 2 of 9", 0.03), ("frame 6 of 9", 0.03), ("frame 9 of 9", 0.03)],
}


class Program:
    """`python -m film interpolate` in a process group of its own, with a hub and folders of its own."""

    def __init__(self, folder: Path, hub: Server) -> None:
        self.places = {name: folder / name for name in ("cache", "hub", "temporary", "output")}
        for place in self.places.values():
            place.mkdir()
        self.hub = hub
        self.output = self.places["output"] / "film.mp4"
        self.photos = [photo(folder / f"{name}.png", frame) for name, frame in zip("ab", moved(256, 320), strict=True)]
        self._log = folder / "log"
        self.sent, self.slow_from = 0, math.inf  # bytes of the download
        hub.pace = self._pace

    def start(self, side: int = 64) -> None:
        """Begin a film of 9 frames, `side` pixels wide, in 5 segments."""
        command = [sys.executable, "-m", "film", "interpolate", *map(str, self.photos), "-o", str(self.output)]
        command += ["--depth", "3", "--fps", "4", "--longest-side", str(side), "--model", self.hub.url]
        self.sent, self._began = 0, time.time_ns()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.places["temporary"]), "FILM_CACHE": str(self.places["cache"])},
            stdout=subprocess.DEVNULL,
            stderr=self._log.open("w"),
            start_new_session=True,
        )

    @property
    def said(self) -> list[str]:
        return self._log.read_text().splitlines()

    @property
    def stages(self) -> list[str]:
        return [STAGES[line] for line in self.said if line in STAGES]

    def _pace(self, sent: int) -> None:
        self.sent = sent
        if sent >= self.slow_from:
            time.sleep(0.05)

    def wait_for(self, stage: str, mark: Any) -> None:
        """Until the stage has come to what KILLS says, or the program has ended."""
        reached: dict[str, Callable[[], bool]] = {
            "downloading": lambda: self.sent >= mark,
            "converting": lambda: self._has_made(mark),
            "compiling": lambda: "compiling" in self.stages,
            "interpolating": lambda: any(line.startswith(mark) for line in self.said),
        }
        end = time.monotonic() + PATIENCE
        while not reached[stage]() and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)

    def _has_made(self, pattern: str) -> bool:
        """Whether this run has made such a file in the cache; those of killed runs do not count."""
        for path in self.places["cache"].glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime_ns > self._began:
                    return True
        return False

    def kill(self) -> str:
        """Kill everything that runs; returns the stage in which that was. A program may have come to its end first."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        assert self.process.wait() in (0, -signal.SIGKILL) and self.stages, self.said
        return self.stages[-1]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program, and the folders that each kill leaves to the next run."""
    with Server(archive()) as hub, pytest.MonkeyPatch.context() as patched:
        program = Program(tmp_path_factory.mktemp("kills"), hub)
        patched.setenv("TFHUB_CACHE_DIR", str(program.places["hub"]))
        patched.setenv("no_proxy", "127.0.0.1")
        yield program


def contents(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def check_that_nothing_half_done_is_trusted(program: Program) -> None:
    module = registry.downloaded(registry.find(program.hub.url))
    assert module is None or contents(module) == contents(SMALL_FILM)
    converted = convert.find(convert.fingerprint(SMALL_FILM), program.places["cache"])
    assert converted is None or converted.kind == "direct"
    if program.output.exists():
        assert len(decoded(program.output)) == 9


@pytest.mark.parametrize("stage", KILLS)
def test_a_film_survives_kills_in_every_stage(program: Program, stage: str) -> None:
    chance = random.Random(f"{SEED} {stage}")
    killed = []
    for mark, after in KILLS[stage]:
        program.slow_from = mark if stage == "downloading" else math.inf
        program.start(side=mark if stage == "compiling" else 64)
        program.wait_for(stage, mark)
        time.sleep(chance.uniform(0, after))
        killed.append(program.kill())
        check_that_nothing_half_done_is_trusted(program)
    assert stage in killed or stage in ("compiling", "interpolating")  # what is quick may be past before the kill


def test_after_all_kills_the_film_is_made(program: Program, small_film: film.Film, tmp_path: Path) -> None:
    program.slow_from = math.inf
    program.start()
    assert program.process.wait(PATIENCE) == 0, program.said
    check_that_nothing_half_done_is_trusted(program)
    frames = [film.media.images.fit(film.read_image(path), (51, 64)) for path in program.photos]
    film.write_video(tmp_path / "expected.mp4", small_film.frames(frames[0], frames[1], depth=3), fps=4)
    made, expected = (decoded(path).astype(int) for path in (program.output, tmp_path / "expected.mp4"))
    assert made.shape == expected.shape and np.abs(made - expected).mean() < 3  # one is cut into segments, one is not
    assert leftovers(program) == []


def leftovers(program: Program) -> list[Path]:
    """What lies in the program's folders beside films, modules, models, notes, and the locks of these."""
    found = [path for place in program.places.values() for path in place.rglob("*")]
    kept = [program.output, *program.places["hub"].rglob("*"), program.places["cache"] / "speed.json"]
    for pattern in ("ir", "ir/*", "ir/*/*.*", "compiled", "compiled/*", "compiled/*/*.blob", "fingerprints.json"):
        kept += program.places["cache"].glob(pattern)
    kept = [path for path in kept if not path.name.endswith(".partial")]
    return sorted(path for path in found if path not in kept and not path.name.endswith(".json.lock"))


def test_a_half_done_conversion_of_another_model_is_deleted_by_the_next(averaging: Path, tmp_path: Path) -> None:
    abandoned = tmp_path / "ir" / "0123-4567.partial"
    abandoned.mkdir(parents=True)
    (abandoned / "encoder.bin").write_bytes(b"half")
    convert.convert(averaging, tmp_path)
    assert not list((tmp_path / "ir").glob("*.partial"))
