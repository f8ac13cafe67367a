"""Who may compute now: a few places, and a line of bounded length before them.

Places are given in order of arrival, with two exceptions that make it fair. A long film never takes the last place:
while long films are made, short ones still go through one by one, and a long one waits for other long ones only. And
each address has a share: who has no film in the making comes before who has, and one address holds a few places in
all.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONG_SECONDS = 60.0  # films that take longer to make are long ones
LOOK_SECONDS = 1.0  # how often who waits is told the news; a visitor who left is noticed then
REMEMBERED = 20  # films whose time tells what an unknown one may take


class QueueFull(RuntimeError):
    """The line is full."""


@dataclass(frozen=True)
class Waiting:
    """What somebody in the line is told."""

    position: int  # 1 is the next
    seconds: float | None  # until it begins; None if nobody knows


@dataclass(eq=False)
class Slot:
    """One visitor's place: in the line at first, at work later."""

    owner: str = ""  # the address it was asked from; "" has no share to exceed
    ready: bool = False  # whether it could begin; before that it only keeps its position
    working: bool = False
    seconds: float | None = None  # what its film will take in all
    seconds_left: float | None = None  # of that, while it works

    @property
    def long(self) -> bool:
        """Whether it counts as a long one; one of unknown length does."""
        return self.seconds is None or self.seconds > LONG_SECONDS


class JobQueue:
    """`places` films at work, and up to `waiting` visitors who wait for a place. Shared by threads.

    `share` is how many films one address may have at work and waiting.
    """

    def __init__(self, places: int, waiting: int, share: float = math.inf) -> None:
        self._places = places
        self._room = places + waiting
        self._share = share
        self._changed = threading.Condition()
        self._slots: list[Slot] = []  # in order of arrival
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    @contextlib.contextmanager
    def slot(self, owner: str = "") -> Iterator[Slot]:
        """A place in the line for as long as the context, however it ends. QueueFull when there is none."""
        with self._changed:
            own = sum(slot.owner == owner for slot in self._slots)
            if owner and own >= self._share:
                raise QueueFull(
                    f"Busy: {own} film{'s' if own != 1 else ''} from your address are being made or wait already;"
                    " that is the share of one address. Try again when one of them is finished."
                )
            if len(self._slots) >= self._room:
                working, waiting = len(self._at_work()), len(self._in_turn())
                raise QueueFull(
                    f"Busy: {working} film{'s are' if working != 1 else ' is'} being made here and {waiting} visitor"
                    f"{'s' if waiting != 1 else ''} wait{'' if waiting != 1 else 's'}; that is all this machine takes."
                    " Try again in a few minutes."
                )
            self._slots.append(slot := Slot(owner))
        try:
            yield slot
        finally:
            with self._changed:
                self._slots.remove(slot)
                self._admit()

    def wait(self, slot: Slot, estimate: Callable[[], float | None]) -> Iterator[Waiting]:
        """Until it may begin, yields its position, at least every second.

        `estimate` tells the seconds its film will take; it is asked again as long as it does not know.
        """
        slot.seconds = estimate()
        with self._changed:
            slot.ready = True
            self._admit()
        while True:
            with self._changed:
                if slot.working:  # another film that ends may see to that at any moment
                    return
                news = Waiting(self._in_turn().index(slot) + 1, self._starts_in(slot))
            yield news
            if slot.seconds is None:  # perhaps it is known by now
                slot.seconds = estimate()
            with self._changed:
                self._admit()
                self._changed.wait_for(lambda: slot.working, LOOK_SECONDS)

    def took(self, seconds: float) -> None:
        """A film was made in so many seconds: remembered for the estimate of those that are not known."""
        with self._changed:
            self._took.append(seconds)

    def status(self) -> dict[str, int]:
        """How many films are made now, and how many visitors wait."""
        with self._changed:
            return {"running": len(self._at_work()), "waiting": len(self._in_turn())}

    def _admit(self) -> None:
        """Give free places away. Called with the lock held."""
        while slot := next(
            (slot for slot in self._in_turn() if slot.ready and self._fits(slot, self._at_work())), None
        ):
            slot.working, slot.seconds_left = True, slot.seconds
            self._changed.notify_all()

    def _at_work(self) -> list[Slot]:
        return [slot for slot in self._slots if slot.working]

    def _in_turn(self) -> list[Slot]:
        """Who waits, in the order in which places are given: first who has the fewest films at work."""
        owners = [slot.owner for slot in self._at_work() if slot.owner]
        return sorted((slot for slot in self._slots if not slot.working), key=lambda slot: owners.count(slot.owner))

    def _fits(self, slot: Slot, working: list[Slot]) -> bool:
        """Whether a film may begin beside these."""
        long = sum(other.long for other in working)
        return len(working) < self._places and not (slot.long and long >= max(1, self._places - 1))

    def _starts_in(self, slot: Slot) -> float | None:
        """Seconds until `slot` begins, if all before it take what they are expected to; None if nobody knows."""
        known = statistics.mean(self._took) if self._took else math.inf
        ends = {other: known if other.seconds_left is None else other.seconds_left for other in self._at_work()}
        waiting, now = [other for other in self._in_turn() if other.ready], 0.0
        while now < math.inf:
            for other in list(waiting):
                if self._fits(other, list(ends)):
                    if other is slot:
                        return now
                    waiting.remove(other)
                    ends[other] = now + (known if other.seconds is None else other.seconds)
            now = ends.pop(min(ends, key=ends.__getitem__)) if ends else math.inf
        return None
