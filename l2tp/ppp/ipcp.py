"""IP Control Protocol, RFC 1332, with the name servers of RFC 1877.

The peer's address and name servers are ours to choose: what it asks for is corrected by
Configure-Nak. Header compression and the old IP-Addresses option are rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from l2tp.ppp.fsm import Automaton, Verdict
from l2tp.ppp.fsm_table import State
from l2tp.ppp.settings import PppSettings
from l2tp.wire.enums import Code, IpcpOption, Protocol
from l2tp.wire.ppp import ControlPacket, Option


class Ipcp(Automaton):
    """IPCP of one link that gives ``address`` to the peer."""

    protocol = Protocol.IPCP

    def __init__(
        self,
        settings: PppSettings,
        address: IPv4Address,
        send: Callable[[Protocol, bytes], None],
        changed: Callable[[State, float], None],
    ) -> None:
        super().__init__(send)
        self._local = settings.local_address
        self._changed = changed
        self._own_rejected = False
        self._wanted = {IpcpOption.ADDRESS: address.packed}
        for numbers, servers in (
            ((IpcpOption.PRIMARY_DNS, IpcpOption.SECONDARY_DNS), settings.dns),
            ((IpcpOption.PRIMARY_WINS, IpcpOption.SECONDARY_WINS), settings.wins),
        ):
            for number, server in zip(numbers, servers, strict=False):
                self._wanted[number] = server.packed

    def request_options(self) -> tuple[Option, ...]:
        """Our own address, unless the peer will not hear of it."""
        return () if self._own_rejected else (Option(IpcpOption.ADDRESS, self._local.packed),)

    def judge(self, options: tuple[Option, ...]) -> Verdict:
        """Reject what we do not do, Nak other addresses than ours, else Ack."""
        rejected = tuple(
            option
            for option in options
            if IpcpOption(option.type) not in self._wanted or len(option.value) != 4
        )
        if rejected:
            return Verdict(Code.CONFIGURE_REJECT, rejected)
        naked = [
            Option(option.type, self._wanted[IpcpOption(option.type)])
            for option in options
            if option.value != self._wanted[IpcpOption(option.type)]
        ]
        if all(option.type != IpcpOption.ADDRESS for option in options):
            naked.append(Option(IpcpOption.ADDRESS, self._wanted[IpcpOption.ADDRESS]))
        if naked:
            return Verdict(Code.CONFIGURE_NAK, tuple(naked))
        return Verdict(Code.CONFIGURE_ACK, options)

    def accept_request(self, options: tuple[Option, ...]) -> None:
        """Nothing to take over: the peer accepted what was assigned."""

    def refused(self, code: Code, options: tuple[Option, ...]) -> None:
        """Our address stands; a peer that cannot be told goes without it."""
        if code is Code.CONFIGURE_REJECT:
            self._own_rejected = any(option.type == IpcpOption.ADDRESS for option in options)

    def extra_code(self, packet: ControlPacket, now: float) -> None:
        """IPCP has no codes beyond Code-Reject."""

    def layer_up(self, now: float) -> None:
        """Opened."""
        self._changed(State.OPENED, now)

    def layer_finished(self, now: float) -> None:
        """Nothing more will happen."""
        self._changed(State.CLOSED, now)
