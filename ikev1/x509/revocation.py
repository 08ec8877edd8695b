"""Whether a certificate has been revoked: what CRLs (RFC 5280 section 6.3) and OCSP (RFC 6960) say.

Nothing is fetched here. A source that is not signed by the certificate's own issuer says nothing;
one that is out of date still says who was revoked, but no longer who was not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from ikev1.x509 import names
from ikev1.x509.certificate import Certificate, read
from ikev1.x509.errors import UNREADABLE, CertificateError

CLOCK_SKEW = timedelta(minutes=5)
"""How far in the future a source may say that it was made."""
NO_NEXT_UPDATE = timedelta(days=1)
"""How long a source counts that does not say for itself."""
MAX_URLS = 4
"""Of one kind in one certificate."""
MAX_URL = 1024
"""Characters."""

_KNOWN_CRL_EXTENSIONS = (
    x509.AuthorityKeyIdentifier,
    x509.CRLNumber,
    x509.IssuingDistributionPoint,
)


class SourceError(Exception):
    """A source says nothing about the certificate; the text says why not."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A source says that the certificate is revoked."""

    since: datetime
    reason: str
    """As RFC 5280 has it, "keyCompromise"; empty where the source gives none."""


@dataclass(frozen=True, slots=True)
class Crl:
    """A list that has been read, but not yet believed."""

    parsed: x509.CertificateRevocationList = field(compare=False, repr=False)
    der: bytes = field(repr=False)

    @property
    def issuer(self) -> x509.Name:
        """Who says that it is by him."""
        return self.parsed.issuer

    @property
    def good_until(self) -> datetime:
        """When it is out of date."""
        return _good_until(self.parsed.last_update_utc, self.parsed.next_update_utc)


def read_crl(der: bytes) -> Crl:
    """Read a CRL in DER; raises CertificateError."""
    try:
        parsed = x509.load_der_x509_crl(der)
        for extension in parsed.extensions:
            if extension.critical and not isinstance(extension.value, _KNOWN_CRL_EXTENSIONS):
                # A delta CRL among others.
                raise CertificateError(
                    f"CRL with an extension that is not understood: {extension.oid.dotted_string}"
                )
        _ = parsed.issuer, parsed.last_update_utc, parsed.next_update_utc
    except UNREADABLE as error:
        raise CertificateError(f"the CRL cannot be read: {error}") from None
    return Crl(parsed, der)


def ask_crls(
    certificate: Certificate, issuer: Certificate, crls: Iterable[Crl], now: datetime
) -> Revoked | None:
    """What CRLs say; None is that it is not revoked. Raises SourceError."""
    found = f'there is no CRL of "{names.show(issuer.subject)}"'
    is_good = False
    for crl in crls:
        if not names.equal(crl.issuer, issuer.subject):
            continue
        try:
            revoked = _ask_crl(certificate, issuer, crl)
        except SourceError as error:
            found = str(error)
            continue
        if revoked is not None:
            return revoked
        try:
            _check_fresh(crl.parsed.last_update_utc, crl.good_until, now, "the CRL")
        except SourceError as error:
            found = str(error)
        else:
            is_good = True
    if not is_good:
        raise SourceError(found)
    return None


def _ask_crl(certificate: Certificate, issuer: Certificate, crl: Crl) -> Revoked | None:
    title = f'the CRL of "{names.show(issuer.subject)}"'
    if issuer.usage is not None and not issuer.usage.crl_sign:
        raise SourceError(f"{title} is by an authority that may not sign CRLs")
    try:
        is_signed = crl.parsed.is_signature_valid(issuer.key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        is_signed = False
    if not is_signed:
        raise SourceError(f"{title} is not signed with its key")
    _check_scope(certificate, crl, title)
    entry = crl.parsed.get_revoked_certificate_by_serial_number(certificate.parsed.serial_number)
    if entry is None:
        return None
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, ValueError):
        reason = ""
    return Revoked(entry.revocation_date_utc, reason)


def _check_scope(certificate: Certificate, crl: Crl, title: str) -> None:
    """A CRL may be for some certificates only (RFC 5280 section 5.2.5)."""
    try:
        point = crl.parsed.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return
    if (
        point.indirect_crl
        or point.only_contains_attribute_certs
        or point.only_some_reasons is not None
        or (point.only_contains_ca_certs and not certificate.is_ca)
        or (point.only_contains_user_certs and certificate.is_ca)
    ):
        raise SourceError(f"{title} is not for this kind of certificate")


def _good_until(made: datetime, next_update: datetime | None) -> datetime:
    return made + NO_NEXT_UPDATE if next_update is None else next_update


def _check_fresh(made: datetime, until: datetime, now: datetime, title: str) -> None:
    if now > until:
        raise SourceError(f"{title} is out of date since {until:%Y-%m-%d %H:%M} UTC")
    if now + CLOCK_SKEW < made:
        raise SourceError(f"{title} is of the future")


# --- OCSP ----------------------------------------------------------------------------------------


def make_request(certificate: Certificate, issuer: Certificate) -> bytes:
    """An OCSP request in DER. RFC 5019 section 2.1.1 wants SHA-1 to name the issuer."""
    sha1 = hashes.SHA1()  # noqa: S303
    builder = ocsp.OCSPRequestBuilder()
    builder = builder.add_certificate(certificate.parsed, issuer.parsed, sha1)
    return builder.build().public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """What a responder says, and how long it may be repeated."""

    revoked: Revoked | None
    good_until: datetime


def read_response(
    der: bytes, certificate: Certificate, issuer: Certificate, now: datetime
) -> OcspAnswer:
    """Read and verify the response to `make_request`. Raises SourceError."""
    try:
        return _read_response(ocsp.load_der_ocsp_response(der), certificate, issuer, now)
    except (*UNREADABLE, InvalidSignature, CertificateError, x509.ExtensionNotFound) as error:
        raise SourceError(f"the OCSP response cannot be used: {error or 'bad signature'}") from None


def _read_response(
    response: ocsp.OCSPResponse, certificate: Certificate, issuer: Certificate, now: datetime
) -> OcspAnswer:
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise SourceError(f"the OCSP responder says {response.response_status.name}")
    _check_responder(response, issuer, now)
    asked = ocsp.load_der_ocsp_request(make_request(certificate, issuer))
    single = next(
        (
            one
            for one in response.responses
            if one.serial_number == asked.serial_number
            and one.hash_algorithm.name == asked.hash_algorithm.name
            and one.issuer_key_hash == asked.issuer_key_hash
            and one.issuer_name_hash == asked.issuer_name_hash
        ),
        None,
    )
    if single is None:
        raise SourceError("the OCSP response is about another certificate")
    until = _good_until(single.this_update_utc, single.next_update_utc)
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        reason = single.revocation_reason
        since = single.revocation_time_utc or single.this_update_utc
        return OcspAnswer(Revoked(since, "" if reason is None else reason.value), until)
    _check_fresh(single.this_update_utc, until, now, "the OCSP response")
    if single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise SourceError("the OCSP responder does not know the certificate")
    return OcspAnswer(None, until)


def _check_responder(response: ocsp.OCSPResponse, issuer: Certificate, now: datetime) -> None:
    """The issuer has signed, or one to whom it has given that right (RFC 6960 section 4.2.2.2)."""
    candidates = [issuer, *_delegated(response, issuer, now)]
    for candidate in candidates:
        try:
            _verify(response, candidate)
        except InvalidSignature:
            continue
        return
    raise SourceError("the OCSP response is not signed by the issuer, or whom it has entrusted")


def _delegated(
    response: ocsp.OCSPResponse, issuer: Certificate, now: datetime
) -> Iterator[Certificate]:
    for parsed in response.certificates[:MAX_URLS]:
        made = read(parsed.public_bytes(Encoding.DER))
        try:
            parsed.verify_directly_issued_by(issuer.parsed)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        is_current = made.not_before <= now <= made.not_after
        usages = made.extended_usages or frozenset()
        if is_current and ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string in usages:
            yield made


def _verify(response: ocsp.OCSPResponse, signer: Certificate) -> None:
    algorithm = response.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        raise SourceError("the OCSP response is signed with a weak hash")
    signed, signature = response.tbs_response_bytes, response.signature
    match signer.key:
        case rsa.RSAPublicKey():
            signer.key.verify(signature, signed, PKCS1v15(), algorithm)
        case ec.EllipticCurvePublicKey():
            signer.key.verify(signature, signed, ec.ECDSA(algorithm))


# --- where to ask --------------------------------------------------------------------------------


def ocsp_urls(certificate: Certificate) -> tuple[str, ...]:
    """Where the certificate says that its issuer's OCSP responder is."""
    try:
        access = certificate.parsed.extensions.get_extension_for_class(
            x509.AuthorityInformationAccess
        ).value
    except x509.ExtensionNotFound:
        return ()
    return _usable(
        one.access_location
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
    )


def crl_urls(certificate: Certificate) -> tuple[str, ...]:
    """Where the certificate says that its issuer's CRL is; of CRLs of its issuer alone."""
    try:
        points = certificate.parsed.extensions.get_extension_for_class(
            x509.CRLDistributionPoints
        ).value
    except x509.ExtensionNotFound:
        return ()
    return _usable(
        name
        for point in points
        if point.full_name and not point.crl_issuer and not point.reasons
        for name in point.full_name
    )


def _usable(found: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    """The HTTP URLs among them. What is signed needs no TLS, which would ask for more URLs."""
    urls = [
        one.value
        for one in found
        if isinstance(one, x509.UniformResourceIdentifier)
        and one.value.lower().startswith("http://")
        and len(one.value) <= MAX_URL
    ]
    return tuple(dict.fromkeys(urls))[:MAX_URLS]
