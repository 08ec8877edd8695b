"""ESP in transport mode in user space (RFC 4303), for clients that have no kernel of their own."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from ikev1.wire.enums import AuthAlgorithm, EspTransform

HEADER = 8
"""SPI and sequence number."""
_DIGESTS = {
    AuthAlgorithm.HMAC_MD5: ("md5", 16, 12),
    AuthAlgorithm.HMAC_SHA1: ("sha1", 20, 12),
    AuthAlgorithm.HMAC_SHA2_256: ("sha256", 32, 16),
    AuthAlgorithm.HMAC_SHA2_384: ("sha384", 48, 24),
    AuthAlgorithm.HMAC_SHA2_512: ("sha512", 64, 32),
}
"""Name, octets of key, octets of the ICV (RFC 2403, 2404, 4868)."""


AUTH_KEYS = {auth: size for auth, (_, size, _) in _DIGESTS.items()}
"""Octets of key."""


@dataclass(slots=True)
class EspSa:
    """One direction: an SPI, its algorithms and its KEYMAT, the cipher's key before the other."""

    spi: bytes
    transform: EspTransform
    auth: AuthAlgorithm
    keymat: bytes = field(repr=False)
    random: Callable[[int], bytes] = field(repr=False)
    sequence: int = 0

    def seal(self, payload: bytes, next_header: int) -> bytes:
        """Protect a payload."""
        self.sequence += 1
        key, _ = self._keys()
        size = self._block()
        padding = -(len(payload) + 2) % size
        trailer = bytes(range(1, padding + 1)) + bytes((padding, next_header))
        iv = self.random(size)
        encryptor = Cipher(self._cipher(key), modes.CBC(iv)).encryptor()
        packet = self.spi + self.sequence.to_bytes(4) + iv + encryptor.update(payload + trailer)
        return packet + self._icv(packet)

    def open(self, packet: bytes) -> tuple[bytes, int] | None:
        """Payload and next header of a packet; None if it is not for this SA, or not genuine."""
        size = self._block()
        icv = _DIGESTS[self.auth][2]
        body = packet[:-icv]
        if packet[:4] != self.spi or len(body) < HEADER + 2 * size or (len(body) - HEADER) % size:
            return None
        if not hmac.compare_digest(self._icv(body), packet[-icv:]):
            return None
        key, _ = self._keys()
        iv = body[HEADER : HEADER + size]
        decryptor = Cipher(self._cipher(key), modes.CBC(iv)).decryptor()
        plain = decryptor.update(body[HEADER + size :])
        padding, next_header = plain[-2:]
        return plain[: -2 - padding], next_header

    def _keys(self) -> tuple[bytes, bytes]:
        auth = _DIGESTS[self.auth][1]
        return self.keymat[:-auth], self.keymat[-auth:]

    def _block(self) -> int:
        return 8 if self.transform == EspTransform.TRIPLE_DES else 16

    def _cipher(self, key: bytes) -> TripleDES | AES:
        return TripleDES(key) if self.transform == EspTransform.TRIPLE_DES else AES(key)

    def _icv(self, covered: bytes) -> bytes:
        name, _, size = _DIGESTS[self.auth]
        return hmac.digest(self._keys()[1], covered, name)[:size]
