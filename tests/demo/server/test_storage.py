"""The disk: what expires, what is held, what goes first when room is needed, what is refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from demo.server.storage import FILE_COST, GRACE_SECONDS, PART_BYTES, Full, Storage

HOUR = 3600.0
SIZE = 100_000  # bytes of a file here


def left(storage: Storage, name: str, age: float) -> Path:
    """A file that a visitor left so many seconds ago."""
    path = storage.folder / (name * 64)[:64] / "photo.jpg"
    path.parent.mkdir()
    path.write_bytes(bytes(SIZE))
    aged(path, age)
    storage.recount()
    return path


def aged(path: Path, age: float) -> Path:
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def old_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's age is its modification's alone: no test can set the time of a file's last change."""
    whole = os.lstat
    monkeypatch.setattr(
        os,
        "lstat",
        lambda path: os.stat_result([*whole(path)[:9], whole(path).st_mtime]) if Path(path).is_file() else whole(path),
    )


@pytest.fixture
def storage(tmp_path: Path, old_files: None) -> Storage:
    return Storage(tmp_path / "page", HOUR, ceiling=4 * (SIZE + FILE_COST))


def test_what_is_older_expires(storage: Storage) -> None:
    old, new = left(storage, "a", 2 * HOUR), left(storage, "b", HOUR / 2)
    gone: set[str] = set()
    storage.on_removed = gone.update
    storage.sweep()
    assert not old.exists() and new.exists()
    assert gone == {str(old)}


def test_empty_folders_and_the_rests_of_broken_uploads_expire(storage: Storage) -> None:
    old = left(storage, "a", 2 * HOUR)
    rest = storage.folder / "tmpabc"
    rest.write_bytes(b"half a photo")
    aged(rest, 2 * HOUR)
    storage.sweep()
    aged(old.parent, 2 * HOUR)
    storage.sweep()
    assert list(storage.folder.iterdir()) == [storage.scratch]


def test_what_a_running_film_needs_is_held(storage: Storage, tmp_path: Path) -> None:
    photo, other = left(storage, "a", 2 * HOUR), left(storage, "b", 2 * HOUR)
    elsewhere = tmp_path / "example.jpg"
    elsewhere.write_bytes(b"an example")
    aged(elsewhere, 2 * HOUR)
    with storage.held([str(photo), str(elsewhere)]), storage.held([str(photo)]):
        aged(photo, 2 * HOUR)
        storage.sweep()
        assert photo.exists() and not other.exists()
    storage.sweep()
    assert not photo.exists()
    assert elsewhere.stat().st_mtime < time.time() - HOUR  # what is not ours is not touched


def test_a_film_makes_its_photos_new(storage: Storage) -> None:
    photo = left(storage, "a", HOUR * 0.9)
    with storage.held([str(photo)]):
        pass
    assert photo.stat().st_mtime > time.time() - HOUR / 2


def test_the_oldest_makes_room(storage: Storage) -> None:
    files = [left(storage, name, age) for name, age in (("a", 500), ("b", 1000), ("c", 300), ("d", 200))]
    with storage.held([str(files[1])]):
        aged(files[1], 1000)
        with storage.reserved(SIZE):
            assert [file.exists() for file in files] == [False, True, True, True]


def test_what_is_young_makes_no_room(storage: Storage) -> None:
    files = [left(storage, name, GRACE_SECONDS / 2) for name in "abcd"]
    with pytest.raises(Full, match="The disk for uploads and films is full"), storage.reserved(SIZE):
        pass
    assert all(file.exists() for file in files)


def test_room_that_is_promised_counts(storage: Storage) -> None:
    with storage.reserved(storage.ceiling // 2), storage.reserved(storage.ceiling // 2):
        with pytest.raises(Full), storage.reserved(1):
            pass
    with storage.reserved(storage.ceiling):
        pass


def test_a_look_for_room_takes_and_deletes_nothing(storage: Storage) -> None:
    files = [left(storage, name, age) for name, age in (("a", 500), ("b", 1000), ("c", 100), ("d", 100))]
    storage.check_room(SIZE)
    with pytest.raises(Full):
        storage.check_room(3 * (SIZE + FILE_COST))
    assert all(file.exists() for file in files)
    with storage.reserved(storage.ceiling - storage.used()):
        pass


def test_what_has_come_of_an_upload_counts_once(tmp_path: Path) -> None:
    size = 8 * PART_BYTES
    storage = Storage(tmp_path / "page", HOUR, ceiling=8 * size)
    path = storage.folder / ("a" * 64) / "photo.jpg"
    with storage.upload(size) as make_room:
        came = room = 0
        while came < size - FILE_COST:
            came += PART_BYTES
            if came > room:
                room = make_room(came, 1)
            assert came <= room <= size
        path.parent.mkdir()
        path.write_bytes(bytes(came))
        storage.add([str(path)])
    assert storage.used() == came + FILE_COST
    with storage.reserved(storage.ceiling - storage.used()):
        pass
    storage.recount()
    assert storage.used() == came + FILE_COST
    with pytest.raises(Full), storage.reserved(storage.ceiling - storage.used() + 1):
        pass


def test_an_address_has_a_share_and_films_a_reserve(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "page", HOUR, ceiling=16 * SIZE)
    for number in range(3):
        with storage.upload(4 * SIZE, f"192.0.2.{number}") as make_room:
            make_room(4 * SIZE)
            with pytest.raises(Full, match="Uploads from your address"):
                storage.check_room(1, f"192.0.2.{number}")
    path = storage.folder / ("a" * 64) / "photo.jpg"
    path.parent.mkdir()
    path.write_bytes(bytes(11 * SIZE + SIZE // 2))
    storage.add([str(path)], "192.0.2.1")
    with pytest.raises(Full):
        storage.check_room(2 * SIZE, "192.0.2.5")
    with storage.reserved(3 * SIZE):
        pass


def test_what_an_open_page_shows_makes_no_room(storage: Storage) -> None:
    files = [left(storage, name, 500) for name in "abcd"]
    with storage.page_open("page"):
        storage.page_shows("page", [str(files[0])])
        storage._files[str(files[0])].used = 0  # by far the oldest
        with storage.reserved(SIZE):
            assert files[0].exists() and sum(file.exists() for file in files) == 3
    storage._files[str(files[0])].used = 0
    with storage.reserved(storage.ceiling - storage.used() + 1):
        assert not files[0].exists()


def test_films_in_the_making_count_but_are_never_deleted(storage: Storage) -> None:
    segment = storage.scratch / "film-x" / "000000.ts"
    segment.parent.mkdir()
    segment.write_bytes(bytes(storage.ceiling))
    aged(segment, 2 * HOUR)
    storage.sweep()
    with pytest.raises(Full), storage.reserved(1):
        pass
    assert segment.exists()


def test_a_film_is_kept_under_a_name_that_nobody_guesses(storage: Storage) -> None:
    made = storage.scratch / "film.mp4"
    made.write_bytes(b"a film")
    kept = [storage.keep(made)]
    made.write_bytes(b"a film")
    kept.append(storage.keep(made))
    assert [path.read_bytes() for path in kept] == [b"a film"] * 2
    assert len({path.parent for path in kept}) == 2 and all(len(path.parent.name) == 64 for path in kept)
    assert not made.exists()


def test_even_empty_files_cost(storage: Storage) -> None:
    for number in range(10):
        (storage.folder / f"{number}").touch()
    storage.recount()
    assert storage.used() == 10 * FILE_COST


def test_links_are_not_followed(storage: Storage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(bytes(SIZE))
    aged(outside / "large", 2 * HOUR)
    (storage.folder / "examples").symlink_to(outside)
    storage.sweep()
    assert (outside / "large").exists() and (storage.folder / "examples").is_symlink()
    assert storage.used() == 0
