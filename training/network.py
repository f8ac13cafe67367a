"""The compact network: two photos and any time between them -> the frame at that time, in one call.

1. `Extractor`: features of each photo by itself, at 1/2 and at 1/4 of its size and coarser. All levels coarser than
   1/4 come from the same two convolutions, applied again and again.
2. `Update`, coarse to fine, one module for all levels coarser than 1/4 and one for 1/4: from the features of both
   photos, warped to the time wanted by what is known of the flows so far, it refines the flows from the frame at that
   time to both ends. A cost volume makes the matching explicit: how alike are the two photos at points that lie
   opposite each other about each pixel of the frame that is made (`proposal`)? What it finds is offered to the
   convolutions as a first guess. At 1/8 and 1/4 each pixel then takes the flow of that neighbour with which both
   photos match best (`chosen`): coarse levels blur the flow over the edges of what moves, further than the cost volume
   of a finer one reaches.
3. `Head`: last refinement at 1/2, and a mask that says which photo is seen at each pixel.
4. The picture is the two photos, warped along the flows, mixed by the mask. Nothing is painted, and the photos are
   warped bicubically: what is made is nearly as sharp as they are.

Sources: shared extractor and update, Jin et al., "A Unified Pyramid Recurrent Network for Video Frame Interpolation"
(UPR-Net, CVPR 2023); flows from the frame at any time, Huang et al. (RIFE, ECCV 2022); a cost volume centred on the
middle, Park et al., "BMBC" (ECCV 2020); flows of neighbours as candidates, Barnes et al., "PatchMatch" (SIGGRAPH 2009).

Conventions: images are (batch, 3, height, width), RGB in [0, 1], gamma-encoded; sides are multiples of
2 ** (levels + 1). `time` is a float in (0, 1), one for the batch. A flow is (B, 4, H, W): (dx, dy) to the first and
(dx, dy) to the last photo, in pixels of its own level. frame[y, x] ~ first[y + dy, x + dx].
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

VISITS = 2  # updates at each level coarser than ONCE, where they cost little
ONCE = 2  # 1/16, the coarsest level with one update
RADIUS = 3  # of the cost volume, in pixels of a level, from the frame that is made towards either photo
OFFSETS = [(dy, dx) for dy in range(-RADIUS, RADIUS + 1) for dx in range(-RADIUS, RADIUS + 1)]
SHARPNESS = 8.0  # of the softmax over the costs, which lie in [-1, 1]
CROSS = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]  # the pixel itself, and its neighbours: rows, columns
SQUARE = [*CROSS, (1, 1), (1, -1), (-1, 1), (-1, -1)]
# By level (0 is 1/4), how far the neighbours are in pixels, and which: what a pixel may take its flow from, in order.
NEIGHBOURS = {1: [(2, SQUARE), (1, SQUARE)], 0: [(2, CROSS)]}
DECISION = 30.0  # sharpness of the softmax over their matches, which lie in [-1, 1]
OWN = 0.02  # by which a pixel's own flow counts as the better match
DIFFERENT = 1e5  # times the squared difference of two photos: from 1 of 255 on they differ
FLOW_SCALE = 0.1  # flows are some pixels large, features about one


@dataclass(frozen=True)
class Config:
    """Sizes of the network, in channels."""

    half: int = 24  # features at 1/2
    quarter: int = 48  # features at 1/4 and coarser
    matching: int = 32  # what of these is compared in the cost volume
    update: int = 64
    context: int = 40  # what one level tells the next beside the flow
    head: int = 32
    blocks: int = 3  # residual blocks of the update at 1/4
    coarse_blocks: int = 4  # and at coarser levels, where they cost little


def conv(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2)
    nn.init.kaiming_normal_(layer.weight, a=0.2)
    nn.init.zeros_(layer.bias)
    return layer


def activate(x):
    return F.leaky_relu(x, 0.2)


def double(x):
    """Bilinear enlargement, half-pixel centres: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def warp(x, flow, mode: str = "bilinear"):
    """Fetch `x` (B, C, H, W) along `flow` (B, 2, H, W): result[y, x'] = x[y + dy, x' + dx], clamped; `mode` is bilinear
    or bicubic."""
    height, width = x.shape[2:]
    at_x = torch.arange(width, dtype=torch.float32, device=x.device) + flow[:, 0]
    at_y = torch.arange(height, dtype=torch.float32, device=x.device)[:, None] + flow[:, 1]
    # The coarsest level of a small photo has one pixel.
    grid = torch.stack([at_x * (2 / max(width - 1, 1)) - 1, at_y * (2 / max(height - 1, 1)) - 1], -1)
    grid = grid.clamp(-1, 1)  # bicubic sampling beyond the border would read what lies within it
    return F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=True)


def moving(first, last):
    """1 where the photos differ within some 18 pixels, 0 where they are equal, (B, 1, H/2, W/2): what does not move
    stays exactly as it is. The sum of squared differences around a pixel decides."""
    different = F.avg_pool2d((first - last).square().sum(1, keepdim=True), 4)
    different = F.avg_pool2d(different, 9, 1, 4)
    return double((DIFFERENT * different).clamp(max=1.0))


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        nn.init.zeros_(self.second.weight)

    def forward(self, x):
        return activate(x + self.second(activate(self.first(x))))


class Extractor(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.half_0, self.half_1 = conv(3, config.half, 2), conv(config.half, config.half)
        self.quarter_0, self.quarter_1 = conv(config.half, config.quarter, 2), conv(config.quarter, config.quarter)
        self.coarse_0, self.coarse_1 = conv(config.quarter, config.quarter, 2), conv(config.quarter, config.quarter)
        self.matching = conv(config.quarter, config.matching, size=1)

    def forward(self, images, levels: int):
        """(B, 3, H, W) -> features at 1/2, and at 1/4, 1/8, ...: `levels` of them. `matching` makes of these what is
        compared, be they warped or not: each of its pixels depends on one alone, and linearly."""
        x = half = activate(self.half_1(activate(self.half_0(images - 0.5))))
        pyramid = []
        for n in range(levels):
            one, two = (self.coarse_0, self.coarse_1) if n else (self.quarter_0, self.quarter_1)
            x = activate(two(activate(one(x))))
            pyramid.append(x)
        return half, pyramid


def unit(x):
    """Features freed of their mean and scaled to unit length at each pixel: (B, C, H, W) float32."""
    x = x.float() - x.float().mean(1, keepdim=True)
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-4)


class Correlation(torch.autograd.Function):
    """first, last (B, C, H, W) -> (B, 49, H, W), the product of `first` at x with `last` at x + 2 d, nothing beyond the
    border. Written by hand because autograd would fill a picture with zeros for each of the 49 parts."""

    @staticmethod
    def parts(height: int, width: int):
        reach = 2 * RADIUS
        for n, (dy, dx) in enumerate(OFFSETS):
            top, left = reach + 2 * dy, reach + 2 * dx
            yield n, np.s_[:, :, top : top + height, left : left + width]

    @staticmethod
    def forward(ctx, first, last):
        padded = F.pad(last, [2 * RADIUS] * 4)
        ctx.save_for_backward(first, padded)
        costs = first.new_empty(first.shape[0], len(OFFSETS), *first.shape[2:])
        for n, part in Correlation.parts(*first.shape[2:]):
            torch.sum(first * padded[part], 1, out=costs[:, n])
        return costs

    @staticmethod
    def backward(ctx, gradient):
        first, padded = ctx.saved_tensors
        to_first, to_last = torch.zeros_like(first), torch.zeros_like(padded)
        for n, part in Correlation.parts(*first.shape[2:]):
            one = gradient[:, n : n + 1]
            to_first.addcmul_(padded[part], one)
            to_last[part].addcmul_(first, one)
        reach = 2 * RADIUS
        return to_first, to_last[:, :, reach:-reach, reach:-reach]


def proposal(first, last, time: float):
    """Costs (B, 49, H, W) in [-1, 1] and the motion they speak for, (B, 2, H, W) in pixels from the frame that is made
    to half the distance between both photos; `first` and `last` are unit features, warped to `time`.

    At offset d, what is seen at x at `time` was at x - 2 t d in the first photo and will be at x + 2 (1 - t) d in the
    last. Both are compared on the first photo's grid, where they lie 2 d apart; the costs of each d are then moved to
    the grid of the frame, by 2 t d rounded to whole pixels."""
    height, width = first.shape[2:]
    reach = 2 * RADIUS
    costs = F.pad(Correlation.apply(first, last), [reach] * 4)
    moved = []
    for n, (dy, dx) in enumerate(OFFSETS):
        top, left = (reach - math.floor(2 * time * d + 0.5) for d in (dy, dx))
        moved.append(costs[:, n, top : top + height, left : left + width])
    costs = F.avg_pool2d(torch.stack(moved, 1), 3, 1, 1)
    weights = torch.softmax(SHARPNESS * costs, 1)
    offsets = torch.tensor([(dx, dy) for dy, dx in OFFSETS], dtype=torch.float32, device=first.device)
    return costs, torch.einsum("bnhw,nc->bchw", weights, offsets)


def fetched(x, flow):
    """The pixels of `x` (B, C, H, W) nearest to where `flow` (B, 2, H, W) leads, clamped: (B, H, W, C)."""
    batch, channels, height, width = x.shape
    columns = (torch.arange(width, device=x.device) + flow[:, 0]).clamp(0, width - 1).add(0.5).long()
    rows = (torch.arange(height, device=x.device)[:, None] + flow[:, 1]).clamp(0, height - 1).add(0.5).long()
    start = height * width * torch.arange(batch, device=x.device)[:, None, None]
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
    found = pixels.index_select(0, (start + rows * width + columns).flatten())
    return found.view(batch, height, width, channels)


def chosen(first, last, flow, distance: int, neighbours: list[tuple[int, int]]):
    """The flow (B, 4, H, W) of that neighbour `distance` pixels away along which both photos match best, or a mixture
    of several; `first` and `last` are unit features."""
    height, width = flow.shape[2:]
    padded = F.pad(flow, [distance] * 4, mode="replicate")
    flows, matches = [], []
    for row, column in neighbours:
        top, left = distance * (1 + row), distance * (1 + column)
        flows.append(padded[:, :, top : top + height, left : left + width])
        match = (fetched(first, flows[-1][:, :2]) * fetched(last, flows[-1][:, 2:])).sum(-1)
        matches.append(match + OWN if (row, column) == (0, 0) else match)
    matches = F.avg_pool2d(F.pad(torch.stack(matches, 1), [1] * 4, mode="replicate"), 3, 1)
    weights = torch.softmax(DECISION * matches, 1)
    return sum(weights[:, n : n + 1] * one for n, one in enumerate(flows))


class Update(nn.Module):
    def __init__(self, config: Config, blocks: int):
        super().__init__()
        inputs = 2 * config.quarter + len(OFFSETS) + 4 + 2 + config.context + 1
        self.enter = conv(inputs, config.update, size=1)
        self.blocks = nn.ModuleList(Residual(config.update) for _ in range(blocks))
        self.leave = conv(config.update, 4 + config.context)
        nn.init.normal_(self.leave.weight[:4], std=1e-3)

    def forward(self, first, last, costs, flow, motion, context, time: float):
        time = torch.full_like(flow[:, :1], time)
        x = torch.cat([first, last, costs, flow * FLOW_SCALE, motion, context, time], 1)
        x = activate(self.enter(x.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            x = block(x)
        x = self.leave(x)
        return x[:, :4].float(), activate(x[:, 4:])


class Head(nn.Module):
    """At 1/2: flows (B, 4, H, W) and mask (B, 1, H, W) of the full size. The context is read at 1/4, where it is; there
    is no flow where nothing is `moving`, (B, 1, H/2, W/2)."""

    def __init__(self, config: Config):
        super().__init__()
        self.context = conv(config.context, config.head)
        self.enter = conv(2 * config.half + 4 + 1, config.head)
        self.block = Residual(config.head)
        self.leave = conv(config.head, 5 * 4)
        nn.init.normal_(self.leave.weight, std=1e-3)

    def forward(self, first, last, flow, context, moving, time: float):
        time = torch.full_like(flow[:, :1], time)
        x = torch.cat([first, last, flow * FLOW_SCALE, time], 1)
        x = self.enter(x.contiguous(memory_format=torch.channels_last)) + double(self.context(context))
        x = self.block(activate(x))
        x = F.pixel_shuffle(self.leave(x).float() * moving, 2)
        return double(2 * flow * moving) + x[:, :4], x[:, 4:]


def visits(levels: int) -> list[tuple[int, int]]:
    """(level, number of the visit, from 0), in the order of the updates."""
    return [(n, visit) for n in reversed(range(levels)) for visit in range(VISITS if n > ONCE else 1)]


class CompactNetwork(nn.Module):
    def __init__(self, config: Config = Config(), bfloat16: bool = False):
        super().__init__()
        self.config = config
        self.bfloat16 = bfloat16
        self.extractor, self.head = Extractor(config), Head(config)
        self.coarse_update, self.update = Update(config, config.coarse_blocks), Update(config, config.blocks)

    def convolve(self, module, *values):
        """A part of the network whose convolutions may run in bfloat16; what it gives is float32."""
        with torch.autocast(values[0].device.type, torch.bfloat16, enabled=self.bfloat16):
            return module(*values)

    def forward(self, first, last, time: float, levels: int, teacher: list | None = None):
        """Images (B, 3, H, W) -> dict: "image" (B, 3, H, W); "flows" after each update, the last of the full size;
        "mask" (B, 1, H, W) in [0, 1], how much of the first photo is seen; "warped", both photos at that time.
        `teacher`: flows of the levels 1/4, 1/8, ...; each level then refines those of the coarser level."""
        batch = first.shape[0]
        images = torch.cat([first, last]).contiguous(memory_format=torch.channels_last)
        half, pyramid = self.convolve(self.extractor, images, levels)
        flow = context = None
        flows = []
        for n, visit in visits(levels):
            features = pyramid[n]
            if flow is None:
                shape = (batch, 1, *features.shape[2:])
                flow = features.new_zeros(shape, dtype=torch.float32).expand(-1, 4, -1, -1)
                context = features.new_zeros(shape).expand(-1, self.config.context, -1, -1)
            elif visit == 0:
                flow = double(2 * (flow.detach() if teacher is None else teacher[n + 1]))
                context = double(context)
            flow = flow.detach()
            seen = features.float().split(batch)
            if flows:
                seen = warp(seen[0], flow[:, :2]), warp(seen[1], flow[:, 2:])
            costs, motion = proposal(*(unit(self.convolve(self.extractor.matching, x)) for x in seen), time)
            update = self.coarse_update if n else self.update
            residual, context = self.convolve(update, *seen, costs, flow, motion, context, time)
            flow = flow + torch.cat([-2 * time * motion, 2 * (1 - time) * motion], 1) + residual
            flows.append(flow)
            if n in NEIGHBOURS:
                ends = unit(self.convolve(self.extractor.matching, features)).split(batch)
                for distance, neighbours in NEIGHBOURS[n]:
                    flow = chosen(*ends, flow, distance, neighbours)
                flows.append(flow)
        flow = double(2 * (flow.detach() if teacher is None else teacher[0]))
        half = half.float()
        near = [warp(half[:batch], flow[:, :2]), warp(half[batch:], flow[:, 2:])]
        flow, mask = self.convolve(self.head, *near, flow, context, moving(first, last), time)
        flows.append(flow)
        warped = warp(first, flow[:, :2], "bicubic"), warp(last, flow[:, 2:], "bicubic")
        mask = torch.sigmoid(mask)
        return {"image": mask * warped[0] + (1 - mask) * warped[1], "flows": flows, "mask": mask, "warped": warped}


def padded_middle(network: CompactNetwork, first: np.ndarray, last: np.ndarray, time: float = 0.5, levels: int = 5):
    """The frame at `time` between two frames of any size, (H, W, 3) float32 in [0, 1]: padded with their edges."""
    height, width, _ = first.shape
    multiple = 2 ** (levels + 1)
    margins = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    pair = [np.pad(frame, margins, mode="edge").transpose(2, 0, 1)[None] for frame in (first, last)]
    with torch.no_grad():
        image = network(*(torch.from_numpy(np.ascontiguousarray(x)).float() for x in pair), time, levels)["image"]
    return image[0, :, :height, :width].permute(1, 2, 0).numpy().clip(0, 1)
