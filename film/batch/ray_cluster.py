"""Stretches made by the workers of a Ray cluster: each is an actor that loads the model once.

The package itself travels to the machines; what it needs (requirements.txt, requirements-cluster.txt) must be there,
and so must a model that is given as a directory. Every worker has two chunks at a time, one in the making and one
waiting, so that it never waits for the network. What a lost worker had is given to another.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import film
from film.batch import ray_worker
from film.batch.ray_worker import Answer, Worker, WorkerConfig
from film.batch.work_queue import Result, Task, WorkQueue
from film.engine.devices import FASTEST, ExecutionInfo
from film.engine.interpolator import SetupSteps
from film.hub import registry
from film.media.video_segments import Segment
from film.rendering import timeline
from film.rendering.renderer import Chunk, Encoding, Made
from film.support import memory

log = logging.getLogger(__name__)

CPUS = 2  # per worker, unless told otherwise
PREFETCH = 2  # chunks at a worker
TRIES = 4  # of a chunk whose workers are lost, and of a worker that does not start
# A middle in a piece of a gap may need up to seven others outside it: shorter pieces cost more, and of longer ones more
# is lost with a worker.
PIECE = 64  # frames
TIMEOUT = 120.0  # seconds without a single worker after which films fail


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
        self._load = WorkerConfig(
            found.name if found in registry.models() else found.handle, device, precision, cpus_per_worker, memory_gb
        )
        self._work_queue = WorkQueue()
        self._lock = threading.Lock()  # guards what follows, and `fingerprint`
        self._present = 0  # workers
        self._preparing = 0  # ... that download or convert their model, which may take long
        self._refused: list[str] = []  # why some are not used
        self._changed = time.monotonic()  # when that was so last
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
        """Whether a worker waits for a film that there is not yet."""
        return self._work_queue.room()

    def make(self, chunks: Iterable[Chunk | Segment], folder: Path, encoding: Encoding) -> Generator[Made | Segment]:
        """See `WorkQueue.make`. RuntimeError when there is nobody left to work."""
        return self._work_queue.make(_pieces(chunks, encoding.length), folder, encoding, self._check)

    def __enter__(self) -> Cluster:
        """Connect, and wait for the first worker. RuntimeError without Ray, such a cluster, or a worker."""
        with contextlib.ExitStack() as stack:
            nodes = stack.enter_context(_connected(self._address))
            places = [int(node.get("CPU", 0) // self._load.threads) for node in nodes]
            self.size, self.machines = sum(places), sum(map(bool, places))
            if not self.size:
                raise RuntimeError(
                    f"No machine of the Ray cluster at {self._address} has the {self._load.threads} CPUs of a worker."
                )
            if self._load.memory_gb is None:
                shares = [
                    node["memory"] / max(memory.DEFAULT_SHARE, 2 * workers)
                    for node, workers in zip(nodes, places, strict=True)
                    if workers
                ]
                self._load = replace(self._load, memory_gb=min(shares) / memory.GIGABYTE)
            self._changed = time.monotonic()  # before that nobody could come
            for _ in range(self.size):
                stack.enter_context(_WorkerSlot(self, self._work_queue, self._load))
            stack.callback(self._work_queue.close)  # before any seat is left
            while not self._present:
                self._check()
                time.sleep(0.1)
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """A worker has a machine, and makes itself ready inside."""
        with self._lock:
            self._preparing += 1
        try:
            yield
        finally:
            with self._lock:
                self._preparing -= 1
                self._changed = time.monotonic()

    def joined(self, fingerprint: str) -> None:
        """A worker with such a model is there. ValueError if it would make other frames than the first one."""
        with self._lock:
            self.fingerprint = self.fingerprint or fingerprint
            if fingerprint != self.fingerprint:
                raise ValueError(
                    f"Its model or its OpenVINO is not that of the others: {fingerprint}, not {self.fingerprint}."
                )
            self._present += 1
            self._changed = time.monotonic()

    def left(self, refused: str | None = None) -> None:
        """A worker is lost, or was never there because it is `refused`."""
        with self._lock:
            if refused:
                self._refused.append(refused)
                log.warning("A worker of the Ray cluster is not used: %s", refused)
            else:
                self._present -= 1
            self._changed = time.monotonic()

    def _check(self) -> None:
        with self._lock:
            if self._present or self._preparing:
                return
            if len(self._refused) == self.size:
                raise RuntimeError(f"No worker of the Ray cluster at {self._address} can be used: {self._refused[-1]}")
            if time.monotonic() - self._changed > TIMEOUT:
                raise RuntimeError(
                    f"There has been no worker in the Ray cluster at {self._address} for {TIMEOUT:g} s;"
                    " its machines are lost or busy."
                )


class _WorkerSlot:
    """The place of one worker: an actor, another one when it is lost, and the threads that bring it its chunks."""

    def __init__(self, cluster: Cluster, work_queue: WorkQueue, load: WorkerConfig) -> None:
        self._cluster = cluster
        self._work_queue = work_queue
        self._load = load
        self._starting = threading.Lock()  # held while an actor starts, which may take for ever
        self._state = threading.Lock()  # guards `_actor` and `_ready`
        self._actor: Any = None
        self._ready = self._closing = False
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(PREFETCH)]

    def __enter__(self) -> _WorkerSlot:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        self._closing = True
        while any(thread.is_alive() for thread in self._threads):
            if self._actor is not None:
                ray.kill(self._actor)
            self._threads[0].join(0.1)
            self._threads[-1].join(0.1)

    def _serve(self) -> None:
        while (actor := self._present()) and (task := self._work_queue.get()):
            try:
                self._make(actor, task)
            except Exception as error:  # whatever it is, it ends the film, not this thread
                task.film.fail(_ordinary(error))
            del task  # so that its frames can be freed while this waits for the next

    def _make(self, actor: Any, task: Task) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        packed = ray.put(ray_worker.packed(task.chunk))
        try:
            answer = ray.get(actor.make.remote(packed, task.film.encoding))
        except RayTaskError as error:  # the worker's own words: another one would say the same
            task.film.fail(_ordinary(error.cause))
        except RayError as error:
            if self._closing:
                return
            log.warning("A worker was lost: %s", _first_line(error))
            task.tries += 1
            if task.tries < TRIES:  # given back at once: for this seat there may be no other worker
                self._work_queue.requeue(task)
            else:
                task.film.fail(
                    RuntimeError(
                        f"Frames {task.chunk.first} to {task.chunk.first + task.chunk.frames - 1} could not be"
                        f" made: {TRIES} workers were lost with them, the last one so: {_first_line(error)}"
                    )
                )
            self._lost(actor)
        else:
            task.film.deliver(lambda: _result(task, answer))

    def _present(self) -> Any:
        """The seat's actor, started now if there is none; None if there will be none."""
        from ray.exceptions import RayError, RayTaskError

        with self._starting:
            tries = 0
            while not self._ready and not self._closing and tries < TRIES:
                tries += 1
                try:
                    self._start()
                except RayTaskError as error:
                    refused = _ordinary(error.cause)
                except RayError as error:
                    if self._closing or tries < TRIES:
                        time.sleep(min(1.0, 0.1 * 2**tries))
                        continue
                    refused = error
                except Exception as error:  # whatever it is, it ends the seat, not this thread
                    refused = error
                else:
                    break
                if not self._closing:
                    self._cluster.left(refused=_first_line(refused))
                self._closing = True
            return None if self._closing else self._actor

    def _start(self) -> None:
        import ray

        remote = ray.remote(num_cpus=self._load.threads, max_restarts=0, scheduling_strategy="SPREAD")
        self._actor = remote(Worker).remote(self._load)
        ray.get(self._actor.__ray_ready__.remote())  # for that long it waits for a place
        with self._cluster.preparing():
            fingerprint = ray.get(self._actor.load_model.remote())
        self._cluster.joined(fingerprint)
        with self._state:
            self._ready = True

    def _lost(self, actor: Any) -> None:
        import ray

        ray.kill(actor)  # it may only be out of reach, and would keep its place for ever
        with self._state:
            first = self._ready and self._actor is actor  # of the threads that notice
            if first:
                self._ready = False
        if first:
            self._cluster.left()


@contextlib.contextmanager
def _connected(address: str) -> Iterator[list[dict[str, float]]]:
    """Be a part of the cluster; the resources of each of its machines."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray that is started here tells nobody
    try:
        import ray
    except ImportError as error:
        raise RuntimeError(
            f"Ray is not there ({error}); `pip install -r requirements-cluster.txt` brings it."
        ) from error
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
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def _pieces(chunks: Iterable[Chunk | Segment], length: int) -> Iterator[Chunk | Segment]:
    """The same, but long chunks in pieces of about PIECE frames, cut where segments of `length` frames begin."""
    for chunk in chunks:
        if isinstance(chunk, Segment) or chunk.frames <= PIECE:
            yield chunk
            continue
        segments, pieces = max(1, chunk.frames // length), math.ceil(chunk.frames / PIECE)
        step = math.ceil(segments / pieces) * length
        for begin in range(0, segments * length, step):
            end = begin + step if begin + step < segments * length else chunk.frames  # the last segment is longer
            yield Chunk(chunk.first + begin, timeline.part(chunk.pairs, begin, end))


def _result(task: Task, answer: Answer) -> Result:
    segments = [ray_worker.stored(segment, task.film.folder, task.film.encoding.fps) for segment in answer.segments]
    return Result(segments, Made(task.chunk.frames, answer.calls, answer.seconds))


def _ordinary(error: BaseException) -> Exception:
    """An error of the kinds by which a film fails, and no more than the film. Ray has kinds of its own."""
    return error if isinstance(error, (ValueError, RuntimeError, OSError)) else RuntimeError(repr(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
