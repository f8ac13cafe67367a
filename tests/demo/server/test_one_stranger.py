"""A running server that one stranger tries to close: with files, orders, names, connections, leftovers, a full disk."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.attacks import API, Answer, Attacker, file, foreign_requests, pair_order
from tests.support.programs import called
from tests.support.serving import ROOT, TIMEOUT, Server, photos, serve, served, wait_until

pytestmark = pytest.mark.server

LONG = 10_000  # frames of a film that no machine finishes before the test is at its end
CALL = f"{API}/call/interpolate"
PROXY = {"FILM_PROXIES": "127.0.0.1"}
get, post = partial(httpx.get, timeout=TIMEOUT), partial(httpx.post, timeout=TIMEOUT)
EXAMPLE = ROOT / "examples" / "boats" / "first.jpg"


def visitor(address: str) -> dict[str, str]:
    """The headers by which a proxy tells who asks."""
    return {"x-forwarded-for": address}


def upload(server: Server, files: int, size: int = 12, **headers: str) -> int:
    """The status of an upload of files of random bytes, for Gradio keeps what it has already once."""
    attacker = Attacker(server.url, headers)
    return attacker.form(*(attacker.part(f"{number}.jpg", os.urandom(size)) for number in range(files))).status


def order(server: Server, address: str) -> Answer:
    """Ask for a long film."""
    photo = file(example(server))
    return Attacker(server.url, visitor(address)).post(CALL, {"data": pair_order(photo, photo, count=LONG)})


def film(server: Server, address: str) -> Answer:
    """A small film of a file that is there."""
    photo = file(example(server))
    return Attacker(server.url, visitor(address)).order(*pair_order(photo, photo))


def by_tool(server: Server, address: str) -> str:
    """What a tool answers who asks it for a small film."""
    headers = visitor(address)
    (photo,) = Attacker(server.url, headers).photos(EXAMPLE)
    path = f"{API}/file={photo['path']}"
    arguments = {"first": path, "last": path, "depth": 1, "longest_side": 512}
    return str(called(server.url, lambda session: session.call_tool("interpolate", arguments), headers))


def example(server: Server) -> str:
    """The path of an example, as the page knows it."""
    return str(next(server.temporary.glob("film-page-*/examples")) / EXAMPLE.relative_to(ROOT / "examples"))


shared = served(**PROXY, FILM_FILES_PER_MINUTE="20", FILM_MAX_PHOTOS="15", FILM_DISK_GB="0.06")
line = served(**PROXY, FILM_JOBS_PER_MINUTE="10", FILM_MAX_PER_ADDRESS="2")  # its disk has room for the longest films
home = served(FILM_REQUESTS_PER_MINUTE="400")  # as somebody runs it at home


def test_many_small_files_fill_no_disk(shared: Server) -> None:
    assert upload(shared, 16, **visitor("192.0.2.1")) == 413  # more than a page sends at once
    assert [upload(shared, 15, **visitor("192.0.2.2")) for _ in range(2)] == [200, 429]
    assert upload(shared, 2, **visitor("192.0.2.3")) == 200
    assert film(shared, "192.0.2.4").made


def test_large_files_of_one_address_leave_room_for_others(shared: Server) -> None:
    sent = [upload(shared, 1, 5 * 2**20, **visitor("192.0.2.10")) for _ in range(5)]
    assert sent[0] == 200 and sent[-1] == 507  # a quarter of the disk
    for address in ("192.0.2.11", "192.0.2.12", "192.0.2.13") * 4:  # many of them leave the films' reserve
        upload(shared, 1, 5 * 2**20, **visitor(address))
    assert film(shared, "192.0.2.14").made


def test_orders_that_nobody_listens_to_hold_no_place(line: Server) -> None:
    assert [order(line, "192.0.2.20").status for _ in range(12)] == [200] * 10 + [429] * 2
    assert line.health()["waiting"] == 0
    assert film(line, "192.0.2.21").made


def test_one_address_has_its_share_of_the_line(line: Server) -> None:
    with ExitStack() as open_streams:
        for _ in range(2):
            event = order(line, "192.0.2.30").event
            open_streams.enter_context(httpx.stream("GET", f"{line.url}{CALL}/{event}", timeout=TIMEOUT))
        wait_until(lambda: sum(line.health()[k] for k in ("running", "waiting")) == 2, "both")
        assert "that is the share of one address" in film(line, "192.0.2.30").refusal
        for address, told in (("192.0.2.30", "that is the share of one address"), ("192.0.2.32", "film.mp4")):
            assert told in by_tool(line, address)  # a caller of a tool has a share of his own
        assert film(line, "192.0.2.31").made
    wait_until(lambda: line.health()["running"] == 0, "the end of all computing")


def test_other_names_and_other_pages_are_refused(home: Server) -> None:
    own = urlsplit(home.url).netloc
    attacker = Attacker(home.url)
    answers = [attacker.request(method, path, headers=headers) for method, path, headers in foreign_requests(own)]
    assert [answer for answer in answers if answer.status not in (400, 403, 421)] == []
    foreign = get(home.url, headers={"host": "evil.example", "origin": "http://evil.example"})
    assert foreign.status_code == 421 and "FILM_ALLOWED_HOSTS" in foreign.text
    assert "access-control-allow-origin" not in foreign.headers
    preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    assert httpx.options(f"{home.url}{API}/upload", headers=preflight, timeout=TIMEOUT).status_code == 403
    assert upload(home, 1) == upload(home, 1, origin=home.url) == 200


def test_a_strangers_headers_are_not_believed_and_answers_have_safe_ones(home: Server) -> None:
    answer = get(f"{home.url}/config", headers={"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"})
    assert answer.status_code == 200 and answer.json()["root"] == home.url and "evil.example" not in answer.text
    headers = get(home.url).headers
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
    assert headers["content-security-policy"] == "frame-ancestors 'self'"


def test_unknown_sessions_and_events_cost_one_line(home: Server) -> None:
    before = home.log()
    for number in range(10):
        assert get(f"{home.url}{API}/queue/data?session_hash=none{number}").status_code == 404
        assert get(f"{home.url}{API}/call/interpolate/none{number}").status_code == 404
        body = {"data": [], "fn_index": 9000 + number, "session_hash": "x"}
        assert post(f"{home.url}{API}/queue/join", json=body).status_code == 404
    said = home.log()[len(before) :]
    assert "Traceback" not in said and len(said.splitlines()) <= 30
    upload(home, 1)
    assert "0.jpg" not in home.log()
    with httpx.Client(timeout=TIMEOUT) as client:  # a minute may end on the way, but not two
        assert any(client.get(f"{home.url}/health").status_code == 429 for _ in range(801))


def test_what_lies_there_delays_neither_the_start_nor_the_end(tmp_path: Path) -> None:
    left = tmp_path / "tmp" / "film-page-left"
    for number in range(5_000):
        (left / f"{number}").mkdir(parents=True)
    left.with_name("film-page-left.lock").touch()
    with serve(tmp_path) as server:
        wait_until(lambda: not left.exists(), "what was left to be deleted")
        event = order(server, "").event
        with httpx.stream("GET", f"{server.url}{CALL}/{event}", timeout=TIMEOUT) as events:
            next(line for line in events.iter_lines() if '"done"' in line)
            for number in range(5_000):
                (Path(example(server)).parents[2] / f"{number}").mkdir()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(TIMEOUT) == 0
        assert "terminate called" not in server.log()
        assert not (server.temporary / "gradio").exists()  # where Gradio would write by itself
        assert all(json.loads(line)["level"] for line in server.log().splitlines())  # nothing but loggers wrote


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A temporary folder on a disk of its own."""
    (folder := tmp_path / "tmp").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_called_one(small_disk: Path, tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        attacker, pair = Attacker(server.url), photos(tmp_path, 256, 256)
        first, last = attacker.photos(*pair)
        full = small_disk / "full"
        with full.open("wb", buffering=0) as file, pytest.raises(OSError):
            while file.write(bytes(2**16)):
                pass
        answer = attacker.upload("other.jpg", pair[0].read_bytes() + bytes(2**17))
        assert answer.status == 507 and "disk is full" in answer.text
        made = attacker.order(*pair_order(first, last, depth=3))
        assert "disk is full" in made.refusal, made
        assert os.strerror(28) in server.log()
        full.unlink()
        assert attacker.order(*pair_order(attacker.photo("again.jpg", pair[0].read_bytes()), last)).made
        assert all(json.loads(line) for line in server.log().splitlines())
