"""A network's graphs, run as they are, in float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openvino as ov

Tensors = dict[str, np.ndarray]  # by the names of a graph's inputs or outputs


def run(model: ov.Model, *given: Tensors) -> list[Tensors]:
    """A graph's outputs, for each set of tensors; of these it takes those that it has inputs for."""
    compiled = ov.compile_model(model, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY", "INFERENCE_PRECISION_HINT": "f32"})
    outputs = []
    for tensors in given:
        results = compiled({port.get_any_name(): tensors[port.get_any_name()] for port in compiled.inputs})
        outputs.append({port.get_any_name(): results[port].copy() for port in compiled.outputs})
    return outputs


def encoded(encoder: ov.Model, frames: Sequence[np.ndarray]) -> list[Tensors]:
    """The features of each frame (1, 3, H, W), and itself."""
    features = run(encoder, *({"image": frame} for frame in frames))
    return [tensors | {"image_0": frame} for tensors, frame in zip(features, frames, strict=True)]


def ends(first: Tensors, last: Tensors) -> Tensors:
    """Two frames' tensors under the synthesizer's names."""
    both = {"first": first, "last": last}
    return {f"{end}_{name}": value for end, tensors in both.items() for name, value in tensors.items()}
