import pytest

from ikev1.core.identity import MAX_SHOWN, matches, show
from ikev1.wire.enums import IdType
from ikev1.wire.payloads import Identification
from ikev1.x509.identity import of_address


def identity(kind: IdType, data: bytes) -> Identification:
    return Identification(kind, 0, 0, data)


V6 = bytes.fromhex("20010db8000000000000000000000007")


@pytest.mark.parametrize(
    ("kind", "data", "shown"),
    [
        (IdType.IPV4_ADDR, bytes([192, 0, 2, 1]), "192.0.2.1"),
        (IdType.IPV4_ADDR, bytes(4), "0.0.0.0"),
        (IdType.IPV6_ADDR, V6, "2001:db8::7"),
        (IdType.IPV4_ADDR_SUBNET, bytes([10, 0, 0, 0, 255, 0, 0, 0]), "10.0.0.0/255.0.0.0"),
        (IdType.IPV4_ADDR_RANGE, bytes([10, 0, 0, 1, 10, 0, 0, 9]), "10.0.0.1-10.0.0.9"),
        (IdType.IPV6_ADDR_RANGE, V6 + V6, "2001:db8::7-2001:db8::7"),
        (IdType.FQDN, b"laptop.example", "@laptop.example"),
        (IdType.USER_FQDN, b"user@example", "user@example"),
        (IdType.KEY_ID, b"group", "keyid:group"),
        (IdType.KEY_ID, b"\xff\0", "KEY_ID:ff00"),
        (IdType.FQDN, b"\x1b[2J", "FQDN:1b5b324a"),
        (IdType.FQDN, "b\u00fcro".encode(), "FQDN:62c3bc726f"),
        (IdType.DER_ASN1_DN, b"\x30\x00", "DER_ASN1_DN:3000"),
        (IdType(200), b"\x01", "ID(200):01"),
        # Not what it pretends to be.
        (IdType.USER_FQDN, b"192.0.2.1", "USER_FQDN:3139322e302e322e31"),
        (IdType.USER_FQDN, b"@laptop", "USER_FQDN:406c6170746f70"),
    ],
)
def test_show(kind: IdType, data: bytes, shown: str) -> None:
    assert show(identity(kind, data)) == shown


def test_what_is_shown_is_short_and_in_one_line() -> None:
    for kind in (IdType.FQDN, IdType.USER_FQDN, IdType.KEY_ID, IdType.DER_ASN1_DN):
        shown = show(identity(kind, b"x@" + b"y" * 2000))
        assert len(shown) == MAX_SHOWN
        assert "\n" not in show(identity(kind, b"a@b\nclient=forged"))


def test_matches() -> None:
    assert matches(identity(IdType.FQDN, b"Laptop.Example"), "@laptop.example")
    assert matches(identity(IdType.IPV4_ADDR, bytes([192, 0, 2, 1])), "192.0.2.1")
    assert matches(identity(IdType.IPV6_ADDR, V6), "2001:DB8::7")
    assert not matches(identity(IdType.USER_FQDN, b"192.0.2.1"), "192.0.2.1")
    assert not matches(identity(IdType.USER_FQDN, b"@laptop"), "@laptop")
    assert not matches(identity(IdType.KEY_ID, b"laptop"), "@laptop")


def test_what_is_cut_for_the_log_is_compared_in_full() -> None:
    name = b"a" * (MAX_SHOWN - 1)
    assert matches(identity(IdType.FQDN, name), "@" + name.decode())
    assert not matches(identity(IdType.FQDN, name + b".evil.example"), "@" + name.decode())


def test_our_own() -> None:
    assert of_address("192.0.2.1") == identity(IdType.IPV4_ADDR, bytes([192, 0, 2, 1]))
    assert of_address("2001:db8::7") == identity(IdType.IPV6_ADDR, V6)
