"""What is told before Create, and what solves a refusal."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.app import default_side
from demo.config import Config
from demo.server.job_queue import QueueFull
from demo.server.job_requests import JobRequest, OutputOptions, PhotoRequest, VideoRequest
from demo.server.job_service import JobService
from demo.server.storage import Storage
from demo.ui import exports, html, plan, updates
from demo.ui.layout import shown_count
from film.engine import devices, timings
from film.hub import registry
from film.media import video_reader
from film.rendering import planning
from film.rendering.renderer import Encoding
from tests.conftest import moved, photo, texture
from tests.support.clips import ffmpeg, pan

SPACE = {"SPACE_ID": "somebody/film"}
OPTIONS = OutputOptions("film-lite", "CPU")


def service_of(environment: dict[str, str], folder: Path) -> JobService:
    return JobService(Config.read(environment), folder / "page")


@pytest.mark.slow
def test_what_phones_make_is_taken_with_the_defaults(tmp_path: Path) -> None:
    """10 s in 1080p, and two upright photos of 12 megapixels: wherever there is a limit, the film is made to fit."""
    clip = tmp_path / "phone.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30:d=10", "-c:v", "libx264", "-preset", "ultrafast", str(clip))
    photos = [str(tmp_path / f"{n}.jpg") for n in (1, 2)]
    for path, colour in zip(photos, ("teal", "salmon"), strict=True):
        Image.new("RGB", (3024, 4032), colour).save(path)
    for environment, note, side in (({}, "", 1024), (SPACE, "Made at 512 pixels to fit this server.", 512)):
        service = service_of(environment, tmp_path)
        options = OutputOptions("film-lite", "CPU", default_side(service.limits.sides))
        video: JobRequest = VideoRequest(str(clip), options)
        for asked, frames, expected in ((video, 1200, (note, side)), (PhotoRequest(photos, options), 33, ("", 1024))):
            service.check_files(asked)
            request, planned, told = plan.planned(asked, service)
            assert planned and planned.size and planned.frames == frames
            service.check_budget(request, planned.frames, planned.size)
            assert (told, request.options.longest_side) == expected


@pytest.mark.slow
def test_a_smaller_film_offers_the_size_that_was_asked_for(tmp_path: Path) -> None:
    photos = [str(photo(tmp_path / f"{n}.png", frame)) for n, frame in enumerate(moved(600, 800))]
    service = service_of({"FILM_MAX_MEGAPIXELS": "10"}, tmp_path)
    line, _ = plan.show_plan(lambda: PhotoRequest(photos, OPTIONS), service)
    assert "Made at 512 pixels to fit this server." in line
    assert "At 800 pixels with fewer frames" in line and "data-fill='#depth input[type=number]' data-value='4'" in line
    request, planned, note = plan.planned(PhotoRequest(photos, OPTIONS, depth=4), service)
    assert planned and planned.size == (600, 800) and not note


@pytest.mark.slow
def test_pairs_that_are_hard_are_told_before_create(tmp_path: Path) -> None:
    service = service_of({}, tmp_path)
    wide = texture(192, 340, seed=0)
    scene = [photo(tmp_path / f"{left}.png", wide[:, left : left + 256]) for left in (0, 8, 64)]
    other = photo(tmp_path / "other.png", 1 - wide[:, :256])
    for last, words in (
        (scene[1], None),
        (scene[2], "Large movement: it may blur."),
        (other, "Little in common: the film can only dissolve there."),
    ):
        pair = [str(scene[0]), str(last)]
        line, _ = plan.show_plan(lambda pair=pair: PhotoRequest(pair, OPTIONS), service)  # type: ignore[misc]
        assert words in line if words else "<em>" not in line
    many = PhotoRequest(list(map(str, [scene[0], scene[1], other, scene[0]])), OPTIONS)
    assert plan.hard(many, service) == [
        "Little in common between photos 2 and 3, 3 and 4: the film can only dissolve there."
    ]


@pytest.mark.slow
def test_every_model_is_estimated_once_one_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    service = service_of({}, tmp_path)
    pair = [str(photo(tmp_path / f"{n}.png", frame)) for n, frame in enumerate(moved(192, 256))]

    def cards() -> dict[str, str]:
        _, shown = plan.show_plan(lambda: PhotoRequest(pair, OPTIONS), service)
        return {model: text for text, model in shown["choices"]}

    titles = {model.name: html.CARDS.get(model.name, (model.name,))[0] for model in registry.models()}
    assert {model: text.split("\n")[0] for model, text in cards().items()} == titles
    assert "12 × slower" in cards()["film"] and "about" not in str(cards())
    timings.remember(timings.name("film-lite", devices.precision_on("CPU", "auto")), "CPU", 192 * 256, 1.0)
    for model, time in (("film-lite", "31 s"), ("rife", "22 s"), ("film", "6 min 12 s")):
        assert f"about {time}" in cards()[model]


def test_frames_that_are_asked_for_are_those_that_differ() -> None:
    assert planning.moments(2, count=shown_count(7, "pingpong"), play="pingpong") == planning.moments(2, count=7)
    assert shown_count(7, "loop") == 7 and shown_count("seven", "pingpong") == "seven"


def test_films_are_named_after_what_they_are_made_of() -> None:
    assert plan.film_name("/x/examples/boats/first.jpg") == "boats-film"
    assert plan.film_name(f"/x/{'a' * 64}/first.jpg") == "first-film"
    assert plan.film_name("/x/IMG 2041 (1).jpeg") == "IMG-2041-1-film"
    assert plan.film_name("/x/???.jpg") == "film"


def test_every_refusal_that_can_be_solved_has_its_button() -> None:
    official = OutputOptions("film", "CPU")
    deep = OutputOptions("film-lite", "CPU", format="gif", depth_bits=10)
    pair = ["a.jpg", "b.jpg"]
    offline, bits = RuntimeError("no connection"), ValueError("A .gif holds 8 bits a channel")
    for error, asked, stage, label in (
        (QueueFull("Busy"), PhotoRequest(pair, OPTIONS), "", "Try again"),
        (ValueError("Choose two photos"), PhotoRequest([None, None], OPTIONS), "", "Take an example"),
        (ValueError("Choose a video first."), VideoRequest(None, OPTIONS), "", "Take the sample clip"),
        (offline, PhotoRequest(pair, official), "downloading", "Make it with Quick"),
        (bits, PhotoRequest(pair, deep), "", "Make it in 8 bits"),
    ):
        assert f">{label}<" in updates.remedy(error, asked, stage)
    assert not updates.remedy(offline, PhotoRequest(pair, OPTIONS), "interpolating")
    assert not updates.remedy(ValueError("anything"), None, "")


def test_what_was_streamed_before_a_stop_is_a_film(storage: Storage, tmp_path: Path) -> None:
    with Encoding(Fraction(8)).encoder(tmp_path, 0, 32) as encoder:
        written = [encoder.write(np.float32(picture) / 255) for picture in pan(32)]
    segments = [(segment.path.read_bytes(), segment.count) for segment in written if segment]
    assert len(segments) > 2
    made = segments[: len(segments) // 2]
    path = exports.joined([data for data, _ in made], storage)
    assert storage.keeps(str(path))
    looked = video_reader.read_metadata(path)
    assert looked.fps == 8 and looked.seconds == pytest.approx(sum(count for _, count in made) / 8, abs=0.05)
