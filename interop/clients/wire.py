"""Short names for the values that profiles are made of."""

import hashlib
from itertools import product

from ikev1.wire.enums import AuthAlgorithm, EncryptionAlgorithm, EspTransform, Group, HashAlgorithm
from interop.initiator.checks import Cause
from interop.initiator.profiles import EspOffer, Phase1Offer
from interop.lac.profiles import AvpLine, Drawn
from interop.ppp.profiles import Asks
from l2tp.wire.enums import AvpType, IpcpOption, LcpOption, Protocol
from l2tp.wire.ppp import Option

MD5, SHA1 = HashAlgorithm.MD5, HashAlgorithm.SHA1
SHA256, SHA512 = HashAlgorithm.SHA2_256, HashAlgorithm.SHA2_512
DH1, DH2, DH5, DH14 = Group.MODP_768, Group.MODP_1024, Group.MODP_1536, Group.MODP_2048
ECP256, ECP384 = Group.ECP_256, Group.ECP_384

HMAC_MD5, HMAC_SHA1 = AuthAlgorithm.HMAC_MD5, AuthAlgorithm.HMAC_SHA1
HMAC_SHA256 = AuthAlgorithm.HMAC_SHA2_256

EspCipher = tuple[EspTransform, int | None]
ESP_AES256: EspCipher = (EspTransform.AES_CBC, 256)
ESP_AES128: EspCipher = (EspTransform.AES_CBC, 128)
ESP_3DES: EspCipher = (EspTransform.TRIPLE_DES, None)
ESP_DES: EspCipher = (EspTransform.DES, None)
ESP_NULL: EspCipher = (EspTransform.NULL, None)


def aes(bits: int, hash_: HashAlgorithm, group: Group) -> Phase1Offer:
    """A Phase 1 transform with AES-CBC."""
    return Phase1Offer(EncryptionAlgorithm.AES_CBC, bits, hash_, group)


def triple_des(hash_: HashAlgorithm, group: Group) -> Phase1Offer:
    """A Phase 1 transform with 3DES."""
    return Phase1Offer(EncryptionAlgorithm.TRIPLE_DES_CBC, None, hash_, group)


def des(hash_: HashAlgorithm, group: Group) -> Phase1Offer:
    """A Phase 1 transform with DES."""
    return Phase1Offer(EncryptionAlgorithm.DES_CBC, None, hash_, group)


def esp(ciphers: tuple[EspCipher, ...], hashes: tuple[AuthAlgorithm, ...]) -> tuple[EspOffer, ...]:
    """Each cipher with each hash, as racoon multiplies them."""
    return tuple(EspOffer(*cipher, auth) for cipher, auth in product(ciphers, hashes))


def vendor_id(text: str, more: str = "") -> bytes:
    """The MD5 hash of a text, and octets in hexadecimal after it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).digest() + bytes.fromhex(more)


def windows(version: int) -> bytes:
    """The vendor ID that tells Windows' version."""
    return vendor_id("MS NT5 ISAKMPOAKLEY", version.to_bytes(4).hex())


# L2TP. All of these carry the M bit in every client known, but for firmware and vendor name.
VERSION = AvpLine(AvpType.PROTOCOL_VERSION, 0x0100)
TUNNEL_ID = AvpLine(AvpType.ASSIGNED_TUNNEL_ID, Drawn.TUNNEL_ID)
SESSION_ID = AvpLine(AvpType.ASSIGNED_SESSION_ID, Drawn.SESSION_ID)
SERIAL = AvpLine(AvpType.CALL_SERIAL_NUMBER, Drawn.SERIAL)


def framing(bits: int) -> AvpLine:
    """Framing Capabilities: 1 synchronous, 2 asynchronous."""
    return AvpLine(AvpType.FRAMING_CAPABILITIES, bits)


def framing_type(bits: int) -> AvpLine:
    """Framing Type, of a call."""
    return AvpLine(AvpType.FRAMING_TYPE, bits)


def bearer(bits: int) -> AvpLine:
    """Bearer Capabilities."""
    return AvpLine(AvpType.BEARER_CAPABILITIES, bits)


def bearer_type(bits: int) -> AvpLine:
    """Bearer Type, of a call."""
    return AvpLine(AvpType.BEARER_TYPE, bits)


def host_name(name: str) -> AvpLine:
    """Host Name."""
    return AvpLine(AvpType.HOST_NAME, name)


def vendor_name(name: str) -> AvpLine:
    """Vendor Name."""
    return AvpLine(AvpType.VENDOR_NAME, name, mandatory=False)


def firmware(revision: int) -> AvpLine:
    """Firmware Revision."""
    return AvpLine(AvpType.FIRMWARE_REVISION, revision, mandatory=False)


def window(size: int) -> AvpLine:
    """Receive Window Size."""
    return AvpLine(AvpType.RECEIVE_WINDOW_SIZE, size)


def serial(number: int) -> AvpLine:
    """Call Serial Number that does not change."""
    return AvpLine(AvpType.CALL_SERIAL_NUMBER, number)


def tx_speed(bits: int) -> AvpLine:
    """Tx Connect Speed, in bits per second."""
    return AvpLine(AvpType.TX_CONNECT_SPEED, bits)


def rx_speed(bits: int) -> AvpLine:
    """Rx Connect Speed, in bits per second."""
    return AvpLine(AvpType.RX_CONNECT_SPEED, bits, mandatory=False)


def result(octets: bytes) -> AvpLine:
    """Result Code, as it stands on the wire."""
    return AvpLine(AvpType.RESULT_CODE, octets)


# PPP.
MAGIC = Option(LcpOption.MAGIC, bytes(4))
ACCM = Option(LcpOption.ACCM, bytes(4))
PFC, ACFC = Option(LcpOption.PFC), Option(LcpOption.ACFC)
ADDRESS = Option(IpcpOption.ADDRESS, bytes(4))
DNS1, DNS2 = Option(IpcpOption.PRIMARY_DNS, bytes(4)), Option(IpcpOption.SECONDARY_DNS, bytes(4))
WINS1 = Option(IpcpOption.PRIMARY_WINS, bytes(4))
WINS2 = Option(IpcpOption.SECONDARY_WINS, bytes(4))
VAN_JACOBSON = Option(IpcpOption.COMPRESSION, bytes.fromhex("002d0f01"))
"""RFC 1332 section 4: 16 slots, the slot ID may be compressed."""


IPV6CP = Asks(Protocol.IPV6CP, (Option(1, bytes.fromhex("483c272cc66aebe1")),))
"""RFC 5072 section 4.1: an interface identifier."""


def mppe(bits: int) -> Asks:
    """CCP with the bits of RFC 3078 section 2.1: 0x01000000 stateless, 1 MPPC."""
    return Asks(Protocol.CCP, (Option(18, bits.to_bytes(4)),))


def mru(octets: int) -> Option:
    """Maximum-Receive-Unit."""
    return Option(LcpOption.MRU, octets.to_bytes(2))


# Rules that no initiator can do without.
ALWAYS = frozenset(
    (
        Cause.TIMEOUT,
        Cause.REFUSED,
        Cause.MALFORMED,
        Cause.UNEXPECTED_EXCHANGE,
        Cause.NOT_ENCRYPTED,
        Cause.CIPHERTEXT,
        Cause.FRAGMENT,
        Cause.AGGRESSIVE_MODE,
        Cause.MM2_PROPOSALS,
        Cause.MM2_TRANSFORM,
        Cause.MM4_KEY_EXCHANGE,
        Cause.MM4_NONCE,
        Cause.MM6_HASH,
        Cause.MM6_SIGNATURE,
        Cause.QM2_HASH,
        Cause.QM2_PROPOSALS,
        Cause.QM2_SPI,
        Cause.QM2_NONCE,
        Cause.QM2_KEY_EXCHANGE,
        Cause.INFORMATIONAL_HASH,
    )
)
