"""How fast a film moves: easing between photos, and the speed of a video, steady or along a curve.

Conventions: a video's times are seconds after its first frame that is used; a film's frames are numbered from 0.
"""

from __future__ import annotations

import itertools
import math
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

    def frames(self, seconds: float) -> int:
        """Of the film of a video that lasts so long."""
        return math.ceil(round(seconds / float(self.step), 3))


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
        return self.frames(float(time))

    def frames(self, seconds: float) -> int:
        """As `Steady.frames`."""
        return math.ceil(round(self.lasting(seconds) * float(self.fps), 6))

    def lasting(self, seconds: float | Fraction) -> float:
        """How long the film takes for so many seconds of the video from its beginning on."""
        return self._film(self.begin + float(seconds)) - self._film(self.begin)

    def _film(self, time: float) -> float:
        """Seconds of film from the first point to that time of the video; negative before it."""
        (start, speed), passed = self.points[0], 0.0
        if time <= start:
            return (time - start) / speed
        for (a, u), (b, v) in itertools.pairwise(self.points):
            passed += _lasting(u, (v - u) / (b - a), min(time, b) - a)
            if time <= b:
                return passed
        end, speed = self.points[-1]
        return passed + (time - end) / speed

    def _video(self, film: float) -> float:
        """The time of the video so many seconds of film after the first point."""
        (time, speed), passed = self.points[0], 0.0
        if film <= 0:
            return time + film * speed
        for (a, u), (b, v) in itertools.pairwise(self.points):
            slope = (v - u) / (b - a)
            lasting = _lasting(u, slope, b - a)
            if film <= passed + lasting:
                inside = film - passed
                return a + (u * math.expm1(slope * inside) / slope if slope else u * inside)
            passed += lasting
        time, speed = self.points[-1]
        return time + (film - passed) * speed


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
    if isinstance(time, str):
        told = Fraction(0)
        for place, part in enumerate(reversed(parts := time.strip().split(":"))):
            # Fraction also reads 1/2 and 1e999999, which nobody writes for a time.
            digits = part.replace(".", "", 1)
            if len(parts) > 3 or not (digits.isascii() and digits.isdecimal()) or ("." in part and place):
                told = None
                break
            told += Fraction(part) * 60**place
    if told is None or told < 0:
        raise ValueError(f"{name} is {validation.told(time)}; give seconds, or hh:mm:ss, such as 90 or 0:01:30.5.")
    return told
