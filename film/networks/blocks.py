"""What the networks' graphs are built of.

Tensors are NCHW with N = 1, kernels OIHW. A flow is (1, 2, H, W): (dx, dy) in pixels of its own level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import openvino as ov
from openvino import opset9 as ops
from openvino.utils.node_factory import NodeFactory

Tensor: TypeAlias = ov.Output
Variables: TypeAlias = Mapping[str, np.ndarray]

OPERATIONS = NodeFactory("opset9")  # for Interpolate-4, which the module of that name lacks
LEAK = 0.2  # slope of LeakyReLU for negative numbers, in FILM, RIFE and the compact network alike


def constant(value: float | Sequence[float] | np.ndarray) -> Tensor:
    """A float32 constant."""
    return ops.constant(np.asarray(value, np.float32)).output(0)


def convolve(x: Tensor, kernel: np.ndarray, bias: np.ndarray | None = None, stride: int = 1) -> Tensor:
    """A convolution with an odd OIHW kernel, padded by half of it with zeros."""
    pad = [side // 2 for side in kernel.shape[2:]]
    weights = ops.constant(np.ascontiguousarray(kernel, np.float32))
    y = ops.convolution(x, weights, [stride, stride], pad, pad, [1, 1])
    return y.output(0) if bias is None else add_bias(y, bias)


def layer(variables: Variables, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias, by PyTorch's names."""
    return variables[f"{name}.weight"], variables[f"{name}.bias"]


def add_bias(x: ov.Node | Tensor, bias: np.ndarray) -> Tensor:
    return ops.add(x, constant(bias.reshape(1, -1, 1, 1))).output(0)


def leaky(x: Tensor) -> Tensor:
    return ops.prelu(x, constant([LEAK])).output(0)


def scale(x: Tensor, factor: float | Tensor) -> Tensor:
    return ops.multiply(x, factor if isinstance(factor, ov.Output) else constant(factor)).output(0)


def concat(tensors: Sequence[Tensor]) -> Tensor:
    """Along the channels."""
    return ops.concat(list(tensors), 1).output(0)


def channels(x: Tensor, first: int, last: int) -> Tensor:
    """Channels `first` to `last`, the last one not included."""
    # Gather: OpenVINO fuses several slices to one split, which loses the mark of `precision.py`.
    return ops.gather(x, ops.constant(np.arange(first, last)), ops.constant(1)).output(0)


def resize(x: Tensor, factor: float) -> Tensor:
    """Bilinear, half-pixel centres, no smoothing before it shrinks."""
    attributes = {
        "mode": "linear_onnx",
        "shape_calculation_mode": "scales",
        "coordinate_transformation_mode": "half_pixel",
        "pads_begin": [0],
        "pads_end": [0],
    }
    unused_shape, axes = ops.constant([1, 1]), ops.constant([2, 3])
    inputs = [x, unused_shape.output(0), constant([factor, factor]), axes.output(0)]
    return OPERATIONS.create("Interpolate", inputs, attributes).output(0)


def plane(time: Tensor, like: Tensor) -> Tensor:
    """The time, (1,), as a channel (1, 1, H, W)."""
    zero = scale(channels(like, 0, 1), 0.0)
    return ops.add(zero, ops.reshape(time, ops.constant([1, 1, 1, 1]), False)).output(0)


def mixed(share: ov.Node, first: Tensor, last: Tensor) -> Tensor:
    """share * first + (1 - share) * last, without Subtract: see `precision.py`."""
    return ops.add(ops.multiply(share, ops.add(first, scale(last, -1))), last).output(0)


def sides(x: Tensor) -> tuple[ov.Node, ov.Node]:
    """Height and width, int64 scalars; constants once the graph has a static shape."""
    shape = ops.shape_of(x)
    height, width = (ops.gather(shape, ops.constant(axis), ops.constant(0)) for axis in (2, 3))
    return height, width


def warp(x: Tensor, flow: Tensor, keep: Callable[[ov.Node], ov.Node] | None = None, mode: str = "bilinear") -> Tensor:
    """Sample x at (column + dx, row + dy), coordinates clamped at the border; `mode` is bilinear or bicubic.

    `keep` chooses, from the grid (1, H, W, 2), the places that are sampled.
    """
    (warped,) = warps([x], flow, keep, mode)
    return warped


def warps(
    tensors: Sequence[Tensor],
    flow: Tensor,
    keep: Callable[[ov.Node], ov.Node] | None = None,
    mode: str = "bilinear",
) -> list[Tensor]:
    """`warp` of several tensors along one flow.

    The grid is clamped and not the sampling: OpenVINO's fast kernel on GPUs takes bilinear with "zeros" alone. It is
    written as flow * scale + base, operations whose precision can be kept (see `precision.py`).
    """
    height, width = sides(flow)
    ramps = []
    for side, shape in ((width, [1, 1, -1, 1]), (height, [1, -1, 1, 1])):
        last = ops.maximum(ops.subtract(ops.convert(side, "f32"), constant(1)), constant(1))  # a side may be one pixel
        step = ops.divide(constant(2), last)
        zero, one = (ops.constant(np.int32(number)) for number in (0, 1))
        index = ops.convert(ops.range(zero, ops.convert(side, "i32"), one, "i32"), "f32")
        ramp = ops.add(ops.multiply(index, step), constant(-1))
        ramps.append((step, ops.reshape(ramp, ops.constant(shape), False)))
    (step_x, columns), (step_y, rows) = ramps
    zero_x, zero_y = (ops.multiply(ramp, constant(0)) for ramp in (columns, rows))
    base = ops.concat([ops.add(columns, zero_y), ops.add(rows, zero_x)], 3)  # (1, H, W, 2)
    steps = ops.concat([ops.reshape(step, ops.constant([1]), False) for step in (step_x, step_y)], 0)
    target = ops.transpose(flow, ops.constant([0, 2, 3, 1]))  # (1, H, W, 2)
    grid = ops.clamp(ops.add(ops.multiply(target, steps), base), -1.0, 1.0)
    if keep:  # after the clamping: OpenVINO would move that in front of it, and lose the mark on the way
        grid = keep(grid)
    padding = "zeros" if mode == "bilinear" else "border"  # bicubic reads a pixel beyond the one it is at
    sampling = {"align_corners": True, "mode": mode, "padding_mode": padding}
    return [ops.grid_sample(x, grid, sampling).output(0) for x in tensors]


def model(outputs: Mapping[str, Tensor], inputs: Sequence[ov.Node], name: str) -> ov.Model:
    """A graph whose outputs carry these names, and its inputs their nodes'."""
    for node in inputs:
        node.output(0).set_names({node.get_friendly_name()})
    results = []
    for key, output in outputs.items():
        result = ops.result(output)
        result.output(0).set_names({key})
        result.set_friendly_name(key)
        results.append(result)
    return ov.Model(results, list(inputs), name)
