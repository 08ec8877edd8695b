"""Address leases."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from l2tp.pool import AddressInUseError, AddressPool, PoolExhaustedError, parse_range


def ip(text: str) -> IPv4Address:
    return IPv4Address(text)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("10.0.0.5-10.0.0.9", "10.0.0.5", "10.0.0.9"),
        (" 10.0.0.5 - 10.0.0.9 ", "10.0.0.5", "10.0.0.9"),
        ("10.0.0.5", "10.0.0.5", "10.0.0.5"),
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"),
        ("10.0.0.4/31", "10.0.0.4", "10.0.0.5"),
        ("10.0.0.4/32", "10.0.0.4", "10.0.0.4"),
    ],
)
def test_ranges(text: str, first: str, last: str) -> None:
    assert parse_range(text) == (ip(first), ip(last))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Address cannot be empty"),
        ("10.0.0.9-10.0.0.5", "ends before it starts"),
        ("10.0.0.1/24", "has host bits set"),
        ("10.0.0.1-", "Address cannot be empty"),
        ("fe80::1", "Expected 4 octets"),
    ],
)
def test_ranges_that_make_no_sense(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_range(text)


def test_each_lease_has_its_own_address() -> None:
    pool = AddressPool(["10.0.0.1-10.0.0.2", "10.0.0.9"])
    leased = [pool.lease(key, f"user{key}") for key in range(3)]
    assert leased == [ip("10.0.0.1"), ip("10.0.0.2"), ip("10.0.0.9")]
    assert pool.leases() == dict(enumerate(leased))


def test_exhaustion_is_an_error_until_something_is_released() -> None:
    pool = AddressPool(["10.0.0.1"])
    pool.lease(1, "alice")
    with pytest.raises(PoolExhaustedError, match="all 1 addresses are in use"):
        pool.lease(2, "bob")
    pool.release(1)
    assert pool.lease(2, "bob") == ip("10.0.0.1")


def test_a_user_finds_the_own_address_again() -> None:
    pool = AddressPool(["10.0.0.1-10.0.0.4"])
    alice = pool.lease(1, "alice")
    pool.lease(2, "bob")
    pool.release(1)
    assert pool.lease(3, "carol") != alice, "fresh addresses go first"
    assert pool.lease(4, "alice") == alice


def test_when_addresses_run_short_the_longest_unused_is_taken() -> None:
    pool = AddressPool(["10.0.0.1-10.0.0.2"])
    alice, bob = pool.lease(1, "alice"), pool.lease(2, "bob")
    pool.release(2)
    pool.release(1)
    assert pool.lease(3, "carol") == bob
    assert pool.lease(4, "bob") == alice
    pool.release(3)
    assert pool.lease(5, "alice") == bob


def test_a_second_session_of_one_user_gets_another_address() -> None:
    pool = AddressPool(["10.0.0.1-10.0.0.2"])
    assert pool.lease(1, "alice") != pool.lease(2, "alice")


def test_reserved_addresses_are_not_given_away() -> None:
    pool = AddressPool(["10.0.0.1-10.0.0.3"], [ip("10.0.0.2")])
    assert [pool.lease(key, "x") for key in (1, 2)] == [ip("10.0.0.1"), ip("10.0.0.3")]
    with pytest.raises(PoolExhaustedError):
        pool.lease(3, "x")


def test_static_addresses() -> None:
    own = ip("10.0.0.2")
    pool = AddressPool(["10.0.0.1-10.0.0.3"], [own])
    assert pool.lease(1, "bob", own) == own
    with pytest.raises(AddressInUseError) as caught:
        pool.lease(2, "bob", own)
    assert (caught.value.address, caught.value.holder) == (own, 1)
    pool.release(1)
    assert pool.lease(2, "bob", own) == own
    pool.release(2)
    for key in (3, 4):
        assert pool.lease(key, f"user{key}") != own


def test_a_static_address_inside_the_ranges_is_skipped_while_in_use() -> None:
    pool = AddressPool(["10.0.0.1-10.0.0.2"])
    assert pool.lease(1, "bob", ip("10.0.0.1")) == ip("10.0.0.1")
    assert pool.lease(2, "alice") == ip("10.0.0.2")
    pool.release(1)
    assert pool.lease(3, "carol") == ip("10.0.0.1")


def test_overlapping_ranges_give_no_address_twice() -> None:
    pool = AddressPool(["10.0.0.1-10.0.0.2", "10.0.0.2-10.0.0.3"])
    assert len({pool.lease(key, "x") for key in range(3)}) == 3
    with pytest.raises(PoolExhaustedError):
        pool.lease(3, "x")


def test_one_lease_for_one_key() -> None:
    pool = AddressPool(["10.0.0.0/24"])
    pool.lease(1, "alice")
    with pytest.raises(ValueError, match="holds a lease"):
        pool.lease(1, "alice")
    pool.release(1)
    pool.release(1)
    assert pool.leases() == {}


def test_a_large_network_costs_nothing() -> None:
    pool = AddressPool(["10.0.0.0/8"])
    assert pool.lease(1, "alice") == ip("10.0.0.1")


def test_how_many_addresses_there_are_and_are_in_use() -> None:
    static = ip("10.0.0.2")
    pool = AddressPool(["10.0.0.1-10.0.0.4", "10.0.0.9"], [static, ip("192.0.2.1")])
    assert (pool.size, pool.leased) == (4, 0)
    pool.lease(1, "alice")
    pool.lease(2, "bob", static)  # which nobody else could have had
    assert pool.leased == 1
    pool.release(2)
    pool.release(1)
    assert pool.leased == 0
