"""The two graphs of `networks/film.py` cut at one pyramid level, for frames too large to be computed whole.

What FILM does at coarse levels sees the whole frame but is cheap; what it does at fine levels is expensive but local:
a few convolutions, and a warp by a flow that is already known. So the coarse half runs on the whole frame and
the fine half on tiles, and away from a tile's border the result is the one of the whole graph.

With the cut at level c: the **coarse encoder** takes image level c - 3 (the features of level c gather what four
image levels show at that resolution) and gives the features of levels c and up; the **coarse flow** takes those
of two frames and gives both flows at level c. The **fine encoder** and **fine synthesizer** are the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import openvino as ov
from openvino import opset9 as ops

LEVELS = (4, 5, 6)  # where the graphs may be cut; each next one needs a quarter of the memory for the coarse half


def image_level(encoder: ov.Model, level: int) -> int:
    """The image level from which the coarse encoder of a cut at `level` starts."""
    widths = {port.get_any_name(): port.get_partial_shape()[1].get_length() for port in encoder.outputs}
    terms = 1  # sub-levels gathered into one feature level: channels grow with each until all are there
    while widths.get(f"features_{terms}", 0) > widths[f"features_{terms - 1}"]:
        terms += 1
    return level - terms + 1


def coarse_encoder(encoder: ov.Model, level: int) -> ov.Model:
    """Image level `image_level` of a frame, as input `image` -> its features and own halves of `level` and up."""
    model = encoder.clone()
    parameter = ops.parameter([1, 3, -1, -1], name="image")
    parameter.output(0).get_tensor().set_names({"image"})
    source = model.output(f"image_{image_level(encoder, level)}").get_node().input_value(0)
    source.replace(parameter.output(0))
    return _restricted(model, [parameter], lambda name, i: name != "image" and i >= level)


def fine_encoder(encoder: ov.Model, level: int) -> ov.Model:
    """A tile -> everything of the encoder that the fine synthesizer of a cut at `level` needs."""
    model = encoder.clone()
    fusion_levels = 1 + max(_level(port) for port in model.outputs if _kind(port) == "image")

    def needed(name: str, i: int) -> bool:
        return i < max(level, fusion_levels) if name == "features" else i < level or name == "image"

    return _restricted(model, model.get_parameters(), needed)


def coarse_flow(synthesizer: ov.Model, level: int) -> ov.Model:
    """Features and own halves of two frames, `level` and up -> flows `forward` and `backward` at `level`."""
    model = synthesizer.clone()
    results = []
    for direction in ("forward", "backward"):
        result = ops.result(_node(model, f"{direction}_{level}"))
        result.output(0).get_tensor().set_names({direction})
        results.append(result)
    kept = [
        parameter
        for parameter in model.get_parameters()
        if _kind(parameter.output(0)) in ("features", "own") and _level(parameter.output(0)) >= level
    ]
    return ov.Model(results, kept, f"film-flow-{level}")


def fine_synthesizer(synthesizer: ov.Model, level: int) -> ov.Model:
    """What the fine encoder says of two tiles, and their flows at `level` as `forward` and `backward` -> the middle."""
    model = synthesizer.clone()
    flows = []
    for direction in ("forward", "backward"):
        parameter = ops.parameter([1, 2, -1, -1], name=direction)
        parameter.output(0).get_tensor().set_names({direction})
        _node(model, f"{direction}_{level}").replace(parameter.output(0))
        flows.append(parameter)
    used = [parameter for parameter in model.get_parameters() if parameter.output(0).get_target_inputs()]
    return ov.Model(model.get_results(), [*used, *flows], f"film-fine-{level}")


def _restricted(model: ov.Model, parameters: Iterable[ov.Node], wanted: Callable[[str, int], bool]) -> ov.Model:
    results = [result for result in model.get_results() if wanted(_kind(result.output(0)), _level(result.output(0)))]
    return ov.Model(results, list(parameters), model.get_friendly_name())


def _node(model: ov.Model, name: str) -> ov.Output:
    """The output of the node of that name. No other node stays referenced, so what a cut orphans is freed."""
    return next(node for node in model.get_ops() if node.get_friendly_name() == name).output(0)


def _kind(port: ov.Output) -> str:
    """ "features" for `first_features_3`."""
    match = re.search(r"(image|features|own)_\d+$", port.get_any_name())
    return match[1] if match else ""


def _level(port: ov.Output) -> int:
    """3 for `first_features_3`."""
    return int(port.get_any_name().rpartition("_")[2])
