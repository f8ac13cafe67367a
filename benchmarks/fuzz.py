"""A hostile visitor with patience: damaged files, impossible orders and strange requests against the real server.

    python -m benchmarks.fuzz [--files 1000] [--seed 0] [--json FILE]

Files are mutations of valid photos and videos (`tests/corpus.py`), each uploaded and ordered: a photo as a film's first
one, a video in slow motion. Orders and requests are those of `tests/attacks.py`. Every answer is searched for
tracebacks, paths and foreign files, and must come within its time. Afterwards the server must still make a correct
film, and nobody may have been visited.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from gradio_client import Client, handle_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import corpus  # noqa: E402
from attacks import (  # noqa: E402
    LIMIT,
    VIDEOS,
    Answer,
    Attacker,
    listener,
    wrong_bodies,
    wrong_orders,
    wrong_requests,
)
from serving import Server, decoded, difference, photos, serve, wait_until  # noqa: E402

from benchmarks.load import LOSSY, Watch  # noqa: E402

VISITORS = 4  # at once
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


def attack(server: Server, trap: str, files: int, seed: int) -> dict[str, list[Answer]]:
    """The answers to everything, by kind of attack."""
    attacker = Attacker(server.url)
    photo = attacker.photo("photo.jpg", corpus.photos()["jpg"])
    clip = attacker.photo("film.mp4", corpus.videos()["mp4"])
    answers: dict[str, list[Answer]] = {}

    def send(kind: str, cases: Iterable[T], ask: Callable[[T], Answer]) -> None:
        with ThreadPoolExecutor(VISITORS) as visitors:
            answers[kind] = list(visitors.map(ask, cases))
        print(f"{kind}: {len(answers[kind])} cases", file=sys.stderr, flush=True)

    damaged = list(corpus.mutations(corpus.photos() | corpus.videos(), files, seed))
    send("impostors", list(corpus.impostors()), lambda case: attacker.order_with(*case, photo))
    for kind, is_video in (("damaged photos", False), ("damaged videos", True)):
        cases = [case for case in damaged if case[0].endswith(VIDEOS) is is_video]
        send(kind, cases, lambda case: attacker.order_with(*case, photo))
    orders = list(wrong_orders(photo, clip, trap))
    send("orders", orders, lambda case: attacker.order(*case[2], case=case[1], endpoint=case[0]))
    send("bodies", list(wrong_bodies(photo, clip)), lambda case: attacker.post(case[1], case[2], case[0]))
    send("requests", list(wrong_requests(photo["path"], trap)), lambda case: attacker.request(*case))
    return answers


def measure(files: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch, listener() as (trap, visits):
        folder = Path(scratch)
        proxies = {f"{kind}_PROXY": trap for kind in ("HTTP", "HTTPS", "ALL")}  # what would go out would come there
        with serve(folder, **proxies, NO_PROXY="127.0.0.1,localhost") as server:
            watch = Watch(server)
            watch.start()
            before = correct_film(server, folder)
            started = time.monotonic()
            answers = attack(server, trap, files, seed)
            seconds = time.monotonic() - started
            after = correct_film(server, folder)
            idle = '"running":0,"waiting":0'
            wait_until(lambda: idle in Attacker(server.url).request("GET", "/health").text, "the end of all computing")
            watch.stop()
            crashed = server.process.poll() is not None
            levels = Counter(json.loads(line)["level"] for line in server.log().splitlines())
    everything = [answer for kind in answers.values() for answer in kind]
    faults = [fault for answer in everything for fault in answer.faults()]
    return {
        "cases": len(everything),
        "cases_by_kind": {kind: len(of_kind) for kind, of_kind in answers.items()},
        "films_by_kind": {kind: sum(answer.made for answer in of_kind) for kind, of_kind in answers.items()},
        "seconds": seconds,
        "answer_median_s": statistics.median(answer.seconds for answer in everything),
        "answer_max_s": max(answer.seconds for answer in everything),
        "hangs": sum(answer.seconds > LIMIT for answer in everything),
        "crashed": crashed,
        "tracebacks_or_paths_shown": sum("shows" in fault for fault in faults),
        "faults": faults[:20],
        "visits": visits,
        "correct_film_before_and_after": [before, after],
        "peak_gb": watch.peak / 2**30,
        "health_max_s": max(watch.health),
        "log_lines_by_level": dict(levels),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000, help="mutated files; all orders and requests are sent too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    result = measure(options.files, options.seed)
    for name, value in result.items():
        print(f"{name:32}{value:.3g}" if isinstance(value, float) else f"{name:32}{value}")
    if options.json:
        options.json.write_text(json.dumps({"files": options.files, "seed": options.seed, "result": result}, indent=2))
    good = result["correct_film_before_and_after"] == [True, True] and not result["crashed"]
    sys.exit(0 if good and not result["faults"] and not result["visits"] else 1)


if __name__ == "__main__":
    main()
