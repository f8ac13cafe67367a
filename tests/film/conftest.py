"""What the tests of films share."""

from __future__ import annotations

from pathlib import Path

import pytest

import film


@pytest.fixture(scope="module")
def model(averaging: Path) -> film.Interpolator:
    """Every middle that it makes is the exact average."""
    return film.load(averaging)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that holds nothing but what is written."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"
