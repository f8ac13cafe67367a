"""A video becomes a film: exact in frames, length, sound and cuts; interrupted, it is gone on with."""

import os
import re
import signal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import film
from film.cli import commands
from film.media import audio as sounds
from film.rendering import checkpoint, pipeline
from film.rendering.events import Done, Notice, Progress, Segment
from tests.film.conftest import ended, made, program, stopped
from tests.film.media.test_audio import samples
from tests.support.clips import decoded, ffmpeg, means, pan, times, video, words


def levels(values: list[int]) -> list[np.ndarray]:
    """Flat grey pictures: the moment of a film can be read off its frames."""
    return [np.full((48, 64, 3), value, np.uint8) for value in values]


def test_slow_motion_is_exact(tmp_path: Path, model: film.Interpolator) -> None:
    source = video(tmp_path / "ramp.mp4", levels([40 + 8 * k for k in range(12)]))
    *events, done = pipeline.retime(source, model, tmp_path / "slow.mp4", slowdown=np.float32(4))
    assert (done.frames, done.fps, done.duration) == (48, 24, 2.0)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [(event.done, event.total) for event in progress] == [(k, 48) for k in range(1, 49)]
    assert progress[-1].seconds_left == 0 and not any(isinstance(event, Notice) for event in events)
    shown = means(decoded(tmp_path / "slow.mp4"))
    assert shown == pytest.approx([40 + 8 * min(11, k / 4) for k in range(48)], abs=2.5)
    assert times(tmp_path / "slow.mp4") == pytest.approx([k / 24 for k in range(48)], abs=1e-4)


def test_any_frame_rate_and_the_command_makes_the_same(
    tmp_path: Path, averaging: Path, model: film.Interpolator
) -> None:
    source, fps = video(tmp_path / "ramp.mp4", levels([40 + 8 * k for k in range(12)])), Fraction(30000, 1001)
    done = made(pipeline.retime(source, model, tmp_path / "film.mp4", fps=fps)).done
    assert (done.frames, done.fps) == (15, fps)
    expected = [40 + 8 * min(11, float(k * 24 / fps)) for k in range(15)]
    assert means(decoded(tmp_path / "film.mp4")) == pytest.approx(expected, abs=1.5 + 8 / 32)
    told = tmp_path / "told.mp4"
    assert commands.main(["retime", str(source), "-o", str(told), "--fps", str(fps), "--model", str(averaging)]) == 0
    assert told.read_bytes() == (tmp_path / "film.mp4").read_bytes()


@pytest.mark.parametrize("slowdown", [1, 2])
@pytest.mark.slow
def test_picture_and_sound_stay_together_whatever_the_file_begins_with(
    tmp_path: Path, model: film.Interpolator, slowdown: int
) -> None:
    """An MPEG-TS file's clock does not begin at 0, and this one's picture begins half a second after its sound."""
    plain = video(tmp_path / "half.mp4", levels([60] * 24 + [180] * 24), sound=True)
    source = tmp_path / "late.ts"
    inputs = ["-itsoffset", "0.5", "-i", str(plain), "-i", str(plain)]
    ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", "-c", "copy", "-output_ts_offset", "7", str(source))
    made(pipeline.retime(source, model, tmp_path / "film.mp4", slowdown=slowdown, fps=48))
    shown = means(decoded(tmp_path / "film.mp4"))
    bright = next(k for k, value in enumerate(shown) if value > 120) / 48
    sound = np.abs(samples(tmp_path / "film.mp4"))
    beep = np.argmax(sound > 0.02) / 48000
    # The film begins with the sound, and holds the first picture until there is another.
    assert beep == pytest.approx(slowdown, abs=0.08)  # its first packet begins a little before 0
    assert bright - beep == pytest.approx(0.5 * slowdown, abs=0.08)


@pytest.mark.slow
def test_sound_is_left_out_on_demand_or_with_a_word(tmp_path: Path, model: film.Interpolator) -> None:
    source = video(tmp_path / "film.mp4", levels([40 + k for k in range(24)]), sound=True)
    made(pipeline.retime(source, model, tmp_path / "without.mp4", fps=48, sound=False))
    notices = made(pipeline.retime(source, model, tmp_path / "film.gif", fps=25)).notices
    assert notices == ["The film is silent: a .gif has no sound; .mp4, .mov and .webm do."]
    notices = made(pipeline.retime(source, model, tmp_path / "back.mp4", fps=25, play="pingpong")).notices
    assert notices == ["The film is silent: what is played forth and back has no sound."]
    assert "Audio" not in words(tmp_path / "without.mp4") + words(tmp_path / "back.mp4")


def test_no_frame_mixes_two_scenes(tmp_path: Path, model: film.Interpolator) -> None:
    one, other = pan(5, seed=1), pan(5, seed=2)
    source = video(tmp_path / "scenes.mp4", one + other)
    made(pipeline.retime(source, model, tmp_path / "slow.mp4", slowdown=2))
    shown = decoded(tmp_path / "slow.mp4").astype(int)
    assert len(shown) == 20
    for k, frame in enumerate(shown):
        scene = one if k < 10 else other
        apart = [np.abs(frame - picture).mean() for picture in (one if scene is other else other)]
        near = [np.abs(frame - picture).mean() for picture in scene]
        assert min(near) < 0.3 * min(apart), k


@pytest.mark.slow
def test_an_interrupted_film_is_gone_on_with(tmp_path: Path, averaging: Path) -> None:
    """Killed half-way, run again: the same bytes as in one go, and nothing that was finished is made again."""
    source = video(tmp_path / "pan.mp4", pan(48, step=1), sound=True)
    arguments = ["retime", str(source), "--slowdown", "4", "--model", str(averaging)]
    assert commands.main([*arguments, "-o", str(tmp_path / "whole.mp4")]) == 0

    output = tmp_path / "film.mp4"
    ended(program(*arguments, "-o", output), -signal.SIGKILL, signal.SIGKILL, re.compile(r"frame 1\d\d of").match)
    folder = checkpoint.folder(output)
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.ts")}
    assert len(kept) >= 7 and not output.exists()

    _, said = ended(program(*arguments, "-o", output))
    done = 12 * len(kept)
    assert f"{done} frames are there from an earlier run." in said
    first = re.search(r"^frame (\d+) of 192", said, re.MULTILINE)
    assert first and int(first[1]) == done + 1
    assert not folder.exists()
    np.testing.assert_array_equal(decoded(output), decoded(tmp_path / "whole.mp4"))


@pytest.mark.slow
def test_parts_of_another_film_are_not_used(tmp_path: Path, model: film.Interpolator) -> None:
    source = video(tmp_path / "pan.mp4", pan(24))
    output = tmp_path / "film.mp4"

    def begin(**options: Any) -> None:
        stopped(pipeline.retime(source, model, output, resume=True, **options), 24)

    def noticed(**options: Any) -> list[str]:
        return made(pipeline.retime(source, model, output, resume=True, **options)).notices

    begin(slowdown=4)
    assert len(list(checkpoint.folder(output).glob("*.ts"))) == 3
    anew = f"The parts in {checkpoint.folder(output)} were made with other settings or files ({{}}) and are made anew."
    assert noticed(slowdown=2, quality=70) == [anew.format("quality, pace")]
    begin(slowdown=4)
    assert noticed(slowdown=4) == ["36 frames are there from an earlier run."]
    begin(slowdown=4)
    video(source, pan(24, seed=5))  # another video under the same name
    assert noticed(slowdown=4) == [anew.format("video")]
    begin(slowdown=4)
    part = sorted(checkpoint.folder(output).glob("*.ts"))[1]
    part.unlink()
    assert len(decoded(output)) and noticed(slowdown=4) == ["24 frames are there from an earlier run."]
    assert not checkpoint.folder(output).exists() and len(decoded(output)) == 96


def test_what_holds_no_motion_or_would_be_replaced_is_refused(tmp_path: Path, model: film.Interpolator) -> None:
    source, single = video(tmp_path / "film.mp4", pan(3)), video(tmp_path / "single.mp4", pan(1))
    with pytest.raises(ValueError, match="single.mp4 holds a single frame"):
        list(pipeline.retime(single, model, tmp_path / "out.mp4", fps=60))
    with pytest.raises(ValueError, match="film.mp4 would replace what it is made of"):
        pipeline.retime(source, model, source, fps=60)
    assert sorted(os.listdir(tmp_path)) == ["film.mp4", "single.mp4"]


@pytest.mark.slow
def test_a_film_is_not_lost_for_its_sound(tmp_path: Path, model: film.Interpolator) -> None:
    """Sound that cannot be decoded at all, and sound that is gone when the film's frames are made."""
    source = video(tmp_path / "film.mp4", pan(24), sound=True)
    output = tmp_path / "out.mp4"
    data = source.read_bytes()
    events = pipeline.retime(source, model, output, slowdown=2)
    next(event for event in events if isinstance(event, Segment))
    source.write_bytes(data.replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    *_, notice, done = events
    assert isinstance(notice, Notice) and "The film is silent: its sound could not be added. ffmpeg" in notice.text
    assert isinstance(done, Done) and len(decoded(output)) == 48
    (notice,) = made(pipeline.retime(source, model, output, slowdown=2)).notices
    assert "The film is silent: the sound of film.mp4 cannot be decoded (" in notice and "decoder" in notice
    assert len(decoded(output)) == 48


@pytest.mark.slow
def test_sound_of_hours_before_the_film_is_given_up(
    tmp_path: Path, model: film.Interpolator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few megabytes may hold days of silence, which would be decoded, and thrown away, for as long.

    Here a second of video comes after four hours of silence, which is one minute copied over and over.
    """
    plain, minute, source = video(tmp_path / "plain.mp4", pan(24)), tmp_path / "minute.mka", tmp_path / "late.mkv"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=60", "-c:a", "flac", "-frame_size", "256", str(minute))
    inputs = ["-itsoffset", "14399", "-i", str(plain), "-stream_loop", "239", "-i", str(minute)]
    ffmpeg(*inputs, "-c", "copy", str(source))
    monkeypatch.setattr(sounds, "WORK", 0)
    done, _, notices = made(pipeline.retime(source, model, tmp_path / "out.mp4", slowdown=2))
    assert len(notices) == 2 and "begins 14399 s before its picture" in notices[0]
    assert "sound could not be added" in notices[1] and "processor time" in notices[1]
    assert done.frames == len(decoded(tmp_path / "out.mp4")) == 48
