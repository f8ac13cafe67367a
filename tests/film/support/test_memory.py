"""How much memory a model may take: what the user says, else a share of what there is."""

from pathlib import Path

import pytest

import film
from film.support import memory
from film.support.memory import GIGABYTE


@pytest.fixture(autouse=True)
def setting(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing set, whatever the environment of the tests says."""
    monkeypatch.delenv("FILM_MEMORY_GB", raising=False)
    return monkeypatch


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CONTAINER_LIMIT", file)
    return file


def test_a_container_has_what_it_was_given(limit: Path) -> None:
    machine = memory.machine()  # no such file: no container
    assert GIGABYTE / 4 < machine < 2**50
    limit.write_text(f"{64 * 2**20}\n")
    assert memory.machine() == 64 * 2**20
    assert memory.budget() == 64 * 2**20 // memory.DEFAULT_SHARE
    for no_limit in ("max\n", "", "9223372036854771712\n", "nonsense", "\0\0"):
        limit.write_text(no_limit)
        assert memory.machine() == machine
    limit.unlink()
    limit.mkdir()  # a file that cannot be read
    assert memory.machine() == machine


def test_the_user_decides_then_the_environment_then_the_machine(limit: Path, setting: pytest.MonkeyPatch) -> None:
    limit.write_text(str(8 * GIGABYTE))
    assert memory.budget() == min(8 * GIGABYTE, memory.machine()) // 4
    setting.setenv("FILM_MEMORY_GB", "1.5")
    assert memory.budget() == 1.5 * GIGABYTE
    assert memory.budget(0.25) == GIGABYTE // 4
    assert memory.budget(3) == 3 * GIGABYTE
    setting.setenv("FILM_MEMORY_GB", "nonsense")
    assert memory.budget(2) == 2 * GIGABYTE  # nobody asked it
    setting.setenv("FILM_MEMORY_GB", "")
    assert memory.budget() == memory.machine() // 4


@pytest.mark.parametrize(
    "wrong", ["lots", "2 GB", "2,5", "0x10", " ", "1e", "--1", "0", "-1", "inf", "-inf", "nan", "1e999", "-0.0"]
)
def test_an_unusable_setting_is_refused(setting: pytest.MonkeyPatch, wrong: str) -> None:
    setting.setenv("FILM_MEMORY_GB", wrong)
    for ask in (memory.budget, lambda: film.load("film-lite")):  # at the door, not when the first frame is made
        with pytest.raises(ValueError, match="FILM_MEMORY_GB is .* of gigabytes|The memory budget .* above 0"):
            ask()
