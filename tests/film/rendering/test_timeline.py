"""What a film shows at each of its moments, checked with frames that say their own time."""

import weakref
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest

import film
from film.engine import bisection
from film.engine.interpolator import FramePair
from film.media.scene_detection import SceneFrame
from film.rendering import timeline
from film.rendering.pace import Steady

FRAME = Fraction(1, 24)


def numbered(times: Sequence[Fraction], cuts: Sequence[int] = ()) -> Iterator[SceneFrame]:
    """Shots whose pixels are their number, times ten (and modulo 25, for long ones)."""
    for k, time in enumerate(times):
        pixels = np.full((4, 4, 3), 10 * (k % 25), np.uint8)
        yield SceneFrame(pixels, time, time, time + FRAME, k in cuts)


def values(pairs: Sequence[FramePair]) -> list[float]:
    """The number of the frame shown at each moment, with an exact middle."""
    shown = []
    for pair in pairs:
        left, right = (float(frame[0, 0, 0]) * 25.5 for frame in (pair.left, pair.right))
        ends = {Fraction(0): left, Fraction(1): right}
        shown += list(bisection.walk(ends, pair.moments, lambda a, b, _: lambda: (a + b) / 2))
    return shown


def test_slow_motion_is_exact_and_cheap() -> None:
    pairs = list(timeline.retimed(numbered([k * FRAME for k in range(5)]), Steady(FRAME / 4)))
    assert values(pairs) == pytest.approx([min(4, k / 4) for k in range(20)], abs=1e-5)  # the last frame stays
    assert sum(timeline.calls(pairs)) == 4 * 3


def test_frames_are_shown_at_their_times_however_uneven() -> None:
    times = [Fraction(t, 100) for t in (3, 4, 10, 11, 30)]
    pairs = list(timeline.retimed(numbered(times), Steady(Fraction(1, 100)), Fraction(1, 256)))
    shown = values(pairs)
    assert len(shown) == 27 + 5  # until the last one's end
    expected = np.interp(np.arange(3, 35), [3, 4, 10, 11, 30], range(5))
    assert shown == pytest.approx(expected, abs=1 / 512 + 1e-5)


def test_nothing_is_made_across_a_cut() -> None:
    pairs = list(timeline.retimed(numbered([k * FRAME for k in range(4)], cuts=[2]), Steady(FRAME / 4)))
    assert values(pairs) == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 2, 2.25, 2.5, 2.75, 3, 3, 3, 3], abs=1e-5)


def test_a_held_frame_moves_only_at_its_end() -> None:
    def shots() -> Iterator[SceneFrame]:
        still, moved = (np.full((4, 4, 3), value, np.uint8) for value in (0, 10))
        yield SceneFrame(still, Fraction(0), 3 * FRAME, 4 * FRAME, False)
        yield SceneFrame(moved, 4 * FRAME, 4 * FRAME, 5 * FRAME, False)

    pairs = list(timeline.retimed(shots(), Steady(FRAME / 2)))
    assert values(pairs) == pytest.approx([0, 0, 0, 0, 0, 0, 0, 0.5, 1, 1], abs=1e-5)


def test_neighbouring_gaps_share_their_frame() -> None:
    pairs = list(timeline.retimed(numbered([k * FRAME for k in range(4)]), Steady(FRAME / 2)))
    assert [pair.numbers for pair in pairs] == [(0, 1), (1, 2), (2, 3), (3, 3)]
    assert all(before.right is after.left for before, after in zip(pairs, pairs[1:], strict=False))


@pytest.mark.slow
def test_an_hour_is_exact_to_a_frame() -> None:
    """Slow motion of a video of one frame a minute, at 30000/1001: counted without an error that grows."""
    times = [Fraction(60 * k) for k in range(61)]
    step = Fraction(1001, 30000)
    count = sum(len(pair.moments) for pair in timeline.retimed(numbered(times), Steady(step)))
    assert count == -(-(3600 + FRAME) // step)


def test_stretches_hold_whole_gaps_and_everything() -> None:
    frame = np.zeros((4, 4, 3), np.float32)
    pairs = [FramePair(frame, frame, [Fraction(0)] * count, (0, 0)) for count in (2, 1, 5, 0, 1, 1)]
    chunks = list(timeline.chunks(iter(pairs), 3))
    assert [[len(pair.moments) for pair in chunk] for chunk in chunks] == [[2, 1], [5], [1, 1]]
    assert [pair for chunk in chunks for pair in chunk] == [pair for pair in pairs if pair.moments]


def test_frames_that_are_left_out_are_not_kept() -> None:
    """A video of 60 frames a second at one: of each second only two are needed."""
    alive: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()
    most = 0
    pairs = timeline.retimed(numbered([k * Fraction(1, 60) for k in range(1200)]), Steady(Fraction(1)))

    def watched() -> Iterator[FramePair]:
        nonlocal most
        for pair in pairs:
            alive.update({id(frame): frame for frame in (pair.left, pair.right)})
            most = max(most, len(alive))
            yield pair
            del pair

    assert [len(chunk) for chunk in timeline.chunks(watched(), 5)] == [5, 5, 5, 5, 1]
    assert most < 30  # of two stretches


def test_any_part_of_a_stretch_can_be_made_by_itself() -> None:
    photos = [np.full((4, 4, 3), value, np.float32) for value in (0, 1, 3)]
    chunk = list(timeline.through(photos, bisection.pairs(3, depth=2)))
    whole = values(chunk)
    assert timeline.length(chunk) == len(whole) == 9
    for begin in range(10):
        for end in range(10):
            part = timeline.part(chunk, begin, end)
            assert values(part) == whole[begin:end]
            assert all(pair.moments for pair in part)
    assert len(list(timeline.calls(chunk))) == 9


def test_photos_that_make_no_sequence_are_refused(model: film.Interpolator) -> None:
    small, wide = np.zeros((64, 64, 3), np.float32), np.zeros((64, 80, 3), np.float32)
    for photos, message in (([], "fewer photos"), ([small], "fewer photos"), ([small, wide], "one size")):
        with pytest.raises(ValueError, match=message):
            list(model.sequence(timeline.through(photos, bisection.pairs(2, depth=1))))
