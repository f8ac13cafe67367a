"""OpenCV's DIS optical flow (Kroeger et al. 2016), preset medium, which sees the two ends: the baseline."""

import cv2
import numpy as np


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
