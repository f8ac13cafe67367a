"""Measurements. What some of them share with the tests, such as starting the server, lies in `tests/`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
