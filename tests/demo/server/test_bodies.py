"""Files in a request's body: whole on the disk, wherever the body is cut on its way; gone with a refused request."""

import base64
import json
import os
from pathlib import Path

import pytest

from demo.server.bodies import DataUris

PICTURES = [os.urandom(1000), b"", b"\xff\xfe\xfd" * 7]


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def replaced(folder: Path, body: bytes, part: int) -> tuple[bytes, list[Path]]:
    """A body that came in parts of that length, and the files that were in it."""
    with DataUris(folder, "/file=", lambda: None) as uris:
        parts = [body[start : start + part] for start in range(0, len(body), part)]
        told = b"".join(uris.without(each, each is parts[-1]) for each in parts)
    return told, uris.paths


@pytest.mark.parametrize("part", [1, 2, 3, 7, 219, 221, 1000, 10_000])
@pytest.mark.parametrize("slash", ["/", r"\/"])
def test_each_data_uri_becomes_a_file(tmp_path: Path, part: int, slash: str) -> None:
    order = {"photos": [uri(PICTURES[0]), uri(PICTURES[1]), uri(PICTURES[2], "image/jpeg;name=a.jpg")], "depth": 1}
    body = json.dumps(order).replace("/", slash).encode()
    told, paths = replaced(tmp_path, body, part)
    assert json.loads(told) == {"photos": [f"/file={path}" for path in paths], "depth": 1}
    assert [path.read_bytes() for path in paths] == PICTURES
    assert [path.suffix for path in paths] == [".png", ".png", ".jpg"]
    assert all(len(path.parent.name) == 64 and path.parent.parent == tmp_path for path in paths)


@pytest.mark.parametrize("text", ["%%%", "AAA", "AA\\nAA", "é"])
def test_what_is_damaged_is_told_as_such(tmp_path: Path, text: str) -> None:
    told, _ = replaced(tmp_path, f'{{"first": "data:image/png;base64,{text}", "last": "x"}}'.encode(), 5)
    assert json.loads(told) == {"first": "data:", "last": "x"}


@pytest.mark.parametrize("text", ["data:" + "a" * 2**20, "data:image/png,raw", 'see "data:image/png;base64,AAAA"', ""])
def test_other_texts_stay(tmp_path: Path, text: str) -> None:
    body = json.dumps({"first": text}).encode()
    assert replaced(tmp_path, body, 4096) == (body, [])


def test_files_of_a_refused_request_are_deleted(tmp_path: Path) -> None:
    with pytest.raises(ValueError), DataUris(tmp_path, "/file=", lambda: None) as uris:
        uris.without(f'["{uri(b"one")}", "{uri(b"two")[:-1]}'.encode(), False)
        assert len(list(tmp_path.rglob("file.png"))) == 2
        raise ValueError
    assert list(tmp_path.iterdir()) == []
