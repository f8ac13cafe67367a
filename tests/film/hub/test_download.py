"""Hubs that fall silent, dawdle or hang up, and modules that are damaged: one clear message, and nothing half-done.

A hub that is out of reach, and one that answers with a page: test_registry.py.
"""

from __future__ import annotations

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
from tests.support.hub_server import Server

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def refused(hub: Server, message: str) -> None:
    """The module cannot be had, in words that match; nothing of it is kept; when the hub has recovered, it can."""
    model = registry.find(hub.url)
    with pytest.raises(RuntimeError, match=f"could not be downloaded from .*{message}.*film-lite") as raised:
        registry.fetch(model)
    assert one_line(raised.value)
    assert registry.downloaded(model) is None and not list(Path(os.environ["TFHUB_CACHE_DIR"]).rglob("*.pb"))
    hub.pace = lambda sent: None
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FILM_DOWNLOAD_SECONDS", raising=False)
        assert (registry.fetch(model) / "saved_model.pb").is_file()


@pytest.mark.parametrize("sent", [0, 200_000])
def test_a_hub_that_falls_silent(hub: Server, monkeypatch: pytest.MonkeyPatch, sent: int) -> None:
    monkeypatch.setattr(download, "SILENCE", 2)
    hub.pace = lambda so_far: hub.closing.wait(20) if so_far >= sent else None
    refused(hub, "nothing came for 2 s")


def test_a_hub_that_dawdles(hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is always something coming, but it would take a minute."""
    monkeypatch.setenv("FILM_DOWNLOAD_SECONDS", "1")
    hub.pace = lambda sent: time.sleep(0.5)
    refused(hub, r"not complete after 1 s \(FILM_DOWNLOAD_SECONDS\)")


def test_a_hub_that_hangs_up(hub: Server) -> None:
    hub.pace = lambda sent: sent > 300_000
    refused(hub, r"the connection ended early, after \d+ bytes of \d+")


def test_a_hub_that_hangs_up_before_it_answers(hub: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a killed download of TensorFlow Hub's own left, its lock above all, is not waited for."""
    hub.pace = lambda sent: True
    directory = tmp_path / "hub" / hashlib.sha1(hub.url.encode()).hexdigest()
    directory.parent.mkdir()
    directory.with_name(f"{directory.name}.lock").write_text("elsewhere.1.0123456789abcdef")
    refused(hub, "the connection ended early, after 0 bytes")


@pytest.mark.parametrize("setting", ["0", "-1", "soon", "nan", "inf"])
def test_an_unusable_time_limit_is_refused(hub: Server, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("FILM_DOWNLOAD_SECONDS", setting)
    with pytest.raises(ValueError, match=f"FILM_DOWNLOAD_SECONDS is '{setting}'"):
        registry.fetch(registry.find(hub.url))


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


DATA = "variables/variables.data-00000-of-00001"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "variables cut": lambda module: os.truncate(module / DATA, 100_000),
    "variables changed": lambda module: flip(module / DATA),
    "variables missing": lambda module: (module / DATA).unlink(),
    "index missing": lambda module: (module / "variables/variables.index").unlink(),
    "graph garbage": lambda module: (module / "saved_model.pb").write_bytes(b"<html>"),
    "graph cut": lambda module: os.truncate(module / "saved_model.pb", 10_000),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_module_is_downloaded_again(
    hub: Server, damage: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
