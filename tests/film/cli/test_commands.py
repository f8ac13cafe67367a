"""The command line as its users meet it: what it prints, what it writes, and with which code it ends."""

import contextlib
import os
import re
import runpy
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import film
from film.cli import commands, progress
from film.hub import registry
from film.rendering import checkpoint, pipeline
from tests.conftest import ROOT, moved, photo
from tests.film.conftest import Command, ended, program
from tests.support import clips


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    a, b = moved(96, 128)
    return [str(photo(tmp_path / "one.png", a)), str(photo(tmp_path / "two.jpg", b))]


@pytest.mark.slow
def test_interpolate_writes_the_film_and_tells_in_plain_lines(photos: list[str], tmp_path: Path) -> None:
    output = tmp_path / "film.mp4"
    told = ended(program("interpolate", *photos, "-o", output, "--depth", 99), 2)
    assert told == ("", "film: The depth is 99; it must be a whole number from 0 to 8.\n")
    out, err = ended(program("interpolate", *photos, "-o", output, "--depth", 2, "--fps", 12))
    assert clips.decoded(output).shape == (5, 96, 128, 3)
    (line,) = out.splitlines()
    told = r": 5 frames of 128x96, 0\.4 s, made in [\d.]+ s by film-lite on CPU, (mixed precision|float32)"
    assert re.fullmatch(re.escape(str(output)) + told, line)
    lines = err.splitlines()
    assert [line for line in lines if line.startswith("frame ")][0] == "frame 1 of 5"
    assert [line for line in lines if line.startswith("frame ")][-1] == "frame 5 of 5, 0 s left"
    assert lines[0] == "Reading the photos …" and lines[-1] == "Finishing the film …"
    assert "\r" not in err and "\x1b" not in err


@pytest.mark.parametrize("rows", [24, 0])  # 0: a terminal that does not tell its size
@pytest.mark.slow
def test_a_terminal_gets_a_progress_bar(photos: list[str], tmp_path: Path, averaging: Path, rows: int) -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 4 * rows, 0, 0))  # rows, columns
    command = [sys.executable, "-m", "film", "interpolate", *photos, "-o", str(tmp_path / "film.mp4"), "--depth", "3"]
    with subprocess.Popen(
        [*command, "--model", str(averaging)], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 4096):
                shown += part
        assert process.stdout and b"9 frames of 128x96" in process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    bar = shown.decode()
    assert "Making frames" in bar and " of 9 frames" in bar and "left" in bar and "frame 1 of" not in bar
    assert "\n" not in bar  # all in one line


def test_tensorflow_can_be_asked_to_make_the_film(
    photos: list[str], tmp_path: Path, averaging: Path, command: Command
) -> None:
    output = tmp_path / "film.mp4"
    options = ["--depth", 1, "--backend", "tensorflow", "--model", averaging, "--longest-side", 64]
    (line,), _ = command("interpolate", *photos, "-o", output, *options)
    assert f"by {averaging} on TensorFlow" in line
    assert clips.decoded(output).shape == (3, 48, 64, 3)


def test_user_errors_end_with_two_and_one_line(
    photos: list[str], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.jpg").write_text("eggs, milk")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    Path("-a.jpg").touch()
    animation = film.write_video(tmp_path / "moving.gif", moved(32, 32))
    good = ["interpolate", *photos, "-o", tmp_path / "film.mp4"]
    cases = [
        (["interpolate", tmp_path / "absent.jpg", photos[1], "-o", "x.mp4"], "There is no file or folder"),
        (["interpolate", photos[0], tmp_path / "list.jpg", "-o", "x.mp4"], "list.jpg is not an image"),
        (["interpolate", photos[0], tmp_path / "folder", "-o", "x.mp4"], "folder is a folder where a file"),
        (["interpolate", "clip.mov", "-o", "x.mp4"], "clip.mov is a video and `interpolate` takes photos; for a video"),
        (["interpolate", photos[0], "clip.mkv", "-o", "x.mp4"], "for a video use `retime`"),
        (["interpolate", photos[0], animation, "-o", "x.mp4"], "; `retime` takes videos and animated GIFs"),
        (["retime", photos[1], "-o", "x.mp4", "--fps", "60"], "a video, MP4, MOV, MKV"),
        (["retime", tmp_path / "folder", "-o", "x.mp4", "--fps", "60"], "for many use `batch`"),
        ([*good, "--foo"], "unrecognized arguments: --foo (see python -m film interpolate --help)"),
        (["interpolate", "-a.jpg", photos[1], "-o", "x.mp4"], "put -- before names that begin with a dash"),
        (["interpolate", photos[0], photos[1] + "/inside.jpg", "-o", "x.mp4"], "inside.jpg"),
        (["interpolate", *photos, "-o", tmp_path / "nowhere" / "x.mp4"], "nowhere"),
        ([*good, "--depth", "many"], "many"),
        ([*good, "--fps", "nan"], "--fps"),
        ([*good, "--fps", "1e400", "--seconds", "1"], "too large"),
        (["retime", "x.mp4", "-o", "y.mp4", "--slowdown", "1e400"], "too large"),
        ([*good, "--model", "film3"], "film3"),
        ([*good, "--backend", "torch"], "torch"),
        (["interpolate", photos[0], "-o", "x.mp4"], "folder"),
        (["interpolate", *photos], "output"),
        (["develop"], "develop"),
        (["batch", "-o", "out"], "nothing to make"),
        (["batch", *photos, "-o", "out", "--depth", "2", "--count", "9"], "in one way"),
        (["batch", *photos, "-o", "out", "--format", "avi"], "avi"),
        (["batch", *photos, "-o", "out", "--slowdown", "2"], "slowdown is for videos"),
        (["batch", *photos, "-o", "out", "--memory-gb", "0", "--ray", "local"], "memory budget"),
        (["batch", *photos, "-o", photos[0]], "cannot be written to"),
    ]
    for arguments, word in cases:
        out, err = command(*arguments, code=2)
        error = [line for line in err if not line.endswith(" …")]  # stages that were begun
        assert out == [], arguments
        assert len(error) == 1 and error[0].startswith("film: ") and word in error[0], (arguments, err)
    assert sorted(os.listdir(tmp_path)) == ["folder", "list.jpg", "moving.gif", "one.png", "two.jpg"]
    assert os.listdir() == ["-a.jpg"]


@pytest.mark.slow
def test_a_name_that_cannot_be_printed_is_no_failure(tmp_path: Path, averaging: Path) -> None:
    (tmp_path / "übung").mkdir()
    for n in (1, 2):
        photo(tmp_path / "übung" / f"{n}.png", moved(48, 64)[0])
    made = ["batch", tmp_path / "übung", "-o", tmp_path / "out", "--depth", 0, "--model", averaging]
    out, _ = ended(program(*made, PYTHONIOENCODING="ascii"))
    assert "\\xfcbung.mp4: 2 frames" in out


def test_only_a_run_that_had_its_parts_tells_of_them(
    photos: list[str], tmp_path: Path, averaging: Path, command: Command
) -> None:
    folder = checkpoint.folder(tmp_path / "film.mp4")

    def told(code: int, *options: object) -> str:
        made = ["interpolate", *photos, "-o", tmp_path / "film.mp4", "--depth", 1, "--model", averaging]
        _, err = command(*made, *options, code=code)
        assert not any("what is finished" in line for line in err)
        return err[-1]

    with pytest.raises(KeyError), checkpoint.kept(folder, {}):
        (folder / "00000000-000015.ts").touch()
        assert "Another run is making the film" in told(1)
        raise KeyError
    told(2, "--longest-side", 3)
    (folder / "notes.txt").write_text("precious")
    assert "film.mp4.parts is not a folder of this program" in told(1)
    assert (folder / "notes.txt").exists() and checkpoint.is_kept(folder)


@pytest.mark.parametrize(("error", "goes_on"), [(KeyboardInterrupt(), True), (RuntimeError("It is full."), False)])
def test_the_same_command_is_not_promised_to_mend_what_failed(
    photos: list[str], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, error: Any, goes_on: bool
) -> None:
    folder = checkpoint.folder(tmp_path / "film.mp4")

    def failing(*_: Any, **__: Any) -> Iterator[pipeline.Event]:
        with checkpoint.kept(folder, {}):
            yield pipeline.Stage("interpolating")
            (folder / "00000000-000015.ts").touch()
            raise error

    monkeypatch.setattr(pipeline, "interpolate", failing)
    _, err = command("interpolate", *photos, "-o", tmp_path / "film.mp4", code=130 if goes_on else 1)
    (told,) = [line for line in err if "what is finished" in line]
    on = "; the same command goes on from there" if goes_on else ""
    assert told == f"film: what is finished lies in {folder}{on}."


def test_a_log_has_few_lines_of_a_long_film(capsys: pytest.CaptureFixture[str]) -> None:
    for total in (5, 257, 10_000):
        progress.show((None, pipeline.Progress(done, total, None, None, None)) for done in range(1, total + 1))
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == (5 if total == 5 else 19 if total == 257 else 20)
        assert lines[0].startswith("frame ") and int(lines[-1].split()[1]) >= 0.9 * total
    progress.show((None, pipeline.Progress(done, done, None, None, None)) for done in range(1, 10_001))  # no known end
    assert len(capsys.readouterr().err.splitlines()) < 200


def test_an_interrupt_while_the_program_is_loaded_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "main", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("film.__main__", run_name="__main__")
    assert ended.value.code == 130


def test_a_closed_standard_error_is_no_failure(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by `2>&-`; then what is printed there must not come out beside the results."""
    monkeypatch.setattr(pipeline, "interpolate", lambda *_, **__: (event for event in [pipeline.Stage("reading")]))
    monkeypatch.setattr(sys, "stderr", None)
    assert command("interpolate", "a.jpg", "b.jpg", "-o", "film.mp4") == ([], [])


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_failure() -> None:
    """As in `python -m film models | true`."""
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "film", "models"]
    done = subprocess.run(command, cwd=ROOT, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    assert done.returncode == 141 and done.stderr == ""


@pytest.mark.slow
def test_failures_of_the_environment_end_with_one(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    (tmp_path / "file").write_text("where the cache should be")
    with monkeypatch.context() as other:
        other.setenv("FILM_CACHE", str(tmp_path / "file"))
        _, (line,) = command("convert", code=1)
    assert line.startswith("film: The converted model cannot be written to")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    _, err = command("interpolate", *photos, "-o", tmp_path / "film.mp4", "--depth", 0, code=1)
    assert err[-1].startswith("film: ffmpeg cannot be started")


@pytest.mark.slow
def test_convert_prints_where_the_model_is(command: Command) -> None:
    (path,), _ = command("convert")
    assert Path(path) == film.Film(registry.find("film-lite")).converted().directory
    assert (Path(path) / "manifest.json").is_file()
    begun = time.time()
    assert command("convert", "--model", "film-lite")[0] == [path]
    assert all(file.stat().st_mtime < begun for file in Path(path).iterdir())  # found, not made again


def test_models_and_devices_are_listed(command: Command) -> None:
    models, _ = command("models")
    assert [line.split()[0] for line in models] == ["film-lite", "rife", "film"]
    assert "134 MB" in models[2] and "23 MB" in models[1] and "MIT" in models[1] and "MB" not in models[0]
    assert [line.split()[0] for line in command("devices")[0]] == list(film.devices())


def test_help_and_version_are_told(command: Command) -> None:
    assert command("--version")[0] == [f"film {film.__version__}"]
    text = " ".join(" ".join(command("interpolate", "--help")[0]).split())
    assert "default 5: 31" in text and "--device D see `devices`" in text
    words = "from photo to photo: linear (default), ease-in"
    assert f"--easing EASING {words}" in text and f"easing: {words}" in (film.interpolate.__doc__ or "")
    assert "--model M see `models`" in text and "{openvino,tensorflow} what runs the model" in text
    text = "\n".join(command()[0])  # that of the whole
    assert all(f"    {name}" in text for name in ("interpolate", "retime", "batch", "convert", "models", "devices"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files that the examples of the documentation name."""
    folder = tmp_path_factory.mktemp("inputs")
    a, b = moved(48, 64)
    photo(folder / "first.jpg", a), photo(folder / "last.jpg", b)
    for trip in ("holiday", "trips/alps", "trips/sea"):
        (folder / trip).mkdir(parents=True)
        photo(folder / trip / "1.jpg", a), photo(folder / trip / "2.jpg", b)
    for number, frame in enumerate((a, b), 1):
        photo(folder / f"sticker-{number}.png", np.dstack([frame, a[..., :1]]))
    (folder / "pairs.csv").write_text("first.jpg,last.jpg\n")
    clip = clips.video(folder / "clip.mov", clips.pan(40, 48, 64), sound=True)
    clips.ffmpeg("-i", str(clip), "-map", "0", "-map", "0:a", "-c", "copy", str(folder / "night.mkv"))
    return folder


EXAMPLES = [
    line
    for line in (ROOT / "docs" / "command-line.md").read_text().splitlines()
    if re.match(r"python -m film (interpolate|retime|batch) ", line)
]


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.slow
def test_the_examples_of_the_documentation_work(
    example: str, inputs: Path, averaging: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(inputs)
    arguments = shlex.split(example)[3:]
    told, _ = command(*arguments, "--model", averaging)
    output = Path(arguments[arguments.index("-o") + 1])
    assert any(f"{output}" in line for line in told) and output.exists()
    stream = clips.words(output) if output.suffix in (".mp4", ".mov") else ""
    assert ("--depth-bits" in arguments) == ("Main 10" in stream)
    assert not stream or output.suffix == ".mov" or "yuva" not in stream
