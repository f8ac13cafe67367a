"""The events of a film being made: in order, true, and stopped at any of them without a trace."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import film
from film.engine import timings
from film.rendering import events, pipeline, planning
from film.rendering.events import Done, Progress, Segment, Stage
from film.rendering.planning import Plan
from tests.conftest import photo, texture
from tests.film.conftest import made
from tests.film.media.test_video_writer import frames_of
from tests.support.clips import decoded, duration, encoders


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    still = texture(48, 64) * 0.2
    return [photo(tmp_path / f"{name}.png", still + level) for name, level in (("one", 0.1), ("two", 0.7))]


def test_the_events_tell_the_film(photos: list[Path], model: film.Interpolator, tmp_path: Path, scratch: Path) -> None:
    output = tmp_path / "film.mp4"
    told = []
    for event in pipeline.interpolate(photos, model, output, depth=5, fps=30):
        told.append(event)
        assert not isinstance(event, Segment) or event.path.stat().st_size  # it can be read when it is told
    progress = [event for event in told if isinstance(event, Progress)]
    frames = [event.frame for event in progress]
    assert [(event.done, event.total) for event in progress] == [(k, 33) for k in range(1, 34)]
    # The first is the user's photo.
    assert [event.seconds_per_frame is None for event in progress] == [True] + 32 * [False]
    assert progress[-1].seconds_left == 0
    stages = [event for event in told if isinstance(event, Stage)]
    assert all(stage.text == events.STAGES[stage.name] for stage in stages)
    first, *preparing, interpolating, finishing = (stage.name for stage in stages)
    assert (first, interpolating, finishing) == ("reading", "interpolating", "finishing")
    assert set(preparing) <= {"converting", "compiling"}
    kinds = [type(event) for event in told]
    assert kinds[-2:] == [Stage, Done] and set(kinds) == {Stage, Progress, Segment, Done}
    assert kinds.count(Segment) == 2 and Progress in kinds[kinds.index(Segment) :]
    done = told[-1]

    first, last = (film.read_image(path) for path in photos)
    np.testing.assert_array_equal(frames[0], first)
    np.testing.assert_array_equal(frames[-1], last)
    for k, frame in enumerate(frames):
        np.testing.assert_allclose(frame, first + (last - first) * k / 32, atol=1e-6)

    read = decoded(output)
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
    done = made(pipeline.interpolate(odd, model, tmp_path / f"film{suffix}", depth=0)).done
    assert (done.frames, done.height, done.width) == (2, height, width)
    assert done.seconds_per_frame is None  # nothing had to be computed
    assert frames_of(done.path).shape[1:3] == (height, width)


def test_closing_stops_everything(
    photos: list[Path], model: film.Interpolator, tmp_path: Path, scratch: Path, calls: list[float]
) -> None:
    """At every event in turn: nothing is computed after it, no file and no process is left."""
    whole = len(list(pipeline.interpolate(photos, model, tmp_path / "whole.mp4", depth=4, fps=20)))
    assert len(calls) == 15
    encoding = 0
    for stop in range(1, whole):
        events = pipeline.interpolate(photos, model, tmp_path / "film.mp4", depth=4, fps=20)
        for _ in range(stop):
            event = next(events)
        before = len(calls)
        encoding += len(encoders())
        events.close()
        assert len(calls) == before
        assert os.listdir(scratch) == [] and not encoders()
        assert not (tmp_path / "film.mp4").exists(), event
    assert encoding > 5  # ffmpeg was running at many of these moments


def test_photos_of_different_size_are_told(model: film.Interpolator, tmp_path: Path) -> None:
    sizes = {"a": (48, 96), "b": (60, 60), "c": (32, 64), "d": (48, 96)}
    wide, narrow, small, same = (photo(tmp_path / f"{name}.png", texture(*size)) for name, size in sizes.items())
    output = tmp_path / "film.mp4"
    text, unrelated = made(pipeline.interpolate([wide, narrow], model, output, depth=1)).notices
    assert "little in common" in unrelated  # two random textures
    assert "96x48 and 60x60" in text and "cropped" in text and "60x42" in text
    assert decoded(output).shape == (3, 42, 60, 3)
    text = made(pipeline.interpolate([wide, small], model, output, depth=0)).notices[0]
    assert "96x48 and 64x32" in text and "64x32." in text and "cropped" not in text
    assert made(pipeline.interpolate([wide, same], model, output, depth=0)).notices == []
    assert made(pipeline.interpolate([wide, same], model, output, depth=0, longest_side=64)).notices == []
    assert decoded(output).shape == (2, 32, 64, 3)


def test_what_the_format_cannot_keep_is_told(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    for name, fps, expected in (
        ("film.gif", 60, ["A .gif plays at most 50 frames a second: the film lasts 1.2 times as long."]),
        ("film.webp", 240, ["A .webp plays at most 90 frames a second: the film lasts 2.67 times as long."]),
        ("film.gif", 50, []),
        ("film.mp4", 240, []),
    ):
        assert made(pipeline.interpolate(photos, model, tmp_path / name, depth=0, fps=fps)).notices == expected


def test_photos_that_are_not_shown_are_told(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    three, output = [*photos, photos[0]], tmp_path / "film.mp4"
    words = "The film has 2 frames and there are 3 photos: some are not shown; give at least 3 frames."
    assert words in made(pipeline.interpolate(three, model, output, count=2)).notices
    assert words not in made(pipeline.interpolate(three, model, output, count=3)).notices


def test_bad_input_is_refused(photos: list[Path], model: film.Interpolator, tmp_path: Path) -> None:
    output = tmp_path / "film.mp4"
    still = photo(tmp_path / "still.webp", texture(48, 64))
    (tmp_path / "link.webp").symlink_to(still)
    for wrong, message in (
        ({"output": tmp_path / "nowhere" / "film.mp4"}, "no directory .*nowhere"),
        ({"photos": [photos[0], still], "output": still}, "still.webp would replace what it is made of"),
        ({"photos": [still, photos[0]], "output": tmp_path / "link.webp"}, "link.webp would replace"),
    ):
        with pytest.raises(ValueError, match=message):
            pipeline.interpolate(**({"photos": photos, "model": model, "output": output} | wrong))
    with pytest.raises(ValueError, match="one.png is 64x48"):  # with the events
        list(pipeline.interpolate(photos, model, output, max_pixels=3000))
    assert not output.exists()


def test_a_plan_tells_what_would_be_made(photos: list[Path], tmp_path: Path) -> None:
    assert planning.plan([], depth=5, fps=30) == Plan(33, Fraction(30), None, 31)
    assert planning.plan([], count=48, honours_time=True).calls == 46
    assert planning.plan(photos, depth=3, fps=10) == Plan(9, Fraction(10), (48, 64), 7)
    assert planning.plan(photos, depth=3, fps=10, longest_side=32) == Plan(9, Fraction(10), (24, 32), 7)
    turned = photo(tmp_path / "turned.png", texture(64, 48))
    assert planning.plan([photos[0], turned]).size == (48, 48)
