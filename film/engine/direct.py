"""Each moment directly from both ends: for models that honour the time.

Nothing is interpolated from interpolated frames, and a film of n frames takes n - 2 calls, whatever n is. Conventions
as in `bisection`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from fractions import Fraction
from typing import TypeVar

Keyframe = TypeVar("Keyframe")


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
    wanted = deque(moment for moment in dict.fromkeys(moments) if 0 < moment < 1)
    running: deque[Callable[[], Keyframe]] = deque()
    made, at = first, Fraction(0)
    try:
        for moment in moments:
            if moment != at:
                at = moment
                made = last
                if moment < 1:
                    while wanted and len(running) < lanes:
                        running.append(start(first, last, float(wanted.popleft())))
                    made = running.popleft()()
            yield made
    finally:
        for finish in running:
            with contextlib.suppress(Exception):  # nobody will see this one; the others are to be waited for too
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
