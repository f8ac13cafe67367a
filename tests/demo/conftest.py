"""Tests that are coroutines are marked `anyio`, whose plugin runs them."""

from pathlib import Path

import pytest

from demo.server.storage import GIGABYTE, Storage


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "page", 3600, GIGABYTE)
