"""Last words outlive the daemon, in its file, and are only those of clients that are there."""

from pathlib import Path as FilePath

import pytest

from cli.ikev1d.farewells import SLOT, Farewells
from ikev1.core.effects import Path, Send


def words(number: int, size: int = 100) -> list[Send]:
    path = Path("203.0.113.1", 4500, "198.51.100.7", 1000 + number, encapsulated=True)
    return [Send(path, bytes([number]) * size), Send(path, bytes([number]) * 20)]


@pytest.fixture
def path(tmp_path: FilePath) -> FilePath:
    return tmp_path / "farewells"


def after_a_crash(path: FilePath) -> list[Send]:
    """What the next run reads: the file was never closed."""
    return Farewells(path).open()


def test_the_next_run_says_what_this_one_could_not(path: FilePath) -> None:
    farewells = Farewells(path)
    assert farewells.open() == []
    farewells.keep(1, words(1))
    farewells.keep(2, words(2))
    assert path.stat().st_mode & 0o777 == 0o600
    assert after_a_crash(path) == words(1) + words(2)
    assert after_a_crash(path) == []


def test_the_newest_words_of_a_client_count(path: FilePath) -> None:
    farewells = Farewells(path)
    farewells.open()
    farewells.keep(1, words(1, size=200))
    farewells.keep(1, words(9))
    assert after_a_crash(path) == words(9)


def test_who_has_gone_is_told_nothing_and_leaves_room(path: FilePath) -> None:
    farewells = Farewells(path)
    farewells.open()
    for number in range(1, 6):
        farewells.keep(number, words(number))
    farewells.forget(2)
    farewells.forget(4)
    farewells.forget(4)
    farewells.keep(6, words(6))
    farewells.forget(3)
    assert path.stat().st_size <= 5 * SLOT
    assert after_a_crash(path) == words(1) + words(6) + words(5)


def test_a_clean_stop_leaves_no_file(path: FilePath) -> None:
    farewells = Farewells(path)
    farewells.open()
    farewells.keep(1, words(1))
    farewells.close()
    assert not path.exists()
    farewells.keep(1, words(1))
    farewells.forget(1)


def test_words_that_are_too_many_for_a_slot_are_not_kept(path: FilePath) -> None:
    farewells = Farewells(path)
    farewells.open()
    farewells.keep(1, words(1))
    farewells.keep(1, words(1, size=SLOT))
    assert after_a_crash(path) == []


@pytest.mark.parametrize("damage", [b"\xff", b"\x00\x05", b"\x01\xff" + bytes(600), b"\x00\x03abc"])
def test_a_damaged_file_is_no_error(path: FilePath, damage: bytes) -> None:
    path.write_bytes(damage)
    assert after_a_crash(path) == []


def test_a_link_is_not_followed(path: FilePath, tmp_path: FilePath) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Farewells(path).open()


def test_every_process_of_an_earlier_run_is_heard(path: FilePath) -> None:
    for index in (0, 1):
        crashed = Farewells(path.with_name(f"{path.name}.{index}"))
        crashed.open()
        crashed.keep(1, words(index))
    assert after_a_crash(path) == [*words(0), *words(1)]
    assert after_a_crash(path) == []
