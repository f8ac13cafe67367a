"""What a network starts from, where random is not good enough. None of it changes the architecture."""

import numpy as np
from keras import ops

from training import network


def pass_through(film: network.Film) -> None:
    """Make the picture the average of the two warped images: three filters of the finest fusion level carry its
    colours, and the last convolution reads those alone. The fusion, which learns slowly, then starts from what
    the flow can do; the other filters are there to be drawn in.
    """
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


def widen(values: dict[str, np.ndarray], predictor: str, filters: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The variables with flow predictor `predictor` ("0", "1", ..., "shared") grown to `filters`, the same function.

    The new filters see what the old ones see through random kernels; nothing reads them yet. (After Net2Net,
    Chen et al. 2016, which copies filters instead: random ones need no noise to become different.)
    """
    rng = np.random.default_rng(seed)
    values = dict(values)
    widths = [
        None,
        filters,
        filters,
        filters,
        filters // 2,
        2,
    ]  # after each convolution; the first's input is given
    for n in range(5):
        name = f"predict_flow/flow_predictor_{predictor}/conv_{n}"
        old, bias = values[f"{name}/kernel"], values[f"{name}/bias"]
        height, width, inputs, outputs = old.shape
        new_inputs, new_outputs = widths[n] or inputs, widths[n + 1]
        if new_inputs < inputs or new_outputs < outputs:
            raise ValueError(f"{name} has {outputs} filters already; it cannot be grown to {new_outputs}")
        kernel = rng.normal(0, np.sqrt(2 / (height * width * new_inputs)), (height, width, new_inputs, new_outputs))
        kernel[..., :outputs] = 0
        kernel[:, :, :inputs, :outputs] = old
        values[f"{name}/kernel"] = kernel.astype(np.float32)
        values[f"{name}/bias"] = np.concatenate([bias, np.zeros(new_outputs - outputs, np.float32)])
    return values
