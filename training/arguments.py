"""What the command lines of training, scoring and export share."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager


def positive(text: str) -> int:
    """A type for argparse: a whole number of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


@contextmanager
def reading(parser: argparse.ArgumentParser) -> Iterator[None]:
    """What cannot be read or used of the user's input ends the command with one sentence instead of a traceback.
    Only for reading: an OSError or ValueError of the computing itself is a defect and wants its traceback."""
    try:
        yield
    except (OSError, ValueError) as error:
        parser.error(" ".join(str(error).split()))
