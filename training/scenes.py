"""Synthetic triplets with exact motion: cut-outs of still frames sliding over one another.

A scene is a stack of layers, each a piece of some clip's frame seen through a mask (the background's is everywhere)
and moving by its own smooth motion, shift, turn and growth, through time in [-1, 1] from the first to the last frame.
What real clips rarely have is here as often as wanted: motion over a good part of the picture, objects that cover
and uncover each other, thin things. The flow from the middle frame to the ends is known at each pixel.
"""

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np

from training.clips import Size

LARGEST_SHIFT = 0.16  # of the side, from the middle to an end: 30 pixels of 192
LARGEST_TURN = 0.12  # radians
LARGEST_GROWTH = 0.06
MARGIN = 1.5  # side of a layer's canvas; a motion may bring what lies beyond the picture into it


class Layer(NamedTuple):
    picture: np.ndarray  # (S, S, 3) float32
    mask: np.ndarray  # (S, S) float32 in [0, 1]
    shift: np.ndarray  # (2,) pixels per unit of time
    turn: float
    growth: float


def blob(side: int, rng: np.random.Generator) -> np.ndarray:
    """A mask, (side, side) in [0, 1]: a wobbly polygon, a bar (thin ones too), or an ellipse."""
    mask = np.zeros((side, side), np.uint8)
    centre = rng.uniform(0.25, 0.75, 2) * side
    kind = rng.integers(3)
    if kind == 0:
        corners = rng.integers(3, 9)
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radii = rng.uniform(0.05, 0.3, corners) * side
        points = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    elif kind == 1:
        ends = centre + rng.uniform(-0.4, 0.4, (2, 2)) * side
        thickness = int(np.exp(rng.uniform(np.log(2), np.log(0.12 * side))))
        cv2.line(mask, ends[0].astype(int).tolist(), ends[1].astype(int).tolist(), 255, thickness, cv2.LINE_AA)
    else:
        axes = (rng.uniform(0.04, 0.25, 2) * side).astype(int).tolist()
        cv2.ellipse(mask, centre.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    return mask.astype(np.float32) / 255


def piece(clips: Mapping[str, np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """A square of some frame, (size, size, 3) float32 RGB."""
    frames = clips[rng.choice(list(clips))]
    frame = frames[rng.integers(len(frames))]
    height, width, _ = frame.shape
    cut = min(round(size * rng.uniform(0.6, 1.0)), height, width)
    top, left = rng.integers(height - cut + 1), rng.integers(width - cut + 1)
    square = np.ascontiguousarray(frame[top : top + cut, left : left + cut])
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255


def matrix(layer: Layer, time: float, side: int) -> np.ndarray:
    """(3, 3): a point of the picture at `time` from the same point of the layer's canvas."""
    angle, scale = layer.turn * time, np.exp(layer.growth * time)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    middle = np.array([layer.picture.shape[0] / 2] * 2)
    moved = np.array([side / 2] * 2) + layer.shift * time
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.vstack([np.c_[turn, moved - turn @ middle], [0, 0, 1]])


def render(layers: list[Layer], time: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at `time`, (side, side, 3), and which layer is seen at each pixel, (side, side) int."""
    picture, seen = np.zeros((side, side, 3), np.float32), np.zeros((side, side), int)
    for n, layer in enumerate(layers):
        affine = matrix(layer, time, side)[:2]
        flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
        colour = cv2.warpAffine(layer.picture, affine, (side, side), **flags)
        alpha = 1.0 if n == 0 else cv2.warpAffine(layer.mask, affine, (side, side), flags=cv2.INTER_LINEAR)[..., None]
        picture = picture + (colour - picture) * alpha
        if n:
            seen[alpha[..., 0] > 0.5] = n
    return picture, seen


def flow(layers: list[Layer], seen: np.ndarray, time: float, end: float) -> np.ndarray:
    """Where each pixel of the frame at `time` is at `end`, relative to itself, (side, side, 2)."""
    side = seen.shape[0]
    grid = np.stack([*np.meshgrid(np.arange(side), np.arange(side)), np.ones((side, side))], -1)  # (H, W, 3): x, y, 1
    result = np.zeros((side, side, 2))
    for n, layer in enumerate(layers):
        there = matrix(layer, end, side) @ np.linalg.inv(matrix(layer, time, side))
        at = seen == n
        result[at] = grid[at] @ there[:2].T - grid[at][:, :2]
    return result.astype(np.float32)


def sample(
    clips: Mapping[str, np.ndarray], size: Size, time: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Images (3, *size, 3) float32, first, target and last, and flows (4, *size) from the target, which is at `time` in
    (0, 1), to (first, last)."""
    side = max(size)
    canvas = round(MARGIN * side)
    layers = []
    for n in range(1 + rng.integers(1, 5)):
        # Most motion is small; squaring a uniform number keeps the large one present without its ruling.
        reach = LARGEST_SHIFT * side * rng.random() ** 2 * (0.6 if n == 0 else 1.0)
        angle = rng.uniform(0, 2 * np.pi)
        layers.append(
            Layer(
                picture=piece(clips, canvas, rng),
                mask=blob(canvas, rng),
                shift=reach * np.array([np.cos(angle), np.sin(angle)]),
                turn=rng.uniform(-1, 1) * LARGEST_TURN * rng.random(),
                growth=rng.uniform(-1, 1) * LARGEST_GROWTH * rng.random(),
            )
        )
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    part = np.s_[top : top + size[0], left : left + size[1]]
    at = 2 * time - 1
    (first, _), (target, seen), (last, _) = (render(layers, moment, side) for moment in (-1.0, at, 1.0))
    flows = np.concatenate([flow(layers, seen, at, end)[part].transpose(2, 0, 1) for end in (-1.0, 1.0)])
    return np.stack([image[part] for image in (first, target, last)]), flows
