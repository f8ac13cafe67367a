"""How different two pictures look: the distance of their SqueezeNet 1.1 features, the uncalibrated LPIPS (Zhang et al.,
"The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018). PSNR prefers a blur to a sharp
picture that is a pixel off; people do not, and neither does this.

The weights (Iandola et al. 2016) are not part of this project: an .npz with `conv1`, `fire2/squeeze1x1` ... as
`/kernel` (OIHW) and `/bias`, in Caffe's convention (BGR, 0 to 255, mean subtracted).
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

MEAN = (104.0, 117.0, 123.0)  # blue, green, red


class Perceptual:
    """`distance(a, b)` of images (B, 3, H, W), RGB in [0, 1]: 0 is alike, 0.06 hardly to be told apart, 0.25 a double
    image. Differentiable."""

    def __init__(self, path: Path, device: torch.device | str = "cpu"):
        with np.load(path) as file:
            self.weights = {name: torch.from_numpy(file[name].astype(np.float32)).to(device) for name in file.files}

    def convolve(self, x, name: str, stride: int = 1, padding: int = 0):
        return F.relu(F.conv2d(x, self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"], stride, padding))

    def fire(self, x, n: int):
        x = self.convolve(x, f"fire{n}/squeeze1x1")
        wide = self.convolve(x, f"fire{n}/expand3x3", padding=1)
        return torch.cat([self.convolve(x, f"fire{n}/expand1x1"), wide], 1)

    def features(self, images) -> list:
        """Scaled to unit length at each pixel."""
        x = images.flip(1) * 255 - torch.tensor(MEAN, device=images.device).view(1, 3, 1, 1)
        x = self.convolve(x.contiguous(memory_format=torch.channels_last), "conv1", 2)
        found = [x]
        for first in (2, 4):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = self.fire(self.fire(x, first), first + 1)
            found.append(x)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for n in (6, 7, 8, 9):
            x = self.fire(x, n)
            found.append(x)
        return [x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in found]

    def distance(self, a, b):
        pairs = zip(self.features(a), self.features(b), strict=True)
        return sum((x - y).square().sum(1).mean() for x, y in pairs) / 7
