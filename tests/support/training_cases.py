"""What the tests of the training code share: small networks, moving textures, clips of them. They import it before
anything that needs training/requirements.txt, without which it skips them; it also chooses Keras' backend."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

os.environ["KERAS_BACKEND"] = "tensorflow"
for needed in ("cv2", "matplotlib", "tensorflow"):
    pytest.importorskip(needed, reason="needs training/requirements.txt")

import cv2  # noqa: E402

from training import network  # noqa: E402

SMALL = network.Config(filters=4, flow_filters=(4, 6), fusion_filters=(4, 8), levels=3, sub_levels=2)
SIDE = 32
LEAST = network.Config(filters=4, flow_filters=(6,), fusion_filters=(8,), levels=2, sub_levels=1)  # to build and trace
TINY = ["--filters", "2", "--flow-filters", *4 * ["2"], "--fusion-filters", *4 * ["4"]]  # on the command line
ROOT = Path(__file__).resolve().parents[2]
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")


def moving(frames: int = 12, side: int = 96, speed: int = 3, seed: int = 0) -> np.ndarray:
    """A clip, (frames, side, side, 3) uint8: a smooth random texture moving to the left."""
    noise = np.random.default_rng(seed).random((side, side + speed * frames, 3), np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.stack([texture[:, speed * n : speed * n + side] for n in range(frames)])


def pair(height: int, width: int, batch: int = 1) -> dict[str, np.ndarray]:
    """The network's inputs: textures and the same four pixels on."""
    frames = [moving(3, max(height, width), 2, seed)[:, :height, :width] for seed in range(batch)]
    first, _, last = np.stack(frames, axis=1).astype(np.float32) / 255
    return {"x0": first, "x1": last, "time": np.full((batch, 1), 0.5, np.float32)}


def write_clip(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, frames.shape[2:0:-1])
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
