"""Values that no film can have: each validator refuses them in one sentence with the value and what to do.

What passes them on (the package's functions, the command line, the endpoints) is tested where that is, once each.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import film
from film.engine import bisection
from film.media import images, video_segments, video_writer
from film.rendering import planning
from film.rendering.options import FilmOptions, PhotoOptions, VideoOptions
from film.support import memory

NO_NUMBERS = ["30", "1/2", "", True, np.bool_(True), [1], 1j, float("nan"), float("inf"), np.float32("nan"), -np.inf]
FRAME = np.full((32, 48, 3), 0.5, np.float32)
HUGE = Fraction(10**400)  # larger than any float
Call = Callable[[Any], object]
VALIDATORS: dict[str, tuple[Call, str, list[Any]]] = {
    "depth": (
        bisection.dyadic,
        "The depth is .*; it must be a whole number from 0 to 8",
        [-1, 9, 99, 1.0, "3", True, None, float("nan"), np.float64(2), np.bool_(True)],
    ),
    "count": (
        lambda count: bisection.moments(count=count),
        "The number of frames is .*; it must be a whole number from 2 to 10000",
        [1, 0, -5, 10_001, 24.0, "24", True],
    ),
    "count of many photos": (
        lambda count: bisection.pairs(4, count=count),
        "The number of frames is .*; it must be a whole number from 2 to 30000",
        [1, 30_001],
    ),
    "count of a pingpong": (
        lambda count: planning.plan([], count=count, play="pingpong"),
        "The number of frames is .*;",
        [1, 20_000, 24.0],
    ),
    "photos": (lambda count: bisection.pairs(count, 3), "two photos or more", [0, 1]),
    "one length": (
        lambda given: bisection.moments(**given),
        "one way",
        [{}, {"depth": 1, "count": 3}, {"depth": 1, "times": [0]}, {"count": 3, "times": [0]}],
    ),
    "time": (
        lambda time: bisection.nearest([time]),
        "The moment .* moments go from 0 to 1",
        [-0.1, 1.1, *NO_NUMBERS],
    ),
    "order of times": (bisection.nearest, "ascending", [[0.5, 0.4]]),
    "precision": (
        lambda precision: bisection.nearest([0.5], precision),
        "The precision is .*; it must be 1, 1/2",
        [Fraction(2), Fraction(1, 3), Fraction(3, 4), Fraction(-1, 2), 0.3, *NO_NUMBERS],
    ),
    "frame rate": (
        video_segments.exact,
        "The frame rate is .* per second; it must be from 1/600 to 240",
        [0, -1, Fraction(0), 240.001, 1e-9, Fraction(1, 601), HUGE, -HUGE, *NO_NUMBERS],
    ),
    "slowdown": (
        lambda slowdown: VideoOptions(slowdown=slowdown, fps=30),
        "The slowdown is .*; it must be from 1 to 16",
        [0.5, 17, HUGE, *NO_NUMBERS],
    ),
    "background": (
        lambda colour: FilmOptions(background=colour),
        "no opaque colour .*; give a name such as white, or #rrggbb",
        ["lavendar", "#ff000080"],
    ),
    "bits": (lambda bits: FilmOptions(depth_bits=bits), "The depth is .* bits; it must be 8 or 10", [12, "10"]),
    "easing": (
        lambda easing: PhotoOptions(easing=easing),
        "The easing is .*; choose linear, ease-in, ease-out, ease-in-out",
        ["bounce"],
    ),
    "length in two ways": (lambda given: PhotoOptions(**given), "in one way", [{"depth": 3, "seconds": 2}]),
    "start": (
        lambda start: VideoOptions(slowdown=2, start=start),
        "The start is .*; give seconds, or hh:mm:ss",
        ["soon", -1],
    ),
    "end": (  # the last is more than a float holds
        lambda end: VideoOptions(slowdown=2, end=end),
        "The end is .*; give seconds, or hh:mm:ss",
        ["1:2:3:4", "1e9", "9" * 400],
    ),
    "part": (
        lambda part: VideoOptions(slowdown=2, start=part[0], end=part[1]),
        "ends at 3 s, but begins at 4 s",
        [(4, "0:03")],
    ),
    "curve": (lambda speed: VideoOptions(speed=speed), "two points or more, their times ascend", ["0:1", "0:1,0:2"]),
    "speed": (lambda speed: VideoOptions(speed=speed), "A speed of 0 .*; it must be from 1/16 to 16", ["0:1,1:0"]),
    "curve as text": (  # the last is a number that fills the memory
        lambda speed: VideoOptions(speed=speed),
        "The speed is .*; give points as time:factor",
        ["fast", "0:1,1:1e999999999"],
    ),
    "cut": (lambda cut: VideoOptions(fps=60, cut=cut), "The threshold of a cut is .*; it must be 0 or more", [-1]),
    "slowdown and speed": (lambda speed: VideoOptions(slowdown=2, speed=speed), "not both", ["0:1,1:2"]),
    "nothing": (lambda slowdown: VideoOptions(slowdown=slowdown), "Say what to make of the video", [1]),
    "seconds": (
        lambda seconds: video_segments.frame_count(seconds, 30),
        "The length of the film is|has no two frames; make it longer",
        [0, -1, 0.01, float("nan"), float("inf")],
    ),
    "seconds of too many frames": (
        lambda seconds: video_segments.frame_count(seconds, 30, most=300),
        "10.1 s at 30 frames per second .* the 300 frames .* make it 10 s or shorter",
        [10.1],
    ),
    "spacing": (
        lambda spacing: PhotoOptions(spacing=spacing, depth=3),
        "The spacing is .*; choose equal, or motion with a count",
        ["motion"],
    ),
    "seconds as text": (
        lambda seconds: planning.lasting(seconds, 30, "a.mp4"),
        "The length of the film is '4' s",
        ["4"],
    ),
    "longest side": (
        lambda side: images.common_size([(64, 64)], side),
        "The longest side is limited to .* pixels; it must be at least 16",
        ["512", 3, 0, -1, True],
    ),
    "quality": (video_segments.check_quality, "The quality is .*from 1 .* to 100", [0, 101, -5, "80", float("nan")]),
    "play": (
        lambda play: video_writer.check("film.gif", play),
        "A film cannot be played .*; choose loop, once, pingpong",
        ["backwards", ["loop"], None],
    ),
    "place": (
        lambda path: video_writer.check_place(Path(path)),
        "cannot be written to (/nowhere/film.mp4: there is no directory /nowhere|/tmp: that is a directory)",
        ["/nowhere/film.mp4", "/tmp"],
    ),
    "suffix": (video_writer.check, r"a film can be \.mp4, \.webm, \.gif, \.webp, \.zip", ["film.avi", "film", ".mp4"]),
    "frame": (
        images.check_frame,
        r"The frame is (of type|\(.*\) of dtype) .*; a frame is a \(height, width, 3\) array of float32 in \[0, 1\]",
        [
            *(None, "frame.png", FRAME.tolist(), Image.new("RGB", (64, 48)), (FRAME * 255).astype(np.uint8)),
            *(FRAME[:, :, 0], FRAME[None], FRAME[:, :, [0, 1, 2, 0]]),
        ],
    ),
    "frame without pixels": (images.check_frame, "The frame is 48x0; a frame must have pixels", [FRAME[:0]]),
    "values of a frame": (
        images.check_frame,
        "The frame has values from (255 to 255|-1.5 to -1.5); .*divide by 255",
        [FRAME * 510, FRAME - 2],
    ),
    "numbers of a frame": (
        images.check_frame,
        "The frame has values that are not finite",
        [FRAME * np.float32(number) for number in ("nan", "inf")],
    ),
    "memory": (
        memory.budget,
        "The memory budget is .* GB; it must be a number above 0",
        [0.0, -1.0, -0.0, float("inf"), float("-inf"), float("nan"), "2", True, [2]],
    ),
    "model": (
        lambda name: film.load(name),
        "There is no model .*; give one of film-lite, rife, film",
        [None, "film3", [], 5, "", "FILM", "/nowhere", "ftp://x/film", "a" * 5000, "x\0y", "../film", "~", "."],
    ),
    "device": (
        lambda device: film.load(device=device),
        "There is no device .*; choose one of AUTO, .*CPU",
        ["TOASTER", "", "cpu", "CPU.99", "AUTO:TOASTER", ["CPU"]],
    ),
    "backend": (lambda backend: film.load(backend=backend), "There is no backend .*; choose openvino or", ["torch", 1]),
    "kind of precision": (
        lambda precision: film.load(precision=precision),
        "There is no precision .*; choose auto, mixed or exact",
        ["half", ["exact"]],
    ),
    "lanes": (lambda lanes: film.load(lanes=lanes), "whole number from 1 to 64", [0, -1, 65, 1.5, "2", True]),
    "threads": (lambda threads: film.load(threads=threads), "whole number, 1 or more", [0, -1, 1.5, "2", True]),
}


@pytest.mark.parametrize(
    ("call", "words", "value"),
    [
        pytest.param(call, words, value, id=f"{name}-{value!r}"[:60])
        for name, (call, words, values) in VALIDATORS.items()
        for value in values
    ],
)
def test_a_value_that_cannot_be_is_refused_in_words(call: Call, words: str, value: Any) -> None:
    with pytest.raises(ValueError) as refused:
        call(value)
    assert re.search(words, str(refused.value)) and "\n" not in str(refused.value), str(refused.value)


def test_one_photo_instead_of_many_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("The photos are 'a.jpg'; give a list of two or")):
        film.interpolate("a.jpg", film.load(), tmp_path / "film.mp4")
