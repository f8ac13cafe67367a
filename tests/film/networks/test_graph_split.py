"""The two graphs, cut at a level, compute together what they compute whole."""

import numpy as np
import openvino as ov
import pytest

import film
from film.engine.session import pad
from film.engine.tiling import _shrink
from film.networks import graph_split
from tests.conftest import moved
from tests.support.graphs import Tensors, encoded, ends, run

HEIGHT, WIDTH = 128, 192


def names(ports: list[ov.Output]) -> set[str]:
    return {port.get_any_name() for port in ports}


@pytest.fixture(scope="module")
def graphs(small_film: film.Film) -> tuple[ov.Model, ov.Model]:
    encoder, synthesizer = (ov.Core().read_model(path) for path in small_film.converted().files)
    return encoder, synthesizer


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Two frames as the graphs take them: (1, 3, H, W)."""
    return [pad(frame, (HEIGHT, WIDTH)) for frame in moved(HEIGHT, WIDTH)]


@pytest.fixture(scope="module")
def whole(graphs: tuple[ov.Model, ov.Model], frames: list[np.ndarray]) -> tuple[list[Tensors], np.ndarray]:
    """Both frames' features, and the middle, by the graphs in one piece."""
    encoder, synthesizer = graphs
    features = encoded(encoder, frames)
    (result,) = run(synthesizer, ends(*features))
    return features, result["middle"]


@pytest.mark.parametrize("level", graph_split.LEVELS)
@pytest.mark.slow
def test_the_four_graphs_are_the_two(
    graphs: tuple[ov.Model, ov.Model], frames: list[np.ndarray], whole: tuple[list[Tensors], np.ndarray], level: int
) -> None:
    encoder, synthesizer = graphs
    features, middle = whole
    factor = 2 ** graph_split.image_level(encoder, level)

    coarse_encoder, coarse_flow, fine_encoder, fine_synthesizer = graph_split.split(encoder, synthesizer, level)
    coarse = run(coarse_encoder, *({"image": _shrink(frame, factor)} for frame in frames))
    fine = encoded(fine_encoder, frames)
    for part in (coarse, fine):
        for tensors, expected in zip(part, features, strict=True):
            for name, value in tensors.items():
                np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)

    (flows,) = run(coarse_flow, ends(*coarse))
    assert {name: flow.shape for name, flow in flows.items()} == dict.fromkeys(
        (f"forward_{level}", f"backward_{level}"), (1, 2, HEIGHT >> level, WIDTH >> level)
    )
    still = {name: np.zeros_like(flow) for name, flow in flows.items()}
    moving, stopped = run(fine_synthesizer, ends(*fine) | flows, ends(*fine) | still)
    assert set(moving) == {"middle"}
    np.testing.assert_allclose(moving["middle"], middle, atol=1e-5)
    assert np.abs(stopped["middle"] - middle).max() > 1e-3  # the flows matter: without them it is another picture


@pytest.mark.parametrize("level", graph_split.LEVELS)
def test_nothing_is_computed_in_vain(graphs: tuple[ov.Model, ov.Model], level: int) -> None:
    """What one of the encoders gives is what its synthesizer takes, all of it and nothing else."""
    before = [names(graph.outputs) | names(graph.inputs) for graph in graphs]
    parts = graph_split.split(*graphs, level)
    of_fine = {f"forward_{level}", f"backward_{level}", "first_image_0", "last_image_0"}
    for encoder, reader, others in ((*parts[:2], set()), (*parts[2:], of_fine)):
        assert names(encoder.inputs) == {"image"}
        given = {f"{end}_{name}" for end in ("first", "last") for name in names(encoder.outputs)}
        assert names(reader.inputs) == given | others
    assert [names(graph.outputs) | names(graph.inputs) for graph in graphs] == before  # the originals stay whole


def test_a_cut_starts_as_many_image_levels_above_as_the_extractor_gathers(graphs: tuple[ov.Model, ov.Model]) -> None:
    """Channels of the feature levels grow until every sub-level is there."""

    def encoder(*widths: int) -> ov.Model:
        image = ov.opset15.parameter([1, -1, -1, 3], np.float32, name="image")
        results = []
        for i, width in enumerate(widths):
            for name in (f"own_{i}", f"features_{i}"):
                results.append(ov.opset15.result(ov.opset15.concat([image] * width, 3)))
                results[-1].output(0).get_tensor().set_names({name})
        return ov.Model(results, [image], "encoder")

    levels = [graph_split.image_level(graphs[0], level) for level in graph_split.LEVELS]
    assert levels == [1, 2, 3]  # it gathers four
    assert graph_split.image_level(encoder(1, 1, 1, 1, 1, 1, 1), 5) == 5
    assert graph_split.image_level(encoder(1, 3, 3, 3, 3, 3, 3), 5) == 4
    assert graph_split.image_level(encoder(1, 3, 7, 15, 31, 31, 31), 6) == 2
