"""Frames of all sizes are fitted to one, rounded to 8 bits, and refused when they are none."""

import numpy as np
import pytest

from film.media import images
from tests.conftest import texture


def test_to_uint8_clips_and_rounds_to_nearest() -> None:
    levels = np.arange(256, dtype=np.float32)
    for offset in (-0.49, 0.0, 0.49):
        np.testing.assert_array_equal(images.to_uint8((levels + np.float32(offset)) / 255), levels)
    values = np.array([[[-3.0, 1.7, 0.5]]], np.float32)
    assert images.to_uint8(values).tolist() == [[[0, 255, 128]]]
    assert images.to_uint8(values).dtype == np.uint8


def sizes(count: int) -> list[tuple[int, int]]:
    """Random (height, width), from 16 to 4000, of every shape."""
    random = np.random.default_rng(count)
    return [(int(h), int(w)) for h, w in np.exp(random.uniform(np.log(16), np.log(4000), (count, 2)))]


def test_one_size_is_kept() -> None:
    for size in [*sizes(2000), (16, 16), (16, 17), (17, 16), (16, 23), (3000, 4000)]:
        assert images.common_size([size, size]) == size
        assert images.common_size([size, size], longest_side=max(size)) == size


def test_the_longest_side_is_kept_to() -> None:
    for size in sizes(500):
        limit = max(32, max(size) // 3)
        if min(size) * limit / max(size) < images.MIN_SIDE + 1:
            continue
        height, width = images.common_size([size, size], longest_side=limit)
        assert max(height, width) == min(limit, max(size))
        assert abs(height / width - size[0] / size[1]) <= 0.5 / width + 0.5 * height / width**2 + 1e-9
    assert images.common_size([(100, 200)] * 2, longest_side=1000) == (100, 200)


def test_a_common_size_is_never_larger_than_a_photo() -> None:
    random = np.random.default_rng(1)
    tried = 0
    for first, last in zip(sizes(2000), random.permutation(sizes(2000)).tolist(), strict=True):
        pair = [first, tuple(last)]
        try:
            height, width = images.common_size(pair)
        except ValueError as error:
            assert "shape" in str(error)  # 16x4000 with 4000x16
            continue
        tried += 1
        assert height <= min(h for h, _ in pair) and width <= min(w for _, w in pair)
        aspects = sorted(w / h for h, w in pair)
        assert aspects[0] * 0.95 <= width / height <= aspects[1] * 1.05
    assert tried > 1000


def test_portrait_and_landscape_meet_in_a_square() -> None:
    assert images.common_size([(300, 200), (200, 300)]) == (200, 200)
    assert images.common_size([(200, 300), (400, 600)]) == (200, 300)
    with pytest.raises(ValueError, match="differ too much in shape"):
        images.common_size([(16, 1600), (100, 100)])
    with pytest.raises(ValueError, match="longest side of 100 pixels the film would be 100x10"):
        images.common_size([(160, 1600)] * 2, longest_side=100)


def coordinates(height: int, width: int) -> np.ndarray:
    """A Frame whose red and green are the column's and the row's centre, in units of 1000 pixels."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack([columns, rows, rows], axis=2).astype(np.float32) / 1000


@pytest.mark.parametrize(
    "pair",
    [
        ((200, 300), (400, 600)),
        ((300, 200), (200, 300)),
        ((301, 447), (333, 221)),
        ((97, 131), (97, 130)),
        ((480, 640), (481, 640)),
        ((600, 600), (77, 90)),
    ],
)
def test_fitting_crops_the_centre_and_scales_both_ways_alike(pair: tuple[tuple[int, int], tuple[int, int]]) -> None:
    size = images.common_size(pair)
    for height, width in pair:
        fitted = images.fit(coordinates(height, width), size) * 1000
        assert fitted.shape == (*size, 3) and fitted.dtype == np.float32
        inner = fitted[8:-8, 8:-8]  # away from the border, where the filter has no neighbours
        across, down = np.diff(inner[:, :, 0], axis=1), np.diff(inner[:, :, 1], axis=0)
        scale = across.mean()
        np.testing.assert_allclose(across, scale, rtol=0.02)  # linear …
        np.testing.assert_allclose(down, scale, rtol=0.02)  # … with the same scale: not stretched
        assert scale >= 1 - 1e-4  # not enlarged
        centre = inner.reshape(-1, 3).mean(axis=0, dtype=np.float64)[:2]
        np.testing.assert_allclose(centre, [width / 2, height / 2], atol=0.05 * scale)


def test_fitting_to_its_own_size_changes_nothing() -> None:
    frame = texture(50, 70)
    assert images.fit(frame, (50, 70)) is frame
    assert 0 <= images.fit(frame, (31, 40)).min() and images.fit(frame, (31, 40)).max() <= 1


def test_a_frame_is_passed_on_contiguous() -> None:
    frame = texture(20, 30)
    assert images.check_frame(frame) is frame
    turned = images.check_frame(frame.astype(np.float64)[::-1])
    assert turned.dtype == np.float32 and turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, frame[::-1])
