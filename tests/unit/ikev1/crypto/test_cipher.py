"""CBC against RFC 3602 and NIST's examples; padding and IV chaining of RFC 2409 appendix B."""

import pytest

from ikev1.crypto.cipher import (
    SUPPORTED_CIPHERS,
    CipherError,
    block_size,
    decrypt,
    encrypt,
    key_size,
)
from ikev1.wire.enums import EncryptionAlgorithm

AES = EncryptionAlgorithm.AES_CBC
TRIPLE_DES = EncryptionAlgorithm.TRIPLE_DES_CBC

SP_800_38A_IV = "000102030405060708090a0b0c0d0e0f"
SP_800_38A_PLAINTEXT = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)

VECTORS = {
    "RFC 3602 section 4 case 1": (
        AES,
        "06a9214036b8a15b512e03d534120006",
        "3dafba429d9eb430b422da802c9fac41",
        b"Single block msg".hex(),
        "e353779c1079aeb82708942dbe77181a",
    ),
    "RFC 3602 section 4 case 2": (
        AES,
        "c286696d887c9aa0611bbb3e2025a45a",
        "562e17996d093d28ddb3ba695a2e6f58",
        bytes(range(32)).hex(),
        "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
    ),
    "RFC 3602 section 4 case 3": (
        AES,
        "6c3ea0477630ce21a2ce334aa746c2cd",
        "c782dc4c098c66cbd9cd27d825682c81",
        b"This is a 48-byte message (exactly 3 AES blocks)".hex(),
        (
            "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5"
            "021c19216bad525c8579695d83ba2684"
        ),
    ),
    "SP 800-38A F.2.3 AES-192": (
        AES,
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        SP_800_38A_IV,
        SP_800_38A_PLAINTEXT,
        (
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
            "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"
        ),
    ),
    "SP 800-38A F.2.5 AES-256": (
        AES,
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        SP_800_38A_IV,
        SP_800_38A_PLAINTEXT,
        (
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
            "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
        ),
    ),
    "NIST cryptographic standards examples, TDES CBC": (
        TRIPLE_DES,
        "0123456789abcdef23456789abcdef01456789abcdef0123",
        "f69f2445df4f9b17",
        SP_800_38A_PLAINTEXT[:64],
        "2079c3d53aa763e193b79e2569ab5262516570481f25b50f73c0bda85c8e0da7",
    ),
}


@pytest.mark.parametrize(
    ("algorithm", "key", "iv", "plaintext", "ciphertext"),
    [pytest.param(*vector, id=name) for name, vector in VECTORS.items()],
)
def test_vectors(algorithm: int, key: str, iv: str, plaintext: str, ciphertext: str) -> None:
    key_, iv_, clear, encrypted = map(bytes.fromhex, (key, iv, plaintext, ciphertext))

    assert encrypt(algorithm, key_, iv_, clear).data == encrypted
    assert decrypt(algorithm, key_, iv_, encrypted).data == clear


CASES = [(AES, 16), (AES, 24), (AES, 32), (TRIPLE_DES, 24)]


@pytest.mark.parametrize(("algorithm", "size"), CASES)
def test_messages_in_a_row_are_one_cbc_run(algorithm: int, size: int) -> None:
    key, iv = bytes(range(1, size + 1)), bytes(block_size(algorithm))
    first, second = b"a" * 48, b"b" * 80

    one = encrypt(algorithm, key, iv, first)
    two = encrypt(algorithm, key, one.next_iv, second)

    assert one.data + two.data == encrypt(algorithm, key, iv, first + second).data
    assert decrypt(algorithm, key, iv, one.data).next_iv == one.next_iv
    assert decrypt(algorithm, key, one.next_iv, two.data) == (second, two.next_iv)


@pytest.mark.parametrize(("algorithm", "size"), CASES)
@pytest.mark.parametrize("length", [1, 7, 8, 15, 16, 17, 63, 64])
def test_padding_is_the_fewest_zero_octets(algorithm: int, size: int, length: int) -> None:
    key, iv, plaintext = bytes(range(size)), bytes(block_size(algorithm)), b"x" * length

    ciphertext = encrypt(algorithm, key, iv, plaintext).data

    padded = decrypt(algorithm, key, iv, ciphertext).data
    assert padded == plaintext + bytes(-length % block_size(algorithm))


@pytest.mark.parametrize(("algorithm", "size"), CASES)
def test_ciphertext_that_no_sender_made_is_refused(algorithm: int, size: int) -> None:
    block = block_size(algorithm)

    for length in (0, 1, block - 1, block + 1, 10 * block + 3):
        with pytest.raises(CipherError):
            decrypt(algorithm, bytes(size), bytes(block), bytes(length))


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_CIPHERS))
def test_key_and_iv_of_a_wrong_size_are_value_errors(algorithm: int) -> None:
    key, iv, block = bytes(range(24)), bytes(block_size(algorithm)), bytes(block_size(algorithm))

    for run in (encrypt, decrypt):
        with pytest.raises(ValueError, match="key"):
            run(algorithm, key[:-1], iv, block)
        with pytest.raises(ValueError, match="IV"):
            run(algorithm, key, iv[:-1], block)


def test_key_sizes_follow_the_key_length_attribute() -> None:
    assert [key_size(AES, bits) for bits in (128, 192, 256)] == [16, 24, 32]
    assert key_size(TRIPLE_DES, None) == 24


@pytest.mark.parametrize(
    ("algorithm", "bits"),
    [(AES, None), (AES, 0), (AES, 120), (AES, 129), (AES, 512), (TRIPLE_DES, 192)],
)
def test_key_length_that_the_cipher_lacks_is_refused(algorithm: int, bits: int | None) -> None:
    with pytest.raises(ValueError, match="has no keys of"):
        key_size(algorithm, bits)


def test_other_ciphers_are_key_errors() -> None:
    with pytest.raises(KeyError):
        block_size(EncryptionAlgorithm.DES_CBC)
