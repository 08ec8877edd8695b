"""Whatever octets stand in a certificate, a CRL, an OCSP response or a name: refused, not believed.

CVE-2009-2185, CVE-2013-2052 to 2054, CVE-2013-5018, CVE-2013-6075, CVE-2017-9023, CVE-2017-11185.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ikev1.wire.enums import AuthMethod, HashAlgorithm, IdType
from ikev1.wire.payloads import Certificate as CertificatePayload
from ikev1.wire.payloads import Identification
from ikev1.x509 import identity, names
from ikev1.x509.certificate import make_bundle, read, read_bundle
from ikev1.x509.claim import Claim, prove
from ikev1.x509.errors import CertificateError
from ikev1.x509.names import NamePattern
from ikev1.x509.revocation import SourceError, ask_crls, read_crl, read_response
from interop.certificates import Authority, crl_at, ocsp_at
from interop.initiator.effects import Phase1Up
from interop.initiator.signatures import sign
from tests.support.ike_certificates import (
    credential,
    gateway_identity,
    host_with,
    signer,
    trust_in,
)
from tests.support.ike_dialin import Dialin

ROOT = Authority()
ALICE = ROOT.issue(
    "alice",
    names=["alice@example.org", "laptop.example.org", "192.0.2.7"],
    digital_signature=True,
    extensions=[crl_at("http://crl.example.org/"), ocsp_at("http://ocsp.example.org/")],
)
BY_RSA = Authority("RSA", kind="rsa2048").issue("alice", kind="rsa2048")
ROOT.revoke(ALICE)
CRL = ROOT.crl().public_bytes(Encoding.DER)
BUNDLE = make_bundle([read(ALICE.der), read(ROOT.der)])
RESPONSE = ROOT.ocsp_response(ALICE)
SUBJECT = ALICE.certificate.subject.public_bytes()
NOW = datetime.now(UTC)
TRUST = trust_in(ROOT)
HOST_TRUST = credential(gateway_identity(ROOT), TRUST)


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Some octets changed, put in, or taken out; lengths are hit as often as anything else."""
    octets = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(octets) - 1)))
        match draw(st.sampled_from(("change", "bit", "insert", "cut", "end"))):
            case "change" if octets:
                octets[place] = draw(st.integers(0, 255))
            case "bit" if octets:
                octets[place] ^= 1 << draw(st.integers(0, 7))
            case "insert":
                octets[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "cut":
                del octets[place : place + draw(st.integers(1, 8))]
            case _:
                del octets[place:]
    return bytes(octets)


PROOF = bytes(32)
SIGNATURE = sign(ALICE.key, PROOF)


def claim() -> Claim:
    return Claim(
        identity=Identification(IdType.DER_ASN1_DN, 0, 0, SUBJECT),
        shown="alice",
        method=AuthMethod.ECDSA_256,
        hash=HashAlgorithm.SHA2_256,
        proof=PROOF,
        signature=SIGNATURE,
        certificates=(ALICE.der,),
    )


@given(st.one_of(st.binary(max_size=400), damaged(ALICE.der), damaged(BY_RSA.der)))
@example(b"")
@example(b"0\x80\0\0")
@example(b"0\x84\xff\xff\xff\xff")
@settings(max_examples=150)
def test_a_certificate_is_read_or_refused(der: bytes) -> None:
    try:
        made = read(der)
    except CertificateError:
        return
    assert made.der == der
    assert isinstance(made.title + identity.listed(made), str)
    assert made.parsed.public_bytes(Encoding.DER) == der


@given(damaged(ALICE.der))
@settings(max_examples=80)
def test_a_damaged_certificate_lets_nobody_in(der: bytes) -> None:
    try:
        proven = prove(replace(claim(), certificates=(der,)), [TRUST], NOW)
    except CertificateError:
        return
    assert proven.chain[0].der == ALICE.der


@given(damaged(BUNDLE))
def test_a_damaged_bundle_lets_nobody_else_in(der: bytes) -> None:
    try:
        proven = prove(replace(claim(), certificates=(), bundles=(der,)), [TRUST], NOW)
    except CertificateError:
        return
    assert proven.chain[0].der == ALICE.der


@given(damaged(SUBJECT))
@settings(max_examples=80)
def test_a_damaged_name_is_no_name_of_the_certificate(data: bytes) -> None:
    shown = Identification(IdType.DER_ASN1_DN, 0, 0, data or b"\0")
    try:
        prove(replace(claim(), identity=shown), [TRUST], NOW)
    except CertificateError:
        return
    assert names.equal(names.parse(data), ALICE.certificate.subject)


@given(damaged(SIGNATURE))
@settings(max_examples=40)
def test_a_damaged_signature_proves_nothing(signature: bytes) -> None:
    try:
        prove(replace(claim(), signature=signature), [TRUST], NOW)
    except CertificateError:
        return
    assert signature == SIGNATURE


@given(st.one_of(st.binary(max_size=300), damaged(BUNDLE)))
def test_a_bundle_is_read_or_refused(der: bytes) -> None:
    with contextlib.suppress(CertificateError):
        read_bundle(der)


@given(st.one_of(st.binary(max_size=300), damaged(CRL)))
@settings(max_examples=80)
def test_a_damaged_list_says_nothing(der: bytes) -> None:
    """Above all not that the certificate is good."""
    try:
        revoked = ask_crls(read(ALICE.der), read(ROOT.der), [read_crl(der)], NOW)
    except (CertificateError, SourceError):
        return
    assert revoked is not None
    assert der == CRL


@given(st.one_of(st.binary(max_size=300), damaged(RESPONSE)))
@settings(max_examples=80)
def test_a_damaged_response_says_nothing(der: bytes) -> None:
    try:
        read_response(der, read(ALICE.der), read(ROOT.der), NOW)
    except SourceError:
        return
    assert der == RESPONSE


@given(st.text(max_size=60))
@example("C=*, O=Acme, CN=*")
@example("/C=DE/CN=x+UID=y")
def test_a_pattern_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        NamePattern.parse(text).matches(ALICE.certificate.subject)


TYPES = ["2.5.4.3", "2.5.4.10", "2.5.4.11", "1.2.840.113549.1.9.1"]
WORDS = st.text('aB cé,=+/"\\*', min_size=1, max_size=6).filter(lambda text: bool(text.strip()))
NAMES = st.lists(
    st.lists(st.tuples(st.sampled_from(TYPES), WORDS), min_size=1, max_size=2, unique=True),
    max_size=4,
).map(
    lambda rdns: x509.Name(
        [
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(x509.ObjectIdentifier(oid), text) for oid, text in rdn]
            )
            for rdn in rdns
        ]
    )
)


@given(NAMES, NAMES)
@settings(max_examples=50)
def test_equality_of_names_is_that_of_their_parts(one: x509.Name, other: x509.Name) -> None:
    assert names.equal(one, one)
    assert names.equal(one, other) == names.equal(other, one)
    assert names.equal(one, other) == NamePattern.of(one).matches(other)
    if names.equal(one, other):
        assert len(one.rdns) == len(other.rdns)


@given(NAMES)
@settings(max_examples=50)
def test_what_is_shown_can_be_written_as_a_pattern(name: x509.Name) -> None:
    """So that an operator may copy an identity out of the log into the configuration."""
    if name.rdns:
        assert NamePattern.parse(names.show(name)).matches(name)


PAYLOADS = st.lists(
    st.builds(
        CertificatePayload,
        st.integers(0, 12),
        st.one_of(
            st.binary(min_size=1, max_size=60), damaged(ALICE.der).filter(bool), st.just(ALICE.der)
        ),
    ),
    max_size=6,
)


@given(
    PAYLOADS,
    st.builds(
        Identification,
        st.sampled_from(IdType),
        st.integers(0, 255),
        st.integers(0, 65535),
        st.one_of(st.binary(min_size=1, max_size=40), damaged(SUBJECT).filter(bool)),
    ),
    st.binary(min_size=1, max_size=140),
)
@settings(max_examples=30)
def test_no_message_5_of_a_stranger_lets_him_in(
    payloads: list[CertificatePayload], shown: Identification, signature: bytes
) -> None:
    host = host_with(HOST_TRUST)
    forged = replace(
        signer(ALICE),
        certificates=tuple(payloads),
        identity=shown,
        sign=lambda _key, _proof: signature,
    )
    client = Dialin(host, signer=forged).main_mode()
    assert not client.told_of(Phase1Up)
    assert len(host.engine.clients) == 0
