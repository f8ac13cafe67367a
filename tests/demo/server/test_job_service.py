"""One film from order to result: what is held while it is made, what is freed however it ends, what the log says."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from demo.config import Config
from demo.server.job_queue import Waiting
from demo.server.job_requests import JobRequest, OutputOptions, PhotoRequest, VideoRequest
from demo.server.job_service import JobService
from demo.server.json_logging import JsonLines, _Stray
from demo.server.messages import without_paths
from demo.server.storage import GIGABYTE, Full
from film.engine import timings
from film.engine.interpolator import Interpolator
from film.rendering import planning
from film.rendering.events import Done, Event, Progress

PLAN = planning.Plan(3, Fraction(15), (64, 96), 1)
UNKNOWN = planning.Plan(2, Fraction(20), (64, 96), None)
Open = Callable[..., JobService]
Logged = Callable[[], list[dict[str, object]]]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A service whose films are scripted; a video does not tell its length."""

    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))  # where nothing is noted yet

    def open_service(**settings: float) -> JobService:
        chosen = {"max_running": 1, "max_waiting": 1, "disk_gb": 1, "max_megapixels": 300} | settings
        service = JobService(Config(**chosen), tmp_path / "page")  # type: ignore[arg-type]
        service.plan = lambda asked: PLAN if isinstance(asked, PhotoRequest) else UNKNOWN  # type: ignore
        service._film = film  # type: ignore
        return service

    return open_service


@pytest.fixture
def job_service(opened: Open) -> JobService:
    timings.remember("film-lite", "CPU", 64 * 96, 1.0)
    return opened()


@pytest.fixture
def photo(tmp_path: Path) -> PhotoRequest:
    path = tmp_path / "photo.png"
    path.touch()
    return PhotoRequest([str(path), str(path)], OutputOptions("film-lite", "CPU"), depth=1)


def film(_: JobRequest, plan: planning.Plan, model: Interpolator, folder: Path, owner: str) -> Generator[Event]:
    """A film of three frames, told as the pipeline does."""
    (folder / "film.mp4").write_bytes(b"a film")
    for k in (1, 2, 3):
        yield Progress(k, 3, np.zeros((64, 96, 3), np.float32), 0.1, 0.2)
    yield Done(folder / "film.mp4", 3, 96, 64, 15, "film-lite", "CPU", 1.5, 0.25)


def unused(job_service: JobService) -> bool:
    """Whether nothing is held: no place, no room, no folder."""
    storage = job_service.storage
    with storage.reserved(GIGABYTE - storage.used()):
        return job_service.queue.status() == {"running": 0, "waiting": 0} and list(storage.scratch.iterdir()) == []


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """What was logged, as it would stand in the log."""
    caplog.set_level(logging.INFO)
    return lambda: [json.loads(JsonLines().format(record)) for record in caplog.records]


def test_a_film(job_service: JobService, photo: PhotoRequest, logged: Logged) -> None:
    *progress, done = job_service.make(photo)
    assert [event.done for event in progress if isinstance(event, Progress)] == [1, 2, 3]
    assert isinstance(done, Done) and done.path.read_bytes() == b"a film"
    assert done.path.parent.parent == job_service.storage.folder
    assert unused(job_service)
    begun, made = logged()
    assert begun["request"] == made["request"] and made["message"] == "made frame 3 of 3"
    known = {"model": "film-lite", "device": "CPU", "size": "96x64", "frames": 3, "seconds": 1.5}
    assert (known | {"seconds_per_frame": 0.25}).items() <= made.items()


def test_the_first_film_ever_tells_the_pace_of_the_next(opened: Open, photo: PhotoRequest) -> None:
    job_service = opened(max_running=2, max_waiting=5)
    # Nothing is noted yet, so each may be a long one.
    with closing(job_service.make(photo)) as second, closing(job_service.make(photo)) as third:
        with closing(job_service.make(photo)) as first:
            assert isinstance(next(first), Progress)  # 0.1 s a frame
            assert isinstance(next(second), Progress)
        assert isinstance(next(third), Progress)


def test_a_film_of_unknown_length_counts_as_long(opened: Open, photo: PhotoRequest, logged: Logged) -> None:
    """And may become as large as any."""
    job_service = opened(max_running=2, max_waiting=5)
    video = VideoRequest(photo.photos[0], photo.options)
    with closing(job_service.make(photo)) as short:
        assert isinstance(next(short), Progress)  # tells the pace of this model
    first, second = job_service.make(video), job_service.make(video)
    event = next(first)
    assert isinstance(event, Progress) and (event.done, event.total, event.seconds_left) == (1, 0, None)
    assert job_service.storage._rooms[0].size == 300_000_000  # a frame takes at most a byte for each of its pixels
    assert next(second) == Waiting(1, None)  # the other place is for short ones, and nobody knows when this one is free
    first.close()
    second.close()
    assert job_service.storage._rooms == []
    assert "stopped after frame 1 of an unknown number" in [line["message"] for line in logged()]
    assert {line.get("frames") for line in logged()} == {3, None}


def test_leaving_while_waiting_and_made(job_service: JobService, photo: PhotoRequest, logged: Logged) -> None:
    ended: list[str] = []

    def watched(*given: Any) -> Generator[Event]:
        try:
            yield from film(*given)
        finally:
            ended.append("the film's own generator")

    job_service._film = watched  # type: ignore[method-assign]
    first, second = job_service.make(photo), job_service.make(photo)
    next(first)
    next(second)
    second.close()
    first.close()
    assert ended == ["the film's own generator"]
    assert unused(job_service)
    assert [line["message"] for line in logged()][1:] == ["stopped after no frame", "stopped after frame 1 of 3"]


@pytest.mark.parametrize("stage", ["plan", "_film"])
@pytest.mark.parametrize(
    ("error", "words", "kept"),
    [
        (ValueError("/a/photo.png is bad."), r"^photo\.png is bad\.$", "/a/(a file) is bad."),  # no name of an upload
        (RuntimeError("ffmpeg: /tmp/x/film.mp4: failed"), r"^ffmpeg: film\.mp4: failed$", "/tmp/x/film.mp4"),
        (KeyError("/secret"), r"^Something failed on the server; its log says what, for request \w{8}\.$", "/secret"),
        (MemoryError(), r"^Something failed on the server", "MemoryError"),
        (OSError(28, "No space left on device", "/tmp/x"), r"^The server's disk is full", "/tmp/x"),
    ],
)
def test_errors_are_sentences_and_free_the_place(
    job_service: JobService, photo: PhotoRequest, logged: Logged, stage: str, error: Exception, words: str, kept: str
) -> None:
    def failing(*given: Any) -> Generator[Event]:
        yield from list(film(*given))[:2]
        raise error

    # A plan needs no place at work.
    setattr(job_service, stage, Mock(side_effect=error if stage == "plan" else failing))
    with pytest.raises((ValueError, RuntimeError), match=words):
        list(job_service.make(photo))
    assert unused(job_service)
    assert kept in json.dumps(logged(), ensure_ascii=False)  # the log keeps the whole


def test_its_photos_do_not_expire_while_it_is_made(job_service: JobService, photo: PhotoRequest) -> None:
    path = job_service.storage.folder / ("a" * 64) / "photo.jpg"
    path.parent.mkdir()
    path.touch()
    with closing(job_service.make(replace(photo, photos=[str(path), *photo.photos[1:]]))) as events:
        next(events)
        assert job_service.storage._held == [[str(path)]]
    assert not job_service.storage._held


def test_a_film_without_room_is_not_begun(opened: Open, photo: PhotoRequest) -> None:
    job_service = opened(disk_gb=1000 / GIGABYTE)
    with pytest.raises(Full, match="The disk for uploads and films is full"):
        list(job_service.make(photo))
    assert job_service.queue.status() == {"running": 0, "waiting": 0}


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


def test_what_libraries_print_becomes_lines(logged: Logged) -> None:
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
    told = logged()
    assert (told[0]["message"], told[-1]["message"]) == ("a warning in parts", "after")
    assert any("KeyError" in str(queue.get("traceback")) for queue in told)
    assert len(told) <= 6
