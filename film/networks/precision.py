"""Which nodes of a network's graph stay float32 where a device computes in bfloat16 or float16.

Convolutions are what takes the time, and they bear rounding. What addresses pixels does not: bfloat16 counts exactly to
256, float16 to 2048. So flows, grids, costs and their softmax, pictures, what mixes them, and the convolution
whose channels FILM's last one mixes, stay float32.

A node is marked by OpenVINO's runtime attribute `DisablePrecisionConversion`. Plugins look for it after they have
transformed the graph, and a node that is replaced on the way loses it. That happens to Subtract and Divide, to newer
versions of Interpolate, AvgPool, Pad and Softmax, to ReduceMean, and to several Slices of one tensor. The networks are
therefore written in opset 9, with Add, Multiply, Power and Gather instead.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import openvino as ov
from openvino.preprocess import PrePostProcessor

from film.networks import blocks

MARK = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:f16,bf16"}
CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData", "GroupConvolution")
# Channels of what is a picture, a mask or a flow. A convolution to so few is cheap in float32.
NARROW = 3
# Channels of two flows. What a convolution says of them may be rounded, as it was when the compact network was trained;
# what it is added to is not.
FLOWS = 4
# Features that only convolutions read, by the names of the encoders' outputs and of the synthesizers' inputs.
HANDED_OVER = re.compile(r"^(first_|last_)?(features_\d|own_\d|half$)")
# A float32 convolution of fewer channels than this behind a bfloat16 one cannot be compiled (OpenVINO 2026.4).
LEAST_INPUT = 8


def float32_nodes(model: ov.Model) -> set[str]:
    """The friendly names of the nodes to keep in float32, of a graph whose shapes need not be known.

    They are found backwards from every sampling grid and every picture, as far as the wide convolutions and the
    products of features.
    """
    rounded = _rounded(model)
    todo = []
    for node in model.get_ops():
        if node.get_type_name() == "GridSample":
            todo.append(node.input_value(1).get_node())
        if node.get_friendly_name().startswith(blocks.PLACE):
            todo.append(node)
        if node.get_type_name() in ("GridSample", "Result") and _channels(node.input_value(0)) <= NARROW:
            todo.append(node)
    names: set[str] = set()
    while todo:
        node = todo.pop()
        name = node.get_friendly_name()
        if name.startswith(blocks.MATCH) or name in names | rounded:
            continue
        if node.get_type_name() not in ("Parameter", "Constant", "ShapeOf"):
            names.add(name)
            todo += [port.get_node() for port in node.input_values()]
    return names - {result.get_friendly_name() for result in model.get_results()}


def mark(path: Path) -> None:
    """Mark these nodes in an IR file (.xml): OpenVINO's Python API cannot set the attribute on a node itself."""
    names = float32_nodes(ov.Core().read_model(path))
    tree = ElementTree.parse(path)
    for layer in tree.iterfind("layers/layer"):
        if layer.get("name") in names:
            kept = layer.find("rt_info")
            ElementTree.SubElement(
                ElementTree.SubElement(layer, "rt_info") if kept is None else kept, "attribute", MARK
            )
    tree.write(path, "utf-8", xml_declaration=True)


def handing_over_bfloat16(model: ov.Model) -> ov.Model:
    """The graph, changed: inputs and outputs that only convolutions read are bfloat16, which halves their memory."""
    processor = PrePostProcessor(model)
    for ports, tensors in ((model.inputs, processor.input), (model.outputs, processor.output)):
        for name in (port.get_any_name() for port in ports):
            if HANDED_OVER.search(name):
                tensors(name).tensor().set_element_type(ov.Type.bf16)
    return processor.build()


def _rounded(model: ov.Model) -> set[str]:
    """The wide convolutions, and what the plugin fuses into them: bias, sum and activation."""
    exact = {node.get_friendly_name() for node in map(_mixed_to_picture, model.get_results()) if node}
    wide = [node for node in model.get_ops() if node.get_type_name() in CONVOLUTIONS and _is_wide(node)]
    todo = [node for node in wide if node.get_friendly_name() not in exact]
    names: set[str] = set()
    while todo:
        node = todo.pop()
        if node.get_friendly_name() not in names:
            names.add(node.get_friendly_name())
            readers = [port.get_node() for port in node.output(0).get_target_inputs()]
            todo += [reader for reader in readers if reader.get_type_name() in ("Add", "PRelu") and not _sums(reader)]
    return names


def _sums(node: ov.Node) -> bool:
    """Whether it is a sum of flows: an Add of so few channels that adds no bias."""
    constant = "Constant" in {port.get_node().get_type_name() for port in node.input_values()}
    return node.get_type_name() == "Add" and not constant and _channels(node.output(0)) <= FLOWS


def _mixed_to_picture(result: ov.Node) -> ov.Node | None:
    """The convolution whose channels a last one of a single pixel mixes to a picture: they are the picture already."""
    last = _convolution(result.input_value(0).get_node())
    if last is None or _is_wide(last) or list(last.input_value(1).get_shape())[2:] != [1, 1]:
        return None
    return _convolution(last.input_value(0).get_node())


def _convolution(node: ov.Node) -> ov.Node | None:
    """The convolution of which this is the bias, the activation, or itself; None if there is none."""
    while node.get_type_name() in ("Add", "PRelu"):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() in CONVOLUTIONS else None


def _is_wide(convolution: ov.Node) -> bool:
    return _channels(convolution.output(0)) > NARROW or _channels(convolution.input_value(0)) < LEAST_INPUT


def _channels(output: ov.Output) -> int:
    """Of (1, C, H, W), or of what an encoder gives with its channels last."""
    _, channels, _, last = output.get_partial_shape()
    return (last if channels.is_dynamic else channels).get_length()
