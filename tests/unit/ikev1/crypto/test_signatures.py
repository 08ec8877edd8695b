"""Signatures over the bare hash, and the forgeries that other daemons have believed."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from ikev1.crypto import signatures
from ikev1.crypto.signatures import SignatureError
from ikev1.wire.enums import AuthMethod, HashAlgorithm
from interop.certificates import private_key
from interop.initiator import signatures as theirs

SHA256 = HashAlgorithm.SHA2_256
PROOF = hashlib.sha256(b"HASH_I").digest()
RSA = private_key("rsa2048")
assert isinstance(RSA, rsa.RSAPrivateKey)
NUMBERS = RSA.private_numbers()
N, D, E = NUMBERS.public_numbers.n, NUMBERS.d, NUMBERS.public_numbers.e
SIZE = 256
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA1", "SHA2_256", "SHA2_384", "SHA2_512"])
def test_what_we_sign_another_verifies_and_the_other_way_round(kind: str, algorithm: str) -> None:
    key, number = private_key(kind), HashAlgorithm[algorithm]
    proof = hashlib.new(algorithm.replace("SHA2_", "SHA"), b"HASH_R").digest()
    ours = signatures.sign(key, number, proof)
    signatures.verify(key.public_key(), number, proof, ours)
    assert len(ours) == signatures.signature_size(key.public_key())
    signatures.verify(key.public_key(), number, proof, theirs.sign(key, proof))


def test_rsa_is_the_bare_hash_in_a_full_block() -> None:
    """RFC 2409 section 5.1, PKCS #1 v1.5: 00 01 FF... 00 HASH, and no DigestInfo."""
    made = signatures.sign(RSA, SHA256, PROOF)
    block = pow(int.from_bytes(made), E, N).to_bytes(SIZE)
    assert block == b"\0\1" + b"\xff" * (SIZE - 3 - 32) + b"\0" + PROOF


def test_ecdsa_is_r_and_s_in_full_width() -> None:
    """RFC 4754 section 7: leading zeros are kept."""
    key = private_key("p521")
    assert {len(signatures.sign(key, SHA256, PROOF)) for _ in range(20)} == {132}


def test_ecdsa_vector_of_rfc_4754() -> None:
    """Section 8.1: the signature of SHA-256("abc") over P-256."""
    x = 0x2442A5CC0ECD015FA3CA31DC8E2BBC70BF42D60CBCA20085E0822CB04235E970
    y = 0x6FC98BD7E50211A4A27102FA3549DF79EBCB4BF246B80945CDDFE7D509BBFD7D
    r = "CB28E0999B9C7715FD0A80D8E47A77079716CBBF917DD72E97566EA1C066957C"
    s = "86FA3BB4E26CAD5BF90B7F81899256CE7594BB1EA0C89212748BFF3B3D5B0315"
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    digest = hashlib.sha256(b"abc").digest()
    signatures.verify(key, SHA256, digest, bytes.fromhex(r + s))
    with pytest.raises(SignatureError, match="does not verify"):
        signatures.verify(key, SHA256, digest, bytes.fromhex(s + r))


def raw(block: bytes) -> bytes:
    """Whatever block, "signed": only who has the key can, and yet it must be the right block."""
    return pow(int.from_bytes(block), D, N).to_bytes(SIZE)


def padded(data: bytes, ones: int | None = None, kind: bytes = b"\0\1") -> bytes:
    ones = SIZE - 3 - len(data) if ones is None else ones
    block = kind + b"\xff" * ones + b"\0" + data
    return block + bytes(SIZE - len(block))


BAD_BLOCKS = {
    "trailing garbage behind the hash": padded(PROOF + b"garbage"),
    "garbage in place of padding": padded(PROOF, ones=8),
    "seven octets of padding": padded(bytes(SIZE - 10 - 32) + PROOF, ones=7),
    "no padding": b"\0\1\0" + bytes(SIZE - 3 - 32) + PROOF,
    "block type 2": padded(PROOF, kind=b"\0\2"),
    "block type 0": b"\0\0" + bytes(SIZE - 2 - 32) + PROOF,
    "leading octet not zero": b"\1" + padded(PROOF)[1:],
    "padding not all ones": padded(PROOF).replace(b"\xff\0", b"\xfe\0"),
    "with DigestInfo": padded(SHA256_INFO + PROOF),
    "hash truncated": padded(PROOF[:-1]),
    "hash of another algorithm": padded(hashlib.sha1(b"HASH_I").digest()),
    "hash a prefix": padded(PROOF + PROOF),
    "empty": padded(b""),
    "zero": bytes(SIZE),
    "one": bytes(SIZE - 1) + b"\1",
}


@pytest.mark.parametrize("block", BAD_BLOCKS.values(), ids=BAD_BLOCKS)
def test_a_block_that_is_not_exactly_right(block: bytes) -> None:
    """CVE-2018-15836, CVE-2018-16151, CVE-2018-16152."""
    if int.from_bytes(block) >= N:
        pytest.skip("not below the modulus, so nobody can have signed it")
    with pytest.raises(SignatureError, match="does not verify"):
        signatures.verify(RSA.public_key(), SHA256, PROOF, raw(block))


def test_the_right_block_by_the_same_way() -> None:
    signatures.verify(RSA.public_key(), SHA256, PROOF, raw(padded(PROOF)))


@pytest.mark.parametrize(
    "change",
    [
        lambda good: good[:-1],
        lambda good: good[:20],
        lambda good: b"",
        lambda good: good + b"\0",
        lambda good: b"\0" + good,
        lambda good: good * 2,
    ],
    ids=["short", "very short", "none", "longer", "zero before", "twice"],
)
@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p521"])
def test_a_signature_of_another_size(kind: str, change: Callable[[bytes], bytes]) -> None:
    key = private_key(kind)
    good = signatures.sign(key, SHA256, PROOF)
    with pytest.raises(SignatureError, match=f"signature of .* octets, not {len(good)}"):
        signatures.verify(key.public_key(), SHA256, PROOF, change(good))


def test_a_signature_not_below_the_modulus() -> None:
    """CVE-2017-11185."""
    for value in (N, N + 1, 2**2048 - 1):
        with pytest.raises(SignatureError, match="does not verify"):
            signatures.verify(RSA.public_key(), SHA256, PROOF, value.to_bytes(SIZE))


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_ecdsa_of_zeros_and_of_the_order(kind: str) -> None:
    key = private_key(kind)
    size = signatures.signature_size(key.public_key())
    for signature in (bytes(size), b"\xff" * size, bytes(size - 1) + b"\1"):
        with pytest.raises(SignatureError, match="does not verify"):
            signatures.verify(key.public_key(), SHA256, PROOF, signature)


def test_the_forgery_for_exponent_3() -> None:
    """Bleichenbacher 2006: a cube whose first octets look right, with garbage behind them."""
    key = rsa.generate_private_key(public_exponent=3, key_size=2048)
    start = b"\0\1" + b"\xff" * 8 + b"\0" + PROOF
    low = int.from_bytes(start + bytes(SIZE - len(start)))
    root = round_cube_root(low)
    assert (root**3).to_bytes(SIZE).startswith(start)
    with pytest.raises(SignatureError, match="does not verify"):
        signatures.verify(key.public_key(), SHA256, PROOF, root.to_bytes(SIZE))


def round_cube_root(value: int) -> int:
    """The smallest integer whose cube is not below `value`."""
    low, high = 0, 1 << (value.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


def test_the_method_is_that_of_the_key() -> None:
    assert signatures.method_of(RSA.public_key()) == AuthMethod.RSA_SIGNATURE
    assert signatures.method_of(private_key("p256").public_key()) == AuthMethod.ECDSA_256
    assert signatures.method_of(private_key("p384")) == AuthMethod.ECDSA_384
    assert signatures.method_of(private_key("p521")) == AuthMethod.ECDSA_521
    for key in (
        private_key("k256"),
        ed25519.Ed25519PrivateKey.generate(),
        dsa.generate_private_key(1024),
    ):
        with pytest.raises(SignatureError):
            signatures.method_of(key)


def test_keys_that_are_too_weak_or_too_much_work() -> None:
    signatures.check_strength(RSA.public_key())
    for numbers, words in (
        (rsa.RSAPublicNumbers(E, (1 << 1023) + 1), "RSA key of 1024 bits"),
        (rsa.RSAPublicNumbers(E, (1 << 8192) + 1), "RSA key of 8193 bits"),
        (rsa.RSAPublicNumbers((1 << 33) + 1, N), "impossible exponent"),
    ):
        with pytest.raises(SignatureError, match=words):
            signatures.check_strength(numbers.public_key())
