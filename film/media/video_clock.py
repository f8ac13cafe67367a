"""A video's time stamps -> one time that only goes on.

Recordings that were joined begin anew, clocks wrap, jump by hours or run backwards; the order of the pictures counts.
Where the stamps go back, or leave a gap that no pause of filming explains, what follows is joined on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

STEP_BACK = Fraction(1, 2)  # seconds; less is a frame out of place, or stamps that are rounded
PAUSE = 10  # seconds; a longer gap is looked at
LONGEST_PAUSE = 300  # seconds without pictures that a clip without sound may have


@dataclass(frozen=True)
class Jump:
    """Where the stamps of a source do not go on."""

    before: Fraction  # the last stamp before it, seconds
    after: Fraction  # the first after it
    offset: Fraction  # what makes a time of stamps from there on


class Clock:
    """Takes the stamps of a video's frames in their order. `jumps` are those that were met."""

    def __init__(self, frame: Fraction, closes: Callable[[Fraction, Fraction], bool]) -> None:
        """`frame`: seconds from one frame to the next, usually. `closes`: whether the gap between two stamps is to be
        closed; it is asked of those longer than PAUSE."""
        self.jumps: list[Jump] = []
        self.stepped_back = False  # more than once in a row, by less than a jump
        self._frame = frame
        self._closes = closes
        self._offset = Fraction(0)
        self._before: Fraction | None = None  # the stamp of the last frame
        self._last: Fraction | None = None  # its time
        self._out_of_place = False

    def time(self, stamp: Fraction | None) -> Fraction:
        """When the frame appears, seconds: later than the one before. A frame without a stamp follows at the usual
        distance."""
        if self._last is None or self._before is None:
            self._before = self._last = stamp or Fraction(0)
            return self._last
        if stamp is None:
            self._last += self._frame
            return self._last
        time = stamp + self._offset
        if time <= self._last:
            if self._last - time < STEP_BACK and not self._out_of_place:
                self._out_of_place = True
                time = self._last + self._frame / 2  # the next may be right again
            else:
                time = self._joined(stamp)
        else:
            self._out_of_place = False
            if stamp - self._before > PAUSE and self._closes(self._before, stamp):
                time = self._joined(stamp)
        self._before, self._last = stamp, time
        return time

    def _joined(self, stamp: Fraction) -> Fraction:
        assert self._last is not None and self._before is not None
        time = self._last + self._frame
        self._offset = time - stamp
        if abs(stamp - self._before) >= STEP_BACK:
            self.jumps.append(Jump(self._before, stamp, self._offset))
        else:
            self.stepped_back = True
        return time
