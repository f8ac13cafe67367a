"""How fast a film moves: easing between photos, and the speed of a video, steady or along a curve.

Conventions: a video's times are seconds after its first frame that is used; a film's frames are numbered from 0.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from film.engine import bisection
from film.support import validation

# From the share of the time between two photos that has passed to the share of the way, both 0 to 1.
EASINGS: Mapping[str, Callable[[Fraction], Fraction]] = {
    "linear": lambda t: t,
    "ease-in": lambda t: t * t,
    "ease-out": lambda t: t * (2 - t),
    "ease-in-out": lambda t: t * t * (3 - 2 * t),
}
SPEEDS = (Fraction(1, 16), Fraction(16))  # of a curve, from ... to ...
TIME = re.compile(r"(?:(?:(\d{1,99}):)?(\d{1,99}):)?(\d{1,99}(?:\.\d*)?|\.\d+)", re.ASCII)  # seconds, mm:ss or hh:mm:ss
Curve: TypeAlias = str | Mapping[Any, Any] | Sequence[Sequence[Any]]  # "0:1,2.5:0.25", {0: 1, 2.5: 0.25} or pairs


def eased(pairs: Sequence[Sequence[Fraction]], easing: str, exact: bool = False) -> list[list[Fraction]]:
    """The moments of each gap, moved along the easing.

    They are made to a quarter of their distance or finer: where an easing is slow, what is rounded is seen most;
    or, `exact`, to any.
    """
    if easing == "linear":
        return [list(pair) for pair in pairs]
    curve, most = EASINGS[easing], max(map(len, pairs))
    precision = min(bisection.PRECISION, Fraction(1, 2 ** math.ceil(math.log2(4 * max(1, most)))))
    precision = bisection.EXACT if exact else precision
    return [bisection.nearest(map(curve, pair), precision) for pair in pairs]


@dataclass(frozen=True)
class Steady:
    """Each frame of the film shows the video `step` seconds later than the frame before."""

    step: Fraction

    def time(self, number: int) -> Fraction:
        """Of the video, at that frame of the film."""
        return self.step * number

    def first_at(self, time: Fraction) -> int:
        """The number of the first frame of the film at or after that time of the video."""
        return math.ceil(time / self.step)

    def frames(self, seconds: float | None) -> int:
        """Of the film of a video that lasts so long, as far as that is known; at least 2."""
        return max(2, math.ceil(round((seconds or 0.0) / float(self.step), 3)))


@dataclass(frozen=True)
class SpeedCurve:
    """A speed that changes along the video: straight from point to point, and even before the first and after the last.

    `points` are (time, speed): seconds of the whole video, ascending, and how many of its seconds pass in one of the
    film. The film lasts as long as the integral of 1 / speed.
    """

    points: tuple[tuple[float, float], ...]
    fps: Fraction  # of the film
    begin: float = 0.0  # the time in the whole video at which the film begins

    def time(self, number: int) -> Fraction:
        """As `Steady.time`."""
        return Fraction(self._video(self._film(self.begin) + number / float(self.fps)) - self.begin)

    def first_at(self, time: Fraction) -> int:
        """As `Steady.first_at`."""
        return math.ceil(round(self.lasting(time) * float(self.fps), 6))

    def frames(self, seconds: float | None) -> int:
        """As `Steady.frames`."""
        return max(2, self.first_at(Fraction(seconds or 0.0)))

    def lasting(self, seconds: float | Fraction) -> float:
        """How long the film takes for so many seconds of the video from its beginning on."""
        return self._film(self.begin + float(seconds)) - self._film(self.begin)

    def _film(self, time: float) -> float:
        """Seconds of film from the first point to that time of the video; negative before it."""
        (start, first), (end, last) = self.points[0], self.points[-1]
        film = min(0.0, time - start) / first + max(0.0, time - end) / last
        for (a, u), (b, v) in itertools.pairwise(self.points):
            film += _lasting(u, (v - u) / (b - a), min(max(a, time), b) - a)
        return film

    def _video(self, film: float) -> float:
        """The time of the video so many seconds of film after the first point."""
        start, first = self.points[0]
        time, left = start + min(0.0, film) * first, max(0.0, film)
        for (a, u), (b, v) in itertools.pairwise(self.points):
            slope = (v - u) / (b - a)
            inside = min(left, _lasting(u, slope, b - a))
            time += u * math.expm1(slope * inside) / slope if slope else u * inside
            left -= inside
        return time + left * self.points[-1][1]


Pace: TypeAlias = Steady | SpeedCurve


def _lasting(speed: float, slope: float, seconds: float) -> float:
    """The integral of 1 / (speed + slope t) over so many seconds."""
    return math.log1p(slope * seconds / speed) / slope if slope else seconds / speed


def curve_points(curve: Curve) -> tuple[tuple[float, float], ...]:
    """The points of a curve of speeds. ValueError unless there are two or more, ascending, each from 1/16 to 16."""
    if isinstance(curve, str):
        given: list[Any] = [point.rpartition(":")[::2] for point in curve.split(",")]
    else:
        given = list(curve.items() if isinstance(curve, Mapping) else curve)
    points = []
    for point in given:
        try:
            time, factor = point
            if isinstance(factor, str) and "e" in factor.lower():  # 1e999999999 has as many digits
                raise ValueError
            speed = Fraction(factor.strip()) if isinstance(factor, str) else validation.exact(factor)
        except (ValueError, TypeError, ZeroDivisionError):
            speed = None
        if speed is None:
            raise ValueError(f"The speed is {curve!r}; give points as time:factor, such as 0:1,2.5:0.25,4:1.")
        if not SPEEDS[0] <= speed <= SPEEDS[1]:
            raise ValueError(f"A speed of {validation.told(speed)} is asked for; it must be from 1/16 to 16.")
        points.append((float(seconds(time, "A time of the speed")), float(speed)))
    if len(points) < 2 or any(a >= b for (a, _), (b, _) in itertools.pairwise(points)):
        raise ValueError(f"The speed is {curve!r}; give two points or more, their times ascending (0:1,2.5:0.25).")
    return tuple(points)


def seconds(time: Any, name: str) -> Fraction:
    """A time in seconds, or as text: seconds, mm:ss or hh:mm:ss. ValueError for what is none, or negative."""
    told = validation.exact(time)
    if isinstance(time, str):  # Fraction also reads 1/2 and 1e999999, which nobody writes for a time
        parts = TIME.fullmatch(time.strip())
        told = sum(Fraction(part) * 60**k for k, part in enumerate(parts.groups("0")[::-1])) if parts else None
    if told is None or told < 0:
        raise ValueError(f"{name} is {validation.told(time)}; give seconds, or hh:mm:ss, such as 90 or 0:01:30.5.")
    return told
