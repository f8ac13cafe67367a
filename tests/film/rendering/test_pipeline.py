"""The events of a film being made: in order, true, and stopped at any of them without a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

import film
from film.engine import timings
from film.rendering import events, pipeline, planning
from film.rendering.events import Done, Notice, Progress, Segment, Stage
from film.rendering.planning import Plan
from tests.conftest import photo, texture
from tests.support.clips import duration, encoders


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """A dark and a bright photo of 64x48."""
    still = texture(48, 64) * 0.2
    return [photo(tmp_path / f"{name}.png", still + level) for name, level in (("one", 0.1), ("two", 0.7))]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of the test's films, empty."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


def test_the_events_tell_the_film(photos: list[Path], model: film.Interpolator, tmp_path: Path, scratch: Path) -> None:
    output = tmp_path / "film.mp4"
    kinds: list[str] = []
    frames: list[np.ndarray] = []
    segments: list[Segment] = []
    parts: list[int] = []
    for event in pipeline.interpolate(photos, model, output, depth=5, fps=30):
        match event:
            case Stage():
                kinds.append(event.name)
                assert event.text == events.STAGES[event.name]
            case Progress():
                frames.append(event.frame)
                kinds.append("frame")
                assert (event.done, event.total) == (len(frames), 33)
                assert (event.seconds_per_frame is None) == (event.done == 1)  # the first is the user's photo
                assert event.done < 33 or event.seconds_left == 0
            case Segment():
                segments.append(event)
                kinds.append("segment")
                parts.append(event.path.stat().st_size)  # it can be read when it is told
            case Done():
                kinds.append("done")
                done = event
            case _:
                pytest.fail(f"unexpected {event}")

    stages = [kind for kind in kinds if kind not in ("frame", "segment")]
    assert stages[0] == "reading" and stages[-3:] == ["interpolating", "finishing", "done"]
    assert set(stages[1:-3]) <= {"converting", "compiling"}
    assert kinds.index("segment") < max(k for k, kind in enumerate(kinds) if kind == "frame")
    assert len(frames) == 33 and len(segments) == 2 and min(parts) > 0

    first, last = (film.read_image(path) for path in photos)
    np.testing.assert_array_equal(frames[0], first)
    np.testing.assert_array_equal(frames[-1], last)
    for k, frame in enumerate(frames):
        np.testing.assert_allclose(frame, first + (last - first) * k / 32, atol=1e-6)

    read = imageio.imread(output, plugin="FFMPEG")
    assert done.path == output
    assert read.shape == (done.frames, done.height, done.width, 3) == (33, 48, 64, 3)
    assert duration(output) == pytest.approx(done.duration, abs=0.0051) and done.duration == 33 / 30
    assert (done.fps, done.model, done.device) == (30, model.name, model.device)
    assert done.device == "CPU"
    assert done.seconds_per_frame is not None and 0 < done.seconds_per_frame * 31 <= done.seconds
    assert timings.estimate(model.name, "CPU", 48, 64) == pytest.approx(done.seconds_per_frame)
    assert os.listdir(scratch) == [] and not encoders()


@pytest.mark.parametrize(("suffix", "height", "width"), [(".mp4", 50, 66), (".webm", 50, 66), (".gif", 49, 65)])
def test_the_size_told_is_that_of_the_file(
    model: film.Interpolator, tmp_path: Path, suffix: str, height: int, width: int
) -> None:
    odd = [photo(tmp_path / f"{n}.png", texture(49, 65, n)) for n in (1, 2)]
    (*_, done) = pipeline.interpolate(odd, model, tmp_path / f"film{suffix}", depth=0)
    assert isinstance(done, Done) and (done.frames, done.height, done.width) == (2, height, width)
    assert done.seconds_per_frame is None  # nothing had to be computed
    assert imageio.imread(done.path, plugin="pillow" if suffix == ".gif" else "FFMPEG").shape[1:3] == (height, width)


def test_closing_stops_everything(
    photos: list[Path], model: film.Interpolator, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every event in turn: nothing is computed after it, no file and no process is left."""
    made = 0
    start = type(model.session(48, 64)).start

    def counted(self: object, left: object, right: object, time: float) -> object:
        nonlocal made
        made += 1
        return start(self, left, right, time)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model.session(48, 64)), "start", counted)
    whole = len(list(pipeline.interpolate(photos, model, tmp_path / "whole.mp4", depth=4, fps=20)))
    total, encoding = made, 0
    assert total == 15
    for stop in range(1, whole):
        made = 0
        events = pipeline.interpolate(photos, model, tmp_path / "film.mp4", depth=4, fps=20)
        for _ in range(stop):
            event = next(events)
        before = made
        encoding += len(encoders())
        events.close()
        assert made == before
        assert os.listdir(scratch) == [] and not encoders()
        assert not (tmp_path / "film.mp4").exists(), event
    assert encoding > 5  # ffmpeg was running at many of these moments


def notices(events: Iterator[pipeline.Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def test_photos_of_different_size_are_told(model: film.Interpolator, tmp_path: Path) -> None:
    wide, narrow, small, same = (
        photo(tmp_path / f"{name}.png", texture(height, width))
        for name, height, width in (("a", 48, 96), ("b", 60, 60), ("c", 32, 64), ("d", 48, 96))
    )
    output = tmp_path / "film.mp4"
    text, unrelated = notices(pipeline.interpolate([wide, narrow], model, output, depth=1))
    assert "little in common" in unrelated  # two random textures
    assert "96x48 and 60x60" in text and "cropped" in text and "60x42" in text
    assert imageio.imread(output, plugin="FFMPEG").shape == (3, 42, 60, 3)
    text = notices(pipeline.interpolate([wide, small], model, output, depth=0))[0]
    assert "96x48 and 64x32" in text and "64x32." in text and "cropped" not in text
    assert notices(pipeline.interpolate([wide, same], model, output, depth=0)) == []
    assert notices(pipeline.interpolate([wide, same], model, output, depth=0, longest_side=64)) == []
    assert imageio.imread(output, plugin="FFMPEG").shape == (2, 32, 64, 3)


def test_what_the_format_cannot_keep_is_told(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    for name, fps, expected in (
        ("film.gif", 60, ["A .gif plays at most 50 frames a second: the film lasts 1.2 times as long."]),
        ("film.webp", 240, ["A .webp plays at most 90 frames a second: the film lasts 2.67 times as long."]),
        ("film.gif", 50, []),
        ("film.mp4", 240, []),
    ):
        assert notices(pipeline.interpolate(photos, model, tmp_path / name, depth=0, fps=fps)) == expected


def test_photos_that_are_not_shown_are_told(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    three, output = [*photos, photos[0]], tmp_path / "film.mp4"
    words = "The film has 2 frames and there are 3 photos: some are not shown; give at least 3 frames."
    assert words in notices(pipeline.interpolate(three, model, output, count=2))
    assert words not in notices(pipeline.interpolate(three, model, output, count=3))


def test_bad_input_is_refused(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    """Bad arguments before there are any events, photos with them."""
    output = tmp_path / "film.mp4"
    still = photo(tmp_path / "still.webp", texture(48, 64))
    (tmp_path / "link.webp").symlink_to(still)
    (tmp_path / "list.jpg").write_text("eggs, milk")
    for wrong, message in (
        ({"photos": photos[:1]}, "two photos or more; 1 were given"),
        ({"output": tmp_path / "nowhere" / "film.mp4"}, "no directory .*nowhere"),
        ({"output": tmp_path}, "is a directory"),
        ({"photos": [photos[0], still], "output": still}, "still.webp would replace what it is made of"),
        ({"photos": [still, photos[0]], "output": tmp_path / "link.webp"}, "link.webp would replace"),
    ):
        with pytest.raises(ValueError, match=message):
            pipeline.interpolate(**({"photos": photos, "model": model, "output": output} | wrong))
    for bad, options, error, message in (
        (tmp_path / "list.jpg", {}, ValueError, "list.jpg is not an image"),
        (tmp_path / "absent.jpg", {}, FileNotFoundError, "absent.jpg"),
        (photos[1], {"max_pixels": 3000}, ValueError, "one.png is 64x48"),
    ):
        with pytest.raises(error, match=message):
            list(pipeline.interpolate([photos[0], bad], model, output, **options))
    assert not output.exists()


def test_a_plan_tells_what_would_be_made(photos: list[Path], tmp_path: Path) -> None:
    assert planning.plan([], depth=5, fps=30) == Plan(33, Fraction(30), None, 31)
    assert planning.plan(photos, depth=3, fps=10) == Plan(9, Fraction(10), (48, 64), 7)
    assert planning.plan(photos, depth=3, fps=10, longest_side=32) == Plan(9, Fraction(10), (24, 32), 7)
    turned = photo(tmp_path / "turned.png", texture(64, 48))
    assert planning.plan([photos[0], turned]).size == (48, 48)
