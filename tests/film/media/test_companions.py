"""What a video holds beside picture and sound is in the film as well, its times stretched."""

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from film.media.audio import Sound
from film.media.companions import Companions, with_tracks
from film.media.video_clock import Jump
from film.media.video_metadata import read_metadata
from film.rendering.pace import SpeedCurve
from tests.support.clips import ffmpeg, pan, video, words

CUES = "1\n00:00:00,200 --> 00:00:00,600\nHello\n<i>you</i>\n\n2\n00:00:00,700 --> 00:00:00,900\n1\nsecond\n\n"
CHAPTERS = "".join(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={a}\nEND={a + 500}\ntitle=Part \\= {a}\n" for a in (0, 500))
TAGS = ";FFMETADATA1\ntitle=A day\\; at sea\ndate=2019-05-06\nlocation=+46.5+008.1/\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.mp4"
    (tmp_path / "cues.srt").write_text(CUES)
    (tmp_path / "tags").write_text(TAGS + CHAPTERS)
    picture = video(tmp_path / "picture.mp4", pan(24), sound=True)
    inputs = ["-i", str(picture), "-i", str(tmp_path / "cues.srt"), "-f", "ffmetadata", "-i", str(tmp_path / "tags")]
    inputs += ["-f", "lavfi", "-i", "sine=frequency=880:duration=1"]
    maps = ["-map", "0", "-map", "1", "-map", "3", "-map_metadata", "2", "-map_chapters", "2"]
    codecs = ["-c", "copy", "-c:s", "mov_text", "-c:a:1", "aac", "-metadata:s:s:0", "language=deu"]
    ffmpeg(*inputs, *maps, *codecs, str(path))
    return path


def beside(source: Path, *others: Sound, jumps: Sequence[Jump] = ()) -> Companions:
    """In a film at half the speed."""
    subtitles = read_metadata(source).subtitles
    return Companions(source, subtitles, Fraction(0), lambda time: float(2 * time), others, jumps)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mov"])
def test_subtitles_chapters_and_tags_are_in_the_film(tmp_path: Path, source: Path, suffix: str) -> None:
    codec = ["-c:v", "libvpx-vp9"] if suffix == ".webm" else []
    film = video(tmp_path / f"film{suffix}", pan(48), "24", *codec)
    assert beside(source).add(film, 2.0) == []
    told = words(film)
    assert "A day; at sea" in told and "2019-05-06" in told
    assert re.findall(r"Chapter #\S+ start ([\d.]+), end ([\d.]+)", told)[:2] == [
        ("0.000000", "1.000000"),
        ("1.000000", "2.000000"),
    ]
    assert "Part = 500" in told
    assert re.search(r"Stream #\S+\((deu|ger)\): Subtitle", told) or suffix == ".mov"  # which counts languages
    assert "00:00:00,400 --> 00:00:01,200\nHello\n<i>you</i>" in cues(film)
    assert "00:00:01,400 --> 00:00:01,800\n1\nsecond" in cues(film)
    assert len(list(tmp_path.glob(".*"))) == 0


def cues(film: Path) -> str:
    ffmpeg("-i", str(film), "-map", "0:s:0", str(film.with_suffix(".srt")))
    return film.with_suffix(".srt").read_text()


def test_times_follow_a_clock_that_jumps_and_a_speed_that_changes(tmp_path: Path, source: Path) -> None:
    closed = Jump(Fraction(3, 10), Fraction(7, 10), Fraction(-3, 10))  # what was at 0.7 s is at 0.4 s
    film = video(tmp_path / "film.mp4", pan(48))
    assert beside(source, jumps=[closed]).add(film, 2.0) == []
    assert "00:00:00,800 --> 00:00:01,200\n1\nsecond" in cues(film)
    curve = SpeedCurve(((0.0, 1.0), (0.5, 1.0), (0.501, 0.25), (1.0, 0.25)), Fraction(24))
    film = video(tmp_path / "curve.mp4", pan(60))
    Companions(source, read_metadata(source).subtitles, Fraction(0), curve.lasting).add(film, 2.5)
    assert "00:00:00,200 --> 00:00:00,89" in cues(film) and "00:00:01,29" in cues(film)


def test_times_that_begin_anew_are_nobodys(tmp_path: Path, source: Path) -> None:
    film = video(tmp_path / "film.mp4", pan(48))
    (note,) = beside(source, jumps=[Jump(Fraction(1, 2), Fraction(0), Fraction(1, 2))]).add(film, 2.0)
    assert note == "The film has no subtitles and chapters of source.mp4: its time stamps begin anew."
    assert "Subtitle" not in words(film) and "A day; at sea" in words(film) and "+46.5" in words(film)


def test_other_tracks_are_kept_on_demand(tmp_path: Path, source: Path) -> None:
    film = video(tmp_path / "film.mp4", pan(48), sound=True)
    others = with_tracks(Sound(source, 2, track=0), read_metadata(source).tracks)
    beside(source, *others).add(film, 2.0)
    assert read_metadata(film).tracks == 2
    samples = tmp_path / "second.wav"
    said = ffmpeg("-i", str(film), "-map", "0:a:1", str(samples))
    assert "time=00:00:02" in said  # as long as the film


def test_what_cannot_be_kept_is_told(tmp_path: Path, source: Path) -> None:
    film = tmp_path / "film.gif"
    film.write_bytes(b"")
    (note,) = beside(source).add(film, 2.0)
    assert note == "The film has no subtitles, chapters and title and date of source.mp4: a .gif has none."


def test_a_film_of_a_plain_video_is_not_touched(tmp_path: Path) -> None:
    film = video(tmp_path / "film.mp4", pan(4))
    before = film.read_bytes()
    assert beside(video(tmp_path / "plain.mp4", pan(4))).add(film, 1.0) == []
    assert film.read_bytes() == before
