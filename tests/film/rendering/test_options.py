"""What a film is asked for with: refused in one sentence, or seen in its frames."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import film
from film.rendering import pace, planning
from film.rendering.events import Done, Notice, Progress
from film.rendering.options import FilmOptions, PhotoOptions, VideoOptions
from film.rendering.pace import SpeedCurve, Steady
from tests.conftest import photo, texture
from tests.support import clips

POINTS = ((0.0, 1.0), (2.0, 0.25), (4.0, 1.0))


def grey(level: float) -> np.ndarray:
    return np.full((32, 48, 3), level, np.float32)


def levels(events: Any) -> list[float]:
    """The brightness of each frame that is made."""
    return [float(event.frame.mean()) for event in events if isinstance(event, Progress) and event.frame is not None]


def brightening(folder: Path, frames: int = 24, sound: bool = False) -> Path:
    """A video of 24 frames a second, each brighter than the one before by 8 of 255."""
    pictures = [np.full((32, 48, 3), 16 + 8 * k, np.uint8) for k in range(frames)]
    return clips.video(folder / "clip.mp4", pictures, sound=sound)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (FilmOptions, {"background": "lavendar"}, "no opaque colour 'lavendar'; give a name such as white, or #rrggbb"),
        (FilmOptions, {"background": "#ff000080"}, "no opaque colour"),
        (FilmOptions, {"depth_bits": 12}, "The depth is 12 bits; it must be 8 or 10"),
        (FilmOptions, {"depth_bits": "10"}, "The depth is '10' bits"),
        (PhotoOptions, {"easing": "bounce"}, "The easing is 'bounce'; choose linear, ease-in, ease-out, ease-in-out"),
        (PhotoOptions, {"depth": 3, "seconds": 2}, "in one way"),
        (VideoOptions, {"slowdown": 2, "start": "soon"}, "The start is 'soon'; give seconds, or hh:mm:ss"),
        (VideoOptions, {"slowdown": 2, "start": -1}, "The start is -1"),
        (VideoOptions, {"slowdown": 2, "end": "1:2:3:4"}, "The end is '1:2:3:4'"),
        (VideoOptions, {"slowdown": 2, "end": "1e9"}, "The end is '1e9'"),
        (VideoOptions, {"slowdown": 2, "end": "9" * 400}, "The end is '999"),  # more than a float holds
        (VideoOptions, {"slowdown": 2, "start": 4, "end": "0:03"}, "ends at 3 s, but begins at 4 s"),
        (VideoOptions, {"slowdown": 2, "speed": "0:1,1:2"}, "a slowdown or a curve of speeds, not both"),
        (VideoOptions, {"speed": "0:1"}, "two points or more"),
        (VideoOptions, {"speed": "0:1,0:2"}, "two points or more, their times ascending"),
        (VideoOptions, {"speed": "0:1,1:0"}, "A speed of 0 is asked for; it must be from 1/16 to 16"),
        (VideoOptions, {"speed": "fast"}, "The speed is 'fast'; give points as time:factor"),
        (VideoOptions, {"speed": "0:1,1:1e999999999"}, "give points as time:factor"),  # a number that fills the memory
        (VideoOptions, {"fps": 60, "cut": -1}, "The threshold of a cut is -1"),
        (VideoOptions, {}, "Say what to make of the video"),
    ],
)
def test_what_no_film_can_have_is_refused(kind: type[FilmOptions], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**wrong)


def test_options_and_choices_beside_them_are_refused(model: film.Interpolator, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Options are given, and depth beside them"):
        film.interpolate([], model, tmp_path / "film.mp4", PhotoOptions(), depth=2)


@pytest.mark.parametrize("time", [90, 90.0, "90", "1:30", "0:01:30.0", Fraction(90)])
def test_times_in_every_form(time: Any) -> None:
    assert pace.seconds(time, "The start") == 90


def test_an_easing_is_the_curve_it_names() -> None:
    (slow,) = planning.moments(2, 5, easing="ease-in")
    (quick,) = planning.moments(2, 5, easing="ease-out")
    (both,) = planning.moments(2, 5, easing="ease-in-out")
    shares = [Fraction(k, 32) for k in range(33)]
    for moments, curve in (
        (slow, lambda t: t**2),
        (quick, lambda t: 1 - (1 - t) ** 2),
        (both, lambda t: 3 * t**2 - 2 * t**3),
    ):
        assert len(moments) == 33 and moments == sorted(moments) and (moments[0], moments[-1]) == (0, 1)
        assert max(abs(m - curve(t)) for m, t in zip(moments, shares, strict=True)) <= Fraction(1, 512)


def test_a_film_is_eased_between_each_two_photos(model: film.Interpolator, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{k}.png", grey(level)) for k, level in enumerate((0.2, 0.6, 0.2))]
    made = levels(film.interpolate(photos, model, tmp_path / "film.mp4", depth=2, easing="ease-in"))
    steps = [0, 1 / 16, 4 / 16, 9 / 16]
    expected = [0.2 + 0.4 * t for t in steps] + [0.6 - 0.4 * t for t in steps] + [0.2]
    np.testing.assert_allclose(made, expected, atol=0.003)


def test_a_seamless_loop_comes_back_to_its_beginning(model: film.Interpolator, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{k}.png", grey(level)) for k, level in enumerate((0.2, 0.6))]
    for length, frames in (({"depth": 2}, 8), ({"count": 6}, 6), ({"seconds": 0.5}, 5)):
        output = tmp_path / "film.webp"
        *events, done = film.interpolate(photos, model, output, fps=10, play="seamless", **length)
        made = levels(events)
        assert isinstance(done, Done) and done.frames == len(made) == frames
        assert planning.plan(photos, output, fps=10, play="seamless", **length).shown == frames
        circle = [
            0.2 + 0.4 * (1 - abs(1 - 2 * k / frames)) for k in range(frames)
        ]  # and from the last one to the first
        np.testing.assert_allclose(made, circle, atol=0.003)


def test_a_video_moves_from_its_last_frame_to_its_first(model: film.Interpolator, tmp_path: Path) -> None:
    scene = texture(32, 48) * 100
    pictures = [np.rint(scene - scene.mean() + level).astype(np.uint8) for level in (100, 108, 116, 108)]
    source = clips.video(tmp_path / "clip.mp4", pictures)
    made = [
        255 * level for level in levels(film.retime(source, model, tmp_path / "a.mp4", slowdown=4, play="seamless"))
    ]
    assert len(made) == 16
    np.testing.assert_allclose(made[12:], [108, 106, 104, 102], atol=2.1)
    held = [255 * level for level in levels(film.retime(source, model, tmp_path / "b.mp4", slowdown=4))]
    np.testing.assert_allclose(held[12:], [108] * 4, atol=2.1)
    other = np.rint(texture(32, 48, seed=5) * 250).astype(np.uint8)
    source = clips.video(tmp_path / "cut.mp4", [*pictures[:3], other, other])
    cut = levels(film.retime(source, model, tmp_path / "c.mp4", slowdown=4, play="seamless"))
    assert np.ptp(cut[-4:]) == 0  # where the end and the beginning are two scenes, nothing is made


def test_a_part_of_a_video(model: film.Interpolator, tmp_path: Path) -> None:
    source = brightening(tmp_path, sound=True)
    *events, done = film.retime(source, model, tmp_path / "a.mp4", slowdown=2, start="0:00:00.25", end=0.75)
    made = [255 * level for level in levels(events)]
    assert (
        isinstance(done, Done)
        and done.frames == 24 == planning.plan_retime(source, slowdown=2, start=0.25, end=0.75).frames
    )
    np.testing.assert_allclose(made, [16 + 8 * (6 + min(k, 22) / 2) for k in range(24)], atol=3)
    with pytest.raises(ValueError, match=r"The part begins at 2 s, but clip.mp4 lasts 1 s"):
        film.retime(source, model, tmp_path / "b.mp4", slowdown=2, start=2)
    # The beep is in the second half: of the part as well.
    raw = tmp_path / "a.raw"
    clips.ffmpeg("-i", str(tmp_path / "a.mp4"), "-f", "f32le", "-ac", "1", str(raw))
    sound = np.abs(np.fromfile(raw, np.float32))
    first, last = sound[: int(len(sound) * 0.4)], sound[int(len(sound) * 0.6) : int(len(sound) * 0.95)]
    assert last.mean() > 20 * first.mean()


def test_a_late_part_is_the_same_though_what_is_before_it_is_not_decoded(
    model: film.Interpolator, tmp_path: Path
) -> None:
    pictures = [np.full((32, 48, 3), 20 + 3 * (k % 60), np.uint8) for k in range(300)]
    source = clips.video(tmp_path / "long.mp4", pictures, "20", "-g", "20")
    made = [255 * level for level in levels(film.retime(source, model, tmp_path / "a.mp4", fps=20, start=13, end=13.5))]
    np.testing.assert_allclose(made, [20 + 3 * ((260 + k) % 60) for k in range(10)], atol=3)


def test_a_curve_is_the_integral_of_its_speeds() -> None:
    curve = SpeedCurve(POINTS, Fraction(24))
    steps = np.linspace(0, 6, 60_001)
    speeds = np.interp(steps, *zip(*POINTS, strict=True))
    elapsed = np.concatenate([[0], np.cumsum(1e-4 * (1 / speeds[1:] + 1 / speeds[:-1]) / 2)])
    for number in (0, 10, 60, 100, 200):
        assert float(curve.time(number)) == pytest.approx(np.interp(number / 24, elapsed, steps), abs=1e-5)
    assert curve.frames(4) == math.ceil(24 * 2 * 2 * math.log(4) / 0.75 * 1.0)
    later = SpeedCurve(POINTS, Fraction(24), begin=1.0)
    assert float(later.time(24)) == pytest.approx(
        np.interp(1 + np.interp(1, steps, elapsed), elapsed, steps) - 1, abs=1e-5
    )
    even = SpeedCurve(((0.0, 0.5), (1.0, 0.5)), Fraction(24))
    assert [even.time(k) for k in range(9)] == [pytest.approx(Steady(Fraction(1, 48)).time(k)) for k in range(9)]


def test_a_video_follows_a_curve(model: film.Interpolator, tmp_path: Path) -> None:
    source = brightening(tmp_path, sound=True)
    *events, done = film.retime(source, model, tmp_path / "a.mp4", speed={0: 1, 0.5: 1, 0.51: 0.25, 1: 0.25})
    made = [255 * level for level in levels(events)]
    assert (
        isinstance(done, Done)
        and done.frames == planning.plan_retime(source, speed="0:1,0.5:1,0.51:0.25,1:0.25").frames
    )
    np.testing.assert_allclose(made[:12], [16 + 8 * k for k in range(12)], atol=3)
    assert np.diff(made[16:50]) == pytest.approx(2, abs=1.6) and len(made) == pytest.approx(12 + 48, abs=3)
    assert "The film is silent: sound cannot follow a curve of speeds." in [
        e.text for e in events if isinstance(e, Notice)
    ]
