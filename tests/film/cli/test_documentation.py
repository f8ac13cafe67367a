"""The examples of docs/command-line.md work, and what a film cannot have is refused before anything is made."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import film
from film.cli import commands
from tests.conftest import moved, photo
from tests.support import clips


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files that the examples of the documentation name."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "holiday").mkdir()
    for trip in ("trips/alps", "trips/sea"):
        (folder / trip).mkdir(parents=True)
    a, b = moved(48, 64)
    for name in ("first.jpg", "holiday/1.jpg", "trips/alps/1.jpg", "trips/sea/1.jpg"):
        photo(folder / name, a)
    for name in ("last.jpg", "holiday/2.jpg", "trips/alps/2.jpg", "trips/sea/2.jpg"):
        photo(folder / name, b)
    for number, frame in enumerate((a, b), 1):
        photo(folder / f"sticker-{number}.png", np.dstack([frame, a[..., :1]]))
    (folder / "pairs.csv").write_text("first.jpg,last.jpg\n")
    clip = clips.video(folder / "clip.mov", clips.pan(40, 48, 64), sound=True)
    clips.ffmpeg("-i", str(clip), "-map", "0", "-map", "0:a", "-c", "copy", str(folder / "night.mkv"))
    return folder


EXAMPLES = [
    line
    for line in (Path(film.__file__).parents[1] / "docs" / "command-line.md").read_text().splitlines()
    if re.match(r"python -m film (interpolate|retime|batch) ", line)
]


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.slow
def test_the_examples_of_the_documentation_work(
    example: str, inputs: Path, averaging: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(inputs)
    arguments = shlex.split(example)[3:]
    assert commands.main([*arguments, "--model", str(averaging)]) == 0
    told = capsys.readouterr().out
    output = Path(arguments[arguments.index("-o") + 1])
    assert f"{output}" in told and output.exists()
    stream = clips.ffmpeg("-i", str(output), "-f", "null", "-") if output.suffix in (".mp4", ".mov") else ""
    assert ("--depth-bits" in arguments) == ("Main 10" in stream)
    assert not stream or output.suffix == ".mov" or "yuva" not in stream


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("interpolate first.jpg last.jpg -o a.gif --depth-bits 10", "A .gif holds 8 bits a channel"),
        ("interpolate sticker-1.png sticker-2.png -o a.webm --depth-bits 10", "A transparent WebM has 8 bits"),
        ("retime clip.mov -o a.mp4 --speed 0:1,1:2 --slowdown 2", "not both"),
        ("retime clip.mov -o a.mp4 --slowdown 2 --start 9", "clip.mov lasts 1.67 s"),
        ("batch clip.mov -o out --slowdown 2 --easing ease-in", "The option easing is for photos"),
    ],
)
def test_what_a_film_cannot_have_is_refused(
    command: str, words: str, inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(inputs)
    before = sorted(os.listdir())
    assert commands.main(command.split()) == 2
    assert words in capsys.readouterr().err and sorted(os.listdir()) == before
