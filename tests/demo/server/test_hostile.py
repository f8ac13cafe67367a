"""A hundred hostile files and every kind of hostile request; `benchmarks/fuzz.py` sends a thousand and more."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from demo.api.endpoints import ENDPOINTS
from tests.support import attacks, corpus
from tests.support.attacks import API, Answer, Attacker, listener, pair_order
from tests.support.serving import Server, serve, wait_until
from tests.support.watching import family, resident

pytestmark = [pytest.mark.server, pytest.mark.slow]

Trap = tuple[str, list[str]]  # an address, and what came there
File = dict[str, Any]  # as an order names it
FILES = 100
ORDERS = 300  # of those there are, evenly picked; the benchmark sends all


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    with listener() as trap:
        yield trap


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, trap: Trap) -> Iterator[Server]:
    proxies = {f"{kind}_PROXY": trap[0] for kind in ("HTTP", "HTTPS", "ALL")}  # what would go out would come there
    with serve(tmp_path_factory.mktemp("hostile"), **proxies, NO_PROXY="127.0.0.1,localhost") as server:
        yield server
        assert server.process.poll() is None, "the server ended"
        assert "MemoryError" not in server.log()


@pytest.fixture(scope="module")
def attacker(server: Server) -> Attacker:
    return Attacker(server.url)


@pytest.fixture(scope="module")
def photo(attacker: Attacker) -> File:
    return attacker.photo("photo.jpg", corpus.photos()["jpg"])


@pytest.fixture(scope="module")
def clip(attacker: Attacker) -> File:
    return attacker.photo("film.mp4", corpus.videos()["mp4"])


@pytest.fixture(autouse=True)
def unharmed(server: Server, attacker: Attacker, photo: File, trap: Trap) -> Iterator[None]:
    """After each test the server makes a film, computes for nobody, and nobody was visited."""
    yield
    assert trap[1] == []
    answer = attacker.order(*pair_order(photo, photo))
    assert answer.made, answer
    wait_until(lambda: server.health().items() >= {"running": 0, "waiting": 0}.items(), "the end of all computing")


def faults(answers: list[Answer]) -> list[str]:
    return [fault for answer in answers for fault in answer.faults()]


def test_hostile_files(attacker: Attacker, photo: File) -> None:
    impostors = list(corpus.impostors())
    damaged = list(corpus.mutations(corpus.photos() | corpus.videos(), FILES - len(impostors)))
    with ThreadPoolExecutor(4) as visitors:
        answers = list(visitors.map(lambda case: attacker.order_with(*case, photo), [*impostors, *damaged]))
    assert len(answers) >= FILES
    assert faults(answers) == []
    assert [answer for answer in answers if not answer.made and len(answer.refusal) < 20] == []
    made = {answer.case: answer.made for answer in answers}
    assert [suffix for suffix in corpus.videos() if not made[f"film.{suffix}"]] == []
    assert [name for name in ("empty.mp4", "photo.mp4", "list.webm", "concat.mkv") if made[name]] == []
    for is_video in (False, True):  # of either kind, some damage is harmless
        assert {made[name] for name, _ in damaged if name.endswith(attacks.VIDEOS) is is_video} == {True, False}


def test_hostile_orders(attacker: Attacker, photo: File, clip: File, trap: Trap) -> None:
    job_requests = list(attacks.wrong_orders(photo, clip, trap[0]))
    picked = job_requests[:: max(1, len(job_requests) // ORDERS)]
    with ThreadPoolExecutor(4) as visitors:
        answers = list(visitors.map(lambda order: attacker.order(*order[2], case=order[1], endpoint=order[0]), picked))
    assert {endpoint for endpoint, _, _ in picked} == set(ENDPOINTS)
    assert faults(answers) == []
    assert [answer.case for answer in answers if answer.made or len(answer.refusal) < 20] == []


def test_hostile_bodies(attacker: Attacker, photo: File, clip: File) -> None:
    answers = [attacker.post(path, body, case) for case, path, body in attacks.wrong_bodies(photo, clip)]
    assert faults(answers) == []


def test_hostile_requests(attacker: Attacker, photo: File, trap: Trap) -> None:
    answers = [attacker.request(method, path) for method, path in attacks.wrong_requests(photo["path"], trap[0])]
    assert faults(answers) == []
    given = [answer for answer in answers if answer.status < 400 and "event: error" not in answer.text]
    assert [answer.case for answer in given if not answer.case.startswith("OPTIONS")] == []


def test_hostile_forms(attacker: Attacker) -> None:
    field, named = b'Content-Disposition: form-data; name="files"', b'; filename="photo.jpg"'
    answers = [
        attacker.form(field + b"\r\n\r\n" + bytes(2**20)),  # no file, yet large
        attacker.form(field + b"\r\n\r\nphoto.jpg"),
        attacker.form(*[field + b"\r\n\r\nx"] * 2000),
        attacker.form(*[field + named + b"\r\n\r\n"] * 1500),
        attacker.form(field + named + b"; x=" + b"y" * 10**5 + b"\r\n\r\nx"),
        attacker.form(b"Content-Type: text/plain\r\n\r\nx"),
        attacker.form(),
        attacker.request("POST", f"{API}/upload", b"photo", {"content-type": "image/jpeg"}),
        attacker.request("POST", f"{API}/upload", b"photo", {"content-type": "multipart/form-data"}),
    ]
    assert faults(answers) == []
    assert [answer.status for answer in answers if answer.status >= 400 and len(answer.text) < 20] == []
    assert answers[0].status == 400 and "more than its files" in answers[0].text


@pytest.mark.parametrize(("name", "words", "gigabytes"), [("bomb.png", "takes", 5), ("gap.mkv", "sound", 3)])
def test_what_swells_takes_little_memory(
    server: Server, attacker: Attacker, photo: File, name: str, words: str, gigabytes: int
) -> None:
    """45 megapixels in 130 kB are opened within the limits; of sound that goes on hours later nothing is kept."""
    data = next(data for impostor, data in corpus.impostors() if impostor == name)
    peak = 0  # of all processes
    with ThreadPoolExecutor(1) as visitor:
        asking = visitor.submit(attacker.order_with, name, data, photo)
        while not asking.done():
            peak = max(peak, sum(map(resident, family(server.process.pid))))
            time.sleep(0.2)
    answer = asking.result()
    assert answer.made or words in answer.refusal
    own = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert peak < gigabytes * 2**30 and own and int(own[1]) < 3 * 2**20
