"""What known clients send, as data.

The source of each value stands beside it, short:

- AP, AI: Apple's pppd and racoon, github.com/apple-oss-distributions, ppp-1027.121.1 (older tags
  where named) and ipsec-337;
- AR: Android's racoon, CyanogenMod/android_external_ipsec-tools;
- SS: strongSwan 5.9.8 as seen on the wire;
- log: logs of servers in the issues of libreswan (26), hwdsl2/setup-ipsec-vpn (102, 153),
  nm-l2tp (169) and SoftEtherVPN (1253).

What has no source is said to be assumed.
"""

import enum
import hashlib
from dataclasses import dataclass, replace
from itertools import product

from ikev1.wire.enums import AuthAlgorithm, EncryptionAlgorithm, EspTransform, Group, HashAlgorithm


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
    pfs_group: Group | None = None
    fragmentation: Fragmentation | None = None
    fqdn: str | None = None
    """The name that it shows as its identity, in the place of its address."""


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
MS_NT5_ISAKMPOAKLEY = _md5("MS NT5 ISAKMPOAKLEY")
DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")  # RFC 3706 section 5.1
XAUTH = bytes.fromhex("09002689dfd6b712")  # draft-beaulieu-ike-xauth-02

_AES, _3DES = EncryptionAlgorithm.AES_CBC, EncryptionAlgorithm.TRIPLE_DES_CBC
_MD5, _SHA1 = HashAlgorithm.MD5, HashAlgorithm.SHA1
_SHA256, _SHA512 = HashAlgorithm.SHA2_256, HashAlgorithm.SHA2_512
_DH2, _DH5, _DH14 = Group.MODP_1024, Group.MODP_1536, Group.MODP_2048

_ESP_AES256 = (EspTransform.AES_CBC, 256)
_ESP_AES128 = (EspTransform.AES_CBC, 128)
_ESP_3DES = (EspTransform.TRIPLE_DES, None)
_HMAC_MD5, _HMAC_SHA1 = AuthAlgorithm.HMAC_MD5, AuthAlgorithm.HMAC_SHA1
_HMAC_SHA256 = AuthAlgorithm.HMAC_SHA2_256


def _esp(
    ciphers: tuple[tuple[EspTransform, int | None], ...], hashes: tuple[AuthAlgorithm, ...]
) -> tuple[EspOffer, ...]:
    """Each cipher with each hash, as racoon multiplies them (AI, set_satrnsbysainfo)."""
    return tuple(EspOffer(*cipher, auth) for cipher, auth in product(ciphers, hashes))


# AI isakmp_ident.c, config.h: newest first, Apple's number-less draft second.
_APPLE_NAT_T = (RFC_3947, APPLE_NAT_T, *LATE_DRAFTS, DRAFT_03, DRAFT_02, DRAFT_02_N)
_APPLE_VENDOR_IDS = (*_APPLE_NAT_T, FRAGMENTATION_WITH_CAPABILITY, DPD)

_APPLE_DH2 = (
    Phase1Offer(_AES, 256, _SHA1, _DH2),
    Phase1Offer(_AES, 256, _MD5, _DH2),
    Phase1Offer(_AES, 128, _SHA1, _DH2),
    Phase1Offer(_AES, 128, _MD5, _DH2),
    Phase1Offer(_3DES, None, _SHA1, _DH2),
    Phase1Offer(_3DES, None, _MD5, _DH2),
)

IPHONE = Profile(
    name="iphone",
    phase1=(  # AP ipsec_utils.c since ppp-809.40.5
        Phase1Offer(_AES, 256, _SHA256, _DH14),
        Phase1Offer(_AES, 256, _SHA1, _DH14),
        Phase1Offer(_AES, 256, _MD5, _DH14),
        Phase1Offer(_AES, 256, _SHA512, _DH14),
        Phase1Offer(_AES, 256, _SHA256, _DH5),
        Phase1Offer(_AES, 256, _SHA1, _DH5),
        Phase1Offer(_AES, 256, _MD5, _DH5),
        Phase1Offer(_AES, 256, _SHA256, _DH2),
        *_APPLE_DH2,
    ),
    phase1_lifetime=3600,  # AP
    vendor_ids=_APPLE_VENDOR_IDS,  # AI
    esp=_esp(  # AP since ppp-877.40.2
        (_ESP_AES256, _ESP_AES128, _ESP_3DES), (_HMAC_SHA256, _HMAC_SHA1, _HMAC_MD5)
    ),
    esp_lifetime=3600,  # AP
    attribute_order=AttributeOrder.RACOON,  # AI ipsec_doi.c setph1attr, setph2proposal0
    retransmission=Retransmission(base=2.0, tries=5),  # AI localconf.h
    l2tp_port=L2tpPort.EPHEMERAL,  # AP l2tp.c
    nonce_size=16,  # AI DEFAULT_NONCE_SIZE
    initial_contact=True,  # AI isakmp_plist_append_initial_contact: in message 5
    fragmentation=APPLE_FRAGMENTS,
)

IOS_2011 = Profile(
    name="ios-2011",
    phase1=_APPLE_DH2,  # AP ppp-560.12 to ppp-809
    phase1_lifetime=3600,  # AP
    vendor_ids=_APPLE_VENDOR_IDS,  # AI ipsec-146
    esp=_esp(  # AP ppp-560.12
        (_ESP_AES256, _ESP_AES128, _ESP_3DES), (_HMAC_SHA1, _HMAC_MD5)
    ),
    esp_lifetime=3600,  # AP
    attribute_order=AttributeOrder.RACOON,  # AI
    retransmission=Retransmission(base=2.0, tries=5),  # AI
    l2tp_port=L2tpPort.EPHEMERAL,  # AP
    nonce_size=16,  # AI
    initial_contact=True,  # AI
    fragmentation=APPLE_FRAGMENTS,
)

WINDOWS_10 = Profile(
    name="windows-10",
    phase1=(  # log; the two with 3DES from NetworkManager-l2tp's list for Windows
        Phase1Offer(_AES, 256, _SHA1, Group.ECP_384),
        Phase1Offer(_AES, 128, _SHA1, Group.ECP_256),
        Phase1Offer(_AES, 256, _SHA1, _DH14),
        Phase1Offer(_3DES, None, _SHA1, _DH14),
        Phase1Offer(_3DES, None, _SHA1, _DH2),
    ),
    phase1_lifetime=28800,  # log
    vendor_ids=(  # log, order of Windows 7 with the version and the addition of Windows 8
        bytes.fromhex("01528bbbc00696121849ab9a1c5b2a5100000001"),  # its place is assumed
        MS_NT5_ISAKMPOAKLEY + bytes.fromhex("00000009"),
        RFC_3947,
        DRAFT_02_N,
        FRAGMENTATION,  # no capability word
        _md5("MS-Negotiation Discovery Capable"),
        _md5("Vid-Initial-Contact"),
        _md5("IKE CGA version 1"),
    ),
    esp=_esp(  # the part that NetworkManager-l2tp names; more is sent, unknown what
        (_ESP_AES256, _ESP_AES128, _ESP_3DES), (_HMAC_SHA1,)
    ),
    esp_lifetime=3600,  # libreswan's l2tp-psk.conf
    esp_lifetime_kilobytes=250_000,  # assumed
    attribute_order=AttributeOrder.CHARON,  # assumed
    long_durations=True,  # assumed
    retransmission=Retransmission(base=1.0, tries=4, factor=2.0),  # log of a MikroTik
    l2tp_port=L2tpPort.L2TP,  # [MS-L2TPIE] appendix
    nonce_size=48,  # assumed
    initial_contact=False,  # it has a vendor ID for that
    fragmentation=WINDOWS_FRAGMENTS,
)

ANDROID = Profile(
    name="android",
    phase1=tuple(  # AR setup.c since 2013; DES at the end left out
        Phase1Offer(*cipher, hash_, _DH2)
        for cipher, hash_ in product(
            ((_AES, 256), (_AES, 128), (_3DES, None)), (_SHA256, _SHA1, _MD5)
        )
    ),
    phase1_lifetime=28800,  # AR
    vendor_ids=(  # AR, and a log of a strongSwan server
        RFC_3947,
        DRAFT_02,
        DRAFT_02_N,
        DRAFT_00,
        FRAGMENTATION_WITH_CAPABILITY,
        DPD,
    ),
    esp=_esp(  # AR; DES at the end left out
        (_ESP_AES256, _ESP_AES128, _ESP_3DES), (_HMAC_SHA256, _HMAC_SHA1, _HMAC_MD5)
    ),
    esp_lifetime=28800,  # AR
    attribute_order=AttributeOrder.RACOON,  # assumed: a descendant of ipsec-tools 0.8
    retransmission=Retransmission(base=3.0, tries=10),  # AR
    l2tp_port=L2tpPort.ANY,  # AR, spdadd with port 0
    nonce_size=16,  # AR
    initial_contact=True,  # assumed, as upstream
    fragmentation=RACOON_FRAGMENTS,
)

STRONGSWAN = Profile(
    name="strongswan",
    phase1=(  # what NetworkManager-l2tp lets it offer
        Phase1Offer(_AES, 256, _SHA256, _DH14),
        Phase1Offer(_AES, 256, _SHA1, _DH14),
        Phase1Offer(_AES, 256, _SHA1, Group.ECP_384),
        Phase1Offer(_AES, 128, _SHA1, Group.ECP_256),
        Phase1Offer(_AES, 128, _SHA1, _DH2),
        Phase1Offer(_3DES, None, _SHA1, _DH2),
    ),
    phase1_lifetime=10800,  # NetworkManager-l2tp
    vendor_ids=(XAUTH, DPD, FRAGMENTATION_WITH_CAPABILITY, RFC_3947, DRAFT_02_N),  # SS
    esp=_esp((_ESP_AES256, _ESP_AES128, _ESP_3DES), (_HMAC_SHA1,)),  # NetworkManager-l2tp
    esp_lifetime=3600,  # NetworkManager-l2tp
    attribute_order=AttributeOrder.CHARON,  # SS
    retransmission=Retransmission(base=4.0, tries=5, factor=1.8),  # SS retransmit_*
    l2tp_port=L2tpPort.L2TP,  # NetworkManager-l2tp
    nonce_size=32,  # SS
    initial_contact=True,  # SS
    fragmentation=CHARON_FRAGMENTS,
)

PROFILES = {
    profile.name: profile for profile in (IPHONE, IOS_2011, WINDOWS_10, ANDROID, STRONGSWAN)
}


def only(profile: Profile, phase1: Phase1Offer, esp: EspOffer | None = None) -> Profile:
    """The same client with a single Phase 1 transform, and with a single ESP transform if given."""
    return replace(profile, phase1=(phase1,), esp=profile.esp if esp is None else (esp,))
