"""What training is asked for and judged by: losses, PSNR and SSIM."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.training_cases import moving

# isort: split
import cv2

from training import dis, evaluate, losses, network, scenes

pytestmark = pytest.mark.training


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


def test_the_true_flows_are_what_is_asked_for(videos: dict) -> None:
    """And those to the other end are not."""
    triplets = [scenes.sample(videos, (64, 64), np.random.default_rng(seed)) for seed in (9, 11)]
    target = {field: np.stack([getattr(t, field) for t in triplets]) for field in triplets[0]._fields}

    def terms(to_first: np.ndarray, to_last: np.ndarray) -> dict[str, float]:
        outputs: dict = {"image": target["middle"]}
        ends = (("x0", "first", "backward", to_first), ("x1", "last", "forward", to_last))
        for image, end, direction, to_end in ends:
            warped = [np.stack([dis.warp(*pair) for pair in zip(target[end], to_end, strict=True)])]
            flows = [2 * to_end]  # whole ones, from the last to the first and from the first to the last
            for _ in range(4):
                warped.append(network.half(warped[-1]).numpy())
                flows.append(network.half(flows[-1]).numpy() / 2)
            outputs |= {f"{image}_warped_pyramid": warped, f"{direction}_flow_pyramid": flows}
        return {name: float(value) for name, value in losses.terms(outputs, target).items()}

    true, exchanged = (terms(target[a], target[b]) for a, b in (("to_first", "to_last"), ("to_last", "to_first")))
    assert true["flow"] < 0.1  # pixels
    assert max(true["warped"], true["warped_coarse"]) < 0.01  # what is out of sight at an end counts as well
    for name in ("flow", "warped", "warped_coarse", "warped_laplacian"):
        assert exchanged[name] > 5 * true[name], name
    assert true["image"] == true["laplacian"] == 0


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


def test_the_demos_pairs_and_the_bounds_are_one_command(
    averaging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """With a model whose scores are known: it is the first baseline."""
    options = ["--examples", "--bounds", "--model", str(averaging), "--json", str(tmp_path / "scores.json")]
    monkeypatch.setattr(sys, "argv", ["evaluate", *options])
    evaluate.main()
    scores = json.loads((tmp_path / "scores.json").read_text())
    examples = sorted(path.stem for path in (evaluate.ROOT / "tests" / "truth").glob("*.jpg"))
    assert list(scores) == ["all examples", *(f"example {name}" for name in examples)]
    average, warping, model, even, seen = scores["all examples"].values()
    assert average[2] == len(examples) and model == pytest.approx(average, abs=1e-3)
    assert average[0] < warping[0] < min(even[0], seen[0])
    header, _, first, *_ = capsys.readouterr().out.splitlines()
    assert header.endswith("| average | DIS warping | averaging | DIS having seen, even | DIS having seen |")
    assert first.startswith(f"| all examples | {len(examples)} | {average[0]:.2f} / {average[1]:.4f} |")


def test_pictures_that_make_no_triplet_end_the_scoring_in_one_sentence(
    averaging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """They are read one after the other, long after the command was looked at."""
    folder = tmp_path / "set" / "a"
    folder.mkdir(parents=True)
    for part, side in (("first", 64), ("middle", 64), ("last", 48)):
        cv2.imwrite(str(folder / f"{part}.png"), np.zeros((side, side, 3), np.uint8))
    monkeypatch.setattr(sys, "argv", ["evaluate", "--triplets", str(tmp_path / "set"), "--model", str(averaging)])

    def said() -> str:
        with pytest.raises(SystemExit):
            evaluate.main()
        return capsys.readouterr().err.splitlines()[-1]

    assert "last.png are not of one size" in said()
    (folder / "last.png").write_bytes(b"no picture")
    assert "last.png is not an image that OpenCV can read" in said()
