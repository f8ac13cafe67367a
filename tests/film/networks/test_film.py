"""FILM's graph against TensorFlow, and warping against plain numpy."""

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
    return reference.loaded().variables


@pytest.fixture(scope="module")
def architecture(variables: dict[str, np.ndarray]) -> network.Architecture:
    return network.Architecture.of(variables)


def warped(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """By the operation of the graphs."""
    inputs = [ops.parameter([1, value.shape[1], -1, -1], np.float32) for value in (image, flow)]
    output = blocks.warp(*(node.output(0) for node in inputs))
    return ov.compile_model(ov.Model([output], inputs), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([image, flow])[0]


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


@pytest.mark.slow
def test_the_graphs_equal_tensorflow(
    variables: dict[str, np.ndarray], architecture: network.Architecture, reference: film.Reference
) -> None:
    x0, x1 = (frame[None] for frame in moved(64, 192))
    graphs = {
        "encoder": network.encoder(variables, architecture),
        "synthesizer": network.synthesizer(variables, architecture),
    }
    expected = reference.loaded().at(x0, x1, 0.5)
    assert np.abs(expected - (x0 + x1) / 2).max() > 0.05  # it is no average: the comparison says something
    np.testing.assert_allclose(convert._run(graphs, x0, x1), expected, atol=1e-5)


def bilinear(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """(C, H, W) sampled at (x + dx, y + dy), every coordinate clamped into the image; a flow is horizontal first."""
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


@pytest.mark.parametrize("reach", [0.4, 3.0, 200.0])
@pytest.mark.parametrize(("height", "width"), [(12, 17), (2, 9), (1, 1), (1, 5)])
@pytest.mark.parametrize("channels", [4, blocks.WIDE], ids=["sampled", "gathered"])
def test_warping_is_bilinear_with_a_clamped_border(channels: int, height: int, width: int, reach: float) -> None:
    random = np.random.default_rng(height * width)
    image = random.random((1, channels, height, width), np.float32)
    flow = random.uniform(-reach, reach, (1, 2, height, width)).astype(np.float32)
    np.testing.assert_allclose(warped(image, flow)[0], bilinear(image[0], flow[0]), atol=2e-5)


def test_what_is_doubled_is_resized() -> None:
    x = ops.parameter([1, 2, -1, -1], np.float32)
    outputs = [blocks.resize(x.output(0), 2.0), blocks.unfold(blocks.doubled(x.output(0)))]
    for height, width in ((5, 7), (1, 3)):
        pixels = np.random.default_rng(0).random((1, 2, height, width), np.float32)
        resized, doubled = ov.compile_model(ov.Model(outputs, [x]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(
            [pixels]
        ).values()
        np.testing.assert_allclose(doubled, resized, atol=1e-6)
