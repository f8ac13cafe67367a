"""Whoever sees little, or has no mouse: axe finds no serious fault in either theme, and the keyboard makes a film."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import Visit, needs_chromium, visiting
from tests.support.serving import Server, photos

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

pytestmark = [pytest.mark.server, pytest.mark.browser, needs_chromium]

MOST_TABS = 80  # presses until what is looked for has the focus


def faults(page: Visit) -> list[str]:
    """What axe calls serious, and where."""
    found = axe.Axe().run(page.page).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [f"{fault['id']}: {node['html'][:200]}" for fault in serious for node in fault["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(server: Server, browser: Any, tmp_path: Path, scheme: str) -> None:
    with visiting(server, browser, color_scheme=scheme) as page:
        page.get_by_text("More choices").click()
        page.click("Create")
        page.expect_text("[role=alert]", "Choose two photos")
        assert faults(page) == []
        page.choose("kind", "Video")
        page.click("No video at hand? Take this clip.")
        page.expect_text("#state", "Press Create")
        assert faults(page) == []
        page.choose("kind", "Many photos")
        page.click("No photos at hand? Take this burst.")
        page.wait_for_selector("#sheet li")
        assert faults(page) == []
        page.choose("kind", "Two photos")
        page.upload(*photos(tmp_path, 64, 96))
        page.set_depth(2)
        page.create("made by")
        page.wait_for_selector("#views")
        assert faults(page) == []


def tab_to(page: Visit, name: str) -> None:
    """Go on with the Tab key to a control with that name or text."""
    own = "e === document.body ? '' : e.getAttribute('aria-label') || e.innerText || ''"  # all is in the body's text
    focused = f"() => {{ const e = document.activeElement; return {own} }}"
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if name in page.evaluate(focused):
            return
    raise AssertionError(f"{MOST_TABS} presses of Tab do not lead to {name}")


def test_the_keyboard_alone_makes_a_film(page: Visit) -> None:
    tab_to(page, "Take example pair 1")
    page.keyboard.press("Enter")
    page.expect_text("#state", "Press Create")
    tab_to(page, "number input for Depth")
    page.keyboard.press("Control+a")
    page.keyboard.type("1")
    tab_to(page, "Create")
    page.keyboard.press("Enter")
    page.expect_text("#state", "3 frames each way")
    tab_to(page, "Side by side")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('#screen').dataset.mode == 'sides'")
    tab_to(page, "Download")
    with page.expect_download():
        page.keyboard.press("Enter")
