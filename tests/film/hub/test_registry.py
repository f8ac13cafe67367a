"""Models are found by name, URL and directory; a download that fails says what to do instead."""

import hashlib
import io
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

import film
from film.hub import registry, tensorflow_process
from tests.conftest import SMALL_FILM, one_line
from tests.support.hub_server import Server

NOWHERE = "http://127.0.0.1:9/film"  # port 9 discards; nothing listens on it, so the refusal is immediate


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TensorFlow Hub cache for each test."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "hub"


def directory_of(handle: str, kept: Path) -> Path:
    """Where TensorFlow Hub documents that it keeps a module."""
    return kept / hashlib.sha1(handle.encode()).hexdigest()


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


def test_loading_fetches_nothing(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    for name in ("film-lite", "rife", "film", NOWHERE):
        for backend in ("openvino", "tensorflow"):
            assert film.load(name, backend=backend).name == name
    assert not kept.exists() and not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_a_failed_download_names_the_model_that_needs_none() -> None:
    stage, work = next(iter(film.load(NOWHERE).setup_steps(96, 128)))
    assert stage == "downloading"
    with pytest.raises(RuntimeError, match=f"could not be downloaded from {NOWHERE}.*refused.*film-lite") as raised:
        work()  # in another process
    assert one_line(raised.value) and registry.downloaded(registry.find(NOWHERE)) is None


def test_an_html_page_is_not_a_model() -> None:
    """As a proxy answers, or a sign-in page."""
    with Server(b"<!doctype html><title>Please sign in</title>", "text/html") as page:
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
def test_a_module_is_unpacked_where_it_belongs(kept: Path, name: str, reason: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = (tarfile.SYMTYPE, "/tmp") if name == "link" else (tarfile.REGTYPE, "")
        tar.addfile(member)
    with Server(file.getvalue()) as server:
        with pytest.raises(RuntimeError, match=f"could not be downloaded.*{reason}"):
            registry.fetch(registry.find(server.url))
    assert not [*kept.rglob("*outside*"), *kept.rglob("link")] and not Path("/tmp/outside").exists()


@pytest.mark.slow
def test_a_module_is_downloaded_once(hub: Server, kept: Path) -> None:
    model = registry.find(hub.url)
    directory = tensorflow_process.fetch(model)
    assert directory == directory_of(hub.url, kept) == registry.downloaded(model)
    for file in SMALL_FILM.rglob("*.*"):
        assert (directory / file.relative_to(SMALL_FILM)).read_bytes() == file.read_bytes()
    asked = len(hub.requests)
    assert asked >= 1
    assert tensorflow_process.fetch(model) == registry.fetch(model) == directory
    import tensorflow_hub  # takes seconds

    assert tensorflow_hub.resolve(hub.url) == str(directory)  # other programs need not download it again
    assert len(hub.requests) == asked


@pytest.mark.parametrize("handle", [registry.HUB_HANDLE, *registry.HUB_ALIASES])
def test_the_hub_cache_of_other_programs_is_used(kept: Path, handle: str) -> None:
    shutil.copytree(SMALL_FILM, directory_of(handle, kept))
    model = registry.find("film")
    assert registry.fetch(model) == registry.downloaded(model) == directory_of(handle, kept)
    stage, _ = next(iter(film.load("film").setup_steps(64, 64)))
    assert stage != "downloading"


def test_the_cache_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path))
    assert registry.cache_directory() == tmp_path
    monkeypatch.delenv("FILM_CACHE")
    assert registry.cache_directory().name == "film-openvino"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'no space left on device' >&2\nexit 9", "status 9: no space left on device"),  # its last words
        ("exit 0", "cannot be read back"),  # it leaves nothing behind
    ],
)
def test_a_process_that_converts_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, told: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(RuntimeError, match=told):
        tensorflow_process.convert_model(registry.find(SMALL_FILM))
