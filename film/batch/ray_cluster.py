"""Chunks made by the workers of a Ray cluster: each is an actor that loads the model once.

The package itself travels to the machines; what it needs (`pip install ".[cluster]"`) must be there, and so must a
model that is given as a directory. Every worker has up to two chunks, one that it makes and one that waits, so that it
never waits for the network. The chunks of a lost worker go to others. Ray restarts what fails to start; a source is
read only when a worker is free, so frames never pile up.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import film
from film.batch import ray_worker
from film.batch.ray_worker import Worker, WorkerConfig
from film.engine.devices import FASTEST, ExecutionInfo
from film.engine.interpolator import SetupSteps
from film.hub import registry
from film.media.video_segments import Segment
from film.rendering.renderer import Chunk, Encoding, RenderedFrames
from film.support import extras, memory

log = logging.getLogger(__name__)

CPUS = 2  # per worker, unless told otherwise
PREFETCH = 2  # chunks at a worker
TRIES = 4  # of a chunk whose workers are lost, and of a worker that does not start
TIMEOUT = 120.0  # seconds without a single worker after which films fail
POLL = 0.2  # seconds between two looks at the cluster; a film can be stopped that often


@dataclass
class _Task:
    """A chunk at a worker."""

    chunk: Chunk
    actor: Any = None
    tries: int = 0  # that ended with the loss of the worker


@dataclass
class _Joining:
    """A worker that is not ready yet."""

    actor: Any
    placed: bool = False  # it has a machine, and loads its model
    tries: int = 1


class Cluster:
    """A `Renderer` of many machines, from entering the context to leaving it. Films may share it, by threads."""

    def __init__(
        self,
        address: str,
        model: str | os.PathLike[str] = "film-lite",
        device: str = "CPU",
        precision: str = "auto",
        *,
        cpus_per_worker: int = CPUS,
        memory_gb: float | None = None,
    ) -> None:
        """`address` is Ray's: "auto", "host:6379", "ray://host:10001"; or "local", which starts it on this machine.

        `memory_gb` is for the model of one worker; by default a quarter of its machine's memory, and half of it for
        all of a machine together. ValueError when there is no such model or number; nothing is connected yet.
        """
        if device in ("AUTO", FASTEST):
            raise ValueError(f"{device} may be another device on each machine; name one, such as CPU.")
        if cpus_per_worker < 1:
            raise ValueError(f"A worker is given {cpus_per_worker} CPUs; it must be 1 or more.")
        if memory_gb is not None:
            memory.budget(memory_gb)  # refuses what is none
        found = registry.find(model)
        self.name, self.honours_time = found.name, found.honours_time
        self.fingerprint = ""  # of the first worker; the others' must be the same
        self.size = 0  # workers that there are when none is lost
        self.machines = 0
        self._address = address
        self._device = device
        self._config = WorkerConfig(
            found.name if found in registry.models() else found.handle, device, precision, cpus_per_worker, memory_gb
        )
        self._ray: Any = None
        self._orders = itertools.count()
        self._lock = threading.Lock()  # guards what follows, and `fingerprint`
        self._present: list[Any] = []  # workers
        self._free: list[Any] = []  # ... once for each chunk that they can still take
        self._joining: dict[Any, _Joining] = {}  # by the object that tells when it is ready
        self._wanting: set[int] = set()  # films that want a worker, by the order in which they began
        self._refused: list[str] = []  # why some workers are not used
        self._changed = time.monotonic()  # when one of these was different last
        self._resources = contextlib.ExitStack()

    @property
    def requested_device(self) -> str:
        return str(ExecutionInfo(self._device, workers=self.size))

    @property
    def timings_name(self) -> None:
        """What many workers take says nothing about this machine."""

    def execution_info(self, height: int, width: int) -> ExecutionInfo:
        return ExecutionInfo(self._device, workers=self.size)

    def setup_steps(self, height: int, width: int) -> SetupSteps:
        """Nothing: workers compile for a size when their first chunk of it comes."""
        return iter(())

    def room(self) -> bool:
        """Whether a worker waits for a film that has not begun."""
        with self._lock:
            return bool(self._free) and not self._wanting

    def make(
        self, chunks: Iterable[Chunk | Segment], folder: Path, encoding: Encoding
    ) -> Generator[RenderedFrames | Segment]:
        """`Renderer.make` for one film; several may run in threads, and those that began first are served first.

        Segments come as they are finished, not in order. Something is yielded every `POLL` seconds, if only that no
        frame was made, so that the film can be stopped. RuntimeError when no worker is left.
        """
        order = next(self._orders)
        source = ray_worker.pieces(chunks, encoding.length)
        lost: list[_Task] = []
        away: dict[Any, _Task] = {}  # by the object that will be the answer
        more, actor = True, None
        try:
            while True:
                self._admit()
                while (more or lost) and (actor := actor or self._take(order)):
                    item = lost.pop() if lost else next(source, None)
                    if isinstance(item, Segment):
                        yield item
                    elif item is None:
                        more = False
                    else:
                        task = item if isinstance(item, _Task) else _Task(item)
                        task.actor, actor = actor, None
                        packed = self._ray.put(ray_worker.packed(task.chunk))
                        away[task.actor.make.options(max_task_retries=0).remote(packed, encoding)] = task
                        del packed, task
                    del item  # so that its frames can be freed
                if not (more or lost):
                    self._give_back(order, actor)
                    actor = None
                    if not away:
                        return
                ready = self._ray.wait(list(away), timeout=POLL)[0] if away else []
                if not ready:
                    if not away:
                        time.sleep(POLL)
                    self._check()
                    yield RenderedFrames(0, 0)
                for answer in ready:
                    yield from self._result(answer, away.pop(answer), lost, folder, encoding)
        finally:
            self._give_back(order, actor, *(task.actor for task in away.values()))

    def _result(
        self, answer: Any, task: _Task, lost: list[_Task], folder: Path, encoding: Encoding
    ) -> Iterator[RenderedFrames | Segment]:
        """What a worker answered. A task whose worker is lost goes to `lost`; after TRIES of them, RuntimeError."""
        errors = self._ray.exceptions
        try:
            made = self._ray.get(answer)
        except errors.RayTaskError as error:  # the worker's own words: another one would say the same
            self._release(task.actor)
            raise _ordinary(error.cause) from error
        except errors.RayError as error:
            log.warning("A worker was lost: %s", _first_line(error))
            self._replace(task.actor)
            task.tries += 1
            if task.tries >= TRIES:
                raise RuntimeError(
                    f"Frames {task.chunk.first} to {task.chunk.first + task.chunk.frames - 1} could not be made:"
                    f" {TRIES} workers were lost with them, the last one so: {_first_line(error)}"
                ) from error
            lost.append(task)
        else:
            self._release(task.actor)
            yield from [ray_worker.stored(segment, folder, encoding.fps) for segment in made.segments]
            yield RenderedFrames(task.chunk.frames, made.calls, made.seconds)

    def __enter__(self) -> Cluster:
        """Connect, and wait for the first worker. RuntimeError without Ray, such a cluster, or a worker."""
        with contextlib.ExitStack() as stack:
            self._ray = stack.enter_context(_connected(self._address))
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            places = [int(node.get("CPU", 0) // self._config.threads) for node in nodes]
            self.size, self.machines = sum(places), sum(map(bool, places))
            if not self.size:
                raise RuntimeError(
                    f"No machine of the Ray cluster at {self._address} has the {self._config.threads} CPUs of a worker."
                )
            if self._config.memory_gb is None:
                shares = [
                    node["memory"] / max(memory.DEFAULT_SHARE, 2 * workers)
                    for node, workers in zip(nodes, places, strict=True)
                    if workers
                ]
                self._config = replace(self._config, memory_gb=min(shares) / memory.GIGABYTE)
            self._changed = time.monotonic()  # before that nobody could come
            with self._lock:
                for _ in range(self.size):
                    self._start()
            while not self._present:
                self._check()
                time.sleep(POLL)
                self._admit()
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def _start(self, tries: int = 1) -> None:
        """Ask Ray for one more worker, which may wait for a machine. The lock is held."""
        limits = {"max_restarts": TRIES - 1, "max_task_retries": -1}  # until it is placed; the rest is not repeated
        remote = self._ray.remote(num_cpus=self._config.threads, scheduling_strategy="SPREAD", **limits)
        actor = remote(Worker).remote(self._config)
        self._joining[actor.__ray_ready__.remote()] = _Joining(actor, tries=tries)

    def _admit(self) -> None:
        """Let workers join that have become ready."""
        errors = self._ray.exceptions
        with self._lock:
            waited = list(self._joining)
            for ready in self._ray.wait(waited, num_returns=len(waited), timeout=0)[0] if waited else ():
                joining, self._changed = self._joining.pop(ready), time.monotonic()
                try:
                    fingerprint = self._ray.get(ready)
                except errors.RayTaskError as error:
                    self._refuse(joining.actor, _ordinary(error.cause))
                except errors.RayError as error:
                    if joining.tries < TRIES:
                        self._ray.kill(joining.actor)
                        self._start(joining.tries + 1)
                    else:
                        self._refuse(joining.actor, error)
                else:
                    if joining.placed:
                        self._join(joining.actor, fingerprint)
                    else:
                        loaded = joining.actor.load_model.options(max_task_retries=0).remote()
                        self._joining[loaded] = replace(joining, placed=True)

    def _join(self, actor: Any, fingerprint: str) -> None:
        self.fingerprint = self.fingerprint or fingerprint
        if fingerprint == self.fingerprint:
            self._present.append(actor)
            self._free += [actor] * PREFETCH
        else:  # it would make other frames
            words = f"Its model or its OpenVINO is not that of the others: {fingerprint}, not {self.fingerprint}."
            self._refuse(actor, ValueError(words))

    def _refuse(self, actor: Any, error: Exception) -> None:
        self._refused.append(_first_line(error))
        log.warning("A worker of the Ray cluster is not used: %s", self._refused[-1])
        self._ray.kill(actor)

    def _take(self, order: int) -> Any:
        """A worker that is free, of those the one with the fewest chunks; None if there is none, or another's turn."""
        with self._lock:
            self._wanting.add(order)
            if not self._free or order != min(self._wanting):
                return None
            actor = max(self._free, key=self._free.count)
            self._free.remove(actor)
            return actor

    def _give_back(self, order: int, *actors: Any) -> None:
        """The film of that order wants no worker now, and does without these."""
        with self._lock:
            self._wanting.discard(order)
        for actor in actors:
            self._release(actor)

    def _release(self, actor: Any) -> None:
        """It can take one chunk more, unless it was lost."""
        with self._lock:
            if actor in self._present:
                self._free.append(actor)

    def _replace(self, actor: Any) -> None:
        """Another worker takes the place of a lost one, once; all its chunks tell of the loss."""
        with self._lock:
            if actor in self._present:
                self._present.remove(actor)
                self._free = [free for free in self._free if free is not actor]
                self._changed = time.monotonic()
                self._ray.kill(actor)  # it may only be out of reach, and would keep its place for ever
                self._start()

    def _check(self) -> None:
        """RuntimeError when no worker is there, or will be."""
        with self._lock:
            if self._present or any(joining.placed for joining in self._joining.values()):
                return
            if self._refused and not self._joining:
                raise RuntimeError(f"No worker of the Ray cluster at {self._address} can be used: {self._refused[-1]}")
            if time.monotonic() - self._changed > TIMEOUT:
                raise RuntimeError(
                    f"There has been no worker in the Ray cluster at {self._address} for {TIMEOUT:g} s;"
                    " its machines are lost or busy."
                )


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Be a part of the cluster; yields Ray."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray that is started here tells nobody
    ray = extras.load("ray", "cluster", "A Ray cluster")
    options: dict[str, Any] = {
        "runtime_env": {"py_modules": [str(Path(film.__file__).parent)]},
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if address == "local":
        options["include_dashboard"] = False
    try:
        ray.init(address, **options)
    except Exception as error:  # of any type, and some of none in particular
        raise RuntimeError(f"The Ray cluster at {address} cannot be reached: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _ordinary(error: BaseException) -> Exception:
    """An error of the kinds by which a film fails, and no more than the film. Ray has kinds of its own."""
    return error if isinstance(error, (ValueError, RuntimeError, OSError)) else RuntimeError(repr(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
