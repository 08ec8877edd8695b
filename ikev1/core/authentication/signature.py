"""Proof by a signature and a certificate: RFC 2409 section 5.1, RFC 4754, RFC 4945.

    HDR*, IDii, [ CERT, ] SIG_I     -->
                                    <--    HDR*, IDir, [ CERT, ] SIG_R

SKEYID needs nothing but what has been exchanged, so that a message that decrypts is from whom the
Diffie-Hellman was done with. What it is good for, the host finds out: public-key work, and asking
for revocations, are no work for the engine.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from ikev1.core import identity, informational
from ikev1.core.authentication.exchanged import Credential, Exchanged, Proof
from ikev1.core.context import Context
from ikev1.core.credentials import CertificateCredential
from ikev1.core.effects import (
    CheckRevocation,
    Noted,
    ProveClaim,
    RevocationCheck,
    Sign,
    Signed,
    SignFailed,
)
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Message, Question
from ikev1.core.ike_sa import IkeSa, open_with
from ikev1.crypto import keymat
from ikev1.errors import ProtocolError
from ikev1.wire.enums import CertEncoding, NotifyType
from ikev1.wire.message import Payloads, build_body
from ikev1.wire.payloads import (
    Certificate,
    CertificateRequest,
    Identification,
    Payload,
    Signature,
)
from ikev1.x509.claim import Claim, Proven
from ikev1.x509.errors import CertificateError
from ikev1.x509.identity import of_address

MAX_REQUESTS = 768
"""Octets of all our CERTREQ payloads, so that message 4 still goes in one packet with the groups
that clients offer. More authorities than that are asked for by one request for any."""
MAX_CERTIFICATES = 16
"""CERT payloads of a message that are looked at. A chain of three has two or three."""


class Signatures:
    """One Main Mode by one of `candidates`, which are all for the method agreed on."""

    def __init__(self, context: Context, candidates: Sequence[CertificateCredential]) -> None:
        self._context = context
        self._candidates = list(candidates)
        self._requested: list[CertificateRequest] = []

    def requests(self) -> Sequence[Payload]:
        """A CERTREQ for each authority of clients; an empty one if they are too many."""
        names = dict.fromkeys(
            name for candidate in self._candidates for name in candidate.authorities
        )
        if sum(len(name) + 5 for name in names) > MAX_REQUESTS:
            return (CertificateRequest(CertEncoding.X509_SIGNATURE, b""),)
        return tuple(CertificateRequest(CertEncoding.X509_SIGNATURE, name) for name in names)

    def listen(self, payloads: Payloads) -> None:
        """A certificate of ours whose authority is asked for goes before the others."""
        self._requested += payloads.all(CertificateRequest)
        names = {request.data for request in self._requested}
        self._candidates.sort(key=lambda candidate: candidate.issuers.isdisjoint(names))

    def verify(
        self, sa: IkeSa, exchanged: Exchanged, message: Message, iv: bytes
    ) -> Generator[Question, Any, Proof | None]:
        """Decrypt, and have identity, certificates and signature checked."""
        assert sa.choice is not None
        context = self._context
        skeyid = self.skeyid(sa, exchanged)
        keys = exchanged.keys(sa, skeyid)
        try:
            payloads, next_iv = open_with(
                sa.choice.encryption, keys, message.header, message.body, iv
            )
        except ProtocolError:
            return None
        sa.saw_received(message.header, payloads)
        self.listen(payloads)
        claim = _claim(sa, exchanged, skeyid, payloads)
        trusts = tuple(candidate.trust for candidate in self._candidates)
        proven: Proven | CertificateError = yield ProveClaim(context.ticket(), claim, trusts)
        if isinstance(proven, CertificateError):
            raise _refused(proven)
        credential = self._candidates[proven.trust]
        checked: RevocationCheck | CertificateError = yield CheckRevocation(
            context.ticket(), proven.chain, credential.trust
        )
        if isinstance(checked, CertificateError):
            raise _refused(checked)
        if checked.unknown:
            context.emit(Noted(sa.client, message.path, checked.unknown))
        contact = informational.is_first_contact(payloads)
        return Proof(credential, keys, claim.identity, contact, next_iv, proven.chain)

    def unverified(self) -> ExchangeError:
        """Message 5 made no sense."""
        return ExchangeError("message 5 does not decrypt", NotifyType.PAYLOAD_MALFORMED)

    def skeyid(
        self, sa: IkeSa, exchanged: Exchanged, credential: Credential | None = None
    ) -> bytes:
        """SKEYID, which no credential is part of."""
        return keymat.skeyid_signature(sa.hash, exchanged.ni_b, exchanged.nr_b, exchanged.g_xy)

    def prove(
        self,
        sa: IkeSa,
        exchanged: Exchanged,
        credential: Credential,
        skeyid: bytes,
        address: str,
    ) -> Generator[Question, Any, Sequence[Payload]]:
        """Our identity, certificates and signature."""
        assert isinstance(credential, CertificateCredential)
        ours = own_identity(sa, credential, address)
        digest = exchanged.own_hash(sa, skeyid, build_body(ours))
        signed: Signed | SignFailed = yield Sign(
            self._context.ticket(), credential.key, sa.proof_hash, digest
        )
        if isinstance(signed, SignFailed):
            raise ExchangeError(
                f"the gateway's key cannot sign: {signed.reason}",
                NotifyType.AUTHENTICATION_FAILED,
                remedy="see whether its token is there and open",
                setting="certificate",
            )
        return ours, *self._certificates(credential), Signature(signed.signature)

    def _certificates(self, credential: CertificateCredential) -> tuple[Certificate, ...]:
        """Our chain, in PKCS #7 for who asks for that alone."""
        encodings = {request.encoding for request in self._requested}
        if (
            CertEncoding.PKCS7_WRAPPED_X509 in encodings
            and CertEncoding.X509_SIGNATURE not in encodings
        ):
            return (Certificate(CertEncoding.PKCS7_WRAPPED_X509, credential.bundle),)
        return tuple(Certificate(CertEncoding.X509_SIGNATURE, der) for der in credential.chain)


def own_identity(sa: IkeSa, credential: CertificateCredential, address: str) -> Identification:
    """The name that this client looks for in our certificate.

    Apple's wants the one it dialled, as FQDN, or as an address if it was one. Windows shows a DN
    itself and gets one, as it always did. To the others the name in DNS is what their configuration
    most likely has.
    """
    if credential.identity is not None:
        return credential.identity
    if sa.implementation.shows_dn:
        return credential.subject
    if credential.fqdn is not None:
        return credential.fqdn
    if address in credential.addresses:
        return of_address(address)
    return credential.subject


def _claim(sa: IkeSa, exchanged: Exchanged, skeyid: bytes, payloads: Payloads) -> Claim:
    """What a message 5 or 6 shows. CRLs and the like in CERT payloads are passed over."""
    assert sa.choice is not None
    shown, signature = payloads.first(Identification), payloads.first(Signature)
    if shown is None or signature is None:
        raise ExchangeError(
            "a proof without an identity or a signature", NotifyType.PAYLOAD_MALFORMED
        )
    sent = payloads.all(Certificate)
    if len(sent) > MAX_CERTIFICATES:
        raise ExchangeError(
            f"{len(sent)} CERT payloads, more than {MAX_CERTIFICATES}",
            NotifyType.INVALID_CERTIFICATE,
        )
    return Claim(
        identity=shown,
        shown=identity.show(shown),
        method=sa.choice.method,
        hash=sa.proof_hash,
        proof=exchanged.peer_hash(sa, skeyid, payloads.body(shown)),
        signature=signature.data,
        certificates=_of_encoding(sent, CertEncoding.X509_SIGNATURE),
        bundles=_of_encoding(sent, CertEncoding.PKCS7_WRAPPED_X509),
    )


def _of_encoding(sent: Sequence[Certificate], encoding: CertEncoding) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(one.data for one in sent if one.encoding == encoding))


def _refused(error: CertificateError) -> ExchangeError:
    return ExchangeError(error.cause, error.notify, remedy=error.remedy, setting="certificate")
