"""Whoever sees little, or has no mouse: axe finds no serious fault in either theme, and the keyboard makes a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import choose, click, create, expect_text, needs_chromium, set_depth, upload, visiting
from tests.support.serving import Server, photos

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

pytestmark = [pytest.mark.server, pytest.mark.browser, needs_chromium]

SERIOUS = {"serious", "critical"}
MOST_TABS = 80  # presses until what is looked for has the focus


def faults(page: Any) -> list[str]:
    """What axe calls serious, and where."""
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:200]}"
        for fault in found
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(server: Server, browser: Any, tmp_path: Path, scheme: str) -> None:
    with visiting(server, browser, color_scheme=scheme) as page:
        page.get_by_text("More choices").click()
        click(page, "Create")
        expect_text(page, "[role=alert]", "Choose two photos")
        assert faults(page) == []
        choose(page, "kind", "Video")
        click(page, "No video at hand? Take this clip.")
        expect_text(page, "#state", "Press Create")
        assert faults(page) == []
        choose(page, "kind", "Many photos")
        click(page, "No photos at hand? Take this burst.")
        page.wait_for_selector("#sheet li")
        assert faults(page) == []
        choose(page, "kind", "Two photos")
        upload(page, *photos(tmp_path, 64, 96))
        set_depth(page, 2)
        create(page, "made by")
        page.wait_for_selector("#views")
        assert faults(page) == []


def tab_to(page: Any, name: str) -> None:
    """Go on with the Tab key to a control with that name or text."""
    focused = "() => { const e = document.activeElement; return e.getAttribute('aria-label') || e.innerText || '' }"
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if name in page.evaluate(focused):
            return
    raise AssertionError(f"{MOST_TABS} presses of Tab do not lead to {name}")


def test_the_keyboard_alone_makes_a_film(page: Any) -> None:
    tab_to(page, "Take example pair 1")
    page.keyboard.press("Enter")
    expect_text(page, "#state", "Press Create")
    tab_to(page, "number input for Depth")
    page.keyboard.press("Control+a")
    page.keyboard.type("1")
    tab_to(page, "Create")
    page.keyboard.press("Enter")
    expect_text(page, "#state", "3 frames each way")
    tab_to(page, "Side by side")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('#screen').dataset.mode == 'sides'")
    tab_to(page, "Download")
    with page.expect_download():
        page.keyboard.press("Enter")
