"""Pictures of the page for README.md, taken in Chromium while a film of an example is made and after it.

Start `python app.py`, then: python benchmarks/page_pictures.py [--example fruit] [--out docs]
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import EXAMPLES, example_pairs

VIEWS = {"laptop": (1280, 850, 1.5), "phone": (390, 844, 2)}  # width, height, pixels per CSS pixel
PATIENCE = 20 * 60 * 1000  # ms; a film on a slow machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--example", default="fruit")
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
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
            expect(page.locator("#plan")).to_contain_text("33 frames")
            page.locator("#examples button").nth(place).click()
            for photo in ("first", "last"):
                page.wait_for_function(f"() => document.querySelector('#{photo} img')?.naturalWidth > 0")
            page.locator("#create").click()
            expect(page.locator("#state")).to_contain_text(re.compile(r"Frame 2\d of 33"), timeout=PATIENCE)
            page.screenshot(path=options.out / f"page-{view}-running.jpg", quality=88)
            expect(page.locator("#state")).to_contain_text("made by", timeout=PATIENCE)
            page.wait_for_function("() => document.querySelector('#film video').currentTime > 0.9")
            page.evaluate("() => { document.querySelector('#film video').pause(); window.scrollTo(0, 0) }")
            page.screenshot(path=options.out / f"page-{view}.jpg", quality=88)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
