"""What is kept is known by its content, and has a name that every file system takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from film.rendering import checkpoint

TIME = (1_500_000_000, 1_500_000_000)


def file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, TIME)
    return path


def test_parts_of_other_photos_of_one_size_and_time_are_not_used(tmp_path: Path) -> None:
    photos = [file(tmp_path / name, name.encode() * 100) for name in "abcd"]
    folder, notes = tmp_path / "film.mp4.parts", []
    for used, there in ((photos[:2], False), (photos[:2], True), (photos[1::-1], False), (photos[2:], False)):
        choices = {"photos": checkpoint.content(used)}
        with pytest.raises(KeyboardInterrupt), checkpoint.kept(folder, choices, notes.append) as directory:
            assert (directory / "00000000.ts").exists() is there
            (directory / "00000000.ts").write_text("x")
            raise KeyboardInterrupt
    assert len(notes) == 2 and "(photos)" in notes[0]


@pytest.mark.parametrize("letter", ["x", "\u6771"])
def test_parts_of_a_film_of_any_name_have_a_folder(tmp_path: Path, letter: str) -> None:
    folders = set()
    for length in (240, 244, 245, 255):
        name = letter * ((length - 4) // len(letter.encode()))
        output = tmp_path / f"{name + 'y' * (length - 4 - len(name.encode()))}.mp4"
        folders.add(checkpoint.folder(output))
        with checkpoint.kept(checkpoint.folder(output), {}) as directory:
            assert directory.is_dir()
    assert len(folders) == 4
