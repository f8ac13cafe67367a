"""What README.md says to machines."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def test_a_space_installs_the_gradio_of_the_requirements() -> None:
    """It takes the version in README's front matter, then requirements.txt: one that does not fit ends the build."""
    front_matter = (ROOT / "README.md").read_text().split("---\n")[1]
    version = re.search(r"^sdk_version: (\S+)$", front_matter, re.MULTILINE)
    pin = re.search(r"^gradio\b.*?(?= *#|$)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert version and pin and version[1] in Requirement(pin[0]).specifier
