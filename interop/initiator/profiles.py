"""What an initiator is told to play. What known clients are like is in `interop.clients`."""

import enum
import hashlib
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from ikev1.wire.enums import (
    AuthAlgorithm,
    EncryptionAlgorithm,
    EspTransform,
    Group,
    HashAlgorithm,
    IdType,
)


@dataclass(frozen=True, slots=True)
class Phase1Offer:
    """One Phase 1 transform. `key_length` in bits, None for a cipher that has one length."""

    encryption: EncryptionAlgorithm
    key_length: int | None
    hash: HashAlgorithm
    group: Group


@dataclass(frozen=True, slots=True)
class EspOffer:
    """One ESP transform. `key_length` in bits; no `auth` for a combined mode."""

    transform: EspTransform
    key_length: int | None
    auth: AuthAlgorithm | None


class AttributeOrder(enum.Enum):
    """The order of the attributes in a transform."""

    RACOON = "life first, hash after authentication"
    CHARON = "life last"


class IdciAddress(enum.Enum):
    """How IDci tells the client's address."""

    NUMBER = "IPv4 address"
    NAME = "FQDN behind a NAT"
    """The client's host name, behind a NAT, instead of its address."""


class L2tpPort(enum.Enum):
    """The client's port in IDci."""

    ANY = "0"
    L2TP = "1701"
    EPHEMERAL = "that of the L2TP socket"


@dataclass(frozen=True, slots=True)
class Retransmission:
    """When to repeat a request: after `base` seconds, each time waiting `factor` times longer."""

    base: float
    tries: int
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Fragmentation:
    """How a client sends large messages, to a server that has announced fragmentation.

    `largest` octets may a message have to go whole, and a fragment with its headers.
    """

    largest: int
    forced: bool = False
    """Whether without the announcement too, beginning with message 1."""
    repeats_only: bool = False
    """Whether the first try goes whole."""
    counts: bool = False
    """Whether each transmission has a fragment ID of its own, instead of 1."""
    no_message_id: bool = False
    """Whether the header has message ID 0, whatever the message's is."""
    as_main_mode: bool = False
    """Whether the header says Main Mode, whatever the message is."""
    keeps_flags: bool = False
    """Whether the header has the message's flags."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The Deletes of a client that hangs up. `copies` is how often each is sent."""

    esp: bool = True
    isakmp: bool = True
    copies: int = 1


@dataclass(frozen=True, slots=True)
class GroupName:
    """A name set for the client, for which it begins Aggressive Mode; IDii, in clear."""

    id_type: IdType
    name: str


APPLE_FRAGMENTS = Fragmentation(1280, no_message_id=True, keeps_flags=True)
"""AI isakmp_frag.h, isakmp_frag.c; the flags are those of set_isakmp_header1."""
RACOON_FRAGMENTS = Fragmentation(552, no_message_id=True, keeps_flags=True)
"""ipsec-tools 0.8 isakmp_frag.h, isakmp_frag.c, which Android's descends from."""
WINDOWS_FRAGMENTS = Fragmentation(576 - 32, repeats_only=True, counts=True)
"""[MS-IKEE] section 3.3.6.1: packets of 576 octets, once a message has had no answer."""
CHARON_FRAGMENTS = Fragmentation(1280 - 32, no_message_id=True, as_main_mode=True)
"""SS charon.fragment_size, message.c."""
LIBRESWAN_FRAGMENTS = Fragmentation(576 - 32, repeats_only=True)
"""libreswan ikev1_send.c: the flag of encryption is cleared."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A client. Lifetimes in seconds and kilobytes; None where the client sends none."""

    name: str
    phase1: tuple[Phase1Offer, ...]
    phase1_lifetime: int
    vendor_ids: tuple[bytes, ...]
    esp: tuple[EspOffer, ...]
    esp_lifetime: int
    attribute_order: AttributeOrder
    retransmission: Retransmission
    l2tp_port: L2tpPort
    nonce_size: int
    initial_contact: bool
    esp_lifetime_kilobytes: int | None = None
    long_durations: bool = False
    """Whether durations that fit 16 bits are sent as 4 octets (TLV) all the same."""
    esp_apart: bool = False
    """Whether each ESP transform stands in a proposal of its own."""
    pfs_group: Group | None = None
    fragmentation: Fragmentation | None = None
    fqdn: str | None = None
    """The name that it shows as its identity, in the place of its address."""
    initial_contact_apart: bool = False
    """Whether INITIAL-CONTACT is an Informational of its own after Phase 1."""
    idci_address: IdciAddress = IdciAddress.NUMBER
    claims: tuple[IPv4Address, IPv4Address] | None = None
    """What it shows in IDii and in IDci in the place of its own address."""
    server_port: int = 1701
    """The server's port in IDcr."""
    goodbye: Goodbye = Goodbye()
    group_name: GroupName | None = None
    """None: it begins Main Mode."""

    @property
    def tells_initial_contact(self) -> bool:
        """Whether a server hears, in one way or another, that nothing of before is left."""
        return self.initial_contact or MS_INITIAL_CONTACT in self.vendor_ids


def _md5(text: str) -> bytes:
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


RFC_3947 = _md5("RFC 3947")
_DRAFT = "draft-ietf-ipsec-nat-t-ike"
APPLE_NAT_T = _md5(_DRAFT)
DRAFT_00 = _md5(f"{_DRAFT}-00")
DRAFT_02 = _md5(f"{_DRAFT}-02")
DRAFT_02_N = _md5(f"{_DRAFT}-02\n")
DRAFT_03 = _md5(f"{_DRAFT}-03")
LATE_DRAFTS = tuple(_md5(f"{_DRAFT}-{number:02}") for number in range(8, 3, -1))
FRAGMENTATION = _md5("FRAGMENTATION")
FRAGMENTATION_WITH_CAPABILITY = FRAGMENTATION + bytes.fromhex("80000000")
MS_INITIAL_CONTACT = _md5("Vid-Initial-Contact")
"""In message 1 of one who has no ISAKMP SA with the server, by the section on fast failover of
[MS-IKEE], "Start of an IKE MM SA Negotiation"."""
MS_NT5_ISAKMPOAKLEY = _md5("MS NT5 ISAKMPOAKLEY")
DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")  # RFC 3706 section 5.1
XAUTH = bytes.fromhex("09002689dfd6b712")  # draft-beaulieu-ike-xauth-02


def only(profile: Profile, phase1: Phase1Offer, esp: EspOffer | None = None) -> Profile:
    """The same client with a single Phase 1 transform, and with a single ESP transform if given."""
    return replace(profile, phase1=(phase1,), esp=profile.esp if esp is None else (esp,))
