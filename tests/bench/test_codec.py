"""The codec against plain interpreted construct, in turns: no clock of this machine is a budget."""

import pytest

from tests.bench.codec import MESSAGES, timing


@pytest.mark.parametrize("name", MESSAGES)
def test_several_times_faster_than_plain_construct(name: str) -> None:
    measured = timing(name)
    assert measured.plain_parse > 3 * measured.parse
    assert measured.plain_build > 6 * measured.build


@pytest.mark.parametrize("name", [name for name in MESSAGES if "transforms" in name])
def test_offers_cost_no_more_than_a_tenth(name: str) -> None:
    measured = timing(name)
    assert measured.plain_parse > 8 * measured.parse
    assert measured.plain_build > 14 * measured.build
