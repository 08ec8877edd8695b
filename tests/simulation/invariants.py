"""What must be true of the gateway: after each step, and all over at times.

The gateway's engines, its kernel and the simulation's own knowledge of who is who are compared.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from cli.ikev1d.service import Gateway
from ikev1.core.clients import Child
from ikev1.core.clients import Client as Owner
from ikev1.core.rekeying import SWITCH_AFTER
from ikev1.core.responder import Responder
from tests.simulation.clock import VirtualLoop
from tests.simulation.kernel import Kernel, State
from tests.simulation.machine import SimulatedMachine
from xfrm.constants import Direction

OUR_PACKAGES = frozenset({"ikev1", "xfrm", "l2tp", "cli"})


class BrokenError(AssertionError):
    """An invariant does not hold."""


def hold(condition: object, complaint: str) -> None:
    """Break off if something is not true."""
    if not condition:
        raise BrokenError(complaint)


@dataclass(frozen=True, slots=True)
class Doom:
    """SAs that a client has left behind: cookie pairs, and SPIs of the gateway."""

    client: int
    why: str
    since: float
    gone_within: float
    """Seconds after which nothing of it is left, but for what lives on in a client that has come
    back."""
    cookies: frozenset[bytes]
    spis: frozenset[int]

    @property
    def names(self) -> set[int | bytes]:
        """Of all of them."""
        return {*self.cookies, *self.spis}


class Invariants:
    """Watches one gateway."""

    def __init__(
        self, gateway: Gateway, kernel: Kernel, machine: SimulatedMachine, loop: VirtualLoop
    ) -> None:
        self.checks = 0
        self.holds: Callable[[int, int | bytes], bool] = lambda client, name: True
        """Whether a client is awake and has an SA, by cookie pair or SPI of the gateway."""
        self._gateway: Gateway | None = gateway
        self._kernel = kernel
        self._machine = machine
        self._loop = loop
        self._owner_of: dict[int | bytes, int] = {}
        """Clients by cookie pairs and SPIs of the gateway."""
        self._left: dict[int | bytes, float] = {}
        """SAs that nobody has any more, and since when."""
        self._asked: set[bytes] = set()

    def pause(self) -> None:
        """There is no gateway."""
        self._gateway = None

    def resume(self, gateway: Gateway, machine: SimulatedMachine) -> None:
        """There is another one, which knows nobody."""
        self._gateway, self._machine = gateway, machine
        self.check_all()

    @property
    def engine(self) -> Responder:
        """The IKE engine."""
        assert self._gateway is not None
        assert self._gateway._ike is not None
        return self._gateway._ike.engine

    # --- who is who ------------------------------------------------------------------------------

    def met(self, client: int, name: int | bytes) -> None:
        """A client has an SA with the gateway."""
        self._owner_of[name] = client
        self._left.pop(name, None)  # an SPI comes back now and then

    def left(self, doom: Doom) -> None:
        """A client has none of these any more, whether it could say so or not."""
        now = self._loop.time()
        self._left.update(dict.fromkeys(doom.names, now))
        if self._gateway is None:
            return
        for owner in self._owners_of(doom):
            # Its older SAs were those of somebody alive until now.
            for name in _names(owner):
                if name in self._left:
                    self._left[name] = now

    def asked(self, datagram: bytes) -> None:
        """An IKE datagram has come to the gateway."""
        marker = 4 if datagram[:4] == bytes(4) else 0
        self._asked.add(datagram[marker : marker + 16])

    # --- after each step -------------------------------------------------------------------------

    def after_step(self) -> None:
        """Look at the clients that this step has touched."""
        kernel = self._kernel
        if self._gateway is None:
            kernel.touched.clear()
            self._asked.clear()
        if kernel.touched:
            for mark in sorted(kernel.touched):
                self.check_mark(mark)
            kernel.touched.clear()
        if self._asked:
            for cookies in self._asked:
                sa = self.engine._context.ike_sas.get(cookies)
                owner = self.engine.clients.by_id(sa.client) if sa and sa.established else None
                if owner is not None:
                    self.check_mark(owner.mark)
            self._asked.clear()

    def check_mark(self, mark: int) -> None:
        """All that belongs to a mark belongs to one client, and is in use as it should be."""
        self.checks += 1
        if not mark:
            return
        owner = self.engine.clients.by_mark(mark)
        states = self._kernel.of_mark(mark)
        if owner is None:
            hold(not states, f"SAs of mark {mark:#x}, which has no owner: {states}")
            policies = self._kernel.policies_of(mark)
            hold(not policies, f"policies of mark {mark:#x}, which has no owner: {policies}")
            return
        hold(owner.phase1 or owner.children, f"{owner.id} has nothing, and keeps its mark")
        self._check_children(owner, states)
        self._check_policies(owner, states)
        self._check_one_person(owner)

    def _check_children(self, owner: Owner, states: Sequence[State]) -> None:
        inbound = {state.sa.spi: state for state in states if state.sa.mark is None}
        outbound = [state for state in states if state.sa.mark is not None]
        children = {child.sa.inbound_spi: child for child in owner.children}
        strays = inbound.keys() - children.keys()
        hold(not strays, f"{owner.id}: SAs without an owner: {[f'{spi:08x}' for spi in strays]}")
        for spi, child in children.items():
            state = inbound.get(spi)
            if state is None:
                missing = self._kernel.has_expired(spi, child.sa.path.local, 0)
                hold(missing, f"{owner.id}: child {spi:08x} is not in the kernel")
                continue
            path, sa = child.sa.path, state.sa
            where = (sa.src, sa.encap.sport if sa.encap else 0)
            there = (path.remote, path.remote_port if child.sa.encapsulated else 0)
            hold(where == there, f"{owner.id}: SA {spi:08x} is for {where}, the child for {there}")
        carrying = owner.carrying
        wanted = [carrying.sa.outbound_spi] if carrying else []
        found = [state.sa.spi for state in outbound]
        if found != wanted and not (carrying and not found and self._has_expired(owner)):
            raise BrokenError(
                f"{owner.id}: outbound SAs {[f'{spi:08x}' for spi in found]}, "
                f"but {[f'{spi:08x}' for spi in wanted]} is to be used"
            )
        complete = [
            child
            for child in owner.children
            if child.up and (child is carrying or not self._waits(child))
        ]
        if complete and carrying is not None and carrying.up:
            hold(complete[-1] is carrying, f"{owner.id}: not the newest child is in use")

    def _waits(self, child: Child) -> bool:
        """Whether it is of a Quick Mode of ours, and carries when the client has it, or soon."""
        sa = self.engine._context.ike_sas.get(child.quick_mode[0])
        exchange = sa.exchanges.get(child.quick_mode[1]) if sa else None
        ours = exchange is not None and exchange.renews is not None
        return ours and self._loop.time() <= child.since + SWITCH_AFTER

    def _has_expired(self, owner: Owner) -> bool:
        carrying = owner.carrying
        assert carrying is not None
        sa = carrying.sa
        return self._kernel.has_expired(sa.outbound_spi, sa.path.remote, sa.mark)

    def _check_policies(self, owner: Owner, states: Sequence[State]) -> None:
        policies = self._kernel.policies_of(owner.mark)
        directions = [policy.direction for policy in policies]
        hold(len(set(directions)) == len(directions), f"{owner.id}: two policies of a direction")
        for state in states:
            direction = Direction.IN if state.sa.mark is None else Direction.OUT
            hold(direction in directions, f"{owner.id}: SA {state.sa.spi:08x} has no policy")
        if not owner.children:
            hold(not policies, f"{owner.id}: policies without SAs")
        for policy in policies:
            selector = policy.selector
            remote = selector.src if policy.direction is Direction.IN else selector.dst
            here = {child.sa.path.remote for child in owner.children}
            hold(remote in here, f"{owner.id}: policy for {remote}, but SAs for {here}")

    def _check_one_person(self, owner: Owner) -> None:
        """Nobody else's SAs are under this mark."""
        people = self.people_of(owner)
        hold(len(people) <= 1, f"{owner.id}: mark {owner.mark:#x} has the owners {people}")

    def people_of(self, owner: Owner) -> set[int]:
        """The clients that have SAs under a mark, and are awake.

        Who gets the private address of one that has left, or sleeps, and its port at the NAT, with
        a key that many share, is the same client to the gateway.
        """
        return {number for name, number in self._known(owner) if self.holds(number, name)}

    def all_of(self, owner: Owner) -> set[int]:
        """The same, awake or not, and those that have left."""
        return {number for _, number in self._known(owner)}

    def _known(self, owner: Owner) -> list[tuple[int | bytes, int]]:
        return [(name, self._owner_of[name]) for name in _names(owner) if name in self._owner_of]

    # --- at times --------------------------------------------------------------------------------

    def check_all(self) -> None:
        """Everything, everywhere."""
        if self._gateway is None:
            return
        engine, kernel = self.engine, self._kernel
        owners = list(engine.clients)
        for owner in owners:
            self.check_mark(owner.mark)
            same = engine.clients.proved(owner.proof)
            several = owner.connection == "several"
            hold(
                several or len(same) <= 1,
                f"one person, but clients {[client.id for client in same]}",
            )
        marks = {owner.mark for owner in owners}
        hold(len(marks) == len(owners), "two clients with one mark")
        for state in kernel.all_states():
            hold(state.mark in marks, f"SA {state.sa.spi:08x} of mark {state.mark:#x} has no owner")
        for policy in kernel.policies:
            hold(policy.mark is None or policy.mark.value in marks, f"no owner: {policy}")
        assert self._gateway._lns is not None
        lns = self._gateway._lns.engine
        for tunnel in lns.tunnels():
            hold(tunnel.peer.mark in marks, f"L2TP tunnel {tunnel} under the mark of nobody")
        sessions = {session.session_id for session in lns.sessions()}
        leases = lns._settings.pool.leases()
        hold(leases.keys() <= sessions, f"leases of no session: {leases.keys() - sessions}")
        hold(len(set(leases.values())) == len(leases), "an address is leased twice")
        self._check_sizes(len(owners))

    def _check_sizes(self, clients: int) -> None:
        """Nothing grows without bound."""
        engine = self.engine
        timers = len(engine._timers)
        hold(timers <= 64 * (clients + 64), f"{timers} timers for {clients} clients")

    def check_left(self, doom: Doom, *, final: bool) -> None:
        """What a client has left behind is gone by now.

        Where it has come back as the same client, with the same mark, its old SAs live on to the
        end of their lifetime (`final`) at most.
        """
        if self._gateway is None:
            return
        lately = self._loop.time() - doom.gone_within
        for owner in self._owners_of(doom):
            if final or all(self._left.get(name, inf) <= lately for name in _names(owner)):
                raise BrokenError(
                    f"client {doom.client} is gone ({doom.why}), but {owner.id} is there"
                )
        if final:
            for name in doom.names:
                if self._left.get(name, inf) <= doom.since:
                    del self._left[name]
                    self._owner_of.pop(name, None)

    def _owners_of(self, doom: Doom) -> list[Owner]:
        """The gateway's clients that have some of these SAs."""
        engine = self.engine
        found = {}
        for spi in doom.spis:
            known = engine.clients.by_inbound_spi(spi)
            if known is not None and known[1].since <= doom.since:
                found[known[0].mark] = known[0]
        for cookies in doom.cookies:
            sa = engine._context.ike_sas.get(cookies)
            owner = engine.clients.by_id(sa.client) if sa and sa.established else None
            if owner is not None:
                found[owner.mark] = owner
        return list(found.values())


def _names(owner: Owner) -> list[int | bytes]:
    """Cookie pairs and SPIs of all SAs of a client."""
    return [*owner.phase1, *(child.sa.inbound_spi for child in owner.children)]


def table_sizes(root: object) -> dict[str, int]:
    """The sizes of all containers that an object keeps, by class and attribute.

    It looks into every object of the program's own packages, so that a table that somebody adds
    is watched, too.
    """
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    stack: list[tuple[str, object]] = [("", root)]
    while stack:
        name, thing = stack.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Mapping | list | set | deque):
            sizes[name] += len(thing)
            items = thing.values() if isinstance(thing, Mapping) else thing
            stack += [(f"{name}[]", item) for item in items]
        elif isinstance(thing, tuple):
            stack += [(name, item) for item in thing]
        elif type(thing).__module__.partition(".")[0] in OUR_PACKAGES:
            kind = type(thing).__name__
            names = [*getattr(thing, "__dict__", ())]
            for base in type(thing).__mro__:
                names += getattr(base, "__slots__", ())
            stack += [(f"{kind}.{slot}", getattr(thing, slot, None)) for slot in names]
    return dict(sizes)
