"""What is written is read back: count, size, order, colours and times are those of the frames that went in."""

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import film
from film.media import video_segments, video_writer
from tests.conftest import texture
from tests.support.clips import COLOUR_TOLERANCE, decoded, duration, encoders, fake_ffmpeg, numbered, times, words

FULL = "head -c 3000 > /dev/null\necho 'the film reel is full' >&2\nexit 1"  # it reads a little and gives up
AT_THE_END = "cat > /dev/null\necho 'cannot write the trailer' >&2\nexit 1"


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_frames_may_lie_in_memory_as_they_like(out: Path, size: tuple[int, int], dtype: type) -> None:
    frame = (texture(*size) * (255 if dtype is np.uint8 else 1)).astype(dtype)
    for name, written in (("usual.mp4", frame), ("other.mp4", np.asfortranarray(frame))):
        film.write_video(out / name, [written] * 3)
    assert (out / "usual.mp4").read_bytes() == (out / "other.mp4").read_bytes()


def test_unusable_films_are_refused_and_leave_nothing(out: Path) -> None:
    bright = np.full((32, 32, 3), 0.5, np.float32)
    for wrong, message in (
        (np.zeros((32, 32, 3), int), r"Frame 2 is \(32, 32, 3\) of dtype int64; a frame is .* or of uint8"),
        (bright[:, :30], "Frame 2 is 30x32, the film is 32x32"),
        (bright * 510, "Frame 2 has values from 255 to 255; .*divide by 255"),
    ):
        with pytest.raises(ValueError, match=message):
            film.write_video(out / "film.mp4", [bright, wrong])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="no frames"):
        film.write_video(out / "film.mp4", [])
    assert os.listdir(out) == [] and not encoders()


def test_what_no_film_can_be_is_told_before_the_first_frame(out: Path) -> None:
    frames = numbered(2)
    for name, options, message in (
        ("nowhere/film.mp4", {}, "there is no directory .*nowhere"),
        ("film.avi", {}, "The name .*film.avi ends in .avi"),
        ("film.mp4", {"quality": "80"}, "The quality is '80'"),
        ("film.mp4", {"play": "backwards"}, "A film cannot be played 'backwards'"),
        ("film.mp4", {"fps": 241}, "The frame rate is 241"),
    ):
        with pytest.raises(ValueError, match=message):
            film.write_video(out / name, frames, **options)
    assert len(list(frames)) == 2 and os.listdir(out) == []


@pytest.mark.slow
def test_the_film_is_read_frame_by_frame(out: Path) -> None:
    """The frames are never all in memory: each is dropped before the next is asked for."""
    frame = texture(200, 200)
    films = (np.array(frame) for _ in range(300))  # 144 MB as Frames
    import tracemalloc

    tracemalloc.start()
    film.write_video(out / "film.mp4", films)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * frame.nbytes


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (FULL, "ffmpeg failed: the film reel is full"),
        (AT_THE_END, "ffmpeg failed: cannot write the trailer"),
        (None, "ffmpeg cannot be started"),
    ],
)
def test_an_encoder_that_fails_speaks(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, words: str
) -> None:
    program = fake_ffmpeg(tmp_path, monkeypatch, script or "")
    if script is None:
        program.unlink()
    with pytest.raises(RuntimeError, match=words):
        film.write_video(out / "film.mp4", numbered(100 if script == FULL else 3))
    assert os.listdir(out) == [] and not encoders()


def test_joins_that_fail_speak(out: Path) -> None:
    (out / "garbage.ts").write_bytes(b"no transport stream" * 1000)
    with pytest.raises(RuntimeError, match="ffmpeg failed: .*codec parameters"):
        video_writer.write([video_segments.Segment(out / "garbage.ts", 0, 1, Fraction(30))], out / "film.mp4")
    with pytest.raises(FileNotFoundError):
        video_writer.write([video_segments.Segment(out / "absent.ts", 0, 1, Fraction(30))], out / "film.mp4")
    assert not (out / "film.mp4").exists() and not encoders()


@pytest.mark.parametrize(("fps", "count"), [(30, 33), (24, 50), (25, 40), (7, 11), (60, 61), (1, 3), (12.5, 20)])
@pytest.mark.slow
def test_segments_play_by_themselves_and_join_exactly(out: Path, fps: float, count: int) -> None:
    frames = list(numbered(count))
    segments = []
    with video_segments.SegmentEncoder(out, fps) as encoder:
        for frame in frames:
            if segment := encoder.write(frame):
                segments.append(segment)
                assert segment.path.is_file()  # complete as soon as it is told
        if segment := encoder.finish():
            segments.append(segment)
        assert encoder.finish() is None
    assert segments == encoder.segments and encoder.count == count

    # One after the other they are the film; each starts where the one before ends, on the same clock.
    assert segments[0].start == 0
    for before, after in zip(segments, segments[1:], strict=False):
        assert after.start == pytest.approx(before.start + before.duration, abs=1e-9)
        assert before.duration <= max(1.0 / fps, 2 * video_segments.SEGMENT_SECONDS)
    assert sum(segment.duration for segment in segments) == pytest.approx(count / fps)
    read = [decoded(segment.path) for segment in segments]
    assert [len(part) for part in read] == [round(segment.duration * fps) for segment in segments]
    for frame, back in zip(frames, np.concatenate(read).astype(float), strict=True):
        assert np.abs(back - frame * 255).mean() < COLOUR_TOLERANCE
    shown = [times(segment.path) for segment in segments]
    origin = shown[0][0]
    np.testing.assert_allclose(np.concatenate(shown) - origin, np.arange(count) / fps, atol=2e-4)

    assert video_writer.write(segments, out / "film.mp4") == out / "film.mp4"
    assert len(decoded(out / "film.mp4")) == count
    np.testing.assert_allclose(times(out / "film.mp4"), np.arange(count) / fps, atol=2e-4)
    assert duration(out / "film.mp4") == pytest.approx(count / fps, abs=0.0051)
    data = (out / "film.mp4").read_bytes()
    assert data[4:8] == b"ftyp" and data.index(b"moov") < data.index(b"mdat")  # it plays from its first bytes
    assert "yuv420p(tv, bt709" in words(out / "film.mp4")
    assert sorted(os.listdir(out)) == [*(segment.path.name for segment in segments), "film.mp4"]


def test_an_abandoned_segment_leaves_no_process_and_no_file(out: Path) -> None:
    class Stop(Exception):
        """The visitor has left."""

    for reason in (Stop, GeneratorExit, KeyboardInterrupt):
        with pytest.raises(reason), video_segments.SegmentEncoder(out, 30) as encoder:
            for k, frame in enumerate(numbered(40)):
                if k == 20:
                    assert len(encoders()) == 1
                    raise reason
                encoder.write(frame)
        assert not encoders()
        assert os.listdir(out) == ["00000000-000015.ts"]  # the one that was complete
        assert len(decoded(out / "00000000-000015.ts")) == 15
    with video_segments.SegmentEncoder(out, 30) as encoder:
        for frame in numbered(20):
            encoder.write(frame)  # left without `finish`, and without an exception
    assert not encoders() and os.listdir(out) == ["00000000-000015.ts"]


def in_segments(
    directory: Path, frames: Iterable[np.ndarray], fps: float | Fraction = 30, first: int = 0, lossless: bool = True
) -> list[video_segments.Segment]:
    directory.mkdir(exist_ok=True)
    with video_segments.SegmentEncoder(directory, fps, lossless=lossless, first=first) as encoder:
        for frame in frames:
            encoder.write(frame)
        encoder.finish()
    return encoder.segments


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(("height", "width"), [(48, 64), (33, 47), (17, 16), (32, 47)])
def test_lossless_copies_hold_the_frames_exactly(out: Path, height: int, width: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, height, width, 3), dtype=np.uint8)
    segments = in_segments(out, frames)
    copies = [decoded(segment.lossless_copy) for segment in segments if segment.lossless_copy]
    np.testing.assert_array_equal(np.concatenate(copies), frames)
    assert decoded(segments[0].path).shape == (15, height + height % 2, width + width % 2, 3)


def test_finished_segments_are_read_back_from_the_folder_alone(out: Path) -> None:
    rate = Fraction(30000, 1001)
    segments = in_segments(out, numbered(40), rate)
    assert sorted(os.listdir(out))[::2] == ["00000000-000015.mkv", "00000015-000015.mkv", "00000030-000010.mkv"]
    (out / "00000040.ts.part").write_bytes(b"what a killed run leaves")
    (out / "notes.ts").write_bytes(b"")
    assert video_segments.finished(out, rate, lossless=True) == segments
    assert [(part.first, part.count) for part in video_segments.finished(out, rate)] == [(0, 15), (15, 15), (30, 10)]
    (out / "00000015-000015.mkv").unlink()
    assert [part.first for part in video_segments.finished(out, rate, lossless=True)] == [0, 30]
    assert len(video_segments.finished(out, rate)) == 3


@pytest.mark.parametrize("first", [15, 22])
def test_a_film_made_in_two_runs_is_the_same(out: Path, first: int) -> None:
    """The cuts do not depend on where a run begins; nor do the bytes, if it begins at one."""
    frames = list(numbered(40))
    in_segments(out / "whole", frames)
    in_segments(out / "parts", frames[first:], first=first)
    whole, parts = contents(out / "whole"), contents(out / "parts")
    same = [name for name in parts if name in whole]
    assert len(same) == (4 if first == 15 else 2)
    assert all(parts[name] == whole[name] for name in same)
    shown = [time for part in video_segments.finished(out / "parts", 30) for time in times(part.path)]
    np.testing.assert_allclose(shown, np.arange(first, 40) / 30, atol=1e-4)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system does not let a process choose its cores")
def test_the_number_of_cores_does_not_change_a_byte(out: Path) -> None:
    cores = os.sched_getaffinity(0)
    frames = [texture(256, 256, seed) for seed in range(15)]
    in_segments(out / "many", frames)
    os.sched_setaffinity(0, {min(cores)})
    try:
        in_segments(out / "one", frames)
    finally:
        os.sched_setaffinity(0, cores)
    assert contents(out / "many") == contents(out / "one")


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), 29.97, 60])
def test_times_are_exact_after_hours(out: Path, fps: float | Fraction) -> None:
    rate = video_segments.exact(fps)
    first = round(3 * 3600 * rate / video_segments.segment_length(rate)) * video_segments.segment_length(rate)
    segments = in_segments(out, numbered(40), fps, first)
    shown = [time for part in segments for time in times(part.path)]
    expected = [float((first + k) / rate) for k in range(40)]
    np.testing.assert_allclose(shown, expected, atol=1.2 / 90_000, rtol=0)  # MPEG-TS counts 1/90000 s
    video_writer.write(segments, out / "film.mp4")
    np.testing.assert_allclose(times(out / "film.mp4"), [float(k / rate) for k in range(40)], atol=1e-6)


@pytest.mark.parametrize("frames", [1, 14, 15, 29, 31, 46, 100])
@pytest.mark.slow
def test_where_segments_begin_in_a_known_number_of_frames(out: Path, frames: int) -> None:
    """Every 15 frames, and the last has no fewer; gone on with or stopped at any of them, they are cut the same."""

    def cuts(first: int, end: int = frames) -> list[int]:
        with video_segments.SegmentEncoder(out, 30, first=first, frames=end - first) as encoder:
            for frame in numbered(end - first, 16, 16):
                encoder.write(frame)
            assert encoder.finish() is None  # the last one ended by itself
        return [segment.first for segment in encoder.segments]

    whole = cuts(0)
    assert whole == list(range(0, max(1, frames // 15) * 15, 15))
    for number, first in enumerate(whole[1:], 1):
        assert cuts(first) == whole[number:]
        assert cuts(0, first) == whole[:number]
