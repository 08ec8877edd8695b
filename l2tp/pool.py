"""Leases of inner addresses.

A user gets the same address again while nobody else had to take it; addresses that belong to one
user alone are never given to another. Ranges are kept as bounds, so a large network costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol


class PoolExhaustedError(Exception):
    """No address is free."""


class AddressInUseError(Exception):
    """The user's own address is leased already; ``holder`` is the lease's key."""

    def __init__(self, address: IPv4Address, holder: int) -> None:
        self.address = address
        self.holder = holder
        super().__init__(f"{address} is in use")


class Rivals(Protocol):
    """Other pools that lease the same addresses."""

    def take(self, address: IPv4Address) -> bool:
        """Keep the others off an address; False if one of them has it."""

    def give_back(self, address: IPv4Address) -> None:
        """Let the others have it again."""


def parse_range(text: str) -> tuple[IPv4Address, IPv4Address]:
    """Read "a.b.c.d-e.f.g.h", "a.b.c.d/n" or one address; raises ValueError.

    Of a network of more than two addresses, the network and broadcast addresses are left out.
    """
    if "/" in text:
        network = IPv4Network(text.strip())
        edge = 1 if network.num_addresses > 2 else 0
        return network[edge], network[-1 - edge]
    first, dash, last = text.partition("-")
    start = IPv4Address(first.strip())
    end = IPv4Address(last.strip()) if dash else start
    if end < start:
        raise ValueError(f"{text!r} ends before it starts")
    return start, end


class AddressPool:
    """Addresses from ``ranges``, less ``reserved`` (the gateway's own and users' static ones).

    A lease is known by a number of the caller's, such as a session ID. Where `rivals` lease the
    same addresses, each begins with another `part` of them: (0, 2) is the first half.
    """

    def __init__(
        self,
        ranges: Iterable[str],
        reserved: Iterable[IPv4Address] = (),
        rivals: Rivals | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._ranges = [parse_range(text) for text in ranges]
        self._reserved = frozenset(reserved)
        self._rivals = rivals
        self._part = part
        self._holders: dict[IPv4Address, int] = {}
        self._leases: dict[int, IPv4Address] = {}
        self._last: dict[str, IPv4Address] = {}
        self._owners: dict[IPv4Address, str] = {}
        # Addresses nobody had yet go first, so that everybody finds the own one again.
        self._walk = self._untouched()
        # In order of release: who was away longest loses the address first.
        self._free: dict[IPv4Address, None] = {}
        self._leased = 0
        self.size = sum(
            int(end) - int(start) + 1 - sum(start <= taken <= end for taken in self._reserved)
            for start, end in self._ranges
        )
        """How many addresses there are for everybody."""

    def lease(self, key: int, user: str, static: IPv4Address | None = None) -> IPv4Address:
        """An address for ``user`` under ``key``.

        Raises PoolExhaustedError, also for a static address that a rival has leased,
        AddressInUseError for one that was leased here, ValueError for a key that holds a lease.
        """
        if key in self._leases:
            raise ValueError(f"{key} holds a lease already")
        if static in self._holders:
            raise AddressInUseError(static, self._holders[static])
        if static is not None and not self._take(static):
            raise PoolExhaustedError(f"{static} is in use in another process of the gateway")
        address = static or self._choose(user)
        self._free.pop(address, None)
        self._holders[address] = key
        self._leases[key] = address
        self._leased += self._is_dynamic(address)
        if static is None:
            self._last[user] = address
            self._owners[address] = user
        return address

    def release(self, key: int) -> None:
        """Give an address back; a key without a lease is no error."""
        address = self._leases.pop(key, None)
        if address is None:
            return
        del self._holders[address]
        if self._rivals is not None:
            self._rivals.give_back(address)
        if self._is_dynamic(address):
            self._leased -= 1
            self._free[address] = None

    @property
    def leased(self) -> int:
        """How many addresses for everybody are in use."""
        return self._leased

    def leases(self) -> dict[int, IPv4Address]:
        """The addresses in use by key."""
        return dict(self._leases)

    def _choose(self, user: str) -> IPv4Address:
        for address in self._candidates(user):
            if self._take(address):
                return address
        raise PoolExhaustedError(
            f"all {self.size} addresses are in use: enlarge the pool or end idle sessions"
        )

    def _take(self, address: IPv4Address) -> bool:
        return self._rivals is None or self._rivals.take(address)

    def _candidates(self, user: str) -> Iterator[IPv4Address]:
        last = self._last.get(user)
        if last in self._free and self._owners.get(last) == user:
            yield last
        # Not `yield from`, which would close the walk with the first address that is taken.
        for address in self._walk:  # noqa: UP028
            yield address
        yield from self._free
        if self._rivals is not None:  # they may have given back what the walk has passed by
            yield from self._untouched()

    def _untouched(self) -> Iterator[IPv4Address]:
        index, count = self._part
        begin = sum(int(end) - int(start) + 1 for start, end in self._ranges) * index // count
        passed = 0
        before: list[range] = []
        after: list[range] = []
        for start, end in self._ranges:
            numbers = range(int(start), int(end) + 1)
            split = min(max(begin - passed, 0), len(numbers))
            before.append(numbers[:split])
            after.append(numbers[split:])
            passed += len(numbers)
        for numbers in (*after, *before):
            for number in numbers:
                address = IPv4Address(number)
                if address not in self._reserved and address not in self._holders:
                    yield address

    def _is_dynamic(self, address: IPv4Address) -> bool:
        return address not in self._reserved and any(
            start <= address <= end for start, end in self._ranges
        )
