"""What is installed for one client, and for L2TP in general.

The inbound SA stamps its mark on what it decrypts, and the inbound policy demands both the mark and
the SA. A reply that carries the mark meets the outbound policy and SA of the same mark. So clients
are told apart by mark even where a NAT gives them one address and their L2TP ports are equal, and
what came in clear is told from what came through an SA.
"""

from dataclasses import dataclass

from xfrm.constants import IPPROTO_UDP, Action, Direction, UdpEncap
from xfrm.model import (
    Aead,
    Encap,
    Encryption,
    Integrity,
    Lifetime,
    Mark,
    Policy,
    Sa,
    Selector,
    Template,
)
from xfrm.ownership import PRIORITY_BLOCK, PRIORITY_CLIENT

L2TP_PORT = 1701

MAPPING_INTERVAL = 5
"""Seconds between two reports that a NAT has rebound: it takes two round trips to follow it."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The algorithms of one SA: a cipher and a MAC, or a combined mode cipher."""

    encryption: Encryption | None = None
    integrity: Integrity | None = None
    aead: Aead | None = None


@dataclass(frozen=True, slots=True)
class ClientPath:
    """Makes the SAs and policies between this gateway and one client.

    `server` and `client` are addresses as this gateway sees them, so that of the NAT if there is
    one; `client_nat_port` is then the NAT's port for the client's UDP 4500.
    """

    server: str
    client: str
    mark: Mark
    reqid: int
    client_nat_port: int | None = None
    server_nat_port: int = 4500
    form: UdpEncap = UdpEncap.ESPINUDP

    def inbound_sa(self, spi: int, keys: Keys, lifetime: Lifetime, replay_window: int = 32) -> Sa:
        """The SA from the client, under the SPI we gave it."""
        encap = self._encap(self.client_nat_port, self.server_nat_port)
        return Sa(
            spi=spi,
            src=self.client,
            dst=self.server,
            reqid=self.reqid,
            encryption=keys.encryption,
            integrity=keys.integrity,
            aead=keys.aead,
            selector=self._inbound_selector(),
            encap=encap,
            mapping_interval=MAPPING_INTERVAL if encap else 0,
            set_mark=self.mark,
            replay_window=replay_window,
            lifetime=lifetime,
        )

    def outbound_sa(self, spi: int, keys: Keys, lifetime: Lifetime) -> Sa:
        """The SA to the client, under the SPI the client gave it."""
        encap = self._encap(self.server_nat_port, self.client_nat_port)
        return Sa(
            spi=spi,
            src=self.server,
            dst=self.client,
            reqid=self.reqid,
            encryption=keys.encryption,
            integrity=keys.integrity,
            aead=keys.aead,
            selector=self._outbound_selector(),
            encap=encap,
            mark=self.mark,
            lifetime=lifetime,
        )

    def _encap(self, source_port: int | None, destination_port: int | None) -> Encap | None:
        if not source_port or not destination_port:
            return None
        return Encap(source_port, destination_port, self.form)

    def inbound_policy(self) -> Policy:
        """Let L2TP of the client in, if it came through the client's SA."""
        return Policy(
            selector=self._inbound_selector(),
            direction=Direction.IN,
            priority=PRIORITY_CLIENT,
            templates=(Template(self.client, self.server, self.reqid),),
            mark=self.mark,
        )

    def outbound_policy(self) -> Policy:
        """Send marked L2TP to the client through the client's SA."""
        return Policy(
            selector=self._outbound_selector(),
            direction=Direction.OUT,
            priority=PRIORITY_CLIENT,
            templates=(Template(self.server, self.client, self.reqid),),
            mark=self.mark,
        )

    def _inbound_selector(self) -> Selector:
        return Selector(self.client, self.server, protocol=IPPROTO_UDP, dport=L2TP_PORT)

    def _outbound_selector(self) -> Selector:
        return Selector(self.server, self.client, protocol=IPPROTO_UDP, sport=L2TP_PORT)


def block_policies() -> tuple[Policy, Policy]:
    """Drop L2TP in clear, to and from our port, unless a client's policy says otherwise.

    For IPv4; L2TP is not served over IPv6.
    """
    to_us = Selector(protocol=IPPROTO_UDP, dport=L2TP_PORT)
    from_us = Selector(protocol=IPPROTO_UDP, sport=L2TP_PORT)
    return (
        Policy(to_us, Direction.IN, Action.BLOCK, PRIORITY_BLOCK),
        Policy(from_us, Direction.OUT, Action.BLOCK, PRIORITY_BLOCK),
    )
