"""How much one request may ask: every refusal names the numbers, and what it proposes does fit."""

import math
import re
from typing import Any

import pytest

from demo.server.job_requests import OutputOptions, PhotoRequest, VideoRequest
from demo.server.limits import MEGAPIXEL, Limits, choice, number, text
from film.engine.bisection import MAX_COUNT

OPTIONS = OutputOptions("film-lite", "CPU")
PAIR, MANY = PhotoRequest(["a", "b"], OPTIONS), PhotoRequest(["a", "b", "c"], OPTIONS)
COUNTED, CLIP = PhotoRequest(["a", "b"], OPTIONS, count=9), VideoRequest("clip.mp4", OPTIONS, slowdown=4)
SIDE = "a longest side of"


def limits(megapixels: float = 300) -> Limits:
    return Limits(["film-lite"], ["CPU"], [512, 768, 1024, 1536, 2048, 0], range(1, 9), megapixels, 100)


@pytest.mark.parametrize(
    ("megapixels", "request_", "frames", "size", "advice"),
    [
        (300, PAIR, 33, (3000, 4000), f"depth 4 or {SIDE} 2048."),
        (300, MANY, 33, (3000, 4000), f"at most 25 frames or {SIDE} 2048."),
        (300, COUNTED, 30_000, (128, 96), f"at most {MAX_COUNT} frames"),  # no more than can be asked for
        (300, CLIP, 1000, (1000, 600), f"a slow motion of at most × 2 or {SIDE} 512."),
        (300, CLIP, 10_000, (1000, 600), "a shorter video."),
        (1, PAIR, 257, (9000, 9000), "fewer frames and a smaller size."),
        (300, PAIR, 286, (1024, 1024), None),
        (300, PAIR, 287, (1024, 1024), f"depth 8 or {SIDE} 768."),
        (0.001, PAIR, 1, (10, 100), None),
    ],
)
def test_a_refusal_tells_the_numbers_and_what_would_fit(
    megapixels: float, request_: Any, frames: int, size: tuple[int, int], advice: str | None
) -> None:
    (height, width), asked, limit = size, frames * math.prod(size) / MEGAPIXEL, limits(megapixels)

    def check() -> None:
        limit.check_film(frames, size, lambda fitting: request_.shorter(frames, fitting, limit))

    if advice is None:
        return check()
    words = f"{frames} frames of {width}x{height} are {asked:.0f} megapixels; this server makes at most {megapixels}"
    with pytest.raises(ValueError, match=re.escape(f"{words} in one film: choose {advice}")) as refusal:
        check()
    if proposed := re.search(r"depth (\d)", str(refusal.value)):
        assert limit.fits(2 ** int(proposed[1]) + 1, size) and not limit.fits(2 ** (int(proposed[1]) + 1) + 1, size)
    if side := re.search(rf"{SIDE} (\d+)", str(refusal.value)):
        assert asked * (int(side[1]) / max(size)) ** 2 <= megapixels


@pytest.mark.parametrize("value", [0, 9, -1, 1.5, float("nan"), float("inf"), 2**70, True, None, "5", [5], {}, 10**400])
def test_what_is_no_whole_number_in_range(value: Any) -> None:
    with pytest.raises(ValueError, match="The depth is .*it must be a whole number from 1 to 8"):
        number("The depth", value, 1, 8, whole=True)
    depth = number("The depth", 5.0, 1, 8, whole=True)
    assert depth == 5 and isinstance(depth, int)
    assert number("The frame rate", 23.976, 1, 60) == 23.976


@pytest.mark.parametrize(
    "value", ["x", "", None, [], ["film"], {}, True, "film\0", "http://127.0.0.1:1/x", "x" * 10**6]
)
def test_what_is_not_in_the_list(value: Any) -> None:
    with pytest.raises(ValueError, match="The model is .*not in the list: film-lite, film") as refusal:
        choice("The model", value, ["film-lite", "film"])
    assert len(str(refusal.value)) < 200  # it repeats the beginning of what was sent
    assert choice("The model", "film", ["film-lite", "film"]) == "film"


@pytest.mark.parametrize("value", [True, [], {}, "x" * 501])
def test_what_is_no_text(value: Any) -> None:
    with pytest.raises(ValueError, match="The start is .*; it must be a text of at most 500 characters"):
        text("The start", value)
    assert [text("The start", given) for given in (None, " ", " 1:02 ", 5)] == [None, None, "1:02", "5"]
