"""The folder with an interrupted film's finished parts: what is trusted, what is deleted, and what stays."""

import os
import shutil
from pathlib import Path

import pytest

from film.rendering import checkpoint
from tests.conftest import touch


@pytest.mark.parametrize("note", ["", '{"key": "0f', "{}", "[]", None])
def test_parts_of_a_film_whose_note_was_being_written_are_made_anew(tmp_path: Path, note: str | None) -> None:
    folder = checkpoint.folder(tmp_path / "film.mp4")
    folder.mkdir()
    (folder / "00000000-000015.ts").write_bytes(b"of what?")
    if note is not None:
        (folder / checkpoint.NOTE).write_text(note)
    with pytest.raises(KeyError), checkpoint.kept(folder, {"fps": 30}):
        assert os.listdir(folder) == [checkpoint.NOTE]
        (folder / "00000000-000015.ts").write_bytes(b"whole")
        raise KeyError
    with checkpoint.kept(folder, {"fps": 30}):
        for choices in ({"fps": 30}, {"fps": 24}):  # whoever comes meanwhile destroys nothing
            with pytest.raises(RuntimeError, match="Another run is making the film"), checkpoint.kept(folder, choices):
                pass
        assert (folder / "00000000-000015.ts").read_bytes() == b"whole"
    assert not folder.exists()


@pytest.mark.parametrize("note", [None, '{"choices": "of another film"}'])
def test_a_folder_with_the_name_of_parts_that_is_not_of_this_program_stays(tmp_path: Path, note: str | None) -> None:
    folder = checkpoint.folder(tmp_path / "film.mp4")
    for content in ("notes.txt", "00000000-000015.ts/inside"):
        touch(folder / "00000015-000015.ts", folder / content)
        if note is not None:
            (folder / checkpoint.NOTE).write_text(note)
        there = sorted(folder.rglob("*"))
        with pytest.raises(RuntimeError, match="not a folder of this program"), checkpoint.kept(folder, {"fps": 30}):
            pass
        assert sorted(folder.rglob("*")) == there
        shutil.rmtree(folder)


def test_what_somebody_puts_beside_the_parts_stays(tmp_path: Path) -> None:
    folder = checkpoint.folder(tmp_path / "film.mp4")
    with checkpoint.kept(folder, {"fps": 30}):
        names = ("00000000-000015.ts", "00000000-000015.mkv", "00000015.ts.part", "notes.txt")
        touch(*(folder / name for name in names))
    assert os.listdir(folder) == ["notes.txt"]


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
