"""Strangers' photos, opened in a process of their own with limits on memory and time.

A decoder is a large C library that reads whatever it is given. A photo that crashes it, never ends or swells to
gigabytes must cost its sender one sentence and nobody else anything. So one small process, which has everything
imported, forks for each photo (milliseconds); the child takes its limits, decodes, writes plain pixels into a file it
was handed, and is gone, whatever happened in it. Where there is no fork (Windows) photos are opened in the server.

The functions are those of `media.images`: an `images.Reader`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from demo.server.messages import is_disk_full
from demo.server.visitor_files import OpenSlots, version
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


class PhotoSandbox:
    """Opens photos of up to `max_pixels` pixels, each within `seconds` of processor time. Shared by threads.

    `films` is how many films may ask for photos at the same time: the line for that is so much longer.
    """

    def __init__(self, max_pixels: int = images.MAX_PIXELS, seconds: int = SECONDS, films: int = 0) -> None:
        self.max_pixels = max_pixels
        self.memory = BASE_BYTES + BYTES_PER_PIXEL * max_pixels  # beside what the process has from the start
        self._seconds = seconds
        self._isolated = hasattr(os, "fork") and hasattr(socket, "send_fds")
        self._opening = OpenSlots("photos", LINE + films)
        self._measured = lru_cache(REMEMBERED)(self._measure)  # raises what is not to be remembered
        self._lock = threading.Lock()  # guards what follows
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def image_size(self, path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS) -> tuple[int, int]:
        """`images.image_size`, of a photo that was decoded to its end: what is damaged is refused here."""
        return self._measured(max_pixels, *version(path))

    def read_image(
        self, path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS, alpha: bool = False
    ) -> Frame:
        """`images.read_image`, in 8 bits."""
        with tempfile.TemporaryFile() as pixels:
            answer = self._ask("read", path, max_pixels, pixels, alpha=int(alpha))
            (height, width), channels = self._size(answer), 4 if answer["alpha"] is True else 3
            pixels.seek(0)
            values = np.fromfile(pixels, np.uint8, height * width * channels).reshape(height, width, channels)
        frame = images.to_frame(values)
        return with_alpha(frame[..., :3], frame[..., 3]) if channels == 4 else frame

    def has_alpha(self, path: str | os.PathLike[str], max_pixels: int = images.MAX_PIXELS) -> bool:
        """`images.has_alpha`."""
        return self._ask("alpha", path, max_pixels, None)["alpha"] is True

    def save_jpeg(self, path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
        """The photo as a JPEG that every browser shows."""
        with open(target, "wb") as jpeg:
            self._ask("jpeg", path, images.MAX_PIXELS, jpeg)

    def thumbnail(self, path: str | os.PathLike[str], side: int) -> bytes:
        """The photo as a small JPEG, its longest side `side` pixels."""
        with tempfile.TemporaryFile() as jpeg:
            self._ask("thumbnail", path, images.MAX_PIXELS, jpeg, side=side)
            jpeg.seek(0)
            return jpeg.read()

    def start(self) -> None:
        """Start the process now, so that the first photo need not wait for it."""
        if self._isolated:
            with self._lock:
                self._connection()

    def _measure(self, max_pixels: int, path: str, _: str) -> tuple[int, int]:
        return self._size(self._ask("measure", path, max_pixels, None))

    def _size(self, answer: dict[str, Any]) -> tuple[int, int]:
        height, width = map(int, answer["size"])
        if not 0 < height * width <= self.max_pixels:  # the child has read a stranger's file: it is not trusted either
            raise ValueError("The photo was not read.")
        return height, width

    def _ask(
        self, task: str, path: str | os.PathLike[str], max_pixels: int, output: IO[bytes] | None, **more: int
    ) -> dict[str, Any]:
        """The answer to a task. ValueError as in `images`; TooMany."""
        request = {"task": task, "path": os.fspath(path), "max_pixels": min(max_pixels, self.max_pixels)}
        request |= {"seconds": self._seconds, "memory": self.memory, **more}
        with self._opening.turn():
            answer = self._answer(request, output) if self._isolated else _work(request, output)
        if words := answer.get("disk_full"):
            raise OSError(errno.ENOSPC, words)
        if refusal := answer.get("refusal"):
            raise ValueError(refusal)
        return answer

    def _answer(self, request: dict[str, Any], output: IO[bytes] | None) -> dict[str, Any]:
        ours, theirs = socket.socketpair()
        with ours, open(os.devnull, "wb") as nothing:
            with theirs, self._lock:
                descriptors = [theirs.fileno(), (output or nothing).fileno()]
                try:
                    self._hand_over(request, descriptors)
                except OSError:  # the process has ended: killed from outside, for memory perhaps
                    self._end()
                    try:
                        self._hand_over(request, descriptors)
                    except OSError as error:
                        self._end()
                        raise RuntimeError("Photos cannot be opened here at this moment. Try again later.") from error
            ours.settimeout((WALL_CLOCK_FACTOR + 1) * self._seconds)
            said = b""
            with contextlib.suppress(TimeoutError):  # its alarm did not ring; what it has not said counts as below
                while data := ours.recv(65536):
                    said += data
        try:
            return dict(json.loads(said))
        except ValueError:  # it was ended by a limit, or crashed
            name = Path(request["path"]).name
            raise ValueError(f"{name} cannot be read: decoding it takes too long, or breaks the decoder.") from None

    def _hand_over(self, request: dict[str, Any], descriptors: list[int]) -> None:
        connection = self._connection()
        socket.send_fds(connection, [json.dumps(request).encode()], descriptors)
        if connection.recv(1) != b"+":
            raise ConnectionResetError("the process that opens photos has ended")

    def _end(self) -> None:
        """Be rid of the process, whatever it is doing. Called with the lock held."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
        if self._socket:
            self._socket.close()

    def _connection(self) -> socket.socket:
        """The socket to the running process. Called with the lock held."""
        if self._process is None or self._process.poll() is not None or self._socket is None:
            ours, theirs = socket.socketpair()
            # A photo gains nothing from OpenBLAS's threads, and a process that forks is better without.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(theirs.fileno())],
                    env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            ours.settimeout(START_SECONDS)
            self._socket = ours
        return self._socket


def _work(request: dict[str, Any], output: IO[bytes] | None) -> dict[str, Any]:
    """Do what `PhotoSandbox._ask` asks for."""
    try:
        if request["task"] == "measure":
            return {"size": images.image_size(request["path"], request["max_pixels"], to_the_end=True)}
        if request["task"] == "alpha":
            return {"alpha": images.has_alpha(request["path"], request["max_pixels"])}
        frame = images.read_image(request["path"], request["max_pixels"], alpha=bool(request.get("alpha")))
    except (MemoryError, NotEnoughMemory):
        name = Path(request["path"]).name
        return {"refusal": f"{name} cannot be read: decoding it takes more memory than a photo of its size."}
    except ValueError as error:
        return {"refusal": str(error)}
    if output and request["task"] == "read":
        for rows in _rows(frame):
            output.write(rows.data)
    elif output and request["task"] == "jpeg":
        pixels = np.concatenate(list(_rows(frame)))
        Image.fromarray(pixels).save(output, "jpeg", quality=95, subsampling=0)
    elif output and request["task"] == "thumbnail":
        step = max(1, max(frame.shape) // (2 * request["side"]))
        small = Image.fromarray(images.to_uint8(frame[::step, ::step]))
        small.thumbnail((request["side"], request["side"]))
        small.save(output, "jpeg", quality=THUMBNAIL_QUALITY)
    return {"size": frame.shape[:2], "alpha": frame.shape[2] == 4}


def _rows(frame: Frame) -> Iterator[np.ndarray]:
    """The frame's bytes, some rows at a time: all at once would take its memory thrice."""
    rows = (frame[top : top + ROWS] for top in range(0, len(frame), ROWS))
    return (images.to_uint8(straight(some) if frame.shape[2] == 4 else some) for some in rows)


def _child(request: dict[str, Any], answer: int, output: int) -> None:
    """One photo, in a process that ends after it."""
    import resource

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(WALL_CLOCK_FACTOR * request["seconds"])
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if _LINUX else 0
    limits = {resource.RLIMIT_CPU: request["seconds"], resource.RLIMIT_CORE: 0}
    if _LINUX:  # elsewhere the limit counts what is shared with the system, or is not obeyed
        limits[resource.RLIMIT_AS] = mapped + request["memory"]
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries mumble about damage
    try:
        with open(output, "wb") as file:
            said = _work(request, file)
    except OSError as error:
        if not is_disk_full(error):
            raise
        said = {"disk_full": os.strerror(errno.ENOSPC)}
    with open(answer, "wb") as file:
        file.write(json.dumps(said).encode())


_LINUX = sys.platform == "linux"


def main(descriptor: int) -> None:
    """Fork for each request that comes through the socket, until its other end is closed."""
    Image.init()  # all formats now, not in each child
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how children ended: they have said so, or not
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the server, which closes the socket when it ends
    with socket.socket(fileno=descriptor) as connection:
        while True:
            data, descriptors, _, _ = socket.recv_fds(connection, 65536, 2)
            if not data:
                return
            if os.fork() == 0:
                status = 1
                try:
                    connection.close()
                    _child(json.loads(data), *descriptors)
                    status = 0
                finally:
                    os._exit(status)  # no clean-up of what was forked: it belongs to the parent
            for other in descriptors:
                os.close(other)
            connection.sendall(b"+")


if __name__ == "__main__":
    main(int(sys.argv[1]))
