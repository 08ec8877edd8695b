"""Identities of RFC 2407 section 4.6.2 and the names in a certificate (RFC 4945 section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from ikev1.wire.enums import IdType, NotifyType
from ikev1.wire.payloads import Identification
from ikev1.x509 import names
from ikev1.x509.certificate import Certificate
from ikev1.x509.errors import CertificateError
from ikev1.x509.names import NamePattern


def is_of(identity: Identification, certificate: Certificate) -> bool:
    """Whether a certificate certifies the identity that its owner shows."""
    data = identity.data
    match identity.id_type:
        case IdType.DER_ASN1_DN:
            try:
                return names.equal(names.parse(data), certificate.subject)
            except CertificateError:
                return False
        case IdType.FQDN:
            return _ascii(data).lower() in map(str.lower, certificate.dns_names)
        case IdType.USER_FQDN:
            return names.same_mailbox(_ascii(data)) in map(
                names.same_mailbox, certificate.mail_addresses
            )
        case IdType.IPV4_ADDR | IdType.IPV6_ADDR:
            return ip_address(data) in certificate.addresses
    return False


def _ascii(data: bytes) -> str:
    """Text as it may stand in a certificate; what is none is in no certificate."""
    return data.decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class IdentityPattern:
    """Whom an entry of the configuration is for.

    "C=*, O=Acme, CN=*", "@*.example.org", "*@example.org" or an address.
    """

    text: str
    value: NamePattern | IPv4Address | IPv6Address | str

    @classmethod
    def parse(cls, text: str) -> IdentityPattern:
        """Read a pattern; raises ValueError."""
        if "=" in text:
            return cls(text, NamePattern.parse(text))
        if "@" in text:
            if "*" in text.removeprefix("@").removeprefix("*"):
                raise ValueError('a "*" can only be the first character of a name or address')
            return cls(text, text)
        return cls(text, ip_address(text))

    def matches(self, certificate: Certificate) -> bool:
        """Whether one of the names in the certificate is one of those that the pattern is for."""
        match self.value:
            case NamePattern():
                return self.value.matches(certificate.subject)
            case str():
                if self.value.startswith("@"):
                    wanted = self.value[1:].lower()
                    there = [name.lower() for name in certificate.dns_names]
                else:
                    wanted = names.same_mailbox(self.value)
                    there = [names.same_mailbox(one) for one in certificate.mail_addresses]
                if wanted.startswith("*"):
                    return any(one.endswith(wanted[1:]) and one != wanted[1:] for one in there)
                return wanted in there
            case address:
                return address in certificate.addresses


def of_certificate(text: str, certificate: Certificate) -> Identification:
    """The identity payload for "@fqdn", "user@fqdn", an address or a DN, which must be certified.

    Raises ValueError for what is no identity, CertificateError for one that is not in it.
    """
    if "=" in text:
        made = of_subject(certificate)
        is_certified = NamePattern.parse(text).matches(certificate.subject)
    else:
        if text.startswith("@"):
            made = Identification(IdType.FQDN, 0, 0, text[1:].encode())
        elif "@" in text:
            made = Identification(IdType.USER_FQDN, 0, 0, text.encode())
        else:
            made = of_address(text)
        is_certified = is_of(made, certificate)
    if not is_certified:
        raise CertificateError(
            f"{text} is not in the certificate of {certificate.title}",
            NotifyType.INVALID_ID_INFORMATION,
        )
    return made


def of_subject(certificate: Certificate) -> Identification:
    """The subject as an identity, with its very octets: some peers compare those."""
    return Identification(IdType.DER_ASN1_DN, 0, 0, certificate.subject.public_bytes())


# Asked for at every login: the gateway's address.
@lru_cache(maxsize=64)
def of_address(text: str) -> Identification:
    """An address as an identity. Raises ValueError."""
    data = ip_address(text).packed
    return Identification(IdType.IPV4_ADDR if len(data) == 4 else IdType.IPV6_ADDR, 0, 0, data)


def listed(certificate: Certificate) -> str:
    """All that a certificate certifies, for a message."""
    return ", ".join(
        (
            names.show(certificate.subject),
            *(f"@{name}" for name in certificate.dns_names),
            *certificate.mail_addresses,
            *map(str, certificate.addresses),
        )
    )
