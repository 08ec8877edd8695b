"""Messages as known clients send them, as values; cookies, keys and hashes are made up."""

from ikev1.wire import vendor_ids
from ikev1.wire.enums import (
    AuthAlgorithm,
    AuthMethod,
    CertEncoding,
    Doi,
    EncapsulationMode,
    EncryptionAlgorithm,
    EspTransform,
    ExchangeType,
    Group,
    HashAlgorithm,
    IdType,
    IkeAttribute,
    IpsecAttribute,
    IsakmpTransform,
    LifeType,
    NotifyType,
    PayloadType,
    ProtocolId,
    Situation,
)
from ikev1.wire.message import build_message, build_payloads
from ikev1.wire.payloads import (
    Certificate,
    CertificateRequest,
    Delete,
    Fragment,
    Hash,
    Identification,
    KeyExchange,
    NatD,
    NatOa,
    Nonce,
    Notification,
    Payload,
    RawPayload,
    Signature,
    VendorId,
)
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform

COOKIES = bytes.fromhex("0123456789abcdef fedcba9876543210")
FIRST_COOKIES = COOKIES[:8] + bytes(8)

# macOS since 10.11, Main Mode: cipher key length (0 for 3DES), hash and group, in this order.
_APPLE_PHASE_1 = [
    (256, HashAlgorithm.SHA2_256, Group.MODP_2048),
    (256, HashAlgorithm.SHA1, Group.MODP_2048),
    (256, HashAlgorithm.MD5, Group.MODP_2048),
    (256, HashAlgorithm.SHA2_512, Group.MODP_2048),
    (256, HashAlgorithm.SHA2_256, Group.MODP_1536),
    (256, HashAlgorithm.SHA1, Group.MODP_1536),
    (256, HashAlgorithm.MD5, Group.MODP_1536),
    (256, HashAlgorithm.SHA2_256, Group.MODP_1024),
    (256, HashAlgorithm.SHA1, Group.MODP_1024),
    (256, HashAlgorithm.MD5, Group.MODP_1024),
    (128, HashAlgorithm.SHA1, Group.MODP_1024),
    (128, HashAlgorithm.MD5, Group.MODP_1024),
    (0, HashAlgorithm.SHA1, Group.MODP_1024),
    (0, HashAlgorithm.MD5, Group.MODP_1024),
]
_APPLE_PHASE_2 = [
    (transform, bits, auth)
    for transform, bits in (
        (EspTransform.AES_CBC, 256),
        (EspTransform.AES_CBC, 128),
        (EspTransform.TRIPLE_DES, 0),
    )
    for auth in (AuthAlgorithm.HMAC_SHA2_256, AuthAlgorithm.HMAC_SHA1, AuthAlgorithm.HMAC_MD5)
]
_APPLE_VENDOR_IDS = [
    "4a131c81070358455c5728f20e95452f",
    "4df37928e9fc4fd1b3262170d515c662",
    "8f8d83826d246b6fc7a8a6a428c11de8",
    "439b59f8ba676c4c7737ae22eab8f582",
    "4d1e0e136deafa34c4f3ea9f02ec7285",
    "80d0bb3def54565ee84645d4c85ce3ee",
    "9909b64eed937c6573de52ace952fa6b",
    "7d9419a65310ca6f2c179d9215529d56",
    "cd60464335df21f87cfdb2fc68b6a448",
    "90cb80913ebb696e086381b5ec427b1f",
    "4048b7d56ebce88525e7de7f00d6c2d380000000",
    "afcad71368a1f1c96b8696fc77570100",
]
_WINDOWS_VENDOR_IDS = [
    "1e2b516905991c7d7c96fcbfb587e46100000009",
    "4a131c81070358455c5728f20e95452f",
    "90cb80913ebb696e086381b5ec427b1f",
    "4048b7d56ebce88525e7de7f00d6c2d3",
    "fb1de3cdf341b7ea16b7e5be0855f120",
    "26244d38eddb61b3172a36e3d0cfb819",
    "e3a5966a76379fe707228231e5ce8652",
]


def _apple_phase_1(number: int, bits: int, digest: HashAlgorithm, group: Group) -> Transform:
    cipher = EncryptionAlgorithm.AES_CBC if bits else EncryptionAlgorithm.TRIPLE_DES_CBC
    attributes = [
        Attribute(IkeAttribute.LIFE_TYPE, LifeType.SECONDS),
        Attribute(IkeAttribute.LIFE_DURATION, 3600),
        Attribute(IkeAttribute.ENCRYPTION_ALGORITHM, cipher),
        *([Attribute(IkeAttribute.KEY_LENGTH, bits)] if bits else []),
        Attribute(IkeAttribute.AUTH_METHOD, AuthMethod.PRE_SHARED_KEY),
        Attribute(IkeAttribute.HASH_ALGORITHM, digest),
        Attribute(IkeAttribute.GROUP_DESCRIPTION, group),
    ]
    return Transform(number, IsakmpTransform.KEY_IKE, tuple(attributes))


def _apple_phase_2(number: int, cipher: EspTransform, bits: int, auth: AuthAlgorithm) -> Transform:
    attributes = [
        Attribute(IpsecAttribute.LIFE_TYPE, LifeType.SECONDS),
        Attribute(IpsecAttribute.LIFE_DURATION, 3600),
        Attribute(IpsecAttribute.ENCAPSULATION_MODE, EncapsulationMode.UDP_TRANSPORT),
        *([Attribute(IpsecAttribute.KEY_LENGTH, bits)] if bits else []),
        Attribute(IpsecAttribute.AUTH_ALGORITHM, auth),
    ]
    return Transform(number, cipher, tuple(attributes))


def _sa(*proposals: Proposal) -> SaPayload:
    return SaPayload(Doi.IPSEC, Situation.IDENTITY_ONLY, proposals)


def _windows_phase_1(
    number: int, cipher: EncryptionAlgorithm, bits: int, group: Group
) -> Transform:
    attributes = [
        Attribute(IkeAttribute.ENCRYPTION_ALGORITHM, cipher),
        *([Attribute(IkeAttribute.KEY_LENGTH, bits)] if bits else []),
        Attribute(IkeAttribute.HASH_ALGORITHM, HashAlgorithm.SHA1),
        Attribute(IkeAttribute.GROUP_DESCRIPTION, group),
        Attribute(IkeAttribute.AUTH_METHOD, AuthMethod.PRE_SHARED_KEY),
        Attribute(IkeAttribute.LIFE_TYPE, LifeType.SECONDS),
        Attribute(IkeAttribute.LIFE_DURATION, (28800).to_bytes(4, "big")),
    ]
    return Transform(number, IsakmpTransform.KEY_IKE, tuple(attributes))


APPLE_MM1: list[Payload] = [
    _sa(
        Proposal(
            1,
            ProtocolId.ISAKMP,
            b"",
            tuple(_apple_phase_1(n, *row) for n, row in enumerate(_APPLE_PHASE_1, 1)),
        )
    ),
    *[VendorId(bytes.fromhex(text)) for text in _APPLE_VENDOR_IDS],
]

_AES, _3DES = EncryptionAlgorithm.AES_CBC, EncryptionAlgorithm.TRIPLE_DES_CBC
WINDOWS_MM1: list[Payload] = [
    _sa(
        Proposal(
            1,
            ProtocolId.ISAKMP,
            b"",
            (
                _windows_phase_1(1, _AES, 256, Group.ECP_384),
                _windows_phase_1(2, _AES, 128, Group.ECP_256),
                _windows_phase_1(3, _AES, 256, Group.MODP_2048),
                _windows_phase_1(4, _3DES, 0, Group.MODP_2048),
                _windows_phase_1(5, _3DES, 0, Group.MODP_1024),
            ),
        )
    ),
    *[VendorId(bytes.fromhex(text)) for text in _WINDOWS_VENDOR_IDS],
]

MM3: list[Payload] = [
    KeyExchange(bytes(range(256))),
    Nonce(bytes(range(16))),
    NatD(bytes(range(32))),
    NatD(bytes(range(32, 64))),
]

MM3_DRAFT: list[Payload] = [
    KeyExchange(bytes(range(128))),
    Nonce(bytes(range(20))),
    NatD(bytes(20), PayloadType.NAT_D_DRAFT),
    NatD(bytes(range(20)), PayloadType.NAT_D_DRAFT_04),
]

MM5: list[Payload] = [
    Identification(IdType.IPV4_ADDR, 17, 500, bytes([10, 0, 0, 7])),
    Hash(bytes(range(20))),
    Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, COOKIES, b""),
]

MM5_RSA: list[Payload] = [
    Identification(IdType.DER_ASN1_DN, 0, 0, bytes.fromhex("300d310b3009060355040613024445")),
    Certificate(CertEncoding.X509_SIGNATURE, bytes(range(200))),
    Signature(bytes(128)),
    CertificateRequest(CertEncoding.X509_SIGNATURE, b""),
]

QM1: list[Payload] = [
    Hash(bytes(range(32))),
    _sa(
        Proposal(
            1,
            ProtocolId.ESP,
            bytes.fromhex("0c0ffee0"),
            tuple(_apple_phase_2(n, *row) for n, row in enumerate(_APPLE_PHASE_2, 1)),
        )
    ),
    Nonce(bytes(range(16))),
    Identification(IdType.IPV4_ADDR, 17, 56322, bytes([10, 0, 0, 7])),
    Identification(IdType.IPV4_ADDR, 17, 1701, bytes([192, 0, 2, 1])),
    NatOa(IdType.IPV4_ADDR, bytes([10, 0, 0, 7])),
    NatOa(IdType.IPV4_ADDR, bytes([192, 0, 2, 1])),
]

INFORMATIONAL: list[Payload] = [
    Hash(bytes(range(20))),
    Delete(Doi.IPSEC, ProtocolId.ESP, (bytes.fromhex("0c0ffee0"), bytes.fromhex("0c0ffee1"))),
    Delete(Doi.IPSEC, ProtocolId.ISAKMP, (COOKIES,)),
    Notification(
        Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.R_U_THERE, COOKIES, (7).to_bytes(4, "big")
    ),
]

FRAGMENT: list[Payload] = [Fragment(1, 2, 1, bytes(range(100)))]

ODD: list[Payload] = [
    SaPayload(Doi.IPSEC, 0xFFFFFFFF, (), b"labels"),
    SaPayload(7, 0, (), b"another DOI"),
    RawPayload(PayloadType(14), bytes(range(8))),
    RawPayload(PayloadType(200), b"?"),
    NatOa(IdType.IPV6_ADDR, bytes(range(16)), PayloadType.NAT_OA_DRAFT, b"\1\2\3"),
    NatOa(IdType.IPV4_ADDR, bytes(4), PayloadType.NAT_OA_DRAFT_04),
    VendorId(vendor_ids.XAUTH),
]

# Every message as (first payload, chain).
CHAINS = [
    build_payloads(payloads)
    for payloads in (
        APPLE_MM1,
        WINDOWS_MM1,
        MM3,
        MM3_DRAFT,
        MM5,
        MM5_RSA,
        QM1,
        INFORMATIONAL,
        FRAGMENT,
        ODD,
    )
]
APPLE_MM1_DATAGRAM = build_message(FIRST_COOKIES, ExchangeType.IDENTITY_PROTECTION, 0, APPLE_MM1)
MM3_DATAGRAM = build_message(COOKIES, ExchangeType.IDENTITY_PROTECTION, 0, MM3)
