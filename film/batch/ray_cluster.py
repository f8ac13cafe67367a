"""Chunks made by the workers of a Ray cluster: a chunk is a task, and a worker a process that keeps its model.

The package itself travels to the machines; what it needs (`pip install ".[cluster]"`) must be there, and so must a
model that is given as a directory. There are up to two chunks for each worker, one that it makes and one that Ray has
brought to its machine, so that it never waits for the network. A source is read only when another chunk is wanted, so
frames never pile up. Ray places the tasks and starts the workers; the chunk of a lost one is sent again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import film
from film.batch import ray_worker
from film.batch.ray_worker import Answer, WorkerConfig
from film.engine.devices import FASTEST, ExecutionInfo
from film.engine.interpolator import SetupSteps
from film.hub import registry
from film.media.video_segments import Segment
from film.rendering.renderer import Chunk, Encoding, RenderedFrames, Renderer
from film.support import extras, memory

log = logging.getLogger(__name__)

CPUS = 2  # per worker, unless told otherwise
PREFETCH = 2  # chunks for each worker
TRIES = 4  # of a chunk whose workers are lost
TIMEOUT = 120.0  # seconds without a single worker after which films fail
POLL = 0.2  # seconds between two looks at the cluster; a film can be stopped that often


@dataclass
class _Task:
    """What a worker is to do: make a chunk or, without one, load the model."""

    told: str  # what failed, if it did
    frames: int = 0
    chunk: Any = None  # packed, as an object of Ray's
    losses: int = 0  # workers that were lost with it


@dataclass(eq=False)
class _Film:
    """The chunks of a film: those that are still to be read, are to be sent again, and are away."""

    source: Iterator[Chunk | Segment]
    read: bool = False  # whether the source has ended
    again: list[_Task] = field(default_factory=list)
    away: dict[Any, _Task] = field(default_factory=dict)  # by the object that will be the answer

    @property
    def wants(self) -> bool:
        """Whether it wants a worker."""
        return bool(self.again) or not self.read


class Unusable(NamedTuple):
    """The answer of a machine that cannot make the frames."""

    machine: str  # by Ray's id
    reason: str


class Cluster(Renderer):
    """Many machines, from entering the context to leaving it. Films may share it, by threads."""

    honours_time = False
    fingerprint = ""  # of the first worker; the others' must be the same
    timings_name = ""  # what many workers take says nothing about this machine

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
        self.name, self.honours_time, self.requested_device = found.name, found.honours_time, device
        self.size = self.machines = 0  # workers, and their machines, that there are when none is lost
        self._address = address
        name = found.name if found in registry.models() else found.handle
        self._config = WorkerConfig(name, device, precision, cpus_per_worker, memory_gb)
        self._ray: Any = None
        self._lock = threading.Lock()  # guards what follows
        self._films: list[_Film] = []  # by the order in which they began
        self._unusable: dict[str, str] = {}  # machines that are not used, and why
        self._seen = 0.0  # when there was a machine last

    def execution_info(self, height: int, width: int) -> ExecutionInfo:
        return ExecutionInfo(self.requested_device, workers=self.size)

    def setup_steps(self, height: int, width: int) -> SetupSteps:
        """Nothing: workers compile for a size when their first chunk of it comes."""
        return iter(())

    def room(self) -> bool:
        """Whether a worker waits for a film that has not begun."""
        return self._has_turn(None)

    def make(
        self, chunks: Iterable[Chunk | Segment], folder: Path, encoding: Encoding
    ) -> Generator[RenderedFrames | Segment]:
        """`Renderer.make` for one film; several may run in threads, and those that began first are served first.

        Segments come as they are finished, not in order. Something is yielded every `POLL` seconds, if only that no
        frame was made, so that the film can be stopped. RuntimeError when no worker is left.
        """
        film = _Film(ray_worker.pieces(chunks, encoding.length))
        with self._lock:
            self._films.append(film)
        try:
            while film.wants or film.away:
                while film.wants and self._has_turn(film):
                    if there := self._send_next(film, encoding):
                        yield there
                if not film.away and film.wants:  # other films have all workers
                    time.sleep(POLL)
                ready = self._ray.wait(list(film.away), timeout=POLL)[0]
                for answer in ready:
                    if made := self._result(answer, task := film.away.pop(answer)):
                        yield from ray_worker.stored(made, folder)
                        yield RenderedFrames(task.frames, made.calls, made.seconds)
                    else:
                        film.again.append(task)
                if not ready:
                    self._check()
                    yield RenderedFrames(0, 0)
        finally:
            with self._lock:
                self._films.remove(film)

    def __enter__(self) -> Cluster:
        """Connect, and wait for the first worker. RuntimeError without Ray, such a cluster, or a worker."""
        self._ray = _connected(self._address)
        try:
            self._find_workers()
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def _find_workers(self) -> None:
        nodes, cpus = self._nodes().values(), self._config.threads
        places = [int(node["CPU"] // cpus) for node in nodes]
        self.size, self.machines = sum(places), len(places)
        if not self.size:
            raise RuntimeError(f"No machine of the Ray cluster at {self._address} has the {cpus} CPUs of a worker.")
        if self._config.memory_gb is None:
            shares = [max(memory.DEFAULT_SHARE, 2 * workers) for workers in places]
            least = min(node["memory"] / share for node, share in zip(nodes, shares, strict=True))
            self._config = replace(self._config, memory_gb=least / memory.GIGABYTE)
        if not self._ray.wait([self._remote(lambda: None).remote()], timeout=TIMEOUT)[0]:
            raise self._no_worker()
        self._seen = time.monotonic()
        task = _Task("The model could not be loaded")  # which may take longer than TIMEOUT
        while not self.fingerprint:
            answer = self._send(task)
            while not self._ray.wait([answer], timeout=POLL)[0]:
                self._check()
            self.fingerprint = self._result(answer, task) or ""
            self._check()

    def _has_turn(self, film: _Film | None) -> bool:
        """Whether there is a worker for that film, and no film that wants one began before; None: a new one."""
        with self._lock:
            away = sum(len(each.away) for each in self._films)
            return away < self.size * PREFETCH and film is next((each for each in self._films if each.wants), None)

    def _send_next(self, film: _Film, encoding: Encoding) -> Segment | None:
        """Send the film's next chunk, if there is one; a segment that takes its place is returned."""
        if not film.again:
            chunk = next(film.source, None)
            if not isinstance(chunk, Chunk):
                film.read = chunk is None
                return chunk
            told = f"Frames {chunk.first} to {chunk.first + chunk.frames - 1} could not be made"
            film.again.append(_Task(told, chunk.frames, self._ray.put(ray_worker.packed(chunk))))
        task = film.again.pop()
        film.away[self._send(task, encoding)] = task
        return None

    def _send(self, task: _Task, encoding: Encoding | None = None) -> Any:
        """The object that will be the answer."""
        return self._remote(_work).remote(self._config, self.fingerprint, task.chunk, encoding)

    def _remote(self, function: Any) -> Any:
        # No retries by Ray itself: it would send a chunk for which there is too little memory again without end.
        options: dict[str, Any] = {"num_cpus": self._config.threads, "max_retries": 0, "scheduling_strategy": "SPREAD"}
        with self._lock:
            if self._unusable:
                options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._unusable)})"}
        return self._ray.remote(**options)(function)

    def _result(self, answer: Any, task: _Task) -> Any:
        """What a worker answered; None if the task is to be sent again. RuntimeError when it lost TRIES workers."""
        errors = self._ray.exceptions
        try:
            made = self._ray.get(answer)
        except errors.RayTaskError as error:  # the worker's own words: another one would say the same
            cause = error.cause
            known = isinstance(cause, (ValueError, RuntimeError, OSError))
            raise cause if known else RuntimeError(repr(cause)) from error
        except errors.RayError as error:
            log.warning("A worker was lost: %s", _first_line(error))
            task.losses += 1
            if task.losses < TRIES:
                return None
            lost = f"{TRIES} workers were lost with that, the last one so: {_first_line(error)}"
            raise RuntimeError(f"{task.told}: {lost}") from error
        if not isinstance(made, Unusable):
            return made
        with self._lock:
            if made.machine not in self._unusable:
                log.warning("A machine of the Ray cluster is not used: %s", made.reason)
            self._unusable[made.machine] = made.reason
        return None

    def _nodes(self) -> dict[str, dict[str, float]]:
        """The resources of the machines that are there and have room for a worker, by their ids."""
        nodes = {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}
        return {name: node for name, node in nodes.items() if node.get("CPU", 0) >= self._config.threads}

    def _check(self) -> None:
        """RuntimeError when no machine can be used, or has been there for long."""
        there = self._nodes().keys()
        with self._lock:
            if there - self._unusable.keys():
                self._seen = time.monotonic()
            elif there:
                reason = list(self._unusable.values())[-1]
                raise RuntimeError(f"No worker of the Ray cluster at {self._address} can be used: {reason}")
            elif time.monotonic() - self._seen > TIMEOUT:
                raise self._no_worker()

    def _no_worker(self) -> RuntimeError:
        return RuntimeError(
            f"There has been no worker in the Ray cluster at {self._address} for {TIMEOUT:g} s;"
            " its machines are lost or busy."
        )


def _work(
    config: WorkerConfig, fingerprint: str = "", packed: Chunk | None = None, encoding: Encoding | None = None
) -> Answer | Unusable | str:
    """What a worker does: make a chunk with a model of that fingerprint; without one, tell the fingerprint."""
    try:
        model = ray_worker.load(config)
        if fingerprint not in ("", model.fingerprint):  # it would make other frames
            raise ValueError(
                f"Its model or its OpenVINO is not that of the others: {model.fingerprint}, not {fingerprint}."
            )
    except Exception as error:  # of any type: other machines may do better
        import ray

        return Unusable(ray.get_runtime_context().get_node_id(), _first_line(error))
    return ray_worker.make(model, packed, encoding) if packed and encoding else model.fingerprint


def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray that is started here tells nobody
    ray = extras.load("ray", "cluster", "A Ray cluster")
    package = {"py_modules": [str(Path(film.__file__).parent)]}
    local = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, runtime_env=package, log_to_driver=False, logging_level=logging.ERROR, **local)
    except Exception as error:  # of any type, and some of none in particular
        raise RuntimeError(f"The Ray cluster at {address} cannot be reached: {error}") from error
    return ray


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
