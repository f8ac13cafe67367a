"""Where one scene of a video ends and another begins, and which frames are only repeated.

Between two scenes there is no motion to follow, so nothing may be made there; and a frame that stands twice stops the
motion for a moment, which interpolation would only draw out. Both are seen in small copies of the frames; that a frame
is repeated is then confirmed in all of its pixels. A frame that is shown for long is a pause, as if it were repeated.

A cut is found as PySceneDetect's AdaptiveDetector does it: frames are compared by the mean difference of their hue,
saturation and value ("content value", 0 to 255), and a cut stands out from its neighbours, which fast motion does
not. (Written anew for a stream: the library would bring a second OpenCV with a window system.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from film.media.video_reader import TimedFrame

SMALL = 128  # pixels, about, of the longer side of the copies that are compared
HUE = 180 / 256  # OpenCV's hue, for which the thresholds are known, has 180 steps
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
MOST_REPEATS = 3  # more repetitions in a row than that are a scene in which nothing moves
PAUSE = Fraction(1, 4)  # seconds a frame is shown at least for it to be a pause: jitter of a variable rate is less


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
    """How much two small copies of one size differ, 0 to 255."""
    one, other = (np.asarray(Image.fromarray(copy).convert("HSV"), np.float32) for copy in (a, b))
    return float((np.abs(one - other) * np.array([HUE, 1, 1])).mean())


def likeness(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Correlation of two pictures seen from afar, -1 to 1, whatever their brightness.

    Of frames of one shot, 4 to 16 apart, it is above 0.2 in 9 of 10 pairs; of frames of two films below 0.3 in as many.
    """
    size = (LIKENESS_SIDE, LIKENESS_SIDE)
    one, other = (
        np.asarray(Image.fromarray(copy).convert("L").resize(size, Image.Resampling.BOX), np.float64) for copy in (a, b)
    )
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(1e-9, np.sqrt((one**2).sum() * (other**2).sum())))


def shots(stills: Iterable[TimedFrame], cut: float = CUT) -> Iterator[SceneFrame]:
    """Mark the cuts in a stream of frames, leave out what only repeats the frame before, and hold what is a pause.

    `cut` is the smallest content value of a cut; infinity finds none. A few frames are held back, to be compared.
    """
    waiting: deque[SceneFrame] = deque()
    values: deque[float] = deque(maxlen=2 * NEIGHBOURS + 1)  # ends with those of the frames that wait
    alike: deque[float] = deque(maxlen=2 * NEIGHBOURS + 1)
    intervals: deque[Fraction] = deque(maxlen=2 * NEIGHBOURS + 1)  # of motion: from when one is held to the next
    before: npt.NDArray[np.uint8] | None = None
    held = Fraction(0)
    for shot, copy in _distinct(stills):
        if before is not None:
            values.append(content_value(before, copy))
            alike.append(likeness(before, copy))
            intervals.append(shot.time - held)
        before, held = copy, shot.held
        waiting.append(shot)
        if len(waiting) > NEIGHBOURS:
            yield _paused(_marked(waiting, list(values), list(alike), cut), waiting, list(intervals))
    while waiting:
        yield _paused(_marked(waiting, list(values), list(alike), cut), waiting, list(intervals))


def _marked(waiting: deque[SceneFrame], values: list[float], alike: list[float], cut: float) -> SceneFrame:
    """Take the first shot that waits, and see by the values around it whether a scene begins with it."""
    own = len(values) - len(waiting)
    shot = waiting.popleft()
    if own < 0 or values[own] < cut:  # the first of all follows nothing
        return shot
    around = values[max(0, own - NEIGHBOURS) : own] + values[own + 1 :]
    ratio = STANDS_OUT if alike[own] >= UNRELATED else STANDS_OUT_UNRELATED
    if around and values[own] < ratio * sum(around) / len(around):
        return shot
    return replace(shot, cut=True)


def _paused(shot: SceneFrame, waiting: deque[SceneFrame], intervals: list[Fraction]) -> SceneFrame:
    """The shot, held if it is shown for long beside those around it: the motion to the next takes as long as theirs."""
    if not waiting:
        return shot
    typical = sorted(intervals)[(len(intervals) - 1) // 2]  # of two the shorter: a film may begin with a pause
    following = waiting[0].time
    if following - shot.held <= max(PAUSE, (MOST_REPEATS + 1) * typical):
        return shot
    return replace(shot, held=following - typical)


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether no pixel of two frames differs by more than coding noise."""
    one, other = (Image.fromarray(eight_bits(pixels)).convert("L") for pixels in (a, b))
    return bool(np.asarray(ImageChops.difference(one, other)).max() < SAME_PIXEL)


def _distinct(stills: Iterable[TimedFrame]) -> Iterator[tuple[SceneFrame, npt.NDArray[np.uint8]]]:
    """Each frame that differs from the one before, and its small copy.

    Where many frames in a row are the same, the motion begins with the last of them.
    """
    shown: TimedFrame | None = None
    copy: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
    repeats: list[Fraction] = []  # when it is repeated; of many, the last few
    end = Fraction(0)

    def shot(still: TimedFrame) -> SceneFrame:
        held = repeats[-1] if len(repeats) > MOST_REPEATS else still.time
        return SceneFrame(still.pixels, still.time, held, end, cut=False)

    for still in stills:
        now = small(still.pixels)
        alike = shown is not None and np.abs(now.astype(np.int16) - copy).max() < SAME
        if shown is not None and alike and _same(shown.pixels, still.pixels):
            repeats = [*repeats[-MOST_REPEATS:], still.time]
        else:
            if shown is not None:
                yield shot(shown), copy
            shown, copy, repeats = still, now, []
        end = still.time + still.duration
    if shown is not None:
        yield shot(shown), copy
