"""NAT traversal: one table of its variants, and NAT detection (RFC 3947 and its drafts).

| variant | NAT-D | NAT-OA | UDP-transport mode | NAT-D order | IKE moves to 4500 |
| --- | --- | --- | --- | --- | --- |
| RFC 3947 | 20 | 21 | 4 | receiver's end first | message 5 |
| draft -02, -02 with newline, -03 | 130 | 131 | 61444 | receiver's end first | message 5 |
| draft -04 to -08 | 15 | 16 | 4 | receiver's end first | message 5 |
| Apple's, a draft without a number | 15 | 16 | 4 | sender's end first | message 5 |
| draft -00 | 130 | 131 | 61444 | receiver's end first | never |

The numbers of drafts 04 to 08 were never registered for them, they are those of GDOI's payloads
(RFC 3547 section 5): these variants are answered only to a client that names no other. Either of
the encapsulation modes is accepted with every variant.

With draft -00 IKE stays on port 500, and what comes to it is ESP if eight zero octets stand before
it, the non-IKE marker (draft-ietf-ipsec-udp-encaps-00). Linux took that out of its kernel in 6.10;
there this variant is not served. No client is known to name only this one; Android names it beside
RFC 3947.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from ikev1.core import quirks
from ikev1.core.effects import Path
from ikev1.crypto.prf import digest
from ikev1.wire.enums import IdType, PayloadType
from ikev1.wire.payloads import NatD, NatOa

NON_ESP_MARKER = bytes(4)
"""RFC 3948 section 2.2: what stands before an IKE message on port 4500."""
MIN_NAT_D = 2
"""RFC 3947 section 3.2: one payload for each end."""


class Variant(Struct, frozen=True):
    """One published form of NAT traversal."""

    name: str
    vendor_id: bytes
    nat_d: PayloadType
    nat_oa: PayloadType
    sender_first: bool = False
    """Whether the first NAT-D is of the sender's own end."""
    floats: bool = True
    """Whether IKE moves to port 4500; otherwise ESP comes to port 500 too."""


def _md5(text: bytes) -> bytes:
    """A vendor ID is the MD5 of its document's name; nothing rests on its strength."""
    return hashlib.md5(text, usedforsecurity=False).digest()


_DRAFT = "draft-ietf-ipsec-nat-t-ike"


def _early(name: str, document: str) -> Variant:
    return Variant(name, _md5(document.encode()), PayloadType.NAT_D_DRAFT, PayloadType.NAT_OA_DRAFT)


def _late(name: str, document: str, *, sender_first: bool = False) -> Variant:
    return Variant(
        name,
        _md5(document.encode()),
        PayloadType.NAT_D_DRAFT_04,
        PayloadType.NAT_OA_DRAFT_04,
        sender_first,
    )


VARIANTS: tuple[Variant, ...] = (
    Variant("RFC 3947", _md5(b"RFC 3947"), PayloadType.NAT_D, PayloadType.NAT_OA),
    _early("draft-03", f"{_DRAFT}-03"),
    _early("draft-02 with newline", f"{_DRAFT}-02\n"),
    _early("draft-02", f"{_DRAFT}-02"),
    _late("draft-08", f"{_DRAFT}-08"),
    _late("draft-07", f"{_DRAFT}-07"),
    _late("draft-06", f"{_DRAFT}-06"),
    _late("draft-05", f"{_DRAFT}-05"),
    _late("draft-04", f"{_DRAFT}-04"),
    _late("Apple's draft", _DRAFT, sender_first=True),
    replace(_early("draft-00", f"{_DRAFT}-00"), floats=False),
)
"""In the order of preference; the best that the client names too is the one we answer."""


class NatSituation(Struct, frozen=True):
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


@functools.lru_cache(maxsize=quirks.KEPT)
def choose_variant(vendor_ids: tuple[bytes, ...], *, esp_on_ike_port: bool) -> Variant | None:
    """The best variant among the client's vendor IDs, or None.

    `esp_on_ike_port` says whether the kernel knows the non-IKE marker.
    """
    offered = frozenset(vendor_ids)
    return next(
        (
            variant
            for variant in VARIANTS
            if variant.vendor_id in offered and (variant.floats or esp_on_ike_port)
        ),
        None,
    )


@functools.lru_cache(maxsize=4096)
def packed(address: str) -> bytes:
    """The 4 or 16 bytes of an IP address."""
    return ipaddress.ip_address(address).packed


def nat_d_hash(hash_algorithm: int, cookies: bytes, address: str, port: int) -> bytes:
    """HASH(CKY-I | CKY-R | IP | Port), RFC 3947 section 3.2."""
    return digest(hash_algorithm, cookies + packed(address) + port.to_bytes(2, "big"))


def received_nat_d(variant: Variant | None, payloads: Iterable[NatD]) -> tuple[NatD, ...]:
    """Those of the client's NAT-D payloads that are of the variant, that of our end first."""
    if variant is None:
        return ()
    found = tuple(payload for payload in payloads if payload.type == variant.nat_d)
    return found[::-1] if variant.sender_first else found


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


def shown_address(nat: NatSituation, path: Path, public_address: str | None) -> str:
    """The gateway's address as the client is to know it: where NAT is before us, the public one."""
    return public_address if nat.server and public_address else path.local


def shown_path(nat: NatSituation, path: Path, public_address: str | None) -> Path:
    """The two ends as our NAT-D payloads are to tell them.

    With a public address the client is to see no NAT before the gateway: Windows refuses one,
    unless its registry allows it. If there is none before the client either, a wrong port makes it
    see one there, as bare ESP would not get through ours.
    """
    address = shown_address(nat, path, public_address)
    if address == path.local:
        return path
    shown = replace(path, local=address)
    return shown if nat.client else replace(shown, remote_port=0)


def make_nat_d(
    variant: Variant, hash_algorithm: int, cookies: bytes, path: Path
) -> tuple[NatD, ...]:
    """Our NAT-D payloads: the remote end first, then our own, where the variant has it so."""
    made = tuple(
        NatD(data=nat_d_hash(hash_algorithm, cookies, address, port), type=variant.nat_d)
        for address, port in ((path.remote, path.remote_port), (path.local, path.local_port))
    )
    return made[::-1] if variant.sender_first else made


def make_nat_oa(received: tuple[NatOa, ...], path: Path) -> tuple[NatOa, ...]:
    """Our NAT-OA payloads, as many as the client sent: its address and ours as we see them.

    RFC 3947 section 5.2. With one payload (draft forms) it is our own address. That is never our
    public one: the client needs to know which addresses our UDP checksums were made with.
    """
    if not received:
        return ()
    addresses = (path.remote, path.local) if len(received) > 1 else (path.local,)
    return _nat_oa(received[0].type, addresses)


def offered_nat_oa(variant: Variant | None, nat: NatSituation, path: Path) -> tuple[NatOa, ...]:
    """Our NAT-OA payloads as initiator: our address, and the client's as we see it."""
    if variant is None or not nat.detected:
        return ()
    return _nat_oa(variant.nat_oa, (path.local, path.remote))


_IP_TYPES = {4: IdType.IPV4_ADDR, 16: IdType.IPV6_ADDR}


def _nat_oa(number: PayloadType, addresses: tuple[str, ...]) -> tuple[NatOa, ...]:
    octets = [packed(address) for address in addresses]
    return tuple([NatOa(_IP_TYPES[len(address)], address, number) for address in octets])
