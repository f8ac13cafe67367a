"""Batches for which the teacher is asked as they are drawn: for a GPU, where it takes less time than reading lessons.

All frames lie on the device. Each batch has one span of frames and one time, so that the true frame at that time is
there for all of it; every fourth batch has any time, at which only the teacher's picture is.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

from training.lessons import EVEN, Batch
from training.teacher import MULTIPLE, SCALES, SPANS, load

MARGIN = 32  # pixels around a crop that only the teacher sees
DRAWN = 1.5  # pairs are asked about for each that is learnt from: some hardly move, some move too far


class OnlineLessons:
    """Draws batches from frames on a device."""

    def __init__(self, videos: Mapping[str, np.ndarray], device: torch.device):
        self.device = device
        self.videos = [torch.from_numpy(np.array(frames)).to(device) for frames in videos.values()]
        shares = np.array([len(frames) for frames in self.videos], np.float64) ** 0.6
        self.shares = shares / shares.sum()
        self.teacher = load(device)

    def draw(self, size: int, side: tuple[int, int], largest: float, rng: np.random.Generator) -> Batch:
        """As `lessons.draw`, on the device. Crops in which hardly anything moves, or more than `largest` pixels on
        average towards one photo, come only where there are not enough others."""
        span = int(rng.choice(SPANS))
        true = int(rng.integers(1, span))
        if span % 2 == 0 and rng.random() < 0.5:
            true = span // 2
        exact = rng.random() < 0.75
        time = true / span if exact else float(rng.uniform(0.08, 0.92))
        context = [-(-(s + 2 * MARGIN) // MULTIPLE) * MULTIPLE for s in side]
        crops = torch.stack([self._crop(span, true, context, rng) for _ in range(round(DRAWN * size))])
        crops = augmented(crops.permute(1, 0, 4, 2, 3).float() / 255, rng)  # (3, N, 3, H, W): first, true, last
        with torch.no_grad(), torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            at = torch.full((crops.shape[1], 1, 1, 1), time, device=self.device)
            flows, _, merged = self.teacher(torch.cat([crops[0], crops[2]], 1), at, list(SCALES))
        flow, picture = flows[-1].float(), merged[-1].float().clamp(0, 1)
        top, left = ((c - s) // 2 for c, s in zip(context, side, strict=True))
        inner = np.s_[..., top : top + side[0], left : left + side[1]]
        first, truth, last, flow, picture = (x[inner] for x in (*crops, flow, picture))
        length = flow.abs().mean((1, 2, 3))
        fitting = ((length >= 0.4) & (length <= largest)).float()
        chosen = torch.argsort(fitting + 1e-3 * torch.rand_like(fitting), descending=True)[:size]
        first, truth, last, flow, picture = (x[chosen] for x in (first, truth, last, flow, picture))
        if exact:
            error = (picture - truth).square().mean((1, 2, 3), keepdim=True).clamp(min=1e-10)
            picture = torch.where(-10 * error.log10() >= EVEN, truth, picture)
        return Batch(first, last, picture, F.avg_pool2d(flow, 2), time)

    def _crop(self, span: int, true: int, side: list[int], rng: np.random.Generator) -> torch.Tensor:
        """Frames (3, height, width, 3) uint8: first, true, last. Frames smaller than a crop are continued at
        their edges."""
        while True:
            frames = self.videos[rng.choice(len(self.videos), p=self.shares)]
            if len(frames) > span:
                break
        start = int(rng.integers(len(frames) - span))
        top, left = (int(rng.integers(max(0, n - s) + 1)) for n, s in zip(frames.shape[1:3], side, strict=True))
        three = frames[[start, start + true, start + span], top : top + side[0], left : left + side[1]]
        if 2 * true == span and rng.random() < 0.5:
            three = three.flip(0)  # backwards in time
        short = [s - n for n, s in zip(three.shape[1:3], side, strict=True)]
        if any(short):
            planes = F.pad(three.permute(0, 3, 1, 2).float(), (0, short[1], 0, short[0]), mode="replicate")
            three = planes.permute(0, 2, 3, 1).to(torch.uint8)
        return three


def augmented(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mirrored, turned upside down, brightness and colours changed: (3, N, 3, H, W) in [0, 1], alike for a batch's
    three images, another for each pair in brightness."""
    if rng.random() < 0.5:
        images = images.flip(-1)
    if rng.random() < 0.3:
        images = images.flip(-2)
    if rng.random() < 0.2:
        images = images[:, :, torch.from_numpy(rng.permutation(3))]
    gain, shift = (
        torch.from_numpy(rng.uniform(*limits, images.shape[1]).astype(np.float32))
        .to(images.device)
        .view(1, -1, 1, 1, 1)
        for limits in ((0.75, 1.25), (-0.08, 0.08))
    )
    return (images * gain + shift).clamp(0, 1)
