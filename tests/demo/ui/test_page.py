"""The page in a real browser, by clicking: the film plays while it is made, Stop stops, bad photos are refused."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from film.engine import devices, timings
from tests.support.browsing import (
    choose,
    click,
    create,
    downloaded,
    expect_motion,
    expect_text,
    needs_chromium,
    set_depth,
    set_number,
    sync_api,
    upload,
    visiting,
)
from tests.support.clips import decoded
from tests.support.serving import LOSSY, Server, difference, long_pair, photos, serve

pytestmark = [pytest.mark.server, pytest.mark.browser, needs_chromium]

GETTING_SMOOTHER = re.compile(r"Playing \d+ of 257 frames, getting smoother")


def wrong_photo(folder: Path) -> Path:
    text = folder / "notes.jpg"
    text.write_text("This is no photo.")
    return text


def test_the_film_plays_while_it_is_made_until_it_is_stopped(server: Server, page: Any, tmp_path: Path) -> None:
    def create_long() -> None:
        # Coarse to fine is what takes longer to make than to play: on a fast machine, too.
        timings.remember(timings.name("film-lite", devices.precision_on("CPU", "auto")), "CPU", 768 * 1024, 10.0)
        set_depth(page, 8)
        click(page, "Create")
        expect_text(page, "#preview .chip", GETTING_SMOOTHER)

    upload(page, *long_pair(tmp_path))
    with server.stopping():
        create_long()
        expect_motion(page)
        assert re.search(r"Frame \d+ of 257", page.inner_text("#state"))
        click(page, "Stop")
        expect_text(page, "#state", "frames that were made can be downloaded")
        assert len(decoded(downloaded(page, tmp_path / "stopped.mp4"))) >= 4
        sync_api.expect(page.locator("#create")).to_have_text("Continue")
    assert "made frame 257" not in server.log()
    assert "can be downloaded" in page.inner_text("#state")  # what ends later does not take it back

    set_depth(page, 1)  # another film does not go on from that one
    create(page, "3 frames each way, forth and back, 1024 × 768")

    with server.stopping():
        create_long()  # what is made shows, and not the film before
        assert page.locator("#screen").get_attribute("data-mode") == "making"
        page.set_input_files("#last input[type=file]", wrong_photo(tmp_path))  # why it is not taken; and it goes on
        expect_text(page, "#refused [role=alert]", "notes.jpg is not an image")
        expect_text(page, "#preview .chip", "A film of something else is being made.")
        before = page.inner_text("#state")
        page.wait_for_function("(before) => document.querySelector('#state').innerText != before", arg=before)
        assert "notes.jpg is not an image" in page.inner_text("#refused")
        page.goto("about:blank")  # who leaves stops the computing


def test_the_whole_film_plays_and_is_compared_and_downloaded(page: Any, tmp_path: Path) -> None:
    first, last = photos(tmp_path, 64, 96)
    upload(page, first, last)
    set_depth(page, 6)
    create(page, "made by film-lite on CPU")
    assert "65 frames each way, forth and back, 96 × 64, 8.5 s" in page.inner_text("#state")
    frames = decoded(downloaded(page, tmp_path / "film.mp4"))
    assert frames.shape == (128, 64, 96, 3)
    assert difference(frames[0], first) < LOSSY and difference(frames[64], last) < LOSSY
    page.wait_for_function(
        "() => { const v = document.querySelector('#film video'); return v.src.endsWith('.mp4') && v.currentTime > 0 }"
    )
    assert page.evaluate("document.querySelector('#film video').duration") == pytest.approx(128 / 15, abs=0.01)
    for name, mode in (("Side by side", "sides"), ("Cross-fade", "fade"), ("Film", "film")):
        click(page, name)
        page.wait_for_function(f"() => document.querySelector('#screen').dataset.mode == '{mode}'")
        assert page.locator("#preview canvas").is_visible() == (mode != "film")
    click(page, "GIF")
    expect_text(page, "#download", "Download GIF")
    assert Image.open(downloaded(page, tmp_path / "film.gif")).n_frames == 128  # type: ignore[attr-defined]


def test_the_page_tells_the_line_and_what_the_machine_is_doing(browser: Any, tmp_path: Path) -> None:
    pair = long_pair(tmp_path)
    with serve(tmp_path, FILM_MAX_RUNNING="1", FILM_MAX_WAITING="1") as server, ExitStack() as visits:
        pages = [visits.enter_context(visiting(server, browser)) for _ in range(3)]
        for page in pages:
            upload(page, *pair)
        first, second, third = pages
        set_depth(first, 8)
        click(first, "Create")
        expect_text(first, "#state", re.compile(r"Frame \d+ of 257"))
        click(second, "Create")
        expect_text(second, "#state", "Place 1 in the line")
        expect_text(third, "#machine", "1 film in the making, 1 waiting")
        click(third, "Create")
        expect_text(third, "[role=alert]", "Busy: 1 film is being made here and 1 visitor waits")
        click(second, "Stop")
        expect_text(second, "#state", "Stopped")
        expect_text(third, "#machine", "1 film in the making, nobody waiting")
        click(third, "Create")
        expect_text(third, "#state", "Place 1 in the line")
        first.close()  # who leaves makes room
        expect_text(third, "#state", re.compile(r"Frame \d+ of 33"))


def test_what_is_missing_or_wrong_is_told_and_solved(page: Any, tmp_path: Path) -> None:
    page.wait_for_function("() => document.querySelector('#screen').dataset.mode == 'empty'")
    expect_motion(page)  # an example shows what there will be
    click(page, "Create")
    expect_text(page, "[role=alert]", "Choose two photos")
    click(page, "Take an example")
    for name in ("first", "last"):
        page.wait_for_function(f"() => document.querySelector('#{name} img')?.naturalWidth > 0")
    expect_text(page, "#plan", "31 calls of the model")
    expect_text(page, "#state", "Press Create")
    page.wait_for_function("() => document.querySelector('#screen').dataset.mode == 'waiting'")
    expect_motion(page)  # the photos fade into each other
    page.set_input_files("#first input[type=file]", wrong_photo(tmp_path))
    expect_text(page, "#refused [role=alert]", "notes.jpg is not an image")
    expect_text(page, "#state", "Choose two photos, then press Create")
    click(page, "Take example pair 2")
    page.wait_for_selector("#refused", state="detached")
    expect_text(page, "#state", "Press Create to make the film")


def test_the_plan_follows_the_choices_and_photos_are_made_to_fit(page: Any, cache: str, tmp_path: Path) -> None:
    # Other tests have converted what stands for the official model.
    Path(cache, "fingerprints.json").unlink(missing_ok=True)
    set_depth(page, 3)
    expect_text(page, "#plan", "9 frames each way, forth and back, 1.1 s at 15 frames a second")
    page.get_by_text("More choices").click()
    set_number(page, "Frames per second", 30, "9 frames each way, forth and back, 0.5 s at 30 frames a second")
    expect_text(page, "#model", re.compile(r"Best\s.*134 MB once", re.DOTALL))
    for name in ("Best", "Quick"):
        page.locator("#model label").get_by_text(name).click()
        sync_api.expect(page.locator("#model label.selected")).to_contain_text(name)

    heic = tmp_path / "photo.heic"
    pillow_heif.from_pillow(Image.open(photos(tmp_path, 64, 96)[0])).save(heic, quality=95)
    upload(page, heic, photos(tmp_path, 96, 64, seed=1)[1])
    page.wait_for_function("() => document.querySelector('#first img')?.naturalWidth == 96")  # a JPEG
    set_depth(page, 1)
    create(page, "made by")
    expect_text(page, "#state", "both are cropped")


def test_everything_has_its_place_and_create_is_seen(page: Any) -> None:
    """On a phone Create is a bar at the window's lower edge; on a laptop it covers nothing, whatever was chosen."""
    outside = """() => ["body", "#top", "#setup", "#length", "#cinema", "#actions"].flatMap((place) => {
        const box = document.querySelector(place).getBoundingClientRect();
        const bar = document.querySelector("#actions");
        const floats = place === "#setup" && getComputedStyle(bar).position === "fixed";
        return [...document.querySelectorAll(`${place} *`)].filter((part) => {
            if (floats && bar.contains(part)) return false;
            const { left, right, width } = part.getBoundingClientRect();
            return part.checkVisibility() && width > 2 && (left < box.left - 1 || right > box.right + 1);
        }).map((part) => `${place} ${part.className}`);
    })"""
    seen = """() => {
        const box = (place) => document.querySelector(place).getBoundingClientRect();
        return [box("#create").bottom <= innerHeight, box("#machinery").bottom <= box("#actions").top];
    }"""
    for kind, place, sample, chosen in (
        ("Two photos", "#first", "#examples button", "#last img"),
        ("Many photos", "#many", "#burst", "#sheet li"),
        ("Video", "#clip", "#sample", "#trim"),
    ):
        choose(page, "kind", kind)
        page.wait_for_selector(place)
        for width in (320, 390, 800, 1024, 1280, 1440, 1366):
            page.set_viewport_size({"width": width, "height": 768})
            assert page.evaluate(outside) == [], f"{kind}, {width} pixels wide"
            assert page.evaluate(seen)[0], f"{kind}, {width} pixels wide"
        assert page.evaluate(seen) == [True, True], kind
        page.locator(sample).first.click()
        page.wait_for_selector(chosen)
        expect_text(page, "#plan", "calls of the model")
        assert page.evaluate(seen) == [True, True], f"{kind}, chosen"
        page.set_viewport_size({"width": 1366, "height": 600})  # lower: it stays in sight, over what is above it
        assert page.evaluate(seen)[0], f"{kind}, a low window"
