"""A child SA in the kernel's forms: two SAs, and the policies that lead packets to them."""

from __future__ import annotations

from functools import lru_cache

from ikev1.core.effects import ChildSa, EspSuite, Path
from xfrm.algorithms import aead, encryption, integrity
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
from xfrm.ownership import PRIORITY_BLOCK, PRIORITY_CLIENT, REQID_BASE, REQID_COUNT
from xfrm.selectors import KEPT

L2TP_PORT = 1701
KERNEL_MARGIN = 120
"""Seconds that the kernel's hard limit is beyond the client's: the engine ends an SA before it."""
BYTES_FACTOR = 2
"""Our byte limit as a multiple of the client's, which must be the one to rekey."""
MAPPING_INTERVAL = 5
"""Seconds between reports of packets from a new address or port, before we have followed."""
REPLAY_WINDOW = 64
"""Packets. Wi-Fi and crowded NATs reorder more than the 32 of RFC 4303's minimum."""


class KernelForms:
    """Makes them, with the client's mark as the configuration has marks."""

    def __init__(self, mark_base: int, mark_mask: int) -> None:
        self._mark_base = mark_base
        self._mark_mask = mark_mask

    def reqid(self, mark: int) -> int:
        """The request identifier of all SAs of a client."""
        step = self._mark_mask & -self._mark_mask
        return REQID_BASE + (mark - self._mark_base) // step % REQID_COUNT

    def inbound_sa(self, child: ChildSa) -> Sa:
        """What comes through it gets the client's mark."""
        path = child.path
        encap = _encap(child, path.remote_port, path.local_port)
        cipher, mac, combined = algorithms(
            child.suite, child.inbound_encryption_key, child.inbound_integrity_key
        )
        return Sa(
            spi=child.inbound_spi,
            src=path.remote,
            dst=path.local,
            reqid=self.reqid(child.mark),
            encryption=cipher,
            integrity=mac,
            aead=combined,
            selector=selector_of(path, Direction.IN),
            encap=encap,
            mapping_interval=MAPPING_INTERVAL if encap else 0,
            set_mark=Mark(child.mark, self._mark_mask),
            replay_window=REPLAY_WINDOW,
            lifetime=_lifetime(child),
        )

    def outbound_sa(self, child: ChildSa) -> Sa:
        """What has the client's mark goes through it."""
        path = child.path
        cipher, mac, combined = algorithms(
            child.suite, child.outbound_encryption_key, child.outbound_integrity_key
        )
        return Sa(
            spi=child.outbound_spi,
            src=path.local,
            dst=path.remote,
            reqid=self.reqid(child.mark),
            encryption=cipher,
            integrity=mac,
            aead=combined,
            selector=selector_of(path, Direction.OUT),
            encap=_encap(child, path.local_port, path.remote_port),
            mark=Mark(child.mark, self._mark_mask),
            replay_window=0,
            lifetime=_lifetime(child),
        )

    def policy(self, child: ChildSa, direction: Direction) -> Policy:
        """The policy of a client for one direction, which all its children share."""
        selector = selector_of(child.path, direction)
        template = Template(src=selector.src, dst=selector.dst, reqid=self.reqid(child.mark))
        return Policy(
            selector=selector,
            direction=direction,
            priority=PRIORITY_CLIENT,
            templates=(template,),
            mark=Mark(child.mark, self._mark_mask),
        )


def selector_of(path: Path, direction: Direction) -> Selector:
    """L2TP alone, whatever the client proposed.

    In the SAs too: a packet that no policy matches is accepted, so without this a client could
    reach any port of the gateway through its SA.
    """
    return _selector(path.local, path.remote, direction)


@lru_cache(KEPT)
def _selector(local: str, remote: str, direction: Direction) -> Selector:
    if direction == Direction.IN:
        return Selector(remote, local, protocol=IPPROTO_UDP, dport=L2TP_PORT)
    return Selector(local, remote, protocol=IPPROTO_UDP, sport=L2TP_PORT)


def algorithms(
    suite: EspSuite, encryption_key: bytes, integrity_key: bytes
) -> tuple[Encryption | None, Integrity | None, Aead | None]:
    """A suite with its keys. Raises ValueError for what the kernel has no name for."""
    if suite.integrity is None:
        return None, None, aead(suite.encryption, encryption_key)
    return (
        encryption(suite.encryption, encryption_key),
        integrity(suite.integrity, integrity_key),
        None,
    )


def blocks() -> tuple[Policy, Policy]:
    """L2TP that no SA protects is neither taken nor sent, firewall or not."""
    return (
        Policy(
            selector=Selector(protocol=IPPROTO_UDP, dport=L2TP_PORT),
            direction=Direction.IN,
            action=Action.BLOCK,
            priority=PRIORITY_BLOCK,
        ),
        Policy(
            selector=Selector(protocol=IPPROTO_UDP, sport=L2TP_PORT),
            direction=Direction.OUT,
            action=Action.BLOCK,
            priority=PRIORITY_BLOCK,
        ),
    )


def _encap(child: ChildSa, source_port: int, destination_port: int) -> Encap | None:
    """How ESP goes in UDP: in the old form where it shares a port with IKE as of old."""
    if not child.encapsulated:
        return None
    form = UdpEncap.ESPINUDP if child.path.encapsulated else UdpEncap.ESPINUDP_NON_IKE
    return Encap(source_port, destination_port, form)


def _lifetime(child: ChildSa) -> Lifetime:
    """When the kernel says that we may rekey an SA, and when it ends one that nobody did."""
    return Lifetime(
        soft_seconds=child.rekey_seconds,
        soft_bytes=child.rekey_kilobytes * 1024 if child.rekey_kilobytes else None,
        hard_seconds=child.lifetime + KERNEL_MARGIN,
        hard_bytes=child.kilobytes * 1024 * BYTES_FACTOR if child.kilobytes else None,
    )
