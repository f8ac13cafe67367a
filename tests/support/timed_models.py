"""Random variables of the networks that make any moment: nobody's weights, and the same numbers everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

Variables = dict[str, np.ndarray]


def compact(half: int = 8, quarter: int = 12, matching: int = 8, context: int = 6, seed: int = 0) -> Variables:
    """Of a compact network, small."""
    layers = {
        "extractor.half_0": (half, 3, 3),
        "extractor.half_1": (half, half, 3),
        "extractor.quarter_0": (quarter, half, 3),
        "extractor.quarter_1": (quarter, quarter, 3),
        "extractor.coarse_0": (quarter, quarter, 3),
        "extractor.coarse_1": (quarter, quarter, 3),
        "extractor.matching": (matching, quarter, 1),
        "head.context": (12, context, 3),
        "head.enter": (12, 2 * half + 4 + 1, 3),
        "head.block.first": (12, 12, 3),
        "head.block.second": (12, 12, 3),
        "head.leave": (20, 12, 3),
    }
    for name in ("coarse_update", "update"):
        layers |= {
            f"{name}.enter": (16, 2 * quarter + 49 + 4 + 2 + context + 1, 1),
            f"{name}.blocks.0.first": (16, 16, 3),
            f"{name}.blocks.0.second": (16, 16, 3),
            f"{name}.leave": (4 + context, 16, 3),
        }
    return _drawn({f"{name}.weight": (o, i, side, side) for name, (o, i, side) in layers.items()}, seed, {"leave": 0.1})


def rife(seed: int = 0) -> Variables:
    """Of RIFE 4.25, which has one size."""
    shapes = {"encode.cnn0.weight": (16, 3, 3, 3), "encode.cnn1.weight": (16, 16, 3, 3)}
    shapes |= {"encode.cnn2.weight": (16, 16, 3, 3), "encode.cnn3.weight": (16, 4, 4, 4)}
    for n, width in enumerate((192, 128, 96, 64, 32)):
        shapes[f"block{n}.conv0.0.0.weight"] = (width // 2, 28 if n else 15, 3, 3)
        shapes[f"block{n}.conv0.1.0.weight"] = (width, width // 2, 3, 3)
        shapes |= {f"block{n}.convblock.{k}.conv.weight": (width, width, 3, 3) for k in range(8)}
        shapes[f"block{n}.lastconv.0.weight"] = (width, 52, 4, 4)
    variables = _drawn(shapes, seed, {"lastconv": 0.2, "convblock": 0.3})
    variables["encode.cnn3.bias"] = np.full(4, 0.1, np.float32)
    for n, width in enumerate((192, 128, 96, 64, 32)):
        variables[f"block{n}.lastconv.0.bias"] = np.zeros(52, np.float32)
        variables |= {f"block{n}.convblock.{k}.beta": np.full((1, width, 1, 1), 0.9, np.float32) for k in range(8)}
    return variables


def directory(folder: Path, variables: Variables) -> Path:
    """A model directory that holds these variables."""
    folder.mkdir(parents=True)
    np.savez(folder / "variables.npz", **variables)  # type: ignore[arg-type]
    return folder


def _drawn(shapes: dict[str, tuple[int, ...]], seed: int, gains: dict[str, float]) -> Variables:
    """Kernels that keep the size of what goes through them, but for those with a gain; biases about zero."""
    random = np.random.default_rng(seed)
    variables = {}
    for name, shape in shapes.items():
        gain = next((gain for part, gain in gains.items() if part in name), 1.0)
        spread = gain * np.sqrt(2 / np.prod(shape[1:]))
        variables[name] = (random.standard_normal(shape) * spread).astype(np.float32)
        variables[name.replace("weight", "bias")] = (random.standard_normal(shape[0]) * 0.05).astype(np.float32)
    return variables
