"""Several engines of one gateway never give out the same number."""

from hypothesis import given
from hypothesis import strategies as st

from ikev1.core.clients import Client, Clients, MarkSpace
from ikev1.core.effects import Path
from ikev1.core.share import MOST, Share
from ikev1.core.spi import SpiSpace, stamp_of
from tests.support.ike_host import deterministic

STAMP = 0xC0DE
PATH = Path("198.51.100.1", 4500, "203.0.113.2", 4500, True)


def client(number: int) -> Client:
    return Client(
        id=f"{number}",
        path=PATH,
        identity=f"{number}",
        connection="l2tp",
        implementation="",
        nat="none",
        since=0.0,
    )


@given(st.integers(1, MOST), st.binary(min_size=1))
def test_a_cookie_tells_its_engine(count: int, seed: bytes) -> None:
    random = deterministic(seed.hex())
    for index in {0, count // 2, count - 1}:
        cookie = Share(index, count, STAMP).cookie(random)
        assert len(cookie) == 8
        if count > 1:
            assert cookie[:2] == STAMP.to_bytes(2, "big")
            assert cookie[2] % count == index


@given(st.integers(2, MOST), st.binary(min_size=1))
def test_spis_have_one_stamp_and_are_apart(count: int, seed: bytes) -> None:
    random = deterministic(seed.hex())
    spaces = [SpiSpace(random, Share(index, count, STAMP, 77)) for index in range(count)]
    drawn: set[int] = set()
    for space in spaces:
        spis = {space.draw(lambda _: False) for _ in range(8)}
        assert {stamp_of(spi) for spi in spis} == {77}
        assert not spis & drawn
        drawn |= spis


def test_marks_take_turns_and_are_apart() -> None:
    marks = [MarkSpace(0x1000, 0xFF00, Share(index, 3, STAMP)) for index in range(3)]
    given_out: list[set[int]] = []
    for space in marks:
        clients = Clients(space)
        one_after_another = [client(number) for number in range(100)]
        taken = [one.mark for one in one_after_another if clients.add(one)]
        assert taken == sorted(taken), "no mark comes again before all have had their turn"
        assert {space.engine_of(mark) for mark in taken} == {space.share.index}
        given_out.append(set(taken))
        gone = one_after_another[3]
        clients.remove(gone)
        again = client(200)
        assert clients.add(again)
        assert again.mark == gone.mark, "the only one that is free"
    every = set.union(*given_out)
    assert every == set(range(0x1100, 0x10000, 0x100))
    assert sum(map(len, given_out)) == len(every)


def test_engines_side_by_side_stay_within_what_the_kernel_can_tell_apart() -> None:
    space = MarkSpace(0, 0x00FFFFFF, Share(1, 2, STAMP))
    assert space.after(0xFFFD) == 0xFFFF
    assert space.after(0xFFFF) == 1
