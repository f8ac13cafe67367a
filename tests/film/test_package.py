"""What `import film` gives, and what `pip install .` installs."""

import email
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import typing
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import film
from film.cli import commands
from tests.conftest import ROOT


def test_everything_is_exported_once_and_there() -> None:
    assert sorted(film.__all__) == film.__all__ and len(set(film.__all__)) == len(film.__all__)
    assert all(getattr(film, name) for name in film.__all__)
    events = {event.__name__ for event in typing.get_args(film.Event)}
    assert events == {"Stage", "Notice", "Level", "Progress", "Segment", "Done"}
    assert {*events, "Event", "NotEnoughMemory", "find"} <= set(film.__all__)
    assert issubclass(film.NotEnoughMemory, RuntimeError)


@pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="builds with the setuptools that is here")
@pytest.mark.slow
def test_the_package_has_the_program_its_model_and_its_command(tmp_path: Path) -> None:
    source, ignored = tmp_path / "source", shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "film", source / "film", ignore=ignored)  # setuptools writes beside what it packs
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    program = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"  # what pip calls
    built = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        info = wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
        facts = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        archive.extract(f"{info}/entry_points.txt", tmp_path)
        packed = {name for name in archive.namelist() if not name.startswith(info)}
    assert packed == {path.relative_to(source).as_posix() for path in (source / "film").rglob("*") if path.is_file()}
    assert {"film/cli/commands.py", "film/models/film-lite/variables.npz"} <= packed
    assert facts["Name"] == "film-openvino" and facts["Version"] == film.__version__
    assert facts["License-Expression"] == "Apache-2.0" and facts["Description-Content-Type"] == "text/markdown"
    assert set(facts.get_all("Provides-Extra")) == {"tensorflow", "demo", "cluster", "dev"}
    lean = {Requirement(line).name for line in facts.get_all("Requires-Dist") if "extra ==" not in line}
    assert "openvino" in lean and not lean & {"gradio", "mcp", "ray", "tensorflow", "tensorflow-hub"}
    (entry,) = importlib.metadata.PathDistribution(tmp_path / info).entry_points
    assert (entry.group, entry.name) == ("console_scripts", "film") and entry.load() is commands.main


MISSING = """import sys
sys.modules.update(dict.fromkeys(["gradio", "mcp", "ray", "tensorflow", "tensorflow_hub"]))
import film
"""


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("from film.engine import tensorflow_backend; film.load(backend='tensorflow').loaded()", '".[tensorflow]"'),
        ("from film.batch.ray_cluster import Cluster; Cluster('local').__enter__()", '".[cluster]"'),
        ("import app", '".[demo]"'),
    ],
)
@pytest.mark.slow
def test_what_lacks_a_package_names_the_extra_to_install(program: str, words: str) -> None:
    done = subprocess.run([sys.executable, "-c", MISSING + program], cwd=ROOT, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("RuntimeError: ") and words in last, done.stderr
