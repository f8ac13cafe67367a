"""Films of any number of frames through any number of photos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import film
from film.cli.commands import main
from film.engine import bisection
from film.media import images, video_segments
from film.rendering import pipeline, timeline


def test_a_count_is_spread_evenly_over_all_gaps() -> None:
    pairs = bisection.pairs(4, count=25)
    positions = [pair + moment for pair, moments in enumerate(pairs) for moment in moments]
    assert len(positions) == 25
    assert positions[0] == 0 and positions[-1] == 3
    for k, position in enumerate(positions):
        assert abs(position - Fraction(3 * k, 24)) <= bisection.PRECISION / 2
    assert pairs[1][0] == 0 and pairs[2][0] == 0  # 24 steps divide by 3: the photos themselves are in the film


def test_gaps_last_in_proportion_to_their_weights() -> None:
    pairs = bisection.pairs(4, count=13, weights=[1, 4, 1])
    assert [len(pair) for pair in pairs] == [2, 8, 3]
    assert [float(moment) for moment in pairs[1]] == [k / 8 for k in range(8)]
    still = bisection.pairs(3, count=101, weights=[0, 1])  # two photos alike: a moment all the same, no division by 0
    assert [len(pair) for pair in still] == [1, 100]
    with pytest.raises(ValueError, match="spacing"):
        pipeline.interpolate([Path("a"), Path("b")], film.load(), "film.mp4", depth=3, spacing="motion")


def test_motion_decides_how_long_a_gap_lasts(tmp_path: Path, averaging: Path) -> None:
    photos = []
    for level in (50, 60, 100):
        photos.append(tmp_path / f"{level}.png")
        Image.fromarray(np.full((64, 64, 3), level, np.uint8)).save(photos[-1])
    output = tmp_path / "film.mp4"
    frames = [
        float(event.frame.mean()) * 255
        for event in pipeline.interpolate(photos, film.load(averaging), output, count=51, spacing="motion")
        if isinstance(event, pipeline.Progress)
    ]
    assert frames == pytest.approx(list(range(50, 101)), abs=0.1)  # as fast everywhere
    made = output.read_bytes()
    command = ["interpolate", *map(str, photos), "-o", str(output), "--model", str(averaging), "--count", "51"]
    assert main([*command, "--spacing", "motion"]) == 0 and output.read_bytes() == made
    assert main(command) == 0 and output.read_bytes() != made


def test_a_film_through_three_photos_encodes_each_once(averaging: Path) -> None:
    photos = [np.full((64, 64, 3), value, np.float32) for value in (0.0, 0.5, 0.25)]
    frames = list(film.load(averaging).sequence(timeline.through(photos, bisection.pairs(3, depth=2))))
    values = [float(frame[0, 0, 0]) for frame in frames]
    assert values == pytest.approx([0, 0.125, 0.25, 0.375, 0.5, 0.4375, 0.375, 0.3125, 0.25], abs=1e-6)
    assert [len(pair) for pair in bisection.pairs(4, depth=3)] == [8, 8, 9]  # photos come once
    assert frames[0] is photos[0] and frames[4] is photos[1] and frames[8] is photos[2]


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    others = ["photo 11.jfif", "photo 12.jpe", "photo 13.JIF"]  # of JPEG
    alike = ["A1.jpg", "a01.jpg", "a1.jpg"]
    for name in ("photo 10.jpg", "photo 9.jpg", "Photo 1.JPG", "notes.txt", ".photo 3.jpg", *others, *alike[::-1]):
        (tmp_path / name).touch()
    (tmp_path / "photo 2.jpg").mkdir()
    expected = [*alike, "Photo 1.JPG", "photo 9.jpg", "photo 10.jpg", *others]
    assert [path.name for path in images.in_folder(tmp_path)] == expected
    with pytest.raises(ValueError, match="not a folder"):
        images.in_folder(tmp_path / "photo 9.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no photos"):
        images.in_folder(tmp_path / "empty")


def test_a_film_of_seconds_is_told_how_many_it_can_have() -> None:
    for seconds, fps, frames in ((2, 24, 48), (1.5, 30, 45), (0.1, 29.97, 3), (10, 30, 300)):
        assert video_segments.frame_count(seconds, fps, most=300) == frames
    with pytest.raises(ValueError, match="10.1 s at 30 frames per second .* the 300 frames .* make it 10 s or shorter"):
        video_segments.frame_count(10.1, 30, most=300)


def test_photos_that_make_no_sequence_are_refused(averaging: Path) -> None:
    small, wide = np.zeros((64, 64, 3), np.float32), np.zeros((64, 80, 3), np.float32)
    for photos, message in (([], "fewer photos"), ([small], "fewer photos"), ([small, wide], "one size")):
        with pytest.raises(ValueError, match=message):
            list(film.load(averaging).sequence(timeline.through(photos, bisection.pairs(2, depth=1))))
