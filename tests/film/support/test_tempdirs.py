"""Folders for work in progress: one that was killed is cleared away after, one that lives keeps its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from film.support import tempdirs

ROOT = Path(__file__).resolve().parents[3]


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
    with tempdirs.folder(prefix="film-page-") as first, tempdirs.folder(prefix="film-page-") as second:
        assert not left.exists()
        assert first.is_dir() and second.is_dir()  # a server that lives keeps its own
    assert list(tmp_path.iterdir()) == []
