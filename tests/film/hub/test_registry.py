"""Models are found by name, URL and directory; a download that fails says what to do instead."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow_hub

import film
from film.hub import registry, tensorflow_process
from tests.conftest import SMALL_FILM
from tests.support.hub_server import Server, archive

NOWHERE = "http://127.0.0.1:9/film"  # port 9 discards; nothing listens on it, so the refusal is immediate


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TensorFlow Hub cache for each test."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "hub"


def hub_directory(hub: Path, handle: str) -> Path:
    """Where TensorFlow Hub documents that it keeps a module."""
    return hub / hashlib.sha1(handle.encode()).hexdigest()


@pytest.fixture
def page() -> Iterator[Server]:
    """A hub that answers with an HTML page, as a proxy or a sign-in page does."""
    server = Server(b"<!doctype html><title>Please sign in</title>", "text/html")
    yield server
    server.close()


@pytest.fixture
def real() -> Iterator[Server]:
    """A hub that serves film-lite."""
    server = Server(archive())
    yield server
    server.close()


def test_the_catalog_starts_with_the_model_that_needs_nothing() -> None:
    assert [model.name for model in film.models()] == ["film-lite", "rife", "film"]
    lite, rife, official = film.models()
    assert rife.remote and rife.honours_time and "ECCV 2022" in rife.credits and "MIT" in rife.credits
    assert not lite.remote and lite.megabytes == 0
    assert official.remote and official.megabytes > 100
    assert (registry.fetch(lite) / "saved_model.pb").is_file()
    assert registry.downloaded(lite) == registry.fetch(lite) == registry.BUNDLED / "film-lite"


def test_models_are_found_by_name_url_and_directory(tmp_path: Path, small_film_copy: Path) -> None:
    assert registry.find("film-lite").name == "film-lite"
    for alias in ("film", registry.HUB_HANDLE, "https://tfhub.dev/google/film/1"):
        assert registry.find(alias) is registry.models()[2]
    other = registry.find("https://example.org/film/2")
    assert other.remote and other.handle == other.name == "https://example.org/film/2"
    for path in (small_film_copy, str(small_film_copy), os.path.relpath(small_film_copy)):
        model = registry.find(path)
        assert not model.remote and Path(model.handle) == small_film_copy
        assert model.name == str(small_film_copy) and registry.find(model.name) == model


def test_a_directory_is_not_taken_for_another_of_the_same_name(small_film_copy: Path) -> None:
    namesakes = [Path(shutil.copytree(small_film_copy, small_film_copy.parent / where / "film")) for where in "ab"]
    assert len({registry.find("film").name, *(registry.find(path).name for path in namesakes)}) == 3


@pytest.mark.parametrize(
    "name", ["", "film2", "FILM", "/nowhere", "ftp://example.org/film", "a" * 5000, "x\0y", "../film", "~", "."]
)
def test_an_unknown_model_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(ValueError, match="film-lite, rife, film") as raised:
        registry.find(name)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="no model"):
        film.load(name)


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="saved_model.pb"):
        registry.find(tmp_path)


def test_loading_fetches_nothing(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    for name in ("film-lite", "rife", "film", NOWHERE):
        for backend in ("openvino", "tensorflow"):
            model = film.load(name, backend=backend)
            assert model.name == name
    assert not hub.exists() and not (tmp_path / "cache").exists()


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="openvino or tensorflow"):
        film.load("film-lite", backend="torch")


def test_a_failed_download_names_the_model_that_needs_none(hub: Path) -> None:
    model = registry.find(NOWHERE)
    with pytest.raises(RuntimeError, match="film-lite") as raised:
        registry.fetch(model)
    assert NOWHERE in str(raised.value) and "refused" in str(raised.value)
    assert registry.downloaded(model) is None


def test_a_download_is_the_first_thing_that_remains_to_be_done() -> None:
    stage, work = next(iter(film.load(f"{NOWHERE}/never-seen").setup_steps(96, 128)))
    assert stage == "downloading"
    with pytest.raises(RuntimeError, match="could not be downloaded.*film-lite") as raised:  # in another process
        work()
    assert "\n" not in str(raised.value) and "Traceback" not in str(raised.value)


def test_an_html_page_is_not_a_model(page: Server, hub: Path) -> None:
    model = registry.find(page.url)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="could not be downloaded.*film-lite"):
            registry.fetch(model)
        assert registry.downloaded(model) is None  # what was answered is not kept
    assert len(page.requests) >= 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside", "outside the destination"),
        ("/tmp/outside", "not a SavedModel"),
        ("link", "holds link, which no module has"),
    ],
)
def test_a_module_is_unpacked_where_it_belongs(hub: Path, name: str, reason: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = (tarfile.SYMTYPE, "/tmp") if name == "link" else (tarfile.REGTYPE, "")
        tar.addfile(member)
    server = Server(file.getvalue())
    try:
        with pytest.raises(RuntimeError, match=f"could not be downloaded.*{reason}"):
            registry.fetch(registry.find(server.url))
    finally:
        server.close()
    assert not [*hub.rglob("*outside*"), *hub.rglob("link")] and not Path("/tmp/outside").exists()


def test_a_module_is_downloaded_once(real: Server, hub: Path) -> None:
    model = registry.find(real.url)
    directory = tensorflow_process.fetch(model)
    assert directory == hub_directory(hub, real.url) == registry.downloaded(model)
    for file in SMALL_FILM.rglob("*.*"):
        assert (directory / file.relative_to(SMALL_FILM)).read_bytes() == file.read_bytes()
    asked = len(real.requests)
    assert asked >= 1
    assert tensorflow_process.fetch(model) == registry.fetch(model) == directory
    assert tensorflow_hub.resolve(real.url) == str(directory)  # other programs need not download it again
    assert len(real.requests) == asked


@pytest.mark.parametrize("handle", [registry.HUB_HANDLE, *registry.HUB_ALIASES])
def test_the_hub_cache_of_other_programs_is_used(hub: Path, handle: str) -> None:
    shutil.copytree(SMALL_FILM, hub_directory(hub, handle))
    model = registry.find("film")
    assert registry.fetch(model) == registry.downloaded(model) == hub_directory(hub, handle)
    stage, _ = next(iter(film.load("film").setup_steps(64, 64)))
    assert stage != "downloading"


def test_the_cache_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path))
    assert registry.cache_directory() == tmp_path
    monkeypatch.delenv("FILM_CACHE")
    assert registry.cache_directory().name == "film-openvino"
