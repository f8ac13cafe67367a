"""Files are known by what is in them, whatever their names, sizes and times are."""

import os
from pathlib import Path

import pytest

from film.support import fingerprint as module
from film.support.fingerprint import fingerprint

TIME = (1_500_000_000, 1_500_000_000)


def file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, TIME)
    return path


@pytest.mark.parametrize("whole", [100, 10**9])
def test_one_byte_makes_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    monkeypatch.setattr(module, "BLOCK", 20)
    monkeypatch.setattr(module, "WHOLE", whole)
    content = bytes(range(250)) * 4
    one, copy = file(tmp_path / "one", content), file(tmp_path / "copy", content)
    assert fingerprint(one) == fingerprint(copy)
    for place in (0, len(content) - 1, *([333] if whole > len(content) else [])):
        other = file(tmp_path / "other", content[:place] + b"!" + content[place + 1 :])
        assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) != fingerprint(file(tmp_path / "longer", content + b"\0"))


def test_an_empty_file_has_one(tmp_path: Path) -> None:
    assert fingerprint(file(tmp_path / "a", b"")) == fingerprint(file(tmp_path / "b", b"")) != ""
