"""Distinguished names: compared by structure, matched as ipsec.conf does."""

import pytest
from cryptography.x509 import Name, NameAttribute, ObjectIdentifier, RelativeDistinguishedName
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from ikev1.x509 import names
from ikev1.x509.errors import CertificateError
from ikev1.x509.names import NamePattern

C, O, CN = NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME  # noqa: E741


def name(*parts: tuple[ObjectIdentifier, str]) -> Name:
    return Name([NameAttribute(oid, value) for oid, value in parts])


def multi(*parts: tuple[ObjectIdentifier, str]) -> Name:
    return Name([RelativeDistinguishedName([NameAttribute(oid, text) for oid, text in parts])])


ALICE = name((C, "DE"), (O, "Acme"), (CN, "alice"))


@pytest.mark.parametrize(
    "other",
    [
        name((C, "de"), (O, "ACME"), (CN, "Alice")),
        name((C, "DE"), (O, "  Acme "), (CN, "alice")),
        Name(
            [
                NameAttribute(C, "DE"),
                NameAttribute(O, "Acme", _ASN1Type.PrintableString),
                NameAttribute(CN, "alice", _ASN1Type.BMPString),
            ]
        ),
    ],
    ids=["case", "spaces", "type of string"],
)
def test_equal_names(other: Name) -> None:
    assert names.equal(ALICE, other)


@pytest.mark.parametrize(
    "other",
    [
        name((C, "DE"), (CN, "alice"), (O, "Acme")),
        name((C, "DE"), (O, "Acme")),
        name((C, "DE"), (O, "Acme"), (CN, "alice"), (CN, "alice")),
        name((C, "DE"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "Acme"), (CN, "alice")),
        name((C, "DE"), (O, "Acme, CN=alice")),
        name((C, "DE"), (O, "Ac me"), (CN, "alice")),
        name((C, "DE"), (O, "Acme"), (CN, "al\0ice")),
        name(),
    ],
    ids=["order", "fewer", "more", "type", "text within", "space within", "NUL", "empty"],
)
def test_different_names(other: Name) -> None:
    assert not names.equal(ALICE, other)


def test_the_attributes_of_one_rdn_are_a_set() -> None:
    one = multi((CN, "alice"), (NameOID.USER_ID, "a1"))
    assert names.equal(one, multi((NameOID.USER_ID, "a1"), (CN, "alice")))
    assert not names.equal(one, name((CN, "alice"), (NameOID.USER_ID, "a1")))


def test_the_local_part_of_a_mail_address_has_a_case() -> None:
    mail = NameOID.EMAIL_ADDRESS
    assert names.equal(name((mail, "a@X.org")), name((mail, "a@x.ORG")))
    assert not names.equal(name((mail, "A@x.org")), name((mail, "a@x.org")))


def test_shown_in_its_own_order_and_quoted() -> None:
    assert names.show(ALICE) == "C=DE, O=Acme, CN=alice"
    assert names.show(name((O, "Acme, CN=root"))) == "O=Acme\\, CN\\=root"
    assert names.show(multi((CN, "a"), (NameOID.USER_ID, "b"))) in ("CN=a+UID=b", "UID=b+CN=a")


@pytest.mark.parametrize(
    "pattern",
    [
        "C=DE, O=Acme, CN=alice",
        "C=*, O=Acme, CN=*",
        "/C=DE/O=Acme/CN=*",
        "c=de,o=acme,cn=ALICE",
        'C=DE, O="Acme", CN=alice',
        "2.5.4.6=DE, OID.2.5.4.10=Acme, CN=alice",
    ],
)
def test_patterns_that_match(pattern: str) -> None:
    assert NamePattern.parse(pattern).matches(ALICE)


@pytest.mark.parametrize(
    "pattern",
    [
        "C=*, O=Acme",
        "C=*, O=Acme, CN=*, CN=*",
        "O=Acme, C=*, CN=*",
        "C=*, O=Acme, OU=*",
        "C=*, O=Acm*, CN=*",
        r"C=*, O=Acme, CN=\*",
        "C=*, O=Other, CN=*",
    ],
)
def test_patterns_that_do_not_match(pattern: str) -> None:
    assert not NamePattern.parse(pattern).matches(ALICE)


def test_patterns_with_separators_and_several_attributes() -> None:
    assert NamePattern.parse(r"O=Acme\, Inc\/Ltd").matches(name((O, "Acme, Inc/Ltd")))
    assert NamePattern.parse('O="Acme, Inc"').matches(name((O, "Acme, Inc")))
    both = multi((CN, "alice"), (NameOID.USER_ID, "a1"))
    assert NamePattern.parse("UID=*+CN=alice").matches(both)
    assert not NamePattern.parse("CN=alice").matches(both)
    assert not NamePattern.parse("UID=*+CN=bob").matches(both)
    assert NamePattern.of(both).matches(both)


@pytest.mark.parametrize("text", ["", "CN", "CN=", "XX=y", "CN=a,", 'CN="a', "CN=a\\", "/"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        NamePattern.parse(text)


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x80\0\0", ALICE.public_bytes() + b"\0"])
def test_what_is_no_name(der: bytes) -> None:
    with pytest.raises(CertificateError):
        names.parse(der)


def test_a_string_of_bits_where_none_belongs() -> None:
    """A library's TypeError, which a stranger could send into the event loop."""
    der = ALICE.public_bytes()
    place = der.index(b"Acme") - 2
    with pytest.raises(CertificateError):
        names.parse(der[:place] + b"\x03\x04\0cme" + der[place + 6 :])


def test_every_truncation_of_a_name() -> None:
    """CVE-2013-6075: a shorter name passed for the longer one it begins."""
    der = ALICE.public_bytes()
    for size in range(len(der)):
        with pytest.raises(CertificateError):
            names.parse(der[:size])


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(CertificateError, match="octets"):
        names.parse(name(*[(CN, "x" * 60)] * 40).public_bytes())


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_a_country_that_is_spelt_out() -> None:
    """Against X.520, but authorities do it."""
    odd = Name([NameAttribute(C, "Germany", _validate=False)])
    assert names.show(names.parse(odd.public_bytes())) == "C=Germany"
