"""FILM on OpenVINO gives TensorFlow's frames, streams them, and keeps no more than it says."""

from __future__ import annotations

import gc
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import film
from film.engine import bisection, devices
from film.engine import session as sessions
from tests.conftest import SMALL_FILM, moved, psnr

TOLERANCE = 1e-4  # of TensorFlow's frames, largest absolute difference: the promise


@pytest.fixture
def middles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever a middle is computed, by either kind of session."""
    made: list[int] = []

    def counted(real):  # type: ignore[no-untyped-def]
        def start(self, *arguments):  # type: ignore[no-untyped-def]
            made.append(len(made))
            return real(self, *arguments)

        return start

    for kind in (sessions.DirectSession, sessions.PairSession):
        monkeypatch.setattr(kind, "start", counted(kind.start))
    return made


# The same frames as TensorFlow


@pytest.mark.parametrize(("height", "width"), [(101, 131), (64, 64), (16, 70)])
@pytest.mark.slow
def test_a_middle_equals_tensorflows(small_film: film.Film, reference: film.Reference, height: int, width: int) -> None:
    a, b = moved(height, width, seed=height)
    middle = small_film.middle(a, b)
    assert middle.shape == (height, width, 3) and middle.dtype == np.float32 and middle.flags.c_contiguous
    expected = reference.middle(a, b)
    np.testing.assert_allclose(middle, expected, atol=TOLERANCE)
    assert np.abs(expected - (a + b) / 2).max() > 0.05  # not what an average would give


def test_a_film_equals_tensorflows(
    small_film: film.Film, reference: film.Reference, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    ours, theirs = (list(model.frames(*pair, depth=2)) for model in (small_film, reference))
    assert len(ours) == len(theirs) == 5
    for frame, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(frame, expected, atol=TOLERANCE)


def test_a_model_converted_whole_makes_linear_films(average: film.Film) -> None:
    for height, width in ((64, 64), (33, 129)):
        a, b = moved(height, width)
        for k, frame in enumerate(average.frames(a, b, depth=3)):
            assert frame.shape == (height, width, 3) and frame.dtype == np.float32
            np.testing.assert_allclose(frame, a + (b - a) * k / 8, atol=1e-6)
        assert k == 8


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


def test_there_are_three_precisions(pair: tuple[np.ndarray, np.ndarray], averaging: Path) -> None:
    models = {precision: film.load(SMALL_FILM, precision=precision) for precision in ("auto", "mixed", "exact", "fast")}
    chosen = "mixed" if devices.has_short_floats("CPU") else "exact"
    assert [model.precision for model in models.values()] == [chosen, "mixed", "exact", "mixed"]
    assert psnr(models["exact"].middle(*pair), models["mixed"].middle(*pair)) > 45
    whole = film.load(averaging, precision="mixed")  # converted whole, and nothing in it is marked
    assert whole.execution_info(64, 64).precision == "exact"


# Streaming


def test_frames_come_as_they_are_made(
    small_film: film.Film, pair: tuple[np.ndarray, np.ndarray], middles: list[int]
) -> None:
    a, b = pair
    frames = small_film.frames(a, b, depth=3)
    assert not middles
    first = next(frames)
    assert not middles
    np.testing.assert_array_equal(first, a)
    next(frames)
    assert len(middles) == 3  # one for each level, of seven in all
    frames.close()
    assert len(middles) == 3
    assert list(frames) == []


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
def test_a_frame_is_encoded_once(small_film: film.Film, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """2**(n - 1) + 1 frames are the ends of an interval; the last level's are not."""
    encoded = []
    give = sessions.FeatureSet.give
    monkeypatch.setattr(sessions.FeatureSet, "give", lambda *one: (encoded.append(1), give(*one))[1])
    list(small_film.frames(*moved(64, 64), depth=depth))
    assert len(encoded) == 2 ** (depth - 1) + 1


def test_few_features_are_alive(small_film: film.Film, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[sessions.FeatureSet] = weakref.WeakSet()
    begin = sessions.FeatureSet.__init__

    def counted(self: sessions.FeatureSet, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type]
        alive.add(self)

    monkeypatch.setattr(sessions.FeatureSet, "__init__", counted)
    counts = []
    for frame in small_film.frames(*moved(64, 64), depth=4):
        del frame
        counts.append(len(alive))
    assert 2 <= max(counts) <= 5  # one for each level, and one
    gc.collect()
    assert not alive  # nothing is kept when the film is over


# Other moments


def test_any_moment_is_reached_by_bisection(
    average: film.Film, middles: list[int], pair: tuple[np.ndarray, np.ndarray]
) -> None:
    a, b = pair
    coarse = {"precision": Fraction(1, 4)}
    cases = [(0.25, {}, 1 / 4, 2), (0.3, {}, 77 / 256, 8), (0.3, coarse, 1 / 4, 2), (0, {}, 0, 0), (1.0, {}, 1, 0)]
    for moment, how, made, calls in cases:
        middles.clear()
        np.testing.assert_allclose(average.at(a, b, moment, **how), a + (b - a) * np.float32(made), atol=1e-6)
        assert len(middles) == calls


def test_any_number_of_frames_at_any_times(
    average: film.Film, middles: list[int], pair: tuple[np.ndarray, np.ndarray]
) -> None:
    a, b = pair
    repeated = [0, 0, 0.5, 0.5, 0.75, 1]
    for how, times, error in (
        ({"count": 24}, np.linspace(0, 1, 24), 1 / 512),
        ({"times": repeated}, repeated, 0),
        ({"times": np.linspace(0, 1, 5)}, np.linspace(0, 1, 5), 0),
        ({"times": []}, [], 0),
    ):
        middles.clear()
        frames = list(average.frames(a, b, **how))
        for frame, time in zip(frames, times, strict=True):
            np.testing.assert_allclose(frame, a + (b - a) * np.float32(time), atol=error + 1e-6)
        assert len(middles) == sum(bisection.calls(bisection.moments(**how))[-1:])


# Refusals


def test_bad_frames_and_moments_are_refused_at_once(small_film: film.Film) -> None:
    a, _ = moved(32, 48)
    nan = a.copy()
    nan[3, 4, 1] = np.nan
    cases = [
        (a[:16], "48x32 and 48x16|48x16 and 48x32"),
        (a.transpose(1, 0, 2), "one size; .*film.interpolate fits photos of any size"),
        ((a * 255).astype(np.uint8), "dtype uint8"),
        (a[:, :, 0], "height, width, 3"),
        (a[None], "height, width, 3"),
        (a[:, :, [0, 1, 2, 0]], "height, width, 3"),
        (nan, "not finite"),
        (np.full_like(a, np.inf), "not finite"),
        (a * 255, "divide by 255"),
        (a[:0], "pixels"),
        (a.tolist(), "list"),
        (None, "NoneType"),
    ]
    for wrong, message in cases:
        for pair in ((a, wrong), (wrong, a)):
            with pytest.raises(ValueError, match=message):
                small_film.frames(*pair, depth=1)  # before a frame is asked for
    for wrong_how, message in (({"depth": 9}, "0 to 8"), ({"times": [1.2]}, "outside"), ({}, "one way")):
        with pytest.raises(ValueError, match=message):
            small_film.frames(a, a, **wrong_how)
