"""Whether a film flickers between the levels of its recursion: how sharp each level is, how large each step.

    python -m benchmarks.flicker [--model film-lite] [--depth 5] [--side 480] [--sheets DIR] [--json FILE]

Needs training/requirements.txt, for OpenCV.

A frame made in the first level lies between two photos, one of the last level between frames that were made themselves.
Were one kind sharper than the other, the film would breathe; the step from a photo to its neighbour, relative to the
film's mean step, shows how far it does. `--sheets` writes what has to be looked at: of each pair the first photo and
the frames a quarter of the way and half way.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import film
from benchmarks import command
from film.engine import bisection
from film.media import images
from film.media.images import Frame

EXAMPLES = Path(__file__).parent.parent / "examples"
GREY = np.float32([0.299, 0.587, 0.114])  # luma of BT.601


def sharpness(frame: Frame) -> float:
    """Mean absolute Laplacian of a Frame's luma."""
    return float(np.abs(cv2.Laplacian(frame @ GREY, cv2.CV_32F)).mean())


def level(place: int, depth: int) -> int:
    """In which level of the recursion frame `place` of 0 to 2**depth is made; 0 for the photos."""
    return 0 if place % 2**depth == 0 else depth - (place & -place).bit_length() + 1


def by_level(frames: list[Frame], depth: int) -> list[float]:
    """Mean sharpness of the frames of each level, the photos' first."""
    found: list[list[float]] = [[] for _ in range(depth + 1)]
    for place, frame in enumerate(frames):
        found[level(place, depth)].append(sharpness(frame))
    return [float(np.mean(values)) for values in found]


def steps(frames: list[Frame]) -> np.ndarray:
    """Mean absolute difference of neighbours, divided by its mean over the film, (2**depth,)."""
    sizes = np.array([np.abs(b - a).mean() for a, b in pairwise(frames)])
    return sizes / sizes.mean()


def pair(directory: Path, side: int) -> list[Frame]:
    """The two photos of an example, their longer side `side` pixels."""
    photos = [film.read_image(directory / name) for name in ("first.jpg", "last.jpg")]
    size = images.common_size([photo.shape[:2] for photo in photos], side)
    return [images.fit(photo, size) for photo in photos]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=command.model, default="film-lite")
    parser.add_argument("--depth", type=command.number(2, bisection.MAX_DEPTH), default=5, help="2 levels or more")
    parser.add_argument("--side", type=command.number(64), default=480, help="longer side of the photos, in pixels")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write a picture of each pair here")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model, depth = film.load(options.model), options.depth
    middle = 2**depth // 2
    levels = "".join(f"{f'level {n}':>9}" for n in range(1, depth + 1))
    print(
        f"{'sharpness':10}{'photos':>9}{levels} | steps: beside photos{'beside the first middle':>25}{'smallest':>10}"
    )
    table = {}
    for directory in sorted(path.parent for path in EXAMPLES.glob("*/first.jpg")):
        frames = list(model.frames(*pair(directory, options.side), depth=depth))
        sharp, size = by_level(frames, depth), steps(frames)
        beside_photos, beside_middle = float(size[[0, -1]].mean()), float(size[[middle - 1, middle]].mean())
        smallest = float(size.min())
        print(
            f"{directory.name:10}"
            + "".join(f"{value:9.4f}" for value in sharp)
            + f" | {beside_photos:20.2f}{beside_middle:25.2f}{smallest:10.2f}",
            flush=True,
        )
        table[directory.name] = {"sharpness": sharp, "steps": [beside_photos, beside_middle, smallest]}
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
            rows = [frames[0], frames[middle // 2], frames[middle]]
            Image.fromarray(images.to_uint8(np.concatenate(rows))).save(options.sheets / f"{directory.name}.png")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
