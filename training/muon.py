"""Muon (Jordan et al. 2024) for convolutions: the momentum of a kernel, seen as a matrix from all it reads to its
filters, is made orthogonal before it is applied, so that no direction is learnt much faster than the others.
An update is as large as Adam's at the same rate (Liu et al. 2025). Biases, and kernels with few filters, go to Adam."""

import torch

FEWEST = 16  # filters of a kernel for Muon
MOMENTUM = 0.95


def orthogonal(x):
    """A matrix near the closest orthogonal one, by five Newton-Schulz steps with Jordan's coefficients."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, network: torch.nn.Module, rate: float):
        kernels = [p for p in network.parameters() if p.ndim == 4 and p.shape[0] >= FEWEST]
        chosen = {id(p) for p in kernels}
        others = [p for p in network.parameters() if id(p) not in chosen]
        super().__init__([{"params": kernels, "muon": True}, {"params": others, "muon": False}], {"lr": rate})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                    if not group["muon"]:
                        state["square"], state["step"] = torch.zeros_like(p), torch.zeros(())
                if group["muon"]:
                    state["momentum"].mul_(MOMENTUM).add_(p.grad)
                    update = orthogonal(p.grad.add(state["momentum"], alpha=MOMENTUM).flatten(1))
                    p.add_(update.view_as(p), alpha=-group["lr"] * 0.2 * max(update.shape) ** 0.5)
                else:
                    state["step"] += 1
                    state["momentum"].lerp_(p.grad, 0.1)
                    state["square"].lerp_(p.grad.square(), 0.01)
                    first = state["momentum"] / (1 - 0.9 ** state["step"])
                    second = state["square"] / (1 - 0.99 ** state["step"])
                    p.addcdiv_(first, second.sqrt() + 1e-8, value=-group["lr"])
