"""The training code: what it feeds and computes, that it learns, goes on after a kill, and exports what it learnt."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

os.environ["KERAS_BACKEND"] = "tensorflow"
for needed in ("cv2", "matplotlib", "tensorflow"):
    pytest.importorskip(needed, reason="needs training/requirements.txt")

import cv2  # noqa: E402
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from training import (  # noqa: E402
    batches,
    checkpoint,
    clips,
    dis,
    evaluate,
    export,
    initial,
    losses,
    muon,
    network,
    scenes,
    train,
)

SMALL = network.Config(filters=4, flow_filters=(4, 6), fusion_filters=(4, 8), levels=3, sub_levels=2)
SIDE = 32
ROOT = Path(__file__).parent.parent
# Keras 3.15 reads TensorFlow's variables in a way that NumPy 2 wants changed.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def moving(frames: int = 12, side: int = 96, speed: int = 3, seed: int = 0) -> np.ndarray:
    """A clip, (frames, side, side, 3) uint8: a smooth random texture moving to the left."""
    noise = np.random.default_rng(seed).random((side, side + speed * frames, 3), np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.stack([texture[:, speed * n : speed * n + side] for n in range(frames)])


def pair(height: int, width: int, batch: int = 1) -> dict[str, np.ndarray]:
    """The network's inputs: textures and the same four pixels on."""
    frames = [moving(3, max(height, width), 2, seed)[:, :height, :width] for seed in range(batch)]
    first, _, last = np.stack(frames, axis=1).astype(np.float32) / 255
    return {"x0": first, "x1": last, "time": np.full((batch, 1), 0.5, np.float32)}


@pytest.fixture(scope="module")
def videos() -> dict[str, np.ndarray]:
    return {"slow": moving(speed=2, seed=1), "fast": moving(speed=4, seed=2)}


@pytest.fixture(scope="module")
def small() -> network.Film:
    return network.build(SMALL, seed=3)


def test_warp_fetches_bilinearly_and_clamps_at_the_border() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((2, 7, 9, 3), np.float32)
    flows = rng.normal(0, 4, (2, 7, 9, 2)).astype(np.float32)
    warped = network.warp(images, flows).numpy()
    for n, y, x in np.ndindex(2, 7, 9):
        at_x, at_y = np.clip(x + flows[n, y, x, 0], 0, 8), np.clip(y + flows[n, y, x, 1], 0, 6)
        # Each pixel counts by its nearness in both directions, which is zero for all but four.
        near_y = np.maximum(0, 1 - abs(np.arange(7) - at_y))
        near_x = np.maximum(0, 1 - abs(np.arange(9) - at_x))
        expected = np.einsum("y,x,yxc->c", near_y, near_x, images[n])
        np.testing.assert_allclose(warped[n, y, x], expected, atol=1e-5)


def test_double_is_bilinear_with_half_pixel_centres() -> None:
    x = np.random.default_rng(0).random((2, 3, 5, 2), np.float32)
    np.testing.assert_allclose(network.double(x).numpy(), tf.image.resize(x, (6, 10)).numpy(), atol=1e-6)


def test_full_size_is_the_published_network() -> None:
    film = network.build(network.Config())
    names = network.variables_by_name(film)
    assert len(names) == 82 and film.count_params() == 34_436_667
    assert network.Config.of({name: v.numpy() for name, v in names.items()}) == network.Config()
    assert names["fusion/conv2d_12/kernel"].shape == (1, 1, 64, 3)
    assert names["predict_flow/flow_predictor_shared/conv_0/kernel"].shape == (3, 3, 1920, 256)


def test_time_reversal_exchanges_the_warped_images_and_flows(small: network.Film) -> None:
    inputs = pair(32, 48)
    there = small(inputs)
    back = small({"x0": inputs["x1"], "x1": inputs["x0"], "time": inputs["time"]})
    np.testing.assert_allclose(there["x0_warped_pyramid"][0], back["x1_warped_pyramid"][0], atol=1e-5)
    np.testing.assert_allclose(there["forward_flow_pyramid"][0], back["backward_flow_pyramid"][0], atol=1e-4)


def test_assign_names_what_does_not_fit(small: network.Film) -> None:
    values = {name: v.numpy() for name, v in network.variables_by_name(small).items()}
    wrong = values | {"fusion/conv2d/bias": np.zeros(5, np.float32)}
    with pytest.raises(ValueError, match=r"fusion/conv2d/bias is \(4,\) in the network, \(5,\) in the file"):
        network.assign(small, wrong)
    wrong = dict(values)
    del wrong["fusion/conv2d/bias"]
    with pytest.raises(ValueError, match="fusion/conv2d/bias"):
        network.assign(small, wrong)


def test_pass_through_gives_the_average_of_the_warped_images() -> None:
    film = network.build(SMALL, seed=5)
    initial.pass_through(film)
    outputs = film(pair(32, 48, batch=2))
    average = (outputs["x0_warped_pyramid"][0] + outputs["x1_warped_pyramid"][0]) / 2
    assert np.std(average) > 0.01
    np.testing.assert_allclose(outputs["image"], average, atol=1e-6)


def test_growing_keeps_the_function(small: network.Film) -> None:
    values = {name: v.numpy() for name, v in network.variables_by_name(small).items()}
    larger = replace(SMALL, filters=7, flow_filters=(4, 12), fusion_filters=(6, 14))
    large = network.build(larger)
    network.assign(large, initial.grow(values, larger))
    assert large.count_params() > 2 * small.count_params()
    inputs = pair(32, 48)
    np.testing.assert_allclose(large(inputs)["image"], small(inputs)["image"], atol=1e-5)
    fewer = replace(SMALL, filters=3), replace(SMALL, fusion_filters=(4, 6))
    for wrong in (*fewer, replace(SMALL, flow_filters=(4, 6, 6)), replace(SMALL, sub_levels=3)):
        with pytest.raises(ValueError, match="cannot be grown"):
            initial.grow(values, wrong)
    with pytest.raises(ValueError, match="not of .*: another/kernel"):
        initial.grow(values | {"another/kernel": np.zeros(1)}, larger)


def test_a_replaced_predictor_leaves_the_flow_from_below(small: network.Film) -> None:
    values = {name: v.numpy() for name, v in network.variables_by_name(small).items()}
    replaced = initial.replace_predictor(values, 0, 2)
    film = network.build(network.Config.of(replaced, SMALL.levels))
    network.assign(film, replaced)
    assert film.config == replace(SMALL, flow_filters=(2, 6))
    finest, below, *_ = film(pair(32, 48))["forward_flow_pyramid"]
    np.testing.assert_allclose(finest, network.double(2 * below), atol=1e-6)
    np.testing.assert_allclose(below, small(pair(32, 48))["forward_flow_pyramid"][1], atol=1e-5)


needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")


@needs_torch
@pytest.mark.parametrize(("convolutions", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.1)])
def test_torch_network_is_the_same_function(convolutions: str, tolerance: float) -> None:
    script = """
import sys
import numpy as np, torch
from training import network, torch_network
convolutions, tolerance = getattr(torch, sys.argv[1]), float(sys.argv[2])
config = network.Config(filters=4, flow_filters=(4, 6), fusion_filters=(4, 8), levels=3, sub_levels=2)
plain = network.build(config)
fast = network.build(config, kind=lambda config: torch_network.TorchFilm(config, dtype=convolutions))
network.assign(fast, {k: v.numpy() for k, v in network.variables_by_name(plain).items()})
images = np.random.default_rng(0).random((2, 2, 32, 48, 3), np.float32)
inputs = {"x0": torch.tensor(images[0]), "x1": torch.tensor(images[1]), "time": torch.zeros(2, 1)}
with torch.no_grad():
    expected, made = plain(inputs), fast(inputs)
assert expected.keys() == made.keys()
difference = abs(expected.pop("image") - made["image"])
assert made.pop("image").dtype == torch.float32 and float(difference.max()) < tolerance
for name, pyramid in expected.items():
    for level, other in zip(pyramid, made[name], strict=True):
        assert other.dtype == torch.float32 and float(abs(level - other).max()) < tolerance, name
"""
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    arguments = [convolutions, str(tolerance)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, cwd=ROOT, env=environment)


def test_the_default_size_is_the_bundled_models() -> None:
    values = initial.read(ROOT / "film" / "models" / "film-lite")
    assert network.Config.of(values) == train.BUNDLED
    assert {value.dtype for value in values.values()} == {np.dtype("float32")}


def test_what_holds_no_network_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", step=np.array(1))
    (tmp_path / "run").mkdir()
    for path in (tmp_path / "missing.npz", tmp_path / "other.npz", tmp_path / "run"):
        with pytest.raises(ValueError, match=f"{path.name} holds no network"):
            initial.read(path)


def test_a_run_starts_from_the_function_it_is_given(small: network.Film, tmp_path: Path) -> None:
    film = network.build(network.Config(4, (4, 4, 4, 4), (4, 4, 4, 4)), seed=1)
    model = export.export(film, tmp_path / "model")
    options = {"init": model, "filters": None, "flow_filters": [4, 4, 4, 6], "fusion_filters": None}
    start = train.beginning(argparse.Namespace(**options, seed=0, bfloat16=False))
    assert start.config == replace(film.config, flow_filters=(4, 4, 4, 6))
    np.testing.assert_allclose(start(pair(64, 64))["image"], film(pair(64, 64))["image"], atol=1e-5)


@pytest.mark.parametrize("stored", [np.float32, np.float16])
def test_export_equals_the_network(stored: type, tmp_path: Path) -> None:
    small = network.build(SMALL)
    network_values = network.variables_by_name(small)
    network.assign(small, {name: v.numpy().astype(stored).astype(np.float32) for name, v in network_values.items()})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("the card")
    model = tf.saved_model.load(str(export.export(small, tmp_path / "model", tf.as_dtype(stored))))
    assert {v.dtype for v in model.variables} == {tf.as_dtype(stored)}
    assert {v.name for v in model.variables} == {f"{name}:0" for name in network_values}
    assert (tmp_path / "model" / "README.md").read_text() == "the card"
    assert os.listdir(tmp_path) == ["model"]
    for size in ((32, 48, 1), (40, 32, 2)):
        inputs = pair(*size)
        expected = small(inputs)["image"]
        np.testing.assert_allclose(model(inputs, training=False)["image"], expected, atol=1e-5)
        signature = model.signatures["serving_default"]
        served = signature(**{name: tf.constant(value) for name, value in inputs.items()})
        assert list(served) == ["image"]
        np.testing.assert_allclose(served["image"], expected, atol=1e-5)


def write_clip(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, frames.shape[2:0:-1])
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


def test_clips_are_decoded_once(tmp_path: Path) -> None:
    frames = moving(5, 64)
    write_clip(tmp_path / "one.mp4", frames)
    read = clips.read(tmp_path, tmp_path / "cache")["one"]
    assert read.shape == frames.shape and np.abs(read.astype(int) - frames).mean() < 8
    (tmp_path / "one.mp4").write_bytes(b"no longer needed")
    assert (clips.read(tmp_path, tmp_path / "cache")["one"] == read).all()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["one.npy"]


def test_undecodable_and_missing_clips_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no .mp4 file"):
        clips.read(tmp_path, tmp_path / "cache")
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(ValueError, match="broken.mp4"):
        clips.read(tmp_path, tmp_path / "cache")


def test_cuts_repetitions_and_stills_are_not_usable() -> None:
    frames, other = moving(3, speed=1), moving(3, seed=9)
    assert clips.usable(*frames)
    assert not clips.usable(frames[0], frames[1], other[2])
    assert not clips.usable(frames[0], frames[0], frames[1])
    assert not clips.usable(frames[0], frames[0], frames[0])


@pytest.mark.parametrize("number", range(6))
def test_scene_flows_are_exact(videos: dict, number: int) -> None:
    """Through every augmentation: what a known flow fetches from an end is what is seen in the middle."""
    triplet = scenes.sample(videos, 64, np.random.default_rng(number))
    known = triplet.known[..., 0] > 0
    assert known.mean() > 0.2
    for end, flow in ((triplet.first, triplet.to_first), (triplet.last, triplet.to_last)):
        error = np.abs(dis.warp(end, flow) - triplet.middle).mean(-1)[known]
        unmoved = np.abs(end - triplet.middle).mean(-1)[known]
        assert np.median(error) < 0.01
        assert error.mean() < 0.5 * unmoved.mean() + 0.002


def test_the_teacher_finds_the_motion() -> None:
    first, middle, last = moving(3, 96, speed=3).astype(np.float32) / 255
    taught = dis.teach(clips.Triplet(first, middle, last, *np.zeros((3, 96, 96, 2), np.float32)))
    inner = np.s_[24:-24, 24:-24]
    assert taught.known[inner].mean() > 0.9
    np.testing.assert_allclose(np.median(taught.to_first[inner], (0, 1)), [3, 0], atol=0.3)
    np.testing.assert_allclose(np.median(taught.to_last[inner], (0, 1)), [-3, 0], atol=0.3)


def test_batches_depend_on_seed_and_number_alone(videos: dict) -> None:
    made = batches.Batches(videos, 4, SIDE, seed=7)
    stream = made.stream(3)
    try:
        inputs, target = next(stream)
        again, _ = made.batch(3)
        other, _ = next(stream)
    finally:
        stream.close()
    assert inputs["x0"].shape == (4, SIDE, SIDE, 3) and target["to_last"].shape == (4, SIDE, SIDE, 2)
    assert (inputs["x0"] == again["x0"]).all() and (inputs["x0"] != other["x0"]).any()
    assert 0 <= min(target["middle"].min(), inputs["x0"].min()) and inputs["x1"].max() <= 1


def test_an_error_in_the_data_reaches_the_loop() -> None:
    stream = batches.Batches({}, 4, SIDE, seed=0).stream(0)
    with pytest.raises(ValueError, match="a must be|empty"):
        next(stream)


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


def test_muon_moves_a_kernel_alike_in_all_directions() -> None:
    rng = np.random.default_rng(0)
    kernel, bias = keras.Variable(np.zeros((3, 3, 4, 8), np.float32)), keras.Variable(np.zeros(8, np.float32))
    scales = 10.0 ** -np.arange(8) * np.ones((3, 3, 4, 1))  # what the filters' gradients differ by
    optimizer = muon.Muon(0.01, weight_decay=None, adam_weight_decay=None)
    optimizer.apply(
        [(rng.normal(size=(3, 3, 4, 8)) * scales**0.2).astype(np.float32), np.ones(8, np.float32)], [kernel, bias]
    )
    step = keras.ops.convert_to_numpy(kernel).reshape(36, 8)
    lengths = np.linalg.svd(step, compute_uv=False)
    assert lengths.min() > 0.5 * lengths.max()  # five iterations come near to orthogonal, no nearer
    assert np.sqrt(np.mean(step**2)) == pytest.approx(0.2 * 0.01, rel=0.3)  # as large as Adam's
    np.testing.assert_allclose(keras.ops.convert_to_numpy(bias), -0.01, rtol=1e-3)


STEPS = 24


def new_run(folder: Path, optimizer: str) -> train.Run:
    film = network.build(SMALL, seed=1)
    initial.pass_through(film)
    return train.Run(film, folder, steps=STEPS, rate=3e-3, optimizer=optimizer)


def feed(videos: dict, start: int) -> Iterator[tuple[dict, dict]]:
    """The same four batches over and over: little enough to be learnt in a few steps."""
    while True:
        yield batches.Batches(videos, 4, SIDE, seed=0).batch(start % 4)
        start += 1


@pytest.mark.parametrize("optimizer", train.OPTIMIZERS)
def test_learning_goes_on_after_a_kill(videos: dict, tmp_path: Path, optimizer: str) -> None:
    whole = new_run(tmp_path / "whole", optimizer)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if whole.step == 12:  # what a run killed between here and the next checkpoint leaves
            shutil.copytree(tmp_path / "whole", tmp_path / "killed")

    train.train(whole, feed(videos, 0), lambda weights: 20.0, every=4, say=say)
    decibels = np.array(whole.history["decibels"])
    assert decibels[:, 0].tolist() == list(range(4, STEPS + 1, 4))
    assert decibels[-1, 1] < decibels[0, 1] - 0.5
    assert len(lines) == 6 and "min left" in lines[0] and "validation PSNR 20.0" in lines[0]
    assert cv2.imread(str(tmp_path / "whole" / "curves.png")) is not None
    assert checkpoint.load(tmp_path / "whole" / "weights.npz").keys() == whole.values().keys()

    resumed = new_run(tmp_path / "killed", optimizer)
    assert resumed.step == 12
    train.train(resumed, feed(videos, resumed.step), None, every=4)
    np.testing.assert_allclose(resumed.history["loss"], whole.history["loss"], rtol=1e-3)
    for name, value in whole.average.items():
        np.testing.assert_allclose(resumed.average[name], value, rtol=1e-2, atol=1e-4, err_msg=name)


def test_one_command_each_trains_exports_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write_clip(tmp_path / "train" / "one.mp4", moving(12, 96, seed=1))
    write_clip(tmp_path / "val" / "two.mp4", moving(12, 96, seed=2))

    def run(main, *options: object) -> str:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, options)])
        main()
        return capsys.readouterr().out

    data = ["--clips", tmp_path / "train", "--validate", tmp_path / "val", "--cache", tmp_path / "cache"]
    new = ["--run", tmp_path / "run", "--filters", 4, "--flow-filters", 4, 4, 4, 4]
    loop = ["--batch", 4, "--side", 64, "--every", 1, "--optimizer", "muon", "--steps"]
    command = [*data, *new, *loop]
    assert "from step 0 of 2" in run(train.main, *command, 2)
    assert "from step 2 of 3" in (said := run(train.main, *command, 3)) and "validation PSNR" in said
    assert (tmp_path / "run" / "curves.png").exists()
    exported = run(export.main, "--weights", tmp_path / "run" / "weights.npz", "--output", tmp_path / "model")
    assert "parameters in" in exported
    clips_to_score = ["--clips", tmp_path / "val", "--cache", tmp_path / "cache" / "validate"]
    scores = run(evaluate.main, "--model", tmp_path / "model", *clips_to_score, "--json", tmp_path / "scores.json")
    average, _, model = json.loads((tmp_path / "scores.json").read_text())["all clips"].values()
    assert model[0] > average[0] - 3 and "| all clips | 3 |" in scores

    grown = ["--run", tmp_path / "grown", "--init", tmp_path / "model", "--flow-filters", 4, 4, 4]
    assert "from step 0 of 1" in run(train.main, *data, *grown, 6, *loop, 1)
    with pytest.raises(SystemExit):
        run(train.main, *data, *grown, 2, *loop, 1)
    assert "cannot be grown" in capsys.readouterr().err


@needs_torch
def test_processes_share_a_batch_and_stay_alike(tmp_path: Path) -> None:
    """Two processes with half a batch each learn what one process learns from the whole of it.
    They go on from their checkpoint."""
    write_clip(tmp_path / "train" / "one.mp4", moving(12, 96, seed=1))
    sizes = ["--filters", "2", "--flow-filters", *4 * ["2"], "--fusion-filters", *4 * ["4"]]
    command = ["--clips", str(tmp_path / "train"), "--cache", str(tmp_path / "cache"), *sizes]
    command += ["--side", "64", "--every", "1", "--seed", "4", "--rate", "1e-3"]

    def run(name: str, processes: int, steps: int, batch: int = 2) -> tuple[str, np.ndarray]:
        arguments = [*command, "--run", str(tmp_path / name), "--processes", str(processes), "--steps", str(steps)]
        arguments += ["--batch", str(batch)]
        environment = os.environ | {"KERAS_BACKEND": "torch"}
        done = subprocess.run(
            [sys.executable, "-m", "training.train", *arguments],
            check=True, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        values = checkpoint.group(checkpoint.load(tmp_path / name / "checkpoint.npz"), "value")
        return done.stdout, np.concatenate([value.ravel() for value in values.values()])

    said, together = run("together", 2, 3)
    assert [line.split(",")[0] for line in said.splitlines()[1:]] == [f"step {n} of 3" for n in (1, 2, 3)]
    (_, alone), (_, half) = run("alone", 1, 3), run("half", 1, 3, batch=1)
    # Not to the digit: the flow's error is a mean over the pixels where it is known, those of a part or of the whole.
    assert np.linalg.norm(together - alone) < 0.4 * np.linalg.norm(half - alone)
    assert "from step 3 of 4" in run("together", 2, 4)[0]


def test_training_the_flow_alone_leaves_the_fusion(videos: dict, tmp_path: Path) -> None:
    film = network.build(SMALL, seed=1)
    run = train.Run(film, tmp_path, steps=10, rate=1e-3, fuse=False)
    before = run.values()
    run.advance(*batches.Batches(videos, 4, SIDE, seed=0).batch(0))
    changed = {name for name, value in run.values().items() if (value != before[name]).any()}
    assert {name.split("/")[0] for name in changed} == {"feat_net", "predict_flow"}
    assert run.average.keys() == network.variables_by_name(network.build(SMALL)).keys()


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, {"step": np.array(1)})

    def die(file, **arrays) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", die)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, {"step": np.array(2)})
    assert checkpoint.load(path)["step"] == 1


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
    methods = {"average": lambda a, b: (a + b) / 2, "DIS warping": dis.middle}
    scores = evaluate.score(evaluate.from_triplets(tmp_path / "set"), methods)
    average, warping = scores["set"]["average"], scores["set"]["DIS warping"]
    assert average[2] == warping[2] == 2
    assert warping[0] > average[0] + 3 and warping[1] > average[1]
    assert evaluate.table(scores).splitlines()[2].startswith("| set | 2 | ")
    (tmp_path / "set" / "b" / "middle.png").unlink()
    with pytest.raises(ValueError, match=r"no middle\.\*"):
        list(evaluate.from_triplets(tmp_path / "set"))


def test_any_size_is_padded_and_cropped() -> None:
    shapes = []

    def middle(x0: np.ndarray, x1: np.ndarray) -> np.ndarray:
        shapes.append(x0.shape)
        return (x0 + x1) * 0.75

    frame = moving(1, 96)[0, :70].astype(np.float32) / 255
    made = evaluate.padded(middle)(frame, frame)
    assert shapes == [(1, 128, 128, 3)]
    np.testing.assert_allclose(made, np.minimum(1.5 * frame, 1), atol=1e-6)
