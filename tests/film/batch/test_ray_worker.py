"""What travels to a worker and back, and what the worker makes of it."""

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import film
from film.batch import ray_worker
from film.engine import bisection
from film.engine.interpolator import FramePair
from film.media import images
from film.rendering.renderer import Chunk, Encoding, render
from tests.conftest import texture
from tests.film.media.test_video_segments import contents

ENCODING = Encoding(Fraction(20), 60)


def test_a_packed_stretch_is_the_same_and_no_larger_than_it_must_be() -> None:
    exact, eight_bits = texture(20, 30), images.to_frame(np.rint(texture(20, 30, 1) * 255).astype(np.uint8))
    pairs = [FramePair(eight_bits, exact, bisection.dyadic(2), (7, 8))]
    pairs.append(FramePair(exact, eight_bits, bisection.dyadic(1), (8, 7)))
    packed = pickle.loads(pickle.dumps(ray_worker.packed(Chunk(40, pairs))))
    assert packed.pairs[0].left is packed.pairs[1].right and packed.pairs[0].right is packed.pairs[1].left
    assert (packed.pairs[0].left.dtype, packed.pairs[0].right.dtype) == (np.uint8, np.float32)
    unpacked = ray_worker.unpacked(packed)
    assert unpacked.first == 40 and unpacked.frames == 8
    for pair, given in zip(unpacked.pairs, pairs, strict=True):
        np.testing.assert_array_equal(pair.left, given.left)
        np.testing.assert_array_equal(pair.right, given.right)
        assert pair.moments == given.moments and pair.numbers == given.numbers
    assert unpacked.pairs[0].right is unpacked.pairs[1].left  # so that it is encoded once


@pytest.mark.parametrize("honours_time", [False, True])
@pytest.mark.slow
def test_a_worker_makes_what_the_model_makes_here(averaging: Path, tmp_path: Path, honours_time: bool) -> None:
    name = "film-lite" if honours_time else str(averaging)
    model = film.load(name, precision="exact")
    moments = bisection.moments(count=7, precision=bisection.EXACT) if honours_time else bisection.dyadic(5)
    pairs = [FramePair(texture(48, 64), texture(48, 64, 1), moments, (0, 1))]
    for lossless in (False, True):
        encoding = Encoding(Fraction(20), 60, lossless)
        here, away = (tmp_path / f"{place}-{lossless}" for place in ("here", "away"))
        here.mkdir(), away.mkdir()
        list(render(model, [Chunk(7, pairs)], here, encoding))
        who = ray_worker.load(name=name, precision="exact", threads=1, memory_gb=1.0)
        assert who.fingerprint == model.fingerprint
        answer = ray_worker.make(who, ray_worker.packed(Chunk(7, pairs)), encoding)
        assert ray_worker.stored(answer, away, encoding) == encoding.finished(away)
        assert contents(here) == contents(away)
        assert all(bool(segment.lossless_copy) is lossless for segment in encoding.finished(here))
    with pytest.raises(ValueError, match="no model"):
        ray_worker.load(name=str(tmp_path / "nowhere"))


def test_in_pieces_a_stretch_has_the_same_segments(averaging: Path, tmp_path: Path) -> None:
    model = film.load(averaging)
    whole = Chunk(7, [FramePair(texture(48, 64), texture(48, 64, 1), bisection.moments(count=150), (0, 1))])
    pieces = list(ray_worker.pieces([whole], ENCODING.length))
    assert len(pieces) == 3
    for name, chunks in (("whole", [whole]), ("pieces", pieces)):
        (tmp_path / name).mkdir()
        list(render(model, chunks, tmp_path / name, ENCODING))
    assert contents(tmp_path / "whole") == contents(tmp_path / "pieces") != {}
