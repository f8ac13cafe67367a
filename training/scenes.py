"""Synthetic triplets with exact motion: cut-outs of still frames sliding over one another.

A scene is a stack of layers, each a piece of some clip's frame seen through a mask (the background's is everywhere)
and moving by its own smooth motion: shift, turn and growth, all through time in [-1, 1] with the middle frame at 0.
What real clips rarely have is here as often as wanted: motion over a good part of the picture, objects that cover
and uncover each other, thin things. The flow from the middle frame to the ends is known at each pixel.
"""

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np

from training.clips import Size, Triplet, augment

LARGEST_SHIFT = 0.16  # of the side, from the middle frame to an end: 30 pixels of 192
LARGEST_TURN = 0.12  # radians
LARGEST_GROWTH = 0.06
MARGIN = 1.5  # side of a layer's canvas; a motion may bring what lies beyond the picture into it


class Layer(NamedTuple):
    picture: np.ndarray  # (S, S, 3) float32
    mask: np.ndarray  # (S, S) float32 in [0, 1]
    shift: np.ndarray  # (2,) pixels per unit of time
    bend: np.ndarray  # (2,) pixels per unit of time squared: the path is not quite straight
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
    moved = np.array([side / 2] * 2) + layer.shift * time + layer.bend * time**2
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


def flow(layers: list[Layer], seen: np.ndarray, time: float) -> np.ndarray:
    """Where each pixel of the middle frame is at `time`, relative to itself, (side, side, 2)."""
    side = seen.shape[0]
    grid = np.stack([*np.meshgrid(np.arange(side), np.arange(side)), np.ones((side, side))], -1)  # (H, W, 3): x, y, 1
    result = np.zeros((side, side, 2))
    for n, layer in enumerate(layers):
        there = matrix(layer, time, side) @ np.linalg.inv(matrix(layer, 0.0, side))
        at = seen == n
        result[at] = grid[at] @ there[:2].T - grid[at][:, :2]
    return result.astype(np.float32)


def sample(clips: Mapping[str, np.ndarray], size: Size, rng: np.random.Generator) -> Triplet:
    """A training example of layered motion; its flows are known but for what is out of sight at one end."""
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
                bend=rng.normal(0, 0.03 * reach + 1e-9, 2),
                turn=rng.uniform(-1, 1) * LARGEST_TURN * rng.random(),
                growth=rng.uniform(-1, 1) * LARGEST_GROWTH * rng.random(),
            )
        )
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    part = np.s_[top : top + size[0], left : left + size[1]]
    (first, seen_first), (middle, seen), (last, seen_last) = (render(layers, t, side) for t in (-1.0, 0.0, 1.0))
    to_first, to_last = flow(layers, seen, -1.0)[part], flow(layers, seen, 1.0)[part]
    known = visible(seen[part], seen_first[part], to_first) & visible(seen[part], seen_last[part], to_last)
    images = (image[part] for image in (first, middle, last))
    return augment(Triplet(*images, to_first, to_last, known[..., None].astype(np.float32)), rng)


def visible(seen: np.ndarray, seen_there: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Which pixels, (H, W) bool, are still in the picture and not covered where `flow`, (H, W, 2), leads."""
    height, width = seen.shape
    there = np.round(np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1) + flow).astype(int)
    x, y = np.clip(there[..., 0], 0, width - 1), np.clip(there[..., 1], 0, height - 1)
    inside = (there[..., 0] == x) & (there[..., 1] == y)
    return inside & (seen_there[y, x] == seen)
