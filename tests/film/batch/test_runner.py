"""A batch as its users meet it: what becomes of each input, what is there afterwards, and what a failure stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

import film
from film.batch import jobs, runner
from film.batch.manifest import NAME, Manifest
from film.batch.runner import BatchOptions, Failed, There
from film.cli import commands
from film.rendering import pipeline
from film.rendering.events import Done, Progress
from tests.conftest import moved, photo
from tests.support import clips


def photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """A folder of photos of 64x48."""
    folder.mkdir(parents=True, exist_ok=True)
    return [photo(folder / f"{n}.png", moved(48, 64, seed + n)[0]) for n in range(count)]


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    """A folder of three photos, one whose second photo is damaged, and a video."""
    photos(tmp_path / "in" / "good", 3)
    (tmp_path / "in" / "bad").mkdir()
    photo(tmp_path / "in" / "bad" / "1.png", moved(48, 64)[0])
    whole = photo(tmp_path / "in" / "bad" / "2.png", moved(48, 64)[0]).read_bytes()
    (tmp_path / "in" / "bad" / "2.png").write_bytes(whole[: len(whole) // 2])
    video = clips.video(tmp_path / "in" / "clip.mkv", clips.pan(9, 48, 64), sound=True)
    return [tmp_path / "in" / "good", tmp_path / "in" / "bad", video]


SETTINGS = BatchOptions(depth=2, slowdown=Fraction(2), quality=60)


def run(
    inputs: list[Path], model: film.Interpolator, output: Path, settings: BatchOptions = SETTINGS
) -> list[runner.Told]:
    manifest = Manifest(output)
    return list(runner.run(jobs.find(inputs, [], output, ".mp4"), model, settings, manifest, "the model"))


def listed(output: Path) -> list[str]:
    """What is in the folder of the films, beside their record and its lock."""
    return sorted(set(os.listdir(output)) - {NAME, f"{NAME}.lock"})


def last_words(told: list[runner.Told]) -> dict[str, type]:
    return {job.name: type(event) for job, event in told if isinstance(event, runner.LAST)}


def test_films_are_those_of_the_single_commands_and_a_failure_stops_no_other(
    inputs: list[Path], model: film.Interpolator, tmp_path: Path
) -> None:
    told = run(inputs, model, tmp_path / "out")
    assert last_words(told) == {"good.mp4": Done, "bad.mp4": Failed, "clip.mp4": Done}
    (failed,) = [event for _, event in told if isinstance(event, Failed)]
    assert "2.png is damaged" in failed.reason and "\n" not in failed.reason
    frames = Counter(job.name for job, event in told if isinstance(event, Progress))
    assert frames == {"good.mp4": 9, "clip.mp4": 18}
    good, clip = tmp_path / "good.mp4", tmp_path / "clip.mp4"
    list(pipeline.interpolate(sorted(inputs[0].iterdir()), model, good, depth=2, quality=60))
    list(pipeline.retime(inputs[2], model, clip, slowdown=2, quality=60))
    for single in (good, clip):
        assert (tmp_path / "out" / single.name).read_bytes() == single.read_bytes()
    assert listed(tmp_path / "out") == ["clip.mp4", "good.mp4"]


def test_what_is_complete_is_not_made_again(inputs: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    output, good = tmp_path / "out", [inputs[0], inputs[2]]
    run(good, model, output)
    assert last_words(run(good, model, output)) == {"good.mp4": There, "clip.mp4": There}
    photos(inputs[0], 1, seed=9)  # another first photo
    assert last_words(run(good, model, output)) == {"good.mp4": Done, "clip.mp4": There}
    other = BatchOptions(depth=2, slowdown=Fraction(2), quality=70)
    assert last_words(run(good, model, output, other)) == {"good.mp4": Done, "clip.mp4": Done}
    slower = BatchOptions(depth=2, slowdown=Fraction(3), quality=70)  # which is nothing to photos
    assert last_words(run(good, model, output, slower)) == {"good.mp4": There, "clip.mp4": Done}


def test_a_file_that_no_batch_made_is_never_replaced(
    inputs: list[Path], model: film.Interpolator, tmp_path: Path
) -> None:
    output, good = tmp_path / "out", [inputs[0], inputs[2]]
    output.mkdir()
    (output / "good.mp4").write_bytes(b"mine")
    (output / "films.json").write_text('["mine, too"]')
    told = run(good, model, output)
    assert last_words(told) == {"good.mp4": Failed, "clip.mp4": Done}
    (failed,) = [event for _, event in told if isinstance(event, Failed)]
    assert "good.mp4 is there already and was not made by this batch" in failed.reason and "\n" not in failed.reason
    assert (output / "good.mp4").read_bytes() == b"mine"
    assert (output / "films.json").read_text() == '["mine, too"]'
    (output / "good.mp4").unlink()
    assert last_words(run(good, model, output)) == {"good.mp4": Done, "clip.mp4": There}
    (output / "clip.mp4").write_bytes(b"cut by hand")
    assert last_words(run(good, model, output)) == {"good.mp4": There, "clip.mp4": Failed}
    assert (output / "clip.mp4").read_bytes() == b"cut by hand"


def test_two_runs_into_one_folder_know_each_others_films(
    inputs: list[Path], model: film.Interpolator, tmp_path: Path
) -> None:
    """And a record that is damaged knows none, but keeps nothing from being made."""
    output, good = tmp_path / "out", [inputs[0], inputs[2]]
    manifest = Manifest(output)  # as it is when both begin
    run(inputs[:1], model, output)
    found = jobs.find(inputs[2:], [], output, ".mp4")
    assert last_words(list(runner.run(found, model, SETTINGS, manifest, "the model"))) == {"clip.mp4": Done}
    assert last_words(run(good, model, output)) == {"good.mp4": There, "clip.mp4": There}
    for damage in ("", "{", "[1]", "null", '{"clip.mp4": 1, "good.mp4": {"bytes": []}}'):
        (output / NAME).write_text(damage)
        assert last_words(run(good, model, output)) == {"good.mp4": Failed, "clip.mp4": Failed}
    (output / "good.mp4").unlink()
    assert last_words(run(good, model, output)) == {"good.mp4": Done, "clip.mp4": Failed}


def test_a_run_that_was_killed_before_it_could_note_its_film_goes_on(
    inputs: list[Path], model: film.Interpolator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            run(inputs[:1], model, output)
    assert listed(output) == ["good.mp4"]
    assert last_words(run(inputs[:1], model, output)) == {"good.mp4": Done}
    assert last_words(run(inputs[:1], model, output)) == {"good.mp4": There}


def test_the_command_tells_the_plan_then_each_result(
    inputs: list[Path], averaging: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "out"
    command = ["batch", *map(str, inputs), "-o", str(output), "--depth", "1", "--slowdown", "2", "--format", "gif"]
    command += ["--model", str(averaging), "--longest-side", "32"]
    assert commands.main(command) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines[0] == f"good.gif: 5 frames of 32x24, 0.2 s, from the 3 photos in {inputs[0]}"
    assert lines[1].startswith("bad.gif cannot be made: 2.png is damaged")
    assert lines[2].startswith("clip.gif: ") and lines[2].endswith(f" s, from the video {inputs[2]}")
    assert "good.gif: frame 5 of 5" in lines
    assert lines[-1] == "film: 1 of 3 films could not be made: bad.gif."
    assert [line.split(":")[0] for line in out.splitlines()] == [str(output / "good.gif"), str(output / "clip.gif")]
    assert imageio.imread(output / "good.gif").shape == (5, 24, 32, 3)
    assert commands.main([*command[:2], *command[3:]]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines() == [f"{output / name} is there from an earlier run" for name in ("good.gif", "clip.gif")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--seconds 2 --format gif --fps 60 --play pingpong --spacing motion", {"seconds": 2, "spacing": "motion"}),
        ("--count 100 --format gif --fps 60 --play pingpong", {"count": 100, "play": "pingpong"}),
        ("--slowdown 2 --no-sound --cut inf --play once", {"sound": False, "cut": float("inf"), "play": "once"}),
    ],
)
def test_what_a_batch_says_reaches_its_films(
    tmp_path: Path,
    options: str,
    expected: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And they are announced as they play: forth and back."""
    given: list[Any] = []
    for name in ("interpolate", "retime"):
        monkeypatch.setattr(pipeline, name, lambda *made, **_: given.append(made[3]) or (_ for _ in ()))
    of_video = "--slowdown" in options
    of = (
        clips.video(tmp_path / "clip.mp4", clips.pan(3, 48, 64)) if of_video else photos(tmp_path / "trip", 2)[0].parent
    )
    assert commands.main(["batch", str(of), "-o", str(tmp_path / "out"), *options.split()]) == 0
    assert expected.items() <= vars(given[0]).items()
    assert of_video or "trip.gif: 100 frames of 64x48, 2.0 s, from" in capsys.readouterr().err


def test_a_film_that_cannot_be_planned_is_told_and_the_others_are_made(
    averaging: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos(tmp_path / "in" / "one", 1)
    photos(tmp_path / "in" / "two", 2)
    (tmp_path / "in" / "two" / "list.csv").write_text("0.png,1.png\n0.png,gone.png\n")
    command = ["batch", str(tmp_path / "in"), "--pairs", str(tmp_path / "in" / "two" / "list.csv"), "--depth", "0"]
    assert commands.main([*command, "-o", str(tmp_path / "out"), "--model", str(averaging)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith("one.mp4 cannot be made: ") and "two photos or more" in err[0]
    gone = tmp_path / "in" / "two" / "gone.png"
    assert f"0-gone.mp4 cannot be made: There is no file or folder {gone}." in err
    assert err[-1] == "film: 2 of 4 films could not be made: one.mp4, 0-gone.mp4."
    assert listed(tmp_path / "out") == ["0-1.mp4", "two.mp4"]


def test_an_interrupt_leaves_what_is_finished(inputs: list[Path], averaging: Path, tmp_path: Path) -> None:
    output, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "film", "batch", str(inputs[0]), str(inputs[2]), "-o", str(output)]
    command += ["--slowdown", "16", "--depth", "1", "--model", str(averaging)]
    root = Path(film.__file__).parents[1]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=root, env={**os.environ, "TMPDIR": str(scratch)}, **pipes)
    assert process.stderr
    for line in process.stderr:
        if line.startswith("clip.mp4: frame") and list((output / "clip.mp4.parts").glob("*.ts")):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and "Traceback" not in err
    assert out.startswith(f"{output / 'good.mp4'}: 5 frames")
    assert listed(output) == ["clip.mp4.parts", "good.mp4"] and os.listdir(scratch) == []
    assert commands.main(command[3:]) == 0
    assert np.asarray(imageio.imread(output / "clip.mp4", plugin="FFMPEG")).shape[0] == 9 * 16
