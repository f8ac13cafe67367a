"""The command lines of the benchmarks: what they take, and the words for a process that failed.

The types are argparse's: what cannot be measured is refused in one sentence, before anything is started.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import NamedTuple

from film.hub import registry


class Size(NamedTuple):
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def size(text: str) -> Size:
    sides = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text, re.ASCII)
    if not sides:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give width and height in pixels, such as 512x512")
    return Size(*map(int, sides.groups()))


def even_size(text: str) -> Size:
    """A size that H.264 can have."""
    if any(side % 2 for side in size(text)):
        raise argparse.ArgumentTypeError(f"{text!r} has an odd side; give even ones, as videos have them")
    return size(text)


def number(least: int, most: int | None = None, step: int = 1) -> Callable[[str], int]:
    """A type of whole numbers from `least` to `most`, included, that are multiples of `step`."""
    wanted = f"whole number from {least} {'on' if most is None else f'to {most}'}"
    if step > 1:
        wanted += f", a multiple of {step}"

    def whole_number(text: str) -> int:
        value = int(text) if re.fullmatch(r"\d+", text, re.ASCII) else -1
        if value < least or value % step or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text!r} cannot be; give a {wanted}")
        return value

    return whole_number


def model(text: str) -> str:
    """The name of a model that `film.load` knows."""
    try:
        registry.find(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def ended(what: str, status: int, said: str) -> RuntimeError:
    """The error of a process that ended with `status`, with its last words."""
    return RuntimeError(f"The {what} process ended with status {status}: {said.strip()[-1000:]}")
