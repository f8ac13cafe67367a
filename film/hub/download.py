"""Downloads of TensorFlow Hub modules: bounded in time, compared with their checksums, there completely or not at all.

A module is asked for, and kept, as TensorFlow Hub documents it (tensorflow.org/hub/hosting and /hub/caching), so that
`hub.load` finds it too. Its own `hub.resolve` waits for ever for a hub that falls silent, and ten minutes for the lock
of a program that was killed while it downloaded.
"""

from __future__ import annotations

import http.client
import math
import os
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import IO, cast

from filelock import FileLock

from film.hub import saved_model
from film.support import atomic_file

SECONDS = 1800.0  # for the 134 MB of the official model that is a line of 75 kB/s
SILENCE = 60.0  # without one byte; far above what a busy server takes to answer


def time_limit() -> float:
    """Seconds a download may take: FILM_DOWNLOAD_SECONDS, else half an hour. ValueError for an unusable setting."""
    setting = os.environ.get("FILM_DOWNLOAD_SECONDS") or SECONDS
    try:
        seconds = float(setting)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"FILM_DOWNLOAD_SECONDS is {setting!r}; it must be a number of seconds above 0.")
    return seconds


def download(handle: str, directory: Path, limit: float) -> None:
    """Put the module of that URL at `directory`, unless an undamaged one is there; a damaged one is replaced.

    One process at a time; what a killed one left is deleted. It ends after `limit` seconds, or a minute of silence.
    Raises whatever the network, the disk and TensorFlow Hub raise; RuntimeError if what comes is no SavedModel.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(directory.with_name(f"{directory.name}.film.lock")):
        if not saved_model.damage(directory):  # meanwhile, by another process
            return
        try:
            with atomic_file.folder(directory) as partial:
                _unpack(handle, partial, limit)
                if damage := saved_model.damage(partial):
                    raise RuntimeError(f"what it answered is not a SavedModel, or a damaged one: {damage}")
        except OSError:
            if saved_model.damage(directory):  # else another program that uses TensorFlow Hub was faster
                raise


def _unpack(handle: str, directory: Path, limit: float) -> None:
    url = handle + ("&" if "?" in handle else "?") + "tf-hub-format=compressed"
    if not hasattr(tarfile, "data_filter"):  # whose `extractall` takes no filter either
        raise RuntimeError("this Python unpacks no archives of others safely; it takes 3.10.12, 3.11.4, 3.12 or later")
    end = time.monotonic() + limit
    with urllib.request.urlopen(url, timeout=min(limit, SILENCE)) as response:
        with tarfile.open(fileobj=cast(IO[bytes], _Bounded(response, end, limit)), mode="r|*") as archive:
            archive.extractall(directory, filter=_checked)


def _checked(member: tarfile.TarInfo, directory: str) -> tarfile.TarInfo:
    """The member as it may be unpacked: below the directory, without rights or owners of its own, and no link."""
    if not (member.isfile() or member.isdir()):
        raise RuntimeError(f"what it answered holds {member.name}, which no module has")
    return tarfile.data_filter(member, directory)


class _Bounded:
    """A response that ends in time, and whole or by an error: tarfile would take half of it for a smaller archive."""

    def __init__(self, response: http.client.HTTPResponse, end: float, limit: float) -> None:
        self._response = response
        self._end = end
        self._limit = limit
        self._received = 0
        self._expected = response.length  # bytes; None where the server does not tell

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        data = bytearray()
        while len(data) < size and (part := self._part(size - len(data))):
            data += part
        return bytes(data)

    def _part(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are some."""
        try:
            part = self._response.read1(size)
        except TimeoutError as error:
            raise TimeoutError(f"nothing came for {min(self._limit, SILENCE):g} s, {self._so_far()}") from error
        self._received += len(part)
        if not part and self._expected and self._received < self._expected:
            raise ConnectionError(f"the connection ended early, {self._so_far()}")
        if time.monotonic() > self._end:
            raise TimeoutError(f"not complete after {self._limit:g} s (FILM_DOWNLOAD_SECONDS), {self._so_far()}")
        return part

    def _so_far(self) -> str:
        return f"after {self._received} bytes" + (f" of {self._expected}" if self._expected else "")
