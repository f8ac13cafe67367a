"""What is checked before anything is planned, what a plan tells, and which small pictures are remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demo.config import Config
from demo.server.job_queue import JobQueue
from demo.server.job_requests import JobRequest, OutputOptions, PhotoRequest, RequestHandler, VideoRequest
from demo.server.job_service import JobService
from demo.server.limits import Limits
from demo.server.model_cache import ModelCache
from demo.server.open_slots import TooMany
from demo.server.photo_sandbox import PhotoSandbox
from demo.server.storage import GIGABYTE, Storage
from demo.ui import updates
from demo.ui.plan import planned as made_to_fit
from demo.ui.plan import show_plan
from film import load
from film.rendering import planning
from film.rendering.events import Done
from tests.conftest import photo, texture
from tests.film.rendering.test_planning import recorded

MAKING = OutputOptions("film-lite", "CPU")


@pytest.fixture
def handler(tmp_path: Path) -> RequestHandler:
    limits = Limits(["film-lite"], ["CPU"], [0], range(1, 9), 300)
    storage = Storage(tmp_path / "page", 3600, GIGABYTE)
    return RequestHandler(JobService(limits, JobQueue(1, 1), storage, ModelCache(load, 1), PhotoSandbox()), Config())


def photos(folder: Path, count: int) -> list[str]:
    """One photo, named so often."""
    return [str(photo(folder / "photo.png", texture(64, 96)))] * count


def planned(ask: Callable[[], JobRequest], handler: RequestHandler) -> str:
    """The line that the page shows under the choices."""
    return show_plan(ask, handler)[0]


def test_what_create_refuses_is_no_plan(
    handler: RequestHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "3169 frames" in planned(lambda: PhotoRequest(photos(tmp_path, 100), MAKING), handler)
    monkeypatch.setattr(planning, "moments", None)  # so many photos are not even planned
    job_request, words = (
        PhotoRequest(photos(tmp_path, 101), MAKING),
        "These are 101 photos; this server makes a film of at most",
    )
    assert words in planned(lambda: job_request, handler)
    states = [str(changes.get("state")) for changes in updates.show(lambda: job_request, handler)]
    assert any(words in state for state in states)
    with pytest.raises(ValueError, match=words):
        next(handler.make(job_request))


@pytest.mark.slow
def test_an_unknown_length_is_told_as_such(handler: RequestHandler, tmp_path: Path) -> None:
    job_request = VideoRequest(str(recorded(tmp_path / "recorded.webm")), MAKING, slowdown=2)
    told = planned(lambda: job_request, handler)
    assert "Length unknown" in told and "frames" not in told
    texts = [str(changes.get("state")) for changes in updates.show(lambda: job_request, handler)]
    assert [text for text in texts if "<b>Frame 7</b><span>length unknown</span>" in text]
    assert not [text for text in texts if "Frame 7 of" in text]
    assert "24 frames, 96 × 64" in texts[-2]


class Moody:
    """In place of the decoder; each time it is asked it does the next thing."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def thumbnail(self, path: str, side: int) -> bytes:
        if isinstance(answer := self.answers.pop(0), Exception):
            raise answer
        return bytes(answer)


@pytest.mark.parametrize("error", [TooMany("Busy"), ValueError("photo.jpg cannot be read"), OSError(5, "unreadable")])
def test_a_busy_moment_costs_no_picture(handler: RequestHandler, tmp_path: Path, error: Exception) -> None:
    picture = str(photo(tmp_path / "photo.jpg", texture(64, 96)))
    answers: Sequence[Any] = [error, b"small", AssertionError("It was there.")]
    handler.job_service.sandbox = Moody(*answers)  # type: ignore[assignment]
    assert handler.thumbnail(picture) is None
    assert (uri := handler.thumbnail(picture)) and uri.startswith("data:image/jpeg;base64,")
    assert handler.thumbnail(picture) == uri


def test_what_has_expired_is_said_to_be_gone(handler: RequestHandler, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.png")
    job_requests: list[JobRequest] = [PhotoRequest([gone, gone], MAKING), VideoRequest(gone, MAKING)]
    for job_request in job_requests:
        assert "gone.png is no longer here: uploads expire. Choose it again." in planned(
            partial(replace, job_request), handler
        )
        with pytest.raises(ValueError, match="gone.png is no longer here"):
            next(handler.make(job_request))


@pytest.mark.parametrize(
    ("play", "format", "words"),
    [
        ("loop", "mp4", "5 frames, 0.1 s"),
        ("pingpong", "mp4", "5 frames, 0.1 s at 60 frames a second, each way"),
        ("loop", "gif", "5 frames, 0.1 s"),
    ],
)
def test_the_plan_is_of_what_will_be_seen(
    handler: RequestHandler, tmp_path: Path, play: str, format: str, words: str
) -> None:
    options = OutputOptions("film-lite", "CPU", format=format, play=play)
    assert words in planned(lambda: PhotoRequest(photos(tmp_path, 2), options, depth=2, fps=60), handler)


def test_a_gif_is_planned_as_slow_as_it_plays(handler: RequestHandler, tmp_path: Path) -> None:
    options = OutputOptions("film-lite", "CPU", format="gif")
    assert "500 frames, 10 s" in planned(lambda: PhotoRequest(photos(tmp_path, 2), options, count=500, fps=60), handler)


@pytest.mark.parametrize(
    ("format", "play", "words"),
    [
        ("mp4", "loop", "65 frames, 2.0 s at 32.5 frames a second"),
        ("gif", "loop", "65 frames, 2.0 s at 32.5 frames a second"),
        ("mp4", "pingpong", "33 frames, 1.0 s at 32 frames a second, each way"),
        ("gif", "pingpong", "33 frames, 1.0 s at 32 frames a second, each way"),
    ],
)
def test_seconds_are_those_of_the_film_as_it_plays(
    handler: RequestHandler, tmp_path: Path, format: str, play: str, words: str
) -> None:
    """At a rate that can be chosen, though the nearest to 60 that halving gives is above."""
    options = OutputOptions("film-lite", "CPU", format=format, play=play)

    def ask() -> JobRequest:
        return PhotoRequest(photos(tmp_path, 2), options, seconds=2, fps=60)

    assert words in planned(ask, handler)
    plan = made_to_fit(ask, handler)[1]
    assert plan and plan.duration == 2


def test_a_checked_order_may_be_checked_again(handler: RequestHandler) -> None:
    job_requests: list[JobRequest] = [
        PhotoRequest(["a.jpg", "b.jpg"], MAKING, seconds=2),
        VideoRequest("clip.mp4", MAKING, slowdown=2, fps=24),
    ]
    for job_request in job_requests:
        checked = handler.checked(job_request)
        assert handler.checked(checked) == checked


def test_a_video_that_is_too_much_is_told_what_its_controls_offer(handler: RequestHandler) -> None:
    job_request = VideoRequest("clip.mp4", MAKING, slowdown=4)
    with pytest.raises(ValueError, match="choose a slow motion of at most × 2[.]"):
        handler.check_budget(job_request, 1000, (1000, 600))
    with pytest.raises(ValueError, match="choose a shorter video[.]"):
        handler.check_budget(job_request, 10_000, (1000, 600))


def test_one_length_is_enough(handler: RequestHandler, tmp_path: Path) -> None:
    two = photos(tmp_path, 2)
    with pytest.raises(ValueError, match="The length is given twice, as 4 frames and 60 seconds; give one of them"):
        handler.checked(PhotoRequest(two, MAKING, count=4, seconds=60))
    checked = handler.checked(PhotoRequest(two, MAKING, depth=None, count=4))  # type: ignore[arg-type]
    assert isinstance(checked, PhotoRequest) and checked.count == 4


def test_the_page_makes_a_film_whose_moments_no_halving_reaches(handler: RequestHandler, tmp_path: Path) -> None:
    asked = PhotoRequest(photos(tmp_path, 2), MAKING, count=7, by_level=True)
    *_, done = handler.make(asked)
    assert isinstance(done, Done) and done.frames == 7
