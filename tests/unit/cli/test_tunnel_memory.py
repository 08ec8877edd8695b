"""The file that tells the run after a crash what clients call their tunnels."""

from pathlib import Path

import pytest

from cli.ikev1d.tunnel_memory import RECORD, KnownTunnels, TunnelMemory
from l2tp.core.strays import Standing

FIRST, SECOND = Standing(77, 2, 4), Standing(0xFFFF, 0xFFFE, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tunnels"


def test_the_next_run_gets_what_a_crashed_one_has_kept(path: Path) -> None:
    crashed = TunnelMemory(path)
    assert crashed.open() == {}
    crashed.keep(4711, Standing(77, 1, 2))
    crashed.keep(4711, FIRST)
    crashed.keep(0xFFFF, SECOND)
    crashed.keep(5, FIRST)
    crashed.drop(5)
    again = TunnelMemory(path)
    assert again.open() == {4711: FIRST, 0xFFFF: SECOND}
    assert TunnelMemory(path).open() == {}, "and takes it away"


def test_a_clean_end_leaves_nothing(path: Path) -> None:
    memory = TunnelMemory(path)
    memory.open()
    memory.keep(4711, FIRST)
    memory.close()
    assert not path.exists()
    memory.close()


def test_only_its_owner_may_read_it(path: Path) -> None:
    TunnelMemory(path).open()
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_a_file_nothing_is_kept(path: Path) -> None:
    memory = TunnelMemory(path / "missing" / "tunnels")
    with pytest.raises(FileNotFoundError):
        memory.open()
    memory.keep(4711, FIRST)
    memory.drop(4711)
    memory.close()


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(bytes(12))
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        TunnelMemory(path).open()


@pytest.mark.parametrize("length", [1, RECORD.size - 1, RECORD.size * 2 + 1])
def test_a_file_that_was_cut_is_read_as_far_as_it_goes(path: Path, length: int) -> None:
    path.write_bytes((bytes(RECORD.size) + RECORD.pack(77, 2, 4) * 2)[:length])
    assert TunnelMemory(path).open() == ({1: FIRST} if length > RECORD.size else {})


def test_every_process_of_an_earlier_run_is_remembered(path: Path) -> None:
    for index, (number, standing) in enumerate(((4711, FIRST), (5, SECOND))):
        crashed = TunnelMemory(path.with_name(f"{path.name}.{index}"))
        crashed.open()
        crashed.keep(number, standing)
    known = TunnelMemory(path).open()
    assert known == {4711: FIRST, 5: SECOND}
    assert TunnelMemory(path).open() == {}
    assert KnownTunnels(path.with_name("tunnels.0"), known).open() == known
