"""Which films a batch makes of its inputs, and what they are called."""

from fractions import Fraction
from pathlib import Path

import pytest

from film.batch import jobs
from film.batch.jobs import Job
from film.batch.runner import BatchOptions
from film.rendering import checkpoint
from tests.conftest import touch


def found(*inputs: Path, lists: list[Path] | None = None, to: Path = Path("out")) -> dict[str, list[str]]:
    """For each film, the names of what it is made of."""
    made = jobs.find(inputs, lists or [], to, ".mp4")
    assert all(job.output.parent == to for job in made)
    return {job.name: [path.name for path in job.inputs] for job in made}


def test_a_folder_of_photos_is_one_film_in_natural_order(tmp_path: Path) -> None:
    touch(*(tmp_path / "trip" / name for name in ("10.jpg", "9.jpg", "1.JPG", "notes.txt", ".2.jpg", "more/x.jpg")))
    assert found(tmp_path / "trip") == {"trip.mp4": ["1.JPG", "9.jpg", "10.jpg"]}
    (job,) = jobs.find([tmp_path / "trip"], [], tmp_path, ".webm")
    assert (job.name, job.is_video) == ("trip.webm", False) and "3 photos" in job.told


def test_folders_in_a_folder_are_a_film_each(tmp_path: Path) -> None:
    touch(*(tmp_path / f"{folder}/{n}.jpg" for folder in ("day 10", "day 9") for n in (1, 2)))
    touch(*(tmp_path / name for name in ("notes/read.txt", "clips/b.mov", "clips/a.mp4", "day 9/deep/x.jpg")))
    assert list(found(tmp_path)) == ["a.mp4", "b.mp4", "day 9.mp4", "day 10.mp4"]
    assert all(job.is_video == (job.output.stem in "ab") for job in jobs.find([tmp_path], [], tmp_path / "o", ".gif"))


def test_photos_are_taken_in_pairs_and_videos_alone(tmp_path: Path) -> None:
    a, b, clip, c, d = touch(*(tmp_path / name for name in ("a.jpg", "b.png", "v.mp4", "c.webp", "d.heic")))
    assert found(a, b, clip, c, d) == {
        "a-b.mp4": ["a.jpg", "b.png"],
        "v.mp4": ["v.mp4"],
        "c-d.mp4": ["c.webp", "d.heic"],
    }


def test_lists_name_pairs_beside_them(tmp_path: Path) -> None:
    pairs = tmp_path / "lists" / "pairs.csv"
    pairs.parent.mkdir()
    pairs.write_text('\ufeff# night\none.jpg, two.jpg\n\n"a, b.jpg",/else/c.jpg\nx 1.jpg\ty.jpg\n')
    assert jobs.read_pairs(pairs) == [
        (pairs.parent / "one.jpg", pairs.parent / "two.jpg"),
        (pairs.parent / "a, b.jpg", Path("/else/c.jpg")),
        (pairs.parent / "x 1.jpg", pairs.parent / "y.jpg"),
    ]
    assert list(found(lists=[pairs])) == ["one-two.mp4", "a, b-c.mp4", "x 1-y.mp4"]


def test_films_of_an_earlier_run_are_not_made_films_of(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("rome/1.jpg", "rome/2.jpg", "films/rome.mp4")))
    (job,) = jobs.find([tmp_path], [], tmp_path / "films", ".mp4")
    assert job.output == tmp_path / "films" / "rome.mp4" and not job.is_video


def test_the_parts_of_an_interrupted_film_are_no_input(tmp_path: Path) -> None:
    folder = tmp_path / "trips" / "night.mp4.parts"
    touch(folder / "00000000-000015.ts", folder / checkpoint.NOTE, tmp_path / "trips" / "day.parts" / "v.mp4")
    assert list(found(tmp_path / "trips")) == list(found(*sorted((tmp_path / "trips").iterdir()))) == ["v.mp4"]


def test_no_two_films_have_one_name(tmp_path: Path) -> None:
    paths = touch(*(tmp_path / name for name in ("1/clip.mp4", "2/Clip.mov", "3/clip-2.mp4", "4/clip.avi")))
    assert list(found(*paths)) == ["clip.mp4", "Clip-2.mp4", "clip-2-2.mp4", "clip-3.mp4"]


def test_names_that_are_too_long_are_shortened(tmp_path: Path) -> None:
    """Each half of a pair's, so that both are seen, with room for a number, the parts and their lock."""
    one, two, clip = "a" * 131, "ä" * 120, "v" * 250
    names = (f"{one}.jpg", f"{two}.jpg", f"{one}.png", f"{two}.jpg", f"{clip}.mp4")
    pair, other, of_clip = found(*touch(*(tmp_path / name for name in names)))
    assert pair == f"{'a' * 100}-{'ä' * 50}.mp4" and other == f"{'a' * 100}-{'ä' * 50}-2.mp4"
    for name in (pair, other, of_clip):
        assert len(f"{name}.parts.lock".encode()) < 255


def test_nonsense_is_refused_in_one_sentence(tmp_path: Path) -> None:
    a, b, clip, text = touch(*(tmp_path / name for name in ("a.jpg", "b.jpg", "v.mp4", "notes.txt")))
    mixed = touch(tmp_path / "mixed" / "a.jpg", tmp_path / "mixed" / "v.mp4")[0].parent
    (tmp_path / "empty").mkdir()
    (tmp_path / "three.csv").write_text("a.jpg,b.jpg\na.jpg,b.jpg,c.jpg\n")
    (tmp_path / "none.csv").write_text("# nothing\n")
    (tmp_path / "long.csv").write_text("a" * 140_000 + ",b.jpg\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for inputs, lists, message in (
        ([], [], "nothing to make films of"),
        ([tmp_path / "absent"], [], "no file or folder .*absent"),
        ([text], [], "notes.txt is neither"),
        ([a, clip], [], "a.jpg is left over"),
        ([mixed], [], "photos .*and videos"),
        ([tmp_path / "empty"], [], "no photos and no videos"),
        ([], [tmp_path / "three.csv"], "Line 2 of .*two photos"),
        ([], [tmp_path / "none.csv"], "no pairs in"),
        ([], [tmp_path / "long.csv"], r"Line 1 of \S+long.csv is 'a{200}'…; it must name two photos"),
        ([], [tmp_path / "binary.csv"], "not a text"),
        ([clip], [], "v.mp4 would replace"),
        ([tmp_path / "empty" / ".." / "empty"], [], "no photos"),
        ([tmp_path / "empty" / ".."], [], "cannot go to .*, which they are made of"),
    ):
        with pytest.raises(ValueError, match=message):
            jobs.find(inputs, lists, tmp_path, ".mp4")
    of_photos, of_video = Job((a, b), tmp_path / "a.mp4"), Job((clip,), tmp_path / "b.mp4")
    for settings, which, message in (
        (BatchOptions(depth=99), [of_photos], "0 to 8"),
        (BatchOptions(slowdown=Fraction(2)), [of_photos], "slowdown is for videos"),
        (BatchOptions(depth=2, slowdown=Fraction(2)), [of_video], "for photos"),
        (BatchOptions(), [of_photos, of_video], "Say what to make of the video"),
        (BatchOptions(seconds=1, slowdown=Fraction(2)), [of_video], "The option seconds is for photos"),
        (BatchOptions(sound=False), [of_photos], "The option sound is for videos"),
    ):
        with pytest.raises(ValueError, match=message):
            settings.check(which)
    BatchOptions(depth=1, slowdown=Fraction(2)).check([of_photos, of_video])
