"""Carries child SAs into the kernel: each client's SAs and the two policies that go with its mark.

What leaves an inbound SA gets the client's mark, and only the client's own outbound policy and SA
match that mark: so clients with the same addresses and ports are told apart. Two policies of lowest
precedence block L2TP in clear, both ways, for as long as the gateway runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from msgspec import Struct

from cli.ikev1d.kernel_forms import KernelForms, blocks, selector_of
from cli.ikev1d.logs import ClientLog
from ikev1.core.effects import ChildSa, Installed, InstallFailed
from xfrm.constants import Direction
from xfrm.errors import KernelError
from xfrm.model import Policy, Progress, Sa
from xfrm.sadb import Addition, AddPolicy, AddSa, Sadb, continuing
from xfrm.usage import SaName

BATCH = 64
"""Clients before other work gets its turn: each takes some 5 microseconds."""


class Traffic(Struct, frozen=True):
    """Octets of IP payload that a client's SAs have carried."""

    received: int = 0
    sent: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.received + other.received, self.sent + other.sent)

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(self.received - other.received, self.sent - other.sent)


@dataclass(frozen=True, slots=True)
class Holding:
    """SAs and policies that belong together."""

    sas: tuple[Sa, ...]
    policies: tuple[Policy, ...]


@dataclass(slots=True)
class _Client:
    """What the kernel has of one client."""

    inbound: dict[int, Sa] = field(default_factory=dict)
    """By inbound SPI of the child."""
    outbound: dict[int, Sa] = field(default_factory=dict)
    replaced: dict[int, Progress] = field(default_factory=dict)
    """How far outbound SAs had come that may be wanted again, by inbound SPI."""
    policies: dict[Direction, Policy] = field(default_factory=dict)
    ended: Traffic = field(default_factory=Traffic)
    """Of SAs that are gone."""


class Missed(NamedTuple):
    """Children of whose end the kernel has told nobody, by inbound SPI; one may be named twice."""

    expired: list[int]
    """The kernel has ended an SA of theirs."""
    expiring: list[int]
    """An SA of theirs has carried as many octets as its soft limit; the engine counts seconds."""


class KernelSas:
    """The child SAs in the kernel."""

    def __init__(self, sadb: Sadb, mark_base: int, mark_mask: int) -> None:
        self._sadb = sadb
        self._forms = KernelForms(mark_base, mark_mask)
        self._log = ClientLog("ikev1d.kernel")
        self._clients: dict[int, _Client] = {}
        self._gone = Traffic()
        """Of clients of which nothing is left."""

    async def open(self) -> int:
        """Remove what an earlier run left, and block L2TP in clear; says how much there was."""
        left = await self._sadb.purge()
        self._sadb.apply([AddPolicy(policy) for policy in blocks()])
        return left

    async def close(self) -> None:
        """Take everything of ours out of the kernel."""
        await self._sadb.purge()

    def reqid(self, mark: int) -> int:
        """The request identifier of all SAs of a client."""
        return self._forms.reqid(mark)

    # --- what the engine wants -------------------------------------------------------------------

    def install_inbound(self, child: ChildSa) -> Installed | InstallFailed:
        """Install the inbound SA, and the client's inbound policy if it is its first."""
        return self._install(self._add_inbound, child)

    def install_outbound(
        self, child: ChildSa, replaces: tuple[ChildSa, ...]
    ) -> Installed | InstallFailed:
        """Install the outbound SA, then remove those it replaces: no packet is without one."""

        def install(child: ChildSa) -> None:
            self._add_outbound(child)
            client = self._clients[child.mark]
            spis = [old.inbound_spi for old in replaces if old.inbound_spi in client.outbound]
            progress = self._retire(client, [client.outbound.pop(spi) for spi in spis])
            client.replaced |= zip(spis, progress, strict=True)

        return self._install(install, child)

    def remove(self, child: ChildSa) -> None:
        """Remove both SAs of a child, and with the client's last one its policies."""
        client = self._clients.get(child.mark)
        if client is None:
            return
        spi = child.inbound_spi
        tables = (client.inbound, client.outbound)
        sas = [table.pop(spi) for table in tables if spi in table]
        client.replaced.pop(spi, None)
        try:
            if any(tables):
                self._retire(client, sas)
            else:
                self._retire(client, sas, tuple(client.policies.values()))
                client.policies.clear()
        except KernelError as error:
            self._log_refusal(child, error)
        self._forget_if_empty(child.mark)

    def move(self, old: ChildSa, new: ChildSa) -> Installed | InstallFailed:
        """Follow the client to another address or port, or let it go on under another mark.

        Of a child that the kernel refuses there may be one SA left, or none: it is to be removed.
        """

        def install(child: ChildSa) -> None:
            client = self._clients.get(old.mark)
            if client is None:
                return
            if old.mark == child.mark:
                self._move(client, old, child)
            else:
                self._hand_over(client, old, child)

        return self._install(install, new)

    def received(self, marks: Sequence[int]) -> tuple[int, ...]:
        """Octets that have come through the SAs of each of these clients."""
        clients = [self._clients.get(mark, _Client()) for mark in marks]
        usages = iter(
            self._sadb.usage([sa for client in clients for sa in client.inbound.values()])
        )
        return tuple(
            client.ended.received
            + sum(usage.bytes for usage in islice(usages, len(client.inbound)))
            for client in clients
        )

    def received_by(self, mark: int, inbound_spi: int) -> int:
        """Octets that have come through one inbound SA of a client."""
        client = self._clients.get(mark)
        sa = client.inbound.get(inbound_spi) if client else None
        return self._sadb.usage([sa])[0].bytes if sa else 0

    def inbound_spi_of(self, spi: int, destination: str, mark: int) -> int | None:
        """The inbound SPI of the child that an SA of the kernel belongs to.

        `mark` is 0 for an inbound SA, whose SPI is ours; two clients behind one NAT may have chosen
        the same outbound SPI.
        """
        if not mark:
            return spi
        client = self._clients.get(mark)
        for inbound_spi, sa in client.outbound.items() if client else ():
            if (sa.spi, sa.dst) == (spi, destination):
                return inbound_spi
        return None

    async def missed(self) -> Missed:
        """What the kernel must have said of children, for when its events were lost.

        What is installed or moved while the kernel's answer comes in need not be in it.
        """
        before = [
            (table, inbound_spi, sa)
            for client in self._clients.values()
            for table in (client.inbound, client.outbound)
            for inbound_spi, sa in table.items()
        ]
        carried = await self.carried()
        expired, expiring = [], []
        for table, inbound_spi, sa in before:
            if table.get(inbound_spi) is not sa:
                continue
            octets, soft = carried.get(_key(sa)), sa.lifetime.soft_bytes
            if octets is None:
                expired.append(inbound_spi)
            elif soft is not None and octets >= soft:
                expiring.append(inbound_spi)
        return Missed(expired, expiring)

    def holdings(self) -> Iterator[Holding]:
        """All that should be in the kernel: what blocks L2TP in clear, then client by client.

        Clients that come or go meanwhile may be in it or not.
        """
        yield Holding((), blocks())
        for client in tuple(self._clients.values()):
            sas = (*client.inbound.values(), *client.outbound.values())
            yield Holding(sas, tuple(client.policies.values()))

    async def carried(self) -> dict[SaName, int]:
        """Octets of every SA of the kernel, for `traffic`. Others are served meanwhile."""
        carried: dict[SaName, int] = {}
        async for piece in self._sadb.dump_usage():
            carried.update(piece)
        return carried

    def traffic(self, mark: int, carried: dict[SaName, int]) -> Traffic:
        """Octets of a client, over all its SAs, which are taken out of `carried`.

        What is left of it in the end is little: to free twenty thousand entries takes milliseconds.
        """
        client = self._clients.get(mark)
        if client is None:
            return Traffic()
        return client.ended + Traffic(
            sum(carried.pop(_key(sa), 0) for sa in client.inbound.values()),
            sum(carried.pop(_key(sa), 0) for sa in client.outbound.values()),
        )

    async def total_traffic(self) -> Traffic:
        """Octets of all clients since the start, less what the kernel has ended by itself."""
        carried = await self.carried()
        total = self._gone
        for number, mark in enumerate(tuple(self._clients)):
            if number % BATCH == 0:
                await asyncio.sleep(0)
            total += self.traffic(mark, carried)
        return total

    def _install(
        self, install: Callable[[ChildSa], None], child: ChildSa
    ) -> Installed | InstallFailed:
        try:
            install(child)
        except KernelError as error:
            self._log.of(child.client).error("the kernel refused an SA", cause=error)
            return InstallFailed(str(error))
        return Installed()

    def _log_refusal(self, child: ChildSa, error: KernelError) -> None:
        self._log.of(child.client).error("the kernel refused a change", cause=error)

    # --- what is done to the kernel --------------------------------------------------------------

    def _add_inbound(self, child: ChildSa) -> None:
        client = self._clients.setdefault(child.mark, _Client())
        sa = self._forms.inbound_sa(child)
        try:
            self._add(client, sa, Direction.IN, child)
        except KernelError:
            self._forget_if_empty(child.mark)
            raise
        client.inbound[child.inbound_spi] = sa

    def _add_outbound(self, child: ChildSa) -> None:
        client = self._clients[child.mark]
        spi = child.inbound_spi
        if spi in client.outbound:
            return
        sa = self._forms.outbound_sa(child)
        progress = client.replaced.get(spi)
        if progress is not None:
            sa = continuing(sa, progress)
        self._add(client, sa, Direction.OUT, child)
        client.outbound[spi] = sa
        if progress is not None:
            del client.replaced[spi]
            # The SA counts them again itself.
            client.ended -= Traffic(sent=progress.usage.bytes)

    def _add(self, client: _Client, sa: Sa, direction: Direction, child: ChildSa) -> None:
        # Policies of an older child that the kernel has not let follow the client, and that ends.
        self._move_policies(client, child)
        additions: list[Addition] = [AddSa(sa)]
        policy = client.policies.get(direction)
        if policy is None:
            policy = self._forms.policy(child, direction)
            additions.append(AddPolicy(policy))
        self._sadb.apply(additions)
        client.policies[direction] = policy

    def _retire(
        self, client: _Client, sas: list[Sa], policies: tuple[Policy, ...] = ()
    ) -> list[Progress]:
        retired = self._sadb.retire(sas, policies)
        for sa, progress in zip(sas, retired, strict=True):
            octets = progress.usage.bytes
            outbound = sa.mark is not None
            client.ended += Traffic(sent=octets) if outbound else Traffic(octets)
        return retired

    def _move(self, client: _Client, old: ChildSa, new: ChildSa) -> None:
        same_address = old.path.remote == new.path.remote
        for table, make in (
            (client.inbound, self._forms.inbound_sa),
            (client.outbound, self._forms.outbound_sa),
        ):
            present = table.get(new.inbound_spi)
            if present is None:
                continue
            moved = make(new)
            if same_address:
                self._sadb.update_sa(moved)
            else:
                del table[new.inbound_spi]  # it is gone, whether the other comes or not
                self._sadb.replace_sa(present, moved)
            table[new.inbound_spi] = moved
        if not same_address:
            self._move_policies(client, new)

    def _hand_over(self, client: _Client, old: ChildSa, new: ChildSa) -> None:
        """Let a child go on under the mark of another client, which is the same one."""
        heir = self._clients.setdefault(new.mark, _Client())
        spi = new.inbound_spi
        tables = (
            (Direction.IN, client.inbound, heir.inbound, self._forms.inbound_sa),
            (Direction.OUT, client.outbound, heir.outbound, self._forms.outbound_sa),
        )
        present = [(table.pop(spi), *rest) for rest in tables if spi in (table := rest[1])]
        progress = self._sadb.retire([sa for sa, *_ in present])
        replaced = client.replaced.pop(spi, None)
        if replaced is not None:
            heir.replaced[spi] = replaced
        if not client.inbound and not client.outbound:
            try:
                self._sadb.remove(tuple(client.policies.values()))
            except KernelError as error:
                self._log_refusal(old, error)
            client.policies.clear()
            heir.ended += client.ended
            del self._clients[old.mark]
        for (_, direction, _, table, make), so_far in zip(present, progress, strict=True):
            sa = make(new)
            self._add(heir, continuing(sa, so_far), direction, new)
            table[spi] = sa

    def _move_policies(self, client: _Client, child: ChildSa) -> None:
        for direction, present in tuple(client.policies.items()):
            if present.selector != selector_of(child.path, direction):
                policy = self._forms.policy(child, direction)
                self._sadb.apply([AddPolicy(policy)])
                client.policies[direction] = policy
                self._sadb.remove((present,))

    def _forget_if_empty(self, mark: int) -> None:
        client = self._clients[mark]
        if not client.inbound and not client.outbound and not client.policies:
            self._gone += client.ended
            del self._clients[mark]


def _key(sa: Sa) -> SaName:
    """What tells an SA from all others of the kernel."""
    return SaName(sa.spi, sa.dst, sa.mark.value if sa.mark else 0)
