"""What training is asked for and judged by: losses, PSNR and SSIM."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

os.environ["KERAS_BACKEND"] = "tensorflow"
for needed in ("cv2", "matplotlib", "tensorflow"):
    pytest.importorskip(needed, reason="needs training/requirements.txt")

import cv2  # noqa: E402
from training_cases import moving  # noqa: E402

from training import dis, evaluate, losses  # noqa: E402

# Keras 3.15 reads TensorFlow's variables in a way that NumPy 2 wants changed.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_flow_error_is_zero_for_the_true_flow_and_counts_pixels() -> None:
    rng = np.random.default_rng(0)
    target = np.broadcast_to(rng.normal(0, 3, (2, 1, 1, 2)), (2, 16, 16, 2)).astype(np.float32)
    known = np.ones((2, 16, 16, 1), np.float32)
    pyramid = [target, target[:, ::2, ::2] / 2, target[:, ::4, ::4] / 4]
    exact = float(losses.flow_error(pyramid, target, known))
    assert exact < 0.04  # its square root is rounded off at 0.01 pixels of each level
    off = [flow + np.float32([3, 4]) / 2**i for i, flow in enumerate(pyramid)]
    assert float(losses.flow_error(off, target, known)) == pytest.approx(5, abs=0.01)
    known[:, :, :8] = 0  # what is wrong there does not count
    half_off = [flow.copy() for flow in pyramid]
    half_off[0][:, :, :8] += 100
    assert float(losses.flow_error(half_off, target, known)) == pytest.approx(exact, abs=1e-4)


def test_laplacian_is_blind_to_a_constant_only() -> None:
    error = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    assert float(losses.laplacian(np.full_like(error, 0.3))) == pytest.approx(0, abs=1e-6)
    assert float(losses.laplacian(error)) > 0.5
    assert float(losses.laplacian(2 * error)) == pytest.approx(2 * float(losses.laplacian(error)), rel=1e-5)


def test_decibels_are_the_mean_of_each_pictures_own() -> None:
    errors = np.stack([np.full((8, 8, 3), error, np.float32) for error in (0.1, 0.3)])
    assert float(losses.decibels(errors)) == pytest.approx(np.mean(10 * np.log10([0.0101, 0.0901])), abs=1e-4)
    assert float(losses.decibels(0 * errors)) == pytest.approx(-40, abs=1e-4)


def test_psnr_and_ssim_of_known_pictures() -> None:
    frame = moving(1, 64)[0].astype(np.float32) / 255
    assert evaluate.psnr(frame, frame + 0.1) == pytest.approx(20, abs=1e-3)
    assert evaluate.ssim(frame, frame) == pytest.approx(1)
    noisy = frame + np.random.default_rng(0).normal(0, 0.1, frame.shape).astype(np.float32)
    assert 0 < evaluate.ssim(frame, noisy) < evaluate.ssim(frame, 0.5 * frame + 0.5 * noisy) < 1


def test_triplet_folders_are_scored_beside_the_baselines(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for part, frame in zip(("first", "middle", "last"), moving(3, 96, 3, seed), strict=True):
            cv2.imwrite(str(tmp_path / "set" / name / f"{part}.png"), frame[..., ::-1])
    methods: dict[str, evaluate.Method] = {
        "average": lambda case: (case.first + case.last) / 2,
        "DIS warping": lambda case: dis.middle(case.first, case.last),
    }
    scores = evaluate.score(evaluate.from_triplets(tmp_path / "set"), methods)
    average, warping = scores["set"]["average"], scores["set"]["DIS warping"]
    assert average[2] == warping[2] == 2
    assert warping[0] > average[0] + 3 and warping[1] > average[1]
    assert evaluate.table(scores).splitlines()[2].startswith("| set | 2 | ")
    (tmp_path / "set" / "b" / "middle.png").unlink()
    with pytest.raises(ValueError, match=r"no middle\.\*"):
        list(evaluate.from_triplets(tmp_path / "set"))


def test_the_bounds_have_seen_the_middle_frame_and_one_of_them_not_when() -> None:
    clip = moving(7, 96).astype(np.float32) / 255
    inner = np.s_[24:-24, 24:-24]

    def score(middle: int, even: bool) -> float:
        made = dis.seen(clip[0], clip[middle], clip[6], even)
        return evaluate.psnr(made[inner], clip[middle][inner])

    assert min(score(3, even=True), score(3, even=False)) > 33
    assert score(1, even=False) > score(1, even=True) + 10  # early in the motion


def test_any_size_is_padded_and_cropped() -> None:
    shapes = []

    def middle(x0: np.ndarray, x1: np.ndarray) -> np.ndarray:
        shapes.append(x0.shape)
        return (x0 + x1) * 0.75

    frame = moving(1, 96)[0, :70].astype(np.float32) / 255
    made = evaluate.padded(middle)(evaluate.Case((), frame, frame, frame))
    assert shapes == [(1, 128, 128, 3)]
    np.testing.assert_allclose(made, np.minimum(1.5 * frame, 1), atol=1e-6)
