"""Train the compact network on lessons of the teacher.

    python -m training.train --clips DIR/train --lessons runs/lessons --run runs/small --side 128 192 --batch 16
    python -m training.train ... --run runs/large --init runs/small/weights.npz --side 256 384 --batch 4 --levels 4

A run ends at --steps, whatever stopped it before: the same command goes on from its last checkpoint.
`training/gpu.sh` is the same on a CUDA card.
"""

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed

from training import clips, lessons, losses
from training.muon import Muon
from training.network import CompactNetwork, Config
from training.online import OnlineLessons
from training.perceptual import Perceptual

AVERAGE = 0.999  # decay of the moving average of the weights, which is what is kept


def rate(step: int, part: float, options) -> float:
    """Learning rate: rises over 100 steps, falls along a cosine to a twentieth; `part` of the run, 0 to 1, is over."""
    falling = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(part, 1)))
    return options.rate * min(1.0, (step + 1) / 100) * falling


def save(path: Path, state: dict) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def save_weights(path: Path, weights: dict) -> None:
    """The weights by name, float32, as .npz."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **{name: value.detach().cpu().numpy() for name, value in weights.items()})
    part.replace(path)


def load_weights(path: Path) -> dict:
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def reduce_gradients(network, processes: int) -> None:
    """Average the gradients of all processes, in one message."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= processes
    at = 0
    for g in gradients:
        g.copy_(flat[at : at + g.numel()].view_as(g))
        at += g.numel()


def work(rank: int, options) -> None:
    device = torch.device(options.device)
    if device.type == "cpu":
        torch.set_num_threads(options.threads)
    if options.processes > 1:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(options.port)}
        distributed.init_process_group("gloo", rank=rank, world_size=options.processes)
    torch.manual_seed(options.seed)
    network = CompactNetwork(Config(), bfloat16=not options.float32)
    if options.init:
        network.load_state_dict(load_weights(options.init))
    network = network.to(device, memory_format=torch.channels_last)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = Muon(network, options.rate)
    checkpoint = options.run / "checkpoint.pt"
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average, start = state["average"], state["step"]
    videos = clips.read(options.clips, options.cache)
    side, size = tuple(options.side), options.batch // options.processes
    online = None if options.lessons else OnlineLessons(videos, device)
    known = lessons.find(options.lessons, videos, side) if options.lessons else []
    perceptual = Perceptual(options.features, device) if options.perceptual else None
    began = time.monotonic()
    totals: dict[str, torch.Tensor] = {}
    step, ended = start, False
    while not ended:
        passed = (time.monotonic() - began) / 60
        part = passed / options.minutes if options.minutes else (step - 100) / max(1, options.steps - 100)
        rng = np.random.default_rng((options.seed, step, rank))
        if options.lessons and (step - start) % 200 == 199:
            known = lessons.find(options.lessons, videos, side)  # the teacher may still be writing
        kind = np.random.default_rng((options.seed, step)).random()  # the same in all processes
        if kind < options.scenes:
            batch = lessons.synthetic(videos, size, side, rng)
        elif kind < options.scenes + options.neighbours:
            batch = lessons.neighbours(videos, size, side, rng)
        elif online:
            batch = online.draw(size, side, options.largest, rng)
        else:
            batch = lessons.draw(known, videos, size, side, options.largest, rng)
        batch = batch._replace(**{n: x.to(device) for n, x in batch._asdict().items() if torch.is_tensor(x)})
        teacher = None if batch.flow is None else losses.pyramid(batch.flow, options.levels)
        forced = teacher is not None and step < options.forced and step % 2 == 0
        result = network(batch.first, batch.last, batch.time, options.levels, teacher if forced else None)
        parts = {"picture": losses.picture_loss(result["image"], batch.target)}
        if teacher is not None:
            parts["flow"] = losses.flow_loss(result["flows"], teacher, batch.flow)
        if options.census:
            parts["census"] = losses.census(result["image"], batch.target)
        if perceptual:
            with torch.autocast(device.type, torch.bfloat16, enabled=not options.float32):
                parts["perceptual"] = perceptual.distance(result["image"], batch.target)
        weights = {"flow": options.flow, "picture": 10, "census": options.census, "perceptual": options.perceptual}
        loss = sum(weights[name] * value for name, value in parts.items())
        for group in optimizer.param_groups:
            group["lr"] = rate(step, max(part, 0), options)
        optimizer.zero_grad()
        loss.backward()
        if options.processes > 1:
            reduce_gradients(network, options.processes)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        decay = min(AVERAGE, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(network.state_dict().values()), 1 - decay)
            if teacher is not None:
                none = 0.25 * (batch.flow.abs().mean() + 1e-6)  # no flow at all, in pixels of 1/4
                error = (result["flows"][-2] - teacher[0]).abs().mean()
                parts["relative forced" if forced else "relative own"] = error / none
            for name, value in parts.items():
                totals[name] = totals.get(name, value.detach()) * 0.98 + value.detach() * 0.02
        step += 1
        ended = passed >= options.minutes if options.minutes else step >= options.steps
        if rank == 0 and (step % 20 == 0 or ended):
            shown = "  ".join(f"{name} {value.item():.4f}" for name, value in totals.items())
            seconds = (time.monotonic() - began) / (step - start)
            print(f"{step}  {shown}  {options.batch / seconds:.1f} pairs/s", flush=True)
        if rank == 0 and (step % options.every == 0 or ended):
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
            save(checkpoint, state | {"step": step})
            save_weights(options.run / "weights.npz", average)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, metavar="DIR", help="folder of .mp4 files")
    parser.add_argument("--cache", type=Path, default=Path("runs/frames"), help="where decoded frames go")
    parser.add_argument("--lessons", type=Path, metavar="DIR", help="without them the teacher is asked for each batch")
    parser.add_argument("--run", type=Path, required=True, help="folder of the checkpoint and the weights")
    parser.add_argument("--init", type=Path, metavar="NPZ", help="weights to begin with")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=0, help="end after so many, instead of --steps")
    parser.add_argument("--every", type=int, default=100, help="steps from one checkpoint to the next")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, default=16, help="crops a step, of all processes together")
    parser.add_argument("--side", type=int, nargs=2, default=(128, 192), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--levels", type=int, default=3, help="1/4, 1/8, ...")
    parser.add_argument("--largest", type=float, default=12.0, help="mean motion of a crop in pixels")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--flow", type=float, default=1.0, help="weight of the teacher's flows")
    parser.add_argument("--census", type=float, default=0.0, help="weight of the census distance")
    parser.add_argument("--perceptual", type=float, default=0.0, help="weight of the perceptual distance")
    parser.add_argument("--features", type=Path, metavar="NPZ", help="SqueezeNet's weights, for --perceptual")
    parser.add_argument("--scenes", type=float, default=0.1, help="share of batches that are synthetic scenes")
    parser.add_argument("--neighbours", type=float, default=0.0, help="share of batches that have no teacher")
    parser.add_argument(
        "--forced", type=int, default=0, help="steps in which every second batch refines the teacher's flows"
    )
    parser.add_argument("--float32", action="store_true", help="convolutions in float32 instead of bfloat16")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of a process")
    parser.add_argument("--port", type=int, default=29501)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.processes > 1 and (options.device != "cpu" or options.minutes):
        parser.error(
            "--processes 2 is for the CPU and a number of steps; give --processes 1 with --device or --minutes"
        )
    options.run.mkdir(parents=True, exist_ok=True)
    if options.processes > 1:
        torch.multiprocessing.spawn(work, (options,), options.processes)
    else:
        work(0, options)


if __name__ == "__main__":
    main()
