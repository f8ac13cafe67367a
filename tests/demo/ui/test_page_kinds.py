"""Many photos, videos and formats in a real browser: seen, made, compared, downloaded; refused in one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from film.media import video_reader
from tests.support.browsing import (
    choose,
    click,
    create,
    downloaded,
    drop,
    expect_text,
    needs_chromium,
    select,
    set_depth,
    set_number,
    upload,
)
from tests.support.clips import decoded, ffmpeg, pan, video, walk
from tests.support.serving import LOSSY, difference, photos, served, wait_until

pytestmark = [pytest.mark.server, pytest.mark.browser, needs_chromium]

# A film here may have 81 frames of 96x64.
server = served(FILM_MAX_MEGAPIXELS="0.5", FILM_MAX_VIDEO_MB="1", FILM_MAX_UPLOAD_MB="1")


def expect_names(page: Any, *names: str) -> None:
    """Wait until the photos are listed in that order, and the strip shows as many."""
    wait_until(lambda: listed(page) == list(names), f"{names} to be listed")
    page.wait_for_function(f"() => document.querySelectorAll('#sheet em').length == {len(names)}")


def listed(page: Any) -> list[str]:
    return page.locator("#many .filename").evaluate_all("cells => cells.map(cell => cell.getAttribute('aria-label'))")


def pictures(page: Any) -> int:
    """How many pictures the strip shows."""
    script = (
        "() => [...document.querySelectorAll('#strip img')].filter(i => i.naturalWidth && i.checkVisibility()).length"
    )
    return page.evaluate(script)


def test_many_photos_are_dropped_moved_removed_and_become_a_film(page: Any, tmp_path: Path) -> None:
    one, two, ten = walk(tmp_path)
    notes = tmp_path / "notes.jpg"
    notes.write_text("This is no photo.")
    choose(page, "kind", "Many photos")
    assert not page.locator("#first").is_visible() and not page.locator("#examples").is_visible()
    page.set_input_files("#many input[type=file]", [ten, notes])
    expect_text(page, "[role=alert]", "notes.jpg is not an image")
    expect_names(page, "walk 10.jpg")
    drop(page, "#sheet li", two, one)
    expect_names(page, "walk 10.jpg", "walk 1.jpg", "walk 2.jpg")  # new ones come behind those that are there
    drop(page, "#sheet li", notes)
    expect_text(page, "[role=alert]", "notes.jpg is not an image")
    page.locator("#sheet li").nth(0).drag_to(page.locator("#sheet li").nth(2))
    expect_names(page, "walk 1.jpg", "walk 2.jpg", "walk 10.jpg")
    set_depth(page, 2, frames=9)
    create(page, "9 frames, 96 × 64")
    frames = decoded(downloaded(page, tmp_path / "film.mp4"))
    for place, path in ((0, one), (4, two), (8, ten)):
        assert difference(frames[place], path) < LOSSY
    wait_until(lambda: 3 <= pictures(page) <= 9, "the frames to be seen")
    page.get_by_label("Remove photo 1").click()
    expect_names(page, "walk 2.jpg", "walk 10.jpg")


def test_length_in_frames_and_in_seconds(page: Any, tmp_path: Path) -> None:
    upload(page, *photos(tmp_path, 64, 96))
    choose(page, "measure", "Seconds")
    set_number(page, "Seconds", 0.5, "5 frames each way, forth and back, 0.5 s at 16 frames a second")
    choose(page, "measure", "Frames")
    set_number(page, "Frames", 7, "7 frames each way, forth and back, 0.8 s at 15 frames a second")
    create(page, "7 frames each way, forth and back, 96 × 64, 0.8 s")
    frames = decoded(downloaded(page, tmp_path / "film.mp4"))
    assert len(frames) == 12
    assert np.abs(frames[1:6] / 255.0 - frames[:6:-1] / 255.0).mean() < LOSSY  # there, and back
    assert difference(frames[0], tmp_path / "first-0.jpg") < LOSSY
    assert difference(frames[6], tmp_path / "last-0.jpg") < LOSSY


def test_a_video_in_slow_motion_and_at_another_rate(page: Any, tmp_path: Path) -> None:
    choose(page, "kind", "Video")
    expect_text(page, "#state", "Choose a video")
    page.set_input_files("#clip input[type=file]", video(tmp_path / "pan.mp4", pan(24), sound=True))
    choose(page, "slowdown", "× 2")
    expect_text(page, "#plan", re.compile("(48|49|50) frames, 2.[01] s at"))  # sound ends a little later
    create(page, re.compile("(48|49|50) frames, 96 × 64, 2.[01] s"))
    made = video_reader.read_metadata(downloaded(page, tmp_path / "slow.mp4"))
    assert made.sound and made.seconds == pytest.approx(2, abs=0.1)
    wait_until(lambda: pictures(page) >= 3, "the frames to be seen")

    choose(page, "slowdown", "None")
    select(page, "Frames per second", "60")
    expect_text(page, "#plan", re.compile("6[0-3] frames, 1.[01] s at 60 frames a second"))
    page.get_by_label("Keep the sound").uncheck()
    create(page, re.compile("6[0-3] frames, 96 × 64, 1.[01] s"))
    made = video_reader.read_metadata(downloaded(page, tmp_path / "film.mp4"))
    assert made.fps == 60 and not made.sound


def test_what_is_not_taken_is_told_in_our_words(page: Any, tmp_path: Path) -> None:
    notes, text, large, heard = (tmp_path / name for name in ("notes.txt", "notes.mp4", "large.mp4", "heard.mp4"))
    for path in (notes, text):
        path.write_text("This is no video.")
    large.write_bytes(bytes(2 * 2**20))
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(heard))
    drop(page, "#first button", notes)
    expect_text(page, ".toast-body", "That is no photo. Choose one, such as JPEG, PNG or HEIC.")
    choose(page, "kind", "Video")
    click(page, "Create")
    expect_text(page, "#state [role=alert]", "Choose a video first")
    drop(page, "#clip button", notes)
    expect_text(page, ".toast-body >> nth=-1", "That is no video. Choose one, such as MP4, MOV or WebM.")
    page.set_input_files("#clip input[type=file]", large)
    expect_text(page, ".toast-body >> nth=-1", "large.mp4: too large. This server takes files of up to 1 MB.")
    for refused, words in (
        (text, "notes.mp4 is not a video"),
        (heard, "heard.mp4 holds no video"),
        (video(tmp_path / "one.mp4", pan(1)), "one.mp4 holds a single frame"),
    ):
        page.set_input_files("#clip input[type=file]", refused)
        expect_text(page, "#refused [role=alert]", words)
    page.set_input_files("#clip input[type=file]", video(tmp_path / "pan.mp4", pan(4)))
    expect_text(page, "#plan", re.compile("1[67] frames"))  # a header counts hundredths of a second
    expect_text(page, "#state", "Press Create to make the film")


def test_what_was_made_plays_on_when_something_fails(page: Any, tmp_path: Path) -> None:
    """A video whose header tells less than it holds, so that the film grows too long while it is made."""
    source = video(tmp_path / "pan.webm", pan(30), "24", "-c:v", "libvpx")
    data = source.read_bytes()
    place = data.index(b"\x44\x89\x88") + 3  # the duration, a float64 of milliseconds
    source.write_bytes(data[:place] + bytes.fromhex("4059000000000000") + data[place + 8 :])  # 100
    choose(page, "kind", "Video")
    page.set_input_files("#clip input[type=file]", source)
    expect_text(page, "#plan", "10 frames")
    click(page, "Create")
    expect_text(page, "[role=alert]", re.compile("82 frames of 96x64 are .* megapixels"))
    assert page.evaluate("document.querySelector('#film video').src").startswith("blob:")
    page.wait_for_function("() => document.querySelector('#film video').currentTime > 0.5")


def test_formats_more_choices_and_a_refusal_that_is_solved(page: Any, tmp_path: Path) -> None:
    upload(page, *photos(tmp_path, 64, 96))
    set_depth(page, 1)
    page.get_by_text("More choices").click()
    for name, suffix in (("WebP", "webp"), ("WebM", "webm")):
        select(page, "Format", name)
        click(page, "Create")
        expect_text(page, "#download", f"Download {name}")
        expect_text(page, "#state", "3 frames each way, forth and back, 96 × 64")
        path = downloaded(page, tmp_path / f"film.{suffix}")
        assert (len(decoded(path)) if suffix == "webm" else getattr(Image.open(path), "n_frames", 1)) == 4
    select(page, "From photo to photo", "Starts softly")
    select(page, "Play", "Seamless loop")
    expect_text(page, "#plan", "4 frames, 0.3 s")
    select(page, "Format", "GIF")
    choose(page, "bits", "10 bits")
    click(page, "Create")
    expect_text(page, "#state [role=alert]", "A .gif holds 8 bits a channel")
    click(page, "Make it in 8 bits")
    expect_text(page, "#state", "4 frames, 96 × 64")
    assert Image.open(downloaded(page, tmp_path / "film.gif")).n_frames == 4  # type: ignore[attr-defined]
