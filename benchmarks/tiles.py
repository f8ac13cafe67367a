"""How far a frame made in tiles is from the same frame made whole, against the tiles' overlap.

    python -m benchmarks.tiles [--model tests/models/film-small] [--tile 640] [--json FILE]

The example pairs, enlarged to 1920x1080 so that there are many tiles, with every cut level. "independent" are tiles
that know nothing of each other, with the largest overlap of the table: what tiling is without the coarse flow.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import film
from benchmarks import command
from film.engine.compiled import TIMED_CUT, Shape
from film.engine.session import Session
from film.engine.tiling import TiledSession, cover
from film.media import images
from film.media.images import Frame
from film.networks import graph_split

SIZE = (1080, 1920)
OVERLAPS = (0, 64, 128, 256)
EXAMPLES = Path(__file__).parent.parent / "examples"


def psnr(a: Frame, b: Frame) -> float:
    """Peak signal-to-noise ratio of two Frames, in dB."""
    error = float(np.mean(np.square(np.clip(a, 0, 1) - np.clip(b, 0, 1), dtype=np.float64)))
    return float("inf") if error == 0 else -10 * np.log10(error)


def independent(session: Session, tile: int, overlap: int) -> Callable[[Frame, Frame], Frame]:
    """Middles from tiles that are interpolated as if each were a photo."""

    def middle(a: Frame, b: Frame) -> Frame:
        result = np.zeros_like(a)
        rows, columns = (cover(length, tile, overlap, 1) for length in a.shape[:2])
        for top, row_weight in zip(rows.starts, rows.weights(), strict=True):
            for left, column_weight in zip(columns.starts, columns.weights(), strict=True):
                window = (slice(top, top + tile), slice(left, left + tile))
                made = session.start(session.keyframe(a[window]), session.keyframe(b[window]))().frame
                result[window] += made * row_weight[:, None, None] * column_weight[None, :, None]
        return result

    return middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=command.model, default="tests/models/film-small")
    tile = command.number(64, min(SIZE), step=64)
    parser.add_argument("--tile", type=tile, default=640, help="side of a tile, a multiple of 64")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = film.load(options.model, precision="exact")
    assert isinstance(model, film.Film)
    if model.converted().kind != "direct":
        parser.error(f"--model {options.model} was converted whole; it cannot be cut")
    alignment = model.converted().alignment
    frame = tuple(-(-side // alignment) * alignment for side in SIZE)

    ways: dict[str, Callable[[Frame, Frame], Frame]] = {}
    for level in (TIMED_CUT,) if model.honours_time else graph_split.LEVELS:
        graphs = model.compile(Shape((frame[0], frame[1]), (options.tile, options.tile), level=level)).graphs
        for overlap in OVERLAPS:
            session = TiledSession(graphs, SIZE, alignment, model.honours_time, overlap)
            ways[f"cut at {level}, overlap {overlap}"] = lambda a, b, session=session: (
                session.start(session.keyframe(a), session.keyframe(b))().frame
            )
    ways[f"independent, overlap {max(OVERLAPS)}"] = independent(
        model.session(options.tile, options.tile), options.tile, max(OVERLAPS)
    )

    pairs = {}
    for first in sorted(EXAMPLES.glob("*/first.jpg")):
        photos = (film.read_image(first), film.read_image(first.with_name("last.jpg")))
        pairs[first.parent.name] = tuple(images.fit(photo, SIZE) for photo in photos)
    whole = {name: model.middle(*pair) for name, pair in pairs.items()}
    table = {
        way: {name: psnr(middle(*pair), whole[name]) for name, pair in pairs.items()} for way, middle in ways.items()
    }
    print(f"PSNR in dB against the untiled frame, {SIZE[1]}x{SIZE[0]}, tiles of {options.tile}, {options.model}")
    print(f"{'':28}" + "".join(f"{name:>9}" for name in pairs))
    for way, row in table.items():
        print(f"{way:28}" + "".join(f"{value:9.1f}" for value in row.values()))
    if options.json:
        options.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
