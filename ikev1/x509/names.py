"""Distinguished names: read, shown, compared, and matched to patterns with wildcards.

Names are compared as RFC 5280 section 7.1 has it: RDN by RDN in their order, the attributes of one
RDN as a set, texts without regard to case, to the width of spaces, and to the type of string.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.x509 import Name, ObjectIdentifier
from cryptography.x509.oid import NameOID

from ikev1.x509.errors import UNREADABLE, CertificateError

MAX_NAME = 2048
"""Octets of a distinguished name in DER."""

_OIDS: dict[str, ObjectIdentifier] = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "E": NameOID.EMAIL_ADDRESS,
    "EMAIL": NameOID.EMAIL_ADDRESS,
    "EMAILADDRESS": NameOID.EMAIL_ADDRESS,
    "DC": NameOID.DOMAIN_COMPONENT,
    "UID": NameOID.USER_ID,
    "SN": NameOID.SURNAME,
    "SURNAME": NameOID.SURNAME,
    "G": NameOID.GIVEN_NAME,
    "GN": NameOID.GIVEN_NAME,
    "I": NameOID.INITIALS,
    "T": NameOID.TITLE,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "UNSTRUCTUREDNAME": NameOID.UNSTRUCTURED_NAME,
}
_LABELS = {oid: label for label, oid in reversed(_OIDS.items())}
_DOTTED = re.compile(r"(?:OID\.)?(\d+(?:\.\d+)+)", re.IGNORECASE)

Value = str | bytes
Rdn = tuple[tuple[str, Value], ...]
"""The attributes of one RDN, by dotted OID, each value as it is compared."""


def parse(der: bytes) -> Name:
    """Read a distinguished name; raises CertificateError."""
    if len(der) > MAX_NAME:
        raise CertificateError(f"distinguished name of {len(der)} octets")
    try:
        return Name.from_bytes(der)
    except UNREADABLE:
        raise CertificateError("the distinguished name is not DER") from None


def show(name: Name) -> str:
    """The name for people, in its own order: "C=DE, O=Acme, CN=alice"."""
    return ", ".join(
        "+".join(f"{_label(part.oid)}={_quote(part.value)}" for part in rdn) for rdn in name.rdns
    )


def _label(oid: ObjectIdentifier) -> str:
    return _LABELS.get(oid, oid.dotted_string)


def _quote(value: Value) -> str:
    text = value if isinstance(value, str) else f"#{value.hex()}"
    return re.sub(r'([,+="\\/])', r"\\\1", text)


def equal(one: Name, other: Name) -> bool:
    """Whether two names are the same."""
    return canonical(one) == canonical(other)


def canonical(name: Name) -> tuple[Rdn, ...]:
    """A name as it is compared: equal for equal names, and hashable."""
    return tuple(
        tuple(
            sorted(
                ((part.oid.dotted_string, _comparable(part.oid, part.value)) for part in rdn),
                key=repr,
            )
        )
        for rdn in name.rdns
    )


def _comparable(oid: ObjectIdentifier, value: Value) -> Value:
    if not isinstance(value, str):
        return value
    if oid == NameOID.EMAIL_ADDRESS:
        return same_mailbox(value.strip())
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def same_mailbox(address: str) -> str:
    """A mail address as it is compared: the host without regard to case (RFC 5280 section 7.5)."""
    local, at, host = address.rpartition("@")
    return f"{local}{at}{host.lower()}"


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A distinguished name whose values may be "*", which stands for any one value.

    As in ipsec.conf: as many RDNs as the name has, in the same order, with the same attributes.
    """

    text: str
    rdns: tuple[tuple[tuple[str, Value | None], ...], ...]
    """By dotted OID; None is the wildcard."""

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """Read "C=*, O=Acme, CN=*" or "/C=*/O=Acme/CN=*". Raises ValueError.

        A backslash takes the meaning from the character after it, quotes from what they enclose.
        """
        separators = "/" if text.startswith("/") else ",/"
        rdns = _split(text.removeprefix("/"), separators)
        return cls(text, tuple(tuple(map(_attribute, _split(rdn, "+"))) for rdn in rdns))

    @classmethod
    def of(cls, name: Name) -> NamePattern:
        """The pattern that stands for this name alone."""
        return cls(show(name), canonical(name))

    def matches(self, name: Name) -> bool:
        """Whether a name is one of those that the pattern stands for."""
        there = canonical(name)
        return len(there) == len(self.rdns) and all(map(_rdn_matches, self.rdns, there))


def _rdn_matches(pattern: tuple[tuple[str, Value | None], ...], rdn: Rdn) -> bool:
    if Counter(oid for oid, _ in pattern) != Counter(oid for oid, _ in rdn):
        return False
    fixed = Counter((oid, value) for oid, value in pattern if value is not None)
    return not fixed - Counter(rdn)


def _split(text: str, separators: str) -> Iterator[str]:
    """Cut at separators that are not escaped and not in quotes; the escapes stay."""
    piece, quoted, escaped = "", False, False
    for character in text:
        if not escaped and not quoted and character in separators:
            yield piece
            piece = ""
            continue
        if character == '"' and not escaped:
            quoted = not quoted
        escaped = character == "\\" and not escaped
        piece += character
    if quoted or escaped:
        raise ValueError("a quote or a backslash without its end")
    yield piece


def _attribute(text: str) -> tuple[str, Value | None]:
    label, equals, value = text.partition("=")
    label, value = label.strip(), value.strip()
    dotted = _DOTTED.fullmatch(label)
    oid = ObjectIdentifier(dotted[1]) if dotted else _OIDS.get(label.upper())
    if not equals or not value:
        raise ValueError(f'"{text.strip()}" is not of the form CN=value')
    if oid is None:
        raise ValueError(f'"{label}" is no attribute of a name; use its number, as in 2.5.4.3=x')
    if value == "*":
        return oid.dotted_string, None
    plain = re.sub(r'\\(.)|"', r"\1", value)
    return oid.dotted_string, _comparable(oid, plain)
