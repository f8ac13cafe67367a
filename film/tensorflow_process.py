"""TensorFlow in a process of its own, for the two things that need it once: download a model, convert a model.

TensorFlow takes half a gigabyte that a process never gives back, and speaks on standard error as it pleases. So
the program that makes films starts `python -m film.tensorflow_process …`, waits, and passes on what went wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from film import catalog, convert

USER_ERROR, FAILURE = 2, 3  # exit codes whose standard output is the message of a ValueError, of a RuntimeError


def fetch(model: catalog.Model) -> Path:
    """`catalog.fetch` in a process of its own; not started if the model is here already. Same errors."""
    return catalog.downloaded(model) or Path(_run("fetch", model.handle))


def convert_model(saved_model: Path, cache: Path) -> convert.Converted:
    """`convert.convert` in a process of its own; not started if the converted model is in the cache. Same errors."""
    key = convert.fingerprint(saved_model)
    if converted := convert.find(key, cache):
        return converted
    _run("convert", str(saved_model), str(cache))
    converted = convert.find(key, cache)
    if converted is None:
        raise RuntimeError(f"The converted model cannot be read back from {cache}.")
    return converted


def _run(*arguments: str) -> str:
    paths = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    child = subprocess.run(
        [sys.executable, "-m", __name__, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    said = child.stdout.strip().rpartition("\n")[2]
    if child.returncode == 0:
        return said
    if child.returncode == USER_ERROR:
        raise ValueError(said)
    if child.returncode == FAILURE:
        raise RuntimeError(said)
    last_words = child.stderr.strip()[-1000:]
    raise RuntimeError(f"TensorFlow's process ended with status {child.returncode}: {last_words}")


def main(arguments: Sequence[str]) -> int:
    """Run one task; its result, or the message of its error, is the last line of standard output."""
    try:
        match arguments:
            case ["fetch", handle]:
                print(catalog.fetch(catalog.find(handle)))
            case ["convert", saved_model, cache]:
                print(convert.convert(Path(saved_model), Path(cache)).directory)
    except (ValueError, RuntimeError) as error:
        print(" ".join(str(error).split()))
        return USER_ERROR if isinstance(error, ValueError) else FAILURE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
