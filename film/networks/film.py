"""FILM as two OpenVINO graphs, built directly from the variables of its SavedModel.

Frame Interpolation for Large Motion (Reda et al., ECCV 2022, arXiv 2202.04901) in five stages:

    image pyramid -> feature pyramid -> flow, coarse to fine -> warp to the middle -> fusion

The first two look at one frame alone. They are the **encoder**, run once per keyframe; the others are the
**synthesizer**, run once per pair. The cut lies as late as it can: the first convolution of every flow
predictor sees concat(own features, warped features of the other frame), and a convolution of a concatenation
is the sum of two convolutions, so its first half belongs to the frame and is computed by the encoder.

Conventions: tensors are NCHW float32 with N = 1; level 0 is the finest; `H_i = H >> i`; a flow is (dx, dy) in
pixels of its own level. Shapes at the end of a line are for the official model, k = 64. Variables carry the
names and the HWIO layout they have in TensorFlow.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset9 as ops

from film.networks import blocks
from film.networks.blocks import Tensor, Variables

PYRAMID_LEVELS = 7  # the published models; the one number that does not follow from the variables' shapes
ALIGNMENT = 2 ** (PYRAMID_LEVELS - 1)  # of their frames

EXTRACTOR = "feat_net/sub_extractor/cfeat_conv_{}"
PREDICTOR = "predict_flow/flow_predictor_{}/conv_{}"
FUSION = "fusion/conv2d{}"


@dataclass(frozen=True)
class Architecture:
    """What distinguishes one FILM from another, apart from the numbers in its variables."""

    levels: int  # of the image and flow pyramids
    sub_levels: int  # of the feature extractor below each image level
    specialized_levels: int  # fine levels with a flow predictor of their own; coarser ones share one
    fusion_levels: int

    @property
    def alignment(self) -> int:
        """Height and width must be multiples of this, so that every level halves exactly."""
        return 2 ** (self.levels - 1)

    @classmethod
    def of(cls, variables: Variables, levels: int = PYRAMID_LEVELS) -> Architecture:
        """Infer it from the variables' names. ValueError if they are not FILM's."""

        def count(pattern: str, first: int = 0) -> int:
            numbers = itertools.count(first)
            return next(n for n in numbers if f"{pattern.format(n)}/kernel" not in variables) - first

        extractor = count(EXTRACTOR)
        specialized = count(PREDICTOR.format("{}", 0))
        fusion = count(FUSION.format("_{}"), first=1) + 1
        architecture = cls(levels, extractor // 2, specialized, (fusion - 1) // 3 + 1)
        expected = set(architecture.variable_names())
        if extractor < 2 or specialized < 1 or fusion < 4 or expected != set(variables):
            strange = sorted(expected ^ set(variables))[:3]
            raise ValueError(f"These {len(variables)} variables are not FILM's: {', '.join(strange)} …")
        return architecture

    def variable_names(self) -> list[str]:
        """The names a FILM of this architecture has."""
        layers = [EXTRACTOR.format(n) for n in range(2 * self.sub_levels)]
        for level in [*range(self.specialized_levels), "shared"]:
            layers += [PREDICTOR.format(level, n) for n in range(5)]
        layers += [_fusion_layer(n) for n in range(3 * (self.fusion_levels - 1) + 1)]
        return [f"{layer}/{part}" for layer in layers for part in ("kernel", "bias")]

    def predictor(self, level: int) -> int | str:
        """Name of the flow predictor at `level`."""
        return level if level < self.specialized_levels else "shared"


def encoder(variables: Variables, architecture: Architecture) -> ov.Model:
    """One frame -> everything FILM derives from it alone.

    Input `image` (1, 3, H, W) in [0, 1]. Outputs, finest level first: `image_1` … (the pyramid, as far as fusion
    needs it), `features_i` and `own_i` (the frame's half of the flow predictor's first convolution).
    """
    image = ops.parameter([1, 3, -1, -1], np.float32, name="image")
    images = [image.output(0)]
    for _ in range(1, architecture.levels):
        images.append(_halve(images[-1]))  # (1, 3, H_i, W_i)

    features = _feature_pyramid(images, variables, architecture)
    outputs = {f"image_{i}": images[i] for i in range(1, architecture.fusion_levels)}
    for i, feature in enumerate(features):
        outputs[f"features_{i}"] = blocks.channels_last(feature)
        kernel, bias = _layer(variables, PREDICTOR.format(architecture.predictor(i), 0))
        own = _convolve(feature, kernel[:, :, : kernel.shape[2] // 2], bias)
        outputs[f"own_{i}"] = blocks.channels_last(own)
    return blocks.model(outputs, [image], "film-encoder")


def synthesizer(variables: Variables, architecture: Architecture) -> ov.Model:
    """What the encoder says of two frames -> the frame in the middle.

    Inputs: the encoder's input and outputs for both frames, prefixed `first_` and `last_`.
    Output `middle` (1, 3, H, W), not clipped.
    """
    levels, fused = range(architecture.levels), range(architecture.fusion_levels)
    shapes = {f"image_{i}": [1, 3, -1, -1] for i in fused}
    for i, width in enumerate(_feature_channels(variables, architecture)):
        own = _layer(variables, PREDICTOR.format(architecture.predictor(i), 0))[1].size
        shapes |= {f"features_{i}": [1, -1, -1, width], f"own_{i}": [1, -1, -1, own]}

    parameters: list[ov.Node] = []

    def frame(prefix: str) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        nodes = {name: ops.parameter(shape, np.float32, name=f"{prefix}_{name}") for name, shape in shapes.items()}
        parameters.extend(nodes.values())
        images = [nodes[f"image_{i}"].output(0) for i in fused]
        features, own = (
            [blocks.channels_first(nodes[f"{name}_{i}"].output(0)) for i in levels] for name in ("features", "own")
        )
        return images, features, own

    first, last = frame("first"), frame("last")
    forward = _flow(own=first[2], other=last[1], variables=variables, architecture=architecture)
    backward = _flow(own=last[2], other=first[1], variables=variables, architecture=architecture)
    for i in levels:  # names by which `graph_split.py` finds them
        forward[i].get_node().set_friendly_name(f"forward_{i}")
        backward[i].get_node().set_friendly_name(f"backward_{i}")

    aligned = []
    for i in fused:
        to_first, to_last = blocks.scale(backward[i], 0.5), blocks.scale(forward[i], 0.5)
        warped_first = blocks.warps([first[0][i], first[1][i]], to_first)  # (1, 3, H_i, W_i), (1, C_i, H_i, W_i)
        warped_last = blocks.warps([last[0][i], last[1][i]], to_last)
        aligned.append([*warped_first, *warped_last, to_first, to_last])  # flows: (1, 2, H_i, W_i)
    middle = _fuse(aligned, variables, architecture)
    return blocks.model({"middle": middle}, parameters, "film-synthesizer")


def _feature_pyramid(images: Sequence[Tensor], variables: Variables, architecture: Architecture) -> list[Tensor]:
    """Extract a small sub-pyramid from every image level, then gather what has the same resolution.

    The same extractor runs on every level, so the features of a large object in one level look like those of
    a small object in another; this lets one flow predictor serve all coarse levels.
    """
    sub_pyramids: list[list[Tensor]] = []
    for i, image in enumerate(images):
        sub_pyramid, net = [], image
        for j in range(min(architecture.levels - i, architecture.sub_levels)):
            net = _halve(net) if j else net
            for n in (2 * j, 2 * j + 1):
                net = blocks.leaky(_convolve(net, *_layer(variables, EXTRACTOR.format(n))))
            sub_pyramid.append(net)  # (1, 64 << j, H_{i+j}, W_{i+j})
        sub_pyramids.append(sub_pyramid)

    return [
        blocks.concat([sub_pyramids[i - j][j] for j in range(min(i + 1, architecture.sub_levels))])
        for i in range(architecture.levels)
    ]  # of 64, 192, 448, 960, 960, … channels


def _feature_channels(variables: Variables, architecture: Architecture) -> list[int]:
    widths = [_layer(variables, EXTRACTOR.format(2 * j))[1].size for j in range(architecture.sub_levels)]
    return [sum(widths[: i + 1]) for i in range(architecture.levels)]


def _flow(
    own: Sequence[Tensor], other: Sequence[Tensor], variables: Variables, architecture: Architecture
) -> list[Tensor]:
    """Flow from one frame to the other at every level: coarse to fine, each level adding a residual.

    `own` is the first convolution's half for the frame the flow starts from, `other` the features of the frame it
    points to. Returns (1, 2, H_i, W_i) per level, finest first.
    """
    flows: list[Tensor] = []
    for i in reversed(range(architecture.levels)):
        layers = [_layer(variables, PREDICTOR.format(architecture.predictor(i), n)) for n in range(5)]
        warped = other[i]
        if flows:
            flows.append(blocks.resize(blocks.scale(flows[-1], 2.0), 2.0))  # (1, 2, H_i, W_i)
            warped = blocks.warp(other[i], flows[-1])
        kernel = layers[0][0]
        net = _convolve(warped, kernel[:, :, kernel.shape[2] // 2 :])
        net = blocks.leaky(ops.add(net, own[i]).output(0))
        for layer in layers[1:-1]:
            net = blocks.leaky(_convolve(net, *layer))
        residual = _convolve(net, *layers[-1])
        if flows:
            flows[-1] = ops.add(flows[-1], residual).output(0)
        else:
            flows.append(residual)
    return flows[::-1]


def _fuse(aligned: Sequence[Sequence[Tensor]], variables: Variables, architecture: Architecture) -> Tensor:
    """Decode the warped pyramids into the middle frame, coarse to fine (a U-Net's second half)."""
    layers = [_layer(variables, _fusion_layer(n)) for n in range(3 * (architecture.fusion_levels - 1) + 1)]
    net = blocks.concat(aligned[-1])
    for i in reversed(range(architecture.fusion_levels - 1)):
        net = _upsample_convolve(net, *layers[3 * i])  # (1, 64 << i, H_i, W_i)
        net = blocks.leaky(_convolve_sum([*aligned[i], net], *layers[3 * i + 1]))
        net = blocks.leaky(_convolve(net, *layers[3 * i + 2]))
    return _convolve(net, *layers[-1])  # (1, 3, H, W)


def _fusion_layer(n: int) -> str:
    return FUSION.format(f"_{n}" if n else "")


def _layer(variables: Variables, name: str) -> tuple[np.ndarray, np.ndarray]:
    return variables[f"{name}/kernel"], variables[f"{name}/bias"]


def _convolve(x: Tensor, kernel: np.ndarray, bias: np.ndarray | None = None) -> Tensor:
    """A "same" convolution with an odd HWIO kernel."""
    return blocks.convolve(x, kernel.transpose(3, 2, 0, 1), bias)


def _convolve_sum(tensors: Sequence[Tensor], kernel: np.ndarray, bias: np.ndarray) -> Tensor:
    """The convolution of a concatenation, without the concatenation: a sum of convolutions.

    The sum is accumulated in place, so the largest tensor of the network (202 channels at full resolution) is never
    built. Tensors of a few channels (images, flows) still share one convolution.
    """
    widths = [tensor.get_partial_shape()[1].get_length() for tensor in tensors]
    kernels = np.split(kernel, np.cumsum(widths)[:-1], axis=2)
    narrow = [i for i, width in enumerate(widths) if width < 4]
    together = np.concatenate([kernels[i] for i in narrow], axis=2)
    y = _convolve(blocks.concat([tensors[i] for i in narrow]), together, bias)
    for i in reversed(range(len(tensors))):
        if i not in narrow:
            y = ops.add(_convolve(tensors[i], kernels[i]), y).output(0)
    return y


def _upsample_convolve(x: Tensor, kernel: np.ndarray, bias: np.ndarray) -> Tensor:
    """Nearest-neighbour upsampling by 2, then a 2x2 convolution padded at the bottom and right, in one step.

    An output row 2y reads input row y with both kernel rows; row 2y + 1 reads y with the first and y + 1 with the
    second. Seen from the input, row y spreads to rows 2y - 1, 2y, 2y + 1 with weights K1, K0 + K1, K0: a transposed
    3x3 convolution of stride 2, which needs 9 products per 2x2 block instead of 16 and no upsampled tensor.
    """
    spread = np.array([[0, 1], [1, 1], [1, 0]], np.float32)  # rows: offset -1, 0, +1; columns: K0, K1
    weights = np.einsum("ya,xb,abio->ioyx", spread, spread, kernel)  # IOHW
    y = ops.convolution_backprop_data(
        x,
        ops.constant(np.ascontiguousarray(weights)),
        strides=[2, 2],
        pads_begin=[1, 1],
        pads_end=[1, 1],
        output_padding=[1, 1],
    )
    return blocks.add_bias(y, bias)


def _halve(x: Tensor) -> Tensor:
    return ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=False).output(0)
