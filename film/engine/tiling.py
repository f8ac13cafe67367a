"""Frames too large for the memory: a network's coarse half on the whole frame, the fine half on tiles.

Every tile has the same size, so one compiled shape serves them all. Of the overlap of two neighbours the outer
quarters, where each suffers from its own border, count for nothing; over the half between them one fades into the
other along a raised cosine. The weights of all tiles add up to one at every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov

from film.engine.session import Encoder, Keyframe, Session, Synthesizer, aligned, pad, time_tensor
from film.networks import graph_split

OVERLAP = 256  # pixels; see the table of error against overlap in benchmarks/README.md
COARSE_SETS = 4  # coarse features are a hundredth of a frame's; with four, few are made twice


@dataclass(frozen=True)
class Axis:
    """The tiles along one side of a frame."""

    length: int  # of the frame
    side: int  # of a tile
    starts: tuple[int, ...]

    def weights(self) -> list[np.ndarray]:
        """For each tile its (side,) float32 weights; overlapping ones add up to one everywhere."""
        windows = []
        for i, start in enumerate(self.starts):
            window = np.ones(self.side, np.float32)
            if i > 0:
                shared = self.starts[i - 1] + self.side - start
                window[:shared] = _fade_in(shared)
            if i + 1 < len(self.starts):
                shared = start + self.side - self.starts[i + 1]
                window[self.side - shared :] *= 1 - _fade_in(shared)
            windows.append(window)
        total = np.zeros(self.length, np.float32)
        for start, window in zip(self.starts, windows, strict=True):
            total[start : start + self.side] += window
        return [window / total[start : start + self.side] for start, window in zip(self.starts, windows, strict=True)]


def cover(length: int, side: int, overlap: int, alignment: int) -> Axis:
    """Evenly spread tiles of `side` that cover `length`, neighbours sharing at least `overlap`.

    All of them are multiples of `alignment`. An overlap above half a tile is cut to that: more would mean that
    every pixel is made more than twice along this side.
    """
    overlap = min(overlap, side // 2 // alignment * alignment)
    count = 1 if side >= length else math.ceil((length - overlap) / (side - overlap))
    steps = (length - side) // alignment
    starts = (math.floor(i * steps / max(1, count - 1)) * alignment for i in range(count))
    return Axis(length, side, tuple(starts))


def tile_size(height: int, width: int, max_pixels: int, alignment: int) -> tuple[int, int]:
    """The size of the tiles with at most `max_pixels` that cost least in all over an aligned (height, width) frame.

    Where even the smallest sensible tile (three overlaps wide) has more pixels, that one: with less there is no
    picture.
    """
    smallest = 3 * OVERLAP
    max_pixels = max(max_pixels, min(smallest, height) * min(smallest, width))

    def sides(length: int) -> range:
        return range(min(smallest, length), length + 1, alignment)

    def cost(size: tuple[int, int]) -> int:
        rows, columns = (
            cover(length, side, OVERLAP, alignment) for length, side in zip((height, width), size, strict=True)
        )
        return len(rows.starts) * len(columns.starts) * size[0] * size[1]

    sizes = [(h, w) for h in sides(height) for w in sides(width) if h * w <= max_pixels]
    return min(sizes, key=cost)


def _fade_in(count: int) -> np.ndarray:
    """Nothing, a raised cosine from 0 to 1, then one: a quarter, a half and a quarter of `count` pixels."""
    position = (np.arange(count, dtype=np.float32) + 0.5) / count  # pixel centres
    return (0.5 - 0.5 * np.cos(np.pi * np.clip(2 * position - 0.5, 0, 1))).astype(np.float32)


class TiledSession(Session):
    """Keyframes carry their coarse features; the fine ones live for one tile.

    A tile must reach as far beyond its share of the frame as anything moves into it, so the tiles' overlap follows
    from the flow that was found for this very pair.
    """

    def __init__(
        self,
        graphs: Sequence[ov.CompiledModel],
        size: tuple[int, int],
        alignment: int,
        honours_time: bool = False,
        overlap: int = OVERLAP,
    ) -> None:
        """`graphs` are the four of `graph_split`: coarse encoder and flow, fine encoder and synthesizer."""
        coarse_encoder, coarse_flow, fine_encoder, fine_synthesizer = graphs
        self.honours_time = honours_time
        tile = tuple(fine_encoder.input().shape)[2:]
        self._alignment = alignment
        self._overlap = overlap  # of neighbouring tiles, beside what the motion asks for
        self._padded = aligned(size, alignment)
        self._tile = tile
        scale = self._padded[0] // tuple(coarse_encoder.input().shape)[2]
        self._coarse = Encoder(coarse_encoder, COARSE_SETS, lambda frame: _shrink(pad(frame, self._padded), scale))
        self._flow = Synthesizer(coarse_flow)
        self._names = [port.get_any_name() for port in coarse_flow.outputs]
        self._fine = Encoder(fine_encoder, 2, lambda frame: pad(frame, tile))
        self._synthesizer = Synthesizer(fine_synthesizer)

    def start(self, left: Keyframe, right: Keyframe, time: float = 0.5) -> Callable[[], Keyframe]:
        return lambda: self._made(left, right, time_tensor(time))

    def _made(self, left: Keyframe, right: Keyframe, time: dict[str, ov.Tensor]) -> Keyframe:
        with self._coarse.features(left, right) as features, self._flow.started(features | time) as request:
            request.wait()
            coarse = {name: request.get_tensor(name).data.copy() for name in self._names}
        reach = _reach(coarse, self._padded[0])
        overlap = self._overlap + math.ceil(reach / self._alignment) * self._alignment
        rows, columns = (
            cover(length, side, overlap, self._alignment) for length, side in zip(self._padded, self._tile, strict=True)
        )
        middle = np.zeros_like(left.frame)
        column_weights = columns.weights()
        for top, row_weight in zip(rows.starts, rows.weights(), strict=True):
            for start, column_weight in zip(columns.starts, column_weights, strict=True):
                window = np.s_[top : top + rows.side, start : start + columns.side]
                ends = (Keyframe(end.frame[window]) for end in (left, right))
                of_tile = {name: self._part(tensor, top, start) for name, tensor in coarse.items()}
                with self._fine.features(*ends) as features:
                    with self._synthesizer.started(features | of_tile | time) as request:
                        request.wait()
                        made = request.get_output_tensor().data[0].transpose(1, 2, 0)  # (*tile, 3)
                        made = made * row_weight[:, None, None] * column_weight[None, :, None]
                part = middle[window]
                part += made[: part.shape[0], : part.shape[1]]
        return Keyframe(middle)

    def _part(self, tensor: np.ndarray, top: int, start: int) -> ov.Tensor:
        """What a tensor of the cut, (1, C, h, w), says of the tile whose corner is there in the frame."""
        scale = self._padded[0] // tensor.shape[2]
        rows, columns = (
            slice(begin // scale, (begin + side) // scale) for begin, side in zip((top, start), self._tile, strict=True)
        )
        return ov.Tensor(np.ascontiguousarray(tensor[:, :, rows, columns]))


def _reach(coarse: dict[str, np.ndarray], height: int) -> float:
    """How far anything moves at most, in pixels of a frame of that height, as the coarse flow's outputs tell."""
    lengths = {name: float(np.abs(one[:, :4]).max()) * (height // one.shape[2]) for name, one in coarse.items()}
    added = [length for name, length in lengths.items() if name.startswith(graph_split.FLOW)]
    return sum(added) if added else max(lengths.values())


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Average pooling of (1, C, H, W) by `factor`: an image pyramid's level."""
    _, channels, height, width = image.shape
    blocks = image.reshape(1, channels, height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(3, 5), dtype=np.float32)
