"""One run of ffmpeg, which imageio-ffmpeg brings, with its own words when it fails."""

from __future__ import annotations

import base64
import contextlib
import math
import os
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import imageio_ffmpeg

from film.media import joined

# What a file from a stranger may be. Playlists and scripts (HLS, DASH, concat) are left out: they name other files.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,mxf,gif,wav,mp3,aac,flac"

LONGEST_SCRIPT = 90_000  # bytes; Linux takes arguments of 128 KiB, and in base64 it is a third longer
STOPPED = 255  # its status when a signal made it end


def local(path: str | os.PathLike[str]) -> str:
    """A path as ffmpeg has to be given it, so that no name is taken for an option or a protocol."""
    return "file:" + os.path.abspath(path)


def untrusted(path: str | os.PathLike[str]) -> list[str]:
    """The input arguments for a file from a stranger: one file of an ordinary container, and nothing it points to.

    Recordings that were joined (see `joined`) are read one after the other, by a script of our own that names them.
    ValueError if there are too many.
    """
    name, protocols, containers, script = local(path), "file", CONTAINERS, b""
    with contextlib.suppress(OSError):  # who opens it will be told
        for begin, end in joined.parts(path):
            part = f"subfile,,start,{begin},end,{end},,:{name}".replace("'", "'\\''")
            script += os.fsencode(f"file '{part}'\n")
    if b"\n" in os.fsencode(name):  # which would end a line of the script
        script = b""
    if script:
        if len(script) > LONGEST_SCRIPT:
            raise ValueError(f"{os.path.basename(path)} is made of too many recordings; join them again, with ffmpeg.")
        name = "data:text/plain;base64," + base64.b64encode(b"ffconcat version 1.0\n" + script).decode()
        protocols, containers = "file,subfile,data", f"{CONTAINERS},concat"
    named = ["-safe", "0", "-f", "concat"] if script else []
    return ["-protocol_whitelist", protocols, "-format_whitelist", containers, *named, "-i", name]


def started(arguments: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
    """ffmpeg, started. RuntimeError where it cannot be."""
    try:
        return subprocess.Popen([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *arguments], **streams)
    except OSError as error:
        raise RuntimeError(f"ffmpeg cannot be started: {error}") from error


class Ffmpeg:
    """ffmpeg at work, from entering the context to leaving it.

    Left in peace, it is waited for, and RuntimeError says in its own words why it failed; left by an exception, it is
    killed. What it has written is the caller's to keep or to delete.
    """

    def __init__(
        self,
        *arguments: str,
        reads: bool = False,
        writes: bool = False,
        limit: float | None = None,
        cwd: Path | None = None,
    ) -> None:
        """`reads`: it is fed by `write` (pipe:0); `writes`: it fills `output` (pipe:1); `limit`: the seconds of
        processor time it may take (not heeded on Windows); `cwd`: where it runs."""
        seconds = [] if limit is None else ["-timelimit", str(math.ceil(limit))]
        self._arguments = ["-loglevel", "error", "-y", *seconds, *arguments]
        self._limit = limit
        pipes = {True: subprocess.PIPE, False: subprocess.DEVNULL}
        self._options = {"stdin": pipes[reads], "stdout": pipes[writes], "cwd": cwd}

    def __enter__(self) -> Ffmpeg:
        self._words = _notepad()  # what it says
        self._process = started(self._arguments, stderr=self._words, **self._options)
        return self

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout
        return self._process.stdout

    def write(self, data: bytes | memoryview) -> None:
        """Feed it. RuntimeError if it has ended."""
        assert self._process.stdin
        try:
            self._process.stdin.write(data)
        except OSError:
            self._process.wait()
            raise self._failure() from None

    def exchange(self, data: bytes | None) -> bytes:
        """Feed it all of that, meanwhile take all that it gives."""
        return self._process.communicate(data)[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._words:
            if kind is not None:
                self._process.kill()
            if self._process.stdin:
                with contextlib.suppress(OSError):  # it has ended already; its status tells why
                    self._process.stdin.close()
            if self._process.stdout:
                self._process.stdout.close()
            if self._process.wait() and kind is None:
                raise self._failure()

    def _failure(self) -> RuntimeError:
        status = self._process.wait()
        self._words.seek(0)
        said = self._words.read().decode(errors="replace").strip()
        if not said and status == STOPPED and self._limit is not None:
            said = f"it was stopped after {self._limit:.0f} s of processor time, which is all it may take"
        if not said:
            said = f"it was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
        return RuntimeError(f"ffmpeg failed: {said[-2000:]}")


def _notepad() -> IO[bytes]:
    """A file for what ffmpeg says, so that it can never block the pipes; in memory, so that a full disk can be told."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("ffmpeg"), "w+b")
    return tempfile.TemporaryFile()


def packets(path: str | os.PathLike[str], *stream: str) -> Generator[tuple[Fraction, Fraction, Fraction]]:
    """Of each packet of a stranger's stream, in the order of the file, when it is decoded and shown, and how long it
    lasts, in seconds. `stream`: the options that choose it. RuntimeError with ffmpeg's own words."""
    command = ["-copyts", *untrusted(path), *stream, "-c", "copy", "-f", "framecrc", "pipe:1"]
    with Ffmpeg(*command, writes=True) as process:
        base = Fraction(1)
        for line in process.output:
            if line.startswith(b"#tb 0:"):
                base = Fraction(line.split()[2].decode())
            elif line[:1].isdigit():
                decoded, shown, lasting = (int(cell) * base for cell in line.split(b",")[1:4])
                yield decoded, shown, lasting


def run(*arguments: str, data: bytes | None = None) -> bytes:
    """Run it to its end, with data on pipe:0, and return what it wrote to pipe:1. RuntimeError with its own words when
    it fails."""
    with Ffmpeg(*arguments, reads=data is not None, writes=True) as process:
        return process.exchange(data)
