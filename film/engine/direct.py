"""Each moment directly from both ends: for models that honour the time.

Nothing is interpolated from interpolated frames, and a film of n frames takes n - 2 calls, whatever n is. Conventions
as in `bisection`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

Keyframe = TypeVar("Keyframe")
Made = TypeVar("Made")


def ahead(
    first: Keyframe,
    last: Keyframe,
    moments: Sequence[Fraction],
    start: Callable[[Keyframe, Keyframe, float], Callable[[], Keyframe]],
    lanes: int = 1,
) -> Generator[Keyframe]:
    """Yield the keyframe at each of the ascending `moments`, with up to `lanes` of them in the works at once.

    `start` begins one and returns what waits for it. A moment that comes twice is made once. Closing the iterator waits
    for those in the works.
    """
    wanted = (moment for moment in dict.fromkeys(moments) if 0 < moment < 1)
    made, at = first, Fraction(0)
    with contextlib.closing(in_order((start(first, last, float(moment)) for moment in wanted), lanes)) as between:
        for moment in moments:
            if moment != at:
                made, at = last if moment == 1 else next(between), moment
            yield made


def in_order(works: Iterable[Callable[[], Made]], lanes: int) -> Generator[Made]:
    """What each of `works` waits for, with up to `lanes` in the works at once: taking one from the iterator begins it.

    Closing the iterator waits for those in the works.
    """
    running: deque[Callable[[], Made]] = deque()
    try:
        for finish in works:
            running.append(finish)
            if len(running) == lanes:
                yield running.popleft()()
        while running:
            yield running.popleft()()
    finally:
        settle(running)


def settle(running: Iterable[Callable[[], object]]) -> None:
    """Wait for works that nobody will see, whatever becomes of them."""
    for finish in running:
        with contextlib.suppress(Exception):
            finish()


def calls(moments: Sequence[Fraction]) -> list[int]:
    """How many frames `ahead` will have made when it yields each of these moments; the last is the total."""
    made: set[Fraction] = set()
    counts = []
    for moment in moments:
        if 0 < moment < 1:
            made.add(moment)
        counts.append(len(made))
    return counts
