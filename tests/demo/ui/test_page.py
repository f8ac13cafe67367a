"""The page in a real browser, by clicking: the film plays while it is made, Stop stops, bad photos are refused."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from film.engine import devices, timings
from tests.support.browsing import Visit, needs_chromium, sync_api, visiting
from tests.support.clips import decoded
from tests.support.serving import LOSSY, Server, difference, long_pair, photos, serve

pytestmark = [pytest.mark.server, pytest.mark.browser, needs_chromium]


def wrong_photo(folder: Path) -> Path:
    text = folder / "notes.jpg"
    text.write_text("This is no photo.")
    return text


def test_the_film_plays_while_it_is_made_until_it_is_stopped(server: Server, page: Visit, tmp_path: Path) -> None:
    def create_long() -> None:
        # Coarse to fine is what takes longer to make than to play: on a fast machine, too.
        timings.remember(timings.name("film-lite", devices.precision_on("CPU", "auto")), "CPU", 768 * 1024, 10.0)
        page.set_depth(8)
        page.click("Create")
        page.expect_text("#preview .chip", re.compile(r"Playing \d+ of 257 frames, getting smoother"))

    page.upload(*long_pair(tmp_path))
    with server.stopping():
        create_long()
        page.expect_motion()
        assert re.search(r"Frame \d+ of 257", page.inner_text("#state"))
        page.click("Stop")
        page.expect_text("#state", "frames that were made can be downloaded")
        assert len(decoded(page.downloaded(tmp_path / "stopped.mp4"))) >= 4
        sync_api.expect(page.locator("#create")).to_have_text("Continue")
    assert "made frame 257" not in server.log()
    assert "can be downloaded" in page.inner_text("#state")  # what ends later does not take it back

    page.set_depth(1)  # another film does not go on from that one
    page.create("3 frames each way, forth and back, 1024 × 768")

    with server.stopping():
        create_long()  # what is made shows, and not the film before
        assert page.locator("#screen").get_attribute("data-mode") == "making"
        page.set_input_files("#last input[type=file]", wrong_photo(tmp_path))  # why it is not taken; and it goes on
        page.expect_text("#refused [role=alert]", "notes.jpg is not an image")
        page.expect_text("#preview .chip", "A film of something else is being made.")
        before = page.inner_text("#state")
        page.wait_for_function("(before) => document.querySelector('#state').innerText != before", arg=before)
        assert "notes.jpg is not an image" in page.inner_text("#refused")
        page.goto("about:blank")  # who leaves stops the computing


def test_the_whole_film_plays_and_is_compared_and_downloaded(page: Visit, tmp_path: Path) -> None:
    first, last = photos(tmp_path, 64, 96)
    page.upload(first, last)
    page.set_depth(6)
    page.create("made by film-lite on CPU")
    assert "65 frames each way, forth and back, 96 × 64, 8.5 s" in page.inner_text("#state")
    frames = decoded(page.downloaded(tmp_path / "film.mp4"))
    assert frames.shape == (128, 64, 96, 3)
    assert difference(frames[0], first) < LOSSY and difference(frames[64], last) < LOSSY
    page.wait_for_function(
        "() => { const v = document.querySelector('#film video'); return v.src.endsWith('.mp4') && v.currentTime > 0 }"
    )
    assert page.evaluate("document.querySelector('#film video').duration") == pytest.approx(128 / 15, abs=0.01)
    for name, mode in (("Side by side", "sides"), ("Cross-fade", "fade"), ("Film", "film")):
        page.click(name)
        page.wait_for_function(f"() => document.querySelector('#screen').dataset.mode == '{mode}'")
        assert page.locator("#preview canvas").is_visible() == (mode != "film")
    page.click("GIF")
    page.expect_text("#download", "Download GIF")
    assert Image.open(page.downloaded(tmp_path / "film.gif")).n_frames == 128  # type: ignore[attr-defined]


def test_the_page_tells_the_line_and_what_the_machine_is_doing(browser: Any, tmp_path: Path) -> None:
    pair = long_pair(tmp_path)
    with serve(tmp_path, FILM_MAX_RUNNING="1", FILM_MAX_WAITING="1") as server, ExitStack() as visits:
        pages = [visits.enter_context(visiting(server, browser)) for _ in range(3)]
        for page in pages:
            page.upload(*pair)
        first, second, third = pages
        first.set_depth(8)
        first.click("Create")
        first.expect_text("#state", re.compile(r"Frame \d+ of 257"))
        second.click("Create")
        second.expect_text("#state", "Place 1 in the line")
        third.expect_text("#machine", "1 film in the making, 1 waiting")
        third.click("Create")
        third.expect_text("[role=alert]", "Busy: 1 film is being made here and 1 visitor waits")
        second.click("Stop")
        second.expect_text("#state", "Stopped")
        third.expect_text("#machine", "1 film in the making, nobody waiting")
        third.click("Create")
        third.expect_text("#state", "Place 1 in the line")
        first.close()  # who leaves makes room
        third.expect_text("#state", re.compile(r"Frame \d+ of 33"))


def test_what_is_missing_or_wrong_is_told_and_solved(page: Visit, tmp_path: Path) -> None:
    page.wait_for_function("() => document.querySelector('#screen').dataset.mode == 'empty'")
    page.expect_motion()  # an example shows what there will be
    page.click("Create")
    page.expect_text("[role=alert]", "Choose two photos")
    page.click("Take an example")
    for name in ("first", "last"):
        page.wait_for_function(f"() => document.querySelector('#{name} img')?.naturalWidth > 0")
    page.expect_text("#plan", "31 calls of the model")
    page.expect_text("#state", "Press Create")
    page.wait_for_function("() => document.querySelector('#screen').dataset.mode == 'waiting'")
    page.expect_motion()  # the photos fade into each other
    page.set_input_files("#first input[type=file]", wrong_photo(tmp_path))
    page.expect_text("#refused [role=alert]", "notes.jpg is not an image")
    page.expect_text("#state", "Choose two photos, then press Create")
    page.click("Take example pair 2")
    page.wait_for_selector("#refused", state="detached")
    page.expect_text("#state", "Press Create to make the film")


def test_the_plan_follows_the_choices_and_photos_are_made_to_fit(page: Visit, cache: str, tmp_path: Path) -> None:
    # Other tests have converted what stands for the official model.
    Path(cache, "fingerprints.json").unlink(missing_ok=True)
    page.set_depth(3)
    page.expect_text("#plan", "9 frames each way, forth and back, 1.1 s at 15 frames a second")
    page.get_by_text("More choices").click()
    page.set_number("Frames per second", 30, "9 frames each way, forth and back, 0.5 s at 30 frames a second")
    page.expect_text("#model", re.compile(r"Best\s.*134 MB once", re.DOTALL))
    for name in ("Best", "Quick"):
        page.locator("#model label").get_by_text(name).click()
        sync_api.expect(page.locator("#model label.selected")).to_contain_text(name)

    heic = tmp_path / "photo.heic"
    pillow_heif.from_pillow(Image.open(photos(tmp_path, 64, 96)[0])).save(heic, quality=95)
    page.upload(heic, photos(tmp_path, 96, 64, seed=1)[1])
    page.wait_for_function("() => document.querySelector('#first img')?.naturalWidth == 96")  # a JPEG
    page.set_depth(1)
    page.create("made by")
    page.expect_text("#state", "both are cropped")


def test_everything_has_its_place_and_create_is_seen(page: Visit) -> None:
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
        page.choose("kind", kind)
        page.wait_for_selector(place)
        for width in (320, 390, 800, 1024, 1280, 1440, 1366):
            page.set_viewport_size({"width": width, "height": 768})
            assert page.evaluate(outside) == [], f"{kind}, {width} pixels wide"
            assert page.evaluate(seen)[0], f"{kind}, {width} pixels wide"
        assert page.evaluate(seen) == [True, True], kind
        page.locator(sample).first.click()
        page.wait_for_selector(chosen)
        page.expect_text("#plan", "calls of the model")
        assert page.evaluate(seen) == [True, True], f"{kind}, chosen"
        page.set_viewport_size({"width": 1366, "height": 600})  # lower: it stays in sight, over what is above it
        assert page.evaluate(seen)[0], f"{kind}, a low window"
