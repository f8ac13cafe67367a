"""What is checked before anything is planned, what a plan tells, and which small pictures are remembered."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from demo.api import endpoints
from demo.config import Config
from demo.server.job_requests import JobRequest, OutputOptions, PhotoRequest, VideoRequest
from demo.server.job_service import JobService
from demo.server.visitor_files import OpenSlots
from demo.ui import updates
from demo.ui.plan import show_plan
from film.hub.registry import BUNDLED
from film.rendering import planning
from tests.conftest import photo, texture
from tests.support.clips import pan, recorded, video

MAKING = OutputOptions("film-lite", "CPU")
PAIR, CLIP = PhotoRequest(["a.jpg", "b.jpg"], MAKING), VideoRequest("clip.mp4", MAKING)


@pytest.fixture
def service(tmp_path: Path) -> JobService:
    return JobService(Config(max_running=1, max_waiting=1, disk_gb=1), tmp_path / "page")


def photos(folder: Path, count: int) -> list[str]:
    """One photo, named so often."""
    return [str(photo(folder / "photo.png", texture(64, 96)))] * count


def planned(request: JobRequest, service: JobService) -> str:
    """The line that the page shows under the choices."""
    return show_plan(lambda: request, service)[0]


@pytest.mark.slow
def test_what_create_refuses_is_no_plan(service: JobService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "3169 frames" in planned(PhotoRequest(photos(tmp_path, 100), MAKING), service)
    monkeypatch.setattr(planning, "moments", None)  # so many photos are not even planned
    job_request = PhotoRequest(photos(tmp_path, 101), MAKING)
    words = "These are 101 photos; this server makes a film of at most"
    assert words in planned(job_request, service)
    states = [str(changes.get("state")) for changes in updates.show(lambda: job_request, service)]
    assert any(words in state for state in states)
    with pytest.raises(ValueError, match=words):
        next(service.make(job_request))


@pytest.mark.slow
def test_an_unknown_length_is_told_as_such(service: JobService, tmp_path: Path) -> None:
    job_request = VideoRequest(str(recorded(tmp_path / "recorded.webm")), MAKING, slowdown=2)
    told = planned(job_request, service)
    assert "Length unknown" in told and "frames" not in told
    texts = [str(changes.get("state")) for changes in updates.show(lambda: job_request, service)]
    assert [text for text in texts if "<b>Frame 7</b><span>length unknown</span>" in text]
    assert not [text for text in texts if "Frame 7 of" in text]
    assert "24 frames, 96 × 64" in texts[-2]


@pytest.mark.slow
def test_a_busy_moment_costs_no_picture(service: JobService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = str(photo(tmp_path / "photo.jpg", texture(64, 96)))
    with monkeypatch.context() as moment:
        moment.setattr(service.sandbox, "_opening", OpenSlots("photos", -2, lambda path: None))
        assert service.thumbnail(picture) is None
    assert (uri := service.thumbnail(picture)) and uri.startswith("data:image/jpeg;base64,")
    monkeypatch.setattr(service.sandbox, "_opening", None)  # it is remembered
    assert service.thumbnail(picture) == uri


def test_what_has_expired_is_said_to_be_gone(service: JobService, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.png")
    for job_request in (PhotoRequest([gone, gone], MAKING), VideoRequest(gone, MAKING)):
        words = "gone.png is no longer here: uploads expire. Choose it again."
        assert words in planned(job_request, service)
        with pytest.raises(ValueError, match=words):
            next(service.make(job_request))


@pytest.mark.parametrize(
    ("format", "play", "length", "words"),
    [
        ("mp4", "loop", {"depth": 2}, "5 frames, 0.1 s"),
        ("mp4", "pingpong", {"depth": 2}, "5 frames each way, forth and back, 0.1 s at 60 frames a second"),
        ("gif", "loop", {"count": 500}, "500 frames, 10 s"),  # no GIF plays faster
        # At a rate that can be chosen, though the nearest to 60 that halving gives is above.
        ("mp4", "loop", {"seconds": 2}, "65 frames, 2.0 s at 32.5 frames a second"),
        ("mp4", "loop", {"seconds": "long"}, "it must be a number of 0 or more"),
        ("gif", "pingpong", {"seconds": 2}, "33 frames each way, forth and back, 2.0 s at 32 frames a second"),
    ],
)
@pytest.mark.slow
def test_the_plan_is_of_what_will_be_seen(
    service: JobService, tmp_path: Path, format: str, play: str, length: dict[str, Any], words: str
) -> None:
    options = OutputOptions("film-lite", "CPU", format=format, play=play)
    assert words in planned(PhotoRequest(photos(tmp_path, 2), options, fps=60, **length), service)


def test_a_checked_order_may_be_checked_again(service: JobService) -> None:
    for job_request in (replace(PAIR, seconds=2), replace(CLIP, slowdown=2, fps=24)):
        checked = job_request.checked(service.limits)
        assert checked.checked(service.limits) == checked


def asked(request: JobRequest, **changes: Any) -> JobRequest:
    """The request with other values, of its own or of its options."""
    options = {name: changes.pop(name) for name in list(changes) if hasattr(MAKING, name)}
    return replace(request, options=replace(MAKING, **options), **changes)


@pytest.mark.parametrize(
    ("right", "changes", "words"),
    [
        *(
            (PAIR, {"model": path}, "The model is .* which is not in the list: film-lite, rife")
            for path in (str(BUNDLED / "film-lite"), "./film-lite", "film/models/film-lite", "https://tfhub.dev/film/1")
        ),
        (PAIR, {"device": "NPU.7"}, "NPU.7"),
        (PAIR, {"longest_side": "513"}, "not in the list"),
        (PAIR, {"format": "../../film.mp4"}, "not in the list"),
        (PAIR, {"quality": 0}, "quality is 0"),
        (PAIR, {"play": "backwards"}, "backwards"),
        (PAIR, {"background": "no colour"}, "no opaque colour"),
        (PAIR, {"format": "gif", "depth_bits": 10}, "A .gif holds 8 bits"),
        (PAIR, {"depth": "five"}, "The depth is 'five'; it must be a whole number from 1 to 8"),
        (PAIR, {"fps": 0}, "frame rate is 0"),
        (PAIR, {"easing": "bounce"}, "not in the list"),
        (PAIR, {"count": 10**12}, "number of frames is"),
        (PAIR, {"seconds": 0}, "no two frames"),
        (PAIR, {"count": 4, "seconds": 60}, "The length is given twice, as 4 frames and 60 seconds; give one of them"),
        (CLIP, {"start": "soon"}, "The start is"),
        (CLIP, {"start": 2, "end": "1"}, "ends at 1 s, but begins at 2 s"),
        (CLIP, {"speed": "fast"}, "The speed is"),
        (CLIP, {"slowdown": 99}, "slow motion is 99"),
        (CLIP, {"fps": -5}, "frame rate is -5"),
        (CLIP, {"cut": -1}, "cut sensitivity is -1"),
        (CLIP, {"duplicates": "some"}, "not in the list: auto, drop, keep"),
        (CLIP, {"audio_track": 100}, "audio track is 100"),
        (CLIP, {"sound": "yes"}, "it must be true or false"),
    ],
)
def test_what_is_refused(service: JobService, right: JobRequest, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asked(right, **changes).checked(service.limits)


@pytest.mark.parametrize("endpoint", endpoints.ENDPOINTS)
def test_all_that_an_endpoint_takes_reaches_the_request(endpoint: str) -> None:
    values = {name: f"the {name}" for name in endpoints.ENDPOINTS[endpoint][0].split()}
    request = asdict(endpoints.job_request(values))
    held = request | request["options"]
    if endpoint == "interpolate":
        assert held["photos"] == [values.pop("first"), values.pop("last")]
    assert held.items() >= values.items()


def test_what_is_taken(service: JobService) -> None:
    options = asked(PAIR, model="rife", longest_side="512").checked(service.limits).options
    assert (options.model, options.longest_side) == ("rife", 512)
    checked = asked(PAIR, depth=None, count=4).checked(service.limits)  # a count makes the depth meaningless
    assert isinstance(checked, PhotoRequest) and checked.count == 4


def test_frames_that_somebody_has_sent_are_not_opened(service: JobService, tmp_path: Path) -> None:
    """A page tells which frames a stopped film had; they are opened without the photos' sandbox."""
    storage, names = service.storage, []
    for owner in (None, "192.0.2.1"):
        for place in range(3):
            kept = storage.keep(photo(tmp_path / f"{place}.jpg", texture(64, 96)))
            storage.add([str(kept)], owner)
            names.append(f"{kept.parent.name}/{kept.name}")
    for frames, there in ((names[:3], True), (names[3:], False), (["../../etc/passwd", "x/y", "z"], False)):
        told = {"fps": 15, "frames": dict(enumerate(frames))}
        changes = updates.stopped(json.dumps(told), [], service)
        assert ("can be downloaded" in str(changes.get("state"))) is there


def test_few_films_are_exported_at_once(service: JobService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = str(service.storage.keep(video(tmp_path / "film.mp4", pan(4))))
    with monkeypatch.context() as moment:
        moment.setattr(service, "exports", OpenSlots("films", -2, lambda path: None))
        assert "Busy: many films" in str(updates.export(film, "gif", service))
    assert updates.export(film, "gif", service)[0]["value"].suffix == ".gif"
