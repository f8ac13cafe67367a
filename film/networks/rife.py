"""RIFE 4.25 as two OpenVINO graphs, built from its variables: any moment between two photos in one call.

Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation" (ECCV 2022, arXiv 2011.06294), in
the form of its release 4.25: five blocks, from a sixteenth of the size to the full one, each correct the flows from the
frame that is made to both photos. The **encoder** is the head that looks at one photo; the **synthesizer** is the rest.

A block reads the photos, warped along the flows so far and then shrunk. What shrinking looks at is a part of the warped
photo, so only that part is warped here (`_warped`); and enlarging by 16 to shrink by 8 is enlarging by 2 (`_enlarged`).
Both are exact. Variables carry the names and layouts that they have in PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset9 as ops

from film.networks import blocks
from film.networks.blocks import Tensor, Variables

SCALES = (16, 8, 4, 2, 1)  # of the five blocks
CUT = 3  # the block before which the graph may be cut, see `graph_split.py`
FEATURES = 4  # channels of the head
OUTPUTS = 13  # channels of a block: four of flow, one of the mask, eight that only the next block reads


@dataclass(frozen=True)
class Architecture:
    """What the graphs need of the frames."""

    alignment: int = 64  # the coarsest block halves a sixteenth twice; the reference program pads to 128

    @classmethod
    def of(cls, variables: Variables) -> Architecture:
        """ValueError if the variables are not those of RIFE 4.25."""
        needed = {f"block{n}.lastconv.0.weight" for n in range(len(SCALES))} | {"encode.cnn3.weight"}
        if missing := sorted(needed - set(variables)):
            raise ValueError(f"These {len(variables)} variables are not RIFE's: no {missing[0]}.")
        if "block5.lastconv.0.weight" in variables or variables["block0.lastconv.0.weight"].shape[1] != 4 * OUTPUTS:
            raise ValueError("These variables are of another release of RIFE than 4.25.")
        return cls()


def encoder(variables: Variables, architecture: Architecture) -> ov.Model:
    """Input `image` (1, 3, H, W) in [0, 1] -> `features` (1, 4, H, W)."""
    image = ops.parameter([1, 3, -1, -1], np.float32, name="image")
    x = image.output(0)
    for n in range(3):
        x = blocks.leaky(blocks.convolve(x, *blocks.layer(variables, f"encode.cnn{n}"), 1 if n else 2))
    return blocks.model({"features": _enlarging(x, variables, "encode.cnn3")}, [image], "rife-encoder")


def synthesizer(variables: Variables, architecture: Architecture) -> ov.Model:
    """Inputs: both photos as `first_image_0` and `last_image_0`, what the encoder says of them as `first_features` and
    `last_features`, and `time` (1,) in (0, 1). Output `middle` (1, 3, H, W), the frame at that time."""
    time = ops.parameter([1], np.float32, name="time")
    parameters = [time]
    ends: list[Tensor] = []  # of either photo, its colours and features in one: (1, 7, H, W)
    images: list[Tensor] = []
    for prefix in ("first", "last"):
        image = ops.parameter([1, 3, -1, -1], np.float32, name=f"{prefix}_image_0")
        features = ops.parameter([1, FEATURES, -1, -1], np.float32, name=f"{prefix}_features")
        parameters += [image, features]
        images.append(image.output(0))
        ends.append(blocks.concat([image.output(0), features.output(0)]))

    made: list[tuple[int, Tensor]] = []  # what each block said, at its scale
    for n, scale in enumerate(SCALES):
        if n == CUT:
            for coarser, output in made:
                output.get_node().set_friendly_name(f"cut_flow_{coarser}")
        if made:
            flow = _flow(made, 1)
            seen = [_warped(end, blocks.channels(flow, k, k + 2), scale) for k, end in ((0, ends[0]), (2, ends[1]))]
            coarser, output = made[-1]
            read = [
                blocks.plane(time.output(0), seen[0]),
                blocks.channels(_enlarged(output, coarser // scale), 4, OUTPUTS),
            ]
            read.append(_flow(made, scale))
        else:
            seen = [blocks.resize(end, 1 / scale) for end in ends]
            read = [blocks.plane(time.output(0), seen[0])]
        colours = [blocks.channels(end, 0, 3) for end in seen]
        features = [blocks.channels(end, 3, 3 + FEATURES) for end in seen]
        made.append((scale, _block(blocks.concat([*colours, *features, *read]), variables, f"block{n}")))

    flow, mask = _flow(made, 1), ops.sigmoid(blocks.channels(made[-1][1], 4, 5))
    warped = [blocks.warp(image, blocks.channels(flow, k, k + 2)) for k, image in ((0, images[0]), (2, images[1]))]
    return blocks.model({"middle": blocks.mixed(mask, *warped)}, parameters, "rife-synthesizer")


def _block(x: Tensor, variables: Variables, name: str) -> Tensor:
    """(1, C, h, w) -> (1, 13, h, w): what is to be added to the flows, the mask, and what the next block reads."""
    for n in range(2):
        x = blocks.leaky(blocks.convolve(x, *blocks.layer(variables, f"{name}.conv0.{n}.0"), stride=2))
    n = 0
    while f"{name}.convblock.{n}.conv.weight" in variables:
        part = f"{name}.convblock.{n}"
        beta = variables[f"{part}.beta"].reshape(-1)
        kernel, bias = blocks.layer(variables, f"{part}.conv")
        inner = blocks.convolve(x, kernel * beta[:, None, None, None], bias * beta)
        x = blocks.leaky(ops.add(inner, x).output(0))
        n += 1
    return ops.depth_to_space(_enlarging(x, variables, f"{name}.lastconv.0"), "depth_first", 2).output(0)


def _enlarging(x: Tensor, variables: Variables, name: str) -> Tensor:
    """A transposed convolution of 4x4 with stride 2: twice the size."""
    kernel, bias = blocks.layer(variables, name)  # IOHW
    weights = ops.constant(np.ascontiguousarray(kernel, np.float32))
    y = ops.convolution_backprop_data(x, weights, strides=[2, 2], pads_begin=[1, 1], pads_end=[1, 1])
    return blocks.add_bias(y, bias)


def _flow(made: list[tuple[int, Tensor]], scale: int) -> Tensor:
    """The flows so far at 1/scale of the size, in pixels of that size: (1, 4, h, w)."""
    parts = []
    for coarser, output in made:
        part = blocks.channels(output, 0, 4)
        parts.append(blocks.scale(_enlarged(part, coarser // scale), coarser / scale) if coarser > scale else part)
    total = parts[0]
    for part in parts[1:]:
        total = ops.add(total, part).output(0)
    return total


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return blocks.resize(x, factor) if factor > 1 else x


def _warped(x: Tensor, flow: Tensor, scale: int) -> Tensor:
    """`x` (1, C, H, W) warped along `flow`, then shrunk by `scale`: the mean of the four pixels in the middle of each
    block of scale x scale. Only these are warped."""
    if scale == 1:
        return blocks.warp(x, flow)
    if scale == 2:
        warped = blocks.warp(x, flow)
    else:
        warped = blocks.warp(x, flow, keep=lambda grid: _middles(grid, scale))
    return ops.avg_pool(warped, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=False).output(0)


def _middles(grid: ov.Node, scale: int) -> ov.Node:
    """(1, H, W, 2) -> (1, 2 H / scale, 2 W / scale, 2): the four in the middle of each block."""
    for axis in (1, 2):
        side = ops.gather(ops.shape_of(grid), ops.constant(axis), ops.constant(0))
        starts = ops.range(ops.constant(scale // 2 - 1), side, ops.constant(scale), "i64")
        pairs = ops.add(ops.unsqueeze(starts, ops.constant(1)), ops.constant([[0, 1]]))
        grid = ops.gather(grid, ops.reshape(pairs, ops.constant([-1]), False), ops.constant(axis))
    return grid
