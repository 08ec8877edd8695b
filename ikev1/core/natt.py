"""NAT traversal: one table of its variants, and NAT detection (RFC 3947 and its drafts).

| variant | NAT-D | NAT-OA | UDP-transport mode |
| --- | --- | --- | --- |
| RFC 3947 | 20 | 21 | 4 |
| draft -02, -02 with newline, -03 | 130 | 131 | 61444 |

Drafts 04 to 08 and Apple's number-less one use payload 15, which is not theirs; a client that sends
them sends RFC 3947 or draft 02/03 as well, so they are never chosen.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from ikev1.core.effects import Path
from ikev1.wire.enums import HashAlgorithm, IdType, PayloadType
from ikev1.wire.payloads import NatD, NatOa

NON_ESP_MARKER = bytes(4)
"""RFC 3948 section 2.2: what stands before an IKE message on port 4500."""
MIN_NAT_D = 2
"""RFC 3947 section 3.2: one payload for each end."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One published form of NAT traversal."""

    name: str
    vendor_id: bytes
    nat_d: PayloadType
    nat_oa: PayloadType


def _md5(text: bytes) -> bytes:
    """A vendor ID is the MD5 of its document's name; nothing rests on its strength."""
    return hashlib.md5(text, usedforsecurity=False).digest()


VARIANTS: tuple[Variant, ...] = (
    Variant("RFC 3947", _md5(b"RFC 3947"), PayloadType.NAT_D, PayloadType.NAT_OA),
    Variant(
        "draft-03",
        _md5(b"draft-ietf-ipsec-nat-t-ike-03"),
        PayloadType.NAT_D_DRAFT,
        PayloadType.NAT_OA_DRAFT,
    ),
    Variant(
        "draft-02 with newline",
        _md5(b"draft-ietf-ipsec-nat-t-ike-02\n"),
        PayloadType.NAT_D_DRAFT,
        PayloadType.NAT_OA_DRAFT,
    ),
    Variant(
        "draft-02",
        _md5(b"draft-ietf-ipsec-nat-t-ike-02"),
        PayloadType.NAT_D_DRAFT,
        PayloadType.NAT_OA_DRAFT,
    ),
)
"""In the order of preference; the best that the client names too is the one we answer."""


@dataclass(frozen=True, slots=True)
class NatSituation:
    """Who is behind a NAT, as NAT-D tells (RFC 3947 section 3.2)."""

    client: bool = False
    server: bool = False

    @property
    def detected(self) -> bool:
        """Whether ESP has to go in UDP."""
        return self.client or self.server

    def __str__(self) -> str:
        if self.client and self.server:
            return "both"
        return "client" if self.client else "server" if self.server else "none"


def choose_variant(vendor_ids: Iterable[bytes]) -> Variant | None:
    """The best variant among the client's vendor IDs, or None."""
    offered = frozenset(vendor_ids)
    return next((variant for variant in VARIANTS if variant.vendor_id in offered), None)


@functools.lru_cache(maxsize=4096)
def packed(address: str) -> bytes:
    """The 4 or 16 bytes of an IP address."""
    return ipaddress.ip_address(address).packed


_HASHES: dict[int, str] = {
    HashAlgorithm.MD5: "md5",
    HashAlgorithm.SHA1: "sha1",
    HashAlgorithm.SHA2_256: "sha256",
    HashAlgorithm.SHA2_384: "sha384",
    HashAlgorithm.SHA2_512: "sha512",
}


def nat_d_hash(hash_algorithm: int, cookies: bytes, address: str, port: int) -> bytes:
    """HASH(CKY-I | CKY-R | IP | Port), RFC 3947 section 3.2."""
    data = cookies + packed(address) + port.to_bytes(2, "big")
    return hashlib.new(_HASHES[hash_algorithm], data, usedforsecurity=False).digest()


def detect(
    received: tuple[NatD, ...], hash_algorithm: int, cookies: bytes, path: Path
) -> NatSituation:
    """Compare the client's NAT-D payloads with the addresses that its datagram really carries.

    The first is of our own address as the client sees it, the others of the client's (RFC 3947
    section 3.2). A client that sends fewer than two is taken to have no NAT before it.
    """
    if len(received) < MIN_NAT_D:
        return NatSituation()
    ours = nat_d_hash(hash_algorithm, cookies, path.local, path.local_port)
    theirs = nat_d_hash(hash_algorithm, cookies, path.remote, path.remote_port)
    return NatSituation(
        client=all(payload.data != theirs for payload in received[1:]),
        server=received[0].data != ours,
    )


def make_nat_d(
    variant: Variant, hash_algorithm: int, cookies: bytes, path: Path
) -> tuple[NatD, NatD]:
    """Our NAT-D payloads: the remote end first, then our own."""
    return (
        NatD(
            data=nat_d_hash(hash_algorithm, cookies, path.remote, path.remote_port),
            type=variant.nat_d,
        ),
        NatD(
            data=nat_d_hash(hash_algorithm, cookies, path.local, path.local_port),
            type=variant.nat_d,
        ),
    )


def make_nat_oa(received: tuple[NatOa, ...], path: Path) -> tuple[NatOa, ...]:
    """Our NAT-OA payloads, as many as the client sent: its address and ours as we see them.

    RFC 3947 section 5.2. With one payload (draft forms) it is our own address.
    """
    if not received:
        return ()
    addresses = (path.remote, path.local) if len(received) > 1 else (path.local,)
    return tuple(
        NatOa(
            id_type=IdType.IPV4_ADDR if len(packed(address)) == 4 else IdType.IPV6_ADDR,
            address=packed(address),
            type=received[0].type,
        )
        for address in addresses
    )
