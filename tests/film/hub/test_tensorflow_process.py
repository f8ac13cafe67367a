"""The process that TensorFlow runs in: how its end is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from film.hub import tensorflow_process
from tests.conftest import SMALL_FILM


def test_a_process_that_dies_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no space left on device' >&2\nexit 9\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(RuntimeError, match="status 9: no space left on device"):
        tensorflow_process.convert_model(SMALL_FILM, tmp_path)


def test_a_process_that_leaves_nothing_behind_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    with pytest.raises(RuntimeError, match="cannot be read back"):
        tensorflow_process.convert_model(SMALL_FILM, tmp_path)
