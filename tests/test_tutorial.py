"""The tutorial notebook runs, and is committed as it ran."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "tutorial.ipynb"
MAX_BYTES = 1_000_000
UNREACHABLE = "http://127.0.0.1:9"  # a proxy that is not there: TensorFlow Hub cannot be reached, wherever this runs


def kinds(notebook: nbformat.NotebookNode) -> list[set[str]]:
    """What each code cell shows: texts, pictures, films."""
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return [{kind for output in outputs for kind in output.get("data", {"stream": ""})} for outputs in shown]


def test_the_tutorial_is_committed_with_small_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert NOTEBOOK.stat().st_size < MAX_BYTES
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", []))
    assert "/work" not in NOTEBOOK.read_text() and str(Path.home()) not in NOTEBOOK.read_text()


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_tutorial_runs_and_openvino_makes_what_tensorflow_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, UNREACHABLE)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    committed = nbformat.read(NOTEBOOK, as_version=4)
    ran = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(ran, timeout=600, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}).execute()
    assert kinds(ran) == kinds(committed)
    said = "".join(output.get("text", "") for cell in ran.cells for output in cell.get("outputs", []))
    assert "film-lite runs in TensorFlow" in said and "The film has 9 frames of 480x270 pixels." in said
    difference = re.search(r"the largest difference between TensorFlow and OpenVINO is (\S+)\.", said)
    assert difference and float(difference[1]) < 1e-4
