"""Chunks made by the workers of a Ray cluster: a chunk is a task, and a worker a process that keeps its model.

The package itself travels to the machines; what it needs (`pip install ".[cluster]"`) must be there, and so must a
model that is given as a directory. There are up to two chunks for each worker, one that it makes and one that Ray has
brought to its machine, so that it never waits for the network. A source is read only when another chunk is wanted, so
frames never pile up. Ray places the tasks, starts the workers, and gives the chunk of a lost one to another.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import film
from film.batch import ray_worker
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


class _Task(NamedTuple):
    frames: int
    told: str  # what failed, if it did
    chunk: Any  # as an object of Ray's


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
        self._cpus = cpus_per_worker
        self._load = {"name": name, "device": device, "precision": precision, "threads": self._cpus}
        self._memory_gb = memory_gb
        self._ray: Any = None
        self._turn = threading.Lock()  # held by the film whose chunks are read and sent
        self._away: set[Any] = set()  # the objects that will be the answers, of all films
        self._unusable: dict[str, str] = {}  # machines that are not used, and why
        self._seen = 0.0  # when there was a machine last

    def execution_info(self, height: int, width: int) -> ExecutionInfo:
        return ExecutionInfo(self.requested_device, workers=self.size)

    def setup_steps(self, height: int, width: int) -> SetupSteps:
        """Nothing: workers compile for a size when their first chunk of it comes."""
        return iter(())

    def room(self) -> bool:
        """Whether a worker waits for a film that has not begun."""
        return self._has_room() and not self._turn.locked()

    def _has_room(self) -> bool:
        return len(self._away) < self.size * PREFETCH

    def make(
        self, chunks: Iterable[Chunk | Segment], folder: Path, encoding: Encoding
    ) -> Generator[RenderedFrames | Segment]:
        """`Renderer.make` for one film; several may run in threads, and the next one is read when one has been.

        Segments come as they are finished, not in order. Something is yielded every `POLL` seconds, if only that no
        frame was made, so that the film can be stopped. RuntimeError when no worker is left.
        """
        tasks = map(self._task, ray_worker.pieces(chunks, encoding.length))
        away: dict[Any, _Task] = {}
        while not self._turn.acquire(timeout=POLL):
            yield RenderedFrames(0, 0)
        try:
            try:
                while True:
                    while not self._has_room():
                        yield from self._answers(away, folder, encoding)
                    if (task := next(tasks, None)) is None:
                        break
                    if isinstance(task, Segment):
                        yield task
                    else:
                        self._send(task, encoding, away)
            finally:
                self._turn.release()
            while away:
                yield from self._answers(away, folder, encoding)
        finally:
            self._away.difference_update(away)

    def _task(self, chunk: Chunk | Segment) -> _Task | Segment:
        if isinstance(chunk, Segment):
            return chunk
        told = f"Frames {chunk.first} to {chunk.first + chunk.frames - 1} could not be made"
        return _Task(chunk.frames, told, self._ray.put(ray_worker.packed(chunk)))

    def _send(self, task: _Task, encoding: Encoding, away: dict[Any, _Task]) -> None:
        answer = self._remote(ray_worker.work).remote(self._load, self.fingerprint, task.chunk, encoding)
        away[answer] = task
        self._away.add(answer)

    def _answers(self, away: dict[Any, _Task], folder: Path, encoding: Encoding) -> Generator[RenderedFrames | Segment]:
        """Wait for an answer, and take what it brings."""
        if not away:  # other films have all workers
            time.sleep(POLL)
        ready = self._ray.wait(list(away), timeout=POLL)[0]
        for answer in ready:
            task = away.pop(answer)
            self._away.remove(answer)
            if made := self._result(answer, task.told):
                yield from ray_worker.stored(made, folder, encoding)
                yield RenderedFrames(task.frames, made.calls, made.seconds)
            else:
                self._send(task, encoding, away)
        if not ready:
            self._check()
            yield RenderedFrames(0, 0)

    def __enter__(self) -> Cluster:
        """Connect, and wait for the first worker. RuntimeError without Ray, such a cluster, or a worker."""
        with contextlib.ExitStack() as stack:
            self._ray = _connected(self._address)
            stack.callback(self._ray.shutdown)
            self._find_workers()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def _find_workers(self) -> None:
        nodes = self._nodes().values()
        places = [int(node["CPU"] // self._cpus) for node in nodes]
        self.size, self.machines = sum(places), len(places)
        if not self.size:
            raise RuntimeError(
                f"No machine of the Ray cluster at {self._address} has the {self._cpus} CPUs of a worker."
            )
        shares = [max(memory.DEFAULT_SHARE, 2 * workers) for workers in places]
        least = min(node["memory"] / share for node, share in zip(nodes, shares, strict=True))
        self._load["memory_gb"] = self._memory_gb or least / memory.GIGABYTE
        if not self._ray.wait([self._remote(lambda: None).remote()], timeout=TIMEOUT)[0]:
            raise self._no_worker()
        self._seen = time.monotonic()
        while not self.fingerprint:
            answer = self._remote(ray_worker.work).remote(self._load)
            while not self._ray.wait([answer], timeout=POLL)[0]:  # which may take longer than TIMEOUT
                self._check()
            self.fingerprint = self._result(answer, "The model could not be loaded") or ""
            self._check()

    def _remote(self, function: Any) -> Any:
        options: dict[str, Any] = {"num_cpus": self._cpus, "scheduling_strategy": "SPREAD"}
        if unusable := ",".join(tuple(self._unusable)):
            options["label_selector"] = {"ray.io/node-id": f"!in({unusable})"}
        return self._ray.remote(max_retries=TRIES - 1, **options)(function)

    def _result(self, answer: Any, told: str) -> Any:
        """What a worker answered; None where another machine is to be asked. RuntimeError when TRIES were lost."""
        try:
            made = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:  # the worker's own words: another one would say the same
            known = isinstance(error.cause, (ValueError, RuntimeError, OSError))
            raise error.cause if known else RuntimeError(repr(error.cause)) from error
        except self._ray.exceptions.RayError as error:
            last = str(error).strip().partition("\n")[0]
            raise RuntimeError(f"{told}: {TRIES} workers were lost with that, the last one so: {last}") from error
        if not isinstance(made, ray_worker.Unusable):
            return made
        if made.machine not in self._unusable:
            log.warning("A machine of the Ray cluster is not used: %s", made.reason)
        self._unusable[made.machine] = made.reason
        return None

    def _nodes(self) -> dict[str, dict[str, float]]:
        """The resources of the machines that are there and have room for a worker, by their ids."""
        nodes = {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}
        return {name: node for name, node in nodes.items() if node.get("CPU", 0) >= self._cpus}

    def _check(self) -> None:
        """RuntimeError when no machine can be used, or has been there for long."""
        there, reasons = self._nodes().keys(), dict(self._unusable)
        if there - reasons.keys():
            self._seen = time.monotonic()
        elif there:
            reason = list(reasons.values())[-1]
            raise RuntimeError(f"No worker of the Ray cluster at {self._address} can be used: {reason}")
        elif time.monotonic() - self._seen > TIMEOUT:
            raise self._no_worker()

    def _no_worker(self) -> RuntimeError:
        return RuntimeError(
            f"There has been no worker in the Ray cluster at {self._address} for {TIMEOUT:g} s;"
            " its machines are lost or busy."
        )


def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray that is started here tells nobody
    # Else Ray sends a chunk for which there is too little memory again without end.
    limits = {"RAY_task_oom_retries": os.environ.setdefault("RAY_task_oom_retries", str(TRIES - 1))}
    ray = extras.load("ray", "cluster", "A Ray cluster")
    package = {"py_modules": [str(Path(film.__file__).parent)], "env_vars": limits}
    local = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, runtime_env=package, log_to_driver=False, logging_level=logging.ERROR, **local)
    except Exception as error:  # of any type, and some of none in particular
        raise RuntimeError(f"The Ray cluster at {address} cannot be reached: {error}") from error
    return ray
