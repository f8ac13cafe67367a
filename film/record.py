"""Which films of a batch are complete, noted beside them, so that the next run need not make them again."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "films.json"


class Record:
    """The films in a directory, and what each was made of. One run at a time writes it; its threads may."""

    def __init__(self, directory: Path) -> None:
        """The directory is made if it is not there; ValueError if it cannot be. A damaged record tells of no film."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"The films cannot be written to {directory}: {error}") from error
        self._path = directory / NAME
        self._lock = threading.Lock()
        try:
            self._films = dict(json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            self._films = {}

    def holds(self, film: Path, choices: Mapping[str, Any]) -> bool:
        """Whether the film is there, unchanged since it was noted, and made by the same choices."""
        return film.is_file() and self._films.get(film.name) == _facts(film, choices)

    def note(self, film: Path, choices: Mapping[str, Any]) -> None:
        """The film was made by these choices. RuntimeError when that cannot be written."""
        partial = self._path.with_suffix(f".{os.getpid()}")
        try:
            with self._lock:
                self._films[film.name] = _facts(film, choices)
                partial.write_text(json.dumps(self._films, indent=1))
                os.replace(partial, self._path)
        except OSError as error:
            raise RuntimeError(f"What is finished cannot be noted in {self._path}: {error}") from error


def _facts(film: Path, choices: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    text = json.dumps(choices, sort_keys=True, default=str)
    status = film.stat()
    key = hashlib.sha256(text.encode()).hexdigest()
    return {"key": key, "bytes": status.st_size, "changed": status.st_mtime_ns}
