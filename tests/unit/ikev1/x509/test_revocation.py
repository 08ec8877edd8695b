"""What CRLs and OCSP say, and when they say nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from ikev1.x509.certificate import read
from ikev1.x509.errors import CertificateError
from ikev1.x509.revocation import (
    MAX_URLS,
    Crl,
    Revoked,
    SourceError,
    ask_crls,
    crl_urls,
    ocsp_urls,
    read_crl,
    read_response,
)
from interop.certificates import DAY, Authority, crl_at, ocsp_at, private_key

ROOT = Authority()
OTHER = Authority("Other CA", number=5)
ALICE = ROOT.issue("alice")
BOB = ROOT.issue("bob", number=2)
NOW = datetime.now(UTC)
ISSUER = read(ROOT.der)
OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING


@pytest.fixture(autouse=True)
def nobody_revoked() -> None:
    ROOT.revoked.clear()


def crl(parsed: x509.CertificateRevocationList) -> Crl:
    return read_crl(parsed.public_bytes(Encoding.DER))


def ask(*parsed: x509.CertificateRevocationList, now: datetime = NOW) -> Revoked | None:
    return ask_crls(read(ALICE.der), ISSUER, map(crl, parsed), now)


def test_not_on_the_list() -> None:
    ROOT.revoke(BOB)
    assert ask(ROOT.crl()) is None


def test_on_the_list() -> None:
    ROOT.revoke(ALICE)
    revoked = ask(ROOT.crl())
    assert revoked is not None
    assert revoked.reason == "keyCompromise"


def test_on_one_of_two_lists() -> None:
    before = ROOT.crl()
    ROOT.revoke(ALICE)
    assert ask(before, ROOT.crl()) is not None


def test_a_list_out_of_date_still_says_who_is_revoked() -> None:
    old = (-10 * DAY, -DAY)
    with pytest.raises(SourceError, match="out of date since"):
        ask(ROOT.crl(valid=old))
    assert ask(ROOT.crl(valid=old), ROOT.crl()) is None
    ROOT.revoke(ALICE)
    assert ask(ROOT.crl(valid=old)) is not None


def test_a_list_of_the_future() -> None:
    with pytest.raises(SourceError, match="of the future"):
        ask(ROOT.crl(valid=(DAY, 2 * DAY)))


def test_no_list_and_that_of_another_authority() -> None:
    for parsed in ([], [OTHER.crl()]):
        with pytest.raises(SourceError, match='no CRL of "C=DE, O=Acme, CN=Acme CA"'):
            ask(*parsed)


def test_a_forged_list() -> None:
    ROOT.revoke(ALICE)
    with pytest.raises(SourceError, match="is not signed with its key"):
        ask(ROOT.crl(key=private_key("p256", 6)))


@pytest.mark.parametrize(
    "point",
    [
        {"indirect_crl": True},
        {"only_contains_ca_certs": True},
        {"only_contains_attribute_certs": True},
        {"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})},
    ],
    ids=lambda point: next(iter(point)),
)
def test_a_list_that_is_for_other_certificates(point: dict[str, object]) -> None:
    ROOT.revoke(ALICE)
    with pytest.raises(SourceError, match="not for this kind"):
        ask(ROOT.crl(extensions=[(distribution(**point), True)]))


def test_a_list_that_is_for_clients() -> None:
    ROOT.revoke(ALICE)
    assert ask(ROOT.crl(extensions=[(distribution(only_contains_user_certs=True), True)]))


def distribution(**changes: object) -> x509.IssuingDistributionPoint:
    values: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    full = [x509.UniformResourceIdentifier("http://x/")]
    if not any(changes.values()):
        values["full_name"] = full
    return x509.IssuingDistributionPoint(**{**values, **changes})  # type: ignore[arg-type]


def test_a_delta_list_is_refused() -> None:
    delta = ROOT.crl(extensions=[(x509.DeltaCRLIndicator(1), True)])
    with pytest.raises(CertificateError, match=r"2\.5\.29\.27"):
        crl(delta)


def test_an_authority_that_may_not_sign_lists() -> None:
    usage = ISSUER.usage
    assert usage is not None
    limited = Authority("Limited", number=6, parent=ROOT, usage=False)
    assert ask_crls(read(limited.issue("a").der), read(limited.der), [crl(limited.crl())], NOW) is (
        None
    )


def test_a_list_of_an_unknown_version() -> None:
    der = ROOT.crl().public_bytes(Encoding.DER)
    version = der.index(b"\x02\x01\x01")
    with pytest.raises(CertificateError, match="cannot be read"):
        read_crl(der[: version + 2] + b"\x09" + der[version + 3 :])


@pytest.mark.parametrize("size", [0, 1, 10, 100, -1])
def test_a_truncated_list(size: int) -> None:
    with pytest.raises(CertificateError, match="cannot be read"):
        read_crl(ROOT.crl().public_bytes(Encoding.DER)[:size])


# --- OCSP ----------------------------------------------------------------------------------------


def respond(der: bytes, now: datetime = NOW) -> Revoked | None:
    return read_response(der, read(ALICE.der), ISSUER, now).revoked


def test_good() -> None:
    assert respond(ROOT.ocsp_response(ALICE)) is None
    answer = read_response(ROOT.ocsp_response(ALICE), read(ALICE.der), ISSUER, NOW)
    assert NOW < answer.good_until < NOW + 2 * DAY


def test_revoked() -> None:
    revoked = respond(ROOT.ocsp_response(ALICE, ocsp.OCSPCertStatus.REVOKED))
    assert revoked is not None
    assert revoked.reason == "keyCompromise"


def test_unknown() -> None:
    with pytest.raises(SourceError, match="does not know"):
        respond(ROOT.ocsp_response(ALICE, ocsp.OCSPCertStatus.UNKNOWN))


def test_about_another_certificate() -> None:
    with pytest.raises(SourceError, match="another certificate"):
        respond(ROOT.ocsp_response(BOB))


def test_of_another_authority() -> None:
    with pytest.raises(SourceError, match="not signed by the issuer"):
        respond(OTHER.ocsp_response(ALICE))


@pytest.mark.parametrize(
    ("valid", "words"),
    [
        ((-3 * DAY, -2 * DAY), "out of date"),
        ((-3 * DAY, None), "out of date"),
        ((DAY, 2 * DAY), "of the future"),
    ],
)
def test_out_of_date(valid: tuple[timedelta, timedelta | None], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        respond(ROOT.ocsp_response(ALICE, valid=valid))


def test_whom_the_issuer_has_entrusted() -> None:
    entrusted = ROOT.issue("OCSP", number=7, usages=[OCSP_SIGNING])
    assert respond(ROOT.ocsp_response(ALICE, responder=entrusted)) is None


@pytest.mark.parametrize(
    "responder",
    [
        ROOT.issue("client", number=7),
        ROOT.issue("OCSP", number=7, usages=[OCSP_SIGNING], valid=(-3 * DAY, -DAY)),
        OTHER.issue("OCSP", number=7, usages=[OCSP_SIGNING]),
    ],
    ids=["a client", "expired", "of another authority"],
)
def test_whom_the_issuer_has_not_entrusted(responder: object) -> None:
    with pytest.raises(SourceError, match="not signed by the issuer"):
        respond(ROOT.ocsp_response(ALICE, responder=responder))  # type: ignore[arg-type]


def test_a_refusal_and_rubbish() -> None:
    busy = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    with pytest.raises(SourceError, match="TRY_LATER"):
        respond(busy.public_bytes(Encoding.DER))
    good = ROOT.ocsp_response(ALICE)
    for der in (b"", b"\x30\x03\n\1\0", good[:-1], good[:40]):
        with pytest.raises(SourceError, match="cannot be used"):
            respond(der)


def test_every_changed_octet_of_a_response_is_found_out() -> None:
    good = ROOT.ocsp_response(ALICE)
    for place in range(0, len(good), 7):
        bad = good[:place] + bytes((good[place] ^ 0x41,)) + good[place + 1 :]
        with pytest.raises(SourceError):
            respond(bad)


# --- where to ask --------------------------------------------------------------------------------


def test_urls() -> None:
    alice = read(
        ROOT.issue(
            "alice",
            extensions=[ocsp_at("http://ocsp.example.org/"), crl_at("http://crl.example.org/a")],
        ).der
    )
    assert ocsp_urls(alice) == ("http://ocsp.example.org/",)
    assert crl_urls(alice) == ("http://crl.example.org/a",)
    assert ocsp_urls(read(ALICE.der)) == crl_urls(read(ALICE.der)) == ()


def test_urls_that_are_not_asked() -> None:
    urls = (
        "https://crl.example.org/",
        "ldap://crl.example.org/",
        "file:///etc/passwd",
        "http://x/" + "a" * 2000,
        *(f"http://crl.example.org/{n}" for n in range(9)),
    )
    alice = read(ROOT.issue("alice", extensions=[crl_at(*urls)]).der)
    assert crl_urls(alice) == tuple(f"http://crl.example.org/{n}" for n in range(MAX_URLS))
