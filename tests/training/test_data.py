"""What training is fed: clips, scenes, the teacher, batches."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.training_cases import SIDE, moving, write_clip
from training import batches, clips, dis, scenes

pytestmark = pytest.mark.training


def test_clips_are_decoded_once(tmp_path: Path) -> None:
    frames = moving(5, 64)
    write_clip(tmp_path / "one.mp4", frames)
    read = clips.read(tmp_path, tmp_path / "cache")["one"]
    assert read.shape == frames.shape and np.abs(read.astype(int) - frames).mean() < 8
    (raw,) = (tmp_path / "cache").iterdir()
    written = raw.stat().st_mtime_ns
    assert (clips.read(tmp_path, tmp_path / "cache")["one"] == read).all()
    assert list((tmp_path / "cache").iterdir()) == [raw] and raw.stat().st_mtime_ns == written


def test_another_clip_of_the_same_name_is_decoded_anew(tmp_path: Path) -> None:
    """One of another folder, and the same one written once more."""
    one, other = tmp_path / "one" / "clip.mp4", tmp_path / "other" / "clip.mp4"
    write_clip(one, moving(5, 64, seed=1))
    write_clip(other, moving(5, 64, seed=2))
    first, second = (clips.read(video.parent, tmp_path / "cache")["clip"] for video in (one, other))
    assert (first != second).any()
    shutil.copy(other, one)  # often as large as before
    assert (clips.read(one.parent, tmp_path / "cache")["clip"] == second).all()


def test_undecodable_and_missing_clips_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no .mp4 file"):
        clips.read(tmp_path, tmp_path / "cache")
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(ValueError, match="0 frames of .*broken.mp4"):
        clips.read(tmp_path, tmp_path / "cache")


def test_a_clip_too_short_for_a_triplet_is_named_and_the_shortest_is_not(tmp_path: Path) -> None:
    write_clip(tmp_path / "short.mp4", moving(2, 64))
    with pytest.raises(ValueError, match="2 frames of .*short.mp4"):
        clips.read(tmp_path, tmp_path / "cache")
    shortest = {"three": np.zeros((3, 64, 64, 3), np.uint8)}  # still as well, so that every draw falls back on it
    assert clips.draw(shortest, (SIDE, SIDE), np.random.default_rng(0)).shape == (3, SIDE, SIDE, 3)


def test_cuts_repetitions_and_stills_are_not_usable() -> None:
    frames, other = moving(3, speed=1), moving(3, seed=9)
    assert clips.usable(*frames)
    assert not clips.usable(frames[0], frames[1], other[2])
    assert not clips.usable(frames[0], frames[0], frames[1])
    assert not clips.usable(frames[0], frames[0], frames[0])


@pytest.mark.parametrize("number", range(24))
def test_scene_flows_are_exact(videos: dict, number: int) -> None:
    """Through every augmentation: what a known flow fetches from an end is what is seen in the middle."""
    triplet = scenes.sample(videos, (64, 64), np.random.default_rng(number))
    known = triplet.known[..., 0] > 0
    assert known.mean() > 0.2
    for end, flow in ((triplet.first, triplet.to_first), (triplet.last, triplet.to_last)):
        error = np.abs(dis.warp(end, flow) - triplet.middle).mean(-1)[known]
        unmoved = np.abs(end - triplet.middle).mean(-1)[known]
        assert np.median(error) < 0.01
        assert error.mean() < 0.5 * unmoved.mean() + 0.002


def test_the_teacher_finds_the_motion() -> None:
    first, middle, last = moving(3, 96, speed=3).astype(np.float32) / 255
    taught = dis.teach(clips.Triplet(first, middle, last, *np.zeros((3, 96, 96, 2), np.float32)))
    inner = np.s_[24:-24, 24:-24]
    assert taught.known[inner].mean() > 0.9
    np.testing.assert_allclose(np.median(taught.to_first[inner], (0, 1)), [3, 0], atol=0.3)
    np.testing.assert_allclose(np.median(taught.to_last[inner], (0, 1)), [-3, 0], atol=0.3)


def test_batches_depend_on_seed_and_number_alone(videos: dict) -> None:
    made = batches.Batches(videos, 4, (SIDE, SIDE), seed=7)
    stream = made.stream(3)
    try:
        inputs, target = next(stream)
        again, _ = made.batch(3)
        other, _ = next(stream)
    finally:
        stream.close()
    assert inputs["x0"].shape == (4, SIDE, SIDE, 3) and target["to_last"].shape == (4, SIDE, SIDE, 2)
    assert (inputs["x0"] == again["x0"]).all() and (inputs["x0"] != other["x0"]).any()
    assert 0 <= min(target["middle"].min(), inputs["x0"].min()) and inputs["x1"].max() <= 1


def test_parts_of_a_batch_make_it_up(videos: dict) -> None:
    """What each of several processes makes is what one would have made."""
    made = [batches.Batches(videos, 4, (SIDE, SIDE), seed=7, part=part, parts=2).batch(3) for part in (0, 1)]
    for whole, *halves in zip(batches.Batches(videos, 4, (SIDE, SIDE), seed=7).batch(3), *made, strict=True):
        for name, value in whole.items():
            assert (np.concatenate([half[name] for half in halves]) == value).all()


def test_examples_may_be_wider_than_high() -> None:
    """Of clips of any shape; synthetic flows stay exact."""
    videos = {"wide": moving(12, 96)[:, :80], "high": moving(12, 96)[:, :, :48]}
    for scene in (0.0, 1.0):
        inputs, target = batches.Batches(videos, 6, (64, 96), seed=3, scenes=scene).batch(0)
        assert inputs["x0"].shape == (6, 64, 96, 3) and target["to_last"].shape == (6, 64, 96, 2)
    for n in range(6):
        error = np.abs(dis.warp(target["first"][n], target["to_first"][n]) - target["middle"][n]).mean(-1)
        known = target["known"][n, ..., 0] > 0
        assert known.mean() > 0.2 and np.median(error[known]) < 0.01
        rows = np.arange(64)[:, None] + target["to_first"][n, ..., 1]
        assert (-0.5 <= rows[known]).all() and (rows[known] <= 63.5).all()  # what is cut off at the end is not known


def test_an_error_in_the_data_reaches_the_loop() -> None:
    stream = batches.Batches({}, 4, (SIDE, SIDE), seed=0).stream(0)
    with pytest.raises(ValueError, match="a must be|empty"):
        next(stream)
