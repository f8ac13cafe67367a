"""Uploads as they are read: what breaks off leaves nothing on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException

from demo.gradio_patches import BoundedForm

HEADERS = Headers({"content-type": "multipart/form-data; boundary=mark"})
PART = b'--mark\r\nContent-Disposition: form-data; name="files"; filename="photo.jpg"\r\n\r\n'
END = b"\r\n--mark--\r\n"


async def broken(error: BaseException) -> AsyncGenerator[bytes]:
    yield PART + b"half a photo"
    raise error


def read(stream: AsyncGenerator[bytes], folder: Path) -> None:
    asyncio.run(BoundedForm(HEADERS, stream, upload_dir=folder, max_file_size=1000).parse())


@pytest.mark.parametrize(
    "error", [ConnectionError("the visitor left"), asyncio.CancelledError(), MultiPartException("")]
)
def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        read(broken(error), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_upload_stays(tmp_path: Path) -> None:
    async def whole() -> AsyncGenerator[bytes]:
        yield PART + b"a photo"
        yield END

    read(whole(), tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a photo"]
