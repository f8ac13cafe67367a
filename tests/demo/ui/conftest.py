"""One server for all tests of the page, but for those that need other settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.serving import Server, serve


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("server")) as server:
        yield server
