"""The two graphs of a network cut at its coarse flow, for frames too large to be computed whole.

What such a network does at coarse levels sees the whole frame but is cheap; what it does at fine levels is expensive
but local: a few convolutions, and warps by a flow that is almost known. So the coarse half runs on the whole frame and
the fine half on tiles, and away from a tile's border the result is the one of the whole graph.

The **coarse encoder** gives what the **coarse flow** needs of each frame, which gives the tensors of the cut for the
whole frame; the **fine encoder** and **fine synthesizer** make the frame from tiles of the frames and of these tensors,
which are a constant number of times smaller than the frame.

The synthesizers of networks that make any moment name the tensors of their one cut `cut_...`. FILM may be cut at
several pyramid levels: its tensors are both flows of that level. Its features of level c gather what `terms` image
levels show at that resolution, so its coarse encoder starts from image level c - terms + 1.
"""

from __future__ import annotations

import openvino as ov
from openvino import opset9 as ops

LEVELS = (4, 5, 6)  # where FILM may be cut; each next one needs a quarter of the memory for the coarse half
PREFIX = "cut_"
FLOW = "cut_flow"  # so begin those whose first four channels are flows to both photos, in their own pixels; they add up


def image_level(encoder: ov.Model, level: int) -> int:
    """The level of the image from which the coarse encoder of a cut at `level` starts; 0 is the frame itself."""
    shapes = {port.get_any_name(): port.get_partial_shape() for port in encoder.outputs}
    if "own_0" not in shapes:  # not FILM's
        return 0
    widths = {name: shape[3].get_length() for name, shape in shapes.items() if name.startswith("features_")}
    terms = 1  # sub-levels gathered into one feature level: channels grow with each until all are there
    while widths.get(f"features_{terms}", 0) > widths[f"features_{terms - 1}"]:
        terms += 1
    return level - terms + 1


def split(encoder: ov.Model, synthesizer: ov.Model, level: int) -> tuple[ov.Model, ov.Model, ov.Model, ov.Model]:
    """Coarse encoder, coarse flow, fine encoder and fine synthesizer; `level` is FILM's.

    An encoder's input is `image`, `image_level` of the frame or a tile; what it gives is what its reader takes, under
    the names it has in the whole graphs, and beside the time, the frames and the tensors of the cut that is all.
    """
    flow, fine = _coarse_flow(synthesizer, level), _fine_synthesizer(synthesizer, level)
    return _encoder(encoder, flow, image_level(encoder, level)), flow, _encoder(encoder, fine), fine


def _coarse_flow(synthesizer: ov.Model, level: int) -> ov.Model:
    model = synthesizer.clone()
    results = []
    for name, output in _cut(model, level):
        result = ops.result(output)
        result.output(0).get_tensor().set_names({name})
        results.append(result)
    return ov.Model(results, _reached(results, model.get_parameters()), "coarse-flow")


def _fine_synthesizer(synthesizer: ov.Model, level: int) -> ov.Model:
    model = synthesizer.clone()
    cut = []
    for name, output in _cut(model, level):
        parameter = ops.parameter(output.get_partial_shape(), name=name)
        parameter.output(0).get_tensor().set_names({name})
        output.replace(parameter.output(0))
        cut.append(parameter)
    results = model.get_results()
    return ov.Model(results, [*_reached(results, model.get_parameters()), *cut], "fine-synthesizer")


def _cut(model: ov.Model, level: int) -> list[tuple[str, ov.Output]]:
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    names = sorted(name for name in nodes if name.startswith(PREFIX)) or [f"backward_{level}", f"forward_{level}"]
    return [(name, nodes[name].output(0)) for name in names]


def _encoder(encoder: ov.Model, reader: ov.Model, level: int = 0) -> ov.Model:
    """The encoder from that image level, with only those outputs that `reader` has inputs for."""
    model = encoder.clone()
    parameters = model.get_parameters()
    read = {port.get_any_name().partition("_")[2] for port in reader.inputs}
    if level:
        parameters = [ops.parameter([1, 3, -1, -1], name="image")]
        parameters[0].output(0).get_tensor().set_names({"image"})
        model.output(f"image_{level}").get_node().input_value(0).replace(parameters[0].output(0))
    results = [result for result in model.get_results() if result.output(0).get_any_name() in read]
    return ov.Model(results, parameters, "part-of-encoder")


def _reached(results: list[ov.Node], parameters: list[ov.Node]) -> list[ov.Node]:
    """The parameters that the results depend on."""
    seen: set[str] = set()
    waiting = list(results)
    while waiting:
        for port in waiting.pop().inputs():
            source = port.get_source_output().get_node()
            if source.get_friendly_name() not in seen:
                seen.add(source.get_friendly_name())
                waiting.append(source)
    return [parameter for parameter in parameters if parameter.get_friendly_name() in seen]
