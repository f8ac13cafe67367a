"""A session for frames too large for the memory: a network's coarse half on the whole frame, the fine half on tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import openvino as ov

from film.engine.session import Encoder, Keyframe, KeyframeSession, Synthesizer, aligned, pad, time_tensor
from film.engine.tiling import OVERLAP, cover
from film.media.images import Frame
from film.networks import graph_split

COARSE_SETS = 4  # coarse features are a hundredth of a frame's; with four, few are made twice


class TiledSession(KeyframeSession):
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

    def start_at(self, left: Keyframe, right: Keyframe, time: float) -> Callable[[], Keyframe]:
        return lambda: self._made(left, right, time)

    def _made(self, left: Keyframe, right: Keyframe, time: float) -> Keyframe:
        at = time_tensor(time)
        with self._coarse.features(left, right) as features, self._flow.started(features | at) as request:
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
                tile = self._tile_at(left.frame, right.frame, coarse, at, top, start)  # (1, 3, *tile)
                window = middle[top : top + rows.side, start : start + columns.side]
                weight = row_weight[: window.shape[0], None, None] * column_weight[None, : window.shape[1], None]
                window += tile[0, :, : window.shape[0], : window.shape[1]].transpose(1, 2, 0) * weight
        return Keyframe(middle)

    def _tile_at(
        self,
        left: Frame,
        right: Frame,
        coarse: dict[str, np.ndarray],
        at: dict[str, ov.Tensor],
        top: int,
        start: int,
    ) -> np.ndarray:
        height, width = self._tile
        ends = [Keyframe(frame[top : top + height, start : start + width]) for frame in (left, right)]
        of_tile = {}
        for name, one in coarse.items():
            scale = self._padded[0] // one.shape[2]
            rows, columns = (
                slice(begin // scale, (begin + side) // scale) for begin, side in ((top, height), (start, width))
            )
            of_tile[name] = ov.Tensor(np.ascontiguousarray(one[:, :, rows, columns]))
        with self._fine.features(*ends) as features, self._synthesizer.started(features | of_tile | at) as request:
            request.wait()
            return request.get_output_tensor().data.copy()


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
