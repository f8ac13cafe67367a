"""Folders for work in progress: one that was killed is cleared away after, one that lives keeps its own."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from film.support import tempdirs
from tests.conftest import ROOT
from tests.support.serving import TIMEOUT, wait_until


@pytest.mark.slow
def test_what_a_killed_server_left_is_deleted_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    code = """
import os
from film.support import tempdirs
with tempdirs.folder(prefix="film-page-") as folder:
    print(folder, flush=True)
    os._exit(9)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    assert killed.returncode == 9 and left.is_dir()
    (tmp_path / "film-page-notes").mkdir()  # a user's own: it has no lock
    (elsewhere := tmp_path / "films").mkdir()
    with tempdirs.folder(elsewhere, "film-page-") as first:  # a program that works beside its film
        assert not left.exists()
        with tempdirs.folder(prefix="film-page-") as second, tempdirs.folder(prefix="film-page-") as third:
            assert first.is_dir() and second.is_dir() and third.is_dir()  # one that lives keeps its own
    assert sorted(os.listdir(tmp_path)) == ["film-page-notes", "films"] and not os.listdir(elsewhere)


def test_a_folder_of_scratch_may_be_left_by_another_thread(tmp_path: Path) -> None:
    """As a film's is, whose events a server takes with whatever thread is free: its lock must not stay open."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        stack = contextlib.ExitStack()
        stack.enter_context(tempdirs.folder(tmp_path))
        assert len(os.listdir("/proc/self/fd")) == before + 1
        thread = threading.Thread(target=stack.close)
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) == before and os.listdir(tmp_path) == []


def test_in_the_background_nobody_waits_for_what_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, go_on, delete = tmp_path / "film-page-left", threading.Event(), shutil.rmtree
    left.mkdir()
    left.with_name("film-page-left.lock").touch()

    def wait_and_delete(path: Path, **how: bool) -> None:
        assert go_on.wait(TIMEOUT)
        delete(path, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(shutil, "rmtree", wait_and_delete)
    monkeypatch.setattr(tempdirs, "DELETE_SECONDS", 0.01)
    with tempdirs.folder(tmp_path, "film-page-", background=True) as folder:
        assert left.exists() and folder.is_dir()
    assert left.exists() and folder.is_dir()
    go_on.set()
    wait_until(lambda: not os.listdir(tmp_path), "both to be deleted")
