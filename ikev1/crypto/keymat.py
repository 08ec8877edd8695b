"""Keys, hashes and IVs of IKEv1, named as in RFC 2409 section 3.2.

`_b` stands for the body of a payload: without its generic header, as it was on the wire. Each
function takes the number of the negotiated hash first; it must be one of `prf.SUPPORTED_HASHES`.
"""

from ikev1.crypto.prf import digest, prf
from ikev1.discreet import Discreet


class Phase1Keys(Discreet, frozen=True):
    """The keys of an ISAKMP SA. SKEYID_e is not kept: `cipher_key` is all that is made of it."""

    skeyid: bytes
    skeyid_d: bytes
    skeyid_a: bytes
    cipher_key: bytes


def skeyid_psk(hash_algorithm: int, psk: bytes, ni_b: bytes, nr_b: bytes) -> bytes:
    """Return SKEYID for preshared keys (RFC 2409 section 5)."""
    return prf(hash_algorithm, psk, ni_b + nr_b)


def skeyid_signature(hash_algorithm: int, ni_b: bytes, nr_b: bytes, g_xy: bytes) -> bytes:
    """Return SKEYID for signatures (RFC 2409 section 5)."""
    return prf(hash_algorithm, ni_b + nr_b, g_xy)


def phase1_keys(
    hash_algorithm: int,
    skeyid: bytes,
    g_xy: bytes,
    *,
    cky_i: bytes,
    cky_r: bytes,
    cipher_key_size: int,
) -> Phase1Keys:
    """Derive SKEYID_d, SKEYID_a and the key of the cipher, in octets (RFC 2409 section 5)."""
    seed = g_xy + cky_i + cky_r
    skeyid_d = prf(hash_algorithm, skeyid, seed + b"\0")
    skeyid_a = prf(hash_algorithm, skeyid, skeyid_d + seed + b"\1")
    skeyid_e = prf(hash_algorithm, skeyid, skeyid_a + seed + b"\2")
    cipher_key = phase1_cipher_key(hash_algorithm, skeyid_e, cipher_key_size)
    return Phase1Keys(skeyid, skeyid_d, skeyid_a, cipher_key)


def phase1_cipher_key(hash_algorithm: int, skeyid_e: bytes, size: int) -> bytes:
    """Cut or stretch SKEYID_e to `size` octets (RFC 2409 appendix B).

    Only a SKEYID_e that is too short is stretched, and then it is no part of the key itself.
    """
    if len(skeyid_e) >= size:
        return skeyid_e[:size]
    block = prf(hash_algorithm, skeyid_e, b"\0")
    key = block
    while len(key) < size:
        block = prf(hash_algorithm, skeyid_e, block)
        key += block
    return key[:size]


def hash_i(
    hash_algorithm: int,
    skeyid: bytes,
    *,
    g_xi: bytes,
    g_xr: bytes,
    cky_i: bytes,
    cky_r: bytes,
    sai_b: bytes,
    idii_b: bytes,
) -> bytes:
    """Return HASH_I, the initiator's proof (RFC 2409 section 5)."""
    return prf(hash_algorithm, skeyid, g_xi + g_xr + cky_i + cky_r + sai_b + idii_b)


def hash_r(
    hash_algorithm: int,
    skeyid: bytes,
    *,
    g_xi: bytes,
    g_xr: bytes,
    cky_i: bytes,
    cky_r: bytes,
    sai_b: bytes,
    idir_b: bytes,
) -> bytes:
    """Return HASH_R, the responder's proof, over the initiator's SA (RFC 2409 section 5)."""
    return prf(hash_algorithm, skeyid, g_xr + g_xi + cky_r + cky_i + sai_b + idir_b)


def phase1_iv(hash_algorithm: int, g_xi: bytes, g_xr: bytes, block_size: int) -> bytes:
    """Return the IV of the first encrypted message of Phase 1 (RFC 2409 appendix B)."""
    return digest(hash_algorithm, g_xi + g_xr)[:block_size]


def phase2_iv(
    hash_algorithm: int, last_phase1_block: bytes, message_id: int, block_size: int
) -> bytes:
    """Return the IV of the first message of a later exchange (RFC 2409 appendix B).

    `last_phase1_block` is the last block of ciphertext of Phase 1, the same for all exchanges.
    """
    seed = last_phase1_block + message_id.to_bytes(4)
    return digest(hash_algorithm, seed)[:block_size]


def hash_1(hash_algorithm: int, skeyid_a: bytes, message_id: int, payloads: bytes) -> bytes:
    """Return HASH(1) of Quick Mode, or the HASH of an Informational (RFC 2409 sections 5.5, 5.7).

    `payloads` is all that follows the HASH payload, with payload headers and without padding.
    """
    return prf(hash_algorithm, skeyid_a, message_id.to_bytes(4) + payloads)


def hash_2(
    hash_algorithm: int, skeyid_a: bytes, message_id: int, ni_b: bytes, payloads: bytes
) -> bytes:
    """Return HASH(2) of Quick Mode (RFC 2409 section 5.5); `payloads` as for `hash_1`."""
    return prf(hash_algorithm, skeyid_a, message_id.to_bytes(4) + ni_b + payloads)


def hash_3(
    hash_algorithm: int, skeyid_a: bytes, message_id: int, ni_b: bytes, nr_b: bytes
) -> bytes:
    """Return HASH(3) of Quick Mode (RFC 2409 section 5.5)."""
    return prf(hash_algorithm, skeyid_a, b"\0" + message_id.to_bytes(4) + ni_b + nr_b)


def keymat(
    hash_algorithm: int,
    skeyid_d: bytes,
    *,
    protocol: int,
    spi: bytes,
    ni_b: bytes,
    nr_b: bytes,
    size: int,
    g_qm_xy: bytes = b"",
) -> bytes:
    """Return `size` octets of KEYMAT for one IPsec SA (RFC 2409 section 5.5).

    `spi` is the one chosen by the receiver of that SA; `g_qm_xy` the shared secret of PFS, empty
    without PFS.
    """
    seed = g_qm_xy + bytes((protocol,)) + spi + ni_b + nr_b
    block = prf(hash_algorithm, skeyid_d, seed)
    material = block
    while len(material) < size:
        block = prf(hash_algorithm, skeyid_d, block + seed)
        material += block
    return material[:size]
