"""OpenCV's DIS optical flow (Kroeger et al. 2016), preset medium: the baseline to beat, and a teacher.

As a baseline it sees the two ends, as FILM does. As a teacher it may also see the middle frame: the flows from
there to the ends are what FILM should come to, at a few milliseconds each.
"""

import cv2
import numpy as np

from training.clips import Triplet

TRUSTED = 0.03  # largest mean colour error of a pixel fetched along a flow that is to be learnt from


def grey(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) float RGB in [0, 1] -> (H, W) uint8."""
    return cv2.cvtColor((np.clip(frame, 0, 1) * 255).round().astype(np.uint8), cv2.COLOR_RGB2GRAY)


def flow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Flow from frame a to frame b, (H, W, 2)."""
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey(a), grey(b), None)


def warp(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`network.warp` in OpenCV."""
    height, width, _ = frame.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    at_x, at_y = x + flow[..., 0], y + flow[..., 1]
    return cv2.remap(np.ascontiguousarray(frame), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def middle(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Both frames warped half way and averaged: each fetched along half of the flow from the other one."""
    return (warp(first, 0.5 * flow(last, first)) + warp(last, 0.5 * flow(first, last))) / 2


def seen(first: np.ndarray, middle: np.ndarray, last: np.ndarray, even: bool = False) -> np.ndarray:
    """The middle frame, (H, W, 3), made of the other two along flows that have seen it: a bound, not a method.

    If `even`, the motion is known but not its timing: all is taken to be exactly half way, as who sees two frames must.
    """
    to_first, to_last = flow(middle, first), flow(middle, last)
    if even:
        to_last = (to_last - to_first) / 2
        to_first = -to_last
    return (warp(first, to_first) + warp(last, to_last)) / 2


def teach(triplet: Triplet) -> Triplet:
    """The triplet with the flows that DIS finds from its middle frame, trusted where the colours agree."""
    to_first, to_last = flow(triplet.middle, triplet.first), flow(triplet.middle, triplet.last)
    errors = [
        abs(warp(end, way) - triplet.middle).mean(-1, keepdims=True)
        for end, way in ((triplet.first, to_first), (triplet.last, to_last))
    ]
    known = np.maximum(*errors) < TRUSTED
    return triplet._replace(to_first=to_first, to_last=to_last, known=known.astype(np.float32))
