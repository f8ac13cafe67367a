"""Films and those who make them, without a cluster: nothing is read early, nothing lost, everything can be stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import film
from film.batch import concurrent, ray_cluster, ray_worker
from film.batch.work_queue import Result, WorkQueue
from film.engine import bisection
from film.engine.frame_pair import FramePair
from film.media import images
from film.media.video_segments import Segment
from film.rendering.renderer import Chunk, Encoding, Made, render
from tests.conftest import texture

ENCODING = Encoding(Fraction(20), 60)


def chunks(count: int, frames: int = 10) -> list[Chunk]:
    still = np.zeros((16, 16, 3), np.float32)
    return [Chunk(frames * n, [FramePair(still, still, [Fraction(0)] * frames)]) for n in range(count)]


def segment(chunk: Chunk) -> Segment:
    return Segment(Path(f"{chunk.first}"), chunk.first, chunk.frames, ENCODING.fps)


class Maker:
    """Somebody who takes stretches and makes them when he is allowed to."""

    def __init__(self, work_queue: WorkQueue) -> None:
        self.taken: list[int] = []
        self.go = threading.Semaphore(0)
        self._work_queue = work_queue
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while task := self._work_queue.get():
            self.taken.append(task.chunk.first)
            self.go.acquire()
            task.film.deliver(lambda task=task: Result([segment(task.chunk)], Made(task.chunk.frames, 3)))


def make(work_queue: WorkQueue, work: Iterator[Chunk | Segment], folder: Path) -> Generator[Made | Segment]:
    return work_queue.make(work, folder, ENCODING, lambda: None)


def eventually(true: object) -> None:
    until = time.monotonic() + 20
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_source_is_read_only_when_somebody_is_free(tmp_path: Path) -> None:
    work_queue, read = WorkQueue(), []

    def source() -> Iterator[Chunk | Segment]:
        for chunk in chunks(7):
            read.append(chunk.first)
            yield chunk

    makers = [Maker(work_queue), Maker(work_queue)]
    eventually(work_queue.room)
    made: list[Made | Segment] = []
    events = make(work_queue, source(), tmp_path)
    for done in range(7):
        while sum(isinstance(event, Segment) for event in made) < done + 1:
            made.append(next(events))
            if isinstance(made[-1], Made):  # nothing, or a stretch: those in the works are as many as there are makers
                assert len(read) <= done + 2
                if made[-1].frames == 0:
                    next(renderer for renderer in makers if len(renderer.taken)).go.release()
                    makers[1].go.release()
    made += list(events)
    assert sorted(event.first for event in made if isinstance(event, Segment)) == [10 * n for n in range(7)]
    assert sum(event.frames for event in made if isinstance(event, Made)) == 70
    assert read == [10 * n for n in range(7)]
    work_queue.close()


def test_segments_that_are_there_are_handed_on_and_need_nobody(tmp_path: Path) -> None:
    work_queue = WorkQueue()
    renderer = Maker(work_queue)
    there = [segment(chunk) for chunk in chunks(5)]
    assert list(make(work_queue, iter(there), tmp_path)) == there
    assert renderer.taken == []
    work_queue.close()


def test_a_closed_film_takes_nothing_more_and_frees_whoever_waits(tmp_path: Path) -> None:
    work_queue = WorkQueue()
    renderer = Maker(work_queue)
    events = make(work_queue, iter(chunks(3)), tmp_path)
    while not renderer.taken:
        next(events)
    events.close()
    renderer.go.release(3)
    other = list(make(work_queue, iter(chunks(2)), tmp_path))
    assert renderer.taken == [0, 0, 10]
    assert [event.first for event in other if isinstance(event, Segment)] == [0, 10]
    work_queue.close()


def test_an_error_of_the_source_frees_whoever_waits(tmp_path: Path) -> None:
    work_queue = WorkQueue()
    renderer = Maker(work_queue)
    renderer.go.release(10)

    def source() -> Iterator[Chunk | Segment]:
        yield chunks(1)[0]
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        list(make(work_queue, source(), tmp_path))
    assert len(list(make(work_queue, iter(chunks(2)), tmp_path))) >= 4
    work_queue.close()


def test_what_is_given_back_is_made_by_another_before_anything_new(tmp_path: Path) -> None:
    work_queue = WorkQueue()
    result: list[Made | Segment] = []
    thread = threading.Thread(target=lambda: result.extend(make(work_queue, iter(chunks(3)), tmp_path)))
    thread.start()
    lost = work_queue.get()
    assert lost and lost.chunk.first == 0
    work_queue.requeue(lost)
    renderer = Maker(work_queue)
    renderer.go.release(3)
    thread.join(20)
    assert renderer.taken == [0, 10, 20] and not thread.is_alive()
    work_queue.close()


def test_a_film_can_be_stopped_while_nothing_comes(tmp_path: Path) -> None:
    events = make(WorkQueue(), iter(chunks(1)), tmp_path)
    assert next(events) == Made(0, 0)
    events.close()
    checked = WorkQueue().make(iter(chunks(1)), tmp_path, ENCODING, lambda: (_ for _ in ()).throw(RuntimeError("gone")))
    with pytest.raises(RuntimeError, match="gone"):
        list(checked)


@pytest.mark.parametrize(
    ("frames", "length", "pieces"), [(64, 15, [64]), (65, 15, [30, 35]), (257, 15, [60, 60, 60, 60, 17])]
)
def test_long_stretches_come_in_pieces_of_whole_segments(frames: int, length: int, pieces: list[int]) -> None:
    (chunk,) = chunks(1, frames)
    cut = list(ray_cluster._pieces([chunk, segment(chunk)], length))
    assert cut.pop() == segment(chunk)
    assert [piece.frames for piece in cut if isinstance(piece, Chunk)] == pieces
    assert [piece.first for piece in cut] == [sum(pieces[:n]) for n in range(len(pieces))]


def test_a_packed_stretch_is_the_same_and_no_larger_than_it_must_be() -> None:
    exact, eight_bits = texture(20, 30), images.to_frame(np.rint(texture(20, 30, 1) * 255).astype(np.uint8))
    pairs = [FramePair(eight_bits, exact, bisection.dyadic(2)), FramePair(exact, eight_bits, bisection.dyadic(1))]
    packed = ray_worker.packed(Chunk(40, pairs))
    assert [frame.dtype for frame in packed.frames] == [np.uint8, np.float32]
    unpacked = ray_worker.unpacked(packed)
    assert unpacked.first == 40 and unpacked.frames == 8
    for pair, given in zip(unpacked.pairs, pairs, strict=True):
        np.testing.assert_array_equal(pair.left, given.left)
        np.testing.assert_array_equal(pair.right, given.right)
        assert pair.moments == given.moments
    assert unpacked.pairs[0].right is unpacked.pairs[1].left  # so that it is encoded once


def test_a_worker_makes_what_the_model_makes_here(averaging: Path, tmp_path: Path) -> None:
    model = film.load(averaging)
    pairs = [FramePair(texture(48, 64), texture(48, 64, 1), bisection.dyadic(5))]
    for lossless in (False, True):
        encoding = Encoding(Fraction(20), 60, lossless)
        here = [made for made in render(model, [Chunk(7, pairs)], tmp_path, encoding) if isinstance(made, Segment)]
        who = ray_worker.Worker(ray_worker.WorkerConfig(str(averaging), "CPU", "exact", 1, 1.0))
        assert who.load_model() == model.fingerprint
        answer = who.make(ray_worker.packed(Chunk(7, pairs)), encoding)
        (tmp_path / "there").mkdir(exist_ok=True)
        there = [ray_worker.stored(encoded, tmp_path / "there", encoding.fps) for encoded in answer.segments]
        assert encoding.finished(tmp_path / "there") == there
        assert_alike(here, there)
        assert all(bool(segment.lossless_copy) is lossless for segment in here)
    with pytest.raises(ValueError, match="no model"):
        ray_worker.Worker(ray_worker.WorkerConfig(str(tmp_path / "nowhere"), "CPU", "exact", 1, 1.0)).load_model()


def assert_alike(here: list[Segment], there: list[Segment]) -> None:
    assert [(one.first, one.count) for one in here] == [(other.first, other.count) for other in there]
    for one, other in zip(here, there, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()
        assert (one.lossless_copy and one.lossless_copy.read_bytes()) == (
            other.lossless_copy and other.lossless_copy.read_bytes()
        )


def test_in_pieces_a_stretch_has_the_same_segments(averaging: Path, tmp_path: Path) -> None:
    model = film.load(averaging)
    whole = Chunk(7, [FramePair(texture(48, 64), texture(48, 64, 1), bisection.evenly(150))])
    pieces = list(ray_cluster._pieces([whole], ENCODING.length))
    assert len(pieces) == 3
    made = []
    for name, chunks in (("whole", [whole]), ("pieces", pieces)):
        (tmp_path / name).mkdir()
        made.append([m for m in render(model, chunks, tmp_path / name, ENCODING) if isinstance(m, Segment)])
    assert_alike(*made)


def test_generators_run_side_by_side_as_far_as_there_is_room() -> None:
    open_now: set[int] = set()
    most = 0

    def counting(n: int) -> Generator[tuple[int, int]]:
        nonlocal most
        open_now.add(n)
        most = max(most, len(open_now))
        try:
            for k in range(20):
                time.sleep(0.002)
                yield n, k
        finally:
            open_now.remove(n)

    room = threading.Event()
    items = list(concurrent.run(map(counting, range(4)), room.is_set, lambda item: item[1] == 3))
    assert items == [(n, k) for n in range(4) for k in range(20)] and most == 1
    room.set()
    items = list(concurrent.run(map(counting, range(4)), room.is_set, lambda item: item[1] == 3))
    assert sorted(items) == [(n, k) for n in range(4) for k in range(20)] and most > 1
    with contextlib.closing(concurrent.run(map(counting, range(4)), room.is_set, lambda item: True)) as some:
        next(some)
    assert not open_now


def test_an_exception_of_one_ends_all() -> None:
    closed = []

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    def failing() -> Generator[int]:
        yield 2
        raise KeyError("a defect")

    with pytest.raises(KeyError, match="a defect"):
        list(concurrent.run(iter([endless(), failing()]), lambda: True, lambda item: True))
    assert closed == [True]


def test_who_prepares_is_not_missed(averaging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that downloads or converts its model may take longer than anybody waits for one that is not there."""
    monkeypatch.setattr("film.batch.ray_cluster.TIMEOUT", 0.0)
    machines = ray_cluster.Cluster("auto", averaging)
    machines.size = 1
    ended = threading.Event()
    told: list[str] = []

    def work() -> None:
        try:
            list(machines.make(chunks(1), tmp_path, ENCODING))
        except RuntimeError as error:
            told.append(str(error))
        ended.set()

    with machines.preparing():
        threading.Thread(target=work, daemon=True).start()
        assert not ended.wait(2)  # it looks twice a second
    eventually(ended.is_set)
    assert told == ["There has been no worker in the Ray cluster at auto for 0 s; its machines are lost or busy."]
