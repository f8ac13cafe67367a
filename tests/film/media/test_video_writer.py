"""Every format is written and read back by another program: count, size, order, colours, times, loops and sound."""

import contextlib
import os
import re
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import film
from film.media import video_writer
from film.media.images import to_uint8
from film.media.video_segments import Segment, SegmentEncoder
from tests.conftest import texture
from tests.film.media.test_video_segments import FULL, in_segments
from tests.support.clips import COLOUR_TOLERANCE, decoded, duration, encoders, fake_ffmpeg, numbered, times, words

FORMATS = (".mp4", ".webm", ".gif", ".webp", ".zip")


def frames_of(path: Path, mode: str | None = "RGB") -> np.ndarray:
    """(N, H, W, 3) uint8, or of another mode (None: its own): what another program sees in a file."""
    if path.suffix in (".mp4", ".webm"):
        return decoded(path)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return np.array([Image.open(archive.open(name)).convert(mode) for name in archive.namelist()])
    with Image.open(path) as image:
        return np.array([np.asarray(frame.convert(mode)) for frame in ImageSequence.Iterator(image)])


def delays(path: Path) -> list[int]:
    """How long a GIF or WebP shows each frame, in milliseconds."""
    with Image.open(path) as image:
        return [frame.copy().info["duration"] for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("play", "count"), [("loop", 33), ("pingpong", 33), ("pingpong", 1), ("pingpong", 2)])
def test_frames_come_back_in_order(out: Path, suffix: str, play: str, count: int) -> None:
    """33 frames of an odd size, so that segments end inside the film and the sides show; forth and back neither end
    is shown twice."""
    frames = [to_uint8(frame) for frame in numbered(count, 33, 47)]
    path = out / f"film{suffix.upper()}"
    assert film.write_video(path, frames, play=play) == path
    assert os.listdir(out) == [path.name]
    path = path.rename(out / f"film{suffix}")
    expected = frames + (frames[-2:0:-1] if play == "pingpong" else [])
    back = frames_of(path)
    size = (34, 48, 3) if suffix in (".mp4", ".webm") else (33, 47, 3)
    assert back.shape == (len(expected), *size)
    for shown, frame in zip(back, expected, strict=True):
        assert np.abs(shown[-1].astype(int) - shown[32]).mean() < 4  # an odd side has its last row twice
        error = np.abs(shown[:33, :47].astype(int) - frame).mean()
        assert error <= {".zip": 0, ".gif": 6}.get(suffix, COLOUR_TOLERANCE), error


@pytest.mark.parametrize("suffix", FORMATS)
def test_colours_are_those_of_the_frames(out: Path, suffix: str) -> None:
    """A wrong matrix or range costs 5 levels and more on these, and a value that is not clipped more."""
    patches = np.array(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1.7] * 3, [-0.6] * 3, [0.5, 0.5, 0.5], [0.8, 0.5, 0.4]]
    )
    frame = np.repeat(np.repeat(patches.reshape(2, 4, 3), 32, 0), 32, 1).astype(np.float32)
    film.write_video(out / f"film{suffix}", [frame] * 20)
    assert len(shown := frames_of(out / f"film{suffix}")) == 20  # though they are equal
    for back in shown:
        centres = back[16::32, 16::32].reshape(8, 3).astype(int)
        assert np.abs(centres - to_uint8(frame)[16::32, 16::32].reshape(8, 3)).max() <= 4


def test_pngs_are_exact_and_in_natural_order(out: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 17, 19, 3), dtype=np.uint8)
    np.testing.assert_array_equal(frames_of(film.write_video(out / "film.zip", iter(frames))), frames)
    with zipfile.ZipFile(out / "film.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist()) == [f"frame-{k:06d}.png" for k in range(1, 13)]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("fps", [30, 24, Fraction(30000, 1001), 12.5])
def test_lengths_are_exact(out: Path, fps: float | Fraction) -> None:
    count = 33
    segments = in_segments(out / "segments", numbered(count, 32, 32), fps)
    seconds = float(count / Fraction(fps))
    for suffix, unit in ((".gif", 0.01), (".webp", 0.001)):
        told = np.array(delays(video_writer.write(segments, out / f"film{suffix}")))
        assert told.sum() / 1000 == pytest.approx(seconds, abs=unit)
        assert np.abs(told / 1000 - 1 / float(fps)).max() <= unit
    for suffix in (".mp4", ".webm"):
        video_writer.write(segments, out / f"film{suffix}")
        assert duration(out / f"film{suffix}") == pytest.approx(seconds, abs=0.0051)
        precision = 1e-6 if suffix == ".mp4" else 0.00051  # WebM counts milliseconds
        np.testing.assert_allclose(times(out / f"film{suffix}"), np.arange(count) / float(fps), atol=precision)


@pytest.mark.parametrize(("suffix", "fps", "fastest"), [(".gif", 60, 50), (".webp", 95, 90), (".webp", 240, 90)])
def test_an_animation_is_never_faster_than_browsers_show_it(out: Path, suffix: str, fps: int, fastest: int) -> None:
    """Chromium shows what has 10 ms or less for 100 ms."""
    film.write_video(out / f"film{suffix}", numbered(12), fps=fps)
    told = delays(out / f"film{suffix}")
    assert min(told) > 10 and sum(told) == pytest.approx(12_000 / fastest, abs=1)
    assert video_writer.shown_fps(f"film{suffix}", fps) == fastest
    assert video_writer.shown_fps(f"film{suffix}", 12.5) == Fraction(25, 2)


@pytest.mark.parametrize("play", video_writer.PLAYS)
def test_as_many_frames_are_made_as_are_to_be_shown(play: str) -> None:
    for shown in range(2, 9):
        odd = play == "pingpong" and shown % 2
        assert video_writer.shown_frames(video_writer.made_frames(shown, play), play) == shown + odd


@pytest.mark.parametrize(("play", "gif", "webp"), [("once", None, 1), ("loop", 0, 0), ("pingpong", 0, 0)])
def test_animations_repeat_as_asked(out: Path, play: str, gif: int | None, webp: int) -> None:
    """In a GIF no word about loops means once, and 0 for ever; in WebP it is a count, and 0 for ever."""
    segments = in_segments(out / "segments", numbered(5))
    for suffix, loops in ((".gif", gif), (".webp", webp)):
        with Image.open(video_writer.write(segments, out / f"film{suffix}", play=play)) as image:
            assert image.info.get("loop") == loops
    assert (b"NETSCAPE" in (out / "film.gif").read_bytes()) == (gif is not None)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".webp"])
@pytest.mark.slow
def test_better_quality_is_larger_and_nearer(out: Path, suffix: str) -> None:
    frames = [texture(96, 96, seed) for seed in range(4)]
    sizes, errors = [], []
    for quality in (1, 50, 80, 100):
        path = film.write_video(out / f"film{suffix}", frames, quality=quality)
        sizes.append(path.stat().st_size)
        errors.append(np.abs(frames_of(path).astype(int) - np.array([to_uint8(frame) for frame in frames])).mean())
    assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True) and sizes[-1] > 2 * sizes[0]


def test_a_quality_is_the_rate_factor_that_the_readme_says(out: Path) -> None:
    """x264 notes its own in the film."""
    for quality, factor in ((50, b"crf=29.0"), (80, b"crf=17.0")):
        assert factor in film.write_video(out / "film.mp4", numbered(1), quality=quality).read_bytes()


def test_a_webm_is_tagged_and_always_the_same_bytes(out: Path) -> None:
    files = [film.write_video(out / f"{n}.webm", numbered(5)) for n in range(2)]
    assert "vp9 (Profile 0), yuv420p(tv, bt709" in words(files[0])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_only_an_mp4_that_goes_forth_needs_no_lossless_copies() -> None:
    every = {(suffix, play) for suffix in FORMATS for play in video_writer.PLAYS}
    needless = {(suffix, play) for suffix, play in every if not video_writer.needs_lossless(f"a{suffix}", play)}
    assert needless == {(".mp4", "loop"), (".mp4", "once"), (".mp4", "seamless")}
    heard = {(suffix, play) for suffix, play in every if video_writer.carries_sound(f"a{suffix}", play)}
    assert heard == {(suffix, play) for suffix in (".mp4", ".webm") for play in ("loop", "once", "seamless")}


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_existing_film_survives_a_failure(
    out: Path, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the frames; and of ffmpeg, midway, when the segments are there already."""
    path = out / f"film{suffix}"
    path.write_bytes(b"the film before")

    def broken() -> Iterator[np.ndarray]:
        yield from numbered(20)
        raise KeyError("the frames have run out")

    with pytest.raises(KeyError, match="run out"):
        film.write_video(path, broken())
    segments = in_segments(tmp_path / "segments", numbered(40))
    with monkeypatch.context() as patched:
        fake_ffmpeg(tmp_path, patched, FULL)
        with pytest.raises(RuntimeError, match="ffmpeg failed: the film reel is full"):
            video_writer.write(segments, path)
    assert path.read_bytes() == b"the film before" and os.listdir(out) == [path.name] and not encoders()


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.slow
def test_a_damaged_lossless_copy_is_told(out: Path, tmp_path: Path, number: int) -> None:
    segments = in_segments(tmp_path / "segments", numbered(40))
    lossless_copy = segments[number].lossless_copy
    assert lossless_copy
    whole = lossless_copy.read_bytes()
    for damage in (whole[: len(whole) // 2], whole[:600], b""):
        lossless_copy.write_bytes(damage)
        for suffix in (".gif", ".zip", ".webm"):
            with pytest.raises(RuntimeError, match="is damaged: |ffmpeg failed"):
                video_writer.write(segments, out / f"film{suffix}")
    assert os.listdir(out) == [] and not encoders()


@pytest.mark.parametrize(
    "name", ["-vf.mp4", "concat:a|b.gif", 'it\'s "one"\ntwo.webm', "%03d.webp", "http://x.gif", "pipe:1.mp4"]
)
def test_a_name_is_only_a_name(out: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of the folder, which is where ffmpeg really writes."""
    folder = out / Path(name.replace("/", "_")).stem
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = Path(name.replace("/", "_"))
    film.write_video(path, numbered(3), play="pingpong")
    assert os.listdir(folder) == [path.name] and len(frames_of(folder / path)) == 4


SIDE = 160  # of a frame, in pixels


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[list[Segment]]:
    """One of 60 frames and one of 600, no two of their frames alike."""
    noise = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)
    made = []
    for count in (60, 600):
        with SegmentEncoder(tmp_path_factory.mktemp("film"), 60, lossless=True) as encoder:
            for k in range(count):
                encoder.write(np.float32(0.2 + 0.8 * k / count) * (texture(SIDE, SIDE, k % 10) + 0.1 * noise))
            encoder.finish()
        made.append(encoder.segments)
    return made


def encoder_peak(segments: list[Segment], path: Path, play: str) -> int:
    """Bytes that the largest ffmpeg took while a film was written, as far as was seen: a busy machine may look late."""
    peak = 0
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(video_writer.write, segments, path, play=play)
        while not writing.done():
            for pid in encoders():
                with contextlib.suppress(OSError):
                    found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
                    peak = max(peak, 1024 * int(found[1]) if found else 0)
            time.sleep(0.01)
    assert writing.result()
    return peak


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "play"),
    [(".gif", "pingpong"), (".webp", "loop"), (".webm", "loop"), (".mp4", "pingpong")],
)
def test_memory_does_not_grow_with_the_film(films: list[list[Segment]], out: Path, suffix: str, play: str) -> None:
    """Ten times as many frames take less than half of what those added would."""
    path = out / f"film{suffix}"
    short = max(encoder_peak(films[0], path, play) for _ in range(3))  # it is soon over
    assert 0 < encoder_peak(films[1], path, play) < short + 540 * SIDE**2 * 1.5 / 2  # 1.5 bytes a pixel in YUV 4:2:0
