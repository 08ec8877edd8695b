"""Exchanges of `interop.initiator` with strongSwan's charon, recorded once, keys included.

The file says what was run. The client's random octets come from `SeededRandom`, so that the same
client says the same again and charon's recorded answers fit it; the ESP keys are those that charon
gave to the kernel, read with `ip xfrm state`.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from ikev1.wire.enums import AuthAlgorithm, EncryptionAlgorithm, EspTransform, Group, HashAlgorithm
from interop.initiator.profiles import (
    DPD,
    DRAFT_02_N,
    RFC_3947,
    AttributeOrder,
    EspOffer,
    L2tpPort,
    Phase1Offer,
    Profile,
    Retransmission,
)
from interop.initiator.session import ClientPath

FILE = Path(__file__).parent.parent / "vectors" / "charon_5_9_8.json"
PSK = b"swordfish"
SERVER = ip_address("10.9.0.1")
CLIENT = ip_address("10.9.0.2")
INNER = ip_address("10.77.0.9")

_AES, _3DES = EncryptionAlgorithm.AES_CBC, EncryptionAlgorithm.TRIPLE_DES_CBC


class SeededRandom:
    """Octets that depend on the seed and on how often it was asked."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._calls = 0

    def __call__(self, size: int) -> bytes:
        self._calls += 1
        return hashlib.shake_128(f"{self._seed} {self._calls}".encode()).digest(size)


# Kept apart from the profiles of clients: a change to those must not make the recordings useless.
_BASE = Profile(
    name="recorded",
    phase1=(),
    phase1_lifetime=3600,
    vendor_ids=(RFC_3947, DPD),
    esp=(),
    esp_lifetime=3600,
    attribute_order=AttributeOrder.CHARON,
    retransmission=Retransmission(base=2.0, tries=3),
    l2tp_port=L2tpPort.L2TP,
    nonce_size=16,
    initial_contact=True,
)


def _profile(phase1: Phase1Offer, esp: EspOffer) -> Profile:
    return replace(_BASE, phase1=(phase1,), esp=(esp,))


PROFILES = {
    "aes256-sha256-modp2048": _profile(
        Phase1Offer(_AES, 256, HashAlgorithm.SHA2_256, Group.MODP_2048),
        EspOffer(EspTransform.AES_CBC, 256, AuthAlgorithm.HMAC_SHA2_256),
    ),
    "3des-sha1-modp1024-nat": _profile(
        Phase1Offer(_3DES, None, HashAlgorithm.SHA1, Group.MODP_1024),
        EspOffer(EspTransform.TRIPLE_DES, None, AuthAlgorithm.HMAC_SHA1),
    ),
    "aes256-md5-modp1536-nat-draft-02": replace(
        _profile(
            Phase1Offer(_AES, 256, HashAlgorithm.MD5, Group.MODP_1536),
            EspOffer(EspTransform.AES_CBC, 256, AuthAlgorithm.HMAC_SHA1),
        ),
        vendor_ids=(DRAFT_02_N, DPD),
        l2tp_port=L2tpPort.ANY,
    ),
    "aes256-sha512-modp2048-pfs-modp1024": replace(
        _profile(
            Phase1Offer(_AES, 256, HashAlgorithm.SHA2_512, Group.MODP_2048),
            EspOffer(EspTransform.AES_CBC, 128, AuthAlgorithm.HMAC_SHA1),
        ),
        pfs_group=Group.MODP_1024,
    ),
    "aes256-sha384-modp4096-gcm": _profile(
        Phase1Offer(_AES, 256, HashAlgorithm.SHA2_384, Group.MODP_4096),
        EspOffer(EspTransform.AES_GCM_16, 256, None),
    ),
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One Main Mode and one Quick Mode. Messages as on the wire, non-ESP marker included."""

    name: str
    profile: Profile
    path: ClientPath
    phase1_exponent: int
    pfs_exponent: int
    sent: tuple[bytes, ...]
    answers: tuple[bytes, ...]
    floated: tuple[bool, ...]
    """Of each answer, whether it came from port 4500."""
    esp_keys: dict[bytes, bytes]
    """By SPI, encryption key, salt and authentication key joined."""


def path_of(name: str, port: int) -> ClientPath:
    """The client's view of its path in a recording."""
    if "-nat" in name:
        return ClientPath(INNER, SERVER)
    return ClientPath(CLIENT, SERVER, inner_port=port)


def load() -> tuple[Recording, ...]:
    """Read all recordings."""
    return tuple(
        Recording(
            name=entry["name"],
            profile=PROFILES[entry["name"]],
            path=path_of(entry["name"], entry["port"]),
            phase1_exponent=int(entry["phase1_exponent"], 16),
            pfs_exponent=int(entry["pfs_exponent"], 16),
            sent=tuple(map(bytes.fromhex, entry["sent"])),
            answers=tuple(map(bytes.fromhex, entry["answers"])),
            floated=tuple(entry["floated"]),
            esp_keys={
                bytes.fromhex(spi): bytes.fromhex(keys) for spi, keys in entry["esp_keys"].items()
            },
        )
        for entry in json.loads(FILE.read_text())["recordings"]
    )
