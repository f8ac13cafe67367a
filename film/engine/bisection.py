"""Which middles to make, in which order.

FILM makes only the frame half-way between two others, so every moment of a film is reached by bisection:
the middle of (first, last), then the middle of one of the halves, and so on. The walk below knows neither
model nor image: a *keyframe* is whatever `middle` takes and returns. It moves from left to right, so the first
frames of a film exist long before its last ones, and it keeps only the keyframes still ahead of it.

Conventions: moments are exact `Fraction`s in [0, 1]; 0 is the first keyframe, 1 the last.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from film.engine import direct
from film.support import validation

Keyframe = TypeVar("Keyframe")

MAX_DEPTH = 8  # 257 frames; one more level would double the work for a difference nobody sees
MAX_COUNT = 10_000  # frames between two photos
EXACT = Fraction(0)  # a precision: moments stay as they are, for models that honour the time
PRECISION = Fraction(1, 256)  # of the interval: where a moment is not dyadic, the nearest multiple is made


def dyadic(depth: int) -> list[Fraction]:
    """The 2**depth + 1 evenly spaced moments of a recursion, both ends included. ValueError outside 0..8."""
    levels = validation.whole(depth)
    if levels is None or not 0 <= levels <= MAX_DEPTH:
        raise ValueError(f"The depth is {depth!r}; it must be a whole number from 0 to {MAX_DEPTH}.")
    return [Fraction(k, 2**levels) for k in range(2**levels + 1)]


def evenly(count: int, precision: float | Fraction = PRECISION) -> list[Fraction]:
    """`count` evenly spaced moments, both ends included, each to the nearest multiple of `precision`.

    Where neighbours would fall on one multiple, the precision is refined until they do not. ValueError for a count that
    is not from 2 to 10,000, or a precision that is none.
    """
    (moments,) = pairs(2, count=count, precision=precision)
    return moments


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
    """The moments of a film given in one of three ways. ValueError unless exactly one is given, and can be."""
    if sum(given is not None for given in (depth, count, times)) != 1:
        raise ValueError("Give the film's length in one way: a depth, a count of frames, or a list of times.")
    if depth is not None:
        return dyadic(depth)
    if count is not None:
        return evenly(count, precision)
    assert times is not None
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
    then last equally long, or in proportion to their `weights`. A photo between two gaps belongs to the later one.
    ValueError unless exactly one of depth and count is given, or for a count above `most(photos)`.
    """
    if photos < 2:
        raise ValueError(f"A film is made from two photos or more; {photos} were given.")
    if (depth is None) == (count is None):
        raise ValueError("Give the film's length in one way: a depth, or a count of frames.")
    if depth is not None:
        return [dyadic(depth)[:-1] for _ in range(photos - 2)] + [dyadic(depth)]
    frames = validation.whole(count)
    if frames is None or not 2 <= frames <= most(photos):
        raise ValueError(f"The number of frames is {count!r}; it must be a whole number from 2 to {most(photos)}.")
    precision = exact(precision)
    starts = _starts([1] * (photos - 1) if weights is None else weights)
    longest = max(end - start for start, end in zip(starts, starts[1:], strict=False))
    while precision and precision * longest * (frames - 1) > starts[-1]:
        precision /= 2
    film: list[list[Fraction]] = [[] for _ in range(photos - 1)]
    pair = 0
    for k in range(frames):
        position = starts[-1] * k / (frames - 1)
        while pair < photos - 2 and starts[pair + 1] <= position:
            pair += 1
        film[pair] += nearest([(position - starts[pair]) / (starts[pair + 1] - starts[pair])], precision)
    return film


def most(photos: int) -> int:
    """How many frames a film through so many photos can have."""
    return MAX_COUNT * max(1, photos - 1)


def _starts(weights: Sequence[float]) -> list[Fraction]:
    """Where each gap begins, and where the last one ends. No gap is shorter than a hundredth of the longest."""
    least = max(*weights, 1e-9) / 100
    return list(itertools.accumulate([Fraction(max(weight, least)) for weight in weights], initial=Fraction(0)))


def walk(
    left: Keyframe,
    last: Keyframe,
    moments: Iterable[Fraction],
    middle: Callable[[Keyframe, Keyframe], Keyframe],
) -> Generator[Keyframe]:
    """Yield the keyframe at each of the ascending dyadic `moments` from `left` to `last`, making every ancestor once.

    With `dyadic(n)` the first synthesized keyframe comes after exactly n calls of `middle`, and no more than
    n + 1 keyframes are ever waiting: the one just passed and those ahead.
    """
    position = Fraction(0)
    ahead = [(last, Fraction(1))]  # nearest on top; neighbours in it are neighbours in the bisection tree
    for moment in moments:
        if moment.denominator.bit_count() != 1:
            raise ValueError(f"The moment {moment} is not reached by halving; give a precision, such as 1/256.")
        while ahead and ahead[-1][1] <= moment:
            left, position = ahead.pop()
        while position != moment:
            half = (position + ahead[-1][1]) / 2
            ahead.append((middle(left, ahead[-1][0]), half))
            if half <= moment:
                left, position = ahead.pop()
        yield left


def walk_ahead(
    there: dict[Fraction, Keyframe],
    moments: Sequence[Fraction],
    start: Callable[[Keyframe, Keyframe], Callable[[], Keyframe]],
    lanes: int,
) -> Generator[Keyframe]:
    """`walk`, with up to `lanes` middles in the works at once: the same keyframes in the same order.

    `there` holds the keyframes at 0 and 1; it becomes the iterator's own, which drops each that is needed no longer.
    `start` begins a middle and returns what waits for it. Middles are started in the order in which `walk` makes
    them, each as soon as both its ends are there, and no more than a few ahead of the frame that is waited for:
    memory stays bounded. Closing the iterator waits for those in the works.
    """
    waiting = tree(moments)
    needed = Counter(moment for left, right, _ in waiting for moment in (left, right)) + Counter(moments)
    running: dict[tuple[Fraction, Fraction, Fraction], Callable[[], Keyframe]] = {}

    def take(moment: Fraction) -> Keyframe:
        needed[moment] -= 1
        return there[moment] if needed[moment] else there.pop(moment)

    def fill() -> None:
        for node in waiting[: 2 * lanes]:
            left, right, _ = node
            if len(running) < lanes and left in there and right in there:
                running[node] = start(there[left], there[right])
                waiting.remove(node)

    try:
        for moment in moments:
            fill()
            while moment not in there:
                oldest = next(iter(running))
                left, right, half = oldest
                there[half] = running.pop(oldest)()
                take(left)
                take(right)
                fill()
            yield take(moment)
    finally:
        direct.settle(running.values())


def tree(moments: Iterable[Fraction]) -> list[tuple[Fraction, Fraction, Fraction]]:
    """(left, right, middle) of every call of `walk`, in its order."""
    nodes: list[tuple[Fraction, Fraction, Fraction]] = []

    def middle(left: Fraction, right: Fraction) -> Fraction:
        nodes.append((left, right, (left + right) / 2))
        return nodes[-1][2]

    for _ in walk(Fraction(0), Fraction(1), moments, middle):
        pass
    return nodes


def reachable(moments: Sequence[Fraction]) -> Sequence[Fraction]:
    """The moments, or the nearest multiples of PRECISION where halving does not reach them all: they were planned for a
    model that honours the time."""
    dyadic_all = all(moment.denominator.bit_count() == 1 for moment in moments)
    return moments if dyadic_all else nearest(moments)


def calls(moments: Sequence[Fraction]) -> list[int]:
    """How often `walk` will have called `middle` when it yields each of these moments; the last is the total."""
    moments = reachable(moments)
    numbers = {made: number for number, (_, _, made) in enumerate(tree(moments), 1)}
    return list(itertools.accumulate((numbers.get(moment, 0) for moment in moments), max))  # what is there is no call
