"""The page in every state, taken in Chromium: phone, laptop and desktop, light and dark; to be judged, and for docs/.

Start `python app.py`, then: python -m benchmarks.page_pictures [--out pictures] [--views laptop] [--schemes dark]

With --docs the pictures that the documents show are put into docs/ as well.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from demo.app import example_pairs

VIEWS = {"phone": (390, 844, 1.5), "laptop": (1366, 768, 1.0), "desktop": (1920, 1080, 1.0)}  # CSS pixels, scale
SCHEMES = ("light", "dark")
DOCS = {
    "light-laptop-done": "page-laptop",
    "light-laptop-many": "page-laptop-many",
    "light-laptop-video-making": "page-laptop-video",
    "dark-phone-making": "page-phone",
}
FILM = ("done", "sides", "making", "stopped", "video-making")  # states in which a phone shows the film
QUALITY = 80  # of the JPEG files: each stays below 200 kB
TIMEOUT = 20 * 60 * 1000  # ms; a film on a slow machine


def states(page: Any, example: int, making: int) -> Iterator[str]:
    """Lead the page through its states, and name each; the film of the pair `example` is finished, that of `making`
    stopped."""
    expect(page.locator("#plan")).to_contain_text("33 frames")
    page.wait_for_timeout(1500)
    yield "empty"
    page.locator("#create").click()
    expect(page.locator("[role=alert]")).to_contain_text("Choose two photos")
    yield "refused"
    choose_example(page, example)
    yield "photos"
    page.locator("#advanced button").first.click()
    page.wait_for_timeout(500)
    page.locator("#advanced").scroll_into_view_if_needed()
    yield "more"
    page.locator("#advanced button").first.click()
    page.locator("#create").click()
    expect(page.locator("#state")).to_contain_text("made by")
    page.wait_for_function("() => document.querySelector('#film video').currentTime > 0.9")
    page.evaluate("() => document.querySelector('#film video').pause()")
    yield "done"
    page.get_by_role("button", name="Side by side").click()
    page.wait_for_timeout(500)
    yield "sides"
    choose_example(page, making)
    yield "stale"
    page.locator("#create").click()
    expect(page.locator("#preview .chip")).to_contain_text(re.compile("Playing [5-9]|Playing [1-3][0-9]"))
    yield "making"
    page.locator("#stop").click()
    expect(page.locator("#state")).to_contain_text("can be downloaded")
    yield "stopped"
    page.reload()
    expect(page.locator("#plan")).to_contain_text("33 frames")
    page.locator("#kind").get_by_text("Many photos", exact=True).click()
    yield "many-empty"
    page.locator("#burst").click()
    expect(page.locator("#sheet img")).to_have_count(5)
    expect(page.locator("#state")).not_to_contain_text("Choose")
    page.wait_for_timeout(1000)
    yield "many"
    page.locator("#kind").get_by_text("Video", exact=True).click()
    page.locator("#sample").click()
    page.wait_for_function("() => document.querySelector('#clip video')?.readyState > 1")
    page.wait_for_timeout(1500)
    yield "video"
    page.locator("#create").click()
    expect(page.locator("#state")).to_contain_text(re.compile("Frame ([2-9][0-9]|1[0-9]+) of|made by"))
    page.wait_for_timeout(1000)
    yield "video-making"
    if page.locator("#stop").is_visible():
        page.locator("#stop").click()


def choose_example(page: Any, number: int) -> None:
    page.locator("#examples button").nth(number).click()
    for photo in ("first", "last"):
        page.wait_for_function(f"() => document.querySelector('#{photo} img')?.naturalWidth > 0")
    expect(page.locator("#plan")).to_contain_text("about")
    page.wait_for_timeout(1000)


def main() -> None:
    examples = [Path(first).parent.name for first, *_ in example_pairs()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--example", default="fruit", choices=examples, help="the pair whose film is finished")
    parser.add_argument("--making", default="boats", choices=examples, help="the pair whose film is stopped")
    parser.add_argument("--views", nargs="+", default=list(VIEWS), choices=VIEWS)
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES), choices=SCHEMES)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--docs", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for view in options.views:
            for scheme in options.schemes:
                width, height, scale = VIEWS[view]
                page = browser.new_page(
                    viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme=scheme
                )
                page.set_default_timeout(TIMEOUT)
                expect.set_options(timeout=TIMEOUT)
                page.goto(options.url)
                for state in states(page, examples.index(options.example), examples.index(options.making)):
                    name = f"{scheme}-{view}-{state}"
                    place = "#stage" if view == "phone" and state in FILM else "body"
                    if state != "more":
                        page.evaluate(f"() => document.querySelector('{place}').scrollIntoView()")
                    picture = page.screenshot(type="jpeg", quality=QUALITY)
                    (options.out / f"{name}.jpg").write_bytes(picture)
                    if options.docs and name in DOCS:
                        Path("docs", f"{DOCS[name]}.jpg").write_bytes(picture)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
