"""Frames of earlier films: who stops a film and goes on, or wants it longer, does not wait for them again.

A frame is known by what it is made of: both ends, the time, the model, the device, and who asked. It is kept exactly as
the model made it, among uploads and films, under a name that tells this; it expires and makes room as these do, and is
only kept while half of the disk is free.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from demo.server.storage import Storage
from film.engine.interpolator import Delegate, Interpolator
from film.engine.session import Session
from film.media.images import Frame
from film.rendering.events import Done, Event, Progress

DISK_SHARE = 2  # frames are kept while less than half of the ceiling is used
NAME = "frame.npy"


@dataclass(eq=False)
class End:
    """A frame that others are made from; `inner` is the model's own keyframe of it, once that is needed."""

    frame: Frame
    inner: Any = None

    @cached_property
    def digest(self) -> bytes:
        return hashlib.blake2b(np.ascontiguousarray(self.frame).data, digest_size=16).digest()


class CachedInterpolator(Delegate):
    """A model for one film of that owner, which makes the frames that are not there yet."""

    def __init__(self, model: Interpolator, storage: Storage, owner: str) -> None:
        super().__init__(model)
        self._storage, self._owner = storage, owner
        self.found = self.made = 0  # frames that were there, and others

    @property
    def timings_name(self) -> str:
        return "" if self.found else self.model.timings_name  # what was there says nothing of the model's speed

    def paced(self, event: Event) -> Event:
        """The event with the pace of the frames that are made: those that were there take no time."""
        if not self.found or not isinstance(event, (Progress, Done)):
            return event
        share = self.made / (self.found + self.made)
        times = ((name, getattr(event, name, None)) for name in ("seconds_per_frame", "seconds_left"))
        told = ((name, seconds) for name, seconds in times if seconds is not None)
        truly: dict[str, Any] = {name: seconds / share if share else None for name, seconds in told}
        return replace(event, **truly)

    def session(self, height: int, width: int) -> Session:
        return _CachedSession(self.model.session(height, width), self, self._storage)

    def key(self, left: End, right: End, time: float) -> str:
        """What the frame between these ends at that time is known by: 64 hexadecimal digits."""
        made_by = f"{self._owner} {self.fingerprint} {self.device}".encode()
        return hashlib.blake2b(b"%s %s %s %r" % (made_by, left.digest, right.digest, time), digest_size=32).hexdigest()


class _CachedSession(Session):
    def __init__(self, inner: Session, model: CachedInterpolator, storage: Storage) -> None:
        self.lanes, self.honours_time = inner.lanes, inner.honours_time
        self._inner, self._model, self._storage = inner, model, storage

    def keyframe(self, frame: Frame) -> End:
        return End(frame)

    def start(self, left: End, right: End, time: float = 0.5) -> Callable[[], End]:
        key = self._model.key(left, right, time)
        kept = self._storage.folder / key / NAME
        with contextlib.suppress(OSError, ValueError), self._storage.held([str(kept)]):  # else it is made (again)
            known: Frame = np.load(kept)
            self._model.found += 1
            return lambda: End(known)
        for end in (left, right):
            end.inner = self._inner.keyframe(end.frame) if end.inner is None else end.inner
        finish = self._inner.start(left.inner, right.inner, time)

        def finished() -> End:
            keyframe = finish()
            made = End(self._inner.frame(keyframe), keyframe)
            self._model.made += 1
            self._keep(key, made.frame)
            return made

        return finished

    def _keep(self, key: str, frame: Frame) -> None:
        if self._storage.used() + frame.nbytes > self._storage.ceiling // DISK_SHARE:
            return
        with contextlib.suppress(OSError), self._storage.making() as folder:  # at worst the film is made without
            np.save(folder / NAME, frame)
            self._storage.keep(folder / NAME, key)
