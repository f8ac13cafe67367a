"""Whose request it is: the client's own address, unless a named proxy or this server itself says whose."""

import asyncio
from unittest.mock import AsyncMock

import pytest

from demo.server.addresses import CALLER, SECRET, ForwardedHeaders, Names, Rate, on_behalf_of, visitor

FORWARDED = {"x-forwarded-for": "192.0.2.1", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}


def seen(client: str, proxies: str, headers: dict[str, str]) -> tuple[str, str]:
    """(address, scheme) as the application behind sees them; it sees no forwarded host."""
    app = AsyncMock()
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "client": (client, 1), "scheme": "http", "headers": given}
    asyncio.run(ForwardedHeaders(app, proxies)(scope, None, None))  # type: ignore[arg-type]
    (behind, *_), _ = app.await_args
    return behind["client"][0], behind["scheme"]


@pytest.mark.parametrize(
    ("client", "proxies", "headers", "expected"),
    [
        ("198.51.100.7", "", FORWARDED, ("198.51.100.7", "http")),
        ("198.51.100.7", "127.0.0.1", FORWARDED, ("198.51.100.7", "http")),
        ("127.0.0.1", "127.0.0.1", FORWARDED, ("192.0.2.1", "https")),
        ("10.1.2.3", "10.0.0.0/8", FORWARDED, ("192.0.2.1", "https")),
        ("127.0.0.1", "", on_behalf_of("192.0.2.9"), ("192.0.2.9", "http")),
        ("127.0.0.1", "127.0.0.1", FORWARDED | on_behalf_of("192.0.2.9"), ("192.0.2.9", "http")),
        ("198.51.100.7", "", {CALLER: f"{SECRET[::-1]} 192.0.2.9"}, ("198.51.100.7", "http")),
        ("198.51.100.7", "", {CALLER: " 192.0.2.9"}, ("198.51.100.7", "http")),
        ("198.51.100.7", "", {CALLER: "é"}, ("198.51.100.7", "http")),
    ],
)
def test_whose_request_it_is(client: str, proxies: str, headers: dict[str, str], expected: tuple[str, str]) -> None:
    assert seen(client, proxies, headers) == expected


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("198.51.100.7", 1), "198.51.100.7"),
        (("::ffff:198.51.100.7", 1), "198.51.100.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),  # of one customer, who has 2**64 of them
        (("2001:db8:1:2::", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::/64", 0), "2001:db8:1:2::/64"),  # as a tool's call tells it
        (None, ""),
    ],
)
def test_who_is_counted_as_one(client: tuple[str, int] | None, counted: str) -> None:
    assert visitor({"client": client}) == counted


def test_a_rate_is_a_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    rate = Rate(2)
    assert [rate.take("a") for _ in range(3)] == [True, True, False] and rate.take("b")
    now[0] = 61
    assert [rate.take("a") for _ in range(3)] == [True, True, False]
    assert list(rate._minutes) == ["a"]  # who has been away for long is not remembered


@pytest.mark.parametrize(
    ("host", "allowed", "taken", "refused"),
    [
        ("127.0.0.1", "", "localhost 127.0.0.1:7860 [::1]:80", "evil.example 192.0.2.1 [2001:db8::1] a@b ["),
        ("0.0.0.0", "", "localhost 192.0.2.1:80 [2001:db8::1]", "evil.example 127.0.0.1.evil.example"),
        ("localhost", "Film.example, *.x.org", "FILM.example:80 a.x.org b.a.x.org", "x.org film.example.org 192.0.2.1"),
    ],
)
def test_the_names_of_a_server(host: str, allowed: str, taken: str, refused: str) -> None:
    names = Names(host, allowed)
    assert all(map(names.allow, taken.split()))
    assert not any(map(names.allow, ["", *refused.split()]))
