"""What an operator trusts: whose certificates, of whom, and for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ikev1.x509.certificate import Certificate
from ikev1.x509.identity import IdentityPattern
from ikev1.x509.names import NamePattern
from ikev1.x509.revocation import Crl

UsagePolicy = Literal["require", "allow", "ignore"]
"""Of extended key usages: there and fitting, fitting if there, or not looked at."""
RevocationPolicy = Literal["strict", "lenient", "off"]
"""Whether a certificate of which nothing can be found out is refused."""


@dataclass(frozen=True, slots=True)
class Trust:
    """One entry: who is let in by a certificate."""

    anchors: tuple[Certificate, ...]
    """The authorities. A chain ends at one of them."""
    authority: NamePattern | None = None
    """Of which one must be in the chain ("rightca"), None for any of `anchors`."""
    client: IdentityPattern | None = None
    """Whom the certificate must be of, None for anybody."""
    usage: UsagePolicy = "allow"
    sha1: bool = False
    """Whether certificates may be signed with SHA-1."""
    own: Certificate | None = None
    """The gateway's: no client may have it, or a name in it."""
    revocation: RevocationPolicy = "lenient"
    crls: tuple[Crl, ...] = ()
    """From files."""
    fetch: bool = False
    """Whether to ask where the certificates say that OCSP and CRLs are."""
