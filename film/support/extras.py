"""Packages that a lean install leaves out, imported when something first needs them."""

from __future__ import annotations

import importlib
from typing import Any


def load(module: str, extra: str, purpose: str) -> Any:
    """The module of that name, imported now. RuntimeError naming the extra to install when it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        install = f'pip install ".[{extra}]"'
        raise RuntimeError(f"{purpose} needs {module} ({error}); `{install}` adds it.") from error
