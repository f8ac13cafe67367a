"""Time stamps of every kind become one time that only goes on."""

from collections.abc import Sequence
from fractions import Fraction

import pytest

from film.media.video_clock import Clock

FRAME = Fraction(1, 25)


def even(count: int, start: float = 0) -> list[Fraction]:
    return [Fraction(start) + k * FRAME for k in range(count)]


def times(stamps: Sequence[Fraction | None], closes: bool = True) -> tuple[list[Fraction], Clock]:
    clock = Clock(FRAME, lambda before, after: closes)
    return [clock.time(stamp) for stamp in stamps], clock


HOUR, UNEVEN = [*even(10), *even(10, 3600)], [Fraction(3), Fraction(7, 2), Fraction(18, 5), Fraction(9)]
SHORT = [*even(10), *even(10, 5)]
# Stamps, whether a long gap is to be closed, and the times due.
CASES: dict[str, tuple[Sequence[Fraction | None], bool, list[Fraction]]] = {
    "what goes on": (UNEVEN, True, UNEVEN),
    "a gap that is a pause": (HOUR, False, HOUR),
    "a gap that none explains": (HOUR, True, even(20)),
    "a short gap, of which nobody is asked": (SHORT, True, SHORT),
    "frames without a stamp": ([Fraction(0), None, None], True, even(3)),
    **{
        f"recordings that begin at {start}": ([*even(50, 10), *even(50, start), *even(50, start)], True, even(150, 10))
        for start in (0, 7, 20_000, -5)
    },
}


@pytest.mark.parametrize("case", CASES)
def test_time_only_goes_on(case: str) -> None:
    stamps, closes, due = CASES[case]
    got, clock = times(stamps, closes)
    assert got == due and not clock.stepped_back
    for jump in clock.jumps:
        assert jump.after in stamps and jump.after + jump.offset in due
    assert len(clock.jumps) == (2 if case.startswith("recordings") else case.endswith("explains"))


def test_a_clock_that_runs_backwards_counts_by_its_pictures() -> None:
    got, clock = times([10 - stamp for stamp in even(50)])
    assert sorted(got) == got and len(set(got)) == 50
    assert 48 * FRAME <= got[-1] - got[0] <= 49 * FRAME
    assert not clock.jumps and clock.stepped_back


def test_a_frame_out_of_place_puts_no_other_off() -> None:
    stamps = even(10)
    got, clock = times([*stamps[:5], stamps[4], *stamps[5:]])
    assert [time for k, time in enumerate(got) if k != 5] == stamps and stamps[4] < got[5] < stamps[5]
    assert not clock.jumps and not clock.stepped_back
