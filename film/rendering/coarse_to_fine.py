"""Coarse to fine: the whole film moves after one call of the model, and each level doubles its frames.

In the film's own order its first second is smooth while its last second does not exist. Here the levels of the
bisection come one after the other: the photos, then every middle of two photos, then every middle of these. The
finished segments are the same, to the byte, as those made in order.

What it costs: the frames of a finished level wait on the disk as float32 (12 bytes per pixel, about half of the film's
frames), because a middle must be computed from exactly what the model made. Their features are dropped between two
levels, so a keyframe is encoded once per level: 2**depth - 1 + depth times instead of 2**(depth - 1) + 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from film.engine import bisection
from film.engine.interpolator import FramePair, Interpolator
from film.engine.session import Session
from film.media.images import Frame
from film.media.video_segments import Segment
from film.rendering import timeline
from film.rendering.events import Level
from film.rendering.renderer import Encoding, RenderedFrames
from film.support import memory, tempdirs

_NOTHING = np.zeros((0, 0, 3), np.float32)  # of pairs whose moments alone matter
STORED_BYTES = 12  # per pixel of a frame that waits for the next level: three float32

Gaps: TypeAlias = Sequence[Sequence[Fraction]]  # the moments wanted between each two photos
# Times of the whole film: i + t is moment t between photos i and i + 1.
Node: TypeAlias = tuple[Fraction, Fraction, Fraction]  # (left, right, middle)


def levels(gaps: Gaps, direct: bool = False) -> list[list[Node]]:
    """The calls that make these moments, coarsest level first, each level in the order of the film.

    Level k holds the middles whose moment is an odd multiple of 1/2**(k + 1). A model that makes any moment (`direct`)
    makes each from both photos, the middle ones of those that are left first.
    """
    found: dict[int, list[Node]] = {}
    for photo, moments in enumerate(gaps):
        if direct:
            spans, level = [sorted({moment for moment in moments if 0 < moment < 1})], 0
            while spans := [span for span in spans if span]:
                level += 1
                found.setdefault(level, []).extend(
                    (Fraction(photo), Fraction(photo + 1), photo + span[len(span) // 2]) for span in spans
                )
                spans = [half for span in spans for half in (span[: len(span) // 2], span[len(span) // 2 + 1 :])]
            continue
        for left, right, middle in bisection.tree(moments):
            exponent = middle.denominator.bit_length() - 1
            found.setdefault(exponent, []).append((photo + left, photo + right, photo + middle))
    return [sorted(found[exponent], key=lambda node: node[2]) for exponent in sorted(found)]


def stored_frames(gaps: Gaps, direct: bool = False) -> int:
    """How many frames wait on the disk for the finest level, at most: photos, and all middles but its own."""
    return len(gaps) + 1 + sum(map(len, levels(gaps, direct)[:-1]))


def render(
    model: Interpolator, pairs: Iterable[FramePair], gaps: Gaps, size: tuple[int, int], folder: Path, encoding: Encoding
) -> Generator[RenderedFrames | Segment | Level]:
    """Make the segments of a film through photos in `folder`, telling each frame and each finished level.

    `pairs` are the neighbouring photos in order, Frames of `size` (height, width). Raises as `Stream.frames`. Segments
    come with the finest level, in the order of the film. Closing the generator stops the work.
    """
    times = [photo + moment for photo, moments in enumerate(gaps) for moment in moments]
    places: dict[Fraction, list[int]] = {}  # several for a moment that is shown several times
    for place, time in enumerate(times):
        places.setdefault(time, []).append(place)
    present = 0

    def shown(time: Fraction, frame: Frame, calls: int) -> RenderedFrames:
        nonlocal present
        here = places.get(time, [])  # none: a moment on the way to others
        present += len(here)
        return RenderedFrames(len(here), calls, frame=frame, place=here[0] if here else None)

    session = model.session(*size)
    *coarse, finest = levels(gaps, session.honours_time)
    with tempdirs.folder() as directory, memory.told(memory.FOR_A_MODEL):

        def path(time: Fraction) -> Path:
            """Where a frame waits, exactly as it was made."""
            return directory / f"{time.numerator}-{time.denominator}.npy"

        for photo, frame in enumerate(_photos(pairs)):
            np.save(path(Fraction(photo)), frame)
            yield shown(Fraction(photo), frame, 0)
        yield Level(0, present, len(times))
        for number, nodes in enumerate(coarse, 1):
            with contextlib.closing(middles(session, path, nodes)) as made:
                for (_, _, time), frame in zip(nodes, made, strict=True):
                    np.save(path(time), frame)
                    yield shown(time, frame, 1)
            yield Level(number, present, len(times))
        made_now = {time for _, _, time in finest}
        blank = [FramePair(_NOTHING, _NOTHING, moments, (0, 1)) for moments in gaps]
        with contextlib.closing(middles(session, path, finest)) as made:
            first = 0
            for count in map(timeline.length, timeline.chunks(blank, encoding.length)):
                with encoding.encoder(folder, first, count) as encoder:
                    for place in range(first, first + count):
                        time = times[place]
                        if time not in made_now:
                            frame = np.load(path(time))
                        elif place == places[time][0]:
                            frame = next(made)
                            yield shown(time, frame, 1)
                        if segment := encoder.write(frame):
                            yield segment
                    if segment := encoder.finish():
                        yield segment
                first += count
        yield Level(len(coarse) + 1, len(times), len(times))


def middles(session: Session, path: Callable[[Fraction], Path], nodes: Iterable[Node]) -> Generator[Frame]:
    """The middles of one level, in order, with as many in the works as the session has lanes.

    Neighbours in a level share an end, which is loaded and encoded once.
    """

    def started() -> Iterator[Callable[[], Any]]:
        ends: dict[Fraction, Any] = {}
        for left, right, time in nodes:
            ends = {end: ends[end] if end in ends else session.keyframe(np.load(path(end))) for end in (left, right)}
            yield session.start(ends[left], ends[right], float((time - left) / (right - left)))

    with contextlib.closing(bisection.in_order(started(), session.lanes)) as keyframes:
        yield from map(session.frame, keyframes)


def _photos(pairs: Iterable[FramePair]) -> Iterator[Frame]:
    for number, pair in enumerate(pairs):
        if number == 0:
            yield pair.left
        yield pair.right
