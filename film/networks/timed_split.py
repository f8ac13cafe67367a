"""The two graphs of a network that makes any moment, cut at its coarse flow, for frames too large to be computed whole.

What such a network does at coarse levels sees the whole frame but is cheap; what it does at fine levels is expensive
but local. The synthesizer names the tensors that lead from the one to the other `cut_...`; they are a constant number
of times smaller than the frame. The **coarse encoder** gives what the **coarse flow** needs of each frame, which gives
the tensors of the cut for the whole frame; the **fine encoder** and **fine synthesizer** make the frame from tiles of
the frames and of these tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import openvino as ov
from openvino import opset9 as ops

PREFIX = "cut_"
FLOW = "cut_flow"  # so begin those whose first four channels are flows to both photos, in their own pixels; they add up


def coarse_encoder(encoder: ov.Model, synthesizer: ov.Model) -> ov.Model:
    """A whole frame -> what the coarse flow needs of it."""
    return _encoder(encoder, coarse_flow(synthesizer))


def fine_encoder(encoder: ov.Model, synthesizer: ov.Model) -> ov.Model:
    """A tile -> what the fine synthesizer needs of it."""
    return _encoder(encoder, fine_synthesizer(synthesizer))


def coarse_flow(synthesizer: ov.Model) -> ov.Model:
    """What the coarse encoder says of two frames, and the time -> the tensors of the cut, by name."""
    model = synthesizer.clone()
    results = []
    for name, output in _cut(model):
        result = ops.result(output)
        result.output(0).get_tensor().set_names({name})
        results.append(result)
    return ov.Model(results, _reached(results, model.get_parameters()), "coarse-flow")


def fine_synthesizer(synthesizer: ov.Model) -> ov.Model:
    """What the fine encoder says of two tiles, the time, and the tiles' part of the tensors of the cut -> the frame."""
    model = synthesizer.clone()
    cut = []
    for name, output in _cut(model):
        parameter = ops.parameter(output.get_partial_shape(), name=name)
        parameter.output(0).get_tensor().set_names({name})
        output.replace(parameter.output(0))
        cut.append(parameter)
    results = model.get_results()
    return ov.Model(results, [*_reached(results, model.get_parameters()), *cut], "fine-synthesizer")


def _cut(model: ov.Model) -> list[tuple[str, ov.Output]]:
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    return [(name, node.output(0)) for name, node in sorted(nodes.items()) if name.startswith(PREFIX)]


def _encoder(encoder: ov.Model, reader: ov.Model) -> ov.Model:
    """The encoder with only those outputs that `reader` has inputs for."""
    model = encoder.clone()
    read = {port.get_any_name().partition("_")[2] for port in reader.inputs}
    wanted: Callable[[ov.Node], bool] = lambda result: result.output(0).get_any_name() in read  # noqa: E731
    return ov.Model(list(filter(wanted, model.get_results())), model.get_parameters(), "part-of-encoder")


def _reached(results: list[ov.Node], parameters: list[ov.Node]) -> list[ov.Node]:
    """The parameters that the results depend on."""
    seen: set[str] = set()
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        for port in node.inputs():
            source = port.get_source_output().get_node()
            if source.get_friendly_name() not in seen:
                seen.add(source.get_friendly_name())
                waiting.append(source)
    return [parameter for parameter in parameters if parameter.get_friendly_name() in seen]
