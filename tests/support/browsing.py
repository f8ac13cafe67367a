"""The page in a real Chromium: how tests open it, fill it in and read it."""

from __future__ import annotations

import mimetypes
import re
import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import TIMEOUT, Server

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser."""
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visit:
    """What a visitor does on the page; all else is Playwright's."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def upload(self, first: Path, last: Path) -> None:
        for name, path in (("first", first), ("last", last)):
            self.set_input_files(f"#{name} input[type=file]", path)
            self.wait_for_selector(f"#{name} img")

    def drop(self, selector: str, *files: Path) -> None:
        """Drop files onto a part of the page, as from a folder's window."""
        script = """([place, files]) => {
            const dataTransfer = new DataTransfer();
            for (const [name, type, data] of files) {
                const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
                dataTransfer.items.add(new File([bytes], name, { type }));
            }
            for (const kind of ["dragenter", "dragover", "drop"])
                place.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
        }"""
        sent = [
            [file.name, mimetypes.guess_type(file)[0] or "", b64encode(file.read_bytes()).decode()] for file in files
        ]
        self.evaluate(script, [self.query_selector(selector), sent])

    def choose(self, group: str, text: str) -> None:
        """Click one of a row of buttons."""
        self.locator(f"#{group} label").get_by_text(text, exact=True).click()

    def select(self, label: str, text: str) -> None:
        """Take an entry of a dropdown."""
        self.get_by_role("combobox", name=label).click()
        self.get_by_role("option", name=text, exact=True).click()

    def set_number(self, label: str, value: float, plan: str) -> None:
        """Type a number and see the plan follow; typed again where a busy machine's page was not listening yet."""
        box = self.get_by_label(f"number input for {label}", exact=True).locator("visible=true")
        for attempt in range(6):
            box.fill(str(value))
            self.keyboard.press("Tab")
            try:
                return sync_api.expect(self.locator("#plan")).to_contain_text(plan, timeout=TIMEOUT * 1000 / 6)
            except AssertionError:
                if attempt == 5:
                    raise
                box.fill(str(value + 1))

    def set_depth(self, depth: int, frames: int | None = None) -> None:
        self.set_number("Depth", depth, f"{frames or 2**depth + 1} frames")

    def click(self, button: str) -> None:
        self.get_by_role("button", name=button, exact=True).click()

    def create(self, told: str | re.Pattern[str]) -> None:
        """Press Create, and wait until that is told of the film."""
        self.click("Create")
        self.expect_text("#state", told)

    def expect_text(self, selector: str, text: str | re.Pattern[str]) -> None:
        sync_api.expect(self.locator(selector)).to_contain_text(text, timeout=TIMEOUT * 1000)

    def downloaded(self, path: Path) -> Path:
        with self.expect_download() as download:
            self.locator("#download").click()
        download.value.save_as(path)
        return path

    def expect_motion(self) -> None:
        """Wait until the stage draws something else than now."""
        drawn = "document.querySelector('#preview canvas').toDataURL('image/jpeg', 0.5)"
        self.wait_for_function(f"(before) => {drawn} !== before", arg=self.evaluate(drawn))


@contextmanager
def visiting(server: Server, browser: Any, **settings: Any) -> Iterator[Visit]:
    """The page in a context of such settings, ready to be clicked; at the end it has asked no other host for files."""
    context = browser.new_context(**settings)
    context.set_default_timeout(TIMEOUT * 1000)
    page = Visit(context.new_page())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    page.expect_text("#plan", "33 frames")
    yield page
    context.close()
    assert [url for url in asked if not url.startswith((server.url, "blob:", "data:"))] == []
