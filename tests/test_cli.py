"""The command line as its users meet it: what it prints, what it writes, and with which code it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from conftest import moved, photo

import film
from film import cli

ROOT = Path(film.__file__).parents[1]


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    a, b = moved(96, 128)
    return [str(photo(tmp_path / "one.png", a)), str(photo(tmp_path / "two.jpg", b))]


def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`python -m film …` in a process of its own, its output to pipes, not to a terminal."""
    done = subprocess.run([sys.executable, "-m", "film", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_interpolate_writes_the_film_and_tells_in_plain_lines(photos: list[str], tmp_path: Path) -> None:
    output = tmp_path / "film.mp4"
    done = run("interpolate", *photos, "-o", str(output), "--depth", "2", "--fps", "12")
    assert imageio.imread(output, plugin="FFMPEG").shape == (5, 96, 128, 3)
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{output}: 5 frames of 128x96, 0.4 s, by film-lite on CPU in ")
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("frame ")][0] == "frame 1 of 5"
    assert [line for line in lines if line.startswith("frame ")][-1] == "frame 5 of 5, 0 s left"
    assert lines[0] == "Reading the photos …" and lines[-1] == "Finishing the film …"
    assert "\r" not in done.stderr and "\x1b" not in done.stderr


def test_a_terminal_gets_a_progress_bar(photos: list[str], tmp_path: Path, averaging: Path) -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))  # rows, columns
    command = [sys.executable, "-m", "film", "interpolate", *photos, "-o", str(tmp_path / "film.mp4"), "--depth", "3"]
    with subprocess.Popen(
        [*command, "--model", str(averaging)], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += (part := os.read(ours, 4096))
            except OSError:  # the other end is closed
                break
            if not part:
                break
        assert process.stdout and b"9 frames of 128x96" in process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    bar = shown.decode()
    assert "Making frames" in bar and "/9 [" in bar and "frame 1 of" not in bar


def test_photos_that_differ_are_told(tmp_path: Path, averaging: Path) -> None:
    a, b = photo(tmp_path / "a.png", moved(64, 96)[0]), photo(tmp_path / "b.png", moved(64, 64)[0])
    output = str(tmp_path / "film.mp4")
    done = run("interpolate", str(a), str(b), "-o", output, "--depth", "1", "--model", str(averaging))
    assert "The photos differ in shape (96x64 and 64x64)" in done.stderr


def test_tensorflow_can_be_asked_to_make_the_film(photos: list[str], tmp_path: Path, averaging: Path) -> None:
    output = tmp_path / "film.mp4"
    options = ["--depth", "1", "--backend", "tensorflow", "--model", str(averaging), "--longest-side", "64"]
    done = run("interpolate", *photos, "-o", str(output), *options)
    assert f"by {averaging} on TensorFlow" in done.stdout
    assert imageio.imread(output, plugin="FFMPEG").shape == (3, 48, 64, 3)


def test_user_errors_end_with_two_and_one_line(
    photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.jpg").write_text("eggs, milk")
    (tmp_path / "folder").mkdir()
    good = ["interpolate", *photos, "-o", str(tmp_path / "film.mp4")]
    cases = [
        (["interpolate", str(tmp_path / "absent.jpg"), photos[1], "-o", "x.mp4"], "absent.jpg"),
        (["interpolate", photos[0], str(tmp_path / "list.jpg"), "-o", "x.mp4"], "list.jpg is not an image"),
        (["interpolate", photos[0], str(tmp_path / "folder"), "-o", "x.mp4"], "folder"),
        (["interpolate", photos[0], photos[1] + "/inside.jpg", "-o", "x.mp4"], "inside.jpg"),
        (["interpolate", *photos, "-o", str(tmp_path / "nowhere" / "x.mp4")], "nowhere"),
        (["interpolate", *photos, "-o", str(tmp_path / "folder")], "is a directory"),
        ([*good, "--depth", "99"], "99"),
        ([*good, "--depth", "-1"], "-1"),
        ([*good, "--depth", "many"], "many"),
        ([*good, "--fps", "0"], "frame rate"),
        ([*good, "--fps", "nan"], "--fps"),
        ([*good, "--fps", "1e9"], "frame rate"),
        ([*good, "--fps", "1e400", "--seconds", "1"], "too large"),
        (["retime", "x.mp4", "-o", "y.mp4", "--fps", "1e400"], "too large"),
        (["retime", "x.mp4", "-o", "y.mp4", "--slowdown", "1e400"], "too large"),
        ([*good, "--seconds", "4000"], "4000 s at 30 frames per second has more than the 10000 frames"),
        ([*good, "--seconds", "inf"], "The length of the film is inf s"),
        ([*good, "--longest-side", "3"], "longest side"),
        ([*good, "--model", "film3"], "film3"),
        ([*good, "--model", str(tmp_path)], "saved_model.pb"),
        ([*good, "--device", "TOASTER"], "TOASTER"),
        ([*good, "--backend", "torch"], "torch"),
        (["interpolate", photos[0], "-o", "x.mp4"], "folder"),
        (["interpolate", *photos], "output"),
        (["convert", "--model", "film3"], "film3"),
        (["develop"], "develop"),
        ([], "COMMAND"),
    ]
    for arguments, word in cases:
        try:
            code = cli.main(arguments)
        except SystemExit as ended:
            code = int(str(ended.code))
        out, err = capsys.readouterr()
        error = [line for line in err.splitlines() if not line.endswith(" …")]  # stages that were begun
        assert code == 2 and out == "", arguments
        assert len(error) == 1 and error[0].startswith("film: ") and word in error[0], (arguments, err)
    assert sorted(os.listdir(tmp_path)) == ["folder", "list.jpg", "one.png", "two.jpg"]


def test_a_user_error_of_a_real_process_is_one_line(photos: list[str], tmp_path: Path) -> None:
    done = run("interpolate", *photos, "-o", str(tmp_path / "film.mp4"), "--depth", "99", code=2)
    assert done.stdout == ""
    assert done.stderr == "film: The depth is 99; it must be a whole number from 0 to 8.\n"


def test_a_name_that_cannot_be_printed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (tmp_path / "übung").mkdir()
    for n in (1, 2):
        photo(tmp_path / "übung" / f"{n}.png", moved(48, 64)[0])
    done = run("batch", str(tmp_path / "übung"), "-o", str(tmp_path / "out"), "--depth", "0")
    assert "\\xfcbung.mp4: 2 frames" in done.stdout


def test_only_parts_are_told_to_be_what_is_finished(
    photos: list[str], tmp_path: Path, averaging: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "film.mp4.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("precious")
    command = ["interpolate", *photos, "-o", str(tmp_path / "film.mp4"), "--depth", "1", "--model", str(averaging)]
    assert cli.main(command) == 1
    err = capsys.readouterr().err
    assert "film.mp4.parts is not a folder of this program" in err and "what is finished" not in err
    assert os.listdir(folder) == ["notes.txt"]


def test_failures_of_the_environment_end_with_one(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("where the cache should be")
    with monkeypatch.context() as other:
        other.setenv("FILM_CACHE", str(tmp_path / "file"))
        assert cli.main(["convert"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("film: The converted model cannot be written to")

    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    assert cli.main(["interpolate", *photos, "-o", str(tmp_path / "film.mp4"), "--depth", "0"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("film: ffmpeg cannot be started")


def test_an_interrupt_ends_quietly(photos: list[str], tmp_path: Path, averaging: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "film", "interpolate", *photos, "-o", str(tmp_path / "film.mp4"), "--depth", "8"]
    process = subprocess.Popen(
        [*command, "--model", str(averaging)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    assert process.stderr
    for line in process.stderr:
        if line.startswith("frame 3 "):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == "" and "Traceback" not in err
    assert os.listdir(scratch) == [] and not (tmp_path / "film.mp4").exists()


def test_convert_prints_where_the_model_is(lite: film.Film) -> None:
    (path,) = run("convert").stdout.splitlines()
    assert Path(path) == lite.converted().directory and (Path(path) / "manifest.json").is_file()
    begun = time.time()
    assert run("convert", "--model", "film-lite").stdout.splitlines() == [path]
    assert all(file.stat().st_mtime < begun for file in Path(path).iterdir())  # found, not made again


def test_models_and_devices_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models"]) == 0
    models = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in models] == ["film-lite", "film"]
    assert "134 MB" in models[1] and "MB" not in models[0]
    assert cli.main(["devices"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(film.devices())


def test_help_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["interpolate", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("--depth", "--fps", "--model", "--device", "--backend", "-o"))
    assert re.search(r"default 5: 31", text)


def test_the_film_is_the_same_as_from_python(photos: list[str], tmp_path: Path, lite: film.Film) -> None:
    a, b = (film.read_image(path) for path in photos)
    film.write_video(tmp_path / "python.mp4", lite.frames(a, b, depth=2), fps=30)
    assert cli.main(["interpolate", *photos, "-o", str(tmp_path / "cli.mp4"), "--depth", "2"]) == 0
    one, other = (imageio.imread(tmp_path / f"{name}.mp4", plugin="FFMPEG").astype(int) for name in ("python", "cli"))
    assert one.shape == other.shape and np.abs(one - other).mean() < 3  # one is cut into segments, one is not
