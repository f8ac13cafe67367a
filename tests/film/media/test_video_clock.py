"""Time stamps of every kind become one time that only goes on."""

from __future__ import annotations

from fractions import Fraction

import pytest

from film.media.video_clock import Clock

FRAME = Fraction(1, 25)


def times(stamps: list[Fraction], closes: bool = True) -> tuple[list[Fraction], Clock]:
    clock = Clock(FRAME, lambda before, after: closes)
    return [clock.time(stamp) for stamp in stamps], clock


def even(count: int, start: Fraction = Fraction(0)) -> list[Fraction]:
    return [start + k * FRAME for k in range(count)]


def test_what_goes_on_is_not_touched() -> None:
    stamps = [Fraction(3), Fraction(7, 2), Fraction(18, 5), Fraction(9)]
    assert times(stamps)[0] == stamps
    assert not times(stamps)[1].jumps


@pytest.mark.parametrize("second", [Fraction(0), Fraction(7), Fraction(20_000), Fraction(-5)])
def test_recordings_that_were_joined_follow_each_other(second: Fraction) -> None:
    got, clock = times([*even(50, Fraction(10)), *even(50, second), *even(50, second)])
    assert got == even(150, Fraction(10))
    assert len(clock.jumps) == 2
    assert clock.jumps[0].after == second and clock.jumps[0].offset == got[50] - second


def test_a_clock_that_runs_backwards_counts_by_its_pictures() -> None:
    got, clock = times([10 - stamp for stamp in even(50)])
    assert sorted(got) == got and len(set(got)) == 50
    assert 48 * FRAME <= got[-1] - got[0] <= 49 * FRAME
    assert not clock.jumps and clock.stepped_back


def test_a_pause_stays_and_a_gap_that_none_explains_is_closed() -> None:
    stamps = [*even(10), *even(10, Fraction(3600))]
    assert times(stamps, closes=False)[0] == stamps
    assert times(stamps, closes=True)[0] == even(20)
    short = [*even(10), *even(10, Fraction(5))]
    assert times(short, closes=True)[0] == short  # nobody is asked


def test_a_frame_out_of_place_or_without_a_stamp_puts_no_other_off() -> None:
    stamps = even(10)
    twice = [*stamps[:5], stamps[4], *stamps[5:]]
    got, clock = times(twice)
    assert [time for k, time in enumerate(got) if k != 5] == stamps and stamps[4] < got[5] < stamps[5]
    assert not clock.jumps and not clock.stepped_back
    got, _ = times([Fraction(0), None, None])  # type: ignore[list-item]
    assert got == even(3)
