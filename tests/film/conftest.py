"""What the tests of films share."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import film
from film.cli import commands
from film.engine.session import DirectSession, PairSession
from film.rendering.events import Done, Event, Notice, Progress, Segment
from tests.conftest import ROOT

Command = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture(scope="module")
def model(averaging: Path) -> film.Interpolator:
    """Every middle that it makes is the exact average."""
    return film.load(averaging)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that holds nothing but what is written."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of the test's films, empty."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of all calls of a model from now on, by either kind of session."""
    noted: list[float] = []
    for kind in (DirectSession, PairSession):

        def start(session: Any, left: Any, right: Any, time: float = 0.5, real: Any = kind.start) -> Any:
            noted.append(time)
            return real(session, left, right, time)

        monkeypatch.setattr(kind, "start", start)
    return noted


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, to end with `code`: the lines of its results, and those beside them."""

    def run(*arguments: object, code: int = 0) -> tuple[list[str], list[str]]:
        try:
            status = commands.main(list(map(str, arguments)))
        except SystemExit as leaving:
            status = int(str(leaving.code))
        out, err = capsys.readouterr()
        assert status == code, (arguments, err)
        return out.splitlines(), err.splitlines()

    return run


class Made(NamedTuple):
    done: Done
    frames: list[np.ndarray]
    notices: list[str]


def made(events: Iterable[Event]) -> Made:
    """What the events of a film tell, from the first to the last."""
    *told, done = events
    assert isinstance(done, Done)
    frames = [event.frame for event in told if isinstance(event, Progress) and event.frame is not None]
    return Made(done, frames, [event.text for event in told if isinstance(event, Notice)])


def stopped(events: Generator[Event], first: int = 0) -> list[str]:
    """Close a film when the segment that begins with this frame, or later, is there; what was noticed until then."""
    notices = []
    for event in events:
        if isinstance(event, Notice):
            notices.append(event.text)
        elif isinstance(event, Segment) and event.first >= first:
            events.close()
    return notices


def program(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """`python -m film …` in a process of its own, its output to pipes, not to a terminal."""
    command = [sys.executable, "-m", "film", *map(str, arguments)]
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, **how)


def ended(
    process: subprocess.Popen[str], code: int = 0, by: int | None = None, at: Callable[[str], object] = bool
) -> tuple[str, str]:
    """A program's output and errors; it ends with that code, `by` a signal at the first line for which `at` is true."""
    if by:
        assert process.stderr
        next(line for line in process.stderr if at(line))
        process.send_signal(by)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out, err
