"""Numbers of ISAKMP (RFC 2408), IKE (RFC 2409) and the IPsec DOI (RFC 2407), and of their heirs.

Every enum is open: a number without a name becomes a member printed PREFIX(nn), so that what a peer
sent can be kept, compared, shown in a log and sent again.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Self, cast


class OpenEnum(IntEnum):
    """An IntEnum that has a member for every number that is not negative."""

    _prefix: ClassVar[str]

    def __init_subclass__(cls, prefix: str) -> None:
        cls._prefix = prefix

    @classmethod
    def named(cls) -> Mapping[int, Self]:
        """The members that have a name, by number: several times faster than a call."""
        return cast("Mapping[int, Self]", cls._value2member_map_)

    # Members without a name are made anew each time: a cache would grow with what peers send.
    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or value < 0:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"{cls._prefix}({value:d})"
        member._value_ = value
        return member

    # Enum's own way goes by name, which a number without one has not.
    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[int]]:
        return type(self), (self._value_,)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        if spec.endswith(("d", "x", "X")):
            return int.__format__(self, spec)
        return format(self.name, spec)


class PayloadType(OpenEnum, prefix="PAYLOAD"):
    """RFC 2408 section 3.1, RFC 3947 section 9, and what was used before that was assigned."""

    NONE = 0
    SA = 1
    PROPOSAL = 2
    TRANSFORM = 3
    KE = 4
    ID = 5
    CERT = 6
    CERTREQ = 7
    HASH = 8
    SIG = 9
    NONCE = 10
    N = 11
    D = 12
    VID = 13
    ATTRIBUTES = 14
    # draft-ietf-ipsec-nat-t-ike-04 to -08 took 15 and 16; RFC 3547 (GDOI) got them assigned.
    NAT_D_DRAFT_04 = 15
    NAT_OA_DRAFT_04 = 16
    SAK = 15
    SAT = 16
    NAT_D = 20
    NAT_OA = 21
    # draft-ietf-ipsec-nat-t-ike-00 to -03, from the private range.
    NAT_D_DRAFT = 130
    NAT_OA_DRAFT = 131
    # Cisco's and Microsoft's IKE fragmentation ([MS-IKEE] section 2.2.3).
    FRAGMENT = 132


class ExchangeType(OpenEnum, prefix="EXCHANGE"):
    """RFC 2408 section 3.1, RFC 2409 appendix A, draft-ietf-ipsec-isakmp-mode-cfg."""

    NONE = 0
    BASE = 1
    IDENTITY_PROTECTION = 2
    AUTHENTICATION_ONLY = 3
    AGGRESSIVE = 4
    INFORMATIONAL = 5
    TRANSACTION = 6
    QUICK_MODE = 32
    NEW_GROUP_MODE = 33


class Flag(OpenEnum, prefix="FLAG"):
    """Bits of the header's flags octet (RFC 2408 section 3.1)."""

    ENCRYPTION = 1
    COMMIT = 2
    AUTH_ONLY = 4


class Doi(OpenEnum, prefix="DOI"):
    """Domain of interpretation (RFC 2408 section 2.1, RFC 2407 section 6.1)."""

    ISAKMP = 0
    IPSEC = 1


class Situation(OpenEnum, prefix="SITUATION"):
    """Bits of the IPsec situation (RFC 2407 section 4.2)."""

    IDENTITY_ONLY = 1
    SECRECY = 2
    INTEGRITY = 4


class NotifyType(OpenEnum, prefix="NOTIFY"):
    """RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706 and Cisco's load balancing."""

    INVALID_PAYLOAD_TYPE = 1
    DOI_NOT_SUPPORTED = 2
    SITUATION_NOT_SUPPORTED = 3
    INVALID_COOKIE = 4
    INVALID_MAJOR_VERSION = 5
    INVALID_MINOR_VERSION = 6
    INVALID_EXCHANGE_TYPE = 7
    INVALID_FLAGS = 8
    INVALID_MESSAGE_ID = 9
    INVALID_PROTOCOL_ID = 10
    INVALID_SPI = 11
    INVALID_TRANSFORM_ID = 12
    ATTRIBUTES_NOT_SUPPORTED = 13
    NO_PROPOSAL_CHOSEN = 14
    BAD_PROPOSAL_SYNTAX = 15
    PAYLOAD_MALFORMED = 16
    INVALID_KEY_INFORMATION = 17
    INVALID_ID_INFORMATION = 18
    INVALID_CERT_ENCODING = 19
    INVALID_CERTIFICATE = 20
    CERT_TYPE_UNSUPPORTED = 21
    INVALID_CERT_AUTHORITY = 22
    INVALID_HASH_INFORMATION = 23
    AUTHENTICATION_FAILED = 24
    INVALID_SIGNATURE = 25
    ADDRESS_NOTIFICATION = 26
    NOTIFY_SA_LIFETIME = 27
    CERTIFICATE_UNAVAILABLE = 28
    UNSUPPORTED_EXCHANGE_TYPE = 29
    UNEQUAL_PAYLOAD_LENGTHS = 30
    CONNECTED = 16384
    RESPONDER_LIFETIME = 24576
    REPLAY_STATUS = 24577
    INITIAL_CONTACT = 24578
    R_U_THERE = 36136
    R_U_THERE_ACK = 36137
    LOAD_BALANCE = 40501


class ProtocolId(OpenEnum, prefix="PROTOCOL"):
    """RFC 2407 section 4.4.1."""

    ISAKMP = 1
    AH = 2
    ESP = 3
    IPCOMP = 4


class IsakmpTransform(OpenEnum, prefix="TRANSFORM"):
    """Transform ID of a Phase 1 proposal (RFC 2407 section 4.4.2)."""

    KEY_IKE = 1


class IkeAttribute(OpenEnum, prefix="ATTRIBUTE"):
    """Attribute classes of a Phase 1 transform (RFC 2409 appendix A)."""

    ENCRYPTION_ALGORITHM = 1
    HASH_ALGORITHM = 2
    AUTH_METHOD = 3
    GROUP_DESCRIPTION = 4
    GROUP_TYPE = 5
    GROUP_PRIME = 6
    GROUP_GENERATOR_ONE = 7
    GROUP_GENERATOR_TWO = 8
    GROUP_CURVE_A = 9
    GROUP_CURVE_B = 10
    LIFE_TYPE = 11
    LIFE_DURATION = 12
    PRF = 13
    KEY_LENGTH = 14
    FIELD_SIZE = 15
    GROUP_ORDER = 16


class EncryptionAlgorithm(OpenEnum, prefix="ENCRYPTION"):
    """Phase 1 encryption (RFC 2409 appendix A, RFC 3602, RFC 4312)."""

    DES_CBC = 1
    IDEA_CBC = 2
    BLOWFISH_CBC = 3
    RC5_R16_B64_CBC = 4
    TRIPLE_DES_CBC = 5
    CAST_CBC = 6
    AES_CBC = 7
    CAMELLIA_CBC = 8


class HashAlgorithm(OpenEnum, prefix="HASH"):
    """Phase 1 hash (RFC 2409 appendix A, RFC 4868)."""

    MD5 = 1
    SHA1 = 2
    TIGER = 3
    SHA2_256 = 4
    SHA2_384 = 5
    SHA2_512 = 6


class AuthMethod(OpenEnum, prefix="AUTH_METHOD"):
    """Phase 1 authentication (RFC 2409 appendix A, RFC 4754, draft-beaulieu-ike-xauth)."""

    PRE_SHARED_KEY = 1
    DSS_SIGNATURE = 2
    RSA_SIGNATURE = 3
    RSA_ENCRYPTION = 4
    REVISED_RSA_ENCRYPTION = 5
    ECDSA_SIGNATURE = 8
    ECDSA_256 = 9
    ECDSA_384 = 10
    ECDSA_521 = 11
    HYBRID_INIT_RSA = 64221
    HYBRID_RESP_RSA = 64222
    XAUTH_INIT_PSK = 65001
    XAUTH_RESP_PSK = 65002
    XAUTH_INIT_DSS = 65003
    XAUTH_RESP_DSS = 65004
    XAUTH_INIT_RSA = 65005
    XAUTH_RESP_RSA = 65006


class Group(OpenEnum, prefix="GROUP"):
    """Diffie-Hellman groups (RFC 2409 section 6, RFC 3526, RFC 5903, RFC 5114)."""

    MODP_768 = 1
    MODP_1024 = 2
    EC2N_155 = 3
    EC2N_185 = 4
    MODP_1536 = 5
    MODP_2048 = 14
    MODP_3072 = 15
    MODP_4096 = 16
    MODP_6144 = 17
    MODP_8192 = 18
    ECP_256 = 19
    ECP_384 = 20
    ECP_521 = 21
    MODP_1024_160 = 22
    MODP_2048_224 = 23
    MODP_2048_256 = 24
    ECP_192 = 25
    ECP_224 = 26


class LifeType(OpenEnum, prefix="LIFE_TYPE"):
    """Unit of a lifetime, the same in both phases (RFC 2409 appendix A, RFC 2407 section 4.5)."""

    SECONDS = 1
    KILOBYTES = 2


class IpsecAttribute(OpenEnum, prefix="ATTRIBUTE"):
    """Attribute classes of a Phase 2 transform (RFC 2407 section 4.5, RFC 3168, RFC 4304)."""

    LIFE_TYPE = 1
    LIFE_DURATION = 2
    GROUP_DESCRIPTION = 3
    ENCAPSULATION_MODE = 4
    AUTH_ALGORITHM = 5
    KEY_LENGTH = 6
    KEY_ROUNDS = 7
    COMPRESS_DICTIONARY_SIZE = 8
    COMPRESS_PRIVATE_ALGORITHM = 9
    ECN_TUNNEL = 10
    EXTENDED_SEQUENCE_NUMBER = 11


class AhTransform(OpenEnum, prefix="AH"):
    """AH transform IDs (RFC 2407 section 4.4.3, RFC 4868)."""

    MD5 = 2
    SHA1 = 3
    DES = 4
    SHA2_256 = 5
    SHA2_384 = 6
    SHA2_512 = 7


class EspTransform(OpenEnum, prefix="ESP"):
    """ESP transform IDs (RFC 2407 section 4.4.4, RFC 3602, RFC 3686, RFC 4309, RFC 4106)."""

    DES_IV64 = 1
    DES = 2
    TRIPLE_DES = 3
    RC5 = 4
    IDEA = 5
    CAST = 6
    BLOWFISH = 7
    TRIPLE_IDEA = 8
    DES_IV32 = 9
    RC4 = 10
    NULL = 11
    AES_CBC = 12
    AES_CTR = 13
    AES_CCM_8 = 14
    AES_CCM_12 = 15
    AES_CCM_16 = 16
    AES_GCM_8 = 18
    AES_GCM_12 = 19
    AES_GCM_16 = 20
    SEED_CBC = 21
    CAMELLIA_CBC = 22
    NULL_AUTH_AES_GMAC = 23


class AuthAlgorithm(OpenEnum, prefix="AUTH"):
    """ESP and AH authentication (RFC 2407 section 4.5, RFC 4868, RFC 4543)."""

    HMAC_MD5 = 1
    HMAC_SHA1 = 2
    DES_MAC = 3
    KPDK = 4
    HMAC_SHA2_256 = 5
    HMAC_SHA2_384 = 6
    HMAC_SHA2_512 = 7
    HMAC_RIPEMD = 8
    AES_XCBC_MAC = 9
    AES_128_GMAC = 11
    AES_192_GMAC = 12
    AES_256_GMAC = 13


class EncapsulationMode(OpenEnum, prefix="MODE"):
    """RFC 2407 section 4.5, RFC 3947 section 5.1; the drafts up to -03 used the private range."""

    TUNNEL = 1
    TRANSPORT = 2
    UDP_TUNNEL = 3
    UDP_TRANSPORT = 4
    UDP_TUNNEL_DRAFT = 61443
    UDP_TRANSPORT_DRAFT = 61444


class IdType(OpenEnum, prefix="ID"):
    """RFC 2407 section 4.6.2.1, RFC 3554."""

    IPV4_ADDR = 1
    FQDN = 2
    USER_FQDN = 3
    IPV4_ADDR_SUBNET = 4
    IPV6_ADDR = 5
    IPV6_ADDR_SUBNET = 6
    IPV4_ADDR_RANGE = 7
    IPV6_ADDR_RANGE = 8
    DER_ASN1_DN = 9
    DER_ASN1_GN = 10
    KEY_ID = 11
    LIST = 12


class CertEncoding(OpenEnum, prefix="CERT"):
    """RFC 2408 section 3.9."""

    NONE = 0
    PKCS7_WRAPPED_X509 = 1
    PGP = 2
    DNS_SIGNED_KEY = 3
    X509_SIGNATURE = 4
    X509_KEY_EXCHANGE = 5
    KERBEROS_TOKENS = 6
    CRL = 7
    ARL = 8
    SPKI = 9
    X509_ATTRIBUTE = 10
