"""The child SA that a Quick Mode makes, the same for both of its roles (RFC 2409 section 5.5)."""

from __future__ import annotations

from ikev1.core.clients import Child, Client
from ikev1.core.context import Context
from ikev1.core.effects import ChildSa, EspSuite
from ikev1.core.errors import ExchangeError
from ikev1.core.ike_sa import IkeSa
from ikev1.core.proposals import EspChoice
from ikev1.core.rekey_time import rekey_share
from ikev1.core.spi import FIRST_SPI
from ikev1.crypto import keymat
from ikev1.discreet import Discreet
from ikev1.wire.enums import NotifyType, ProtocolId
from ikev1.wire.payloads import Identification

GCM_SALT = 4
"""Octets of KEYMAT after an AES-GCM key, RFC 4106 section 8.1."""
LIFETIME_MARGIN = 60
"""Seconds that a child SA of ours outlives the client's, which is the one to end it."""

_INTEGRITY_KEY = {
    None: 0,
    "hmac-md5-96": 16,
    "hmac-sha1-96": 20,
    "hmac-sha2-256-128": 32,
    "hmac-sha2-384-192": 48,
    "hmac-sha2-512-256": 64,
}
"""Octets of key by integrity algorithm: the size of the digest (RFC 2403, 2404, 4868)."""


class Negotiated(Discreet, frozen=True):
    """What the two sides have said in a Quick Mode; the SPIs and nonces are those of each side."""

    choice: EspChoice
    identities: tuple[Identification, ...]
    """The client's and ours, or none."""
    inbound_spi: int
    outbound_spi: int
    ni_b: bytes
    nr_b: bytes
    shared: bytes
    """g(qm)^xy, empty without PFS."""


def free_spi(context: Context) -> int:
    """A random SPI that no child of ours has; one of somebody else's is refused by the kernel."""
    return context.spis.draw(lambda spi: context.clients.by_inbound_spi(spi) is not None)


def spi_of_peer(choice: EspChoice) -> int:
    """The SPI that the peer has chosen for what we send it."""
    spi = int.from_bytes(choice.proposal.spi, "big")
    if spi < FIRST_SPI:
        raise ExchangeError(f"SPI {spi:#x} is reserved", NotifyType.INVALID_SPI)
    return spi


def make_child(
    sa: IkeSa, context: Context, client: Client, message_id: int, negotiated: Negotiated
) -> Child:
    """The child SA of this Quick Mode, with its keys."""
    choice = negotiated.choice
    inbound = _keys(sa, negotiated, negotiated.inbound_spi)
    outbound = _keys(sa, negotiated, negotiated.outbound_spi)
    ci = negotiated.identities[0] if negotiated.identities else None
    rekey = context.settings.of(client.connection).rekey
    share = rekey_share(context.random) if rekey else 0.0
    child = ChildSa(
        client=client.id,
        mark=client.mark,
        inbound_spi=negotiated.inbound_spi,
        outbound_spi=negotiated.outbound_spi,
        path=sa.path,
        encapsulated=choice.encapsulated,
        suite=choice.suite,
        client_port=ci.port if ci else 0,
        lifetime=choice.lifetime,
        kilobytes=choice.kilobytes,
        rekey_seconds=int(choice.lifetime * share) if share else None,
        rekey_kilobytes=int(choice.kilobytes * share) if share and choice.kilobytes else None,
        pfs_group=choice.group,
        inbound_encryption_key=inbound[0],
        inbound_integrity_key=inbound[1],
        outbound_encryption_key=outbound[0],
        outbound_integrity_key=outbound[1],
    )
    return Child(
        child,
        since=context.now,
        expires=context.now + child.lifetime + LIFETIME_MARGIN,
        quick_mode=(sa.cookies, message_id),
        transform=choice.transform,
        identities=negotiated.identities,
    )


def key_sizes(suite: EspSuite) -> tuple[int, int]:
    """Octets of KEYMAT for the cipher, salt included, and for the integrity algorithm."""
    salt = GCM_SALT if suite.integrity is None else 0
    return suite.encryption_bits // 8 + salt, _INTEGRITY_KEY[suite.integrity]


def _keys(sa: IkeSa, negotiated: Negotiated, spi: int) -> tuple[bytes, bytes]:
    """Encryption and integrity key of the SA with this SPI: in this order from KEYMAT."""
    assert sa.keys is not None
    encryption, integrity = key_sizes(negotiated.choice.suite)
    material = keymat.keymat(
        sa.hash,
        sa.keys.skeyid_d,
        protocol=ProtocolId.ESP,
        spi=spi.to_bytes(4, "big"),
        ni_b=negotiated.ni_b,
        nr_b=negotiated.nr_b,
        size=encryption + integrity,
        g_qm_xy=negotiated.shared,
    )
    return material[:encryption], material[encryption:]
