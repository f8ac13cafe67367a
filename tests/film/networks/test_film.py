"""FILM's graph, as a whole against TensorFlow and in its parts against plain numpy."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as ops

import film
from film.hub import convert
from film.networks import blocks
from film.networks import film as network
from tests.conftest import moved

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def variables(reference: film.Reference) -> dict[str, np.ndarray]:
    """The small FILM's."""
    return reference.loaded().variables


@pytest.fixture(scope="module")
def architecture(variables: dict[str, np.ndarray]) -> network.Architecture:
    return network.Architecture.of(variables)


def run(outputs: list[ov.Output], inputs: dict[str, tuple[ov.Node, np.ndarray]]) -> list[np.ndarray]:
    """The values of some nodes, computed in full precision."""
    model = ov.Model([ops.result(output) for output in outputs], [node for node, _ in inputs.values()], "part")
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled([value for _, value in inputs.values()])
    return [results[k].copy() for k in range(len(outputs))]


def node(name: str, value: np.ndarray) -> tuple[ov.Node, np.ndarray]:
    """A graph input of any size, with its value."""
    return ops.parameter([1, value.shape[1], -1, -1], np.float32, name=name), value


# What the variables say


def test_the_architecture_is_read_from_the_variables(
    architecture: network.Architecture, variables: dict[str, np.ndarray]
) -> None:
    assert architecture.levels == network.PYRAMID_LEVELS == 7
    assert architecture.alignment == 64
    assert sorted(architecture.variable_names()) == sorted(variables)
    assert len(variables) == 82
    # The published FILM: a sub-pyramid of 4, predictors of their own for 3 levels, fusion over 5.
    assert (architecture.sub_levels, architecture.specialized_levels, architecture.fusion_levels) == (4, 3, 5)
    assert network.Architecture.of(variables, levels=5).alignment == 16


def test_other_variables_are_refused(variables: dict[str, np.ndarray]) -> None:
    some = next(iter(variables))
    renamed = {f"model/{name}": value for name, value in variables.items()}
    missing = {name: value for name, value in variables.items() if name != some}
    more = variables | {"another/kernel": np.zeros((3, 3, 3, 3), np.float32)}
    pair = {name: value for name, value in variables.items() if "flow_predictor_1" not in name}
    for wrong in (renamed, missing, more, pair, {}):
        with pytest.raises(ValueError, match="not FILM's") as raised:
            network.Architecture.of(wrong)
        assert "\n" not in str(raised.value)


# The whole


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 192), (192, 128)])
def test_the_graphs_equal_tensorflow(
    variables: dict[str, np.ndarray],
    architecture: network.Architecture,
    reference: film.Reference,
    height: int,
    width: int,
) -> None:
    x0, x1 = (frame[None] for frame in moved(height, width, seed=height + width))
    graphs = {
        "encoder": network.encoder(variables, architecture),
        "synthesizer": network.synthesizer(variables, architecture),
    }
    expected = reference.loaded().middle(x0, x1)
    middle = convert._run(graphs, x0, x1)
    assert middle.shape == expected.shape == (1, height, width, 3)
    assert np.abs(expected - (x0 + x1) / 2).max() > 0.05  # it is no average: the comparison says something
    np.testing.assert_allclose(middle, expected, atol=1e-5)


# The parts


def bilinear(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """(C, H, W) sampled at (x + dx, y + dy), every coordinate clamped into the image."""
    _, height, width = image.shape
    rows, columns = np.mgrid[:height, :width]
    x = np.clip(columns + flow[0].astype(np.float64), 0, width - 1)
    y = np.clip(rows + flow[1].astype(np.float64), 0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    dx, dy = x - left, y - top
    upper = image[:, top, left] * (1 - dx) + image[:, top, right] * dx
    lower = image[:, bottom, left] * (1 - dx) + image[:, bottom, right] * dx
    return upper * (1 - dy) + lower * dy


@pytest.mark.parametrize("reach", [0.0, 0.4, 3.0, 200.0])
@pytest.mark.parametrize(("height", "width"), [(12, 17), (2, 2), (33, 8), (2, 9), (1, 1), (1, 5)])
@pytest.mark.parametrize("channels", [4, blocks.WIDE], ids=["sampled", "gathered"])
def test_warping_is_bilinear_with_a_clamped_border(channels: int, height: int, width: int, reach: float) -> None:
    random = np.random.default_rng(height * width)
    image = random.random((1, channels, height, width), np.float32)
    flow = random.uniform(-reach, reach, (1, 2, height, width)).astype(np.float32)
    image_node, flow_node = node("image", image), node("flow", flow)
    warped = blocks.warp(image_node[0].output(0), flow_node[0].output(0))
    (result,) = run([warped], {"image": image_node, "flow": flow_node})
    np.testing.assert_allclose(result[0], bilinear(image[0], flow[0]), atol=2e-5)


def test_a_flow_is_horizontal_first_and_points_to_where_it_samples() -> None:
    image = np.arange(5 * 7, dtype=np.float32).reshape(1, 1, 5, 7)
    flow = np.zeros((1, 2, 5, 7), np.float32)
    flow[:, 0], flow[:, 1] = 2, -1
    image_node, flow_node = node("image", image), node("flow", flow)
    warped = blocks.warp(image_node[0].output(0), flow_node[0].output(0))
    (result,) = run([warped], {"image": image_node, "flow": flow_node})
    np.testing.assert_allclose(result[0, 0, 2, 1], image[0, 0, 1, 3], atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 1), (2, 8)])
def test_upsampling_and_convolving_is_one_transposed_convolution(height: int, width: int) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((1, 3, height, width)).astype(np.float32)
    kernel = random.standard_normal((2, 2, 3, 4)).astype(np.float32)  # HWIO
    bias = random.standard_normal(4).astype(np.float32)

    upsampled = x[0].repeat(2, axis=1).repeat(2, axis=2)
    padded = np.pad(upsampled, ((0, 0), (0, 1), (0, 1)))  # TensorFlow's "same" for an even kernel
    expected = bias[:, None, None] + sum(
        np.einsum("ihw,io->ohw", padded[:, i : i + 2 * height, j : j + 2 * width], kernel[i, j])
        for i in range(2)
        for j in range(2)
    )
    inputs = {"x": node("x", x)}
    (result,) = run([network._upsample_convolve(inputs["x"][0].output(0), kernel, bias)], inputs)
    assert result.shape == (1, 4, 2 * height, 2 * width)
    np.testing.assert_allclose(result[0], expected, atol=1e-5)


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A "same" convolution of (I, H, W) with an odd HWIO kernel."""
    rows, columns = kernel.shape[:2]
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2)))
    return sum(
        np.einsum("ihw,io->ohw", padded[:, i : i + height, j : j + width], kernel[i, j])
        for i in range(rows)
        for j in range(columns)
    )


@pytest.mark.parametrize("side", [1, 3])
def test_convolutions_are_the_same_size_and_in_tensorflows_layout(side: int) -> None:
    random = np.random.default_rng(side)
    x = random.standard_normal((1, 5, 6, 9)).astype(np.float32)
    kernel = random.standard_normal((side, side, 5, 2)).astype(np.float32)
    bias = np.array([1.0, -2.0], np.float32)
    inputs = {"x": node("x", x)}
    x_output = inputs["x"][0].output(0)
    plain, biased = run([network._convolve(x_output, kernel), network._convolve(x_output, kernel, bias)], inputs)
    np.testing.assert_allclose(plain[0], convolve(x[0], kernel), atol=1e-5)
    np.testing.assert_allclose(biased[0], convolve(x[0], kernel) + bias[:, None, None], atol=1e-5)


def test_a_convolution_of_a_concatenation_is_a_sum() -> None:
    random = np.random.default_rng(3)
    parts = [random.standard_normal((1, channels, 6, 5)).astype(np.float32) for channels in (3, 8, 3, 5, 2, 2, 6)]
    kernel = random.standard_normal((3, 3, sum(part.shape[1] for part in parts), 4)).astype(np.float32)
    bias = random.standard_normal(4).astype(np.float32)
    inputs = {f"x{k}": node(f"x{k}", part) for k, part in enumerate(parts)}
    (result,) = run([network._convolve_all([x.output(0) for x, _ in inputs.values()], kernel, bias)], inputs)
    expected = convolve(np.concatenate(parts, axis=1)[0], kernel) + bias[:, None, None]
    np.testing.assert_allclose(result[0], expected, atol=2e-5)


def test_pyramids_halve_by_averaging_and_flows_double_with_half_pixel_centres() -> None:
    x = np.random.default_rng(4).random((1, 2, 8, 12), np.float32)
    inputs = {"x": node("x", x)}
    output = inputs["x"][0].output(0)
    halved, doubled, leaky = run([network._halve(output), blocks.resize(output, 2), blocks.leaky(output)], inputs)
    np.testing.assert_allclose(halved, x.reshape(1, 2, 4, 2, 6, 2).mean(axis=(3, 5)), atol=1e-6)
    rows, columns = ((np.arange(2 * length) + 0.5) / 2 - 0.5 for length in (8, 12))
    grid = np.stack(np.meshgrid(columns, rows))
    whole = np.mgrid[:16, :24][::-1]
    # Sampling a large image whose top left is x: the flow from its own pixels to the half-pixel grid.
    large = np.pad(x[0], ((0, 0), (0, 8), (0, 12)), mode="edge")
    inside = np.clip(grid, 0, np.array([11, 7])[:, None, None])
    np.testing.assert_allclose(doubled[0], bilinear(large, inside - whole), atol=1e-5)
    np.testing.assert_allclose(leaky, x, atol=0)
    inputs = {"x": node("x", -x)}
    (leaky,) = run([blocks.leaky(inputs["x"][0].output(0))], inputs)
    np.testing.assert_allclose(leaky, -blocks.LEAK * x, atol=1e-7)
