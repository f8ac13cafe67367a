"""What documents and project files say, to people who follow their links and to machines that read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def front_matter(path: Path) -> dict[str, object]:
    return yaml.safe_load(path.read_text().split("---\n")[1])


def requirements(lines: list[str]) -> set[str]:
    """The requirements in a file's or a table's lines, each written one way."""
    stripped = (line.partition(" #")[0].strip() for line in lines)
    return {str(Requirement(line)) for line in stripped if line and line[0] not in "#-"}


def test_a_space_installs_the_gradio_of_the_requirements() -> None:
    """It takes the version in README's front matter, then requirements.txt: one that does not fit ends the build."""
    space = front_matter(ROOT / "README.md")
    pins = [Requirement(line) for line in requirements((ROOT / "requirements.txt").read_text().splitlines())]
    (gradio,) = [pin for pin in pins if pin.name == "gradio"]
    assert str(space["sdk_version"]) in gradio.specifier


def test_the_requirements_files_are_what_the_package_and_its_extras_need() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 is the first with tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = requirements([*project["dependencies"], *extras["tensorflow"], *extras["demo"]])
    assert requirements((ROOT / "requirements.txt").read_text().splitlines()) == needed
    others = requirements([line for line in extras["dev"] if not line.startswith(project["name"])])
    others |= requirements(extras["cluster"])
    assert requirements((ROOT / "requirements-dev.txt").read_text().splitlines()) == others


@pytest.mark.parametrize("path", ["README.md", "film/models/film-lite/README.md"])
def test_the_cards_tell_the_licence(path: str) -> None:
    assert front_matter(ROOT / path)["license"] == "apache-2.0"
    assert (ROOT / "LICENSE").read_text().split("\n", 2)[1].strip() == "Apache License"


def test_the_citation_can_be_read() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == "Apache-2.0" and citation["preferred-citation"]["year"] == 2022


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_link_to_what_is_there_in_short_paragraphs(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text().rpartition("---\n\n#")[2], flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert (document.parent / link).exists(), link
    for anchor in re.findall(r"\]\(((?!https?:)[^)\s]*#[^)\s]+)\)", text):
        name, _, heading = anchor.partition("#")
        target = document.parent / name if name else document
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        assert heading in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings], anchor
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|#*] ?)", text):
        assert len(paragraph.strip().splitlines()) <= 5, paragraph


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_is_python(document: Path) -> None:
    for snippet in re.findall(r"^```python\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL):
        compile(snippet, document.name, "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT
