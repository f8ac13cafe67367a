"""Which frames to make from which, and in which order.

FILM makes only the frame half-way between two others, so every moment of a film is reached by bisection: the middle of
(first, last), then the middle of one of the halves, and so on. A network that honours the time makes each moment
directly from both ends: nothing is interpolated from interpolated frames, and n frames take n - 2 calls. The walk below
knows neither model nor image: a *keyframe* is whatever `start` takes and makes. It moves from left to right, so the
first frames of a film exist long before its last ones, and it keeps only the keyframes still ahead of it.

Conventions: moments are exact `Fraction`s in [0, 1]; 0 is the first keyframe, 1 the last.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from film.support import validation

Keyframe = TypeVar("Keyframe")

MAX_DEPTH = 8  # 257 frames; one more level would double the work for a difference nobody sees
MAX_COUNT = 10_000  # frames between two photos
EXACT = Fraction(0)  # a precision: moments stay as they are, for models that honour the time
PRECISION = Fraction(1, 256)  # of the interval: where a moment is not dyadic, the nearest multiple is made
ONE_WAY = "Give the film's length in one way: a depth, a count of frames, or a list of times."


def dyadic(depth: int) -> list[Fraction]:
    """The 2**depth + 1 evenly spaced moments of a recursion, both ends included. ValueError outside 0..8."""
    levels = validation.whole(depth)
    if levels is None or not 0 <= levels <= MAX_DEPTH:
        raise ValueError(f"The depth is {depth!r}; it must be a whole number from 0 to {MAX_DEPTH}.")
    return [Fraction(k, 2**levels) for k in range(2**levels + 1)]


def exact(precision: float | Fraction) -> Fraction:
    """A precision as a fraction. ValueError unless it is a power of 1/2, or EXACT."""
    fraction = validation.exact(precision)
    if fraction == EXACT:
        return EXACT
    if fraction is None or fraction.numerator != 1 or fraction.denominator.bit_count() != 1:
        raise ValueError(f"The precision is {validation.told(precision)}; it must be 1, 1/2, 1/4, 1/8, …")
    return fraction


def nearest(times: Iterable[float | Fraction], precision: float | Fraction = PRECISION) -> list[Fraction]:
    """Ascending times in [0, 1], each as the nearest multiple of `precision` (a power of 1/2, or EXACT).

    ValueError if they are not that, or the precision is none.
    """
    precision = exact(precision)
    moments: list[Fraction] = []
    for time in times:
        moment = validation.exact(time)
        if moment is None or not 0 <= moment <= 1:
            raise ValueError(f"The moment {time!r} lies outside the film; moments go from 0 to 1.")
        if moments and moment < moments[-1]:
            raise ValueError("The moments must be in ascending order.")
        moments.append(moment)
    return [round(moment / precision) * precision for moment in moments] if precision else moments


def moments(
    depth: int | None = None,
    count: int | None = None,
    times: Iterable[float | Fraction] | None = None,
    precision: float | Fraction = PRECISION,
) -> list[Fraction]:
    """The moments of a film of two photos, given in one of three ways: as `pairs`, or as `nearest`."""
    if times is None:
        (film,) = pairs(2, depth, count, precision)
        return film
    if depth is not None or count is not None:
        raise ValueError(ONE_WAY)
    return nearest(times, precision)


def pairs(
    photos: int,
    depth: int | None = None,
    count: int | None = None,
    precision: float | Fraction = PRECISION,
    weights: Sequence[float] | None = None,
) -> list[list[Fraction]]:
    """The moments of a film through several photos: a list for each gap between neighbours.

    With `depth` every gap gets that recursion's moments, with `count` the whole film that many evenly spaced frames,
    each to the nearest multiple of `precision` of its gap (refined where neighbours would fall on one multiple). Gaps
    then last equally long, or in proportion to their `weights`, none less than a hundredth of the longest. A photo
    between two gaps belongs to the later one. ValueError unless exactly one of depth and count is given, or for a count
    above `most(photos)`.
    """
    if photos < 2:
        raise ValueError(f"A film is made from two photos or more; {photos} were given.")
    if (depth is None) == (count is None):
        raise ValueError(ONE_WAY)
    if depth is not None:
        return [dyadic(depth)[:-1] for _ in range(photos - 2)] + [dyadic(depth)]
    frames = validation.whole(count)
    if frames is None or not 2 <= frames <= most(photos):
        raise ValueError(f"The number of frames is {count!r}; it must be a whole number from 2 to {most(photos)}.")
    precision = exact(precision)
    weights = [1] * (photos - 1) if weights is None else weights
    least = max(*weights, 1e-9) / 100
    lengths = [Fraction(max(weight, least)) for weight in weights]
    starts = list(itertools.accumulate(lengths, initial=Fraction(0)))  # of each gap, and where the last one ends
    while precision and precision * max(lengths) * (frames - 1) > starts[-1]:
        precision /= 2
    film: list[list[Fraction]] = [[] for _ in lengths]
    pair = 0
    for k in range(frames):
        position = starts[-1] * k / (frames - 1)
        while pair < photos - 2 and starts[pair + 1] <= position:
            pair += 1
        film[pair] += nearest([(position - starts[pair]) / lengths[pair]], precision)
    return film


def most(photos: int) -> int:
    """How many frames a film through so many photos can have."""
    return MAX_COUNT * max(1, photos - 1)


def tree(moments: Iterable[Fraction], honours_time: bool = False) -> list[tuple[Fraction, Fraction, Fraction]]:
    """(left, right, made) of every call of the model for these ascending moments, in order, each made once.

    ValueError for a moment that halving does not reach, unless the model honours the time.
    """
    left, end = Fraction(0), Fraction(1)
    if honours_time:
        return [(left, end, moment) for moment in dict.fromkeys(moments) if 0 < moment < 1]
    ahead = [end]  # nearest on top; neighbours in it are neighbours in the bisection tree
    nodes = []
    for moment in moments:
        if moment.denominator.bit_count() != 1:
            raise ValueError(f"The moment {moment} is not reached by halving; give a precision, such as 1/256.")
        while ahead and ahead[-1] <= moment:
            left = ahead.pop()
        while left != moment:
            ahead.append((left + ahead[-1]) / 2)
            nodes.append((left, ahead[-2], ahead[-1]))
            if ahead[-1] <= moment:
                left = ahead.pop()
    return nodes


def walk(
    there: dict[Fraction, Keyframe],
    moments: Sequence[Fraction],
    start: Callable[[Keyframe, Keyframe, float], Callable[[], Keyframe]],
    lanes: int = 1,
    honours_time: bool = False,
) -> Generator[Keyframe]:
    """Yield the keyframe at each of the ascending `moments`, with up to `lanes` of them in the works at once.

    `there` holds the keyframes at 0 and 1; it becomes the iterator's own, which drops each that is needed no longer.
    `start` begins the keyframe at a time between two others (a half, unless `honours_time`), and returns what waits for
    it. They are started in the order of `tree`, each as soon as both its ends are there, and no more than a few ahead
    of the one that is waited for: with one lane, n + 1 keyframes of `dyadic(n)` are alive at most, and none is begun
    before it is needed. Closing the iterator waits for those in the works.
    """
    waiting = tree(moments, honours_time)
    needed = Counter(moment for left, right, _ in waiting for moment in (left, right)) + Counter(moments)
    running: dict[tuple[Fraction, Fraction, Fraction], Callable[[], Keyframe]] = {}

    def take(moment: Fraction) -> Keyframe:
        needed[moment] -= 1
        return there[moment] if needed[moment] else there.pop(moment)

    def fill() -> None:
        for node in waiting[: 2 * lanes]:
            left, right, made = node
            if len(running) < lanes and left in there and right in there:
                running[node] = start(there[left], there[right], float((made - left) / (right - left)))
                waiting.remove(node)

    try:
        for moment in moments:
            while moment not in there:
                fill()
                left, right, made = oldest = next(iter(running))
                there[made] = running.pop(oldest)()
                take(left)
                take(right)
            if lanes > 1:
                fill()
            yield take(moment)
    finally:
        settle(running.values())


def in_order(works: Iterable[Callable[[], Keyframe]], lanes: int) -> Generator[Keyframe]:
    """What each of `works` waits for, with up to `lanes` in the works at once: taking one from the iterator begins it.

    Closing the iterator waits for those in the works.
    """
    running: deque[Callable[[], Keyframe]] = deque()
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


def reachable(moments: Sequence[Fraction]) -> Sequence[Fraction]:
    """The moments, or the nearest multiples of PRECISION where halving does not reach them all: they were planned for a
    model that honours the time."""
    dyadic_all = all(moment.denominator.bit_count() == 1 for moment in moments)
    return moments if dyadic_all else nearest(moments)


def calls(moments: Sequence[Fraction], honours_time: bool = False) -> list[int]:
    """How often `walk` will have called `start` when it yields each of these moments; the last is the total."""
    moments = moments if honours_time else reachable(moments)
    numbers = {made: number for number, (_, _, made) in enumerate(tree(moments, honours_time), 1)}
    return list(itertools.accumulate((numbers.get(moment, 0) for moment in moments), max))  # what is there is no call
