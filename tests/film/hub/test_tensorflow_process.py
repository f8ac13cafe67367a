"""The process that TensorFlow runs in: how its end is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from film.hub import tensorflow_process
from tests.conftest import SMALL_FILM


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'no space left on device' >&2\nexit 9", "status 9: no space left on device"),  # its last words
        ("exit 0", "cannot be read back"),  # it leaves nothing behind
    ],
)
def test_a_process_that_converts_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, told: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(RuntimeError, match=told):
        tensorflow_process.convert_model(SMALL_FILM, tmp_path)
