"""Where one scene of a video ends and another begins, and which frames are only repeated.

Between two scenes there is no motion to follow, so nothing may be made there; and a frame that stands twice stops the
motion for a moment, which interpolation would only draw out. Both are seen in small copies of the frames; that a frame
is repeated is then confirmed in all of its pixels. A frame that is shown for long is a pause, as if it were repeated.

A cut is found as PySceneDetect's AdaptiveDetector does it: frames are compared by the mean difference of their hue,
saturation and value ("content value", 0 to 255), and a cut stands out from its neighbours, which fast motion does
not. What differs: the measure is taken against the content, its colour, its contrast and inside its bars. Of 306 cuts
between clips this finds 304, faded to grey 303, and between bars 299 to 303; PySceneDetect 0.7 with its adaptive
detector 290, 18 and 282 to 286, by brightness alone 291, 275 and 284 to 287.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from film.media.video_reader import TimedFrame

T = TypeVar("T")
Copy: TypeAlias = npt.NDArray[np.uint8]  # of a frame, see `small`

SMALL = 128  # pixels, about, of the longer side of the copies that are compared
HUE = 180 / 256  # OpenCV's hue, for which the thresholds are known, has 180 steps
COLOURED = 32  # mean saturation, of 255, from which a picture's colours count in full; a grey one has noise there
CONTRAST = 45  # standard deviation of brightness that a picture has ordinarily
MOST_GAIN = 3.0  # by which faint pictures are strengthened: what is fainter is noise
BAR_NOISE = 12  # of 255: the largest spread in a bar
LEAST_INSIDE = 8  # rows or columns that are not bars: fewer are a bar's noise
CUT = 15.0  # content value below which nothing is a cut
STANDS_OUT = 3.0  # times the mean of its neighbours'
STANDS_OUT_UNRELATED = 1.5  # the same where the frames have little in common: in the midst of fast motion
NEIGHBOURS = 2  # on either side
UNRELATED = 0.2  # likeness below which two photos are hardly of one scene
LIKENESS_SIDE = 32  # pixels: coarse enough that what moved a little still covers itself
SAME = 2.0  # largest difference of two small copies, of 255, for one to repeat the other: below it is coding noise
# The same for the brightness of every pixel: a star of two pixels is lost in the mean of a block. Where small copies
# agree, repetitions in H.264 (HD and 4K, crf 17 to 28, with and without grain) were seen to differ by 20 at most.
SAME_PIXEL = 24
NEARLY_SAME = 0.2  # of the usual step from drawing to drawing: less is a repetition among others
LONGEST_STAND = 6  # frames that a drawing stands for: fives, and one that is a little late
PATTERN = Fraction(1, 4)  # seconds each drawing stands at most for many of them to be motion
DUPLICATES = {
    "auto": "repeated frames are left out, and what stands still for long stays",
    "drop": "repeated frames are left out, and the motion goes on however long they stand",
    "keep": "every frame stays as it is",
}
PAUSE = Fraction(1, 4)  # seconds a frame is shown at least for it to be a pause: jitter of a variable rate is less
PAUSE_STEPS = 4  # times as long as its neighbours, too


@dataclass(frozen=True)
class SceneFrame:
    """A frame of a video, and how it lies in the film."""

    pixels: npt.NDArray[Any]  # as those of the `TimedFrame`
    time: Fraction  # when it appears, seconds
    held: Fraction  # until when it is shown unchanged; then the motion to the next frame begins
    end: Fraction  # when it would vanish if nothing followed
    cut: bool  # whether a new scene begins with it


def eight_bits(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A frame as it is compared: (H, W, 3) uint8; what is transparent is grey, so that dark and bright shapes show."""
    if pixels.shape[2] == 4:
        opacity = pixels[..., 3:]
        pixels = pixels[..., :3] + (np.iinfo(pixels.dtype).max - opacity) // 2
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def small(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A copy of about SMALL pixels to compare, each the mean of a block: (h, w, 3) RGB."""
    pixels = eight_bits(pixels)
    return np.asarray(Image.fromarray(pixels).reduce(max(1, max(pixels.shape[:2]) // SMALL)))


def content_value(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """How much two small copies of one size differ, 0 to 255, measured against what they hold.

    Hue and saturation count as far as there is colour, and what is faint counts as if it had ordinary contrast. Bars,
    edges of one colour that both have, count nothing.
    """
    one, other = (np.asarray(Image.fromarray(copy).convert("HSV"), np.float32) for copy in _inside_bars(a, b))
    hue, saturation, value = (np.abs(one - other) * np.array([HUE, 1, 1], np.float32)).mean((0, 1))
    colour = min(1.0, float(one[..., 1].mean() + other[..., 1].mean()) / 2 / COLOURED)
    contrast = max(1.0, float(one[..., 2].std() + other[..., 2].std()) / 2)
    gain = min(MOST_GAIN, max(1.0, CONTRAST / contrast))
    return min(255.0, float(gain * (colour * (hue + saturation) + value) / (2 * colour + 1)))


def _inside_bars(
    a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Both without the rows and columns at their edges that are of one colour, and the same in both."""
    if a.shape != b.shape:  # a video's picture has one size; photos are asked about by twos of any
        return a, b
    both = np.stack([a, b]).astype(np.int16)
    box = []
    for axis in (1, 2):
        # Over both pictures and along the row or column: no spread, so one colour and no change.
        spread = np.ptp(both, axis=(0, 3 - axis)).max(axis=1)
        lively = np.flatnonzero(spread > BAR_NOISE)
        box.append(slice(lively[0], lively[-1] + 1) if len(lively) >= LEAST_INSIDE else slice(None))
    return a[box[0], box[1]], b[box[0], box[1]]


def likeness(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Correlation of two pictures seen from afar, -1 to 1, whatever their brightness.

    Of frames of a scene, 4 to 16 apart, it is above 0.2 in 9 of 10 pairs; of frames of two films below 0.3 in as many.
    """
    size = (LIKENESS_SIDE, LIKENESS_SIDE)
    a, b = _inside_bars(a, b)
    one, other = (
        np.asarray(Image.fromarray(copy).convert("L").resize(size, Image.Resampling.BOX), np.float64) for copy in (a, b)
    )
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(1e-9, np.sqrt((one**2).sum() * (other**2).sum())))


class _Step(NamedTuple):
    """A frame that differs from the one before it, and how it follows on that."""

    frame: SceneFrame
    content: float  # content value
    likeness: float
    interval: Fraction  # seconds


def scene_frames(frames: Iterable[TimedFrame], cut: float = CUT, duplicates: str = "auto") -> Iterator[SceneFrame]:
    """Mark the cuts in a stream of frames, leave out what only repeats the frame before, and hold what is a pause.

    `cut` is the smallest content value of a cut; infinity finds none. `duplicates` is one of DUPLICATES. A few frames
    are held back, to be compared.
    """
    for window, at in _windows(_steps(_distinct(frames, duplicates)), NEIGHBOURS, NEIGHBOURS):
        frame = replace(window[at].frame, cut=_is_cut(window, at, cut))
        yield frame if duplicates == "drop" else _paused(frame, window, at)


def _windows(items: Iterable[T], before: int, after: int) -> Iterator[tuple[list[T], int]]:
    """Each item among those around it, up to so many on either side: a list, and its place there."""
    window: list[T] = []
    at = 0
    for item in items:
        window.append(item)
        if len(window) - at > after:
            yield window, at
            at += 1
        if at > before:
            del window[0]
            at -= 1
    for place in range(at, len(window)):
        yield window[max(0, place - before) :], min(place, before)


def _steps(frames: Iterable[tuple[SceneFrame, Copy]]) -> Iterator[_Step]:
    last: tuple[SceneFrame, Copy] | None = None
    for frame, copy in frames:
        before, old = last or (frame, copy)
        yield _Step(frame, content_value(old, copy), likeness(old, copy), frame.time - before.time)
        last = frame, copy


def _is_cut(window: list[_Step], at: int, cut: float) -> bool:
    """Whether a scene begins with a frame, by the values around it."""
    own = window[at]
    if own.content < cut:
        return False
    around = [step.content for step in window if step is not own and step.interval]  # the first of all follows nothing
    ratio = STANDS_OUT if own.likeness >= UNRELATED else STANDS_OUT_UNRELATED
    return not around or own.content >= ratio * sum(around) / len(around)


def _paused(frame: SceneFrame, window: list[_Step], at: int) -> SceneFrame:
    """The frame, held if it is shown for longer than its neighbours: the motion to the next lasts as long as theirs."""
    intervals = sorted(step.interval for step in window if step.interval)
    if at + 1 == len(window):
        return frame
    typical = intervals[(len(intervals) - 1) // 2]  # of two the shorter: a film may begin with a pause
    following = window[at + 1].frame.time
    if following - frame.time <= max(PAUSE, PAUSE_STEPS * typical):
        return frame
    return replace(frame, held=following - typical)


def _distinct(frames: Iterable[TimedFrame], duplicates: str) -> Iterator[tuple[SceneFrame, Copy]]:
    """Each frame that differs from the last one of these, and its small copy."""
    shown: SceneFrame | None = None
    copy: Copy = np.empty(0, np.uint8)
    for frame, now, stands in _compared(frames):
        if shown is not None:
            alike = duplicates != "keep" and np.abs(now.astype(np.int16) - copy).max() < SAME
            stands = duplicates != "keep" and stands and frame.time - shown.time < PATTERN
            if stands or (alike and _same(shown.pixels, frame.pixels)):
                shown = replace(shown, end=frame.time + frame.duration)
                continue
            yield shown, copy
        shown, copy = SceneFrame(frame.pixels, frame.time, frame.time, frame.time + frame.duration, cut=False), now
    if shown is not None:
        yield shown, copy


def _compared(frames: Iterable[TimedFrame]) -> Iterator[tuple[TimedFrame, Copy, bool]]:
    """Each frame, its small copy, and whether it seems to repeat the one before; see `_stands`."""
    waiting: deque[tuple[TimedFrame, Copy]] = deque()
    changes: deque[float] = deque(maxlen=3 * LONGEST_STAND)  # of each frame from the one before, 0 to 255
    for frame in frames:
        copy = small(frame.pixels)
        changes.append(float(np.abs(copy.astype(np.int16) - waiting[-1][1]).mean()) if waiting else 255.0)
        waiting.append((frame, copy))
        if len(waiting) > LONGEST_STAND:
            yield *waiting.popleft(), _stands(changes, len(changes) - len(waiting) - 1)
    while waiting:
        yield *waiting.popleft(), _stands(changes, len(changes) - len(waiting) - 1)


def _stands(changes: Sequence[float], at: int) -> bool:
    """Whether that frame is a repetition among others, coded otherwise: each drawing stands for two to five frames."""
    drawn = NEARLY_SAME * sorted(changes)[-2] if len(changes) > 1 else 0.0  # the largest may be a cut
    places = [place for place, change in enumerate(changes) if change >= drawn]
    stand = [later - earlier for earlier, later in itertools.pairwise(places)]
    return changes[at] < drawn and len(stand) >= 2 and stand.count(1) <= 1 and max(stand) <= LONGEST_STAND


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether no pixel of two frames differs by more than coding noise."""
    one, other = (Image.fromarray(eight_bits(pixels)).convert("L") for pixels in (a, b))
    return bool(np.asarray(ImageChops.difference(one, other)).max() < SAME_PIXEL)
