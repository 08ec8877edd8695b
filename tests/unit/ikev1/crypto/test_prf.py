"""The PRF against RFC 2202 and RFC 4231, hashes against FIPS 180-4 and RFC 1321."""

import pytest

from ikev1.crypto.prf import SUPPORTED_HASHES, digest, digest_size, prf
from ikev1.wire.enums import HashAlgorithm

MD5 = HashAlgorithm.MD5
SHA1 = HashAlgorithm.SHA1
SHA2_256 = HashAlgorithm.SHA2_256
SHA2_384 = HashAlgorithm.SHA2_384
SHA2_512 = HashAlgorithm.SHA2_512

JEFE = (b"Jefe", b"what do ya want for nothing?")
HI_THERE_20 = (b"\x0b" * 20, b"Hi There")
LONG_KEY = (b"\xaa" * 80, b"Test Using Larger Than Block-Size Key - Hash Key First")


@pytest.mark.parametrize(
    ("algorithm", "key", "data", "expected"),
    [
        # RFC 2202 section 2, cases 1, 2 and 6; section 3 likewise.
        (MD5, b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
        (MD5, *JEFE, "750c783e6ab0b503eaa86e310a5db738"),
        (MD5, *LONG_KEY, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
        (SHA1, *HI_THERE_20, "b617318655057264e28bc0b6fb378c8ef146be00"),
        (SHA1, *JEFE, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (SHA1, *LONG_KEY, "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
        # RFC 4231 sections 4.2 and 4.3.
        (
            SHA2_256,
            *HI_THERE_20,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (SHA2_256, *JEFE, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            SHA2_384,
            *HI_THERE_20,
            (
                "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
                "faea9ea9076ede7f4af152e8b2fa9cb6"
            ),
        ),
        (
            SHA2_384,
            *JEFE,
            (
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                "8e2240ca5e69e2c78b3239ecfab21649"
            ),
        ),
        (
            SHA2_512,
            *HI_THERE_20,
            (
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
            ),
        ),
        (
            SHA2_512,
            *JEFE,
            (
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
            ),
        ),
    ],
)
def test_hmac_vectors(algorithm: int, key: bytes, data: bytes, expected: str) -> None:
    assert prf(algorithm, key, data) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (MD5, "900150983cd24fb0d6963f7d28e17f72"),
        (SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (SHA2_256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            SHA2_384,
            (
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                "8086072ba1e7cc2358baeca134c825a7"
            ),
        ),
        (
            SHA2_512,
            (
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            ),
        ),
    ],
)
def test_hash_of_abc(algorithm: int, expected: str) -> None:
    assert digest(algorithm, b"abc") == bytes.fromhex(expected)


@pytest.mark.parametrize("algorithm", sorted(SUPPORTED_HASHES))
def test_digest_size_is_that_of_digest_and_prf(algorithm: int) -> None:
    assert len(digest(algorithm, b"")) == digest_size(algorithm)
    assert len(prf(algorithm, b"", b"")) == digest_size(algorithm)


def test_exactly_these_hashes_are_supported() -> None:
    assert frozenset((MD5, SHA1, SHA2_256, SHA2_384, SHA2_512)) == SUPPORTED_HASHES


@pytest.mark.parametrize("number", [0, 3, 7, 65535])
def test_other_hashes_are_key_errors(number: int) -> None:
    with pytest.raises(KeyError):
        prf(number, b"", b"")
    with pytest.raises(KeyError):
        digest(HashAlgorithm(number), b"")
