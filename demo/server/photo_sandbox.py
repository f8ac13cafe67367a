"""Strangers' photos, opened in a process of their own with limits on memory and time.

A decoder is a large C library that reads whatever it is given. A photo that crashes it, never ends or swells to
gigabytes must cost its sender one sentence and nobody else anything. So one small process, which has everything
imported, is handed a socket for each photo and forks (milliseconds); the child takes its limits, reads the task from
the socket, decodes, answers with plain pixels, and is gone, whatever happened in it. Where there is no fork (Windows)
photos are opened in the server.

The functions are those of `media.images`: an `images.Reader`.
"""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from demo.server.messages import is_disk_full
from demo.server.visitor_files import AnyPath, OpenSlots, OwnerOf, version
from film.media import images
from film.media.alpha import straight, with_alpha
from film.media.images import Frame
from film.support.memory import NotEnoughMemory

SECONDS = 10  # of processor time; a 50-megapixel HEIC takes two or three
WALL_CLOCK_FACTOR = 3  # times as much of the clock's, for a machine that is busy otherwise
START_SECONDS = 60  # of the clock's, until the process has imported what it needs
BYTES_PER_PIXEL = 28  # the decoder's copy, the turned one, a Frame, and some air
BASE_BYTES = 256 * 2**20  # beside the pixels
LINE = 24  # requests that may wait, beside films' own; more are turned away, so that they hold no threads
REMEMBERED = 1000  # sizes of photos
THUMBNAIL_QUALITY = 75
ROWS = 256  # that are turned into bytes at once
CHANNELS = 4  # of a pixel in an answer, at most
ROOT = Path(__file__).parents[2]  # where the process finds this module
HEAD_BYTES = 2**16  # of an answer


class PhotoSandbox:
    """Opens photos of up to `max_pixels` pixels, each within `seconds` of processor time. Shared by threads.

    `films` is how many films may ask for photos at the same time: the line for that is so much longer.
    """

    def __init__(
        self,
        max_pixels: int = images.MAX_PIXELS,
        seconds: int = SECONDS,
        films: int = 0,
        owner_of: OwnerOf = lambda path: None,
    ) -> None:
        self.max_pixels = max_pixels
        self.memory = BASE_BYTES + BYTES_PER_PIXEL * max_pixels  # beside what the process has from the start
        self._seconds = seconds
        self._isolated = hasattr(os, "fork") and hasattr(socket, "send_fds")
        self._opening = OpenSlots("photos", LINE + films, owner_of)
        self._measured = lru_cache(REMEMBERED)(self._measure)  # raises what is not to be remembered
        self._lock = threading.Lock()  # guards what follows
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def image_size(self, path: AnyPath, max_pixels: int = images.MAX_PIXELS) -> tuple[int, int]:
        """`images.image_size`, of a photo that was decoded to its end: what is damaged is refused here."""
        return self._measured(max_pixels, *version(path))

    def read_image(self, path: AnyPath, max_pixels: int = images.MAX_PIXELS, alpha: bool = False) -> Frame:
        """`images.read_image`, in 8 bits."""
        answer, data = self._ask("read", path, max_pixels, alpha=alpha)
        (height, width), channels = self._size(answer), 4 if answer["alpha"] is True else 3
        frame = images.to_frame(np.frombuffer(data, np.uint8).reshape(height, width, channels))
        return with_alpha(frame[..., :3], frame[..., 3]) if channels == 4 else frame

    def has_alpha(self, path: AnyPath, max_pixels: int = images.MAX_PIXELS) -> bool:
        """`images.has_alpha`."""
        return self._ask("alpha", path, max_pixels)[0]["alpha"] is True

    def save_jpeg(self, path: AnyPath, target: AnyPath) -> None:
        """The photo as a JPEG that every browser shows."""
        Path(target).write_bytes(self._ask("jpeg", path, side=0, quality=95)[1])

    def thumbnail(self, path: AnyPath, side: int) -> bytes:
        """The photo as a small JPEG, its longest side `side` pixels."""
        return self._ask("jpeg", path, side=side, quality=THUMBNAIL_QUALITY)[1]

    def start(self) -> None:
        """Start the process now, so that the first photo need not wait for it."""
        if self._isolated:
            with self._lock:
                self._running()

    def _measure(self, max_pixels: int, path: str, _: str) -> tuple[int, int]:
        return self._size(self._ask("measure", path, max_pixels)[0])

    def _size(self, answer: dict[str, Any]) -> tuple[int, int]:
        height, width = map(int, answer["size"])
        if not 0 < height * width <= self.max_pixels:  # the child has read a stranger's file: it is not trusted either
            raise ValueError("The photo was not read.")
        return height, width

    def _ask(
        self, task: str, path: AnyPath, max_pixels: int = images.MAX_PIXELS, **more: int
    ) -> tuple[dict[str, Any], bytes]:
        """The answer to a task, and the bytes that belong to it. ValueError as in `images`; TooMany."""
        request = {"task": task, "path": os.path.abspath(path), "max_pixels": min(max_pixels, self.max_pixels)}
        request |= {"seconds": self._seconds, "memory": self.memory, **more}
        with self._opening.turn(path), self._answer(request) as stream:
            try:
                answer = dict(json.loads(stream.readline(HEAD_BYTES)))
                data = stream.read(max(0, min(answer["bytes"], CHANNELS * self.max_pixels)))
            except (ValueError, OSError):  # it was ended by a limit, or crashed
                answer, data = {"bytes": 1}, b""
        if words := answer.get("disk_full"):
            raise OSError(errno.ENOSPC, words)
        if refusal := answer.get("refusal"):
            raise ValueError(refusal)
        if len(data) < answer["bytes"]:
            raise ValueError(f"{Path(path).name} cannot be read: decoding it takes too long, or breaks the decoder.")
        return answer, data

    def _answer(self, request: dict[str, Any]) -> IO[bytes]:
        """What a task is answered with; it may still come in."""
        if not self._isolated:
            _work(request, done := io.BytesIO())
            done.seek(0)
            return done
        ours, theirs = socket.socketpair()
        with ours:
            ours.settimeout(START_SECONDS + WALL_CLOCK_FACTOR * self._seconds)  # if its alarm should not ring
            ours.sendall(json.dumps(request).encode() + b"\n")
            with theirs, self._lock:
                try:
                    socket.send_fds(self._running(), [b"+"], [theirs.fileno()])
                except OSError as error:  # it was killed from outside just now, for memory perhaps
                    raise RuntimeError("Photos cannot be opened here at this moment. Try again.") from error
            return ours.makefile("rb")

    def _running(self) -> socket.socket:
        """The socket to the running process. Called with the lock held."""
        if self._process is None or self._process.poll() is not None or self._control is None:
            if self._control:
                self._control.close()
            self._control, theirs = socket.socketpair()
            # A photo gains nothing from OpenBLAS's threads, and a process that forks is better without.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            with theirs:
                command = [sys.executable, "-m", __name__]
                self._process = subprocess.Popen(command, env=environment, stdin=theirs.fileno(), cwd=ROOT)
        return self._control


def _work(request: dict[str, Any], stream: IO[bytes]) -> None:
    """Answer what `PhotoSandbox._ask` asks for: with a line of JSON, and the bytes that it announces."""
    name, parts = Path(request["path"]).name, iter([b""])
    try:
        answer, parts = _opened(request)
    except (MemoryError, NotEnoughMemory):
        answer = {"refusal": f"{name} cannot be read: decoding it takes more memory than a photo of its size."}
    except ValueError as error:
        answer = {"refusal": str(error)}
    except OSError as error:
        if not is_disk_full(error):
            raise
        answer = {"disk_full": os.strerror(errno.ENOSPC)}
    stream.write(json.dumps({"bytes": 0, **answer}).encode() + b"\n")
    stream.writelines(parts)


def _opened(request: dict[str, Any]) -> tuple[dict[str, Any], Iterator[bytes]]:
    task, path, max_pixels = request["task"], request["path"], request["max_pixels"]
    if task == "measure":
        return {"size": images.image_size(path, max_pixels, to_the_end=True)}, iter(())
    if task == "alpha":
        return {"alpha": images.has_alpha(path, max_pixels)}, iter(())
    frame = images.read_image(path, max_pixels, alpha=bool(request.get("alpha")))
    if task == "read":
        return {"size": frame.shape[:2], "alpha": frame.shape[2] == 4, "bytes": frame.size}, _rows(frame)
    side = request["side"] or max(frame.shape)
    step = max(1, max(frame.shape) // (2 * side))
    seen = frame[::step, ::step]
    picture = Image.frombytes("RGB", (seen.shape[1], seen.shape[0]), b"".join(_rows(seen)))
    picture.thumbnail((side, side))
    picture.save(jpeg := io.BytesIO(), "jpeg", quality=request["quality"], subsampling=0 if step == 1 else 2)
    return {"bytes": jpeg.tell()}, iter([jpeg.getvalue()])


def _rows(frame: Frame) -> Iterator[bytes]:
    """The frame's pixels, some rows at a time: all at once would take its memory thrice."""
    for top in range(0, len(frame), ROWS):
        rows = frame[top : top + ROWS]
        yield images.to_uint8(straight(rows) if frame.shape[2] == 4 else rows).tobytes()


def _child(line: socket.socket) -> None:
    """One photo, in a process that ends after it."""
    import resource

    with line.makefile("rwb") as stream:
        request = json.loads(stream.readline())
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(WALL_CLOCK_FACTOR * request["seconds"])
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if _LINUX else 0
        limits = {resource.RLIMIT_CPU: request["seconds"], resource.RLIMIT_CORE: 0}
        if _LINUX:  # elsewhere the limit counts what is shared with the system, or is not obeyed
            limits[resource.RLIMIT_AS] = mapped + request["memory"]
        for limit, value in limits.items():
            resource.setrlimit(limit, (value, value))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries mumble about damage
        _work(request, stream)  # type: ignore[arg-type]


_LINUX = sys.platform == "linux"


def main() -> None:
    """Fork for each socket that comes through standard input, until its other end is closed."""
    Image.init()  # all formats now, not in each child
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how children ended: they have said so, or not
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the server, which closes the socket when it ends
    with socket.socket(fileno=0) as control:
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not data:
                return
            with socket.socket(fileno=descriptors[0]) as line:
                if os.fork() == 0:
                    status = 1
                    try:
                        control.close()
                        _child(line)
                        status = 0
                    finally:
                        os._exit(status)  # no clean-up of what was forked: it belongs to the parent


if __name__ == "__main__":
    main()
