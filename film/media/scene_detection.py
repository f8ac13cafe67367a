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
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from film.media.video_reader import TimedFrame

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
MOST_REPEATS = 3  # more repetitions in a row than that are a scene in which nothing moves
PATTERN = Fraction(1, 4)  # seconds each drawing stands at most for many of them to be motion
PATTERN_JITTER = 2  # times as long as the shorter ones around it: threes and twos, or soft motion in uneven steps
DUPLICATES = {
    "auto": "repeated frames are left out, and what stands still for long stays",
    "drop": "repeated frames are left out, and the motion goes on however long they stand",
    "keep": "every frame stays as it is",
}
FRAMES_COMPARED = 8  # of an interlaced video, to see whether both fields of each are of one time
ONE_PICTURE = 0.5  # of the change from frame to frame: less from field to field is that of lines
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


def scene_frames(frames: Iterable[TimedFrame], cut: float = CUT, duplicates: str = "auto") -> Iterator[SceneFrame]:
    """Mark the cuts in a stream of frames, leave out what only repeats the frame before, and hold what is a pause.

    `cut` is the smallest content value of a cut; infinity finds none. `duplicates` is one of DUPLICATES. A few frames
    are held back, to be compared.
    """
    waiting: deque[SceneFrame] = deque()
    values: deque[float] = deque(maxlen=2 * NEIGHBOURS + 1)  # ends with those of the frames that wait
    alike: deque[float] = deque(maxlen=2 * NEIGHBOURS + 1)
    intervals: deque[Fraction] = deque(maxlen=2 * NEIGHBOURS + 1)  # of motion: from when one is held to the next
    spans: deque[Fraction] = deque(maxlen=2 * NEIGHBOURS + 1)  # from when one appears to the next
    before: npt.NDArray[np.uint8] | None = None
    held = time = Fraction(0)

    def next_frame() -> SceneFrame:
        frame = _marked(waiting, list(values), list(alike), cut)
        if waiting and duplicates == "auto":
            frame = _in_pattern(frame, waiting[0].time, list(spans))
        return frame if duplicates == "drop" else _paused(frame, waiting, list(intervals))

    for frame, copy in _settled(_distinct(frames, duplicates)):
        if before is not None:
            values.append(content_value(before, copy))
            alike.append(likeness(before, copy))
            intervals.append(frame.time - held)
            spans.append(frame.time - time)
        before, held, time = copy, frame.held, frame.time
        waiting.append(frame)
        if len(waiting) > NEIGHBOURS:
            yield next_frame()
    while waiting:
        yield next_frame()


def _marked(waiting: deque[SceneFrame], values: list[float], alike: list[float], cut: float) -> SceneFrame:
    """Take the first frame that waits, and see by the values around it whether a scene begins with it."""
    own = len(values) - len(waiting)
    frame = waiting.popleft()
    if own < 0 or values[own] < cut:  # the first of all follows nothing
        return frame
    around = values[max(0, own - NEIGHBOURS) : own] + values[own + 1 :]
    ratio = STANDS_OUT if alike[own] >= UNRELATED else STANDS_OUT_UNRELATED
    if around and values[own] < ratio * sum(around) / len(around):
        return frame
    return replace(frame, cut=True)


def _paused(frame: SceneFrame, waiting: deque[SceneFrame], intervals: list[Fraction]) -> SceneFrame:
    """The frame, held if it is shown for longer than its neighbours: the motion to the next lasts as long as theirs."""
    if not waiting:
        return frame
    typical = sorted(intervals)[(len(intervals) - 1) // 2]  # of two the shorter: a film may begin with a pause
    following = waiting[0].time
    if following - frame.held <= max(PAUSE, (MOST_REPEATS + 1) * typical):
        return frame
    return replace(frame, held=following - typical)


def _in_pattern(frame: SceneFrame, following: Fraction, spans: list[Fraction]) -> SceneFrame:
    """The frame, not held though it is repeated many times, where those around it are as well: drawings on fives."""
    span, usual = following - frame.time, sorted(spans)[(len(spans) - 1) // 4]  # a few may stand shorter
    if frame.held > frame.time and span <= min(PATTERN, PATTERN_JITTER * usual):
        return replace(frame, held=frame.time)
    return frame


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether no pixel of two frames differs by more than coding noise."""
    one, other = (Image.fromarray(eight_bits(pixels)).convert("L") for pixels in (a, b))
    return bool(np.asarray(ImageChops.difference(one, other)).max() < SAME_PIXEL)


def without_repeated_fields(frames: Iterable[TimedFrame], duration: Fraction) -> Iterator[TimedFrame]:
    """Of an interlaced video, each lasting `duration` seconds, without second fields that show what the first does.

    So is a film that was filmed in whole frames: its two fields differ by their lines, and much more from those of the
    next frame. A field that repeats one of another frame stays.
    """
    inside: deque[float] = deque(maxlen=FRAMES_COMPARED)  # from the first field of a frame to the second
    between: deque[float] = deque(maxlen=FRAMES_COMPARED)  # from the second to the first of the next frame
    first: TimedFrame | None = None
    second: TimedFrame | None = None
    before: npt.NDArray[np.int16] = np.empty(0, np.int16)

    def repeated() -> bool:
        """Whether the second field shows what the first does."""
        assert first and second
        return sum(inside) < ONE_PICTURE * sum(between) or _is_repeat(first.pixels, second.pixels)

    for field in frames:
        copy = small(field.pixels).astype(np.int16)
        change = float(np.abs(copy - before).mean()) if first is not None else 0.0
        before = copy
        if first is not None and second is None and field.time - first.time < duration * Fraction(3, 4):
            second = field
            inside.append(change)
            continue
        if first is not None and second is not None:
            between.append(change)
            if not repeated():
                yield second
        yield field
        first, second = field, None
    if second is not None and not repeated():
        yield second


def _is_repeat(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return bool(np.abs(small(a).astype(np.int16) - small(b)).max() < SAME) and _same(a, b)


def _stands(changes: Sequence[float]) -> bool:
    """Whether the last frame is a repetition among others: drawings of which each stands for two to five frames.

    `changes` are those of the last frames from the ones before them, 0 to 255.
    """
    usual = sorted(changes)[-2] if len(changes) > 1 else 0.0  # the largest may be a cut
    drawn = [number for number, change in enumerate(changes) if change >= NEARLY_SAME * usual]
    stand = [later - earlier for earlier, later in itertools.pairwise([*drawn, len(changes)])]
    return len(drawn) >= 3 and stand.count(1) <= 1 and 1 < stand[-1] and max(stand) <= LONGEST_STAND


def _settled(
    distinct: Iterable[tuple[SceneFrame, npt.NDArray[np.uint8], bool]],
) -> Iterator[tuple[SceneFrame, npt.NDArray[np.uint8]]]:
    """The frames of `_distinct` without those that turn out to be a drawing coded otherwise, once the next one comes:
    among repetitions, and nearly the same as the frame before in comparison."""
    waiting: deque[tuple[SceneFrame, npt.NDArray[np.uint8], bool]] = deque()
    for frame, copy, repeated in distinct:
        while len(waiting) > 1:
            (before, old, stood), (last, new, stands) = waiting[-2], waiting[-1]
            own, following = (np.abs(new.astype(np.int16) - other).mean() for other in (old, copy))
            if not (stood or stands) or frame.time - before.time > PATTERN or own >= NEARLY_SAME * following:
                break
            waiting.pop()
            waiting[-1] = replace(before, held=before.time, end=last.end), old, True
        waiting.append((frame, copy, repeated))
        if len(waiting) > NEIGHBOURS:
            yield waiting.popleft()[:2]
    for item in waiting:
        yield item[:2]


def _distinct(
    frames: Iterable[TimedFrame], duplicates: str
) -> Iterator[tuple[SceneFrame, npt.NDArray[np.uint8], bool]]:
    """Each frame that differs from the last one of these, its small copy, and whether it is repeated.

    Where many frames in a row are the same, the motion begins with the last of them.
    """
    shown: TimedFrame | None = None
    copy: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
    repeats: list[Fraction] = []  # when it is repeated; of many, the last few
    end = Fraction(0)

    def scene_frame(frame: TimedFrame) -> SceneFrame:
        held = repeats[-1] if len(repeats) > MOST_REPEATS and duplicates != "drop" else frame.time
        return SceneFrame(frame.pixels, frame.time, held, end, cut=False)

    steps: deque[float] = deque(maxlen=2 * NEIGHBOURS + 1)  # by how much each of the last ones differs from its own
    changes: deque[float] = deque(maxlen=3 * LONGEST_STAND)  # of every frame, from the one before it
    before: npt.NDArray[np.uint8] | None = None
    for frame in frames:
        now = small(frame.pixels)
        changes.append(0.0 if before is None else float(np.abs(now.astype(np.int16) - before).mean()))
        before = now
        change = np.abs(now.astype(np.int16) - copy) if shown is not None else np.full(1, 255)
        alike = duplicates != "keep" and shown is not None and change.max() < SAME
        if alike and shown is not None:
            alike = _same(shown.pixels, frame.pixels)
        elif duplicates != "keep" and shown is not None and frame.time - shown.time < PATTERN:
            # One that was coded otherwise: in a pattern of repetitions, or after one.
            nearly = bool(repeats and steps) and change.mean() < NEARLY_SAME * sorted(steps)[len(steps) // 2]
            alike = nearly or _stands(changes)
        if alike:
            repeats = [*repeats[-MOST_REPEATS:], frame.time]
        else:
            if shown is not None:
                yield scene_frame(shown), copy, bool(repeats)
                steps.append(float(change.mean()))
            shown, copy, repeats = frame, now, []
        end = frame.time + frame.duration
    if shown is not None:
        yield scene_frame(shown), copy, bool(repeats)
