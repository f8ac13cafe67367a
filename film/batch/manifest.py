"""Which films of a batch are complete, noted beside them, so that the next run need not make them again.

What the record does not know was not made by a batch: it is somebody else's, and never overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from film.support import atomic_file, tempdirs
from film.support.fingerprint import fingerprint

NAME = ".film-batch.json"
WRITING = "writing"  # in what is noted of a film: a run was about to replace it, and may have been killed since


class Manifest:
    """The films in a directory, and what each was made of. Threads and runs may note theirs side by side."""

    def __init__(self, directory: Path) -> None:
        """The directory is made if it is not there; ValueError if it cannot be, RuntimeError if nothing can be written
        there. A damaged record knows no film."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"The films cannot be written to {directory}: {error}") from error
        tempdirs.check(directory)
        self._path = directory / NAME
        noted = atomic_file.notes(self._path)
        self._films = {film: facts for film, facts in noted.items() if isinstance(facts, dict)}

    def holds(self, film: Path, choices: Mapping[str, Any]) -> bool:
        """Whether the film is there, unchanged since it was noted, and made by the same choices."""
        return film.is_file() and self._films.get(film.name) == _facts(film, choices)

    def check_free(self, film: Path) -> None:
        """ValueError if there is a file of that name that the record does not know, or that was changed since."""
        noted = self._films.get(film.name, {})
        if film.is_file() and not noted.get(WRITING) and noted.get("content") != fingerprint(film):
            raise ValueError(
                f"{film} is there already and was not made by this batch, or changed since; move it, or choose another"
                " folder for the films."
            )

    def claim(self, film: Path) -> None:
        """The film is about to be written. ValueError as in `check_free`, RuntimeError when that cannot be noted."""
        self.check_free(film)
        self._note(film, self._films.get(film.name, {}) | {WRITING: True})

    def note(self, film: Path, choices: Mapping[str, Any]) -> None:
        """The film was made by these choices. RuntimeError when that cannot be written."""
        self._note(film, _facts(film, choices))

    def _note(self, film: Path, facts: dict[str, Any]) -> None:
        self._films[film.name] = facts
        try:
            atomic_file.note(self._path, film.name, facts)
        except OSError as error:
            raise RuntimeError(f"What is finished cannot be noted in {self._path}: {error}") from error


def _facts(film: Path, choices: Mapping[str, Any]) -> dict[str, Any]:
    key = hashlib.sha256(json.dumps(choices, sort_keys=True, default=str).encode()).hexdigest()
    return {"key": key, "content": fingerprint(film)}
