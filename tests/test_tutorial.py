"""The tutorial notebook runs, and is committed as it ran."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "tutorial.ipynb"
UNREACHABLE = "http://127.0.0.1:9"  # a proxy that is not there: TensorFlow Hub cannot be reached, wherever this runs


def run() -> nbformat.NotebookNode:
    """The notebook as it runs here, without what tools print on standard error."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": NOTEBOOK.parent}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, resources=place).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def kinds(notebook: nbformat.NotebookNode) -> list[set[str]]:
    """What each code cell shows: texts, pictures, films."""
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return [{kind for output in outputs for kind in output.get("data", {"stream": ""})} for outputs in shown]


def test_the_tutorial_is_committed_with_small_outputs() -> None:
    notebook, text = nbformat.read(NOTEBOOK, as_version=4), NOTEBOOK.read_text()
    assert NOTEBOOK.stat().st_size < 1_000_000
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", []))
    assert not any(place in text for place in (str(NOTEBOOK.parents[1]), str(Path.home()), "site-packages"))


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_tutorial_runs_and_openvino_makes_what_tensorflow_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, UNREACHABLE)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    ran = run()
    assert kinds(ran) == kinds(nbformat.read(NOTEBOOK, as_version=4))
    said = "".join(output.get("text", "") for cell in ran.cells for output in cell.get("outputs", []))
    assert "film-lite runs in TensorFlow" in said and "The film has 9 frames of 480x270 pixels." in said
    difference = re.search(r"the largest difference between TensorFlow and OpenVINO is (\S+)\.", said)
    assert difference and float(difference[1]) < 1e-4


if __name__ == "__main__":  # python -m tests.test_tutorial: to commit it as it runs now
    nbformat.write(run(), NOTEBOOK)
