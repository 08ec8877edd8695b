"""The initiator's cryptography and the daemon's, made apart, come to the same."""

import os

import pytest

from ikev1.crypto import cipher, dh, keymat, prf
from ikev1.wire.enums import (
    AuthAlgorithm,
    EncryptionAlgorithm,
    EspTransform,
    Group,
    HashAlgorithm,
)
from interop.initiator import derivation
from interop.initiator.derivation import CbcChain

HASHES = sorted(prf.SUPPORTED_HASHES)
AES, TRIPLE_DES = EncryptionAlgorithm.AES_CBC, EncryptionAlgorithm.TRIPLE_DES_CBC


@pytest.mark.parametrize("group", [2, 5, 14, 15, 16, 19, 20, 21])
def test_dh(group: int) -> None:
    client = derivation.dh_key(group, os.urandom)

    server = dh.generate_and_agree(group, client.public, os.urandom)

    assert client.agree(server.public) == server.shared


@pytest.mark.parametrize("group", [2, 14, 19])
def test_public_value_of_another_length_is_refused(group: int) -> None:
    client = derivation.dh_key(group, os.urandom)

    with pytest.raises(ValueError, match="octets"):
        client.agree(client.public[1:])


@pytest.mark.parametrize("algorithm", HASHES)
@pytest.mark.parametrize(("encryption", "bits"), [(AES, 128), (AES, 256), (TRIPLE_DES, None)])
def test_phase1_keys(algorithm: int, encryption: int, bits: int | None) -> None:
    size = derivation.phase1_key_size(encryption, bits)
    ours = derivation.derive(
        algorithm, encryption, size, b"psk", b"NiNr", b"shared", b"cookie-icookie-r"
    )

    skeyid = keymat.skeyid_psk(algorithm, b"psk", b"Ni", b"Nr")
    theirs = keymat.phase1_keys(
        algorithm, skeyid, b"shared", cky_i=b"cookie-i", cky_r=b"cookie-r", cipher_key_size=size
    )

    assert (ours.skeyid, ours.skeyid_d, ours.skeyid_a, ours.key) == (
        theirs.skeyid,
        theirs.skeyid_d,
        theirs.skeyid_a,
        theirs.cipher_key,
    )
    seed = b"\x03\x00\x01\x02\x03NiNr"
    assert derivation.keymat(ours, seed, 100) == keymat.keymat(
        algorithm,
        theirs.skeyid_d,
        protocol=3,
        spi=b"\x00\x01\x02\x03",
        ni_b=b"Ni",
        nr_b=b"Nr",
        size=100,
    )


@pytest.mark.parametrize(("encryption", "key_size"), [(AES, 16), (AES, 32), (TRIPLE_DES, 24)])
def test_cbc(encryption: int, key_size: int) -> None:
    key = bytes(range(key_size))
    iv = b"initial vector!!"[: derivation.block_size(encryption)]
    ours = CbcChain(encryption, key, iv)

    first, second = ours.encrypt(b"one message"), ours.encrypt(b"and another, which is longer")

    theirs = cipher.encrypt(encryption, key, iv, b"one message")
    assert theirs.data == first
    assert cipher.encrypt(encryption, key, theirs.next_iv, b"and another, which is longer") == (
        second,
        ours.iv,
    )
    peer = CbcChain(encryption, key, iv)
    assert peer.decrypt(first).startswith(b"one message\0")
    assert peer.decrypt(second).startswith(b"and another, which is longer\0")


@pytest.mark.parametrize("size", [0, 1, 17])
def test_ciphertext_of_no_whole_blocks_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="octets of ciphertext"):
        CbcChain(AES, bytes(16), bytes(16)).decrypt(bytes(size))


@pytest.mark.parametrize(
    ("transform", "key_length", "auth", "size"),
    [
        (EspTransform.AES_CBC, 256, AuthAlgorithm.HMAC_SHA2_256, 64),
        (EspTransform.AES_CBC, 128, AuthAlgorithm.HMAC_SHA1, 36),
        (EspTransform.TRIPLE_DES, None, AuthAlgorithm.HMAC_MD5, 40),
        (EspTransform.AES_GCM_16, 128, None, 20),
        (EspTransform.NULL, None, AuthAlgorithm.HMAC_SHA2_512, 64),
    ],
)
def test_esp_keys_size(transform: int, key_length: int | None, auth: int | None, size: int) -> None:
    assert derivation.esp_keys_size(transform, key_length, auth) == size


def test_supported_numbers_are_the_same() -> None:
    assert frozenset(derivation._HASHES) == prf.SUPPORTED_HASHES
    assert frozenset(derivation._MODP) | frozenset(derivation._CURVES) == (
        dh.SUPPORTED_GROUPS - {Group.MODP_6144}
    )
    assert HashAlgorithm.SHA2_512 in derivation._HASHES
