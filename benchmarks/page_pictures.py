"""Pictures of the page for README.md, taken in Chromium while a film of an example is made and after it.

Start `python app.py`, then: python benchmarks/page_pictures.py [--example fruit] [--video clip.mp4] [--out docs]
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import EXAMPLES, example_pairs

VIEWS = {"laptop": (1280, 850, 1.25), "phone": (390, 844, 1.5)}  # width, height, pixels per CSS pixel
QUALITY = 72  # of the JPEG files: each stays below 200 kB
PATIENCE = 20 * 60 * 1000  # ms; a film on a slow machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--example", default="fruit")
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--video", type=Path, help="a video to be seen in slow motion, too")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    place = [pair[0] for pair in example_pairs()].index(str(EXAMPLES / options.example / "first.jpg"))
    chromium = shutil.which("chromium") or shutil.which("google-chrome")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for view, (width, height, scale) in VIEWS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme=options.scheme
            )
            page.set_default_timeout(PATIENCE)
            page.goto(options.url)
            expect(page.locator("#plan")).to_contain_text("33 frames", timeout=PATIENCE)

            def taken(name: str, view: str = view, page: Page = page) -> None:
                page.screenshot(path=options.out / f"page-{view}{name}.jpg", quality=QUALITY)

            page.locator("#examples button").nth(place).click()
            for photo in ("first", "last"):
                page.wait_for_function(f"() => document.querySelector('#{photo} img')?.naturalWidth > 0")
            page.locator("#create").click()
            expect(page.locator("#state")).to_contain_text(re.compile(r"Frame 2\d of 33"), timeout=PATIENCE)
            taken("-running")
            expect(page.locator("#state")).to_contain_text("made by", timeout=PATIENCE)
            page.wait_for_function("() => document.querySelector('#film video').currentTime > 0.9")
            page.evaluate("() => { document.querySelector('#film video').pause(); window.scrollTo(0, 0) }")
            taken("")
            if view == "laptop":
                page.get_by_text("Compare with a plain cross-fade").click()
                page.wait_for_function("() => document.querySelectorAll('#compare img').length == 2")
                page.locator("#comparing").scroll_into_view_if_needed()
                page.wait_for_timeout(1000)  # ms; the fold opens
                page.locator("#comparing").screenshot(path=options.out / "page-compare.jpg", quality=QUALITY)
            if options.video:
                page.locator("#kind").get_by_text("Video", exact=True).click()
                page.set_input_files("#clip input[type=file]", options.video)
                expect(page.locator("#plan")).to_contain_text("of film", timeout=PATIENCE)
                page.locator("#create").click()
                expect(page.locator("#state")).to_contain_text(re.compile(r"Frame [3-9]\d of"), timeout=PATIENCE)
                page.evaluate("() => window.scrollTo(0, 0)")
                taken("-video")
                page.locator("#stop").click()
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
