"""The finished segments of a film in the making, kept between runs so that an interrupted one can go on.

They lie in a folder beside the film, with a note of everything that decides what is in them. A run that finds the
same note there goes on from the segments; any other begins anew. Nothing is ever deleted there but such files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from film.support import atomic_file

NOTE = "film.json"
SUFFIX = ".parts"
LONGEST_NAME = 255 - len(f"{SUFFIX}.lock")  # bytes of a film's name to which these are added; file systems take 255
# What the choices that a film's pipeline makes are to the user.
CALLED = {"fps": "frame rate", "lossless": "format", "moments": "length", "step": "pace", "tiles": "memory"}
# The note, segments and their lossless copies, whole or in the making; see `media.video_segments`.
OWN = re.compile(rf"{re.escape(NOTE)}|\d{{8,}}(-\d{{6,}})?\.(ts|mkv)(\.part)?")


def folder(output: Path) -> Path:
    """Where the parts of the film `output` are kept. A long name is cut, and a hash of it added."""
    name = os.fsencode(output.name)
    if len(name) > LONGEST_NAME:
        digest = hashlib.sha256(name).hexdigest()[:12]
        return output.with_name(f"{name[: LONGEST_NAME - 13].decode(errors='ignore')}-{digest}{SUFFIX}")
    return output.with_name(f"{output.name}{SUFFIX}")


def is_kept(directory: Path) -> bool:
    """Whether that folder holds the parts of a film that was interrupted."""
    return directory.suffix == SUFFIX and (directory / NOTE).is_file()


@contextlib.contextmanager
def kept(
    directory: Path, choices: Mapping[str, Any], tell: Callable[[str], object] = lambda note: None
) -> Iterator[Path]:
    """`directory`, emptied unless its parts were made by the same `choices` (anything that `json` can write).

    `tell` is given a sentence about parts that are deleted.

    Left without an exception it is removed; by one it stays, if there is anything in it. Until then a lock beside it
    is held. RuntimeError when that is held by another, the folder cannot be made, or it would have to be emptied of
    what is not of this program; such files stay in any case.
    """
    # A film's events may be taken by one thread after the other.
    lock = FileLock(directory.with_name(f"{directory.name}.lock"), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise RuntimeError(
            f"Another run is making the film that has its parts in {directory}; wait for it, or choose another name."
        ) from None
    except OSError as error:
        raise RuntimeError(f"The parts of the film cannot be kept in {directory}: {error}") from error
    try:
        _prepare(directory, json.loads(json.dumps(choices, sort_keys=True, default=str)), tell)
        try:
            yield directory
        except BaseException:
            if [path.name for path in directory.iterdir()] == [NOTE]:
                _remove(directory)
            raise
        _remove(directory)
    finally:
        with contextlib.suppress(OSError):  # not everywhere can an open file be deleted
            os.unlink(lock.lock_file)
        lock.release()


def _prepare(directory: Path, wanted: dict[str, Any], tell: Callable[[str], object]) -> None:
    """Make the folder, or empty it if the choices that are noted there are others."""
    try:
        noted = atomic_file.notes(directory / NOTE).get("choices")
        if directory.exists() and noted != wanted:
            for path in sorted(directory.iterdir()):
                if not OWN.fullmatch(path.name) or path.is_dir():
                    raise RuntimeError(
                        f"{directory} is not a folder of this program, because it holds {path.name}; choose another"
                        " name for the film, or move the folder."
                    )
            if any(directory.glob("*.ts")):
                differing = _differing(noted, wanted)
                tell(f"The parts in {directory} were made with other settings or files{differing} and are made anew.")
            _empty(directory)
        if not (directory / NOTE).exists():
            directory.mkdir(exist_ok=True)
            (directory / NOTE).write_text(json.dumps({"choices": wanted}, indent=2))
    except OSError as error:
        raise RuntimeError(f"The parts of the film cannot be kept in {directory}: {error}") from error


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if OWN.fullmatch(path.name):
            path.unlink()


def _remove(directory: Path) -> None:
    _empty(directory)
    with contextlib.suppress(OSError):  # somebody put something into it, which is theirs
        directory.rmdir()


def _differing(noted: object, choices: Mapping[str, Any]) -> str:
    """In words which choices are others than noted, as far as that is known."""
    if not isinstance(noted, dict):
        return ""
    names = [name for name in dict.fromkeys([*noted, *choices]) if noted.get(name) != choices.get(name)]
    return f" ({', '.join(CALLED.get(name, name) for name in names)})" if names else ""
