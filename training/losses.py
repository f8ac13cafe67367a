"""The losses of the compact network: of its flows against the teacher's, and of its picture against the target."""

import torch
import torch.nn.functional as F


def charbonnier(x, epsilon: float = 1e-3):
    """A smooth absolute value."""
    return torch.sqrt(x.square() + epsilon**2)


def grey(images):
    return (images * images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def census(a, b, side: int = 7):
    """Distance of 7x7 census transforms (Meister et al., "UnFlow", 2018): blind to brightness, sharp at edges. The
    difference of each neighbour to the pixel at hand, squashed, compared between both images."""

    def transform(images):
        x = grey(images) * 255
        patches = F.unfold(x, side, padding=side // 2).view(x.shape[0], side * side, *x.shape[2:])
        difference = patches - x
        return difference * torch.rsqrt(0.81 + difference.square())

    distance = (transform(a) - transform(b)).square()
    return (distance / (0.1 + distance)).mean()


def pyramid(flow, levels: int) -> list:
    """The teacher's flow (B, 4, H/2, W/2) in full-size pixels -> flows of 1/4, 1/8, ... in their own pixels."""
    flow = 0.25 * F.avg_pool2d(flow, 2)
    found = [flow]
    for _ in range(levels - 1):
        found.append(0.5 * F.avg_pool2d(found[-1], 2))
    return found


def flow_loss(flows: list, teacher: list, finest, robust: float = 0.1):
    """Mean over updates of the robust end-point error. A pixel counts as much at each level; the full-size flow is
    compared at half its size, where the teacher's was kept."""
    total = 0.0
    by_shape = {wanted.shape: wanted for wanted in teacher}
    for flow in flows[:-1]:
        wanted = by_shape[flow.shape]
        total = total + charbonnier(flow - wanted, robust).mean()
    full = F.avg_pool2d(flows[-1], 2)
    return (total + 0.5 * charbonnier(full - finest, robust).mean()) / len(flows)


def picture_loss(image, target):
    return charbonnier(image - target).mean()
