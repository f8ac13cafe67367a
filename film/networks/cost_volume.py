"""How well two photos match about each pixel of the frame between them: the compact network's cost volume.

The photos are compared at points that lie opposite each other about a pixel, at DISTANCES along either axis. On the
first photo's grid these products do not depend on the time; each is taken there, and moved to the grid of the frame
that is made. Of each BLOCK pixels of a row all products with the SPAN of the other photo that any of them needs are one
product of matrices, from which those that are wanted are picked: this takes less memory traffic than 49 pictures of
products. `training.network.proposal` is the same in PyTorch.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset1
from openvino import opset9 as ops

from film.networks import blocks
from film.networks.blocks import Tensor

RADIUS = 3  # in pixels of a level, from the frame that is made to either photo, halfway between them
DISTANCES = range(-RADIUS, RADIUS + 1)
COSTS = len(DISTANCES) ** 2
REACH = 2 * RADIUS  # the points that are compared lie so far apart at most
BLOCK = 16
SPAN = BLOCK + 2 * REACH
SHARPNESS = 8.0  # of the softmax over the costs


def shifts(time: Tensor) -> list[ov.Node]:
    """2 * time * d, rounded to whole pixels, of each distance d: i32 (1,) of a time (1,)."""
    doubled = [ops.multiply(time, blocks.constant(2 * distance)) for distance in DISTANCES]
    return [ops.convert(ops.floor(ops.add(one, blocks.constant(0.5))), "i32") for one in doubled]


def matches(first: Tensor, last: Tensor, shifts: list[ov.Node]) -> tuple[Tensor, Tensor]:
    """Costs (1, 49, H, W) in [-1, 1], rows outer, and the motion they speak for, (1, 2, H, W) in pixels from the frame
    to half the distance between both photos; `first` and `last` (1, H, W, C) are of unit length at each pixel."""
    height, width = (ops.gather(ops.shape_of(first, "i32"), ops.constant(axis), ops.constant(0)) for axis in (1, 2))
    channels = first.get_partial_shape()[3].get_length()
    in_row = ops.add(ops.divide(ops.add(width, _whole(BLOCK - 1)), _whole(BLOCK)), _whole(1))  # blocks
    padded = ops.multiply(in_row, _whole(BLOCK))  # their pixels: REACH on the left, as many or more on the right
    stride = ops.add(padded, _whole(2 * REACH))  # of the other photo: REACH more on either side
    ours = _padded(first, 0, REACH, ops.add(padded, ops.subtract(_whole(-REACH), width)))
    ours = ops.reshape(ours, _vector(height, in_row, _whole(BLOCK), _whole(channels)), False)
    theirs = _padded(last, REACH, 2 * REACH, ops.add(padded, ops.subtract(_whole(0), width)))
    theirs = ops.reshape(theirs, ops.constant([-1, channels]), False)

    starts = ops.add(
        ops.reshape(ops.multiply(_range(height), stride), ops.constant([-1, 1, 1]), False),
        ops.reshape(ops.multiply(_range(in_row), _whole(BLOCK)), ops.constant([-1, 1]), False),
    )
    spans = ops.add(starts, ops.constant(np.arange(SPAN, dtype=np.int32)))  # (H, blocks, SPAN): pixels of `theirs`
    columns = [ops.add(_range(width), ops.subtract(_whole(REACH), shift)) for shift in shifts]
    wanted = [_place(one, distance) for one, distance in zip(columns, DISTANCES, strict=True)]
    among = ops.concat(wanted, 0)  # (7, W): places in a row's products
    margin = ops.constant(np.array([0, REACH, 0, 0], np.int64))
    lines = []
    for distance, shift in zip(DISTANCES, shifts, strict=True):
        seen = ops.gather(theirs, ops.add(spans, ops.multiply(stride, _whole(REACH + 2 * distance))), ops.constant(0))
        products = ops.reshape(ops.matmul(ours, seen, False, True), _vector(_whole(1), height, _whole(-1)), False)
        line = ops.pad(ops.gather(products, among, ops.constant(2)), margin, margin, "constant", blocks.constant(0))
        lines.append(ops.gather(line, ops.add(_range(height), ops.subtract(_whole(REACH), shift)), ops.constant(1)))
    costs = blocks.match(ops.transpose(ops.concat(lines, 2), ops.constant([0, 2, 1, 3])))  # (1, 49, H, W)
    costs = ops.avg_pool(costs, [1, 1], [1, 1], [1, 1], [3, 3], exclude_pad=False)
    weights = opset1.softmax(ops.multiply(costs, blocks.constant(SHARPNESS)), 1).output(0)
    offsets = blocks.constant(np.reshape(np.meshgrid(DISTANCES, DISTANCES), (2, COSTS)))  # (column, row), rows outer
    motion = ops.matmul(offsets, ops.reshape(weights, ops.constant([1, COSTS, -1]), False), False, False)
    shape = ops.concat([ops.constant(np.array([1, 2], np.int32)), _vector(height, width)], 0)
    return costs.output(0), ops.reshape(motion, shape, False).output(0)


def _padded(x: Tensor, rows: int, left: int, right: ov.Node) -> ov.Node:
    """(1, H, W, C) -> (1, H + 2 rows, left + W + right, C), zeros beyond the picture."""
    begins = ops.constant(np.array([0, rows, left, 0], np.int32))
    ends = _vector(_whole(0), _whole(rows), right, _whole(0))
    return ops.pad(x, begins, ends, "constant", blocks.constant(0))


def _place(column: ov.Node, distance: int) -> ov.Node:
    """(1, W): where, among the products of a row, those of these columns (W,) with what lies that far along it are."""
    block = ops.multiply(ops.divide(column, _whole(BLOCK)), _whole(BLOCK * SPAN))
    inside = ops.multiply(ops.floor_mod(column, _whole(BLOCK)), _whole(SPAN + 1))
    return ops.unsqueeze(ops.add(ops.add(block, inside), _whole(REACH + 2 * distance)), ops.constant(0))


def _whole(number: int) -> ov.Node:
    return ops.constant(np.int32(number))


def _vector(*numbers: ov.Node) -> ov.Node:
    return ops.concat([ops.reshape(number, ops.constant([1]), False) for number in numbers], 0)


def _range(end: ov.Node) -> ov.Node:
    return ops.range(_whole(0), end, _whole(1), "i32")
