"""FILM on OpenVINO gives TensorFlow's frames, streams them, and keeps no more than it says."""

import gc
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import film
from film.engine import devices
from film.engine import session as sessions
from film.engine.compiled import Shape
from film.engine.tiling import TiledSession
from film.hub import convert, registry
from tests.conftest import SMALL_FILM, moved, psnr
from tests.film.conftest import made
from tests.support import clips

TOLERANCE = 1e-4  # of TensorFlow's frames, largest absolute difference: the promise


@pytest.mark.parametrize(("height", "width"), [(101, 131), (64, 64), (16, 70)])
@pytest.mark.slow
def test_a_middle_equals_tensorflows(small_film: film.Film, reference: film.Reference, height: int, width: int) -> None:
    a, b = moved(height, width, seed=height)
    middle = small_film.middle(a, b)
    assert middle.shape == (height, width, 3) and middle.dtype == np.float32 and middle.flags.c_contiguous
    expected = reference.middle(a, b)
    np.testing.assert_allclose(middle, expected, atol=TOLERANCE)
    assert np.abs(expected - (a + b) / 2).max() > 0.05  # not what an average would give


@pytest.mark.slow
def test_a_film_equals_tensorflows(small_film: film.Film, reference: film.Reference, pair: tuple) -> None:
    ours, theirs = (list(model.frames(*pair, depth=2)) for model in (small_film, reference))
    assert len(ours) == len(theirs) == 5
    for frame, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(frame, expected, atol=TOLERANCE)


def test_the_frames_moved_the_right_way(small_film: film.Film) -> None:
    """A bright disc goes from left to right; in the middle it is in the middle."""
    rows, columns = np.mgrid[:96, :128]

    def disc(x: float) -> np.ndarray:
        inside = np.clip(14 - np.hypot(rows - 48, columns - x), 0, 1).astype(np.float32)
        return np.repeat((0.2 + 0.6 * inside)[:, :, None], 3, axis=2)

    places = []
    for frame in small_film.frames(disc(56), disc(72), depth=2):
        weight = np.clip(frame.mean(axis=2) - 0.3, 0, None)
        places.append(float((weight * columns).sum() / weight.sum()))
    np.testing.assert_allclose(places, [56, 60, 64, 68, 72], atol=1.0)


@pytest.mark.slow
def test_there_are_three_precisions(pair: tuple, averaging: Path) -> None:
    models = {precision: film.load(SMALL_FILM, precision=precision) for precision in ("auto", "mixed", "exact", "fast")}
    chosen = "mixed" if devices.has_short_floats("CPU") else "exact"
    assert [model.precision for model in models.values()] == [chosen, "mixed", "exact", "mixed"]
    assert psnr(models["exact"].middle(*pair), models["mixed"].middle(*pair)) > 45
    whole = film.load(averaging, precision="mixed")  # converted whole, and nothing in it is marked
    assert whole.execution_info(64, 64).precision == "exact"


def test_frames_come_as_they_are_made(small_film: film.Film, pair: tuple, calls: list[float]) -> None:
    a, b = pair
    frames = small_film.frames(a, b, depth=3)
    assert not calls
    first = next(frames)
    assert not calls
    np.testing.assert_array_equal(first, a)
    next(frames)
    assert len(calls) == 3  # one for each level, of seven in all
    frames.close()
    assert len(calls) == 3
    assert list(frames) == []


@pytest.mark.slow
def test_frames_are_of_whoever_gets_them(small_film: film.Film, average: film.Film) -> None:
    """The ends are the user's own, even out of range; later frames leave all as they are, and are the same if they are
    changed."""
    for model in (small_film, average):
        a, b = moved(50, 64)
        a[0, 0], b[0, 0] = -0.25, 1.5
        before = a.copy(), b.copy()
        assert [len(list(model.frames(a, b, depth=depth))) for depth in (0, 1)] == [2, 3]
        expected = list(model.frames(a, b, depth=3))
        copies = [frame.copy() for frame in expected]
        np.testing.assert_array_equal([expected[0], expected[-1]], before)
        for frame, right in zip(model.frames(a, b, depth=3), copies, strict=True):
            np.testing.assert_allclose(frame, right, atol=1e-6)
            frame += 1
        np.testing.assert_array_equal(expected, copies)
        np.testing.assert_array_equal([a, b], before)


def test_depth_zero_needs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    a, b = moved(32, 32)
    assert len(list(film.load(SMALL_FILM).frames(a, b, depth=0))) == 2
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.slow
def test_a_frame_is_encoded_once_and_few_features_are_alive(
    small_film: film.Film, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    alive: weakref.WeakSet[sessions.FeatureSet] = weakref.WeakSet()
    give, begin = sessions.FeatureSet.give, sessions.FeatureSet.__init__
    encoded, counts = [], []
    monkeypatch.setattr(sessions.FeatureSet, "give", lambda *one: (encoded.append(1), give(*one))[1])
    monkeypatch.setattr(sessions.FeatureSet, "__init__", lambda *one: (begin(*one), alive.add(one[0]))[0])
    for frame in small_film.frames(*moved(64, 64), depth=depth):
        del frame
        counts.append(len(alive))
    assert len(encoded) == 2 ** (depth - 1) + 1  # the ends of an interval; the last level's frames are none
    assert 2 <= max(counts) <= depth + 1
    gc.collect()
    assert not alive  # nothing is kept when the film is over


def test_any_moment_is_reached_by_bisection(average: film.Film, calls: list[float], pair: tuple) -> None:
    a, b = pair
    coarse = {"precision": Fraction(1, 4)}
    cases = [(0.25, {}, 1 / 4, 2), (0.3, {}, 77 / 256, 8), (0.3, coarse, 1 / 4, 2), (0, {}, 0, 0), (1.0, {}, 1, 0)]
    for moment, how, due, count in cases:
        calls.clear()
        np.testing.assert_allclose(average.at(a, b, moment, **how), a + (b - a) * np.float32(due), atol=1e-6)
        assert len(calls) == count


@pytest.fixture(scope="module")
def lite() -> film.Film:
    loaded = film.load("film-lite", lanes=1, precision="exact")
    assert loaded.honours_time
    return loaded


@pytest.mark.slow
def test_a_directory_of_variables_needs_no_tensorflow(pair: tuple, monkeypatch: Any) -> None:
    monkeypatch.setattr("film.hub.tensorflow_process._run", None)  # no process for TensorFlow can be started
    assert film.load(registry.BUNDLED / "film-lite").middle(*pair).shape == pair[0].shape


@pytest.mark.slow
def test_24_frames_take_22_calls_and_each_photo_is_encoded_once(
    lite: film.Film, pair: tuple, calls: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, frames, real = [], [], sessions.pad
    monkeypatch.setattr(sessions, "pad", lambda *arguments: encoded.append(1) or real(*arguments))
    for k, frame in enumerate(lite.frames(*pair, count=24)):
        assert len(calls) == min(k, 22)  # each when it is asked for
        frames.append(frame)
    assert calls == [k / 23 for k in range(1, 23)] and len(encoded) == 2
    np.testing.assert_array_equal(frames[0], pair[0])
    np.testing.assert_array_equal(frames[-1], pair[1])
    for k in (1, 11, 22):
        np.testing.assert_array_equal(frames[k], lite.at(*pair, k / 23))
    assert len(calls) == 25 and len(list(lite.frames(*pair, depth=3))) == 9 and len(calls) == 32


@pytest.mark.slow
def test_tiles_share_the_coarse_flow_of_the_whole_frame(lite: film.Film) -> None:
    a, b = moved(384, 512)
    graphs = lite.compile(Shape((384, 512), (256, 384), level=3)).graphs
    tiled = TiledSession(graphs, (384, 512), 64, True, overlap=128)
    for time in (0.5, 0.3):
        frame = tiled.frame(tiled.start(tiled.keyframe(a), tiled.keyframe(b), time)())
        assert psnr(frame, lite.at(a, b, time)) >= 45


@pytest.mark.slow
def test_a_video_is_retimed_to_exact_times(lite: film.Film, calls: list[float], tmp_path: Path) -> None:
    video = clips.video(tmp_path / "clip.mp4", clips.pan(4))
    assert made(film.retime(video, lite, tmp_path / "slow.mp4", slowdown=3)).done.frames == 12
    assert len(calls) == 6 and calls == pytest.approx([1 / 3, 2 / 3] * 3, abs=1e-9)  # bisection makes 5/16 and 11/16


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_saved_model_that_honours_the_time_is_recognised(tmp_path: Path, pair: tuple) -> None:
    tf = pytest.importorskip("tensorflow")
    images = [tf.TensorSpec([None, None, None, 3], tf.float32, name=name) for name in ("x0", "x1")]
    module = tf.Module()
    module.mix = tf.function(
        lambda x0, x1, time: {"image": x0 + (x1 - x0) * tf.reshape(time, [-1, 1, 1, 1])},
        input_signature=[*images, tf.TensorSpec([None, 1], tf.float32, name="time")],
    )
    tf.saved_model.save(module, str(tmp_path / "mix"), signatures=module.mix)
    convert.convert(tmp_path / "mix", registry.cache_directory())
    model = film.load(tmp_path / "mix", precision="exact")
    model.middle(*pair)
    assert model.honours_time
    a, b = pair
    for k, frame in enumerate(model.frames(a, b, count=6)):
        np.testing.assert_allclose(frame, a + (b - a) * np.float32(k / 5), atol=1e-5)


def test_bad_frames_and_moments_are_refused_at_once(small_film: film.Film) -> None:
    a, _ = moved(32, 48)
    nan = a.copy()
    nan[3, 4, 1] = np.nan
    for wrong, message in (
        (a[:16], "48x32 and 48x16|48x16 and 48x32"),
        (a.transpose(1, 0, 2), "one size; .*film.interpolate fits photos of any size"),
        ((a * 255).astype(np.uint8), "dtype uint8"),
        (nan, "not finite"),
    ):
        for pair in ((a, wrong), (wrong, a)):
            with pytest.raises(ValueError, match=message):
                small_film.frames(*pair, depth=1)  # before a frame is asked for
    for wrong_how, message in (({"depth": 9}, "0 to 8"), ({"times": [1.2]}, "outside"), ({}, "one way")):
        with pytest.raises(ValueError, match=message):
            small_film.frames(a, a, **wrong_how)
