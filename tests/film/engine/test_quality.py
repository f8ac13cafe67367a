"""The bundled model makes better middles than no model, and than optical flow, would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import film
from tests.conftest import EXAMPLES, Example, psnr

pytestmark = pytest.mark.slow


def test_every_example_has_its_true_middle(examples: Callable[[str], Example]) -> None:
    folders = {path.name for path in (Path(film.__file__).parents[1] / "examples").iterdir() if path.is_dir()}
    assert len(EXAMPLES) >= 4 and set(EXAMPLES) == folders - {"__pycache__"}
    for name in EXAMPLES:
        example = examples(name)
        assert example.first.shape == example.last.shape == example.truth.shape == (540, 960, 3)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_middle_is_closer_to_the_truth_than_the_average_of_the_photos(
    examples: Callable[[str], Example], name: str
) -> None:
    example = examples(name)
    made, average = (psnr(frame, example.truth) for frame in (example.middle, (example.first + example.last) / 2))
    assert made > average


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_middle_is_closer_to_the_truth_than_photos_warped_along_optical_flow(
    examples: Callable[[str], Example], name: str
) -> None:
    pytest.importorskip("cv2", reason="needs training/requirements.txt")
    from training import dis

    example = examples(name)
    made, warped = (psnr(frame, example.truth) for frame in (example.middle, dis.middle(example.first, example.last)))
    assert made > warped
