"""Which moments between which frames make up a film: the plan that the model then follows.

A film is a stream of *gaps*, each from one frame to the next, with the moments wanted between them. Neighbouring
gaps share a frame, which has one number in both, so that a model can know it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from film.engine import bisection
from film.engine.interpolator import FramePair
from film.media import alpha
from film.media.images import Frame, to_frame
from film.media.scene_detection import SceneFrame
from film.rendering.pace import Pace

# Moments of a video's gaps are made to a sixteenth: half of that is an error nobody sees at 24 frames per second and
# more, and finer ones would cost up to twice as many middles.
VIDEO_PRECISION = Fraction(1, 16)


def through(photos: Iterable[Frame], moments: Iterable[Sequence[Fraction]]) -> Iterator[FramePair]:
    """The gaps between neighbouring photos. A photo is taken when the film comes to it.

    ValueError when there are fewer photos than gaps, plus one.
    """
    remaining = iter(photos)
    left = next(remaining, None)
    for number, wanted in enumerate(moments):
        right = next(remaining, None)
        if left is None or right is None:
            raise ValueError("There are fewer photos than the film has gaps between them, plus one.")
        yield FramePair(left, right, wanted, (number, number + 1))
        left = right


def retimed(
    shots: Iterable[SceneFrame],
    pace: Pace,
    precision: Fraction = VIDEO_PRECISION,
    ground: Sequence[float] | None = alpha.WHITE,
) -> Iterator[FramePair]:
    """A video shown anew: frame k of the film is what the video shows `pace.time(k)` seconds after its first frame.

    Frames of RGBA lie over the ground; without one they stay transparent. Nothing is made across a cut: the last frame
    of a scene stays until the next scene begins, and the last frame of the video until its end.
    """

    def opened(shot: SceneFrame) -> tuple[SceneFrame, Frame]:
        frame = to_frame(shot.pixels)
        return shot, frame if ground is None else alpha.over(frame, ground)

    def due(until: Fraction) -> range:
        """The numbers of the film's frames that come before `until` and are not made yet."""
        return range(made, max(made, pace.first_at(until - start)))

    frames = map(opened, shots)
    left, frame = next(frames, (None, None))
    if left is None or frame is None:
        return
    start = left.time
    number = made = 0  # frames of the video, and of the film, so far
    for number, (shot, right) in enumerate(frames, 1):
        numbers = due(shot.time)
        length = shot.time - left.held
        if shot.cut or length <= 0:
            moments = [Fraction(0)] * len(numbers)
        else:
            times = (start + pace.time(k) for k in numbers)
            shares = [min(Fraction(1), max(Fraction(0), (time - left.held) / length)) for time in times]
            moments = bisection.nearest(shares, precision)
        yield FramePair(frame, right, moments, (number - 1, number))
        made, left, frame = numbers.stop, shot, right
    yield FramePair(frame, frame, [Fraction(0)] * len(due(left.end)), (number, number))


def chunks(pairs: Iterable[FramePair], least: int) -> Iterator[list[FramePair]]:
    """Group gaps that have moments, in order, until each group has `least` of them; the last group may have fewer.

    A chunk can be made by itself: on another machine, or in another run. It holds no frames but those it needs, even
    where most frames of a video are left out.
    """
    chunk: list[FramePair] = []
    for pair in pairs:
        if pair.moments:
            chunk.append(pair)
        if length(chunk) >= least:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def length(chunk: Iterable[FramePair]) -> int:
    """How many frames of the film are in it."""
    return sum(len(pair.moments) for pair in chunk)


def calls(chunk: Iterable[FramePair], honours_time: bool = False) -> Iterator[int]:
    """For each of its frames, how often the model is called to come to it from the frame before."""
    for pair in chunk:
        totals = bisection.calls(pair.moments, honours_time)
        yield from (later - earlier for earlier, later in zip([0, *totals], totals, strict=False))


def part(chunk: Iterable[FramePair], begin: int, end: int) -> list[FramePair]:
    """Some frames of a chunk: those numbered from `begin` to before `end`, and no gap that has none of them."""
    parts = []
    for pair in chunk:
        if max(0, begin) < min(end, len(pair.moments)):
            parts.append(replace(pair, moments=pair.moments[max(0, begin) : max(0, end)]))
        begin, end = begin - len(pair.moments), end - len(pair.moments)
    return parts
