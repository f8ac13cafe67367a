"""A TensorFlow Hub of the tests' own: it serves one body, as fast, as slowly or as incompletely as a test wants."""

from __future__ import annotations

import contextlib
import http.server
import io
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

from tests.conftest import SMALL_FILM

BLOCK = 16 << 10  # bytes sent at once


def archive(directory: Path = SMALL_FILM) -> bytes:
    """A SavedModel as TensorFlow Hub serves modules."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        tar.add(directory, arcname=".")
    return file.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client was killed, or has lost its patience
            for start in range(0, len(self.server.body), BLOCK):
                if self.server.pace(start) or self.server.closing.is_set():
                    return
                self.wfile.write(self.server.body[start : start + BLOCK])

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """A web server on this machine that answers every request with one body.

    `pace` is called before each block with the number of bytes sent so far: it may sleep, or return True to end the
    connection there. `closing` is set when the server is to end, for a pace that waits.
    """

    def __init__(self, body: bytes, kind: str = "application/gzip") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.kind, self.requests = body, kind, list[str]()
        self.pace: Callable[[int], object] = lambda sent: None
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/film"
        threading.Thread(target=self.serve_forever, args=(0.02,)).start()

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
