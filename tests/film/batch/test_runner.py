"""A batch as its users meet it: what becomes of each input, what is there afterwards, and what a failure stops."""

from __future__ import annotations

import os
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
from film.batch.options import BatchOptions
from film.batch.runner import Failed, There
from film.cli import commands
from film.rendering import checkpoint, pipeline, planning
from film.rendering.events import Done, Notice, Progress
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
    output = tmp_path / "out"
    manifest = Manifest(output)  # as it is when both begin
    run(inputs[:1], model, output)
    found = jobs.find(inputs[2:], [], output, ".mp4")
    assert last_words(list(runner.run(found, model, SETTINGS, manifest, "the model"))) == {"clip.mp4": Done}
    assert last_words(run([inputs[0], inputs[2]], model, output)) == {"good.mp4": There, "clip.mp4": There}


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null", '{"clip.mp4": 1, "good.mp4": {"bytes": []}}'])
def test_a_damaged_record_keeps_nothing_from_being_made(
    inputs: list[Path], model: film.Interpolator, tmp_path: Path, damage: str
) -> None:
    output = tmp_path / "out"
    run(inputs[:1], model, output)
    (output / NAME).write_text(damage)
    assert last_words(run([inputs[0], inputs[2]], model, output)) == {"good.mp4": Failed, "clip.mp4": Done}
    (output / "good.mp4").unlink()
    assert last_words(run([inputs[0], inputs[2]], model, output)) == {"good.mp4": Done, "clip.mp4": There}


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


def test_an_interrupted_film_goes_on_and_a_single_run_understands_its_parts(
    inputs: list[Path], model: film.Interpolator, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    whole = run(inputs[2:], model, tmp_path / "whole")
    events = runner.run(jobs.find(inputs[2:], [], output, ".mp4"), model, SETTINGS, Manifest(output), "the model")
    for _, event in events:
        if isinstance(event, Progress) and event.done == 14:  # one segment of 12 frames is complete
            break
    events.close()
    folder = checkpoint.folder(output / "clip.mp4")
    assert [path.name for path in folder.glob("*.ts")] == ["00000000-000012.ts"]
    single = list(pipeline.retime(inputs[2], model, output / "clip.mp4", slowdown=2, quality=60, resume=True))
    assert "12 frames are there from an earlier run." in [e.text for e in single if isinstance(e, Notice)]
    assert sum(isinstance(event, Progress) for event in single) == 6
    assert (output / "clip.mp4").read_bytes() == (tmp_path / "whole" / "clip.mp4").read_bytes()
    assert isinstance(whole[-1][1], Done) and not folder.exists()


def test_a_missing_segment_in_the_middle_is_made_alone(model: film.Interpolator, tmp_path: Path) -> None:
    """As machines leave them that work side by side."""
    files, output = photos(tmp_path / "in", 3), tmp_path / "film.mp4"
    kept: dict[str, bytes] = {}
    for event in pipeline.interpolate(files, model, output, depth=5, fps=20, resume=True):
        if isinstance(event, pipeline.Segment):
            kept[event.path.name] = event.path.read_bytes()
    first = output.read_bytes()
    events = pipeline.interpolate(files, model, output, depth=5, fps=20, resume=True)
    for event in events:
        if isinstance(event, pipeline.Segment):
            break
    events.close()  # so that there is a folder with its note
    for name in list(kept)[:1] + list(kept)[3:]:
        (checkpoint.folder(output) / name).write_bytes(kept[name])
    made = list(pipeline.interpolate(files, model, output, depth=5, fps=20, resume=True))
    assert sum(isinstance(event, Progress) for event in made) == sum(int(name[9:15]) for name in list(kept)[1:3])
    assert output.read_bytes() == first


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


@pytest.mark.parametrize("option", [["--seconds", "2"], ["--count", "100"]])
def test_a_batch_announces_films_as_they_play(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = photos(tmp_path / "trip", 2)
    made: list[Any] = []
    monkeypatch.setattr(pipeline, "interpolate", lambda *given, **_: made.append(given[3]) or (_ for _ in ()))
    command = ["batch", str(files[0].parent), "-o", str(tmp_path / "out"), "--format", "gif", "--fps", "60", *option]
    assert commands.main([*command, "--play", "pingpong", "--spacing", "motion"]) == 0
    assert "trip.gif: 100 frames of 64x48, 2.0 s, from" in capsys.readouterr().err
    assert (made[0].play, made[0].spacing, planning.length(made[0], 2, "a.gif")[0]) == (
        "pingpong",
        "motion",
        planning.moments(2, count=100, play="pingpong"),
    )


def test_what_a_batch_says_of_videos_reaches_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = clips.video(tmp_path / "clip.mp4", clips.pan(3, 48, 64))
    made: list[Any] = []
    monkeypatch.setattr(pipeline, "retime", lambda *given, **_: made.append(given[3]) or (_ for _ in ()))
    command = ["batch", str(clip), "-o", str(tmp_path / "out"), "--slowdown", "2", "--no-sound", "--cut", "inf"]
    assert commands.main([*command, "--play", "once"]) == 0
    assert (made[0].sound, made[0].cut, made[0].play) == (False, float("inf"), "once")


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


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "nothing to make"),
        (["in", "--depth", "2", "--count", "9"], "not allowed with"),
        (["in", "--format", "avi"], "avi"),
        (["in", "--slowdown", "2"], "slowdown is for videos"),
        (["in", "--memory-gb", "0", "--ray", "local"], "memory budget"),
        (["in", "-o", "in/0.png"], "cannot be written to"),
    ],
)
def test_user_errors_are_one_line_and_leave_nothing(
    arguments: list[str],
    word: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos(tmp_path / "in", 2)
    monkeypatch.chdir(tmp_path)
    try:
        code = commands.main(["batch", "-o", "out", *arguments])
    except SystemExit as ended:
        code = int(str(ended.code))
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and len(err.splitlines()) == 1
    assert err.startswith("film: ") and word in err
    assert os.listdir(tmp_path) == ["in"]


def test_an_interrupt_leaves_what_is_finished(inputs: list[Path], averaging: Path, tmp_path: Path) -> None:
    import signal

    output = tmp_path / "out"
    command = [sys.executable, "-m", "film", "batch", str(inputs[0]), str(inputs[2]), "-o", str(output)]
    command += ["--slowdown", "16", "--depth", "1", "--model", str(averaging)]
    root = Path(film.__file__).parents[1]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    for line in process.stderr:
        if line.startswith("clip.mp4: frame") and list((output / "clip.mp4.parts").glob("*.ts")):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and "Traceback" not in err
    assert out.startswith(f"{output / 'good.mp4'}: 5 frames")
    assert listed(output) == ["clip.mp4.parts", "good.mp4"]
    assert commands.main(command[3:]) == 0
    assert np.asarray(imageio.imread(output / "clip.mp4", plugin="FFMPEG")).shape[0] == 9 * 16
