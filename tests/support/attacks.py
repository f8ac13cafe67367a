"""A hostile visitor: sends files, orders and requests to a real server, and finds fault with every answer.

An answer is faultless if it comes, shows no traceback and no path of the machine, gives away no file that is not the
visitor's, and is either a film or a refusal in words.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo.api.endpoints import ENDPOINTS, FILES
from tests.support.serving import ROOT, TIMEOUT

WORDS = ["Traceback", 'File "', "site-packages", "root:x:0", "PATH=", str(ROOT), sys.prefix, sys.base_prefix]
SHOWN = re.compile("|".join(map(re.escape, dict.fromkeys(WORDS))))  # what no answer shows
API = "/gradio_api"
RETIMED = [2, "film-lite", "CPU", 512, "mp4", 80, "loop", True, 15, None]  # an order for a video, after the video
RETIMED += [None, None, None, None, 8, "auto", None, False]
VIDEOS = (".mp4", ".webm", ".mkv")  # names of files that are ordered as videos
# What no parameter takes.
NOTHING = [[], [1], {}, {"path": 1}, {"a": {}}, "x", -1, 1e308, "9" * 5000]
PLACES = r"""
    http://127.0.0.1:1/photo.jpg http://[::1]:1/photo.jpg http://0x7f.1/photo.jpg http://169.254.169.254/latest/meta-data/
    file:///etc/passwd ftp://127.0.0.1/photo.jpg gopher://127.0.0.1:1/_photo data:image/png;base64,iVBORw0KGgo=
    /etc/passwd ../../etc/passwd /proc/self/environ /dev/zero \\server\share\photo.jpg C:\Windows\win.ini
    film/models/film-lite $(touch${IFS}/tmp/was-here) {{7*7}} %s%s%n
""".split()


@dataclass(frozen=True)
class Answer:
    case: str
    status: int
    text: str  # for an order the events that were streamed back
    seconds: float
    asked: str  # what was sent: an answer may repeat it

    def faults(self) -> list[str]:
        found = [f"shows {shown!r}" for shown in set(SHOWN.findall(self.text)) if shown not in self.asked]
        if self.status >= 500 and self.status != 507:
            found.append(f"has status {self.status}")
        return [f"{self.case}: {fault}: {self.text[:300]!r}" for fault in found]

    @property
    def made(self) -> bool:
        return "event: complete" in self.text

    @property
    def event(self) -> str:
        """The name of the film that was asked for."""
        return str(json.loads(self.text)["event_id"])

    @property
    def refusal(self) -> str:
        """The words in which an order was refused, if it was."""
        if error := re.search(r"event: error\ndata: (.*)", self.text):
            return str((json.loads(error[1]) or {}).get("error"))
        return "" if self.made else self.text


class Attacker:
    """Speaks plain HTTP to a server, byte for byte: no client library tidies up what it sends."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self._address, self._headers = urlsplit(url), headers or {}  # which come with every request

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, case: str = ""
    ) -> Answer:
        started = time.monotonic()
        line = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=TIMEOUT)
        with closing(line) as connection:
            connection.request(method, path, body, self._headers | (headers or {}))
            response = connection.getresponse()
            try:
                text = response.read(2**20).decode(errors="replace")
            except http.client.IncompleteRead as cut:  # a stream of events that ends with an error
                text = cut.partial.decode(errors="replace")
        asked = f"{path} {body[:4096]!r}"
        return Answer(case or f"{method} {path}", response.status, text, time.monotonic() - started, asked)

    def post(self, path: str, payload: Any, case: str = "") -> Answer:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.request("POST", path, body, {"content-type": "application/json"}, case)

    @staticmethod
    def part(name: str, data: bytes) -> bytes:
        """A file of a form."""
        return f'Content-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode() + data

    def upload(self, name: str, data: bytes) -> Answer:
        return self.form(self.part(name.replace('"', "%22"), data), case=name)

    def form(self, *parts: bytes, case: str = "") -> Answer:
        """Send an upload whose parts are given whole, headers and all."""
        body = b"".join(b"--a-mark\r\n" + part + b"\r\n" for part in parts) + b"--a-mark--\r\n"
        kind = {"content-type": "multipart/form-data; boundary=a-mark"}
        return self.request("POST", f"{API}/upload", body, kind, case)

    def order(self, *values: Any, case: str = "", endpoint: str = "interpolate") -> Answer:
        """Ask for a film and wait for its end."""
        started = time.monotonic()
        asked = self.post(f"{API}/call/{endpoint}", {"data": list(values)}, case)
        if asked.status != 200:
            return asked
        told = self.request("GET", f"{API}/call/{endpoint}/{asked.event}")
        return Answer(case, told.status, told.text, time.monotonic() - started, asked.asked)

    def photo(self, name: str, data: bytes) -> dict[str, Any]:
        """A photo, or a video, that was uploaded, as an order names it."""
        return file(json.loads(self.upload(name, data).text)[0])

    def photos(self, *paths: Path) -> list[dict[str, Any]]:
        return [self.photo(path.name, path.read_bytes()) for path in paths]

    def order_with(self, name: str, data: bytes, other: dict[str, Any]) -> Answer:
        """The slow motion of this file if it is named as a video, else a film from it to a photo that is in order."""
        uploaded = self.upload(name, data)
        if uploaded.status != 200:
            return uploaded
        sent = file(json.loads(uploaded.text)[0])
        if name.endswith(VIDEOS):
            return self.order(sent, *RETIMED, case=name, endpoint="retime")
        return self.order(*pair_order(sent, other), case=name)


def file(path: Any, **more: Any) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def pair_order(first: Any, last: Any, depth: int = 1, count: int | None = None, longest_side: int = 512) -> list[Any]:
    """An order for a film of two photos."""
    values = [first, last, depth, 15, "film-lite", "CPU", longest_side, "mp4", 80, "loop", count]
    return [*values, None, "linear", None, 8]


def wrong_orders(photo: dict[str, Any], clip: dict[str, Any], listener: str) -> Iterator[tuple[str, str, list[Any]]]:
    """(endpoint, name, values) of orders that must be refused; `listener` is an address that must never be visited."""
    rests = ("photo.jpg", "saved_model.pb", "@169.254.169.254/", "%2e%2e/photo.png")
    places = [*PLACES, "photo\0.jpg", *(f"{listener}/{rest}" for rest in rests)]
    here, above, *_ = Path(photo["path"]).parents
    places += [str(ROOT / "app.py"), str(ROOT / "film" / "models" / "film-lite")]
    places += [f"{here}/{'../' * 6}etc/passwd", f"{above}/scratch"]
    photos = pair_order(photo, photo)
    many = [[photo, photo], *photos[2:]]
    for endpoint, right in (("interpolate", photos), ("interpolate_many", many), ("retime", [clip, *RETIMED])):
        for place, name in enumerate(ENDPOINTS[endpoint][0].split()):
            before, after = right[:place], right[place + 1 :]
            for value in NOTHING:
                yield endpoint, f"{name} is {str(value)[:20]!r}", [*before, value, *after]
            for value in places:
                shapes = [value, file(value), {"path": value}, file(value, url=value), file(None, url=value)]
                if name == "photos":
                    shapes = [[photo, shape] for shape in shapes]
                for shape in shapes if name in FILES else [value, file(value)]:
                    yield endpoint, f"{name} is {json.dumps(shape)[:70]}", [*before, shape, *after]
        for count in (0, 1, 5):  # Gradio ignores more than there are
            yield endpoint, f"{count} values", right[:count]
    yield "interpolate", "first is a video", [clip, *photos[1:]]
    yield "interpolate_many", "a video among the photos", [[photo, clip], *many[1:]]
    yield "interpolate_many", "photos in photos", [[[photo], [photo]], *many[1:]]
    yield "interpolate_many", "one photo", [[photo], *many[1:]]
    yield "interpolate_many", "1,000 photos", [[photo] * 1000, *many[1:]]
    yield "retime", "video is a photo", [photo, *RETIMED]
    yield "retime", "nothing changes", [clip, 1, *RETIMED[1:]]


def wrong_bodies(photo: dict[str, Any], clip: dict[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """(name, path, body) of requests that are no orders at all."""
    data = json.dumps(pair_order(photo, photo))
    video = json.dumps([clip, *RETIMED])
    call = f"{API}/call/interpolate"
    values = (("depth", data, " 1,"), ("fps", data, " 15,"), ("slowdown", video, " 2,"), ("cut", video, " 15,"))
    for number, (name, order, right) in itertools.product(("NaN", "-Infinity", "1e999", "-0", "1" * 5000), values):
        path = f"{API}/call/{'interpolate' if order is data else 'retime'}"
        yield f"{name} {number[:20]}", path, f'{{"data": {order.replace(right, f" {number},")}}}'.encode()
    yield "deep", call, b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield "large", call, b'{"data": ["' + b"x" * 3 * 2**20 + b'"]}'
    yield "two keys", call, b'{"data": [], "data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]}'
    empty = [b"", b"null", b"[]", b"{}", b'"', b"\xff\xfe", b"data=1"]
    empty += [b'{"data": %s}' % nothing for nothing in (b"{}", b"5", b"null")]
    for body, place in itertools.product(empty, ("call/interpolate", "queue/join", "cancel", "run/predict")):
        yield f"{place} {body!r}", f"{API}/{place}", body
    for index in (-1, 0, 3, 99, 2**40, "x", None, [], 1.5):
        for values in ([], [None] * 12, [photo] * 12, ["x"] * 12, [10**6], [{}] * 2):
            body = {"data": values, "fn_index": index, "session_hash": "hostile"}
            yield f"function {index} of {str(values)[:20]}", f"{API}/run/predict", json.dumps(body).encode()
    body = {"data": [], "fn_index": 0, "session_hash": "hostile", "event_data": {"path": "/etc/passwd"}}
    yield "an event's path", f"{API}/run/predict", json.dumps(body).encode()
    for name in ("nonesuch", "show_film", "predict", "../interpolate", "interpolate/../../config"):
        yield f"call {name}", f"{API}/call/{name}", f'{{"data": {data}}}'.encode()


def wrong_requests(own: str, listener: str) -> Iterator[tuple[str, str]]:
    """(method, path) of what must give nothing away; `own` is the path of a file that the visitor uploaded."""
    folder = str(Path(own).parents[1])
    parent = Path(own).parent
    files = """
        /etc/passwd //etc/passwd /./etc/passwd /proc/self/environ /proc/self/cmdline /dev/zero app.py
        ../../etc/passwd ....//....//etc/passwd file:///etc/passwd \\\\server\\share\\photo.jpg / .
        http://169.254.169.254/latest/ http://127.0.0.1:1/ ftp://127.0.0.1/x
        %2fetc%2fpasswd %252fetc%252fpasswd /etc%2fpasswd ..%5c..%5cwindows%5cwin.ini
    """.split()
    files += ["", "/" + "x" * 5000, f"{listener}/photo.jpg", f"{own}%00.jpg", f"{folder}/{'0' * 64}/film.mp4", folder]
    files += [str(ROOT / name) for name in ("app.py", "README.md", "examples/studio.py", ".git/config")]
    files += [f"{folder}/{rest}" for rest in ("", "scratch", "scratch/", "examples", "../log.txt")]
    files += [f"{parent}/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", f"{parent}/%2e%2e/%2e%2e/%2e%2e/etc/passwd"]
    files += [f"{up}/../../../../../../etc/passwd" for up in (parent, own, f"{folder}/examples")]
    for place in (f"{API}/file=", f"{API}/file/", f"{API}/proxy=", "/static/", "/assets/", f"{API}/stream/"):
        yield from (("GET", place + path) for path in files)
    yield from (("HEAD", f"{API}/file={path}") for path in files)
    elsewhere = """
        /monitoring /monitoring/summary /monitoring/x /docs /redoc /openapi.json /login /logout /token
        /?deep_link=x /?deep_link=../../etc /?deep_link=%2e%2e%2f /config?deep_link=../../etc
        /svelte/../../etc/passwd /pwa_icon/999999999 /pwa_icon/-1 /%00
    """.split()
    below = """
        token user login_check deep_link?session_hash=x dev/reload runs mcp/ mcp/sse profiling/traces vibe-code
        vibe-code/ queue/status process_recording upload_progress?upload_id=x queue/data call/interpolate/x heartbeat/
        custom_component/x/client/component/index.js custom_component/../x/client/component/index.js
        custom_component/%2e%2e/client/component/index.js mcp/messages/ mcp/http mcp/x component_server stream/x login
        component_server/ vibe-edit undo-vibe-edit vibe-starter-queries
    """.split()
    for path in [*elsewhere, "/" + "a" * 9000, *(f"{API}/{name}" for name in below)]:
        yield "GET", path
        yield "POST", path
    methods = "PUT DELETE PATCH TRACE OPTIONS CONNECT".split()
    yield from itertools.product(methods, ("/", f"{API}/upload", "/config"))


def foreign_requests(own: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(method, path, headers) of requests in the name of another site, all to be refused; `own` is this one's."""
    port = own.rpartition(":")[2]
    hosts = "evil.example evil.example:80 127.0.0.1.evil.example localhost.evil.example 0.0.0.0 169.254.169.254".split()
    paths = ("/", "/config", f"{API}/info", "/health")
    for host, path in itertools.product([*hosts, "[::2]", "x@y", "", "a" * 5000], paths):
        yield "GET", path, {"host": host}
    origins = f"http://evil.example null http://{own}.evil.example http://evil.example:{port} file://".split()
    changing = [f"{API}/{name}" for name in ("upload", "queue/join", "call/interpolate", "mcp/", "cancel", "reset")]
    for origin, path in itertools.product([*origins, "", f"https://localhost:{int(port) - 1}"], changing):
        yield "POST", path, {"origin": origin, "content-type": "text/plain"}


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and the requests that came to it."""
    visits: list[str] = []

    class Visit(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            visits.append(str(self.rfile.readline(1000)))
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Visit) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", visits
        server.shutdown()
