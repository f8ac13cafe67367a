"""A hostile visitor with patience: damaged files, impossible orders and strange requests against the real server.

    python -m benchmarks.fuzz [--files 1000] [--every 1] [--seed 0] [--json FILE]

Files are mutations of valid photos and videos (`tests/support/corpus.py`), each uploaded and ordered: a photo as a
film's first one, a video in slow motion. Orders and requests are those of `tests/support/attacks.py`. Every answer is
searched for tracebacks, paths and foreign files, and must come within its time. Afterwards the server must still make a
correct film, and nobody may have been visited. It is killed then, and must serve again beside what it has left.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gradio_client import Client, handle_file

from benchmarks.command import number
from benchmarks.watching import Watch, log_lines
from tests.support import corpus
from tests.support.attacks import (
    API,
    VIDEOS,
    Answer,
    Attacker,
    foreign_requests,
    listener,
    pair_order,
    wrong_bodies,
    wrong_orders,
    wrong_requests,
)
from tests.support.clips import decoded
from tests.support.serving import LOSSY, TIMEOUT, Server, difference, photos, serve, wait_until

VISITORS = 4  # at once
LIMIT = 60  # seconds after which an answer hangs
ENOUGH = 20  # requests without an answer after which no more are sent: the server hangs
T = TypeVar("T")


def correct_film(server: Server, folder: Path) -> bool:
    """Whether the server makes a film that begins and ends with its photos."""
    first, last = photos(folder, 96, 128)
    client = Client(server.url, verbose=False)
    path, report = client.predict(first=handle_file(first), last=handle_file(last), depth=2, api_name="/interpolate")
    client.close()
    film = decoded(path)
    ends = difference(film[0], first), difference(film[-1], last)
    return len(film) == report["frames"] == 5 and max(ends) < LOSSY < difference(film[0], last)


def is_idle(server: Server) -> bool:
    return '"running":0,"waiting":0' in Attacker(server.url).request("GET", "/health").text


def attack(server: Server, trap: str, files: int, seed: int, every: int) -> tuple[dict[str, list[Answer]], list[str]]:
    """The answers to everything, by kind of attack; and what got no answer."""
    attacker = Attacker(server.url)
    photo = attacker.photo("photo.jpg", corpus.photos()["jpg"])
    clip = attacker.photo("film.mp4", corpus.videos()["mp4"])
    answers: dict[str, list[Answer]] = {}
    unanswered: list[str] = []

    def send(kind: str, cases: Iterable[T], ask: Callable[[T], Answer]) -> None:
        def answer(case: T) -> Answer | None:
            if len(unanswered) < ENOUGH and server.process.poll() is None:
                try:
                    return ask(case)
                except (OSError, http.client.HTTPException, ValueError) as error:  # none, or half of one
                    unanswered.append(f"{kind}: {str(case)[:70]}: {error!r}")
            return None

        with ThreadPoolExecutor(VISITORS) as visitors:
            answers[kind] = list(filter(None, visitors.map(answer, cases)))
        print(f"{kind}: {len(answers[kind])} cases", file=sys.stderr, flush=True)

    damaged = list(corpus.mutations(corpus.photos() | corpus.videos(), files, seed))
    send("impostors", list(corpus.impostors()), lambda case: attacker.order_with(*case, photo))
    for kind, is_video in (("damaged photos", False), ("damaged videos", True)):
        cases = [case for case in damaged if case[0].endswith(VIDEOS) is is_video]
        send(kind, cases, lambda case: attacker.order_with(*case, photo))
    orders = list(wrong_orders(photo, clip, trap))[::every]
    send("orders", orders, lambda case: attacker.order(*case[2], case=case[1], endpoint=case[0]))
    send("bodies", list(wrong_bodies(photo, clip))[::every], lambda case: attacker.post(case[1], case[2], case[0]))
    send("requests", list(wrong_requests(photo["path"], trap))[::every], lambda case: attacker.request(*case))
    own = server.url.removeprefix("http://")
    foreign = list(foreign_requests(own))
    send("foreign", foreign, lambda case: attacker.request(case[0], case[1], b"", case[2], str(case)[:200]))
    send("half sent", list(half_requests(own)), lambda case: half(server.url, *case))
    many = [attacker.part(f"{number}.jpg", bytes(12)) for number in range(1000)]
    send("small files", [1000, 100, 101] * 5, lambda count: attacker.form(*many[:count]))
    unheard = {"data": pair_order(photo, photo, depth=8)}  # nobody listens to these long films
    send("unheard", range(100), lambda number: attacker.post(f"{API}/call/interpolate", unheard, f"unheard {number}"))
    return answers, unanswered


def half_requests(own: str) -> Iterator[tuple[str, bytes]]:
    """(name, beginning) of requests that never come to their end."""
    head = f"POST {API}/upload HTTP/1.1\r\nHost: {own}\r\nContent-Length: 1000\r\n".encode()
    form = b"Content-Type: multipart/form-data; boundary=m\r\n\r\n--m\r\nContent-Disposition: form-data; na"
    parts = {"nothing": b"", "half a line": head[:9], "half a head": head, "no body": head + b"\r\n"}
    yield from (parts | {"half a form": head + form, "no HTTP": b"\x16\x03\x01\x02\x00\x01"}).items()


def half(url: str, case: str, data: bytes) -> Answer:
    """Send the beginning of a request and wait until the server ends it."""
    started, address = time.monotonic(), urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port), timeout=TIMEOUT) as line:
        line.sendall(data)
        text = b"".join(iter(lambda: line.recv(2**16), b"")).decode(errors="replace")
    return Answer(case, int((text.split(" ", 2) + ["0", "0"])[1]), text, time.monotonic() - started, str(data))


def measure(files: int, seed: int, every: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch, listener() as (trap, visits):
        folder = Path(scratch)
        proxies = {f"{kind}_PROXY": trap for kind in ("HTTP", "HTTPS", "ALL")}  # what would go out would come there
        serving = serve(folder, **proxies, NO_PROXY="127.0.0.1,localhost")
        with serving as server, Watch(server.url, server.process.pid) as watch:
            before = correct_film(server, folder)
            started = time.monotonic()
            answers, unanswered = attack(server, trap, files, seed, every)
            seconds = time.monotonic() - started
            try:
                after = correct_film(server, folder)
                wait_until(lambda: is_idle(server), "the end of all computing")
            except Exception as error:  # gradio_client has many for a server that is gone
                after = False
                unanswered.append(f"afterwards: {error!r}")
            crashed = server.process.poll() is not None
            lines = log_lines(server)
            server.process.kill()
        killed = time.monotonic()
        with serve(folder) as server:
            restart_seconds = time.monotonic() - killed
    everything = [answer for kind in answers.values() for answer in kind]
    times = [answer.seconds for answer in everything]
    faults = [fault for answer in everything for fault in answer.faults()]
    return {
        "cases": len(everything),
        "cases_by_kind": {kind: len(of_kind) for kind, of_kind in answers.items()},
        "films_by_kind": {kind: sum(answer.made for answer in of_kind) for kind, of_kind in answers.items()},
        "seconds": seconds,
        "answer_median_s": statistics.median(times) if times else None,
        "answer_max_s": max(times, default=None),
        "hangs": sum(took > LIMIT for took in times),
        "unanswered": unanswered,
        "crashed": crashed,
        "tracebacks_or_paths_shown": sum("shows" in fault for fault in faults),
        "faults": faults[:20],
        "visits": visits,
        "let_in": [answer.case for answer in answers["foreign"] if answer.status < 400],
        "restart_after_kill_s": restart_seconds,
        "correct_film_before_and_after": [before, after],
        "peak_gb": watch.peak / 2**30,
        "health_max_s": max(watch.health, default=None),
        "health_unanswered": watch.unanswered,
        "log_lines_by_level": dict(Counter(level for level, _ in lines)),
        "stray_log_lines": [line for level, line in lines if level == "stray"][:20],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=number(0), default=1000, help="mutated files")
    parser.add_argument("--every", type=number(1), default=1, help="send one of so many orders and requests")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    result = measure(options.files, options.seed, options.every)
    for name, value in result.items():
        print(f"{name:32}{value:.3g}" if isinstance(value, float) else f"{name:32}{value}")
    if options.json:
        options.json.write_text(json.dumps({"files": options.files, "seed": options.seed, "result": result}, indent=2))
    wrong = ("crashed", "unanswered", "faults", "visits", "let_in", "health_unanswered", "stray_log_lines")
    good = result["correct_film_before_and_after"] == [True, True] and not any(result[name] for name in wrong)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
