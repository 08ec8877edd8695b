"""Keys and hashes of RFC 2409: NIST's vectors, and the RFC's formulas spelled out."""

import hashlib

import pytest

from ikev1.crypto import keymat
from ikev1.crypto.prf import SUPPORTED_HASHES, digest_size
from ikev1.wire.enums import HashAlgorithm

SHA1 = HashAlgorithm.SHA1
MD5 = HashAlgorithm.MD5

NI, NR = b"initiator nonce.", b"responder's nonce, longer"
CKY_I, CKY_R = b"cookie-i", b"cookie-r"
G_XI, G_XR, G_XY = b"i" * 128, b"r" * 128, b"s" * 128
SA_B, ID_B = b"\0\0\0\1\0\0\0\1 proposals", b"\1\x11\x01\xf4\xc0\xa8\x01\x02"
MESSAGE_ID = 0xDEADBEEF
MESSAGE_ID_BYTES = b"\xde\xad\xbe\xef"

HASHLIB = {1: "md5", 2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512"}


def mac(algorithm: int, key: bytes, *data: bytes) -> bytes:
    """HMAC from its definition (RFC 2104), so as not to lean on the code under test."""
    name = HASHLIB[algorithm]
    block = hashlib.new(name).block_size
    key = hashlib.new(name, key).digest() if len(key) > block else key
    key = key.ljust(block, b"\0")
    inner = hashlib.new(name, bytes(b ^ 0x36 for b in key) + b"".join(data)).digest()
    return hashlib.new(name, bytes(b ^ 0x5C for b in key) + inner).digest()


def test_skeyid_family_of_nist_cavp_sha1_signature() -> None:
    # NIST CAVP, SP 800-135 test vectors, ikev1_dsa, SHA-1, first of Ni and Nr of 64 bits.
    g_xy = bytes.fromhex(
        "2a2e0bbe8da3657a83f3d35826e49e2d38e557e912a1b9e6c30c63577b3eab71"
        "5466202862027f2c26f3090743555579611771db0b92bef93834432a3a7762fc"
        "8a0f4889fd281d6082770d10a40d7bad61e832f041e620d6787e7f62ab2861dd"
        "fbe272e0d9d3cdec5f1bbf750e24b8b32d6d714968ad69ce5086c32ad2742ebc"
    )
    ni, nr = bytes.fromhex("ced5635da6796075"), bytes.fromhex("6244b427712fb776")

    skeyid = keymat.skeyid_signature(SHA1, ni, nr, g_xy)
    keys = keymat.phase1_keys(
        SHA1,
        skeyid,
        g_xy,
        cky_i=bytes.fromhex("382e5c8b0a3fa307"),
        cky_r=bytes.fromhex("ba4b7616700a2413"),
        cipher_key_size=16,
    )

    assert keys.skeyid.hex() == "dc37ac99de6dcfbd1ee74af7fb36f9b4b0a7829d"
    assert keys.skeyid_d.hex() == "486293ed547adb562cefdaf43d3d8457b196f2b6"
    assert keys.skeyid_a.hex() == "f4053b5ca07e59bb41b8f401037ca90b72b3917e"
    assert keys.cipher_key.hex() == "49a1d53a80fb77e663552964fbbcb45092021473"[:32]


def test_skeyid_family_of_nist_acvp_sha512() -> None:
    # NIST ACVP, kdf-components IKEv1, tcId 4500. Its nonces are not whole octets, so that its
    # SKEYID is where this can start.
    skeyid = bytes.fromhex(
        "DD3A8D4C3799C3B4A3F9B13746F5952BF9FF3576AE0A2B15E79D375ACA47A7CE"
        "DA5C3F04A63F67BA9B47940C7830D60B898355BD634D85E029115E81714B779A"
    )

    keys = keymat.phase1_keys(
        HashAlgorithm.SHA2_512,
        skeyid,
        bytes.fromhex("1B40754A477A43443EC89C5DFFD7502CB1CBE1BB52F8E0B8AF34FF51"),
        cky_i=bytes.fromhex("493747BAA023A654"),
        cky_r=bytes.fromhex("2D6975984A717A19"),
        cipher_key_size=32,
    )

    assert keys.skeyid_d == bytes.fromhex(
        "D5D1C38169E3DF23DD4BA318045220960AC225C45D4F1C2360E8D0C31459B6AD"
        "88E425F7D4B2D12D82D1E40668D9A50E376630DB2EBEE21225E38B0CDD64CEEE"
    )
    assert keys.skeyid_a == bytes.fromhex(
        "070A6F4E62D34A6A20D686761FCD12D006664DFFDF7D2BF7BAFBCD1E5DFD75F6"
        "5A4C7D50D9211D7CFDDBA40140F4FE086FE9BE2849434A61C839FA80B591F65F"
    )
    assert keys.cipher_key == bytes.fromhex(
        "A342159497DF4BFADF4D5DB0D631D56776595A0C976AC07A1A0D4CEF396B9214"
    )


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_HASHES))
def test_skeyid_psk(algorithm: int) -> None:
    assert keymat.skeyid_psk(algorithm, b"a secret", NI, NR) == mac(algorithm, b"a secret", NI, NR)


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_HASHES))
def test_phase1_keys(algorithm: int) -> None:
    skeyid = mac(algorithm, b"a secret", NI, NR)
    skeyid_d = mac(algorithm, skeyid, G_XY, CKY_I, CKY_R, b"\0")
    skeyid_a = mac(algorithm, skeyid, skeyid_d, G_XY, CKY_I, CKY_R, b"\1")
    skeyid_e = mac(algorithm, skeyid, skeyid_a, G_XY, CKY_I, CKY_R, b"\2")

    keys = keymat.phase1_keys(
        algorithm, skeyid, G_XY, cky_i=CKY_I, cky_r=CKY_R, cipher_key_size=len(skeyid_e)
    )

    assert keys == keymat.Phase1Keys(skeyid, skeyid_d, skeyid_a, skeyid_e)


@pytest.mark.parametrize(("algorithm", "size"), [(MD5, 24), (MD5, 32), (SHA1, 24), (SHA1, 32)])
def test_short_skeyid_e_is_stretched(algorithm: int, size: int) -> None:
    skeyid_e = mac(algorithm, b"any", b"thing")
    k1 = mac(algorithm, skeyid_e, b"\0")
    k2 = mac(algorithm, skeyid_e, k1)

    assert keymat.phase1_cipher_key(algorithm, skeyid_e, size) == (k1 + k2)[:size]


def test_skeyid_e_is_stretched_as_far_as_needed() -> None:
    skeyid_e = mac(MD5, b"any", b"thing")
    k1 = mac(MD5, skeyid_e, b"\0")
    k2 = mac(MD5, skeyid_e, k1)
    k3 = mac(MD5, skeyid_e, k2)

    assert keymat.phase1_cipher_key(MD5, skeyid_e, 40) == (k1 + k2 + k3)[:40]


@pytest.mark.parametrize("size", [16, 20])
def test_long_skeyid_e_is_cut(size: int) -> None:
    skeyid_e = bytes(range(20))

    assert keymat.phase1_cipher_key(SHA1, skeyid_e, size) == skeyid_e[:size]


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_HASHES))
def test_hash_i_and_hash_r(algorithm: int) -> None:
    skeyid = b"skeyid"
    values = {"g_xi": G_XI, "g_xr": G_XR, "cky_i": CKY_I, "cky_r": CKY_R, "sai_b": SA_B}

    hash_i = keymat.hash_i(algorithm, skeyid, **values, idii_b=ID_B)
    hash_r = keymat.hash_r(algorithm, skeyid, **values, idir_b=ID_B)

    assert hash_i == mac(algorithm, skeyid, G_XI, G_XR, CKY_I, CKY_R, SA_B, ID_B)
    assert hash_r == mac(algorithm, skeyid, G_XR, G_XI, CKY_R, CKY_I, SA_B, ID_B)


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_HASHES))
@pytest.mark.parametrize("block_size", [8, 16])
def test_ivs(algorithm: int, block_size: int) -> None:
    name = HASHLIB[algorithm]
    block = bytes(range(block_size))

    phase1 = keymat.phase1_iv(algorithm, G_XI, G_XR, block_size)
    phase2 = keymat.phase2_iv(algorithm, block, MESSAGE_ID, block_size)

    assert phase1 == hashlib.new(name, G_XI + G_XR).digest()[:block_size]
    assert phase2 == hashlib.new(name, block + MESSAGE_ID_BYTES).digest()[:block_size]


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_HASHES))
def test_quick_mode_hashes(algorithm: int) -> None:
    skeyid_a = bytes(digest_size(algorithm))
    payloads = b"SA, NONCE, ID, ID"

    hash_1 = keymat.hash_1(algorithm, skeyid_a, MESSAGE_ID, payloads)
    hash_2 = keymat.hash_2(algorithm, skeyid_a, MESSAGE_ID, NI, payloads)
    hash_3 = keymat.hash_3(algorithm, skeyid_a, MESSAGE_ID, NI, NR)

    assert hash_1 == mac(algorithm, skeyid_a, MESSAGE_ID_BYTES, payloads)
    assert hash_2 == mac(algorithm, skeyid_a, MESSAGE_ID_BYTES, NI, payloads)
    assert hash_3 == mac(algorithm, skeyid_a, b"\0", MESSAGE_ID_BYTES, NI, NR)


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_HASHES))
@pytest.mark.parametrize("g_qm_xy", [b"", G_XY])
@pytest.mark.parametrize("size", [1, 16, 36, 64, 96, 200])
def test_keymat(algorithm: int, g_qm_xy: bytes, size: int) -> None:
    skeyid_d = b"skeyid_d"
    seed = g_qm_xy + b"\x03" + b"\x11\x22\x33\x44" + NI + NR
    blocks = [mac(algorithm, skeyid_d, seed)]
    while len(b"".join(blocks)) < size:
        blocks.append(mac(algorithm, skeyid_d, blocks[-1], seed))

    material = keymat.keymat(
        algorithm,
        skeyid_d,
        protocol=3,
        spi=b"\x11\x22\x33\x44",
        ni_b=NI,
        nr_b=NR,
        size=size,
        g_qm_xy=g_qm_xy,
    )

    assert material == b"".join(blocks)[:size]


def test_keys_are_not_in_reprs() -> None:
    keys = keymat.Phase1Keys(b"KEY1", b"KEY2", b"KEY3", b"KEY4")

    assert repr(keys) == "Phase1Keys()"
