"""The kernel's IPsec: SAD and SPD behind the messages of NETLINK_XFRM, and the packets in them.

Requests come through the gateway's own codec and get the answers that Linux gives (net/xfrm:
xfrm_user.c, xfrm_state.c, xfrm_policy.c; net/ipv4/esp4.c, xfrm_input.c). What Linux would refuse
to a gateway that knows what it has installed is not answered but raised, as `ImpossibleError`.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tests.simulation.clock import VirtualLoop
from tests.simulation.packets import Esp, Inner, Packet, size_of
from tests.support.xfrm_wire import encoded, read
from xfrm.constants import IPPROTO_UDP, Action, Direction, MessageType
from xfrm.events import Event, Expire, NatMapping, Resync
from xfrm.flat import FlatMessage
from xfrm.model import Mark, Policy, Replay, Sa, SaState, Selector
from xfrm.netlink import Answer, Request
from xfrm.policy_codec import decode_policy, encode_policy
from xfrm.sa_codec import decode_sa_state, encode_sa
from xfrm.sadb import Sadb
from xfrm.selectors import decode_mark, decode_selector, unpack_address
from xfrm.usage import SaName

DELAYED_EVENT = 0.05
"""Seconds an event waits at most before the daemon reads it."""
DUMPED_AT_ONCE = 12
"""SAs in one datagram of a dump."""
DUMP_PAUSE = 0.02
"""Seconds between two of them, on a busy machine."""
FORGET_EXPIRED = 3600.0
"""Seconds for which a request about an SA that has expired is no mistake."""


class ImpossibleError(AssertionError):
    """The gateway asked for what Linux would refuse."""


@dataclass(eq=False, slots=True)
class State:
    """An SA in the SAD, and what it has carried."""

    sa: Sa
    added: float
    number: int
    octets: int = 0
    packets: int = 0
    sent: int = 0
    highest: int = 0
    received: set[int] = field(default_factory=set)
    """Sequence numbers in the replay window."""
    soft_told: bool = False
    """Whether the daemon has heard that the soft limit of octets is reached."""
    mapping_told: float = float("-inf")
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    @property
    def mark(self) -> int:
        """The client's mark."""
        mark = self.sa.mark or self.sa.set_mark
        return mark.value if mark else 0

    @property
    def keys(self) -> bytes:
        """What a packet must have been made with."""
        sa = self.sa
        if sa.aead is not None:
            return sa.aead.key
        assert sa.encryption is not None
        assert sa.integrity is not None
        return sa.encryption.key + sa.integrity.key


class Kernel:
    """One network namespace's IPsec.

    `to_socket` gets what comes out of an SA for UDP (packet, mark, reqid), `to_network` what goes
    out. `touched` collects the marks whose SAs or policies have changed.
    """

    def __init__(self, loop: VirtualLoop, dice: random.Random) -> None:
        self.states: dict[tuple[str, int], list[State]] = {}
        """By destination and SPI."""
        self.policies: dict[Policy, None] = {}
        self.touched: set[int] = set()
        self.drops: Counter[str] = Counter()
        self.refuse: Callable[[Sa | Policy], int] = lambda thing: 0
        """The errno with which the kernel refuses to add this, 0 for none."""
        self.loses_events: Callable[[], bool] = lambda: False
        self.to_network: Callable[[Packet], None] = lambda packet: None
        self.to_socket: Callable[[Packet, int, int], None] = lambda packet, mark, reqid: None
        self._loop = loop
        self._dice = dice
        self._number = 0
        self._by_mark: dict[int, list[State]] = {}
        self._policies_by_mark: dict[int, list[Policy]] = {}
        self._expired: dict[tuple[int, str, int], float] = {}
        self._on_event: Callable[[Event], None] | None = None

    def sadb(self, on_event: Callable[[Event], None]) -> Sadb:
        """The gateway's way to it."""
        self._on_event = on_event
        return _SimulatedSadb(self)

    def lose_daemon(self) -> None:
        """The daemon is no more, and hears of nothing. What it has installed stays."""
        self._on_event = None

    def flush(self) -> None:
        """ip xfrm state flush; ip xfrm policy flush."""
        for state in tuple(self.all_states()):
            self._remove(state)
        self.policies.clear()
        self._policies_by_mark.clear()

    def of_mark(self, mark: int) -> Sequence[State]:
        """The SAs of a client."""
        return self._by_mark.get(mark, ())

    def policies_of(self, mark: int) -> Sequence[Policy]:
        """The policies of a client."""
        return self._policies_by_mark.get(mark, ())

    def all_states(self) -> Iterable[State]:
        """Every SA."""
        return (state for states in self.states.values() for state in states)

    def has_expired(self, spi: int, destination: str, mark: int) -> bool:
        """Whether there was such an SA until its lifetime was over, a while ago at most."""
        return (spi, destination, mark) in self._expired

    # --- requests --------------------------------------------------------------------------------

    def request(self, request: Request) -> Answer:
        """Carry out one message of NETLINK_XFRM."""
        message = read(request.type, request.body)
        match request.type:
            case MessageType.NEWSA:
                return self._new_sa(decode_sa_state(message), dict(message["attrs"]))
            case MessageType.UPDSA:
                return Answer(self._update_sa(decode_sa_state(message).sa))
            case MessageType.DELSA | MessageType.GETSA:
                return self._named_sa(message, request.type)
            case MessageType.NEWPOLICY:
                return Answer(self._new_policy(decode_policy(message)))
            case MessageType.DELPOLICY:
                self._delete_policy(message)
                return Answer(0)
        raise ImpossibleError(f"request {request.type} is not simulated")

    def dump(self, message_type: int) -> list[FlatMessage]:
        """Everything of a kind."""
        if message_type == MessageType.GETSA:
            return [_as_message(state) for state in self.all_states()]
        return [read(MessageType.NEWPOLICY, encode_policy(policy)) for policy in self.policies]

    def _new_sa(self, new: SaState, attributes: dict[str, Any]) -> Answer:
        sa = new.sa
        if self._locate(sa.dst, sa.spi, sa.mark) is not None:
            raise ImpossibleError(f"EEXIST: SA {sa.spi:08x} to {sa.dst} mark {sa.mark}")
        if not sa.spi or (sa.encryption or sa.aead) is None:
            raise ImpossibleError(f"EINVAL: SA without SPI or cipher: {sa}")
        refused = self.refuse(sa)
        if refused == errno.ENOMEM:
            return Answer(refused)
        self._number += 1
        state = State(sa, self._loop.time(), self._number)
        if "XFRMA_LTIME_VAL" in attributes:  # it takes the place of one that has gone before
            carried = attributes["XFRMA_LTIME_VAL"]
            state.octets, state.packets = carried["bytes"], carried["packets"]
            state.added = float(carried["add_time"])
            state.sent, state.highest = new.replay.sent, new.replay.received
        self.states.setdefault((sa.dst, sa.spi), []).append(state)
        self._by_mark.setdefault(state.mark, []).append(state)
        self.touched.add(state.mark)
        self._set_timers(state)
        return Answer(refused)  # with ENOBUFS the answer alone was lost

    def _set_timers(self, state: State) -> None:
        for seconds, hard in (
            (state.sa.lifetime.soft_seconds, False),
            (state.sa.lifetime.hard_seconds, True),
        ):
            if seconds:
                timer = self._loop.call_at(state.added + seconds, self._expire, state, hard)
                state.timers.append(timer)

    def _update_sa(self, sa: Sa) -> int:
        state = self._locate(sa.dst, sa.spi, sa.mark)
        if state is None:
            return self._missing(sa.spi, sa.dst, sa.mark)
        old = state.sa
        kept = replace(
            sa, lifetime=old.lifetime, encap=old.encap, mapping_interval=old.mapping_interval
        )
        if kept != old:
            raise ImpossibleError(f"XFRM_MSG_UPDSA changes no addresses, keys or selector: {sa}")
        if (sa.encap is None) != (old.encap is None):
            raise ImpossibleError(f"EINVAL: encapsulation of {sa.spi:08x} cannot be changed")
        refused = self.refuse(sa)
        if refused != errno.ENOMEM:
            state.sa = sa
            self.touched.add(state.mark)
        return refused

    def _named_sa(self, message: FlatMessage, kind: MessageType) -> Answer:
        destination = unpack_address(message["family"], message["daddr"])
        spi, mark = message["spi"], decode_mark(dict(message["attrs"]))
        state = self._locate(destination, spi, mark)
        if state is None:
            return Answer(self._missing(spi, destination, mark))
        if kind is MessageType.GETSA:
            return Answer(0, None, encoded(_as_message(state)))
        self._remove(state)
        return Answer(0)

    def _missing(self, spi: int, destination: str, mark: Mark | None) -> int:
        """ESRCH, which is no mistake of the gateway only about what has expired."""
        expired = self._expired.get((spi, destination, mark.value if mark else 0))
        if expired is None:
            raise ImpossibleError(f"ESRCH: SA {spi:08x} to {destination} mark {mark}")
        return errno.ESRCH

    def _new_policy(self, policy: Policy) -> int:
        same = [other for other in self.policies_of(_mark_of(policy)) if _same(policy, other)]
        if same:
            raise ImpossibleError(f"EEXIST: {policy}")
        refused = self.refuse(policy)
        if refused == errno.ENOMEM:
            return refused
        self.policies[policy] = None
        self._policies_by_mark.setdefault(_mark_of(policy), []).append(policy)
        self.touched.add(_mark_of(policy))
        return refused

    def _delete_policy(self, message: FlatMessage) -> None:
        mark = decode_mark(dict(message["attrs"]))
        wanted = Policy(decode_selector(message), Direction(message["dir"]), mark=mark)
        for policy in self.policies_of(_mark_of(wanted)):
            if _same(policy, wanted):
                del self.policies[policy]
                _drop(self._policies_by_mark, _mark_of(policy), policy)
                self.touched.add(_mark_of(policy))
                return
        raise ImpossibleError(f"ENOENT: {wanted}")

    def _locate(self, destination: str, spi: int, mark: Mark | None) -> State | None:
        value = mark.value & mark.mask if mark else 0
        for state in self.states.get((destination, spi), ()):
            own = state.sa.mark
            if own is None or value & own.mask == own.value:
                return state
        return None

    def _remove(self, state: State) -> None:
        _drop(self.states, (state.sa.dst, state.sa.spi), state)
        _drop(self._by_mark, state.mark, state)
        for timer in state.timers:
            timer.cancel()
        self.touched.add(state.mark)

    # --- expiry and events -----------------------------------------------------------------------

    def _expire(self, state: State, hard: bool) -> None:
        sa = state.sa
        if state not in self.states.get((sa.dst, sa.spi), ()):
            return
        if hard:
            self._remove(state)
            key = (sa.spi, sa.dst, sa.mark.value if sa.mark else 0)
            self._expired[key] = self._loop.time()
            self._loop.call_later(FORGET_EXPIRED, self._expired.pop, key, None)
        self._tell(Expire(sa.spi, sa.dst, sa.protocol, sa.reqid, sa.mark, hard))

    def _tell(self, event: Event) -> None:
        if self.loses_events():
            event = Resync()
        self._loop.call_later(self._dice.random() * DELAYED_EVENT, self.deliver, event)

    def deliver(self, event: Event) -> None:
        """Tell the daemon."""
        if self._on_event is not None:
            self._on_event(event)

    # --- packets ---------------------------------------------------------------------------------

    def receive(self, packet: Packet) -> None:
        """ESP from the network, bare or out of a datagram."""
        esp = packet.payload
        assert isinstance(esp, Esp)
        state = self._locate(packet.dst, esp.spi, None)
        if state is None:
            self.drops["no such SA"] += 1
            return
        sa = state.sa
        refusal = self._refusal(state, packet, esp)
        if refusal:
            self.drops[refusal] += 1
            return
        state.received.add(esp.sequence)
        state.highest = max(state.highest, esp.sequence)
        if len(state.received) > 2 * sa.replay_window:
            oldest = state.highest - sa.replay_window
            state.received = {number for number in state.received if number > oldest}
        if not self._carry(state, esp):
            return
        self._notice_mapping(state, packet)
        inner = Packet(packet.src, esp.inner.sport, packet.dst, esp.inner.dport, esp.inner.payload)
        mark = sa.set_mark.value if sa.set_mark else 0
        if sa.selector is not None and not _matches(sa.selector, inner):
            self.drops["selector of the SA"] += 1
            return
        policy = self._policy(inner, Direction.IN, mark)
        if policy is not None and policy.action is Action.BLOCK:
            self.drops["no policy"] += 1
            return
        if policy is not None and any(part.reqid != sa.reqid for part in policy.templates):
            self.drops["template of the policy"] += 1
            return
        self.to_socket(inner, mark, sa.reqid)

    def _refusal(self, state: State, packet: Packet, esp: Esp) -> str:
        """Why an SA does not take a packet, "" where it does."""
        sa = state.sa
        if (sa.encap is not None) != bool(packet.sport):
            return "encapsulation"
        if esp.sequence <= state.highest - sa.replay_window or esp.sequence in state.received:
            return "replay"
        if esp.keys != state.keys:
            return "integrity"
        return ""

    def _notice_mapping(self, state: State, packet: Packet) -> None:
        """esp_input_done2: an authentic packet from elsewhere makes an event, not too often."""
        sa, now = state.sa, self._loop.time()
        if sa.encap is None or (packet.src, packet.sport) == (sa.src, sa.encap.sport):
            return
        if now - state.mapping_told < sa.mapping_interval:
            return
        state.mapping_told = now
        old = (sa.src, sa.encap.sport)
        self._tell(NatMapping(sa.spi, sa.dst, sa.reqid, *old, packet.src, packet.sport))

    def send(self, datagram: Packet, mark: int) -> bool:
        """A datagram of the gateway's sockets. False where it does not leave."""
        policy = self._policy(datagram, Direction.OUT, mark)
        if policy is None or policy.action is Action.BLOCK or not policy.templates:
            return False  # EPERM
        state = self._outbound(policy.templates[0].reqid, datagram, mark)
        if state is None:
            self.drops["no outbound SA"] += 1
            return False  # EAGAIN
        state.sent += 1
        assert isinstance(datagram.payload, bytes)
        inner = Inner(datagram.sport, datagram.dport, datagram.payload)
        esp = Esp(state.sa.spi, state.sent, state.keys, inner)
        if self._carry(state, esp):
            encap = state.sa.encap
            ports = (encap.sport, encap.dport) if encap else (0, 0)
            self.to_network(Packet(datagram.src, ports[0], datagram.dst, ports[1], esp))
        return True

    def _outbound(self, reqid: int, datagram: Packet, mark: int) -> State | None:
        """xfrm_state_look_at: of those that fit, the one added last, in whole seconds."""
        fitting = [
            state
            for state in self.of_mark(mark)
            if state.sa.mark is not None
            and mark & state.sa.mark.mask == state.sa.mark.value
            and (state.sa.dst, state.sa.src, state.sa.reqid) == (datagram.dst, datagram.src, reqid)
            and (state.sa.selector is None or _matches(state.sa.selector, datagram))
        ]
        return max(fitting, key=lambda state: (int(state.added), state.number), default=None)

    def _policy(self, packet: Packet, direction: Direction, mark: int) -> Policy | None:
        candidates = [
            policy
            for policy in (*self.policies_of(mark), *(self.policies_of(0) if mark else ()))
            if policy.direction is direction and _matches(policy.selector, packet)
        ]
        return min(candidates, key=lambda policy: policy.priority, default=None)

    def _carry(self, state: State, esp: Esp) -> bool:
        """Count a packet; False where that is too many octets (xfrm_state_check_expire)."""
        state.octets += size_of(esp)
        state.packets += 1
        soft, hard = state.sa.lifetime.soft_bytes, state.sa.lifetime.hard_bytes
        if hard is not None and state.octets >= hard:
            self._expire(state, True)
            return False
        if soft is not None and state.octets >= soft and not state.soft_told:
            state.soft_told = True
            self._expire(state, False)
        return True


class _Requests:
    """In place of the NETLINK_XFRM socket."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def exchange(self, requests: Sequence[Request]) -> list[Answer]:
        """All of them, also those behind one that is refused."""
        return [self._kernel.request(request) for request in requests]


class _Dumps:
    """In place of pyroute2's."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    async def dump(self, message: FlatMessage, message_type: int) -> list[FlatMessage]:
        """As of now."""
        return self._kernel.dump(message_type)


class _SimulatedSadb(Sadb):
    """The gateway's Sadb, all but the socket."""

    def __init__(self, kernel: Kernel) -> None:
        self._requests = _Requests(kernel)  # type: ignore[assignment]
        self._dumps = _Dumps(kernel)  # type: ignore[assignment]
        self._events = None
        self._kernel = kernel

    async def dump_usage(self) -> AsyncIterator[list[tuple[SaName, int]]]:
        """In pieces; what is added meanwhile is not in it, as Linux adds at the front."""
        states = list(self._kernel.all_states())
        for start in range(0, len(states) + 1, DUMPED_AT_ONCE):
            await asyncio.sleep(DUMP_PAUSE)
            yield [
                (SaName(sa.spi, sa.dst, sa.mark.value if sa.mark else 0), state.octets)
                for state in states[start : start + DUMPED_AT_ONCE]
                if (sa := state.sa) and state in self._kernel.of_mark(state.mark)
            ]


def _as_message(state: State) -> FlatMessage:
    """The answer to XFRM_MSG_GETSA."""
    window = (0,) * max(1, -(-state.sa.replay_window // 32))
    sa = replace(state.sa, usage=None, replay=Replay(state.sent, state.highest, window))
    message = read(MessageType.NEWSA, encode_sa(sa))
    message.update(
        curlft_bytes=state.octets, curlft_packets=state.packets, curlft_add_time=int(state.added)
    )
    return message


def _mark_of(policy: Policy) -> int:
    return policy.mark.value if policy.mark else 0


def _same(one: Policy, other: Policy) -> bool:
    """xfrm_policy_insert: what makes two policies the same."""
    return (one.selector, one.direction, one.mark) == (other.selector, other.direction, other.mark)


def _matches(selector: Selector, packet: Packet) -> bool:
    return (
        selector.src in (None, packet.src)
        and selector.dst in (None, packet.dst)
        and selector.protocol in (0, IPPROTO_UDP)
        and selector.sport in (0, packet.sport)
        and selector.dport in (0, packet.dport)
    )


def _drop(table: dict[Any, list[Any]], key: object, item: object) -> None:
    table[key].remove(item)
    if not table[key]:
        del table[key]
