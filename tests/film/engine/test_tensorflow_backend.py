"""The reference is TensorFlow's own output, in the package's terms."""

import numpy as np
import pytest

import film
from tests.conftest import SMALL_FILM, moved

pytestmark = pytest.mark.tensorflow


@pytest.mark.slow
def test_a_middle_is_what_the_saved_model_gives(reference: film.Reference) -> None:
    import tensorflow as tf

    a, b = moved(64, 128)
    signature = tf.saved_model.load(str(SMALL_FILM)).signatures["serving_default"]
    expected = signature(x0=a[None], x1=b[None], time=np.full((1, 1), 0.5, np.float32))["image"].numpy()[0]
    np.testing.assert_allclose(reference.middle(a, b), expected, atol=1e-6)


@pytest.mark.slow
def test_odd_sizes_are_padded_by_their_border_and_cropped_back(reference: film.Reference) -> None:
    a, b = moved(50, 100)
    padded = [np.pad(frame, ((0, 14), (0, 28), (0, 0)), mode="edge") for frame in (a, b)]
    middle = reference.middle(a, b)
    assert middle.shape == (50, 100, 3) and middle.dtype == np.float32 and middle.flags.c_contiguous
    np.testing.assert_allclose(middle, reference.middle(*padded)[:50, :100], atol=1e-6)


@pytest.mark.slow
def test_it_says_what_runs(reference: film.Reference) -> None:
    assert (reference.name, reference.device) == (str(SMALL_FILM), "TensorFlow")
    reference.loaded()
    assert list(reference.setup_steps(64, 64)) == []
    fresh = film.load(SMALL_FILM, backend="tensorflow")
    assert [stage for stage, _ in fresh.setup_steps(64, 64)] == ["loading"]
