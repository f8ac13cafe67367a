"""Many photos, videos and formats in a real browser: seen, made, compared, downloaded; refused in one sentence."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from film.media import video_reader
from tests.support import corpus
from tests.support.browsing import Visit, needs_chromium
from tests.support.clips import decoded, ffmpeg, pan, video, walk
from tests.support.serving import LOSSY, difference, photos, served, wait_until

pytestmark = [pytest.mark.server, pytest.mark.browser, needs_chromium]

server = served(FILM_MAX_MEGAPIXELS="0.5", FILM_MAX_VIDEO_MB="1", FILM_MAX_UPLOAD_MB="1")  # 81 frames of 96x64


def expect_names(page: Visit, *names: str) -> None:
    """Wait until the photos are listed in that order, and the strip shows as many."""
    wait_until(lambda: listed(page) == list(names), f"{names} to be listed")
    page.wait_for_function(f"() => document.querySelectorAll('#sheet em').length == {len(names)}")


def listed(page: Visit) -> list[str]:
    return page.locator("#many .filename").evaluate_all("cells => cells.map(cell => cell.getAttribute('aria-label'))")


def pictures(page: Visit) -> int:
    """How many pictures the strip shows."""
    seen = "all => all.filter(image => image.naturalWidth && image.checkVisibility()).length"
    return page.locator("#strip img").evaluate_all(seen)


def test_many_photos_are_dropped_moved_removed_and_become_a_film(page: Visit, tmp_path: Path) -> None:
    one, two, ten = walk(tmp_path)
    notes = tmp_path / "notes.jpg"
    notes.write_text("This is no photo.")
    page.choose("kind", "Many photos")
    assert not page.locator("#first").is_visible() and not page.locator("#examples").is_visible()
    page.set_input_files("#many input[type=file]", [ten, notes])
    page.expect_text("[role=alert]", "notes.jpg is not an image")
    expect_names(page, "walk 10.jpg")
    page.drop("#sheet li", two, one)
    expect_names(page, "walk 10.jpg", "walk 1.jpg", "walk 2.jpg")  # new ones come behind those that are there
    page.drop("#sheet li", notes)
    page.expect_text("[role=alert]", "notes.jpg is not an image")
    page.locator("#sheet li").nth(0).drag_to(page.locator("#sheet li").nth(2))
    expect_names(page, "walk 1.jpg", "walk 2.jpg", "walk 10.jpg")
    page.set_depth(2, frames=9)
    page.create("9 frames, 96 × 64")
    frames = decoded(page.downloaded(tmp_path / "film.mp4"))
    for place, path in ((0, one), (4, two), (8, ten)):
        assert difference(frames[place], path) < LOSSY
    wait_until(lambda: 3 <= pictures(page) <= 9, "the frames to be seen")
    page.get_by_label("Remove photo 1").click()
    expect_names(page, "walk 2.jpg", "walk 10.jpg")


def test_length_in_frames_and_in_seconds(page: Visit, tmp_path: Path) -> None:
    page.upload(*photos(tmp_path, 64, 96))
    page.choose("measure", "Seconds")
    page.set_number("Seconds", 0.5, "5 frames each way, forth and back, 0.5 s at 16 frames a second")
    page.choose("measure", "Frames")
    page.set_number("Frames", 7, "7 frames each way, forth and back, 0.8 s at 15 frames a second")
    page.create("7 frames each way, forth and back, 96 × 64, 0.8 s")
    frames = decoded(page.downloaded(tmp_path / "film.mp4"))
    assert len(frames) == 12
    assert np.abs(frames[1:6] / 255.0 - frames[:6:-1] / 255.0).mean() < LOSSY  # there, and back
    assert difference(frames[0], tmp_path / "first-0.jpg") < LOSSY
    assert difference(frames[6], tmp_path / "last-0.jpg") < LOSSY


def test_a_video_in_slow_motion_and_at_another_rate(page: Visit, tmp_path: Path) -> None:
    page.choose("kind", "Video")
    page.expect_text("#state", "Choose a video")
    page.set_input_files("#clip input[type=file]", video(tmp_path / "pan.mp4", pan(24), sound=True))
    page.choose("slowdown", "× 2")
    page.expect_text("#plan", re.compile("(48|49|50) frames, 2.[01] s at"))  # sound ends a little later
    page.create(re.compile("(48|49|50) frames, 96 × 64, 2.[01] s"))
    made = video_reader.read_metadata(page.downloaded(tmp_path / "slow.mp4"))
    assert made.sound and made.seconds == pytest.approx(2, abs=0.1)
    wait_until(lambda: pictures(page) >= 3, "the frames to be seen")

    page.choose("slowdown", "None")
    page.select("Frames per second", "60")
    page.expect_text("#plan", re.compile("6[0-3] frames, 1.[01] s at 60 frames a second"))
    page.get_by_label("Keep the sound").uncheck()
    page.create(re.compile("6[0-3] frames, 96 × 64, 1.[01] s"))
    made = video_reader.read_metadata(page.downloaded(tmp_path / "film.mp4"))
    assert made.fps == 60 and not made.sound


def test_what_is_not_taken_is_told_in_our_words(page: Visit, tmp_path: Path) -> None:
    notes, text, large, heard = (tmp_path / name for name in ("notes.txt", "notes.mp4", "large.mp4", "heard.mp4"))
    for path in (notes, text):
        path.write_text("This is no video.")
    large.write_bytes(bytes(2 * 2**20))
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(heard))
    page.drop("#first button", notes)
    page.expect_text(".toast-body", "That is no photo. Choose one, such as JPEG, PNG or HEIC.")
    page.choose("kind", "Video")
    page.click("Create")
    page.expect_text("#state [role=alert]", "Choose a video first")
    page.drop("#clip button", notes)
    page.expect_text(".toast-body >> nth=-1", "That is no video. Choose one, such as MP4, MOV or WebM.")
    page.set_input_files("#clip input[type=file]", large)
    page.expect_text(".toast-body >> nth=-1", "large.mp4: too large. This server takes files of up to 1 MB.")
    for refused, words in (
        (text, "notes.mp4 is not a video"),
        (heard, "heard.mp4 holds no video"),
        (video(tmp_path / "one.mp4", pan(1)), "one.mp4 holds a single frame"),
    ):
        page.set_input_files("#clip input[type=file]", refused)
        page.expect_text("#refused [role=alert]", words)
    page.set_input_files("#clip input[type=file]", video(tmp_path / "pan.mp4", pan(4)))
    page.expect_text("#plan", re.compile("1[67] frames"))  # a header counts hundredths of a second
    page.expect_text("#state", "Press Create to make the film")


def test_what_was_made_plays_on_when_something_fails(page: Visit, tmp_path: Path) -> None:
    """A video whose header tells less than it holds, so that the film grows too long while it is made."""
    source = video(tmp_path / "pan.webm", pan(30), "24", "-c:v", "libvpx")
    source.write_bytes(corpus.with_duration(source.read_bytes(), 100))
    page.choose("kind", "Video")
    page.set_input_files("#clip input[type=file]", source)
    page.expect_text("#plan", "10 frames")
    page.click("Create")
    page.expect_text("[role=alert]", re.compile("82 frames of 96x64 are .* megapixels"))
    assert page.evaluate("document.querySelector('#film video').src").startswith("blob:")
    page.wait_for_function("() => document.querySelector('#film video').currentTime > 0.5")


def test_formats_more_choices_and_a_refusal_that_is_solved(page: Visit, tmp_path: Path) -> None:
    page.upload(*photos(tmp_path, 64, 96))
    page.set_depth(1)
    page.get_by_text("More choices").click()
    for name, suffix in (("WebP", "webp"), ("WebM", "webm")):
        page.select("Format", name)
        page.click("Create")
        page.expect_text("#download", f"Download {name}")
        page.expect_text("#state", "3 frames each way, forth and back, 96 × 64")
        path = page.downloaded(tmp_path / f"film.{suffix}")
        assert (len(decoded(path)) if suffix == "webm" else getattr(Image.open(path), "n_frames", 1)) == 4
    page.select("From photo to photo", "Starts softly")
    page.select("Play", "Seamless loop")
    page.expect_text("#plan", "4 frames, 0.3 s")
    page.select("Format", "GIF")
    page.choose("bits", "10 bits")
    page.click("Create")
    page.expect_text("#state [role=alert]", "A .gif holds 8 bits a channel")
    page.click("Make it in 8 bits")
    page.expect_text("#state", "4 frames, 96 × 64")
    assert Image.open(page.downloaded(tmp_path / "film.gif")).n_frames == 4  # type: ignore[attr-defined]
