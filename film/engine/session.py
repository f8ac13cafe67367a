"""One film being made: its keyframes, their features, and the buffers behind them.

A compiled model is shared by everybody; a Session belongs to one stream of frames and holds what must not be shared:
infer requests and feature tensors. A keyframe carries its own features and drops them with its scope; their buffers
are then used again for the next keyframe, without a copy between the two graphs.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import openvino as ov

from film.media.images import Frame


class Keyframe:
    """A frame and, once it has been an end of an interval, its features."""

    __slots__ = ("frame", "features", "__weakref__")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.features: FeatureSet | None = None


class Session(ABC):
    """Makes frames for one stream of frames of one size. Used by one thread at a time.

    What is kept of a frame goes with its keyframe; a subclass may have another kind of keyframe.
    """

    lanes = 1  # how many frames may be in the works at once
    honours_time = False  # whether `start` makes any moment, and not only the middle

    def keyframe(self, frame: Frame) -> Any:
        """Wrap a frame of the user's."""
        return Keyframe(frame)

    def frame(self, keyframe: Any) -> Frame:
        """The pixels of a keyframe; for one made by `keyframe`, the very frame it was given."""
        return keyframe.frame

    @abstractmethod
    def start(self, left: Any, right: Any, time: float = 0.5) -> Callable[[], Any]:
        """Begin the keyframe at `time` between two others; what is returned waits for it.

        At most `lanes` may be in the works. The time is a half, unless the session honours it.
        """


def aligned(size: Sequence[int], alignment: int) -> tuple[int, int]:
    """(height, width) rounded up to multiples of `alignment`."""
    height, width = (math.ceil(side / alignment) * alignment for side in size)
    return height, width


def pad(frame: Frame, size: Sequence[int]) -> np.ndarray:
    """(H, W, 3) -> (1, 3, *size), the last row and column repeated downwards and to the right."""
    height, width = frame.shape[:2]
    padded = np.empty((1, 3, *size), np.float32)
    padded[0, :, :height, :width] = frame.transpose(2, 0, 1)
    padded[0, :, height:, :width] = padded[0, :, height - 1 : height, :width]
    padded[0, :, :, width:] = padded[0, :, :, width - 1 : width]
    return padded


def crop(padded: np.ndarray, size: tuple[int, int]) -> Frame:
    """(1, 3, H', W') -> (*size, 3), a copy."""
    return padded[0, :, : size[0], : size[1]].transpose(1, 2, 0).copy()


class FeatureSet:
    """The encoder's input (as `image_0`) and outputs by name, for the keyframe that owns them at present."""

    def __init__(self, encoder: ov.CompiledModel) -> None:
        self.tensors = {port.get_any_name(): ov.Tensor(port.element_type, port.shape) for port in encoder.outputs}
        self.tensors["image_0"] = ov.Tensor(encoder.input().element_type, encoder.input().shape)
        self._owner: Callable[[], Keyframe | None] = lambda: None
        self.readers = 0  # frames in the works that read these tensors

    @property
    def owner(self) -> Keyframe | None:
        return self._owner()

    def give(self, keyframe: Keyframe) -> None:
        """From now on these are the features of `keyframe`, and no longer those of the owner before."""
        if self.owner is not None:
            self.owner.features = None
        keyframe.features = self
        self._owner = weakref.ref(keyframe)


class Encoder:
    """Runs an encoder graph, once per keyframe, and keeps the features with the keyframe.

    At most `capacity` feature sets exist (or as many as the frames in the works read, if that is more). When another
    is needed, the one that was not used for longest is overwritten, and made again should its keyframe return.
    `image` makes the graph's input (1, 3, H, W) from a Frame.
    """

    def __init__(self, graph: ov.CompiledModel, capacity: int, image: Callable[[Frame], np.ndarray]) -> None:
        self._graph = graph
        self._request = graph.create_infer_request()
        self._capacity = capacity
        self._image = image
        self._sets: list[FeatureSet] = []  # least recently used first

    @contextlib.contextmanager
    def features(self, left: Keyframe, right: Keyframe) -> Iterator[dict[str, ov.Tensor]]:
        """The features of both ends of an interval, under the synthesizer's names, for as long as the context."""
        read: list[FeatureSet] = []
        try:
            tensors: dict[str, ov.Tensor] = {}
            for end, keyframe in (("first", left), ("last", right)):
                read.append(self._encoded(keyframe))
                read[-1].readers += 1
                tensors |= {f"{end}_{name}": tensor for name, tensor in read[-1].tensors.items()}
            yield tensors
        finally:
            for features in read:
                features.readers -= 1

    def _encoded(self, keyframe: Keyframe) -> FeatureSet:
        features = keyframe.features
        if features is None:
            features = self._free_set()
            features.tensors["image_0"].data[:] = self._image(keyframe.frame)
            for name, tensor in features.tensors.items():
                self._request.set_tensor("image" if name == "image_0" else name, tensor)
            self._request.infer()
            features.give(keyframe)
        else:
            self._sets.remove(features)
        self._sets.append(features)
        return features

    def _free_set(self) -> FeatureSet:
        """A feature set to overwrite: one whose keyframe is gone, a new one, or the least recently used."""
        unread = [features for features in self._sets if not features.readers]
        orphans = [features for features in unread if features.owner is None]
        if not orphans and (not unread or len(self._sets) < self._capacity):
            return FeatureSet(self._graph)
        features = (orphans or unread)[0]
        self._sets.remove(features)
        return features


class Synthesizer:
    """Runs a synthesizer graph; of the tensors it is offered it takes those that it has inputs for."""

    def __init__(self, graph: ov.CompiledModel, lanes: int = 1) -> None:
        self._idle = [graph.create_infer_request() for _ in range(lanes)]
        self._inputs = [port.get_any_name() for port in graph.inputs]

    @contextlib.contextmanager
    def started(self, tensors: Mapping[str, ov.Tensor]) -> Iterator[ov.InferRequest]:
        """A request that is inferring: wait for it; its outputs are the context's."""
        request = self._idle.pop()
        try:
            for name in self._inputs:
                request.set_tensor(name, tensors[name])
            request.start_async()
            yield request
        finally:
            request.wait()
            self._idle.append(request)


def time_tensor(time: float) -> dict[str, ov.Tensor]:
    """The input of graphs that take the time; others do not look for it."""
    return {"time": ov.Tensor(np.array([time], np.float32))}


class DirectSession(Session):
    """Encoder and synthesizer on whole frames."""

    def __init__(
        self,
        encoder: ov.CompiledModel,
        synthesizer: ov.CompiledModel,
        size: tuple[int, int],
        capacity: int,
        lanes: int,
        honours_time: bool = False,
    ) -> None:
        self.lanes, self.honours_time = lanes, honours_time
        padded = tuple(encoder.input().shape)[2:]
        self._encoder = Encoder(encoder, capacity, lambda frame: pad(frame, padded))
        self._synthesizer = Synthesizer(synthesizer, lanes)
        self._size = size  # height and width of the frames, before padding

    def start(self, left: Keyframe, right: Keyframe, time: float = 0.5) -> Callable[[], Keyframe]:
        works = contextlib.ExitStack()
        features = works.enter_context(self._encoder.features(left, right)) | time_tensor(time)
        request = works.enter_context(self._synthesizer.started(features))

        def finish() -> Keyframe:
            with works:
                request.wait()
                return Keyframe(crop(request.get_output_tensor().data, self._size))

        return finish


class PairSession(Session):
    """Nothing is kept between two frames: each is made from the pixels of two others.

    `between` makes the frame at a time between two padded frames, all (1, *padded, 3) float32.
    """

    def __init__(
        self,
        between: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
        size: tuple[int, int],
        padded: Sequence[int],
        honours_time: bool,
    ) -> None:
        self.honours_time = honours_time
        self._between, self._size, self._padded = between, size, padded

    def start(self, left: Keyframe, right: Keyframe, time: float = 0.5) -> Callable[[], Keyframe]:
        def finish() -> Keyframe:
            padded = (pad(end.frame, self._padded).transpose(0, 2, 3, 1) for end in (left, right))
            x0, x1 = map(np.ascontiguousarray, padded)
            return Keyframe(crop(self._between(x0, x1, time).transpose(0, 3, 1, 2), self._size))

        return finish
