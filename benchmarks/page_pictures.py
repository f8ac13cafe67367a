"""The pictures of the page in README.md, taken in Chromium: a film that was made, and a video in the making.

Start `python app.py`, then: python -m benchmarks.page_pictures [--example fruit] [--video clip.mp4] [--out docs]

Without --video the picture of a video is not taken.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from demo.app import example_pairs

VIEWS = {"laptop": (1280, 850, 1.25), "phone": (390, 844, 1.5)}  # width, height, pixels per CSS pixel
QUALITY = 72  # of the JPEG files: each stays below 200 kB
PATIENCE = 20 * 60 * 1000  # ms; a film on a slow machine


def main() -> None:
    examples = [Path(first).parent.name for first, *_ in example_pairs()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--example", default="fruit", choices=examples)
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--video", type=Path, help="a video to be seen in slow motion, too")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    place = examples.index(options.example)
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
            page.locator("#examples button").nth(place).click()
            for photo in ("first", "last"):
                page.wait_for_function(f"() => document.querySelector('#{photo} img')?.naturalWidth > 0")
            page.locator("#create").click()
            expect(page.locator("#state")).to_contain_text("made by", timeout=PATIENCE)
            page.wait_for_function("() => document.querySelector('#film video').currentTime > 0.9")
            page.evaluate("() => { document.querySelector('#film video').pause(); window.scrollTo(0, 0) }")
            page.screenshot(path=options.out / f"page-{view}.jpg", quality=QUALITY)
            if options.video and view == "laptop":
                page.locator("#kind").get_by_text("Video", exact=True).click()
                page.set_input_files("#clip input[type=file]", options.video)
                expect(page.locator("#plan")).to_contain_text(" frames, ", timeout=PATIENCE)
                page.locator("#create").click()
                expect(page.locator("#state")).to_contain_text(re.compile(r"Frame [3-9]\d of"), timeout=PATIENCE)
                page.evaluate("() => window.scrollTo(0, 0)")
                page.screenshot(path=options.out / f"page-{view}-video.jpg", quality=QUALITY)
                page.locator("#stop").click()
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
