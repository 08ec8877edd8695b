"""Who is let in by a certificate, and with which words the others are refused."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from ikev1.wire.enums import AuthMethod, HashAlgorithm, IdType, NotifyType
from ikev1.wire.payloads import Identification
from ikev1.x509.chain import MAX_INTERMEDIATES, read_anchor
from ikev1.x509.claim import Claim, prove
from ikev1.x509.errors import CertificateError
from ikev1.x509.trust import Trust
from interop.certificates import DAY, SERVER_AUTH, Authority, Identity, private_key
from interop.initiator.signatures import sign
from tests.support.ike_certificates import common_name, gateway_identity, trust_in

ROOT = Authority()
BETWEEN = Authority("Between", number=5, parent=ROOT)
NOW = datetime.now(UTC)
PROOF = bytes(32)
EKU = ExtendedKeyUsageOID


def claim_of(who: Identity, *more: x509.Certificate) -> Claim:
    subject = who.certificate.subject.public_bytes()
    key = who.certificate.public_key()
    ders = [who.certificate, *who.issuers[:-1], *more]
    return Claim(
        identity=Identification(IdType.DER_ASN1_DN, 0, 0, subject),
        shown="alice",
        method=AuthMethod.RSA_SIGNATURE
        if isinstance(key, rsa.RSAPublicKey)
        else AuthMethod.ECDSA_256,
        hash=HashAlgorithm.SHA2_256,
        proof=PROOF,
        signature=sign(who.key, PROOF),
        certificates=tuple(one.public_bytes(Encoding.DER) for one in ders),
    )


def refusal(
    who: Identity | Claim, trust: Trust | None = None, *more: x509.Certificate, now: datetime = NOW
) -> CertificateError:
    claim = who if isinstance(who, Claim) else claim_of(who, *more)
    with pytest.raises(CertificateError) as caught:
        prove(claim, [trust or trust_in(ROOT)], now)
    return caught.value


def test_a_chain_of_three() -> None:
    proven = prove(claim_of(BETWEEN.issue("alice")), [trust_in(ROOT)], NOW)
    assert [one.title for one in proven.chain] == [
        '"C=DE, O=Acme, CN=alice"',
        '"C=DE, O=Acme, CN=Between"',
        '"C=DE, O=Acme, CN=Acme CA"',
    ]


def test_an_intermediate_authority_may_be_the_one_that_is_trusted() -> None:
    proven = prove(claim_of(BETWEEN.issue("alice")), [trust_in(BETWEEN)], NOW)
    assert len(proven.chain) == 2
    assert "no authority of this gateway" in refusal(ROOT.issue("bob"), trust_in(BETWEEN)).cause


# --- refused, and why ----------------------------------------------------------------------------


def test_expired() -> None:
    error = refusal(ROOT.issue("alice", valid=(-3 * DAY, -DAY)))
    assert "has expired on" in error.cause
    assert error.notify == NotifyType.INVALID_CERTIFICATE


def test_not_yet_valid() -> None:
    assert "is not valid before" in refusal(ROOT.issue("alice", valid=(DAY, 3 * DAY))).cause


def test_an_authority_that_has_expired() -> None:
    old = Authority("Old", number=6, parent=ROOT, valid=(-30 * DAY, -DAY))
    error = refusal(old.issue("alice"))
    assert 'certificate of "C=DE, O=Acme, CN=Old" has expired' in error.cause
    later = NOW + timedelta(days=4000)
    young = ROOT.issue("alice", valid=(-DAY, 5000 * DAY))
    assert 'of "C=DE, O=Acme, CN=Acme CA" has expired' in refusal(young, now=later).cause


def test_another_authority() -> None:
    error = refusal(Authority("Mallory's", number=6).issue("alice"))
    assert 'was issued by "C=DE, O=Acme, CN=Mallory\'s", which is no authority' in error.cause
    assert error.notify == NotifyType.INVALID_CERT_AUTHORITY
    assert "ca" in error.remedy


def test_an_intermediate_that_is_missing() -> None:
    alice = BETWEEN.issue("alice")
    error = refusal(replace(claim_of(alice), certificates=(alice.der,)))
    assert 'was issued by "C=DE, O=Acme, CN=Between"' in error.cause
    assert "whole chain" in error.remedy


def test_a_self_made_authority_of_the_same_name() -> None:
    impostor = Authority(number=6)
    for more in ((), (impostor.certificate,)):
        error = refusal(impostor.issue("alice"), None, *more)
        assert "is signed by another key" in error.cause or "no valid chain" in error.cause
        assert error.notify in (NotifyType.INVALID_CERT_AUTHORITY, NotifyType.INVALID_CERTIFICATE)


def test_a_self_signed_client() -> None:
    alice = Authority("alice", number=6, ca=False)
    error = refusal(Identity(alice.certificate, alice.key))
    assert "no authority of this gateway" in error.cause


@pytest.mark.parametrize(
    ("usages", "policy", "words"),
    [
        ((SERVER_AUTH,), "allow", "is not for clients: its extended key usage is serverAuth"),
        ((SERVER_AUTH,), "require", "is not for clients"),
        ((EKU.CODE_SIGNING,), "allow", "is not for clients"),
        (None, "require", "has no extended key usage"),
    ],
)
def test_another_extended_key_usage(
    usages: Sequence[x509.ObjectIdentifier] | None, policy: str, words: str
) -> None:
    trust = trust_in(ROOT, usage=policy)  # type: ignore[arg-type]
    error = refusal(ROOT.issue("alice", usages=usages), trust)
    assert words in error.cause
    assert "clientAuth" in error.remedy


@pytest.mark.parametrize(
    ("usages", "policy"),
    [
        (None, "allow"),
        (None, "ignore"),
        ((SERVER_AUTH,), "ignore"),
        ((SERVER_AUTH, EKU.CLIENT_AUTH), "require"),
        ((EKU.CLIENT_AUTH,), "require"),
        ((EKU.IPSEC_IKE,), "require"),
        ((x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2"),), "require"),
        ((x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),), "require"),
        ((EKU.ANY_EXTENDED_KEY_USAGE,), "require"),
    ],
)
def test_an_extended_key_usage_that_will_do(
    usages: Sequence[x509.ObjectIdentifier] | None, policy: str
) -> None:
    trust = trust_in(ROOT, usage=policy)  # type: ignore[arg-type]
    prove(claim_of(ROOT.issue("alice", usages=usages)), [trust], NOW)


def test_key_usage() -> None:
    prove(claim_of(ROOT.issue("alice", digital_signature=True)), [trust_in(ROOT)], NOW)
    assert "without digitalSignature" in refusal(ROOT.issue("alice", digital_signature=False)).cause


def test_an_authority_is_no_client() -> None:
    error = refusal(Identity(BETWEEN.certificate, BETWEEN.key, BETWEEN.chain[1:]))
    assert "is an authority's certificate" in error.cause
    error = refusal(Identity(ROOT.certificate, ROOT.key))
    assert "is an authority's certificate" in error.cause


def test_a_client_is_no_authority() -> None:
    """Whoever has a client's certificate could let in anybody."""
    alice = ROOT.issue("alice")
    forger = Authority("alice", number=1, parent=ROOT, ca=False)
    mallory = forger.issue("mallory", number=2)
    for issuer in (alice.certificate, forger.certificate):
        error = refusal(
            replace(
                claim_of(mallory),
                certificates=(mallory.der, issuer.public_bytes(Encoding.DER)),
            )
        )
        assert "no certificate leads from it" in error.cause


def test_an_authority_that_may_not_sign_certificates() -> None:
    limited = Authority("Limited", number=6, parent=ROOT, usage=False)
    prove(claim_of(limited.issue("alice")), [trust_in(ROOT)], NOW)
    signer = ROOT.issue("Signer", number=6, usages=None, extensions=[(CA, True)])
    signer = ROOT.issue(
        "Signer", number=6, usages=None, digital_signature=True, extensions=[(CA, True)]
    )
    mallory = under(signer, "mallory")
    assert "keyCertSign" in refusal(mallory).cause


CA = x509.BasicConstraints(ca=True, path_length=None)


def under(issuer: Identity, name: str) -> Identity:
    """A certificate that somebody who is no `Authority` has signed."""
    authority = Authority.__new__(Authority)
    authority.name = issuer.certificate.subject
    authority.key = issuer.key
    authority.chain = (issuer.certificate, *issuer.issuers)
    return authority.issue(name)


def test_a_path_that_is_too_long() -> None:
    last = Authority("Last", number=5, parent=ROOT, path_length=0)
    beyond = Authority("Beyond", number=6, parent=last)
    assert "path length" in refusal(beyond.issue("alice")).cause


def test_an_extension_that_nobody_understands() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
    prove(claim_of(ROOT.issue("alice", extensions=[(unknown, False)])), [trust_in(ROOT)], NOW)
    assert "1.2.3.4" in refusal(ROOT.issue("alice", extensions=[(unknown, True)])).cause


def test_name_constraints_of_an_authority() -> None:
    only = x509.NameConstraints([x509.DNSName("branch.example.org")], None)
    limited = ROOT.issue("Limited", number=6, usages=None, extensions=[(CA, True), (only, True)])
    assert limited.certificate.extensions
    mallory = under(limited, "mallory")
    prove(claim_of(mallory), [trust_in(ROOT)], NOW)


OLD_ROOT = Authority("Old CA", kind="rsa2048")
OLD_STAFF = Authority("Old staff", kind="rsa2048", number=1, parent=OLD_ROOT)
SHA1, SHA256, MD5 = (bytes.fromhex(f"2a864886f70d0101{n}") for n in ("05", "0b", "04"))
DIGESTS = {SHA1: hashes.SHA1(), MD5: hashes.MD5()}


def resigned(one: x509.Certificate, issuer: Authority, algorithm: bytes) -> x509.Certificate:
    """The same certificate, signed as no library of today will."""
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    body = one.tbs_certificate_bytes.replace(SHA256, algorithm)
    signature = issuer.key.sign(body, PKCS1v15(), DIGESTS[algorithm])
    der = one.public_bytes(Encoding.DER)
    head, tail = der[:4], der[4 + len(body) : -len(signature)]
    return x509.load_der_x509_certificate(head + body + tail.replace(SHA256, algorithm) + signature)


def old_client(algorithm: bytes = SHA1, **choices: object) -> Identity:
    """A client whose certificate, and that of the authority over it, have an old signature."""
    made = OLD_STAFF.issue("alice", kind="rsa2048", **choices)  # type: ignore[arg-type]
    staff = resigned(OLD_STAFF.certificate, OLD_ROOT, algorithm)
    weak = resigned(made.certificate, OLD_STAFF, algorithm)
    return Identity(weak, made.key, (staff, OLD_ROOT.certificate))


@pytest.mark.parametrize(("algorithm", "name"), [(SHA1, "SHA1"), (MD5, "MD5")])
def test_a_certificate_signed_with_a_weak_hash(algorithm: bytes, name: str) -> None:
    error = refusal(old_client(algorithm), trust_in(OLD_ROOT))
    assert f"is signed with {name}" in error.cause
    assert ("sha1 = true" in error.remedy) == (name == "SHA1")


def test_sha1_where_it_is_allowed() -> None:
    proven = prove(claim_of(old_client()), [trust_in(OLD_ROOT, sha1=True)], NOW)
    assert [one.title for one in proven.chain][1:] == [
        '"C=DE, O=Acme, CN=Old staff"',
        '"C=DE, O=Acme, CN=Old CA"',
    ]


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (old_client(MD5), "is signed with MD5"),
        (old_client(valid=(-9 * DAY, -DAY)), "has expired"),
        (old_client(extensions=[(UNKNOWN, True)]), ""),
        (old_client(usages=[SERVER_AUTH]), "is not for clients"),
        (
            Identity(
                resigned(
                    OLD_STAFF.issue("alice", kind="rsa2048").certificate,
                    Authority("Old staff", kind="rsa2048", number=7),
                    SHA1,
                ),
                private_key("rsa2048", 1),
                OLD_STAFF.chain,
            ),
            "is signed with SHA1",
        ),
    ],
    ids=["MD5", "expired", "unknown extension", "usage", "another key"],
)
def test_sha1_lets_nothing_else_in(who: Identity, words: str) -> None:
    assert words in refusal(who, trust_in(OLD_ROOT, sha1=True)).cause


def test_a_client_is_no_authority_with_sha1_either() -> None:
    alice = old_client()
    forger = Authority("alice", kind="rsa2048", number=1, parent=OLD_STAFF, ca=False)
    mallory = forger.issue("mallory", kind="rsa2048", number=3)
    weak = resigned(mallory.certificate, forger, SHA1)
    who = Identity(weak, mallory.key, (alice.certificate, *alice.issuers))
    assert refusal(who, trust_in(OLD_ROOT, sha1=True)).cause


def test_a_key_that_is_too_short() -> None:
    error = refusal(ROOT.issue("alice", kind="rsa1024"))
    assert "RSA key of 1024 bits" in error.cause
    assert error.notify == NotifyType.INVALID_KEY_INFORMATION


def test_a_curve_that_ike_has_no_method_for() -> None:
    alice = ROOT.issue("alice", kind="k256")
    assert "curve secp256k1" in refusal(alice).cause


def test_the_method_agreed_on_is_another() -> None:
    claim = replace(claim_of(ROOT.issue("alice")), method=AuthMethod.RSA_SIGNATURE)
    error = refusal(claim)
    assert "RSA_SIGNATURE was agreed on" in error.cause
    assert "is for ECDSA_256" in error.cause


def test_the_key_of_another_client() -> None:
    alice, bob = ROOT.issue("alice"), ROOT.issue("bob", number=2)
    error = refusal(replace(claim_of(alice), signature=sign(bob.key, PROOF)))
    assert "but not its key: the signature does not verify" in error.cause
    assert error.notify == NotifyType.INVALID_SIGNATURE


def test_a_signature_of_something_else() -> None:
    claim = replace(claim_of(ROOT.issue("alice")), proof=b"\1" * 32)
    assert "does not verify" in refusal(claim).cause


def test_no_certificate() -> None:
    error = refusal(replace(claim_of(ROOT.issue("alice")), certificates=()))
    assert error.notify == NotifyType.CERTIFICATE_UNAVAILABLE


def test_the_gateways_own_certificate_lets_nobody_in() -> None:
    own = gateway_identity(ROOT)
    trust = trust_in(ROOT, own=own, usage="ignore")
    assert "has a name of the gateway" in refusal(own, trust).cause


def test_a_client_with_a_name_of_the_gateway() -> None:
    own = gateway_identity(ROOT)
    trust = trust_in(ROOT, own=own)
    for poser in (
        ROOT.issue("mallory", names=["VPN.example.org"]),
        ROOT.issue("gateway"),
    ):
        assert "has a name of the gateway" in refusal(poser, trust).cause
    prove(claim_of(ROOT.issue("alice", names=["other.example.org"])), [trust], NOW)


def test_the_authority_that_a_connection_wants() -> None:
    trust = trust_in(ROOT, authority="C=*, O=Acme, CN=Between")
    prove(claim_of(BETWEEN.issue("alice")), [trust], NOW)
    error = refusal(ROOT.issue("bob"), trust)
    assert 'client_ca wants "C=*, O=Acme, CN=Between"' in error.cause


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("C=*, O=Acme, CN=*", True),
        ("C=*, O=Acme, CN=bob", False),
        ("alice@example.org", True),
        ("*@example.org", True),
        ("*@example.com", False),
        ("@*.example.org", True),
        ("@example.org", False),
        ("@*laptop.example.org", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
    ],
)
def test_the_client_that_a_connection_is_for(pattern: str, fits: bool) -> None:
    names = ["alice@example.org", "laptop.example.org", "192.0.2.7"]
    alice = ROOT.issue("alice", names=names)
    trust = trust_in(ROOT, client=pattern)
    if fits:
        assert prove(claim_of(alice), [trust], NOW).trust == 0
    else:
        assert "and id wants" in refusal(alice, trust).cause


# --- bounds --------------------------------------------------------------------------------------


def test_variants_of_a_certificate_do_not_multiply_the_work() -> None:
    """CVE-2021-41991: one key, one name, and any number of certificates."""
    mallory = Authority("Mallory's", number=6)
    variants = [Authority("Mallory's", number=6).certificate for _ in range(15)]
    error = refusal(mallory.issue("mallory"), None, *variants)
    assert error.cause
    many = [Authority(f"M{n}", number=6).certificate for n in range(MAX_INTERMEDIATES + 1)]
    assert "certificates of authorities" in refusal(mallory.issue("m"), None, *many).cause


def test_what_may_be_trusted() -> None:
    read_anchor(ROOT.der)
    for der, words in (
        (ROOT.issue("alice").der, "is no authority"),
        (
            ROOT.issue("x", digital_signature=True, extensions=[(CA, True)]).der,
            "may not sign certificates",
        ),
        (ROOT.der[:-1], "cannot be read"),
        (b"", "cannot be read"),
    ):
        with pytest.raises(CertificateError, match=words):
            read_anchor(der)


def test_the_leaf_is_the_one_with_the_identity_wherever_it_stands() -> None:
    alice = BETWEEN.issue("alice")
    claim = claim_of(alice)
    proven = prove(replace(claim, certificates=claim.certificates[::-1]), [trust_in(ROOT)], NOW)
    assert common_name(proven.chain) == "CN=alice"
