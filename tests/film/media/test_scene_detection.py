"""Cuts are found, fast motion is none; repeated frames are left out, standstill stays."""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from film.media.scene_detection import content_value, likeness, scene_frames, small
from film.media.video_reader import TimedFrame, VideoReader, read_metadata
from tests.support.clips import pan, video

FRAME = Fraction(1, 24)


def stills(pictures: Sequence[np.ndarray], fps: int = 24) -> list[TimedFrame]:
    return [TimedFrame(picture, Fraction(k, fps), Fraction(1, fps)) for k, picture in enumerate(pictures)]


def found(pictures: Sequence[np.ndarray], **options: float) -> list[int]:
    """The numbers of the frames with which a new scene begins."""
    return [int(frame.time / FRAME) for frame in scene_frames(stills(pictures), **options) if frame.cut]


def test_a_cut_is_found_where_it_is() -> None:
    one, other = pan(7, seed=1), pan(8, seed=2)
    assert found(one + other) == [7]
    assert found(one + other + one) == [7, 15]
    assert found(one + other, cut=math.inf) == []


@pytest.mark.parametrize("step", [1, 8, 24])
def test_motion_is_no_cut(step: int) -> None:
    assert found(pan(12, step=step)) == []


def faded(pictures: Sequence[np.ndarray], contrast: float = 0.4) -> list[np.ndarray]:
    """Grey, of little contrast, as old prints are."""
    greys = [picture.mean(axis=2, keepdims=True) for picture in pictures]
    return [np.repeat(np.rint(120 + (grey - grey.mean()) * contrast), 3, axis=2).astype(np.uint8) for grey in greys]


def framed(pictures: Sequence[np.ndarray], bar: int, value: int = 0) -> list[np.ndarray]:
    """Between bars above and below."""
    rows = np.full((bar, pictures[0].shape[1], 3), value, np.uint8)
    return [np.concatenate([rows, picture[bar:-bar], rows]) for picture in pictures]


@pytest.mark.parametrize("value", [0, 16, 255])
def test_a_cut_is_measured_against_the_content(value: int) -> None:
    one, other = pan(7, seed=1), pan(8, seed=2)
    assert found(faded(one) + faded(other)) == [7]
    assert found(framed(one, 20, value) + framed(other, 20, value)) == [7]
    assert found(framed(faded(one), 20, value) + framed(faded(other), 20, value)) == [7]
    assert found(framed(faded(pan(12, step=8)), 20, value)) == []


def test_a_cut_beside_either_end_is_found() -> None:
    one, other = pan(6, seed=1), pan(6, seed=2)
    assert found(one[:1] + other) == [1]
    assert found(one + other[:1]) == [6]
    assert found(one[:1] + other[:1]) == [1]  # nothing around it to stand out from


@pytest.mark.parametrize(
    ("pattern", "fps"), [([2], 24), ([3], 24), ([4], 24), ([5], 60), ([2, 3], 60), ([6, 4], 60), ([8], 60)]
)
def test_a_pattern_of_repeats_is_motion(pattern: list[int], fps: int) -> None:
    pictures, repeats = pan(12, step=4), [pattern[k % len(pattern)] for k in range(12)]
    shown = [picture for picture, times in zip(pictures, repeats, strict=True) for _ in range(times)]
    kept = list(scene_frames(stills(shown, fps)))
    assert [frame.time * fps for frame in kept] == [sum(repeats[:k]) for k in range(12)]
    assert all(frame.held == frame.time for frame in kept)  # the motion goes on through the repetition
    assert kept[-1].end * fps == len(shown)
    np.testing.assert_array_equal([frame.pixels for frame in kept], pictures)


@pytest.mark.parametrize("pattern", [[5], [3, 2], [2]])
@pytest.mark.parametrize("crf", ["10", "24"])
@pytest.mark.slow
def test_a_pattern_of_repeats_is_known_however_they_were_coded(tmp_path: Path, pattern: list[int], crf: str) -> None:
    """Of detailed pictures repetitions differ by more than the motion of plain ones."""
    drawings = pan(30, 180, 320)
    frames = [drawing for k, drawing in enumerate(drawings) for _ in range(pattern[k % len(pattern)])]
    looked = read_metadata(video(tmp_path / "drawings.mp4", frames, "60", "-crf", crf))
    with VideoReader(looked, (180, 320)) as reader:
        count = len(list(scene_frames(reader)))
    assert 30 <= count <= 38  # the first ones are needed to see the pattern


def test_a_small_motion_after_a_large_one_is_no_repetition() -> None:
    """A camera that comes to rest on somebody who speaks."""
    panned = pan(30, 180, 320, step=6)
    still, speaking = panned[-1], []
    for k in range(40):
        picture = still.copy()
        picture[100 + k % 5 : 110 + k % 5, 150:180] = 200
        speaking.append(picture)
    times = [frame.time / FRAME for frame in scene_frames(stills([*panned, still, still, *speaking]))]
    assert sum(time >= 32 for time in times) >= 30


def test_what_becomes_of_repeated_frames_can_be_chosen() -> None:
    a, b, c = pan(3)
    pictures = stills([a, *[b] * 10, c])
    assert len(list(scene_frames(pictures, duplicates="keep"))) == 12
    for choice, until in (("auto", 10 * FRAME), ("drop", FRAME)):
        kept = list(scene_frames(pictures, duplicates=choice))
        assert [(frame.time, frame.held) for frame in kept] == [(0, 0), (FRAME, until), (11 * FRAME, 11 * FRAME)]


def test_slow_motion_of_soft_things_is_even() -> None:
    """Each step is smaller than what is taken for a repetition; together they are motion."""
    y, x = np.mgrid[:64, :96]
    greys = [100.5 + 60 * np.exp(-((x - 30 - 0.25 * k) ** 2 + (y - 32) ** 2) / 300) for k in range(120)]
    kept = list(scene_frames(stills([np.repeat(grey.astype(np.uint8)[..., None], 3, 2) for grey in greys], 60)))
    assert len(kept) > 8
    assert all(frame.held == frame.time for frame in kept[:-1])


def test_coding_noise_is_a_repetition_and_a_small_object_is_not() -> None:
    (a,) = pan(1, 128, 128)
    noisy = np.clip(a + np.random.default_rng(0).integers(-1, 2, a.shape), 0, 255).astype(np.uint8)
    moved = a.copy()
    moved[40:46, 40:46] = 255 - moved[40:46, 40:46]
    assert len(list(scene_frames(stills([a, noisy])))) == 1
    assert len(list(scene_frames(stills([a, moved])))) == 2


def dots(count: int, height: int, width: int, size: int, value: int, ground: int = 0) -> list[np.ndarray]:
    """Pictures with 60 dots that move a pixel to the right each time."""
    corners = np.random.default_rng(1).integers(0, (height - size, width - size - count), (60, 2))
    pictures = np.full((count, height, width, 3), ground, np.uint8)
    for k, picture in enumerate(pictures):
        for y, x in corners:
            picture[y : y + size, x + k : x + k + size] = value
    return list(pictures)


@pytest.mark.parametrize(("size", "value", "ground"), [(2, 120, 0), (3, 200, 0), (6, 130, 100)])
def test_the_motion_of_small_things_in_a_large_picture_is_no_repetition(size: int, value: int, ground: int) -> None:
    kept = list(scene_frames(stills(dots(6, 2160, 3840, size, value, ground))))
    assert [(frame.time, frame.held) for frame in kept] == [(k * FRAME, k * FRAME) for k in range(6)]


def held(milliseconds: Sequence[int]) -> list[int]:
    """How long each frame but the last is held, of those shown for so long."""
    times = [Fraction(sum(milliseconds[:k]), 1000) for k in range(len(milliseconds))]
    pictures = pan(len(times))
    timed = [TimedFrame(*of) for of in zip(pictures, times, [Fraction(ms, 1000) for ms in milliseconds], strict=True)]
    return [int(1000 * (frame.held - frame.time)) for frame in list(scene_frames(timed))[:-1]]


def test_a_frame_shown_for_long_is_held_as_if_it_were_repeated() -> None:
    assert held([100, 100, 100, 3000, 100, 100, 100]) == [0, 0, 0, 2900, 0, 0]
    assert held([3000, 100, 100]) == [2900, 0]
    assert held([100, 100, 3000, 100]) == [0, 0, 2900]
    assert held([100, 3000, 100, 100, 3000, 100, 100]) == [0, 2900, 0, 0, 2900, 0]


@pytest.mark.parametrize(
    "milliseconds",
    [
        [33, 34, 50, 33, 17, 33, 67, 133, 33, 33],  # a phone's, in little light
        [1, 65, 1, 65, 1, 65, 1, 65],  # in pairs, as a busy recorder stamps them
        [2000] * 6,
        [17] * 3 + [60] * 4,
        [1000, 1000],
    ],
)
def test_an_uneven_rate_is_no_pause(milliseconds: list[int]) -> None:
    assert not any(held(milliseconds))


def test_where_the_rate_falls_only_the_first_frame_is_held() -> None:
    assert held([20] * 6 + [300] * 6) == [0] * 6 + [280] + [0] * 4


def test_the_same_picture_is_alike_whatever_its_brightness() -> None:
    (a,), (b,) = pan(1, seed=1), pan(1, seed=2)
    assert likeness(small(a), small((a * 0.5 + 60).astype(np.uint8))) > 0.99
    assert likeness(small(a), small(255 - a)) < -0.99
    assert abs(likeness(small(a), small(b))) < 0.5
    assert content_value(small(a), small(a)) == 0


def test_only_a_few_frames_are_held_back() -> None:
    taken = 0

    def counted() -> object:
        nonlocal taken
        for still in stills(pan(30)):
            taken += 1
            yield still

    for number, _ in enumerate(scene_frames(counted())):  # type: ignore[arg-type]
        assert taken <= number + 11
