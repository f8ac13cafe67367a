"""What the network is asked for: the middle picture, both images brought to it, and the flows where they are known."""

import math
from collections.abc import Mapping

from keras import ops

from training.network import half

PYRAMID_LEVELS = 4
FLOW_LEVELS = 5  # finest levels whose flow is compared
NOISE = 1e-4  # mean square below which a picture is as good as its grain lets it be: 40 dB


def distance(error):
    """Mean absolute error."""
    return ops.mean(ops.abs(error))


def decibels(error):
    """Minus the PSNR of each picture, levelling off at 40 dB, their mean. Its gradient is relative to the picture's
    own error, so that easy pairs, where the finest motion is learnt, are not lost beside those where nothing fits."""
    return ops.mean(10 / math.log(10) * ops.log(ops.mean(ops.square(error), axis=(1, 2, 3)) + NOISE))


def laplacian(error):
    """Mean absolute error of each band of the Laplacian pyramid, coarser ones weighing more (Niklaus and Liu 2018)."""
    total = 0.0
    for i in range(PYRAMID_LEVELS):
        coarser = half(error)
        enlarged = ops.repeat(ops.repeat(coarser, 2, axis=1), 2, axis=2)
        total = total + 1.5**i * distance(error - enlarged)
        error = coarser
    return total


def flow_error(to_ends, target, known):
    """Mean distance in pixels of the finest level between half flows, pyramids of (B, H, W, 2), and (B, H, W, 2),
    where `known`, (B, H, W, 1), says so."""
    total = 0.0
    for i, flow in enumerate(to_ends[:FLOW_LEVELS]):
        if i:  # the mean of the known flows under each coarser pixel, if they are more than half of it
            share = half(known)
            target = half(target * known) / ops.maximum(share, 1e-6) / 2
            known = ops.cast(share > 0.5, "float32")
        length = ops.sqrt(ops.sum(ops.square(flow - target), axis=-1, keepdims=True) + 1e-4)
        total = total + 2**i * ops.sum(length * known) / ops.maximum(ops.sum(known), 1.0)
    return total / len(to_ends[:FLOW_LEVELS])


def terms(outputs: Mapping, target: Mapping) -> dict:
    """Each part of the loss by name, unweighted. `target` has the fields of `clips.Triplet`."""
    middle = target["middle"]
    parts = {"warped": 0.0, "warped_coarse": 0.0, "warped_laplacian": 0.0, "flow": 0.0}
    # The middle fetches from the first image along half of the backward flow, from the last along the forward one.
    for image, pyramid, end in (("x0", "backward", "to_first"), ("x1", "forward", "to_last")):
        finest, *coarser = outputs[f"{image}_warped_pyramid"]
        to_ends = [0.5 * flow for flow in outputs[f"{pyramid}_flow_pyramid"]]
        parts["warped"] += 0.5 * distance(finest - middle)
        parts["warped_laplacian"] += 0.5 * laplacian(finest - middle)
        # Fine pictures that are far apart do not say where to; at a coarse level they still overlap.
        halved = middle
        for level in coarser:
            halved = half(halved)
            parts["warped_coarse"] += 0.5 * distance(level - halved) / len(coarser)
        parts["flow"] += 0.5 * flow_error(to_ends, target[end], target["known"])
    if "image" in outputs:
        error = outputs["image"] - middle
        parts |= {"image": distance(error), "laplacian": laplacian(error), "decibels": decibels(error)}
    return parts


def weights(progress, fused: bool) -> dict:
    """The weight of each part at `progress` from 0 to 1. Guidance fades: the teacher's flows are not the truth, and
    the fusion may want something else of the warped images than to look like the middle. What PSNR counts comes
    forward at the end: where the motion cannot be known, the mean of what may be is nearer than any guess. As the
    weights change, the sum of all parts says nothing about progress; the parts do."""
    guidance = {"flow": 0.01 * (1 - 0.8 * progress)}
    if not fused:
        return guidance | {"warped": 1.0, "warped_coarse": 1.0, "warped_laplacian": 0.25}
    guidance |= {"warped": 0.3 * (1 - 0.7 * progress), "warped_coarse": 0.5 * (1 - 0.8 * progress)}
    sharp = 1 - 0.6 * progress
    return guidance | {"image": 0.7 * sharp, "laplacian": 0.25 * sharp, "decibels": 0.002 + 0.005 * progress}
