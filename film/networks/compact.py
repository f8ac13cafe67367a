"""The compact network as two OpenVINO graphs: any moment between two photos in one call.

Coarse to fine, an update, twice at each level coarser than 1/16, refines the flows from the frame that is made to both
photos. It sees the features of both photos, fetched along the flows so far, and how well they match about each
pixel: a cost volume centred on the frame that is made. At 1/8 and 1/4 each pixel then takes the flow of the neighbour
along which both photos match best. A last step at half size gives full-size flows and a mask; the frame is both photos
fetched along the flows, mixed by the mask. `training/network.py` is the same network in PyTorch,
and says where its ideas come from.

The **encoder** is what depends on one photo alone, run once per photo; the **synthesizer** takes what it says of two,
and the time wanted. Variables carry the names and the OIHW layout that they have in PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import openvino as ov
from openvino import opset1
from openvino import opset9 as ops

from film.networks import blocks, cost_volume
from film.networks.blocks import Tensor, Variables

LEVELS = 5  # of the flows: 1/4, 1/8, ... 1/64
VISITS = 2  # updates at each level coarser than ONCE
ONCE = 2  # 1/16, the coarsest level with one update
CUT = 0  # the level whose input from coarser ones is where the graph may be cut, see `graph_split.py`
CROSS = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]  # the pixel itself, and its neighbours: rows, columns
SQUARE = [*CROSS, (1, 1), (1, -1), (-1, 1), (-1, -1)]
# By level (0 is 1/4), how far the neighbours are in pixels, and which: what a pixel may take its flow from, in order.
NEIGHBOURS = {1: [(2, SQUARE), (1, SQUARE)], 0: [(2, CROSS)]}
DECISION = 30.0  # sharpness of the softmax over their matches, which lie in [-1, 1]
OWN = 0.02  # by which a pixel's own flow counts as the better match
FLOW_SCALE = 0.1
DIFFERENT = 1e5  # times the squared difference of two photos: from 1 of 255 on they differ


@dataclass(frozen=True)
class Architecture:
    """Sizes that follow from the variables."""

    half: int  # channels at 1/2
    quarter: int  # at 1/4 and coarser
    matching: int  # of what is compared
    context: int
    levels: int = LEVELS

    @property
    def alignment(self) -> int:
        """Height and width must be multiples of this, so that every level halves exactly."""
        return 2 ** (self.levels + 1)

    @classmethod
    def of(cls, variables: Variables, levels: int = LEVELS) -> Architecture:
        """ValueError if they are no compact network's."""
        try:
            half, quarter, matching, leave = (
                variables[f"{name}.bias"].size
                for name in ("extractor.half_0", "extractor.quarter_0", "extractor.matching", "coarse_update.leave")
            )
        except KeyError as error:
            raise ValueError(f"These {len(variables)} variables are not the compact network's: no {error}.") from None
        return cls(half, quarter, matching, leave - 4, levels)


def visits(levels: int) -> list[tuple[int, int]]:
    """(level, number of the visit, from 0), in the order of the updates."""
    return [(level, visit) for level in reversed(range(levels)) for visit in range(VISITS if level > ONCE else 1)]


def encoder(variables: Variables, architecture: Architecture) -> ov.Model:
    """Input `image` (1, 3, H, W) in [0, 1]. Outputs: `half` (1, H/2, W/2, C), and of each level, finest first,
    `features_i`, and `unit_i` where flows of neighbours are compared: (1, H_i, W_i, C) with H_i = H >> i + 2."""
    image = ops.parameter([1, 3, -1, -1], np.float32, name="image")
    x = ops.add(image, blocks.constant(-0.5)).output(0)
    x = _conv(_conv(x, variables, "extractor.half_0", 2), variables, "extractor.half_1")
    outputs = {"half": blocks.channels_last(x)}
    for i in range(architecture.levels):
        name = "coarse" if i else "quarter"
        x = _conv(_conv(x, variables, f"extractor.{name}_0", 2), variables, f"extractor.{name}_1")
        outputs[f"features_{i}"] = features = blocks.channels_last(x)
        if i in NEIGHBOURS:
            outputs[f"unit_{i}"] = _compared(features, variables)
    return blocks.model(outputs, [image], "compact-encoder")


def synthesizer(variables: Variables, architecture: Architecture) -> ov.Model:
    """Inputs: the encoder's input and outputs for both photos, prefixed `first_` and `last_`, the input as `image_0`;
    and `time` (1,) in (0, 1). Output `middle` (1, 3, H, W), the frame at that time."""
    time = ops.parameter([1], np.float32, name="time")
    parameters = [time]
    shapes = {"half": architecture.half}
    for i in range(architecture.levels):
        shapes[f"features_{i}"] = architecture.quarter
        if i in NEIGHBOURS:
            shapes[f"unit_{i}"] = architecture.matching

    def photo(prefix: str) -> dict[str, Tensor]:
        image = ops.parameter([1, 3, -1, -1], np.float32, name=f"{prefix}_image_0")
        new = {key: ops.parameter([1, -1, -1, c], np.float32, name=f"{prefix}_{key}") for key, c in shapes.items()}
        parameters.extend([image, *new.values()])
        return {"image_0": image.output(0)} | {key: node.output(0) for key, node in new.items()}

    first, last = photo("first"), photo("last")
    moment = _Moment(time.output(0), cost_volume.shifts(time.output(0)))
    state: _State | None = None
    for i, visit in visits(architecture.levels):
        one, two = (end[f"features_{i}"] for end in (first, last))
        if state:
            if i == CUT:
                state.flow.get_node().set_friendly_name("cut_flow")
                state.context.get_node().set_friendly_name("cut_context")
            if visit == 0:
                state = _State(_finer(state.flow), blocks.resize(state.context, 2.0))
            one = blocks.fetch(one, blocks.channels(state.flow, 0, 2))
            two = blocks.fetch(two, blocks.channels(state.flow, 2, 4))
        state = _update(one, two, state, moment, variables, "coarse_update" if i else "update")
        for distance, neighbours in NEIGHBOURS.get(i, []):
            flow = _chosen(first[f"unit_{i}"], last[f"unit_{i}"], state.flow, distance, neighbours)
            state = state._replace(flow=flow)
    assert state
    *flows, mask = _head(first, last, state, moment.time, variables)
    warped = [blocks.warp(end["image_0"], flow, mode="bicubic") for end, flow in zip((first, last), flows, strict=True)]
    return blocks.model({"middle": blocks.mixed(ops.sigmoid(mask), *warped)}, parameters, "compact-synthesizer")


class _Moment(NamedTuple):
    """The time that is wanted, (1,), and `cost_volume.shifts` of it."""

    time: Tensor
    shifts: list[ov.Node]


class _State(NamedTuple):
    """What is known so far of a level's pixels."""

    flow: Tensor  # (1, 4, H, W): to both photos
    context: Tensor  # (1, C, H, W)


def _finer(flow: Tensor) -> Tensor:
    """Flows (1, 4, H, W) as the next finer level has them, (1, 4, 2H, 2W) in its pixels."""
    return blocks.unfold(blocks.doubled(blocks.scale(flow, 2.0)))


def _conv(x: Tensor, variables: Variables, name: str, stride: int = 1) -> Tensor:
    return blocks.leaky(blocks.convolve(x, *blocks.layer(variables, name), stride))


def _residual(x: Tensor, variables: Variables, name: str) -> Tensor:
    inner = blocks.convolve(_conv(x, variables, f"{name}.first"), *blocks.layer(variables, f"{name}.second"))
    return blocks.leaky(ops.add(x, inner).output(0))


def _moving(first: Tensor, last: Tensor) -> Tensor:
    """1 where the photos differ within some 18 pixels, 0 where they are equal, (1, 1, H/2, W/2): what does not move
    stays exactly as it is."""
    difference = ops.add(first, blocks.scale(last, -1.0))
    square = ops.multiply(difference, difference).output(0)
    red, green, blue = (blocks.channels(square, n, n + 1) for n in range(3))
    different = ops.add(ops.add(red, green), blue)
    different = ops.avg_pool(different, [4, 4], [0, 0], [0, 0], [4, 4], exclude_pad=False)
    for pad, sides in (([4, 0], [9, 1]), ([0, 4], [1, 9])):
        different = ops.avg_pool(different, [1, 1], pad, pad, sides, exclude_pad=False)
    gate = ops.clamp(blocks.scale(different.output(0), DIFFERENT), 0.0, 1.0).output(0)
    return blocks.unfold(blocks.doubled(gate))


def _compared(features: Tensor, variables: Variables) -> Tensor:
    """What is compared of features (1, H, W, C), freed of its mean over the channels and scaled to unit length. A
    linear function of each pixel comes first: of warped features it is what warping it would give."""
    kernel, bias = (part - part.mean(0) for part in blocks.layer(variables, "extractor.matching"))  # gives no mean
    weights = ops.constant(np.ascontiguousarray(kernel[:, :, 0, 0].T, np.float32))
    x = ops.add(ops.matmul(features, weights, False, False), blocks.constant(bias))
    squares = ops.add(ops.reduce_sum(ops.multiply(x, x), ops.constant([3]), True), blocks.constant(1e-4))
    return ops.multiply(x, ops.power(squares, blocks.constant(-0.5))).output(0)


def _update(
    first: Tensor,
    last: Tensor,
    state: _State | None,
    moment: _Moment,
    variables: Variables,
    name: str,
) -> _State:
    """The next state; at the coarsest level there is none yet. `first` and `last` (1, H, W, C): each photo's features,
    from where the frame that is made sees them."""
    costs, motion = cost_volume.matches(_compared(first, variables), _compared(last, variables), moment.shifts)
    leave, leave_bias = blocks.layer(variables, f"{name}.leave")
    kernel, bias = blocks.layer(variables, f"{name}.enter")
    quarter = first.get_partial_shape()[3].get_length()
    widths = [quarter, quarter, cost_volume.COSTS, 4, 2, len(leave) - 4, 1]
    of_first, of_last, of_costs, of_flow, of_motion, of_context, of_time = np.split(kernel, np.cumsum(widths)[:-1], 1)
    read = [(blocks.channels_first(first), of_first), (blocks.channels_first(last), of_last), (costs, of_costs)]
    narrow = [(motion, of_motion), (blocks.plane(moment.time, motion), of_time)]
    if state:
        read.append((state.context, of_context))
        narrow.append((state.flow, of_flow * FLOW_SCALE))
    tensors, kernels = zip(*narrow, strict=True)
    read.append((blocks.concat(tensors), np.concatenate(kernels, 1)))
    x = blocks.leaky(_convolve_each(read, bias))
    n = 0
    while f"{name}.blocks.{n}.first.weight" in variables:
        x = _residual(x, variables, f"{name}.blocks.{n}")
        n += 1
    back = ops.multiply(moment.time, blocks.constant(-2))
    shares = ops.concat([back, back, *[ops.add(back, blocks.constant(2))] * 2], 0)
    proposed = ops.multiply(blocks.concat([motion, motion]), ops.reshape(shares, ops.constant([1, 4, 1, 1]), False))
    flow = ops.add(blocks.convolve(x, leave[:4], leave_bias[:4]), proposed).output(0)
    flow = ops.add(state.flow, flow).output(0) if state else flow
    return _State(flow, blocks.leaky(blocks.convolve(x, leave[4:], leave_bias[4:])))


def _chosen(first: Tensor, last: Tensor, flow: Tensor, distance: int, neighbours: list[tuple[int, int]]) -> Tensor:
    """The flow (1, 4, H, W) of that neighbour along which both photos match best: see `training.network.chosen`.
    `first` and `last` are unit features (1, H, W, C)."""
    moved = [
        blocks.shifted(blocks.shifted(flow, 2, row * distance), 3, column * distance) for row, column in neighbours
    ]
    flows = ops.concat(moved, 0).output(0)
    seen = [blocks.nearest(x, blocks.channels(flows, n, n + 2)) for n, x in ((0, first), (2, last))]
    matches = ops.reduce_sum(ops.multiply(*seen), ops.constant([4]), False)  # (candidates, 1, H, W)
    own = [OWN if (row, column) == (0, 0) else 0.0 for row, column in neighbours]
    matches = ops.add(matches, blocks.constant(np.reshape(own, (-1, 1, 1, 1))))
    margin = ops.constant([0, 0, 1, 1])
    matches = ops.avg_pool(ops.pad(matches, margin, margin, "edge"), [1, 1], [0, 0], [0, 0], [3, 3], exclude_pad=False)
    weights = opset1.softmax(blocks.scale(matches.output(0), DECISION), 0)
    return ops.reduce_sum(ops.multiply(flows, weights), ops.constant([0]), True).output(0)


def _convolve_each(read: list[tuple[Tensor, np.ndarray]], bias: np.ndarray) -> Tensor:
    """The convolution of a concatenation, each tensor with its part of the kernel: to be concatenated, what lies
    differently in memory would be copied."""
    first, *others = (blocks.convolve(tensor, kernel) for tensor, kernel in read)
    for other in others:
        first = ops.add(first, other).output(0)
    return blocks.add_bias(first, bias)


def _head(
    first: Mapping[str, Tensor], last: Mapping[str, Tensor], state: _State, time: Tensor, variables: Variables
) -> list[Tensor]:
    """Of the full size: flows to both photos, (1, 2, H, W) each, and the mask's logits (1, 1, H, W)."""
    flow = _finer(state.flow)  # at 1/2
    near = [blocks.fetch(end["half"], blocks.channels(flow, n, n + 2)) for n, end in ((0, first), (2, last))]
    kernel, bias = blocks.layer(variables, "head.enter")
    scales = np.ones((1, kernel.shape[1], 1, 1), np.float32)
    scales[:, -5:-1] = FLOW_SCALE
    tensors = [*map(blocks.channels_first, near), blocks.concat([flow, blocks.plane(time, flow)])]
    width = near[0].get_partial_shape()[3].get_length()
    x = _convolve_each(list(zip(tensors, np.split(kernel * scales, [width, 2 * width], 1), strict=True)), bias)
    seen = blocks.resize(blocks.convolve(state.context, *blocks.layer(variables, "head.context")), 2.0)
    x = _residual(blocks.leaky(ops.add(x, seen).output(0)), variables, "head.block")
    moving = _moving(first["image_0"], last["image_0"])
    x = blocks.convolve(x, *blocks.layer(variables, "head.leave"))
    parts = [ops.multiply(blocks.channels(x, *part), moving).output(0) for part in ((0, 8), (8, 16), (16, 20))]
    flow = ops.multiply(flow, blocks.scale(moving, 2.0)).output(0)
    for n in range(2):
        parts[n] = ops.add(blocks.doubled(blocks.channels(flow, 2 * n, 2 * n + 2)), parts[n]).output(0)
    return [blocks.unfold(part) for part in parts]
