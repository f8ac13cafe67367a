"""Frames of earlier films: who stops a film and goes on, or wants it longer, does not wait for them again.

A frame is known by what it is made of: both ends, the time, the model, the device, and who asked. It is kept exactly as
the model made it, among uploads and films, expires and makes room as these do, and is only kept while half of the disk
is free.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from demo.server.storage import Storage
from film.engine.interpolator import Delegate, Interpolator
from film.engine.session import Session
from film.media.images import Frame
from film.rendering.events import Done, Event, Progress

DISK_SHARE = 2  # frames are kept while less than half of the ceiling is used
MOST = 5000  # frames that are remembered


class FrameCache:
    """Frames by their keys, in files. Shared by threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._paths: OrderedDict[str, Path] = OrderedDict()  # oldest first; some may have expired

    def load(self, key: str) -> Frame | None:
        path = self._paths.get(key)
        if path is None:
            return None
        with contextlib.suppress(OSError, ValueError), self._storage.held([str(path)]):
            frame: Frame = np.load(path)
            return frame
        self._paths.pop(key, None)  # it has expired
        return None

    def save(self, key: str, frame: Frame) -> None:
        if self._storage.used() + frame.nbytes > self._storage.ceiling // DISK_SHARE:
            return
        with contextlib.suppress(OSError), self._storage.making() as folder:  # at worst the film is made without
            path = folder / "frame.npy"
            np.save(path, frame)
            self._paths[key] = self._storage.keep(path)
        while len(self._paths) > MOST:
            self._paths.popitem(last=False)


@dataclass(eq=False)
class End:
    """A frame that others are made from; `inner` is the model's own keyframe of it, once that is needed."""

    frame: Frame
    inner: Any = None

    @cached_property
    def digest(self) -> bytes:
        return hashlib.blake2b(np.ascontiguousarray(self.frame).data, digest_size=16).digest()


class CachedInterpolator(Delegate):
    """A model for one film, which makes the frames that are not there yet."""

    def __init__(self, model: Interpolator, cache: FrameCache, owner: str) -> None:
        super().__init__(model)
        self._cache, self._owner = cache, owner
        self.found = self.made = 0  # frames that were there, and others

    @property
    def timings_name(self) -> str:
        return "" if self.found else self.model.timings_name  # what was there says nothing of the model's speed

    def paced(self, event: Event) -> Event:
        """The event with the pace of the frames that are made: those that were there take no time."""
        if not self.found or not isinstance(event, (Progress, Done)):
            return event
        share = self.made / (self.found + self.made)

        def truly(seconds: float | None) -> float | None:
            return seconds / share if seconds is not None and share else None

        if isinstance(event, Done):
            return replace(event, seconds_per_frame=truly(event.seconds_per_frame))
        left = truly(event.seconds_left)
        return replace(event, seconds_per_frame=truly(event.seconds_per_frame), seconds_left=left)

    def session(self, height: int, width: int) -> Session[Any]:
        seed = f"{self._owner} {self.fingerprint} {self.device}".encode()
        return _CachedSession(self.model.session(height, width), self, self._cache, seed)


class _CachedSession(Session[End]):
    def __init__(self, inner: Session[Any], model: CachedInterpolator, cache: FrameCache, seed: bytes) -> None:
        self.lanes, self.honours_time = inner.lanes, inner.honours_time
        self._inner, self._model, self._cache, self._seed = inner, model, cache, seed

    def keyframe(self, frame: Frame) -> End:
        return End(frame)

    def frame(self, keyframe: End) -> Frame:
        return keyframe.frame

    def start(self, left: End, right: End) -> Callable[[], End]:
        return self._start(left, right, 0.5, self._inner.start)

    def start_at(self, left: End, right: End, time: float) -> Callable[[], End]:
        return self._start(left, right, time, lambda a, b: self._inner.start_at(a, b, time))

    def _start(
        self, left: End, right: End, time: float, start: Callable[[Any, Any], Callable[[], Any]]
    ) -> Callable[[], End]:
        made_of = b"%s %s %s %r" % (self._seed, left.digest, right.digest, time)
        key = hashlib.blake2b(made_of, digest_size=16).hexdigest()
        if (known := self._cache.load(key)) is not None:
            self._model.found += 1
            return lambda: End(known)
        for end in (left, right):
            end.inner = self._inner.keyframe(end.frame) if end.inner is None else end.inner
        finish = start(left.inner, right.inner)

        def finished() -> End:
            keyframe = finish()
            made = End(self._inner.frame(keyframe), keyframe)
            self._model.made += 1
            self._cache.save(key, made.frame)
            return made

        return finished
