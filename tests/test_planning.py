"""What a film of a video would be, where its header does not tell enough for that."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from clips import ffmpeg, pan, video

from film import planning, speed


def recorded(path: Path) -> Path:
    """A video as a browser records it: without its length."""
    source = video(path.with_suffix(".mkv"), pan(12))
    ffmpeg("-i", str(source), "-c:v", "libvpx", "-live", "1", "-f", "webm", str(path))
    return path


def test_a_video_that_does_not_tell_its_length(tmp_path: Path) -> None:
    speed.remember("timed", "CPU", 64 * 96, 0.5)
    known, unknown = video(tmp_path / "known.mp4", pan(12)), recorded(tmp_path / "recorded.webm")
    told = planning.plan_retime(known, "timed", "CPU", slowdown=2)
    assert told.length_known and (told.frames, told.seconds) == (24, pytest.approx(24 * 0.5))
    told = planning.plan_retime(unknown, "timed", "CPU", slowdown=2)
    assert not told.length_known and told.seconds is None and told.size == (64, 96)


def test_a_frame_rate_that_no_film_has_is_refused_with_advice(tmp_path: Path) -> None:
    """A file that counts time in milliseconds may name 1000 frames per second, however few it has."""
    source = video(tmp_path / "ticks.mp4", pan(12), "1000")
    words = "ticks.mp4 counts 1000 frames per second, more than the 240 that a film can have; choose a frame rate"
    with pytest.raises(ValueError, match=words):
        planning.plan_retime(source, "film-lite", "CPU", slowdown=4)
    with pytest.raises(ValueError, match="The slowdown is beyond 1.79"):
        planning.plan_retime(source, "film-lite", "CPU", slowdown=Fraction(10**400), fps=30)
    assert planning.plan_retime(source, "film-lite", "CPU", slowdown=4, fps=30).frames == 2
