"""Numbers as callers give them: Python's, NumPy's, or what is none."""

from __future__ import annotations

import operator
import sys
from fractions import Fraction
from typing import Any


def whole(value: Any) -> int | None:
    """A whole number of any kind, such as NumPy's; None for anything else, and for what is true or false."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def exact(value: Any) -> Fraction | None:
    """The fraction that a real number of any kind is; None for anything else: text, infinity, what is true or false."""
    if isinstance(value, bool):
        return None
    if (number := whole(value)) is not None:  # NumPy's have no `as_integer_ratio`
        return Fraction(number)
    try:
        return Fraction(*value.as_integer_ratio())
    except (AttributeError, ValueError, OverflowError):  # no number, not a number, infinite
        return None


def told(value: Any) -> str:
    """A number in a sentence, for which a fraction may be larger than any float; anything else as Python writes it."""
    is_number = whole(value) is not None or hasattr(value, "as_integer_ratio")
    if not is_number or isinstance(value, bool):
        return repr(value)
    try:
        return f"{float(value):g}"
    except OverflowError:
        return f"beyond {sys.float_info.max:g}"
