"""What the tests of files share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that holds nothing but what is written."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"
