"""What a film is asked for with: refused in one sentence, or seen in its frames."""

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import film
from film.cli import commands
from film.rendering import pace, planning
from film.rendering.events import Event
from film.rendering.options import PhotoOptions
from film.rendering.pace import SpeedCurve, Steady
from tests.conftest import photo, texture
from tests.film.conftest import made
from tests.film.media.test_audio import samples
from tests.support import clips
from tests.support.clips import means

POINTS = ((0.0, 1.0), (2.0, 0.25), (4.0, 1.0))


def grey(level: float) -> np.ndarray:
    return np.full((32, 48, 3), level, np.float32)


def levels(events: Iterable[Event]) -> list[float]:
    """The brightness of each frame of a film, of 255."""
    return [255 * level for level in means(made(events).frames)]


def brightening(folder: Path, frames: int = 24, sound: bool = False) -> Path:
    """A video of 24 frames a second, each brighter than the one before by 8 of 255."""
    pictures = [np.full((32, 48, 3), 16 + 8 * k, np.uint8) for k in range(frames)]
    return clips.video(folder / "clip.mp4", pictures, sound=sound)


def test_options_and_choices_beside_them_are_refused(model: film.Interpolator, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Options are given, and depth beside them"):
        film.interpolate([], model, tmp_path / "film.mp4", PhotoOptions(), depth=2)


@pytest.mark.parametrize("time", [90, 90.0, "90", "1:30", "0:01:30.0", Fraction(90)])
def test_times_in_every_form(time: Any) -> None:
    assert pace.seconds(time, "The start") == 90


def test_an_easing_is_the_curve_it_names() -> None:
    shares = [Fraction(k, 32) for k in range(33)]
    for easing, curve in (
        ("ease-in", lambda t: t**2),
        ("ease-out", lambda t: 1 - (1 - t) ** 2),
        ("ease-in-out", lambda t: 3 * t**2 - 2 * t**3),
    ):
        (moments,) = planning.moments(2, 5, easing=easing)
        assert len(moments) == 33 and moments == sorted(moments) and (moments[0], moments[-1]) == (0, 1)
        assert max(abs(m - curve(t)) for m, t in zip(moments, shares, strict=True)) <= Fraction(1, 512)


def test_a_film_is_eased_between_each_two_photos(model: film.Interpolator, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{k}.png", grey(level)) for k, level in enumerate((0.2, 0.6, 0.2))]
    frames = made(film.interpolate(photos, model, tmp_path / "film.mp4", depth=2, easing="ease-in")).frames
    steps = [0, 1 / 16, 4 / 16, 9 / 16]
    expected = [0.2 + 0.4 * t for t in steps] + [0.6 - 0.4 * t for t in steps] + [0.2]
    np.testing.assert_allclose(means(frames), expected, atol=0.003)


def test_motion_decides_how_long_a_gap_lasts(tmp_path: Path, averaging: Path, model: film.Interpolator) -> None:
    photos = [photo(tmp_path / f"{level}.png", grey(level / 255)) for level in (50, 60, 100)]
    output = tmp_path / "film.mp4"
    frames = levels(film.interpolate(photos, model, output, count=51, spacing="motion"))
    assert frames == pytest.approx(list(range(50, 101)), abs=0.1)  # as fast everywhere
    made = output.read_bytes()
    command = ["interpolate", *map(str, photos), "-o", str(output), "--model", str(averaging), "--count", "51"]
    assert commands.main([*command, "--spacing", "motion"]) == 0 and output.read_bytes() == made
    assert commands.main(command) == 0 and output.read_bytes() != made


def test_a_seamless_loop_comes_back_to_its_beginning(model: film.Interpolator, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{k}.png", grey(level)) for k, level in enumerate((0.2, 0.6))]
    for length, frames in (({"depth": 2}, 8), ({"count": 6}, 6), ({"seconds": 0.5}, 5)):
        output = tmp_path / "film.webp"
        told = made(film.interpolate(photos, model, output, fps=10, play="seamless", **length))
        assert told.done.frames == len(told.frames) == frames
        assert planning.plan(photos, output, fps=10, play="seamless", **length).shown == frames
        circle = [0.2 + 0.4 * (1 - abs(1 - 2 * k / frames)) for k in range(frames)]  # from the last one to the first
        np.testing.assert_allclose(means(told.frames), circle, atol=0.003)


def test_a_video_moves_from_its_last_frame_to_its_first(model: film.Interpolator, tmp_path: Path) -> None:
    scene = texture(32, 48) * 100
    pictures = [np.rint(scene - scene.mean() + level).astype(np.uint8) for level in (100, 108, 116, 108)]
    source = clips.video(tmp_path / "clip.mp4", pictures)
    looped = levels(film.retime(source, model, tmp_path / "a.mp4", slowdown=4, play="seamless"))
    assert len(looped) == 16
    np.testing.assert_allclose(looped[12:], [108, 106, 104, 102], atol=2.1)
    held = levels(film.retime(source, model, tmp_path / "b.mp4", slowdown=4))
    np.testing.assert_allclose(held[12:], [108] * 4, atol=2.1)
    other = np.rint(texture(32, 48, seed=5) * 250).astype(np.uint8)
    source = clips.video(tmp_path / "cut.mp4", [*pictures[:3], other, other])
    cut = levels(film.retime(source, model, tmp_path / "c.mp4", slowdown=4, play="seamless"))
    assert np.ptp(cut[-4:]) == 0  # where the end and the beginning are two scenes, nothing is made


def test_a_part_of_a_video(model: film.Interpolator, tmp_path: Path) -> None:
    source = brightening(tmp_path, sound=True)
    told = made(film.retime(source, model, tmp_path / "a.mp4", slowdown=2, start="0:00:00.25", end=0.75))
    assert told.done.frames == 24 == planning.plan_retime(source, slowdown=2, start=0.25, end=0.75).frames
    expected = [16 + 8 * (6 + min(k, 22) / 2) for k in range(24)]
    np.testing.assert_allclose(255 * np.array(means(told.frames)), expected, atol=3)
    with pytest.raises(ValueError, match=r"The part begins at 2 s, but clip.mp4 lasts 1 s"):
        film.retime(source, model, tmp_path / "b.mp4", slowdown=2, start=2)
    # The beep is in the second half: of the part as well.
    sound = np.abs(samples(tmp_path / "a.mp4"))
    first, last = sound[: int(len(sound) * 0.4)], sound[int(len(sound) * 0.6) : int(len(sound) * 0.95)]
    assert last.mean() > 20 * first.mean()


def test_a_late_part_is_the_same_though_what_is_before_it_is_not_decoded(
    model: film.Interpolator, tmp_path: Path
) -> None:
    pictures = [np.full((32, 48, 3), 20 + 3 * (k % 60), np.uint8) for k in range(300)]
    source = clips.video(tmp_path / "long.mp4", pictures, "20", "-g", "20")
    shown = levels(film.retime(source, model, tmp_path / "a.mp4", fps=20, start=13, end=13.5))
    np.testing.assert_allclose(shown, [20 + 3 * ((260 + k) % 60) for k in range(10)], atol=3)


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
    told = made(film.retime(source, model, tmp_path / "a.mp4", speed={0: 1, 0.5: 1, 0.51: 0.25, 1: 0.25}))
    assert told.done.frames == planning.plan_retime(source, speed="0:1,0.5:1,0.51:0.25,1:0.25").frames
    shown = 255 * np.array(means(told.frames))
    np.testing.assert_allclose(shown[:12], [16 + 8 * k for k in range(12)], atol=3)
    assert np.diff(shown[16:50]) == pytest.approx(2, abs=1.6) and len(shown) == pytest.approx(12 + 48, abs=3)
    assert "The film is silent: sound cannot follow a curve of speeds." in told.notices
