"""A gateway with certificates and clients with theirs, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cli.ikev1d.config.key_files import FileKey
from ikev1.core.credentials import CertificateCredential, Credentials, PresharedKey
from ikev1.core.exchange import Settings
from ikev1.x509.certificate import Certificate, read
from ikev1.x509.chain import read_anchor
from ikev1.x509.identity import IdentityPattern
from ikev1.x509.names import NamePattern
from ikev1.x509.trust import Trust, UsagePolicy
from interop.certificates import SERVER_AUTH, Authority, Identity
from interop.initiator.signatures import Signer
from tests.support.ike_host import PSK, IkeHost, settings

GATEWAY_NAME = "vpn.example.org"


def as_certificate(one: x509.Certificate) -> Certificate:
    return read(one.public_bytes(Encoding.DER))


def trust_in(
    *authorities: Authority,
    own: Identity | None = None,
    client: str | None = None,
    authority: str | None = None,
    usage: UsagePolicy = "allow",
    sha1: bool = False,
) -> Trust:
    return Trust(
        anchors=tuple(read_anchor(one.der) for one in authorities),
        authority=None if authority is None else NamePattern.parse(authority),
        client=None if client is None else IdentityPattern.parse(client),
        usage=usage,
        sha1=sha1,
        own=None if own is None else read(own.der),
    )


def gateway_identity(authority: Authority, kind: str = "p256", number: int = 9) -> Identity:
    return authority.issue(
        "gateway", kind=kind, number=number, names=[GATEWAY_NAME], usages=[SERVER_AUTH]
    )


def credential(
    own: Identity, trust: Trust, connection: str = "certificates"
) -> CertificateCredential:
    chain = [as_certificate(one) for one in (own.certificate, *own.issuers)]
    return CertificateCredential.of(connection, FileKey(own.key), chain, trust)


def with_certificates(*credentials: CertificateCredential, psk: bool = True) -> Settings:
    """Settings with these, and the preshared key for anybody else."""
    keys = [PresharedKey("office", PSK)] if psk else []
    return settings(credentials=Credentials(keys, credentials))


def host_with(*credentials: CertificateCredential, psk: bool = True) -> IkeHost:
    return IkeHost(with_certificates(*credentials, psk=psk))


def signer(identity: Identity, *others: x509.Certificate) -> Signer:
    """A client that sends its certificate, those of intermediate authorities, and `others`."""
    return Signer.of(identity.key, identity.certificate, *identity.issuers[:-1], *others)


def common_name(chain: Sequence[Certificate]) -> str:
    return chain[0].subject.rdns[-1].rfc4514_string()
