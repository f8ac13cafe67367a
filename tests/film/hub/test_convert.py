"""A SavedModel is converted once; what is on disk is complete and undamaged, or made again."""

import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

import film
from film.hub import convert, registry, tensorflow_process
from film.hub.saved_model import SavedModel
from tests.conftest import CACHE, ROOT, moved, texture

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

BUILDER = ROOT / "tests" / "support" / "keras2_film.py"


def middle(model: ov.Model | Path, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """A frame by a SavedModel that was converted whole."""
    graph = ov.compile_model(model, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})
    return graph({"x0": first[None], "x1": last[None]})[0][0]


@pytest.fixture
def converted(averaging: Path, tmp_path: Path) -> convert.Converted:
    """The smallest SavedModel there is, converted in a cache of the test's own, `tmp_path`, to be damaged."""
    converted = convert.convert(averaging, Path(CACHE.name))
    directory = shutil.copytree(converted.directory, tmp_path / "ir" / converted.directory.name)
    return dataclasses.replace(converted, directory=Path(directory))


def test_renamed_variables_fall_back_to_the_whole_model(
    small_film_copy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, reference: film.Reference
) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((small_film_copy / "saved_model.pb").read_bytes())
    for node in model.meta_graphs[0].object_graph_def.nodes:
        if node.WhichOneof("kind") == "variable":
            node.variable.name = f"renamed/{node.variable.name}"
    (small_film_copy / "saved_model.pb").write_bytes(model.SerializeToString())

    with caplog.at_level(logging.WARNING):
        converted = convert.convert(small_film_copy, tmp_path / "cache")
    assert converted.kind == "whole"
    assert "whole SavedModel is converted instead" in caplog.text
    a, b = moved(64, 128)
    np.testing.assert_allclose(middle(converted.files[0], a, b), reference.middle(a, b), atol=1e-4)


def test_a_graph_that_does_not_give_the_same_image_is_not_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reference: film.Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FILM's variables, to the letter, in a SavedModel that does something else with them."""
    import tensorflow as tf

    image = [tf.TensorSpec([None, None, None, 3], tf.float32, name=name) for name in ("x0", "x1")]
    module = tf.Module()
    kept = [tf.Variable(value, name=name) for name, value in reference.loaded().variables.items()]
    module.variables_by_place = kept
    module.darken = tf.function(
        lambda x0, x1: {"image": (x0 + x1) / 4 + 0 * kept[0][0, 0, 0, 0]}, input_signature=image
    )
    tf.saved_model.save(module, str(tmp_path / "impostor"), signatures=module.darken)
    source = SavedModel(tmp_path / "impostor")
    source.__dict__["variables"] = reference.loaded().variables  # as models list them whose exporter was Keras

    monkeypatch.setattr(convert, "OTHER_LEVELS", ())  # one comparison is enough here
    with caplog.at_level(logging.WARNING):
        graphs, *_ = convert._graphs(source)
    assert list(graphs) == ["film"]
    assert "differs from the SavedModel" in caplog.text
    a, b = moved(64, 64)
    np.testing.assert_allclose(middle(graphs["film"], a, b), (a + b) / 4, atol=1e-6)


def test_a_model_without_signature_is_called_as_the_tutorial_does(tmp_path: Path) -> None:
    import tensorflow as tf

    class Layer(tf.Module):
        @tf.function
        def __call__(self, inputs: dict, training: bool = False) -> dict:
            return {"image": (inputs["x0"] + inputs["x1"]) * inputs["time"][:, None, None]}

    layer = Layer()
    image = tf.TensorSpec([None, None, None, 3])
    layer.__call__.get_concrete_function({"x0": image, "x1": image, "time": tf.TensorSpec([None, 1])}, training=False)
    tf.saved_model.save(layer, str(tmp_path / "model"))
    a, b = moved(64, 64)
    np.testing.assert_allclose(SavedModel(tmp_path / "model").at(a[None], b[None], 0.5)[0], (a + b) / 2, atol=1e-6)


def test_the_official_form_is_converted_directly_and_equals_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a FILM made by other code."""
    keras2 = tmp_path / "film"
    subprocess.run([sys.executable, str(BUILDER), "8", str(keras2)], check=True, capture_output=True)
    reference, model = film.load(keras2, backend="tensorflow"), film.load(keras2, precision="exact")
    assert isinstance(reference, film.Reference) and isinstance(model, film.Film)
    monkeypatch.setattr(convert, "SavedModel", lambda directory: reference.loaded())  # to load it once more takes long
    converted = convert.convert(keras2, registry.cache_directory())
    assert model.converted() == converted and converted.kind == "direct"
    a, b = texture(150, 200), texture(150, 200)[:, ::-1].copy()
    expected = reference.middle(a, b)
    assert np.ptp(expected) > 0.05  # random variables, but an output that depends on the input
    assert np.abs(model.middle(a, b) - expected).max() < 1e-4


def save(directory: Path, function: Callable | None, *names: str) -> Path:
    """A SavedModel whose signature takes images of these names, or has none."""
    import tensorflow as tf

    module = tf.Module()
    signatures = None
    if function:
        specs = [tf.TensorSpec([None, None, None, 3], tf.float32, name=name) for name in names]
        module.call = signatures = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return directory


def test_what_is_not_a_film_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    one_input = save(tmp_path / "classifier", lambda photo: {"label": photo[:, 0, 0]}, "photo")
    other_output = save(tmp_path / "flow", lambda x0, x1: {"flow": x0 - x1}, "x0", "x1")
    no_signature = save(tmp_path / "nothing", None)
    for directory, found in (
        (one_input, "takes photo"),
        (other_output, "returns flow"),
        (no_signature, "no signature"),
    ):
        with pytest.raises(ValueError, match="is not a FILM: a FILM takes images x0 and x1") as raised:
            convert.convert(directory, tmp_path / "cache")
        assert found in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="classifier is not a FILM.*takes photo"):  # from TensorFlow's process
        film.load(one_input).middle(*moved(64, 64))
    left = [path for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock" and path.name != "ir"]
    assert left == []


def test_a_directory_without_saved_model_is_refused(tmp_path: Path) -> None:
    for call in (convert.fingerprint, lambda path: convert.convert(path, tmp_path / "cache")):
        with pytest.raises(ValueError, match="saved_model.pb is missing"):
            call(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda model: (model / "saved_model.pb").write_bytes(b"not a protocol buffer"),
        lambda model: os.truncate(model / "saved_model.pb", 100_000),
        lambda model: os.truncate(model / "variables" / "variables.data-00000-of-00001", 100_000),
        lambda model: shutil.rmtree(model / "variables"),
    ],
    ids=["garbage", "cut", "data cut", "no variables"],
)
def test_a_damaged_saved_model_is_an_error_in_words(
    small_film_copy: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(small_film_copy)
    with pytest.raises((RuntimeError, ValueError), match="copy"):
        convert.convert(small_film_copy, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.xml"))


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Inode and bytes of every file: equal only if nothing was written again."""
    return {file.name: (file.stat().st_ino, file.read_bytes()) for file in sorted(directory.iterdir())}


def test_a_model_is_converted_once(
    converted: convert.Converted, averaging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILM_CACHE", str(tmp_path))
    before = contents(converted.directory)
    assert convert.convert(averaging, tmp_path) == converted
    assert convert.find(convert.fingerprint(averaging), tmp_path) == converted
    assert converted == tensorflow_process.find_converted(registry.find(averaging))
    assert contents(converted.directory) == before


def test_the_fingerprint_is_of_the_content(averaging: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(averaging, tmp_path / "elsewhere")
    assert convert.fingerprint(copy) == convert.fingerprint(averaging)
    (copy / "fingerprint.pb").write_bytes(b"decides nothing")
    assert convert.fingerprint(copy) == convert.fingerprint(averaging)
    for file in (copy / "saved_model.pb", *sorted((copy / "variables").iterdir())):
        before = convert.fingerprint(copy)
        file.write_bytes(file.read_bytes() + b"\0")
        assert convert.fingerprint(copy) != before
    assert convert.find(convert.fingerprint(copy), tmp_path) is None


def garble(file: Path) -> None:
    """Change one byte in the middle (in the manifest, of a hash), keep the size and the time."""
    status = file.stat()
    data = bytearray(file.read_bytes() or b"\0")
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_manifest_that_is_unreadable_or_does_not_fit_is_not_trusted(
    converted: convert.Converted, averaging: Path, tmp_path: Path
) -> None:
    manifest, key = converted.directory / convert.MANIFEST, convert.fingerprint(averaging)
    right = json.loads(manifest.read_text())
    wrong: dict[str, tuple[object, ...]] = {
        "kind": ("direct", "other", None),
        "alignment": ("64", 0, 65),
        "bytes_per_pixel": (0,),
        "files": ({}, {"film.xml": "0"}, {"absent.xml": "0"}, 3),
    }
    texts = ["", "{", "null", "[]", "{}", '"x"', "\xff\xfe"]
    texts += [json.dumps(right | {name: value}) for name, values in wrong.items() for value in values]
    for text in texts:
        manifest.write_text(text, encoding="latin-1")
        assert convert.find(key, tmp_path) is None, text
    manifest.write_text(json.dumps(right))
    assert convert.find(key, tmp_path) == converted


def test_a_damaged_model_is_rebuilt(converted: convert.Converted, averaging: Path, tmp_path: Path) -> None:
    key = convert.fingerprint(averaging)
    for name in ("film.bin", "film.xml", "manifest.json"):
        file = converted.directory / name
        whole = file.read_bytes()
        for damage in (Path.unlink, lambda file: os.truncate(file, file.stat().st_size // 2), garble):
            damage(file)
            assert convert.find(key, tmp_path) is None
            file.write_bytes(whole)
            assert convert.find(key, tmp_path) == converted
    (converted.directory / "film.bin").unlink()
    (converted.directory / "film.bin").mkdir()
    assert convert.find(key, tmp_path) is None
    assert convert.convert(averaging, tmp_path) == converted == convert.find(key, tmp_path)
    a, b = moved(64, 64)
    np.testing.assert_allclose(middle(converted.files[0], a, b), (a + b) / 2, atol=1e-6)


def test_what_was_not_used_for_long_goes_when_another_model_comes(averaging: Path, tmp_path: Path) -> None:
    used = convert.convert(averaging, tmp_path).directory
    old, young = (tmp_path / "ir" / f"{name}-by_an_earlier_version" for name in ("old", "young"))
    for directory in (old, young):
        shutil.copytree(used, directory)
    long_ago = time.time() - (convert.UNUSED_DAYS + 1) * 86_400
    for directory in (old, used):
        os.utime(directory, (long_ago, long_ago))
    compiled = [tmp_path / convert.COMPILED / directory.name for directory in (old, young)]
    for directory in compiled:
        directory.mkdir(parents=True)
        (directory / "1.blob").write_bytes(b"compiled")
    assert convert.find(convert.fingerprint(averaging), tmp_path)
    convert.convert(save(tmp_path / "another", lambda x0, x1: {"image": x0 + x1}, "x0", "x1"), tmp_path)
    assert not old.exists() and young.exists() and used.exists()
    assert [directory.exists() for directory in compiled] == [False, True]


def test_two_processes_convert_once_between_them(averaging: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "film.hub.tensorflow_process", "convert", str(averaging), str(tmp_path)]
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    rivals = [subprocess.Popen(command, cwd=ROOT, **how) for _ in range(2)]
    said = [rival.communicate(timeout=300) for rival in rivals]
    assert [rival.returncode for rival in rivals] == [0, 0], said
    converted = convert.find(convert.fingerprint(averaging), tmp_path)
    assert converted is not None
    assert {out.strip().splitlines()[-1] for out, _ in said} == {str(converted.directory)}
    assert not list((tmp_path / "ir").glob("*.partial"))
