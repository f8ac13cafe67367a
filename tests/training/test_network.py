"""The network to train: its functions, what it starts from, what is exported of it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.training_cases import ROOT, SMALL, needs_torch, pair

# isort: split
import tensorflow as tf

from training import export, initial, network, train

pytestmark = pytest.mark.training


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": 0},
        {"flow_filters": (4,)},
        {"flow_filters": (4, 4, 4, 4)},
        {"flow_filters": (1, 4)},
        {"fusion_filters": ()},
        {"fusion_filters": (4, 4, 4)},
        {"fusion_filters": (4, 0)},
    ],
)
def test_sizes_of_no_network_are_refused(wrong: dict) -> None:
    """Those just within build a network."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; it takes"):
        replace(SMALL, **wrong)


def test_the_smallest_network_can_be_built() -> None:
    film = network.build(replace(SMALL, filters=1, flow_filters=(2, 2, 2), fusion_filters=(1,)))
    assert film(pair(32, 48))["image"].shape == (1, 32, 48, 3)


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
    for wrong in (*fewer, replace(SMALL, flow_filters=(4, 6, 6)), replace(SMALL, sub_levels=1)):
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
    whole = tmp_path / "other.npz"
    np.savez(whole, step=np.arange(1000))
    (tmp_path / "run").mkdir()
    np.save(tmp_path / "array.npy", np.zeros(3))
    content = whole.read_bytes()
    for name, wrong in (
        ("empty.npz", b""),
        ("half.npz", content[: len(content) // 2]),
        ("damaged.npz", content[:2000] + b"damage" + content[2006:]),
    ):
        (tmp_path / name).write_bytes(wrong)
    for name in ("missing.npz", "other.npz", "run", "array.npy", "empty.npz", "half.npz", "damaged.npz"):
        with pytest.raises(ValueError, match=f"{name} holds no network"):
            initial.read(tmp_path / name)


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


def test_export_replaces_nothing_but_a_model(tmp_path: Path) -> None:
    """It says so before it looks at the network."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.npz").write_bytes(b"hours of training")
    for wrong in (run, run / "checkpoint.npz"):
        with pytest.raises(ValueError, match="checkpoint.npz.* name another --output"):
            export.export(None, wrong)
    assert (run / "checkpoint.npz").read_bytes() == b"hours of training"
