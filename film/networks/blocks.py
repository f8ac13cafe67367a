"""What the networks' graphs are built of.

Tensors are NCHW with N = 1, kernels OIHW. A flow is (1, 2, H, W): (dx, dy) in pixels of its own level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import openvino as ov
from openvino import opset15 as ops

Tensor: TypeAlias = ov.Output
Variables: TypeAlias = Mapping[str, np.ndarray]

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
    return ops.slice(x, *(ops.constant([n]) for n in (first, last, 1, 1))).output(0)


def resize(x: Tensor, factor: float) -> Tensor:
    """Bilinear, half-pixel centres, no smoothing before it shrinks."""
    return ops.interpolate(
        x,
        constant([factor, factor]),
        mode="linear_onnx",
        shape_calculation_mode="scales",
        coordinate_transformation_mode="half_pixel",
        axes=ops.constant(np.array([2, 3], np.int64)),
    ).output(0)


def sides(x: Tensor) -> tuple[ov.Node, ov.Node]:
    """Height and width, int64 scalars; constants once the graph has a static shape."""
    shape = ops.shape_of(x)
    height, width = (ops.gather(shape, ops.constant(axis), ops.constant(0)) for axis in (2, 3))
    return height, width


def warp(x: Tensor, flow: Tensor, keep: Callable[[ov.Node], ov.Node] | None = None) -> Tensor:
    """Sample x at (column + dx, row + dy), bilinearly, coordinates clamped at the border.

    `keep` chooses, from the grid (1, H, W, 2), the places that are sampled.

    The grid is clamped and not the sampling: OpenVINO's fast kernel on GPUs takes "zeros" alone. It is written as
    flow * scale + base, operations whose precision can be kept (see `precision.py`).
    """
    height, width = sides(x)
    ramps = []
    for side, shape in ((width, [1, 1, -1, 1]), (height, [1, -1, 1, 1])):
        step = ops.divide(constant(2), ops.subtract(ops.convert(side, "f32"), constant(1)))
        index = ops.convert(
            ops.range(ops.constant(np.int32(0)), ops.convert(side, "i32"), ops.constant(np.int32(1)), "i32"), "f32"
        )
        ramp = ops.add(ops.multiply(index, step), constant(-1))
        ramps.append((step, ops.reshape(ramp, ops.constant(shape), False)))
    (step_x, columns), (step_y, rows) = ramps
    zero_x, zero_y = (ops.multiply(ramp, constant(0)) for ramp in (columns, rows))
    base = ops.concat([ops.add(columns, zero_y), ops.add(rows, zero_x)], 3)  # (1, H, W, 2)
    steps = ops.concat([ops.reshape(step, ops.constant([1]), False) for step in (step_x, step_y)], 0)
    target = ops.transpose(flow, ops.constant([0, 2, 3, 1]))  # (1, H, W, 2)
    grid = ops.add(ops.multiply(target, steps), base)
    grid = ops.clamp(keep(grid) if keep else grid, -1.0, 1.0)
    sampling = {"align_corners": True, "mode": "bilinear", "padding_mode": "zeros"}
    return ops.grid_sample(x, grid, sampling).output(0)


def model(outputs: Mapping[str, Tensor], inputs: Sequence[ov.Node], name: str) -> ov.Model:
    """A graph whose outputs carry these names."""
    results = []
    for key, output in outputs.items():
        result = ops.result(output)
        result.output(0).set_names({key})
        result.set_friendly_name(key)
        results.append(result)
    return ov.Model(results, list(inputs), name)
