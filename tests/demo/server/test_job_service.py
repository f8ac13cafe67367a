"""One film from order to result: what is held while it is made, what is freed however it ends, what the log says."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from demo.server.job_queue import JobQueue, QueueFull, Waiting
from demo.server.job_service import JobService, RenderJob, without_paths
from demo.server.json_logging import JsonLines, _Stray
from demo.server.limits import Limits
from demo.server.model_cache import ModelCache
from demo.server.photo_sandbox import PhotoSandbox
from demo.server.storage import GIGABYTE, Storage
from film import load
from film.engine import timings
from film.engine.interpolator import Interpolator
from film.rendering import planning
from film.rendering.events import Done, Event, Progress

SHELF = ModelCache(load, 1)  # nothing is loaded before a model's first frame
PLAN = planning.Plan(3, Fraction(15), (64, 96), 1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is noted yet."""
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def job_service(tmp_path: Path) -> JobService:
    timings.remember("film-lite", "CPU", 64 * 96, 1.0)
    limits = Limits(["film-lite"], ["CPU"], [0], range(1, 9), 300)
    return JobService(limits, JobQueue(1, 1), Storage(tmp_path / "page", 3600, GIGABYTE), SHELF, PhotoSandbox())


def film(plan: planning.Plan, model: Interpolator, folder: Path) -> Generator[Event]:
    """A film of three frames, told as the pipeline does."""
    (folder / "film.mp4").write_bytes(b"a film")
    for k in (1, 2, 3):
        yield Progress(k, 3, np.zeros((64, 96, 3), np.float32), 0.1, 0.2)
    yield Done(folder / "film.mp4", 3, 96, 64, 15, "film-lite", "CPU", 1.5, 0.25)


def asked(
    start: Callable[[planning.Plan, Interpolator, Path], Generator[Event]] = film,
    plan: Callable[[], planning.Plan] = lambda: PLAN,
    *files: str,
) -> RenderJob:
    return RenderJob("film-lite", "CPU", files, plan, start)


def unused(job_service: JobService) -> bool:
    """Whether nothing is held: no place, no room, no folder."""
    with job_service.storage.reserved(GIGABYTE - job_service.storage.used()):
        pass
    return (
        job_service.queue.status() == {"running": 0, "waiting": 0} and list(job_service.storage.scratch.iterdir()) == []
    )


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """What was logged, as it would stand in the log."""
    return [json.loads(JsonLines().format(record)) for record in caplog.records]


def test_a_film(job_service: JobService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    *progress, done = job_service.run(asked())
    assert [event.done for event in progress if isinstance(event, Progress)] == [1, 2, 3]
    assert isinstance(done, Done) and done.path.read_bytes() == b"a film"
    assert done.path.parent.parent == job_service.storage.folder
    assert unused(job_service)
    begun, made = lines(caplog)
    assert begun["request"] == made["request"] and made["message"] == "made frame 3 of 3"
    known = {
        "model": "film-lite",
        "device": "CPU",
        "size": "96x64",
        "frames": 3,
        "seconds": 1.5,
        "seconds_per_frame": 0.25,
    }
    assert known.items() <= made.items()


def test_who_waits_is_told_so(job_service: JobService) -> None:
    first, second, third = job_service.run(asked()), job_service.run(asked()), job_service.run(asked())
    next(first)
    assert next(second) == Waiting(1, 0.2)
    with pytest.raises(QueueFull):
        next(third)
    first.close()
    assert isinstance(next(second), Progress)
    second.close()
    assert unused(job_service)


def test_the_first_film_ever_tells_the_pace_of_the_next(tmp_path: Path) -> None:
    limits = Limits(["film-lite"], ["CPU"], [0], range(1, 9), 300)
    job_service = JobService(limits, JobQueue(2, 5), Storage(tmp_path / "page", 3600, GIGABYTE), SHELF, PhotoSandbox())
    # Nothing is noted yet, so each may be a long one.
    first, second, waiting = job_service.run(asked()), job_service.run(asked()), job_service.run(asked())
    assert isinstance(next(first), Progress)  # 0.1 s a frame
    assert isinstance(next(second), Progress)
    first.close()
    assert isinstance(next(waiting), Progress)
    second.close()
    waiting.close()


def test_a_film_of_unknown_length_is_a_long_one_and_may_become_as_large_as_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    limits = Limits(["film-lite"], ["CPU"], [0], range(1, 9), 300)
    job_service = JobService(limits, JobQueue(2, 5), Storage(tmp_path / "page", 3600, GIGABYTE), SHELF, PhotoSandbox())
    unknown = planning.Plan(2, Fraction(20), (64, 96), None)
    short, first, second = (
        job_service.run(asked()),
        job_service.run(asked(plan=lambda: unknown)),
        job_service.run(asked(plan=lambda: unknown)),
    )
    assert isinstance(next(short), Progress)  # tells the pace of this model
    short.close()
    event = next(first)
    assert isinstance(event, Progress) and (event.done, event.total, event.seconds_left) == (1, 0, None)
    assert (
        job_service.storage._reserved == 300_000_000
    )  # an encoded frame takes no more than a byte for each of its pixels
    assert next(second) == Waiting(1, None)  # the other place is for short ones, and nobody knows when this one is free
    first.close()
    second.close()
    assert job_service.storage._reserved == 0
    assert "stopped after frame 1 of an unknown number" in [queue["message"] for queue in lines(caplog)]
    assert {queue.get("frames") for queue in lines(caplog)} == {3, None}


def test_leaving_while_waiting_and_while_it_is_made(job_service: JobService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ended: list[str] = []

    def watched(plan: planning.Plan, model: Interpolator, folder: Path) -> Generator[Event]:
        try:
            yield from film(plan, model, folder)
        finally:
            ended.append("the film's own generator")

    first, second = job_service.run(asked(watched)), job_service.run(asked())
    next(first)
    next(second)
    second.close()
    first.close()
    assert ended == ["the film's own generator"]
    assert unused(job_service)
    assert [queue["message"] for queue in lines(caplog)][1:] == ["stopped after no frame", "stopped after frame 1 of 3"]


def test_a_bad_order_needs_no_place_at_work(job_service: JobService) -> None:
    def refuse() -> planning.Plan:
        raise ValueError("photo.jpg is damaged.")

    first = job_service.run(asked())
    next(first)
    with pytest.raises(ValueError, match=r"photo\.jpg is damaged\."):
        next(job_service.run(asked(plan=refuse)))
    first.close()
    assert unused(job_service)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("The depth is 99."), r"^The depth is 99\.$"),
        (
            RuntimeError("ffmpeg failed: /tmp/film-x/film.mp4: No space left"),
            r"^ffmpeg failed: film\.mp4: No space left$",
        ),
        (KeyError("/secret"), r"^Something failed on the server; its log says what, for request \w{8}\.$"),
        (MemoryError(), r"^Something failed on the server"),
        (OSError(28, "No space left on device", "/tmp/x"), r"^The server's disk is full"),
    ],
)
def test_errors_are_sentences(
    job_service: JobService, caplog: pytest.LogCaptureFixture, error: Exception, words: str
) -> None:
    def fail(plan: planning.Plan, model: Interpolator, folder: Path) -> Generator[Event]:
        yield from list(film(plan, model, folder))[:2]
        raise error

    with pytest.raises((ValueError, RuntimeError), match=words):
        list(job_service.run(asked(fail)))
    assert unused(job_service)
    queue = lines(caplog)[-1]
    assert queue["size"] == "96x64"
    assert str(error) in json.dumps(queue, ensure_ascii=False) or "traceback" in queue  # the log keeps the whole


def test_its_photos_do_not_expire_while_it_is_made(job_service: JobService) -> None:
    photo = job_service.storage.folder / ("a" * 64) / "photo.jpg"
    photo.parent.mkdir()
    photo.touch()
    events = job_service.run(asked(film, lambda: PLAN, str(photo)))
    next(events)
    assert job_service.storage._held == {str(photo): 1}
    events.close()
    assert not job_service.storage._held


def test_a_film_without_room_is_not_begun(tmp_path: Path) -> None:
    limits = Limits(["film-lite"], ["CPU"], [0], range(1, 9), 300)
    job_service = JobService(limits, JobQueue(1, 1), Storage(tmp_path / "page", 3600, 1000), SHELF, PhotoSandbox())
    with pytest.raises(RuntimeError, match="The disk for uploads and films is full"):
        list(job_service.run(asked()))
    assert job_service.queue.status() == {"running": 0, "waiting": 0}


def test_health(job_service: JobService) -> None:
    events = job_service.run(asked())
    next(events)
    health = job_service.health("film-lite")
    assert (health["status"], health["running"], health["waiting"], health["model"]) == ("ok", 1, 0, "film-lite")
    events.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open /tmp/film-x/a b.ts", "cannot open a b.ts"),
        ("from https://example.com/models/film (HTTP 404)", "from https://example.com/models/film (HTTP 404)"),
        ("[Errno 2] No such file: '/root/.cache/film/x.xml'", "[Errno 2] No such file: 'x.xml'"),
        ("C:\\Users\\me\\film.mp4: denied", "film.mp4: denied"),
        ("3/4 of 1920x1080 and/or 24 fps", "3/4 of 1920x1080 and/or 24 fps"),
    ],
)
def test_paths_are_cut_down_to_names(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_what_libraries_print_becomes_lines(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys
    import traceback

    stray = _Stray(logging.getLogger("stray"), sys.stdout)
    print("a warning", "in parts", file=stray)  # type: ignore[call-overload]
    try:
        try:
            {}["x"]
        except KeyError as error:
            raise ValueError("two\nlines") from error
    except ValueError:
        traceback.print_exc(file=stray)
    print("after", file=stray)  # type: ignore[call-overload]
    told = lines(caplog)
    assert (told[0]["message"], told[-1]["message"]) == ("a warning in parts", "after")
    assert any("KeyError" in str(queue.get("traceback")) for queue in told)
    assert len(told) <= 6
