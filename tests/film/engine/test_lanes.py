"""Several middles at once make the same film, within the same memory and on the cores that may be used."""

from __future__ import annotations

import contextlib
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

import film
from film.engine import devices
from film.engine import session as sessions
from tests.conftest import SMALL_FILM, moved


@pytest.fixture(scope="module")
def lanes() -> Callable[[int], film.Film]:
    """A small FILM making so many middles side by side."""

    return functools.cache(lambda count: film.load(SMALL_FILM, lanes=count, precision="exact"))


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many middles are in the works `now`, how many were `most`ly, and in `all`."""
    counts: Counter[str] = Counter()
    started = sessions.Synthesizer.started

    @contextlib.contextmanager
    def counted(self: sessions.Synthesizer, tensors: dict[str, ov.Tensor]) -> Iterator[ov.InferRequest]:
        with started(self, tensors) as request:
            counts["all"] += 1
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
            yield request
        counts["now"] -= 1

    monkeypatch.setattr(sessions.Synthesizer, "started", counted)
    return counts


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.slow
def test_lanes_make_the_same_film(
    small_film: film.Film,
    lanes: Callable[[int], film.Film],
    working: Counter[str],
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = moved(70, 100)
    encoded = []
    give = sessions.FeatureSet.give
    for how in ({"depth": 3}, {"count": 6}, {"times": [0.25, 0.25, 0.3, 1]}):
        expected = list(small_film.frames(a, b, **how))
        working.clear()
        with monkeypatch.context() as patch:
            patch.setattr(sessions.FeatureSet, "give", lambda *one: (encoded.append(1), give(*one))[1])
            frames = list(lanes(count).frames(a, b, **how))
        assert len(encoded) == 2**2 + 1 or "depth" not in how  # each frame once, as with one lane
        assert len(frames) == len(expected)
        for frame, other in zip(frames, expected, strict=True):
            np.testing.assert_allclose(frame, other, atol=1e-5)
        assert working["now"] == 0 and working["most"] <= count
        assert working["most"] > 1 or "times" in how  # those are made one from the other
    np.testing.assert_array_equal(frames[-1], b)


def test_lanes_stop_when_the_film_is_closed(lanes: Callable[[int], film.Film], working: Counter[str]) -> None:
    a, b = moved(70, 100)
    frames = lanes(3).frames(a, b, depth=5)
    for _ in range(4):
        kept = next(frames)
    copy = kept.copy()
    begun = working["all"]
    assert begun < 15
    frames.close()
    assert working["now"] == 0 and working["all"] == begun and list(frames) == []
    assert len(list(lanes(3).frames(a, b, depth=2))) == 5
    np.testing.assert_array_equal(kept, copy)


def test_lanes_are_for_the_cores_that_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(devices, "CONTAINER_LIMIT", limit)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(12), raising=False)
    for text, cores in (
        ("max 100000", 12),
        ("400000 100000", 4),
        ("50000 100000", 1),
        ("9900000 100000", 12),
        ("", 12),
    ):
        limit.write_text(text)
        assert devices.cores() == cores
    limit.unlink()
    model = film.load(SMALL_FILM)
    assert model._lanes == 12 // 4


def test_lanes_share_the_memory(small_film: film.Film) -> None:
    """Each takes its own; with little of it there are fewer, never none."""
    budgets = (0.001, 0.1, 0.2, 0.4, 0.8, 64)
    counts = [film.load(SMALL_FILM, lanes=8, memory_gb=budget).shape(256, 512).lanes for budget in budgets]
    assert counts == sorted(counts) and counts[0] == 1 and counts[-1] == 8 and 1 < counts[3] < 8
    assert small_film.shape(256, 512).lanes == 1


def test_fewer_threads_make_the_same_frames_to_the_bit(
    small_film: film.Film, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    one = film.load(SMALL_FILM, lanes=1, threads=1, precision="exact")
    for made, expected in zip(one.frames(*pair, depth=2), small_film.frames(*pair, depth=2), strict=True):
        np.testing.assert_array_equal(made, expected)
