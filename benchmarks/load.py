"""Many visitors at once: whether each gets his own film or is told that the machine is busy, and what that costs.

    python -m benchmarks.load [--visitors 50] [--size 512x512 ...] [--depth 2] [--waiting 20] [--slow 0] [--json FILE]
    python -m benchmarks.load --attacker {files,orders} [--visitors 3] [--seconds 120] [--depth 2] [--json FILE]

Starts the real server with film-lite on this machine and as many `gradio_client` visitors as asked for, each with
photos of his own (of several sizes: in turn), who all press the button at the same moment. Every film is decoded and
compared with the photos of all visitors. Then it waits until everything should have expired, and looks at what is left
on the disk. With --slow, so many visitors have ordered the longest film just before, and leave after all the others.

With --attacker a few visitors, each at an address of his own behind a proxy, order one film after the other, first
alone, then for as long while somebody at another address uploads small files, or sends orders and listens to none, as
fast as he is answered. Each film should take at most three times as long as the films without him.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
import numpy as np
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.exceptions import AppError

from benchmarks.command import Size, even_size, number
from benchmarks.watching import Watch, log_lines
from demo.config import Config
from film.engine import bisection
from tests.support.attacks import API, file, pair_order
from tests.support.serving import Server, photos, serve

KEEP_MINUTES = 2  # long enough for the slowest visitor to fetch his film
PATIENCE = 600  # seconds until a visitor without an answer counts as one who gets none
LOSSY = 0.04  # mean difference that JPEG and H.264 may leave, of 1
GIGABYTE = 2**30


@dataclass
class Visit:
    """How it went for one visitor."""

    outcome: str = "nothing"  # film, wrong film, busy, error; nothing, if nobody answers any more
    words: str = ""
    waited: float = 0.0  # seconds from the button to the first frame being made
    took: float = 0.0  # seconds from the button to the film
    places: int = 0  # different places in the line he was told


def visit(client: Client, pair: tuple[Path, Path], depth: int, start: threading.Barrier, folder: Path) -> Visit:
    """Order a film when everybody does, and keep it in `folder`."""
    told, begun = Visit(), None
    places = set()
    start.wait()
    asked = time.monotonic()
    try:
        job = client.submit(first=handle_file(pair[0]), last=handle_file(pair[1]), depth=depth, api_name="/interpolate")
        seen = 0
        while not (job.done() and seen == len(job.outputs())):  # iterating a job never ends if its request failed
            for path, report in job.outputs()[seen:]:
                seen += 1
                if "place" in report:
                    places.add(report["place"])
                elif begun is None:
                    begun = time.monotonic()
                if path:
                    made = path["video"] if isinstance(path, dict) else path
                    Path(made).rename(folder / "film.mp4")
                    told.outcome = "film"
            time.sleep(0.05)
        job.result()
    except AppError as error:
        told.words = str(error)
        told.outcome = "busy" if told.words.startswith("Busy") else "error"
    except Exception as error:
        told.outcome, told.words = "error", repr(error)
    told.took = time.monotonic() - asked
    told.waited = (begun or time.monotonic()) - asked
    told.places = len(places)
    return told


def frames_of(path: Path, height: int, width: int) -> np.ndarray:
    """(N, H, W, 3) uint8: every frame of a film of even sides.

    By a plain child process: imageio's runs Python code after its fork, which among this many threads can hang.
    """
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def is_own(film: np.ndarray, own: int, firsts: list[np.ndarray], lasts: list[np.ndarray], frames: int) -> bool:
    """Whether a film begins and ends with its visitor's photos, and is nearest to them all the way."""
    if len(film) != frames:
        return False

    def nearest(frame: np.ndarray, images: list[np.ndarray]) -> tuple[int, float]:
        alike = [number for number, image in enumerate(images) if image.shape == frame.shape]
        some = frame[::4, ::4].astype(np.int16)  # of the pixels: fifty visitors are many comparisons
        distances = {number: float(np.abs(some - images[number][::4, ::4]).mean()) / 255 for number in alike}
        who = min(distances, key=lambda number: distances[number], default=-1)
        return who, distances.get(who, 1.0)

    ends = [nearest(film[0], firsts), nearest(film[-1], lasts)]
    return all(who == own and distance < LOSSY for who, distance in ends) and all(
        nearest(frame, firsts)[0] == own for frame in film[1:-1]
    )


def measure(visitors: int, sizes: list[Size], depth: int, waiting: int, slow: int) -> dict[str, Any]:
    import imageio.v3 as imageio

    with tempfile.TemporaryDirectory(prefix="load-") as scratch:
        folder = Path(scratch)
        shapes = [sizes[seed % len(sizes)] for seed in range(visitors)]
        pairs = [photos(folder, size.height, size.width, seed) for seed, size in enumerate(shapes)]
        (folder / "server").mkdir()
        settings = {"FILM_KEEP_MINUTES": str(KEEP_MINUTES), "FILM_MAX_WAITING": str(waiting)}
        with serve(folder / "server", **settings) as server, Watch(server.url, server.process.pid) as watch:
            clients: list[Client] = []
            for number in range(visitors):
                (folder / f"{number}").mkdir()
                keep, patient = str(folder / f"{number}"), {"timeout": PATIENCE}
                clients.append(Client(server.url, verbose=False, download_files=keep, httpx_kwargs=patient))
            idle_gb = watch.peak / GIGABYTE
            long_films = [order_long_film(server, pairs[0]) for _ in range(slow)]
            start, told = threading.Barrier(visitors), [Visit() for _ in pairs]

            def come(number: int) -> None:
                told[number] = visit(clients[number], pairs[number], depth, start, folder / f"{number}")

            threads = [threading.Thread(target=come, args=[number], daemon=True) for number in range(visitors)]
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(max(0.0, begun + PATIENCE - time.monotonic()))
            seconds = time.monotonic() - begun
            long_frames = [len(job.outputs()) for job in long_films]
            for job in long_films:
                with contextlib.suppress(httpx.HTTPError):
                    job.cancel()
            firsts, lasts = ([imageio.imread(pair[end]) for pair in pairs] for end in (0, 1))
            for number, each in enumerate(told):
                if each.outcome == "film":
                    try:
                        film = frames_of(folder / f"{number}" / "film.mp4", *firsts[number].shape[:2])
                    except (subprocess.CalledProcessError, ValueError):  # cut short, or of another size
                        film = np.empty((0, 0, 0, 3), np.uint8)
                    each.outcome = "film" if is_own(film, number, firsts, lasts, 2**depth + 1) else "wrong film"
            try:
                unanswered = httpx.get(f"{server.url}/health", timeout=60).json()
            except (httpx.HTTPError, ValueError) as error:
                unanswered = repr(error)
            for client in clients:
                client.close()
            left = expired(server)
            crashed = server.process.poll() is not None
            lines = log_lines(server)
        outcomes = [each.outcome for each in told]
        films = [each for each in told if each.outcome == "film"]
        return {
            "visitors": visitors,
            "films": len(films),
            "busy": outcomes.count("busy"),
            "wrong_films": outcomes.count("wrong film"),
            "unanswered_at_the_server": unanswered,
            "other": sorted(each.words or each.outcome for each in told if each.outcome in ("error", "nothing")),
            "crashed": crashed,
            "errors_logged": sum(level == "error" for level, _ in lines),
            "stray_log_lines": [line for level, line in lines if level == "stray"][:20],
            "seconds": seconds,
            "long_film_frames": long_frames,
            "films_per_minute": 60 * len(films) / seconds,
            "wait_median_s": statistics.median(each.waited for each in films) if films else None,
            "wait_max_s": max((each.waited for each in films), default=None),
            "busy_told_after_max_s": max((each.took for each in told if each.outcome == "busy"), default=None),
            "places_told_max": max(each.places for each in told),
            "at_work_max": watch.most["running"],
            "waiting_max": watch.most["waiting"],
            "health_median_s": statistics.median(watch.health) if watch.health else None,
            "health_max_s": max(watch.health, default=None),
            "health_unanswered": watch.unanswered,
            "idle_gb": idle_gb,
            "peak_gb": watch.peak / GIGABYTE,
            "server_at_peak_gb": watch.server_at_peak / GIGABYTE,
            "server_peak_gb": watch.server_peak / GIGABYTE,
            "left_after_expiry": left,
            "left_after_end": [str(path) for path in server.temporary.rglob("*") if path.is_file()],
        }


def measure_attacked(attacker: str, visitors: int, size: Size, depth: int, seconds: int) -> dict[str, Any]:
    """How long films take without and with an attacker, on a server with the limits that a host has by default."""
    with tempfile.TemporaryDirectory(prefix="load-") as scratch:
        folder = Path(scratch)
        pairs = [photos(folder, size.height, size.width, seed) for seed in range(visitors)]
        names = "max_per_address jobs_per_minute files_per_minute requests_per_minute max_megapixels".split()
        settings = {f"FILM_{name.upper()}": str(getattr(Config(), name)) for name in names}
        settings["FILM_PROXIES"] = "127.0.0.1"
        with serve(folder, **settings) as server, Watch(server.url, server.process.pid) as watch:
            film_seconds(server, pairs[0], depth, "192.0.2.100")  # compiles the model
            answers: Counter[int] = Counter()
            without = films_meanwhile(server, pairs, depth, seconds)
            ended = threading.Event()
            attacking = threading.Thread(target=attack_until, args=[ended, server, attacker, answers], daemon=True)
            attacking.start()
            attacked = films_meanwhile(server, pairs, depth, seconds)
            ended.set()
            attacking.join()
            crashed = server.process.poll() is not None
            lines = log_lines(server)
    return {
        "films_without": len(without),
        "films_attacked": len(attacked),
        "without_median_s": statistics.median(without),
        "without_max_s": max(without),
        "attacked_median_s": statistics.median(attacked),
        "attacked_max_s": max(attacked),
        "times_as_long_max": max(attacked) / statistics.median(without),
        "attackers_answers_by_status": dict(sorted(answers.items())),
        "crashed": crashed,
        "errors_logged": sum(level == "error" for level, _ in lines),
        "stray_log_lines": [line for level, line in lines if level == "stray"][:20],
        "health_max_s": max(watch.health, default=None),
        "health_unanswered": watch.unanswered,
    }


def films_meanwhile(server: Server, pairs: list[tuple[Path, Path]], depth: int, seconds: int) -> list[float]:
    """The seconds that each film takes of visitors who make one after the other for so long, one at least."""
    deadline = time.monotonic() + seconds

    def visitor(number: int) -> list[float]:
        took: list[float] = []
        while not took or time.monotonic() < deadline:
            took.append(film_seconds(server, pairs[number], depth, f"192.0.2.{number}"))
            time.sleep(2)  # to look at it
        return took

    with ThreadPoolExecutor(len(pairs)) as visitors:
        return [each for films in visitors.map(visitor, range(len(pairs))) for each in films]


def film_seconds(server: Server, pair: tuple[Path, Path], depth: int, address: str) -> float:
    """From the upload of two photos to the film's last byte. RuntimeError if there is no film."""
    begun = time.monotonic()
    with httpx.Client(base_url=server.url, headers={"x-forwarded-for": address}, timeout=PATIENCE) as client:
        files = [("files", (path.name, path.read_bytes())) for path in pair]
        paths = client.post(f"{API}/upload", files=files).raise_for_status().json()
        asked = client.post(
            f"{API}/call/interpolate", json={"data": pair_order(*map(file, paths), depth)}
        ).raise_for_status()
        told = client.get(f"{API}/call/interpolate/{asked.json()['event_id']}").text
        if "event: complete" not in told:
            raise RuntimeError(f"A visitor got no film: {told[-300:]}")
        made = json.loads(told.rpartition("data: ")[2])[0]["path"]
        client.get(f"{API}/file={made}").raise_for_status()
    return time.monotonic() - begun


def attack_until(ended: threading.Event, server: Server, attacker: str, answers: Counter[int]) -> None:
    """Upload files of 12 bytes, as many at once as are taken, or send orders that nobody listens to."""
    with httpx.Client(base_url=server.url, headers={"x-forwarded-for": "192.0.2.66"}, timeout=PATIENCE) as client:
        path = client.post(f"{API}/upload", files={"files": b"no photo"}).raise_for_status().json()[0]
        while not ended.is_set():
            if attacker == "files":
                for count in (1000, 100):
                    many = [("files", (f"{number}.jpg", os.urandom(12))) for number in range(count)]
                    answers[client.post(f"{API}/upload", files=many).status_code] += 1
            else:
                order = {"data": pair_order(file(path), file(path), bisection.MAX_DEPTH)}
                answers[client.post(f"{API}/call/interpolate", json=order).status_code] += 1


def order_long_film(server: Server, pair: tuple[Path, Path]) -> Job:
    """A film of the greatest depth, begun if nobody else has begun one."""
    job = Client(server.url, verbose=False).submit(
        first=handle_file(pair[0]), last=handle_file(pair[1]), depth=8, api_name="/interpolate"
    )
    while not job.outputs():
        if job.done():
            job.result()  # raises what went wrong
        time.sleep(0.5)
    return job


def expired(server: Server) -> list[str]:
    """The files that are left once everything should have expired."""
    deadline = time.monotonic() + 2 * 60 * KEEP_MINUTES
    while True:
        left = [str(path) for path in server.temporary.glob("film-page-*/**/*") if path.is_file()]
        if not left or time.monotonic() > deadline or server.process.poll() is not None:
            return left
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=number(1), help="50, or 3 beside an attacker")
    parser.add_argument("--size", type=even_size, nargs="+", default=[Size(512, 512)], metavar="WxH")
    parser.add_argument("--depth", type=number(1, bisection.MAX_DEPTH), default=2)
    parser.add_argument("--waiting", type=number(0), default=20, help="how many may wait (FILM_MAX_WAITING)")
    parser.add_argument("--slow", type=number(0), default=0, help="visitors who have ordered the longest film before")
    parser.add_argument(
        "--attacker", choices=["files", "orders"], help="what somebody floods the server with meanwhile"
    )
    parser.add_argument("--seconds", type=number(1), default=120, help="without the attacker, and then with him")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    sizes = [str(size) for size in options.size]
    if options.attacker:
        options.visitors = options.visitors or 3
        arguments = (options.attacker, options.visitors, options.size[0], options.depth, options.seconds)
        result = measure_attacked(*arguments)
    else:
        options.visitors = options.visitors or 50
        result = measure(options.visitors, options.size, options.depth, options.waiting, options.slow)
    print(f"{options.visitors} visitors, {' '.join(sizes)}, depth {options.depth}, {os.cpu_count()} cores")
    for name, value in result.items():
        print(f"{name:25}{value:.3g}" if isinstance(value, float) else f"{name:25}{value}")
    if options.json:
        told = vars(options) | {"size": sizes, "json": str(options.json), "result": result}
        options.json.write_text(json.dumps(told, indent=2))
    wrong = "wrong_films other crashed errors_logged stray_log_lines health_unanswered left_after_expiry".split()
    bad = any(result.get(name) for name in wrong) or result.get("times_as_long_max", 0) > 3
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
