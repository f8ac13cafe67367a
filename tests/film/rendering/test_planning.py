"""What a film of a video would be, where its header does not tell enough for that."""

from fractions import Fraction
from pathlib import Path

import pytest

from film.rendering import planning
from tests.support.clips import pan, recorded, video


def test_a_video_that_does_not_tell_its_length(tmp_path: Path) -> None:
    known, unknown = video(tmp_path / "known.mp4", pan(12)), recorded(tmp_path / "recorded.webm")
    told = planning.plan_retime(known, slowdown=2)
    assert told.length_known and (told.frames, told.calls) == (24, 24)
    told = planning.plan_retime(unknown, slowdown=2)
    assert not told.length_known and told.calls is None and told.size == (64, 96)


def test_a_frame_rate_that_no_film_has_is_refused_with_advice(tmp_path: Path) -> None:
    """A file that counts time in milliseconds may name 1000 frames per second, however few it has."""
    source = video(tmp_path / "ticks.mp4", pan(12), "1000")
    words = "ticks.mp4 counts 1000 frames per second, more than the 240 that a film can have; choose a frame rate"
    with pytest.raises(ValueError, match=words):
        planning.plan_retime(source, slowdown=4)
    with pytest.raises(ValueError, match="The slowdown is beyond 1.79"):
        planning.plan_retime(source, slowdown=Fraction(10**400), fps=30)
    assert planning.plan_retime(source, slowdown=4, fps=30).frames == 2


@pytest.mark.parametrize(
    ("seconds", "output", "play", "made"),
    [
        (0.4, "film.mp4", "loop", 24),
        (0.4, "film.gif", "loop", 20),
        (0.5, "film.webp", "once", 30),
        (0.4, "film.mp4", "pingpong", 13),
        (0.4, "film.gif", "pingpong", 11),
    ],
)
def test_a_film_lasts_as_long_as_it_should(seconds: float, output: str, play: str, made: int) -> None:
    """Whatever its format plays at most, and forth and back, too."""
    count, fps = planning.lasting(seconds, 60, output, play)
    plan = planning.plan([], output, count=count, fps=fps, play=play)
    assert (plan.frames, plan.duration) == (made, pytest.approx(seconds))


@pytest.mark.parametrize(("count", "shown", "made"), [(2, 2, 2), (10, 10, 6), (9, 10, 6), (19_998, 19_998, 10_000)])
def test_a_count_is_of_frames_as_they_are_played(count: int, shown: int, made: int) -> None:
    plan = planning.plan([], count=count, play="pingpong")
    assert (plan.frames, plan.shown) == (made, shown)


def test_a_video_keeps_its_length_where_the_format_is_slower(tmp_path: Path) -> None:
    source = video(tmp_path / "clip.mp4", pan(12), "120")
    for output, fps, rate in (("film.mp4", None, 120), ("film.gif", None, 50), ("film.webp", 240, 90)):
        plan = planning.plan_retime(source, output, slowdown=5, fps=fps)
        assert plan.fps == rate and plan.duration == pytest.approx(0.5, abs=1 / rate)
