"""A batch as its users meet it: what becomes of each input, what is there afterwards, and what a failure stops."""

import os
import signal
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import film
from film.batch import jobs, runner
from film.batch.manifest import NAME, Manifest
from film.batch.runner import BatchOptions, Failed, There
from film.rendering import pipeline
from film.rendering.events import Done
from tests.conftest import moved, photo
from tests.film.conftest import Command, ended, program
from tests.film.media.test_video_writer import frames_of
from tests.support import clips


def photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [photo(folder / f"{n}.png", moved(48, 64, seed + n)[0]) for n in range(count)]


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    """A folder of three photos, one whose second photo is damaged, and a video."""
    photos(tmp_path / "in" / "good", 3)
    damaged = photos(tmp_path / "in" / "bad", 2)[1]
    os.truncate(damaged, damaged.stat().st_size // 2)
    video = clips.video(tmp_path / "in" / "clip.mkv", clips.pan(9, 48, 64), sound=True)
    return [tmp_path / "in" / "good", tmp_path / "in" / "bad", video]


SETTINGS = BatchOptions(depth=2, slowdown=Fraction(2), quality=60)
Batch = Callable[..., dict[str, Any]]


@pytest.fixture
def batch(inputs: list[Path], model: film.Interpolator, tmp_path: Path) -> Batch:
    """Makes films of some inputs in `tmp_path / "out"`; by their names, the last that is told of each."""

    def make(of: Sequence[Path] = (inputs[0], inputs[2]), settings: BatchOptions = SETTINGS, note: Any = None) -> Any:
        output = tmp_path / "out"
        found = jobs.find(of, [], output, ".mp4")
        told = runner.run(found, model, settings, note or Manifest(output), "the model")
        return {job.name: event for job, event in told if isinstance(event, runner.LAST)}

    return make


def kinds(last: dict[str, Any]) -> dict[str, type]:
    return {name: type(event) for name, event in last.items()}


def listed(output: Path) -> list[str]:
    """What is in the folder of the films, beside their record and its lock."""
    return sorted(set(os.listdir(output)) - {NAME, f"{NAME}.lock"})


@pytest.mark.slow
def test_films_are_those_of_the_single_commands_and_a_failure_stops_no_other(
    inputs: list[Path], batch: Batch, model: film.Interpolator, tmp_path: Path
) -> None:
    last = batch(inputs)
    assert kinds(last) == {"good.mp4": Done, "bad.mp4": Failed, "clip.mp4": Done}
    assert "1.png is damaged" in last["bad.mp4"].reason and "\n" not in last["bad.mp4"].reason
    assert (last["good.mp4"].frames, last["clip.mp4"].frames) == (9, 18)
    good, clip = tmp_path / "good.mp4", tmp_path / "clip.mp4"
    list(pipeline.interpolate(sorted(inputs[0].iterdir()), model, good, depth=2, quality=60))
    list(pipeline.retime(inputs[2], model, clip, slowdown=2, quality=60))
    for single in (good, clip):
        assert (tmp_path / "out" / single.name).read_bytes() == single.read_bytes()
    assert listed(tmp_path / "out") == ["clip.mp4", "good.mp4"]


@pytest.mark.slow
def test_what_is_complete_is_not_made_again(inputs: list[Path], batch: Batch) -> None:
    batch()
    assert kinds(batch()) == {"good.mp4": There, "clip.mp4": There}
    photos(inputs[0], 1, seed=9)  # another first photo
    assert kinds(batch()) == {"good.mp4": Done, "clip.mp4": There}
    other = BatchOptions(depth=2, slowdown=Fraction(2), quality=70)
    assert kinds(batch(settings=other)) == {"good.mp4": Done, "clip.mp4": Done}
    slower = BatchOptions(depth=2, slowdown=Fraction(3), quality=70)  # which is nothing to photos
    assert kinds(batch(settings=slower)) == {"good.mp4": There, "clip.mp4": Done}


def test_a_file_that_no_batch_made_is_never_replaced(batch: Batch, out: Path) -> None:
    (out / "good.mp4").write_bytes(b"mine")
    (out / "films.json").write_text('["mine, too"]')
    last = batch()
    assert kinds(last) == {"good.mp4": Failed, "clip.mp4": Done}
    reason = last["good.mp4"].reason
    assert "good.mp4 is there already and was not made by this batch" in reason and "\n" not in reason
    assert (out / "good.mp4").read_bytes() == b"mine"
    assert (out / "films.json").read_text() == '["mine, too"]'
    (out / "good.mp4").unlink()
    assert kinds(batch()) == {"good.mp4": Done, "clip.mp4": There}
    (out / "clip.mp4").write_bytes(b"cut by hand")
    assert kinds(batch()) == {"good.mp4": There, "clip.mp4": Failed}
    assert (out / "clip.mp4").read_bytes() == b"cut by hand"


def test_two_runs_into_one_folder_know_each_others_films(inputs: list[Path], batch: Batch, out: Path) -> None:
    """And a record that is damaged knows none, but keeps nothing from being made."""
    manifest = Manifest(out)  # as it is when both begin
    batch(inputs[:1])
    assert kinds(batch(inputs[2:], note=manifest)) == {"clip.mp4": Done}
    assert kinds(batch()) == {"good.mp4": There, "clip.mp4": There}
    for damage in ("", "{", "[1]", "null", '{"clip.mp4": 1, "good.mp4": {"bytes": []}}'):
        (out / NAME).write_text(damage)
        assert kinds(batch()) == {"good.mp4": Failed, "clip.mp4": Failed}
    (out / "good.mp4").unlink()
    assert kinds(batch()) == {"good.mp4": Done, "clip.mp4": Failed}


def test_a_run_that_was_killed_before_it_could_note_its_film_goes_on(
    inputs: list[Path], batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Manifest, "note", Mock(side_effect=KeyboardInterrupt))
        batch(inputs[:1])
    assert listed(tmp_path / "out") == ["good.mp4"]
    assert kinds(batch(inputs[:1])) == {"good.mp4": Done}
    assert kinds(batch(inputs[:1])) == {"good.mp4": There}


def test_the_command_tells_the_plan_then_each_result(
    inputs: list[Path], averaging: Path, tmp_path: Path, command: Command
) -> None:
    output = tmp_path / "new" / "out"
    options = ["-o", output, *"--depth 1 --slowdown 2 --format gif --longest-side 32 --model".split(), averaging]
    gone = inputs[1] / "gone.png"
    photos(tmp_path / "one", 1)
    (inputs[1] / "list.csv").write_text("0.png,gone.png\n")
    out, lines = command("batch", *inputs, tmp_path / "one", "--pairs", inputs[1] / "list.csv", *options, code=1)
    assert lines[0] == f"good.gif: 5 frames of 32x24, 0.2 s, from the 3 photos in {inputs[0]}"
    assert lines[1].startswith("bad.gif cannot be made: 1.png is damaged")
    assert lines[2].startswith("clip.gif: ") and lines[2].endswith(f" s, from the video {inputs[2]}")
    assert "good.gif: frame 5 of 5" in lines
    assert lines[3].startswith("one.gif cannot be made: ") and "two photos or more" in lines[3]
    assert lines[4] == f"0-gone.gif cannot be made: There is no file or folder {gone}."
    assert lines[-1] == "film: 3 of 5 films could not be made: bad.gif, one.gif, 0-gone.gif."
    assert [line.split(":")[0] for line in out] == [str(output / "good.gif"), str(output / "clip.gif")]
    assert frames_of(output / "good.gif").shape == (5, 24, 32, 3)
    out, _ = command("batch", inputs[0], inputs[2], *options)
    assert out == [f"{output / name} is there from an earlier run" for name in ("good.gif", "clip.gif")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--seconds 2 --format gif --fps 60 --play pingpong --spacing motion", {"seconds": 2, "spacing": "motion"}),
        ("--count 100 --format gif --fps 60 --play pingpong", {"count": 100, "play": "pingpong"}),
        ("--slowdown 2 --no-sound --cut inf --play once", {"sound": False, "cut": float("inf"), "play": "once"}),
    ],
)
def test_what_a_batch_says_reaches_its_films(
    tmp_path: Path, options: str, expected: dict[str, Any], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they are announced as they play: forth and back."""
    given: list[Any] = []
    for name in ("interpolate", "retime"):
        monkeypatch.setattr(pipeline, name, lambda *made, **_: given.append(made[3]) or (_ for _ in ()))
    of_video = "--slowdown" in options
    clips.video(tmp_path / "clip.mp4", clips.pan(3, 48, 64))
    photos(tmp_path / "trip", 2)
    of = tmp_path / ("clip.mp4" if of_video else "trip")
    _, err = command("batch", of, "-o", tmp_path / "out", *options.split())
    assert expected.items() <= vars(given[0]).items()
    assert of_video or any(line.startswith("trip.gif: 100 frames of 64x48, 2.0 s, from") for line in err)


@pytest.mark.slow
def test_an_interrupt_leaves_what_is_finished(
    inputs: list[Path], averaging: Path, tmp_path: Path, scratch: Path, command: Command
) -> None:
    output = tmp_path / "out"
    made = ["batch", inputs[0], inputs[2], "-o", output, "--slowdown", 16, "--depth", 1, "--model", averaging]
    parts = output / "clip.mp4.parts"
    begun = lambda line: line.startswith("clip.mp4: frame") and list(parts.glob("*.ts"))  # noqa: E731
    out, err = ended(program(*made, TMPDIR=str(scratch)), 130, signal.SIGINT, begun)
    assert "Traceback" not in err
    assert out.startswith(f"{output / 'good.mp4'}: 5 frames")
    assert listed(output) == ["clip.mp4.parts", "good.mp4"] and os.listdir(scratch) == []
    command(*made)
    assert np.asarray(clips.decoded(output / "clip.mp4")).shape[0] == 9 * 16
