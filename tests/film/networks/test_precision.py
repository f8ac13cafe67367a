"""What addresses pixels, and pictures, are computed in float32 where a device computes convolutions in bfloat16."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset9 as ops

import film
from film.engine import devices
from film.networks import blocks, compact, precision
from tests.conftest import SMALL_FILM

needs_bfloat16 = pytest.mark.skipif(not devices.has_short_floats("CPU"), reason="this processor has no bfloat16")


def run_in(graph: ov.CompiledModel) -> Iterator[tuple[str, str, str, ov.Node]]:
    """(type, precision computed in, precision of the first output, node) of what the plugin really runs."""
    for node in graph.get_runtime_model().get_ordered_ops():
        facts = {name: value.astype(str) for name, value in node.get_rt_info().items() if name != "fused_names_0"}
        yield facts["layerType"], facts["runtimePrecision"], facts["outputPrecisions"].partition(",")[0], node


def check(graph: ov.CompiledModel) -> tuple[int, int]:
    """Assert it of all that is sampled and of what says where; the numbers of convolutions in bfloat16 and float32."""
    producers = {node.get_friendly_name(): (kind, output) for kind, _, output, node in run_in(graph)}
    counts = {"bf16": 0, "f32": 0}
    for kind, computed, output, node in run_in(graph):
        if kind == "Convolution":
            counts[computed] += 1
        is_place = node.get_friendly_name().startswith(blocks.PLACE) and kind != "Reorder"
        if is_place:
            assert computed == output and output in ("f32", "i32")
        if kind == "GridSample":
            assert (computed, output) == ("f32", "f32")
        if is_place or kind == "GridSample":
            seen, todo = set(), [node if is_place else node.input_value(1).get_node()]
            while todo:  # back to the convolutions, flows have never been in bfloat16
                parent = todo.pop()
                name = parent.get_friendly_name()
                if name in seen or producers[name][0] in ("Convolution", "Deconvolution", "Input"):
                    continue
                seen.add(name)
                from_convolution = {producers[i.get_node().get_friendly_name()][0] for i in parent.input_values()}
                assert producers[name][1] != "bf16" or from_convolution <= {"Convolution", "Reorder"}, name
                todo += [i.get_node() for i in parent.input_values()]
    return counts["bf16"], counts["f32"]


@needs_bfloat16
@pytest.mark.parametrize("memory_gb", [4, 0.001], ids=["whole", "tiles"])
@pytest.mark.slow
def test_film_runs_in_the_precision_that_was_asked_for(small_film: film.Film, memory_gb: float) -> None:
    for _ in range(2):  # compiled, and read from the cache
        model = film.load(SMALL_FILM, precision="mixed", memory_gb=memory_gb)
        assert isinstance(model, film.Film)
        counts = [check(graph) for graph in model.compiled(64, 832).graphs]
        assert sum(bf16 for bf16, _ in counts) > 100 and sum(f32 for _, f32 in counts) >= 1
        of_synthesizer = run_in(model.compiled(64, 832).graphs[-1])
        assert [computed for kind, computed, *_ in of_synthesizer if kind == "Convolution"][-2:] == ["f32", "f32"]
    exact = film.load(SMALL_FILM, precision="exact", memory_gb=memory_gb)
    assert isinstance(exact, film.Film)
    for graph in exact.compiled(64, 832).graphs:
        assert "bf16" not in {computed for _, computed, _, _ in run_in(graph)}


@needs_bfloat16
@pytest.mark.training
def test_the_compact_network_runs_in_mixed_precision(tmp_path: Path) -> None:
    """Each of its graphs: flows, the mask and the picture in float32, convolutions and the costs in bfloat16."""
    pytest.importorskip("torch")
    from training.network import CompactNetwork

    variables = {name: value.numpy() for name, value in CompactNetwork().state_dict().items()}
    architecture = compact.Architecture.of(variables)
    updates = len(compact.visits(compact.LEVELS))
    choices = sum(map(len, compact.NEIGHBOURS.values()))
    for name in ("encoder", "synthesizer"):
        path = tmp_path / f"{name}.xml"
        ov.save_model(getattr(compact, name)(variables, architecture), path, compress_to_fp16=False)
        precision.mark(path)
        graph = ov.Core().read_model(path)
        if name == "encoder":
            graph.reshape([1, 3, 128, 128])
            shapes = {port.get_any_name(): list(port.shape) for port in graph.outputs}
            shapes |= {"image_0": [1, 3, 128, 128]}
        else:
            names = [port.get_any_name() for port in graph.inputs]
            graph.reshape({name: shapes.get(name.partition("_")[2], [1]) for name in names})
        compiled = ov.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
        bf16, f32 = check(compiled)
        assert bf16 > 10 and f32 == 0
        products = [one for kind, one, _, node in run_in(compiled) if node.get_friendly_name().startswith(blocks.MATCH)]
        assert set(products) == ({"bf16"} if name == "synthesizer" else set())
        softmax = [computed for kind, computed, _, _ in run_in(compiled) if kind == "Softmax"]
        assert set(softmax) <= {"f32"} and len(softmax) == (0 if name == "encoder" else updates + choices)


def test_what_addresses_pixels_is_marked_as_far_as_the_wide_convolutions() -> None:
    image, features = ops.parameter([1, 3, 8, 8], np.float32), ops.parameter([1, 16, 8, 8], np.float32)
    wide = blocks.leaky(blocks.convolve(features.output(0), np.ones((16, 16, 3, 3)), np.ones(16)))
    flow = blocks.convolve(wide, np.ones((2, 16, 1, 1)), np.ones(2))
    warped, gathered = blocks.warps([image.output(0), features.output(0)], flow)
    model = blocks.model({"middle": warped, "features": wide, "warped": gathered}, [image, features], "example")
    names = precision.float32_nodes(model)
    assert {flow.get_node().get_friendly_name(), warped.get_node().get_friendly_name()} <= names
    assert not {node.get_friendly_name() for node in (wide.get_node(), gathered.get_node(), image, features)} & names
    places = {name for node in model.get_ops() if (name := node.get_friendly_name()).startswith(blocks.PLACE)}
    assert len(places) == 6 and places <= names
    kinds = [node.get_type_name() for node in model.get_ops() if node.get_friendly_name() in names]
    assert kinds.count("Convolution") == 1 and "PRelu" not in kinds
    assert {"FloorMod", "Convert", "Maximum", "GridSample", "Add"} <= set(kinds)
