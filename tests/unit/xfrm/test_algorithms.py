import pytest

from xfrm import algorithms
from xfrm.model import Aead, Encryption, Integrity, Sa


def test_kernel_names_and_truncation() -> None:
    assert algorithms.encryption("3des-cbc", bytes(24)) == Encryption("cbc(des3_ede)", bytes(24))
    assert algorithms.integrity("hmac-sha2-256-128", bytes(32)) == Integrity(
        "hmac(sha256)", bytes(32), 128
    )
    assert algorithms.aead("aes-gcm-16", bytes(36)) == Aead("rfc4106(gcm(aes))", bytes(36), 128)


@pytest.mark.parametrize(
    ("name", "octets", "bits"),
    [
        ("hmac-md5-96", 16, 96),
        ("hmac-sha1-96", 20, 96),
        ("hmac-sha2-256-96", 32, 96),
        ("hmac-sha2-256-128", 32, 128),
        ("hmac-sha2-384-192", 48, 192),
        ("hmac-sha2-512-256", 64, 256),
    ],
)
def test_integrity_key_is_as_long_as_the_hash(name: str, octets: int, bits: int) -> None:
    assert algorithms.integrity(name, bytes(octets)).truncation == bits
    with pytest.raises(ValueError, match=f"{name} takes a key of {octets} octets"):
        algorithms.integrity(name, bytes(octets - 1))


@pytest.mark.parametrize("octets", [16, 24, 32])
def test_aes_key_lengths(octets: int) -> None:
    assert algorithms.encryption("aes-cbc", bytes(octets)).name == "cbc(aes)"
    assert algorithms.aead("aes-gcm-16", bytes(octets + 4)).icv == 128


def test_gcm_key_without_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="20 or 28 or 36 octets, not 16"):
        algorithms.aead("aes-gcm-16", bytes(16))


def test_error_does_not_show_the_key() -> None:
    with pytest.raises(ValueError, match="not 6") as refused:
        algorithms.encryption("aes-cbc", b"secret")
    assert "secret" not in str(refused.value)


def test_unknown_name_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match=r"unknown algorithm 'rot13', known are 3des-cbc, aes-cbc"):
        algorithms.encryption("rot13", b"")


def sa(**algorithm: object) -> Sa:
    return Sa(1, "192.0.2.1", "192.0.2.2", 1, **algorithm)  # type: ignore[arg-type]


def test_names_of_an_sa() -> None:
    classic = sa(
        encryption=algorithms.encryption("aes-cbc", bytes(16)),
        integrity=algorithms.integrity("hmac-sha2-256-96", bytes(32)),
    )
    assert algorithms.names(classic) == ("aes-cbc", "hmac-sha2-256-96")
    assert algorithms.names(sa(aead=algorithms.aead("aes-gcm-16", bytes(20)))) == ("aes-gcm-16",)
    foreign = sa(encryption=Encryption("cbc(serpent)", bytes(16)))
    assert algorithms.names(foreign) == ("cbc(serpent)",)
