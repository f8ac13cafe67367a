"""The whole state of a training run in one .npz file, which is either the old one or the new one, never half of it."""

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    scratch = path.with_suffix(".part")
    with scratch.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(scratch, path)


def load(path: Path) -> dict[str, np.ndarray]:
    """Raises ValueError where the file is damaged or of another kind, OSError where there is none to read."""
    if path.is_file() and not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .npz file, or not all of one")
    try:
        with np.load(path) as file:
            return dict(file)
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def group(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays saved as "name:...", by what follows."""
    return {key.removeprefix(f"{name}:"): value for key, value in arrays.items() if key.startswith(f"{name}:")}
