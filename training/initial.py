"""What a network starts from, where random is not good enough. None of it changes the architecture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from keras import ops

from training import checkpoint, network


def read(path: Path) -> dict[str, np.ndarray]:
    """A network's variables by name, float32, from an .npz file or from the directory of a SavedModel.
    ValueError where there are none."""
    try:
        if path.is_dir():
            from film.hub.saved_model import SavedModel  # TensorFlow, whatever the backend

            values = SavedModel(path).variables
        else:
            values = checkpoint.load(path)
        network.Config.of(values)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} holds no network; give a run's weights.npz or a SavedModel's directory ({error})"
        ) from error
    return values


def pass_through(film: network.Film) -> None:
    """Make the picture the average of the two warped images: three filters of the finest fusion level carry its
    colours, and the last convolution reads those alone. The fusion, which learns slowly, then starts from what
    the flow can do; the other filters are there to be drawn in. ValueError where there are fewer than three.
    """
    if film.config.fusion_filters[0] < 3:
        raise ValueError(f"fusion_filters is {film.config.fusion_filters}; a new network takes at least 3 as the first")
    _, merge, refine = film.fusion.levels[0]
    filters = film.config.filters
    weights = [ops.convert_to_numpy(v).copy() for layer in (merge, refine, film.fusion.to_rgb) for v in layer.variables]
    merging, merging_bias, refining, refining_bias, to_rgb, to_rgb_bias = weights
    centre = (1, 1)
    for kernel in (merging, refining):
        kernel[..., :3] = 0
    to_rgb[...] = 0
    for channel in range(3):
        # aligned: image and features of the first, then of the last; LeakyReLU leaves what is positive as it is.
        merging[(*centre, channel, channel)] = 0.5
        merging[(*centre, 3 + filters + channel, channel)] = 0.5
        refining[(*centre, channel, channel)] = 1
        to_rgb[0, 0, channel, channel] = 1
    merging_bias[:3], refining_bias[:3], to_rgb_bias[:] = 0, 0, 0
    merge.set_weights([merging, merging_bias])
    refine.set_weights([refining, refining_bias])
    film.fusion.to_rgb.set_weights([to_rgb, to_rgb_bias])


def enlarged(kernel: np.ndarray, bias: np.ndarray, inputs: list[tuple[int, int]], outputs: int, rng) -> tuple:
    """A convolution's kernel and bias with more inputs and filters. `inputs` are the parts of what it reads, old and
    new number of channels each. Old filters do not read the new channels, which stand last in their part; new filters
    read everything through random weights. (After Net2Net, Chen et al. 2016, which copies filters instead: random ones
    need no noise to become different.)
    """
    height, width, _, old_outputs = kernel.shape
    new_inputs = sum(new for _, new in inputs)
    scale = np.sqrt(2 / (height * width * new_inputs))
    result = rng.normal(0, scale, (height, width, new_inputs, outputs)).astype(np.float32)
    result[..., :old_outputs] = 0
    at_old = at_new = 0
    for old, new in inputs:
        result[:, :, at_new : at_new + old, :old_outputs] = kernel[:, :, at_old : at_old + old]
        at_old, at_new = at_old + old, at_new + new
    return result, np.concatenate([bias, np.zeros(outputs - old_outputs, np.float32)])


def predictor_filters(filters: int) -> tuple[int, ...]:
    """The filters of each layer of a `network.FlowPredictor` of so many."""
    return filters, filters, filters, filters // 2, 2


def grow(values: Mapping[str, np.ndarray], config: network.Config, seed: int = 0) -> dict[str, np.ndarray]:
    """The variables of a network of the larger `config` that computes the same function as the one with `values`.
    Only the numbers of filters may differ; what is new is read by nothing yet."""
    rng = np.random.default_rng(seed)
    old = network.Config.of(values, config.levels)
    widths, old_widths = (np.hstack([c.filters, c.flow_filters, c.fusion_filters]) for c in (config, old))
    plan, old_plan = ((c.levels, c.sub_levels, len(c.flow_filters), len(c.fusion_filters)) for c in (config, old))
    if plan != old_plan:
        raise ValueError(
            f"{old} cannot be grown to {config}: as many flow predictors and levels of the fusion as before, please;"
            " only their numbers of filters may differ"
        )
    if any(widths < old_widths):
        raise ValueError(f"{old} has more filters than {config}; it cannot be grown to it")
    result: dict[str, np.ndarray] = {}

    def put(name: str, inputs: list[tuple[int, int]], outputs: int) -> tuple[int, int]:
        kernel, bias = values[f"{name}/kernel"], values[f"{name}/bias"]
        kernel, result[f"{name}/bias"] = enlarged(kernel, bias, inputs, outputs, rng)
        result[f"{name}/kernel"] = kernel
        return bias.size, outputs

    seen = (3, 3)
    for n in range(2 * config.sub_levels):
        seen = put(f"feat_net/sub_extractor/cfeat_conv_{n}", [seen], config.filters << n // 2)

    def features(level: int) -> list[tuple[int, int]]:
        return [(old.filters << j, config.filters << j) for j in range(min(level + 1, config.sub_levels))]

    *fine, _ = config.flow_filters
    for i, filters in enumerate(config.flow_filters):
        name = f"predict_flow/flow_predictor_{i if i < len(fine) else 'shared'}"
        parts = 2 * features(i)
        for n, outputs in enumerate(predictor_filters(filters)):
            parts = [put(f"{name}/conv_{n}", parts, outputs)]

    def aligned(level: int) -> list[tuple[int, int]]:
        return 2 * [(3, 3), *features(level)] + [(4, 4)]

    parts = aligned(config.fusion_levels - 1)
    for i, filters in reversed(list(enumerate(config.fusion_filters))):
        names = [f"fusion/conv2d_{n}" if n else "fusion/conv2d" for n in range(3 * i, 3 * i + 3)]
        parts = [put(names[0], parts, filters)]
        parts = [put(names[1], aligned(i) + parts, filters)]
        parts = [put(names[2], parts, filters)]
    put(f"fusion/conv2d_{3 * (config.fusion_levels - 1)}", parts, 3)
    if unknown := sorted(values.keys() - result.keys()):
        raise ValueError(f"these variables are not of {old}: {', '.join(unknown)}")
    return result


def replace_predictor(
    values: Mapping[str, np.ndarray], level: int, filters: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """The variables with a new flow predictor at the fine `level`, one of `filters` filters that adds nothing to the
    flow from the level below until it has learnt to."""
    rng = np.random.default_rng(seed)
    result = dict(values)
    inputs = values[f"predict_flow/flow_predictor_{level}/conv_0/kernel"].shape[2]
    for n, outputs in enumerate(predictor_filters(filters)):
        size = 3 if n < 3 else 1
        scale = np.sqrt(2 / (size * size * inputs)) if n < 4 else 0.0
        kernel = rng.normal(0, 1, (size, size, inputs, outputs)) * scale
        result[f"predict_flow/flow_predictor_{level}/conv_{n}/kernel"] = kernel.astype(np.float32)
        result[f"predict_flow/flow_predictor_{level}/conv_{n}/bias"] = np.zeros(outputs, np.float32)
        inputs = outputs
    return result
