"""A frame made in tiles is the frame made whole."""

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

import film
from film.engine import compiled, tiling
from film.engine.compiled import Shape
from film.engine.devices import has_short_floats
from film.engine.session import DirectSession, aligned
from film.engine.tiling import Axis, TiledSession
from film.hub.convert import Converted
from film.networks import film as network
from film.networks import graph_split
from tests.conftest import EXAMPLES, SMALL_FILM, Example, moved, photo, psnr
from tests.film.conftest import made, stopped
from tests.support import timed_models

pytestmark = pytest.mark.slow

ALIKE = 60  # dB; 45 is promised, 74 and more were measured. Rounding to 8 bits alone costs all above 59.


@pytest.fixture(scope="module")
def least() -> film.Film:
    """A small FILM with less memory than there can be: every frame of more than 768 x 768 pixels needs tiles."""
    return film.load(SMALL_FILM, memory_gb=0.001, precision="exact")


@pytest.fixture(scope="module")
def session(small_film: film.Film) -> Callable[..., TiledSession]:
    """Sessions for frames of a size with tiles of another, smaller than any budget would give."""
    compiled = functools.cache(small_film.compile)

    def new(size: tuple[int, int], tile: tuple[int, int], level: int = 4) -> TiledSession:
        height, width = (math.ceil(side / 64) * 64 for side in size)
        graphs = compiled(Shape((height, width), tile, level=level)).graphs
        return TiledSession(graphs, size, 64)

    return new


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> list[Axis]:
    found: list[Axis] = []
    real = tiling.cover

    def cover(*arguments: int) -> Axis:
        found.append(real(*arguments))
        return found[-1]

    monkeypatch.setattr(tiling, "cover", cover)
    return found


def middle(tiles: TiledSession, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    return tiles.frame(tiles.start(tiles.keyframe(first), tiles.keyframe(last))())


def test_only_what_does_not_fit_is_tiled(least: film.Film, small_film: film.Film) -> None:
    assert isinstance(least.session(64, 128), DirectSession)
    assert isinstance(least.session(64, 832), TiledSession)
    assert isinstance(small_film.session(64, 832), DirectSession)
    lite = film.load("film-lite", memory_gb=0.001)
    assert isinstance(lite.session(64, 128), DirectSession) and isinstance(lite.session(64, 1600), TiledSession)
    assert not small_film.shape(540, 960).tiled and least.shape(540, 960).tiled


@pytest.mark.parametrize("size", [(64, 64), (540, 960), (1080, 1920), (3000, 4000), (16, 9000)])
def test_less_memory_means_smaller_tiles_and_a_coarser_cut(size: tuple[int, int]) -> None:
    budgets, how = (0.001, 0.05, 0.2, 0.5, 1, 2, 4, 16, 64), {"lanes": 1, "precision": "exact"}
    shapes = [film.load(SMALL_FILM, memory_gb=gigabytes, **how).shape(*size) for gigabytes in budgets]
    assert not shapes[-1].tiled
    for shape in shapes:
        assert all(side % 64 == 0 and 0 <= side - given < 64 for side, given in zip(shape.frame, size, strict=True))
        assert all(tile <= side for tile, side in zip(shape.tile, shape.frame, strict=True))
        assert shape.level in graph_split.LEVELS if shape.tiled else shape.level == 0
    mixed = film.load(SMALL_FILM, memory_gb=1, lanes=1, precision="mixed").shape(*size)
    assert math.prod(mixed.tile) >= math.prod(shapes[4].tile)
    if has_short_floats("CPU") and size == (1080, 1920):
        assert math.prod(mixed.tile) > math.prod(shapes[4].tile)  # of what is half as large, more fits
    areas = [shape.tile[0] * shape.tile[1] for shape in shapes]
    levels = [shape.level for shape in shapes]
    assert areas == sorted(areas) and levels == sorted(levels, reverse=True)


def test_a_model_converted_whole_is_never_tiled(averaging: Path) -> None:
    model = film.load(averaging, memory_gb=0.001)
    a, b = moved(64, 1024)
    np.testing.assert_allclose(model.middle(a, b), (a + b) / 2, atol=1e-6)


def test_parts_of_other_tiles_are_not_used(least: film.Film, small_film: film.Film, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{n}.png", frame) for n, frame in enumerate(moved(64, 832))]
    how = {"output": tmp_path / "film.mp4", "depth": 2, "fps": 4, "resume": True}
    stopped(film.interpolate(photos, least, **how))
    (anew,) = stopped(film.interpolate(photos, small_film, **how))
    assert "were made with other settings or files (memory) and are made anew" in anew
    (on,) = made(film.interpolate(photos, small_film, **how)).notices
    assert "are there from an earlier run" in on


@pytest.mark.parametrize("name", EXAMPLES[::2])
def test_an_example_in_tiles_is_the_example_whole(
    session: Callable[..., TiledSession], examples: Callable[[str], Example], axes: list[Axis], name: str
) -> None:
    example = examples(name)
    tiles = session((540, 960), (576, 512))
    frame = middle(tiles, example.first, example.last)
    assert [len(axis.starts) for axis in axes] == [1, 3]
    assert frame.shape == example.middle.shape and frame.dtype == np.float32 and frame.flags.c_contiguous
    assert psnr(frame, example.middle) >= ALIKE


@pytest.mark.parametrize("family", ["compact", "film", "rife"])
def test_tiles_in_mixed_precision(examples: Callable[[str], Example], tmp_path: Path, family: str) -> None:
    """Bit for bit they differ: rounding to bfloat16 is not the same everywhere. RIFE's variables are random."""
    source = {"compact": "film-lite", "film": SMALL_FILM}.get(family)
    source = source or timed_models.directory(tmp_path / "rife", timed_models.rife())
    model, size = film.load(source, lanes=1, precision="mixed"), (540, 960)
    first, last = examples("street").first, examples("street").last
    alignment = model.converted().alignment
    height, width = aligned(size, alignment)
    shape = Shape((height, width), (height, 640), level=compiled.TIMED_CUT if model.honours_time else 4)
    tiles = TiledSession(model.compile(shape).graphs, size, alignment, model.honours_time)
    frame = middle(tiles, first, last)
    assert psnr(frame, model.middle(first, last)) >= 45


@pytest.mark.parametrize("level", graph_split.LEVELS)
def test_tiles_in_both_directions_at_every_cut(
    session: Callable[..., TiledSession], small_film: film.Film, axes: list[Axis], level: int
) -> None:
    a, b = moved(500, 500, seed=level)
    tiles = session((500, 500), (384, 384), level)
    frame = middle(tiles, a, b)
    assert [len(axis.starts) for axis in axes] == [2, 2]
    whole = small_film.middle(a, b)
    assert psnr(frame, whole) >= ALIKE
    assert np.abs(frame - whole).max() < 0.02  # no seam anywhere


def test_a_film_in_tiles(least: film.Film, small_film: film.Film) -> None:
    """The recursion, of an odd size."""
    a, b = moved(33, 803)
    kept = a.copy(), b.copy()
    assert isinstance(least.session(33, 803), TiledSession)
    frames = list(least.frames(a, b, depth=2))
    assert len(frames) == 5
    np.testing.assert_array_equal([frames[0], frames[-1]], [a, b])
    np.testing.assert_array_equal([a, b], kept)
    for frame, whole in zip(frames, small_film.frames(a, b, depth=2), strict=True):
        assert frame.shape == (33, 803, 3)
        assert psnr(frame, whole) >= ALIKE
    for one, other in zip(frames, least.frames(a, b, depth=2), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # nothing stays from one film to the next


def test_large_motion_widens_the_overlap(
    session: Callable[..., TiledSession], small_film: film.Film, examples: Callable[[str], Example], axes: list[Axis]
) -> None:
    """What enters a tile must be in it: where the view moves by 90 pixels, tiles share so many more."""
    photo = examples("street").first[-128:].repeat(2, axis=1)  # twice as wide
    tiles = session((128, 1590), (128, 960))
    still, far = (photo[:, start : start + 1590].copy() for start in (0, 90))
    middle(tiles, still, still)
    frame = middle(tiles, still, far)
    narrow, wide = axes[1::2]  # the columns of either
    assert narrow.starts == (0, 640) and wide.starts == (0, 320, 640)
    assert psnr(frame, small_film.middle(still, far)) >= ALIKE


def test_a_film_of_fewer_levels_is_cut_where_it_has_some(reference: film.Reference, tmp_path: Path) -> None:
    variables = reference.loaded().variables
    architecture = network.Architecture.of(variables, levels=5)
    ov.save_model(network.encoder(variables, architecture), tmp_path / "encoder.xml", compress_to_fp16=False)
    ov.save_model(network.synthesizer(variables, architecture), tmp_path / "synthesizer.xml", compress_to_fp16=False)
    models = []
    for gigabytes in (0.001, 16):
        model = film.load(SMALL_FILM, memory_gb=gigabytes, lanes=1, precision="exact")
        model._converted = Converted(tmp_path, "direct", architecture.alignment, 155)
        models.append(model)
    least, most = models
    assert least.shape(90, 1000) == Shape((96, 1008), (96, 768), level=4)
    a, b = moved(90, 1000)
    assert psnr(least.middle(a, b), most.middle(a, b)) >= ALIKE
