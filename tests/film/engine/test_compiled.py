"""What was compiled is kept: in memory for some sizes, on disk for the next run, and never too much of it."""

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import film
from film.engine import compiled
from tests.conftest import SMALL_FILM, moved, own_cache


@pytest.mark.slow
def test_two_sizes_stay_compiled(averaging: Path) -> None:
    model = film.load(averaging)
    compiled = [weakref.ref(model.compiled(side, 64)) for side in (64, 128, 192)]
    gc.collect()
    assert [reference() is not None for reference in compiled] == [False, True, True]
    assert model.compiled(100, 50) is compiled[1]()  # the same once padded
    model.compiled(256, 64)
    gc.collect()
    assert [reference() is not None for reference in compiled] == [False, True, False]  # least recently used goes


@pytest.mark.parametrize(
    ("size", "memory_gb", "damage"),
    [
        ((64, 128), 4, lambda entry: entry.write_bytes(b"garbage" * 100)),
        ((64, 832), 0.001, lambda entry: os.truncate(entry, entry.stat().st_size * 2 // 3)),
    ],
    ids=["whole, garbage", "tiles, cut"],
)
@pytest.mark.slow
def test_compiling_again_reads_what_was_compiled(
    small_film: film.Film,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    memory_gb: float,
    damage: Callable[[Path], object],
) -> None:
    """OpenVINO's cache is used, gives the same frames, and what is damaged is not needed."""
    a, b = moved(*size)
    own_cache(small_film, tmp_path, monkeypatch)

    def made() -> tuple[np.ndarray, list[bool]]:
        model = film.load(SMALL_FILM, lanes=1, memory_gb=memory_gb)
        compiled = model.compiled(*size)
        assert compiled.shape.tiled == (memory_gb < 1)
        return model.middle(a, b), [graph.get_property("LOADED_FROM_CACHE") for graph in compiled.graphs]

    middle, cached = made()
    assert not any(cached)
    for damaged in (False, True):
        if damaged:
            for entry in (tmp_path / "compiled").rglob("*.blob"):
                damage(entry)
        again, cached = made()
        assert all(cached) != damaged and any(cached) != damaged
        np.testing.assert_allclose(again, middle, atol=1e-6)


def test_compiled_sizes_do_not_fill_the_disk(
    averaging: Path, average: film.Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache(average, tmp_path, monkeypatch)
    monkeypatch.setattr(compiled, "CACHED_GRAPHS", 3)
    model = film.load(averaging)
    for side in range(64, 64 * 6, 64):
        model.compiled(side, side)
    blobs = list((tmp_path / "compiled").rglob("*.blob"))
    assert len(blobs) == 3
    fresh = film.load(averaging)
    assert fresh.compiled(64 * 5, 64 * 5).graphs[0].get_property("LOADED_FROM_CACHE")  # the newest are kept
