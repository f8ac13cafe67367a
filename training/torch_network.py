"""The same network for Keras' torch backend, its forward pass written in plain PyTorch.

Channels come second (last in memory for convolutions) and `grid_sample` warps: on two CPU cores a training step takes a
third to a quarter of the processor time of the portable network's. The variables are the very same, and so is the
output, which the tests verify. Convolutions may run in bfloat16, which is faster on some processors and slower on
others; what addresses pixels (flows and warping) and the picture stay in float32: bfloat16 has 8 significant bits, a
flow of 20 pixels would be rounded to eighths.
"""

import torch
import torch.nn.functional as F

from training import network


def half(x):
    return F.avg_pool2d(x, 2)


def channels_last(x):
    """Laid out in memory as (B, H, W, C), which spares each convolution the rearrangement into its own blocks."""
    return x.contiguous(memory_format=torch.channels_last)


def swap(x):
    return torch.cat(x.chunk(2)[::-1])


def warp(x, flow):
    """As `network.warp`, (B, C, H, W) along (B, 2, H, W)."""
    height, width = x.shape[2:]
    at_x = torch.arange(width, device=x.device) + flow[:, 0]
    at_y = torch.arange(height, device=x.device)[:, None] + flow[:, 1]
    grid = torch.stack([at_x * (2 / max(width - 1, 1)) - 1, at_y * (2 / max(height - 1, 1)) - 1], dim=-1)
    return F.grid_sample(x.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)


class TorchFilm(network.Film):
    """A `network.Film` to train with. `dtype` is that of the convolutions."""

    def __init__(self, config: network.Config, dtype: torch.dtype = torch.float32, **kwargs):
        super().__init__(config, **kwargs)
        self.convolution_dtype = dtype

    def convolve(self, x, layer, dtype=None):
        dtype = dtype or self.convolution_dtype
        kernel = channels_last(layer.kernel.value.permute(3, 2, 0, 1).to(dtype))  # HWIO -> OIHW
        size = kernel.shape[-1]
        x = F.pad(x, (0, 1, 0, 1)) if size == 2 else x  # an even "same" convolution pads right and bottom
        x = F.conv2d(
            channels_last(x.to(dtype)), kernel, layer.bias.value.to(dtype), padding=size // 2 if size == 3 else 0
        )
        linear = layer.activation.__name__ == "linear"
        return x if linear else F.leaky_relu(x, 0.2)

    def features(self, images):
        levels, sub_levels = self.config.levels, self.config.sub_levels
        convs = self.feat_net.sub_extractor.convs
        trees = []
        for i in range(levels):
            tree, x = [], images[i]
            for j in range(min(levels - i, sub_levels)):
                x = half(x) if j else x
                x = self.convolve(self.convolve(x, convs[2 * j]), convs[2 * j + 1])
                tree.append(x)
            trees.append(tree)
        return [torch.cat([trees[i - j][j] for j in range(min(i + 1, sub_levels))], 1) for i in range(levels)]

    def flows(self, features):
        flow, flows = None, []
        for a, predictor in zip(reversed(features), reversed(self.predict_flow.predictors), strict=True):
            b = swap(a)
            if flow is not None:
                flow = F.interpolate(2 * flow, scale_factor=2, mode="bilinear", align_corners=False)
                b = warp(b, flow).to(a.dtype)
            *hidden, last = predictor.convs
            x = torch.cat([a, b], 1)
            for layer in hidden:
                x = self.convolve(x, layer)
            residual = self.convolve(x, last, torch.float32)
            flow = residual if flow is None else flow + residual
            flows.insert(0, flow)
        return flows

    def fuse(self, aligned):
        x = aligned[-1]
        for i in reversed(range(len(self.fusion.levels))):
            enlarge, merge, refine = self.fusion.levels[i]
            x = self.convolve(F.interpolate(x, scale_factor=2, mode="nearest"), enlarge)
            x = self.convolve(self.convolve(torch.cat([aligned[i].to(x.dtype), x], 1), merge), refine)
        return self.convolve(x, self.fusion.to_rgb, torch.float32)

    def call(self, inputs, fuse: bool = True):
        if not self.fusion.built:  # the first call, which makes the variables
            return super().call(inputs, fuse)
        images = [torch.cat([inputs["x0"], inputs["x1"]]).permute(0, 3, 1, 2)]  # (2B, 3, H, W)
        for _ in range(self.config.levels - 1):
            images.append(half(images[-1]))
        features = self.features(images)
        flows = self.flows(features)
        aligned, warped = [], []
        for i in range(self.config.fusion_levels):
            to_ends = 0.5 * swap(flows[i])
            seen = torch.cat([images[i], features[i].float()], 1) if fuse else images[i]
            fetched = warp(seen, to_ends)
            warped.append(fetched[:, :3])
            aligned.append(torch.cat([*fetched.chunk(2), *to_ends.chunk(2)], 1))

        def last_channels(x):
            return x.permute(0, 2, 3, 1)

        outputs = {}
        for names, pyramid in (
            (("x0_warped_pyramid", "x1_warped_pyramid"), warped),
            (("forward_flow_pyramid", "backward_flow_pyramid"), flows),
        ):
            halves = [last_channels(level).chunk(2) for level in pyramid]
            outputs |= {name: [level[n] for level in halves] for n, name in enumerate(names)}
        return outputs | {"image": last_channels(self.fuse(aligned))} if fuse else outputs
