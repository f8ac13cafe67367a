"""Hubs that fall silent, dawdle or hang up, and modules that are damaged: one clear message, and nothing half-done.

A hub that is out of reach, and one that answers with a page: test_registry.py.
"""

import functools
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import film
from film.hub import download, registry
from tests.conftest import SMALL_FILM, moved, one_line
from tests.film.hub.test_convert import garble
from tests.support.hub_server import Server

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


# How a hub serves a module, after so many bytes, and what is told of that.
PACES: list[tuple[Callable[[Server, int], object], str]] = [
    (lambda hub, sent: hub.closing.wait(20), "nothing came for 2 s"),
    (lambda hub, sent: sent >= 200_000 and hub.closing.wait(20), "nothing came for 2 s"),
    (lambda hub, sent: time.sleep(0.5), r"not complete after 6 s \(FILM_DOWNLOAD_SECONDS\)"),  # it would take a minute
    (lambda hub, sent: True, "the connection ended early, after 0 bytes"),
    (lambda hub, sent: sent > 300_000, r"the connection ended early, after \d+ bytes of \d+"),
]


@pytest.mark.parametrize(("pace", "message"), PACES)
def test_a_hub_that_falls_silent_dawdles_or_hangs_up(
    hub: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pace: Callable[[Server, int], object], message: str
) -> None:
    """Nothing is kept, and what a killed download of TensorFlow Hub's own left, its lock, is not waited for."""
    monkeypatch.setattr(download, "SILENCE", 2)
    monkeypatch.setenv("FILM_DOWNLOAD_SECONDS", "6")
    directory = tmp_path / "hub" / hashlib.sha1(hub.url.encode()).hexdigest()
    directory.parent.mkdir()
    directory.with_name(f"{directory.name}.lock").write_text("elsewhere.1.0123456789abcdef")
    model, hub.pace = registry.find(hub.url), functools.partial(pace, hub)
    with pytest.raises(RuntimeError, match=f"could not be downloaded from .*{message}.*film-lite") as raised:
        registry.fetch(model)
    assert one_line(raised.value)
    assert registry.downloaded(model) is None and not list(directory.parent.rglob("*.pb"))
    hub.pace = lambda sent: None
    monkeypatch.delenv("FILM_DOWNLOAD_SECONDS")
    assert (registry.fetch(model) / "saved_model.pb").is_file()


@pytest.mark.parametrize("setting", ["0", "-1", "soon", "nan", "inf"])
def test_an_unusable_time_limit_is_refused(hub: Server, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("FILM_DOWNLOAD_SECONDS", setting)
    with pytest.raises(ValueError, match=f"FILM_DOWNLOAD_SECONDS is '{setting}'"):
        registry.fetch(registry.find(hub.url))


DATA = "variables/variables.data-00000-of-00001"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "variables cut": lambda module: os.truncate(module / DATA, 100_000),
    "variables changed": lambda module: garble(module / DATA),
    "variables missing": lambda module: (module / DATA).unlink(),
    "index missing": lambda module: (module / "variables/variables.index").unlink(),
    "graph garbage": lambda module: (module / "saved_model.pb").write_bytes(b"<html>"),
    "graph cut": lambda module: os.truncate(module / "saved_model.pb", 10_000),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_module_is_downloaded_again(hub: Server, damage: Callable[[Path], object]) -> None:
    model = registry.find(hub.url)
    module = registry.fetch(model)
    damage(module)
    hub.pace = lambda sent: True
    with pytest.raises(RuntimeError, match="could not be downloaded"):  # offline
        registry.fetch(model)
    hub.pace = lambda sent: None
    assert registry.fetch(model) == module
    for file in SMALL_FILM.rglob("*.*"):
        assert (module / file.relative_to(SMALL_FILM)).read_bytes() == file.read_bytes()


def test_a_model_converted_before_its_module_was_damaged_is_used(hub: Server, small_film: film.Film) -> None:
    model = registry.find(hub.url)
    module = registry.fetch(model)
    a, b = moved(64, 64)
    expected = film.load(hub.url).middle(a, b)  # converted already, for film-lite
    DAMAGES["variables cut"](module)
    asked = len(hub.requests)
    np.testing.assert_array_equal(film.load(hub.url).middle(a, b), expected)
    assert len(hub.requests) == asked
