"""The disk: what expires, what is held, what goes first when room is needed, what is refused."""

import os
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo.server.storage import FILE_COST, GRACE_SECONDS, Full, Storage

HOUR = 3600.0
COST = 100_000  # of a file here
CEILING = 4 * COST


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "page", HOUR, CEILING)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The storage's time, which stands still; an hour of it lasts as long as a test wants."""
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr("demo.server.storage.time", SimpleNamespace(time=lambda: clock.now))
    return clock


def left(storage: Storage, *names: str, owner: str | None = None, cost: int = COST, counted: bool = True) -> list[Path]:
    """Files that came one after the other."""
    paths = [storage.folder / (name * 64) / "photo.jpg" for name in names]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(bytes(cost - FILE_COST))
        storage.add([str(path)] if counted else [], owner)
    return paths


def there(paths: list[Path]) -> list[bool]:
    return [path.exists() for path in paths]


def free(storage: Storage) -> int:
    """Bytes that a film can have."""
    size = 0
    with suppress(Full):
        while True:
            with storage.reserved(size + COST // 2):
                size += COST // 2
    return size


def test_what_is_older_expires_with_its_folder(storage: Storage, clock: SimpleNamespace) -> None:
    gone: set[str] = set()
    storage.on_removed = gone.update
    old = left(storage, "a")
    (storage.folder / "tmpabc").write_bytes(b"what a broken upload has left")
    storage.sweep()
    clock.now += HOUR / 2
    new = left(storage, "b")
    clock.now += HOUR / 2 + 1
    storage.sweep()
    assert gone == {str(old[0]), str(storage.folder / "tmpabc")}
    assert there([*old, *new]) == [False, True]
    clock.now = time.time() + HOUR  # of folders it is the system that knows the time
    storage.sweep()
    assert set(storage.folder.iterdir()) == {storage.scratch, new[0].parent}


def test_what_a_running_film_needs_is_held(storage: Storage, clock: SimpleNamespace, tmp_path: Path) -> None:
    photo, other = left(storage, "a", "b")
    (elsewhere := tmp_path / "example.jpg").touch()
    with storage.held([str(photo), str(elsewhere)]), storage.held([str(photo)]):
        clock.now += 2 * HOUR
        storage.sweep()
        assert there([photo, other, elsewhere]) == [True, False, True]
    storage.sweep()
    assert there([photo]) == [False]


@pytest.mark.parametrize("use", ["film", "page"])
def test_who_uses_a_file_makes_it_new(storage: Storage, clock: SimpleNamespace, use: str) -> None:
    photo, other = left(storage, "a", "b")
    clock.now += 0.9 * HOUR
    with storage.held([str(photo)] if use == "film" else []):
        storage.page_shows("of a program, which holds no page open", [str(photo)] if use == "page" else [])
    clock.now += 0.2 * HOUR
    storage.sweep()
    assert there([photo, other]) == [True, False]


def test_the_oldest_makes_room_and_what_is_young_does_not(storage: Storage, clock: SimpleNamespace) -> None:
    held, shown, *_ = files = left(storage, *"abcd")
    with pytest.raises(Full, match="The disk for uploads and films is full: 0 MB more would pass the limit"):
        storage.reserved(1).__enter__()
    assert all(there(files))
    clock.now += 2 * GRACE_SECONDS
    with storage.held([str(held)]), storage.page_open("page"):
        storage.page_shows("page", [str(shown)])
        clock.now += 2 * GRACE_SECONDS
        with storage.reserved(COST):
            assert there(files) == [True, True, False, True]
        with pytest.raises(Full):
            storage.reserved(3 * COST).__enter__()
        assert there(files) == [True, True, False, True]  # what would not be enough is not deleted
    with storage.reserved(4 * COST):  # nothing is needed any more
        assert not any(there(files))


def test_what_came_without_asking_for_room_goes_when_it_is_too_much(storage: Storage, clock: SimpleNamespace) -> None:
    files = left(storage, "a") + left(storage, *"bcdef", counted=False)
    storage.sweep()
    assert all(there(files))
    clock.now += 2 * GRACE_SECONDS
    storage.sweep()
    assert there(files)[0] is False and storage.used() == CEILING


def test_room_that_is_promised_counts(storage: Storage) -> None:
    with storage.reserved(CEILING // 2), storage.reserved(CEILING // 2):
        assert free(storage) == 0
    assert free(storage) == CEILING


def test_a_look_for_room_takes_and_deletes_nothing(storage: Storage, clock: SimpleNamespace) -> None:
    files = left(storage, *"abc")
    clock.now += 2 * GRACE_SECONDS
    files += left(storage, "d")
    storage.check_room(COST, "192.0.2.1")
    with pytest.raises(Full):
        storage.check_room(COST + 1, "192.0.2.1")
    assert all(there(files))


def test_what_has_come_of_an_upload_counts_once(storage: Storage) -> None:
    with storage.room("192.0.2.1") as enlarge:
        for size in (1000, COST, COST // 2):
            enlarge(size)
        assert free(storage) == CEILING - COST
        left(storage, "a", owner="192.0.2.1")
    storage.sweep()
    assert storage.used() == COST and free(storage) == CEILING - COST
    assert storage.owner(storage.folder / ("a" * 64) / "photo.jpg") == "192.0.2.1"


def test_a_film_is_kept_under_a_name_that_nobody_guesses_and_told_from_what_was_sent(storage: Storage) -> None:
    sent = left(storage, "a", owner="192.0.2.1") + left(storage, "b", counted=False)
    kept = []
    for _ in range(2):
        (made := storage.scratch / "film.mp4").write_bytes(b"a film")
        kept.append(storage.keep(made))
        assert not made.exists() and storage.keeps(str(kept[-1])) and kept[-1].read_bytes() == b"a film"
        assert [storage.made(str(path)) for path in [*sent, *kept]] == [False] * 2 + [True] * len(kept)
        storage.sweep()
    assert len({path.parent for path in kept}) == 2 and all(len(path.parent.name) == 64 for path in kept)


def test_an_address_has_a_share_all_have_one_and_films_a_reserve(tmp_path: Path, clock: SimpleNamespace) -> None:
    storage = Storage(tmp_path / "page", HOUR, 16 * COST)
    with storage.room("192.0.2.1") as first, storage.room("192.0.2.2") as second, storage.room("192.0.2.3") as third:
        first(4 * COST)
        with pytest.raises(Full, match="Uploads from your address may take"):
            first(4 * COST + 1)
        second(4 * COST)
        with pytest.raises(Full, match="Too many uploads come in at this moment"):
            third(1)
    mine = left(storage, *"abcd", owner="192.0.2.1")
    left(storage, "e", cost=8 * COST)
    with pytest.raises(Full, match="The disk for uploads and films is full"):
        storage.check_room(1, "192.0.2.3")
    assert free(storage) == 4 * COST
    clock.now += 2 * GRACE_SECONDS
    with storage.room("192.0.2.1") as enlarge:
        enlarge(COST)
        assert there(mine) == [False, True, True, True]


def test_films_in_the_making_count_but_are_never_deleted(storage: Storage, clock: SimpleNamespace) -> None:
    with storage.making() as folder:
        (segment := folder / "000000.ts").write_bytes(bytes(CEILING))
        clock.now += 2 * HOUR
        storage.sweep()
        assert segment.exists() and free(storage) == 0


def test_empty_files_cost_and_links_are_not_followed(storage: Storage, tmp_path: Path, clock: SimpleNamespace) -> None:
    for number in range(10):
        (storage.folder / f"{number}").touch()
    (large := tmp_path / "outside" / "large").parent.mkdir()
    large.write_bytes(bytes(COST))
    (storage.folder / "examples").symlink_to(large.parent)
    storage.sweep()
    assert storage.used() == 10 * FILE_COST
    clock.now += 2 * HOUR
    storage.sweep()
    assert large.exists() and (storage.folder / "examples").is_symlink()
    assert os.listdir(storage.folder) and storage.used() == 0
