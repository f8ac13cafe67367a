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


class Server:
    """A web server on this machine that answers every request with one body.

    `pace` is called before each block with the number of bytes sent so far: it may sleep, or return True to end the
    connection there. `closing` is set when the server is to end, for a pace that waits.
    """

    def __init__(self, body: bytes, kind: str = "application/gzip") -> None:
        self.requests: list[str] = []
        self.pace: Callable[[int], object] = lambda sent: None
        self.closing = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # the client was killed, or has lost its patience
                    for start in range(0, len(body), BLOCK):
                        if server.pace(start) or server.closing.is_set():
                            return
                        self.wfile.write(body[start : start + BLOCK])

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/film"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
