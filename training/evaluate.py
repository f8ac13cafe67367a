"""Score a model on triplets: PSNR and SSIM of the middle frame it makes, beside two baselines in the same table.

    python -m training.evaluate --clips DIR              # triplets of every .mp4, strides 1, 2 and 4
    python -m training.evaluate --triplets DIR           # sub-folders with files first.*, middle.* and last.*
    python -m training.evaluate --examples               # the demo's pairs, against their true middles

The baselines are the average of the two frames, and bidirectional warping along OpenCV's DIS optical flow. `--bounds`
adds what that flow would come to, had it seen the middle frame: how far up one could go.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from training import arguments, clips, dis

ROOT = Path(__file__).parent.parent
EVERY = 14  # frames from one triplet's start to the next
MULTIPLE = 64  # sides that FILM's seven pyramid levels can halve


class Case(NamedTuple):
    """Three frames, (H, W, 3) float32 RGB in [0, 1], and the rows of the table in which they count."""

    rows: tuple[str, ...]
    first: np.ndarray
    middle: np.ndarray
    last: np.ndarray


Method = Callable[[Case], np.ndarray]  # the middle frame; all but the bounds keep their eyes off the true one


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


def padded(middle: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Method:
    """A method for any size from one for batches of sides that the network can halve; its result is clipped."""

    def run(case: Case) -> np.ndarray:
        height, width, _ = case.first.shape
        margins = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
        pair = [np.pad(frame, margins, mode="edge")[None] for frame in (case.first, case.last)]
        return np.clip(middle(*pair)[0, :height, :width], 0, 1)

    return run


def saved_model(directory: Path) -> Method:
    """The middle frame as a SavedModel makes it, run by TensorFlow. ValueError where it is no FILM."""
    from film.hub.saved_model import SavedModel  # imports TensorFlow, which the training does without

    try:
        return padded(SavedModel(directory).middle)
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def score(cases: Iterable[Case], methods: dict[str, Method]) -> dict[str, dict[str, tuple[float, float, int]]]:
    """row -> method -> mean PSNR in dB, mean SSIM, number of triplets; the rows that sum up most come first."""
    found: dict[tuple[int, str], dict[str, list]] = {}
    for case in cases:
        for name, method in methods.items():
            made = eight_bit(method(case))
            result = psnr(made, case.middle), ssim(made, case.middle)
            for row in enumerate(case.rows):
                found.setdefault(row, {}).setdefault(name, []).append(result)
    return {
        row: {name: (*np.mean(results, axis=0).tolist(), len(results)) for name, results in columns.items()}
        for (_, row), columns in sorted(found.items(), key=lambda item: item[0][0])
    }


def table(scores: dict[str, dict[str, tuple[float, float, int]]]) -> str:
    """The scores as a Markdown table, PSNR in dB / SSIM."""
    methods = list(next(iter(scores.values())))
    lines = [f"| PSNR, dB / SSIM | triplets | {' | '.join(methods)} |", "|---" * (len(methods) + 2) + "|"]
    for row, columns in scores.items():
        cells = [f"{columns[name][0]:.2f} / {columns[name][1]:.4f}" for name in methods]
        lines.append(f"| {row} | {columns[methods[0]][2]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def validator(film, videos: Mapping[str, np.ndarray], every: int = 4 * EVERY) -> Callable[[dict], float]:
    """A function from weights to the mean PSNR on these clips, computed by `film`, for the training loop."""
    from keras import ops

    from training import network

    def middle(x0, x1):
        image = film.predict_on_batch({"x0": x0, "x1": x1, "time": np.full((1, 1), 0.5, np.float32)})["image"]
        return ops.convert_to_numpy(image)

    def validate(weights: dict) -> float:
        network.assign(film, weights)
        scores = score(from_clips(videos, every), {"model": padded(middle)})
        return scores["all clips"]["model"][0]

    return validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "film/models/film-lite", help="a SavedModel's directory")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="folder of .mp4 files")
    parser.add_argument("--cache", type=Path, default=Path("runs/frames/validate"), help="where decoded frames go")
    parser.add_argument(
        "--every",
        type=arguments.positive,
        default=EVERY,
        help="frames between the starts of two triplets of a clip",
    )
    parser.add_argument("--triplets", type=Path, metavar="DIR", nargs="+", default=[])
    parser.add_argument("--examples", action="store_true")
    parser.add_argument("--bounds", action="store_true", help="also score flows that have seen the middle frame")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here as well")
    options = parser.parse_args()

    if not (options.clips or options.triplets or options.examples):
        parser.error("say what to score on: --clips, --triplets or --examples")
    with arguments.reading(parser):
        sources = [from_triplets(folder) for folder in options.triplets]
        if options.examples:
            sources.append(from_examples(ROOT / "examples", ROOT / "tests/truth"))
        if options.clips:
            sources.append(from_clips(clips.read(options.clips, options.cache), options.every))
        model = saved_model(options.model)

    def cases() -> Iterator[Case]:
        for source in sources:
            with arguments.reading(parser):  # of the files; what scoring raises does not come through here
                yield from source

    methods: dict[str, Method] = {
        "average": lambda case: (case.first + case.last) / 2,
        "DIS warping": lambda case: dis.middle(case.first, case.last),
        options.model.name: model,
    }
    if options.bounds:
        methods["DIS having seen, even"] = lambda case: dis.seen(case.first, case.middle, case.last, even=True)
        methods["DIS having seen"] = lambda case: dis.seen(case.first, case.middle, case.last)
    scores = score(cases(), methods)
    print(table(scores))
    if options.json:
        options.json.write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
