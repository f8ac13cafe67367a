"""How soon something new moves on the page after Create, and how long it stands still at most until the film is done.

Start `python app.py`, then: python -m benchmarks.page_motion [--example boats] [--depth 5] [--model Quick] [--side 512]

With --cold that is the first film of a server with an empty cache (FILM_CACHE), up for 20 s. Measured in Chromium:
what the stage shows (its drawing, or the player) is looked at with every frame of the browser. The photos get a little
noise, so that nothing is found that was made before; a short film first warms the model up, but for --cold.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from demo.app import example_pairs

TIMEOUT = 30 * 60 * 1000  # ms
# When the strip has a frame that is no photo, and between which moments the picture did not change.
WATCH = """() => {
  const small = Object.assign(document.createElement("canvas"), { width: 32, height: 18 });
  const context = small.getContext("2d", { willReadFrequently: true });
  const seen = (window.seen = { begun: performance.now(), fresh: null, still: 0, stillAt: 0, frames: 0 });
  let [last, since] = ["", performance.now()];
  const look = (now) => {
    const drawing = document.querySelector("#preview canvas");
    context.drawImage(drawing.hidden ? document.querySelector("#film video") : drawing, 0, 0, 32, 18);
    const picture = context.getImageData(0, 0, 32, 18).data.join();
    if (picture !== last) [last, since, seen.frames] = [picture, now, seen.frames + 1];
    if (now - since > seen.still) [seen.still, seen.stillAt] = [now - since, now - seen.begun];
    const fresh = /Playing/.test(document.querySelector("#preview .chip").textContent) || drawing.hidden;
    if (seen.fresh === null && fresh) seen.fresh = now - seen.begun;
    if (!seen.ended) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def noisy(photo: str, folder: Path) -> Path:
    """A copy that differs in the last bit."""
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    noise = np.random.default_rng().integers(0, 2, pixels.shape, np.uint8)
    path = folder / f"{Path(photo).stem}.png"
    Image.fromarray(pixels ^ noise).save(path)
    return path


def upload(page: Any, pair: tuple[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for place, photo in zip(("first", "last"), pair, strict=True):
            page.set_input_files(f"#{place} input[type=file]", noisy(photo, Path(folder)))
            page.wait_for_function(f"() => document.querySelector('#{place} img')?.naturalWidth > 0")


def make(page: Any, depth: int) -> None:
    frames = 2**depth + 1
    box = page.get_by_label("number input for Depth", exact=True)
    box.fill(str(depth))
    box.press("Tab")
    expect(page.locator("#plan")).to_contain_text(f"{frames} frames")
    page.evaluate(WATCH)
    page.locator("#create").click()
    expect(page.locator("#state")).to_contain_text(re.compile(rf"{frames} frames each way.*made by", re.DOTALL))


def main() -> None:
    pairs = {Path(first).parent.name: (first, last) for first, last in example_pairs()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--example", default="boats", choices=pairs)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--model", default="Quick", help="as its card is called")
    parser.add_argument("--side", type=int, help="the longest side, of those that the page offers")
    parser.add_argument("--cold", action="store_true", help="without a short film before")
    options = parser.parse_args()
    pair = pairs[options.example]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(TIMEOUT)
        expect.set_options(timeout=TIMEOUT)
        for depth in (options.depth,) if options.cold else (1, options.depth):
            page.goto(options.url)
            expect(page.locator("#plan")).to_contain_text("33 frames")
            page.locator("#model label").get_by_text(options.model).click()
            if options.side:
                page.get_by_role("combobox", name="Longest side").click()
                page.get_by_role("option", name=f"{options.side} pixels", exact=True).click()
            upload(page, pair)
            make(page, depth)
        page.evaluate("() => { seen.ended = true }")
        seen = page.evaluate("() => seen")
        print(page.inner_text("#state"))
        print(
            f"something new after {seen['fresh'] / 1000:.1f} s; stood still for {seen['still'] / 1000:.2f} s at most,"
            f" at {seen['stillAt'] / 1000:.1f} s"
        )
        browser.close()


if __name__ == "__main__":
    main()
