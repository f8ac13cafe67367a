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
WIDE = 16  # channels from which on pixels are gathered
PLACE = "place_"  # so begin the names of what says which pixels are sampled, see `precision.py`
MATCH = "match_"  # and those of products of features, which may be rounded
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


def shifted(x: Tensor, axis: int, step: int) -> Tensor:
    """x (N, C, H, W) moved along its rows (axis 2) or columns (3), clamped at the border: where n was is n + step."""
    if not step:
        return x
    zero, one, by = (ops.constant(np.int32(number)) for number in (0, 1, step))
    side = ops.convert(sides(x)[axis - 2], "i32")
    index = ops.add(ops.range(zero, side, one, "i32"), by)
    index = ops.minimum(ops.maximum(index, zero), ops.subtract(side, one))
    return ops.gather(x, index, ops.constant(axis)).output(0)


def doubled(x: Tensor) -> Tensor:
    """What `resize` by 2 makes of each pixel, (1, C, H, W) -> (1, 4C, H, W): `unfold` puts it in place. Of few channels
    it takes half the time."""

    def halves(x: Tensor, axis: int) -> list[Tensor]:
        near = scale(x, 0.75)
        return [ops.add(near, scale(shifted(x, axis, step), 0.25)).output(0) for step in (-1, 1)]

    parts = [ops.unsqueeze(part, ops.constant([2])) for row in halves(x, 2) for part in halves(row, 3)]
    shape = [ops.constant([1, 4 * x.get_partial_shape()[1].get_length()])]
    shape += [ops.unsqueeze(side, ops.constant([0])) for side in sides(x)]
    return ops.reshape(ops.concat(parts, 2), ops.concat(shape, 0), False).output(0)


def unfold(x: Tensor) -> Tensor:
    """(1, 4C, H, W) -> (1, C, 2H, 2W): four channels are the pixels of a square, rows outer."""
    return ops.depth_to_space(x, "depth_first", 2).output(0)


def match(node: ov.Node) -> ov.Node:
    """The node, named as products of features: it and what leads to it alone may be rounded."""
    node.set_friendly_name(f"{MATCH}{node.get_friendly_name()}")
    return node


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
    """`warp` of several tensors (1, C, H, W) along one flow (1, 2, H, W), in pixels. Those of WIDE channels and more
    are gathered by pixel."""
    places = _places(flow)
    wide = [mode == "bilinear" and not keep and x.get_partial_shape()[1].get_length() >= WIDE for x in tensors]
    gather = _gatherer(places) if any(wide) else None
    grid = None if all(wide) else _grid(places)
    if grid and keep:
        grid = keep(grid)
    padding = "zeros" if mode == "bilinear" else "border"  # bicubic reads a pixel beyond the one it is at
    sampling = {"align_corners": True, "mode": mode, "padding_mode": padding}
    return [
        channels_first(gather(channels_last(x))) if gather and is_wide else ops.grid_sample(x, grid, sampling).output(0)
        for x, is_wide in zip(tensors, wide, strict=True)
    ]


def _places(flow: Tensor) -> list[tuple[ov.Node, ov.Node]]:
    """The column and the row that each pixel sees, clamped at the border, (1, 1, H, W), each with the last there is."""
    places = []
    height, width = sides(flow)
    for n, (side, shape) in enumerate(((width, [1, 1, 1, -1]), (height, [1, 1, -1, 1]))):
        zero, one = (ops.constant(np.int32(number)) for number in (0, 1))
        index = ops.convert(ops.range(zero, ops.convert(side, "i32"), one, "i32"), "f32")
        last = ops.add(ops.convert(side, "f32"), constant(-1))
        place = ops.add(channels(flow, n, n + 1), ops.reshape(index, ops.constant(shape), False))
        places.append((ops.minimum(ops.maximum(place, constant(0)), last), last))
    return places


def _grid(places: Sequence[tuple[ov.Node, ov.Node]]) -> ov.Node:
    """The places in [-1, 1], (1, H, W, 2). That they are clamped and not the sampling is for OpenVINO's fast kernel on
    GPUs, which takes bilinear with "zeros" alone."""
    axes = []
    for place, last in places:
        step = ops.divide(constant(2), ops.maximum(last, constant(1)))  # a side may be one pixel
        axes.append(ops.add(ops.multiply(place, step), constant(-1)).output(0))
    return ops.transpose(concat(axes), ops.constant([0, 2, 3, 1]))


def _gatherer(places: Sequence[tuple[ov.Node, ov.Node]]) -> Callable[[Tensor], Tensor]:
    """Bilinear samples of a tensor (1, H, W, C) at these places.

    The channels of a pixel lie side by side and are copied together, which takes a third of the time of OpenVINO's
    GridSample: that goes through them one by one.
    """
    shares = []  # of each axis, how much of the second of both pixels is seen: (H * W, 1)
    corners = []  # of each axis, the indices of both: (H * W,)
    for place, last in places:
        shares.append(ops.reshape(ops.floor_mod(place, constant(1)), ops.constant([-1, 1]), False))
        before = ops.reshape(ops.convert(place, "i32"), ops.constant([-1]), False)
        corners.append([before, ops.minimum(ops.add(before, ops.constant(np.int32(1))), ops.convert(last, "i32"))])
    width = ops.convert(ops.add(places[0][1], constant(1)), "i32")
    starts = [ops.multiply(row, width) for row in corners[1]]
    indices = [[ops.add(start, column) for column in corners[0]] for start in starts]
    for node in (*shares, *indices[0], *indices[1]):
        node.set_friendly_name(f"{PLACE}{node.get_friendly_name()}")

    across, down = (share.output(0) for share in shares)

    def gather(x: Tensor) -> Tensor:
        pixels = ops.reshape(x, ops.constant([-1, x.get_partial_shape()[3].get_length()]), False)
        corners = [[ops.gather(pixels, one, ops.constant(0)).output(0) for one in row] for row in indices]
        upper, lower = (mixed(across, right, left) for left, right in corners)
        return ops.reshape(mixed(down, lower, upper), ops.shape_of(x), False).output(0)

    return gather


def fetch(x: Tensor, flow: Tensor) -> Tensor:
    """`warp`, bilinear, of what has its channels last, (1, H, W, C)."""
    return _gatherer(_places(flow))(x)


def nearest(x: Tensor, flow: Tensor) -> Tensor:
    """The pixels of x (1, H, W, C) nearest to where a flow (N, 2, H, W) leads, clamped at the border:
    (N, 1, H, W, C)."""
    (column, last), (row, _) = _places(flow)
    column, row = (ops.convert(ops.add(place, constant(0.5)), "i32") for place in (column, row))
    width = ops.convert(ops.add(last, constant(1)), "i32")
    index = ops.add(ops.multiply(row, width), column)
    index.set_friendly_name(f"{PLACE}{index.get_friendly_name()}")
    pixels = ops.reshape(x, ops.constant([-1, x.get_partial_shape()[3].get_length()]), False)
    return ops.gather(pixels, index, ops.constant(0)).output(0)


def channels_last(x: Tensor) -> Tensor:
    """(1, C, H, W) -> (1, H, W, C)."""
    return ops.transpose(x, ops.constant([0, 2, 3, 1])).output(0)


def channels_first(x: Tensor) -> Tensor:
    """(1, H, W, C) -> (1, C, H, W)."""
    return ops.transpose(x, ops.constant([0, 3, 1, 2])).output(0)


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
