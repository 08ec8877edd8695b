"""Main Mode with signatures: RFC 2409 section 5.1, RFC 4754, and who is let in by what."""

from dataclasses import replace

import pytest
from cryptography import x509
from msgspec import structs

from ikev1.core.effects import CheckRevocation, IkeSaUp, Noted, ProveClaim, RevocationCheck, Sign
from ikev1.core.fragmentation import LARGEST_MESSAGE
from ikev1.wire.enums import AuthMethod, CertEncoding, ExchangeType, IdType, NotifyType
from ikev1.wire.header import parse_header
from ikev1.wire.message import parse_message
from ikev1.wire.payloads import Certificate, CertificateRequest, Identification
from ikev1.x509.errors import CertificateError
from ikev1.x509.identity import of_address
from ikev1.x509.trust import Trust
from interop.certificates import (
    SERVER_AUTH,
    Authority,
    Identity,
    alternative_name,
    distinguished_name,
)
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.effects import Closed, Phase1Up
from tests.support.ike_certificates import (
    GATEWAY_NAME,
    credential,
    gateway_identity,
    host_with,
    signer,
    trust_in,
    with_certificates,
)
from tests.support.ike_dialin import GATEWAY, NAT, Dialin
from tests.support.ike_host import IkeHost

ROOT = Authority()
OWN = gateway_identity(ROOT)
ALICE = ROOT.issue("alice", names=["alice@example.org"])


def gateway(*authorities: Authority, own: Identity = OWN, client: str | None = None) -> IkeHost:
    trust = trust_in(*(authorities or (ROOT,)), own=own, client=client)
    return host_with(credential(own, trust))


def dial(host: IkeHost, who: Identity, *others: x509.Certificate) -> Dialin:
    return Dialin(host, IPHONE, signer=signer(who, *others)).main_mode()


def up(host: IkeHost) -> IkeSaUp:
    (event,) = host.told_of(IkeSaUp)
    return event


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521"])
def test_both_sides_prove_who_they_are(kind: str) -> None:
    root = Authority(kind=kind)
    host = gateway(root, own=gateway_identity(root, kind))
    client = Dialin.behind_nat(host)
    client = Dialin(
        host,
        inner=client.inner,
        nat=NAT,
        ports=(61000, 61001),
        signer=signer(root.issue("alice", kind=kind)),
    ).connect()
    assert not client.failures
    assert up(host).identity == "C=DE, O=Acme, CN=alice"
    assert up(host).connection == "certificates"
    assert up(host).authentication == ("rsa" if kind == "rsa2048" else f"ecdsa{kind[1:]}")
    assert client.ike_sa.choice is not None
    assert client.ike_sa.choice.method == (
        AuthMethod.RSA_SIGNATURE if kind == "rsa2048" else AuthMethod[f"ECDSA_{kind[1:]}"]
    )


def test_a_preshared_key_still_works_beside() -> None:
    host = gateway()
    Dialin(host, seed="one").connect()
    Dialin(host, seed="two", inner="198.51.100.8", signer=signer(ALICE)).connect()
    assert [event.authentication for event in host.told_of(IkeSaUp)] == ["psk", "ecdsa256"]
    assert [event.connection for event in host.told_of(IkeSaUp)] == ["office", "certificates"]


def test_a_client_that_wants_certificates_where_there_are_none() -> None:
    host = IkeHost()
    dial(host, ALICE)
    (refusal,) = host.refusals()
    assert refusal.notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert "wants certificates (ECDSA_256)" in refusal.cause
    assert refusal.setting == "certificate"


def test_a_client_with_another_kind_of_key() -> None:
    host = gateway()
    dial(host, Authority(kind="rsa2048").issue("alice", kind="rsa2048"))
    (refusal,) = host.refusals()
    assert "wants RSA_SIGNATURE" in refusal.cause
    assert "is for PRE_SHARED_KEY, ECDSA_256" in refusal.cause


# --- what is asked for and what is sent ----------------------------------------------------------


def test_each_authority_of_clients_is_asked_for_in_message_4() -> None:
    other = Authority("Other CA", number=5)
    host = gateway(ROOT, other)
    client = dial(host, ALICE)
    _, payloads = parse_message(client.talk[1][1][0])
    assert [(one.encoding, one.data) for one in payloads.all(CertificateRequest)] == [
        (CertEncoding.X509_SIGNATURE, authority.name.public_bytes()) for authority in (ROOT, other)
    ]


def test_too_many_authorities_are_asked_for_by_one_request() -> None:
    host = gateway(ROOT, *(Authority(f"Authority number {n}", number=5) for n in range(20)))
    client = dial(host, ALICE)
    _, payloads = parse_message(client.talk[1][1][0])
    assert payloads.all(CertificateRequest) == (
        CertificateRequest(CertEncoding.X509_SIGNATURE, b""),
    )
    assert not client.failures


def test_requests_leave_message_4_in_one_packet() -> None:
    others = (Authority(f"Authority number {n}", number=5) for n in range(11))
    client = dial(gateway(ROOT, *others), ALICE)
    message = client.talk[1][1][0]
    _, payloads = parse_message(message)
    assert len(payloads.all(CertificateRequest)) == 12
    assert 1000 < len(message) <= LARGEST_MESSAGE


def test_windows_takes_fragments_where_it_expects_certificates() -> None:
    for signs in (False, True):
        client = Dialin(gateway(), WINDOWS_10, signer=signer(ALICE) if signs else None)
        assert client.main_mode().ike_sa.takes_fragments == signs


def test_message_4_goes_only_where_message_2_was_received() -> None:
    """It is larger than message 3: whoever gets it has shown that it is there."""
    host = gateway()
    client = Dialin(host, signer=signer(ALICE))
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    elsewhere = structs.replace(client.path(floated=False), remote="192.0.2.66")
    assert host.receive(third.datagram, elsewhere) == []
    assert client.give(third)
    assert host.receive(third.datagram, elsewhere) == []
    assert host.drops() == ["moved-too-soon"] * 2


def test_the_gateways_intermediate_authorities_are_sent_and_its_root_is_not() -> None:
    between = Authority("Between", number=5, parent=ROOT)
    own = gateway_identity(between)
    host = host_with(credential(own, trust_in(ROOT)))
    client = dial(host, ALICE)
    assert not client.failures
    sent = message_6_certificates(client)
    assert [one.data for one in sent] == [own.der, between.der]


def message_6_certificates(client: Dialin) -> tuple[Certificate, ...]:
    """The CERT payloads of message 6, which the gateway's own keys open."""
    sa = client.ike_sa
    reply = client.talk[2][1][0]
    header = parse_header(reply)
    # Message 6 is encrypted under the last block of message 5.
    iv = client.talk[2][0][-16:]
    payloads, _ = sa.open(header, reply[28:], iv)
    return payloads.all(Certificate)


def test_pkcs7_for_a_client_that_asks_for_that_alone() -> None:
    host = gateway()
    request = CertificateRequest(CertEncoding.PKCS7_WRAPPED_X509, b"")
    client = Dialin(host, signer=replace(signer(ALICE), requests=(request,)))
    client.run(client.initiator.start(0.0))
    (sent,) = message_6_certificates(client)
    assert sent.encoding == CertEncoding.PKCS7_WRAPPED_X509


def test_a_client_that_sends_its_chain_in_pkcs7() -> None:
    between = Authority("Between", number=5, parent=ROOT)
    alice = between.issue("alice")
    made = credential(alice, trust_in(ROOT))
    wrapped = Certificate(CertEncoding.PKCS7_WRAPPED_X509, made.bundle)
    host = gateway()
    client = Dialin(host, signer=replace(signer(alice), certificates=(wrapped,))).main_mode()
    assert up(host).identity == "C=DE, O=Acme, CN=alice"
    assert not client.failures


@pytest.mark.parametrize("late", [False, True])
def test_the_gateways_certificate_is_of_the_authority_that_is_asked_for(late: bool) -> None:
    other = Authority("Other CA", number=5)
    second = gateway_identity(other, number=8)
    host = host_with(
        credential(OWN, trust_in(ROOT), "first"), credential(second, trust_in(ROOT), "second")
    )
    request = CertificateRequest(CertEncoding.X509_SIGNATURE, other.name.public_bytes())
    asking = replace(signer(ALICE), requests=(request,), requests_late=late)
    client = Dialin(host, signer=asking).main_mode()
    assert up(host).connection == "second"
    assert [one.data for one in message_6_certificates(client)] == [second.der]


def test_crls_and_unknown_encodings_in_cert_payloads_are_passed_over() -> None:
    host = gateway()
    more = tuple(
        Certificate(encoding, b"\x30\x03junk")
        for encoding in CertEncoding
        if encoding not in (CertEncoding.X509_SIGNATURE, CertEncoding.PKCS7_WRAPPED_X509)
    )
    plain = signer(ALICE)
    client = Dialin(
        host, signer=replace(plain, certificates=(*more, *plain.certificates))
    ).main_mode()
    assert not client.failures


def test_the_name_that_the_client_dials_is_what_it_is_shown() -> None:
    host = gateway()
    (shown,) = dial(host, ALICE).told_of(Phase1Up)
    assert shown.server_id == Identification(IdType.FQDN, 0, 0, GATEWAY_NAME.encode())


def test_a_gateway_without_a_name_in_dns_shows_the_address_that_is_dialled() -> None:
    """Of an address as a DNS name, which Windows compares, Apple makes nothing."""
    names = [GATEWAY, "192.0.2.200"]
    in_dns = x509.SubjectAlternativeName([x509.DNSName(GATEWAY), *map(alternative_name, names)])
    own = ROOT.issue("gw", number=9, usages=[SERVER_AUTH], extensions=[(in_dns, False)])
    (shown,) = dial(gateway(own=own), ALICE).told_of(Phase1Up)
    assert shown.server_id == of_address(GATEWAY)
    other = ROOT.issue("gw", number=9, names=["192.0.2.200"], usages=[SERVER_AUTH])
    (shown,) = dial(gateway(own=other), ALICE).told_of(Phase1Up)
    assert shown.server_id.id_type == IdType.DER_ASN1_DN


def test_windows_is_shown_the_subject() -> None:
    host = gateway()
    client = Dialin(host, WINDOWS_10, signer=signer(ALICE)).main_mode()
    (shown,) = client.told_of(Phase1Up)
    subject = OWN.certificate.subject.public_bytes()
    assert shown.server_id == Identification(IdType.DER_ASN1_DN, 0, 0, subject)


# --- who is let in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (IdType.USER_FQDN, b"alice@EXAMPLE.org"),
        (IdType.FQDN, b"Laptop.example.org"),
        (IdType.IPV4_ADDR, bytes((192, 0, 2, 7))),
    ],
)
def test_an_identity_in_subject_alt_name(kind: IdType, data: bytes) -> None:
    names = ["alice@example.org", "laptop.example.org", "192.0.2.7"]
    alice = ROOT.issue("alice", names=names)
    host = gateway()
    shown = replace(signer(alice), identity=Identification(kind, 17, 500, data))
    assert not Dialin(host, signer=shown).main_mode().failures


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (IdType.DER_ASN1_DN, b""),
        (IdType.DER_ASN1_DN, ROOT.issue("bob").certificate.subject.public_bytes()),
        (IdType.DER_ASN1_DN, ALICE.certificate.subject.public_bytes()[:-1]),
        (IdType.DER_ASN1_DN, ALICE.certificate.subject.public_bytes() + b"\0"),
        (IdType.DER_ASN1_DN, b"\x30\x84\xff\xff\xff\xff"),
        (IdType.USER_FQDN, b"bob@example.org"),
        (IdType.USER_FQDN, b"0\x02alice@example.org"),
        (IdType.FQDN, b"alice"),
        (IdType.IPV4_ADDR, bytes((198, 51, 100, 7))),
        (IdType.KEY_ID, b"alice@example.org"),
    ],
)
def test_an_identity_that_is_not_in_the_certificate(kind: IdType, data: bytes) -> None:
    host = gateway()
    shown = replace(signer(ALICE), identity=Identification(kind, 0, 0, data or b"\0"))
    client = Dialin(host, signer=shown).main_mode()
    (refusal,) = host.refusals()
    assert refusal.notify == NotifyType.INVALID_ID_INFORMATION
    assert "which is not in its certificate" in refusal.cause
    assert "alice@example.org" in refusal.cause
    assert client.failures
    assert host.engine.half_open == 0


def test_each_connection_has_its_clients() -> None:
    host = host_with(
        credential(OWN, trust_in(ROOT, client="C=*, O=Acme, CN=bob"), "bobs"),
        credential(OWN, trust_in(ROOT, client="C=*, O=Acme, CN=*"), "others"),
    )
    dial(host, ROOT.issue("bob"))
    assert up(host).connection == "bobs"
    host = host_with(
        credential(OWN, trust_in(ROOT, client="C=*, O=Acme, CN=bob"), "bobs"),
        credential(OWN, trust_in(ROOT, client="*@example.org"), "others"),
    )
    dial(host, ALICE)
    assert up(host).connection == "others"


def test_the_nearest_miss_is_told_of() -> None:
    """Bob's entry fails on the name, the other on the authority: it is the name that is wrong."""
    other = Authority("Other CA", number=5)
    host = host_with(
        credential(OWN, trust_in(ROOT, client="C=*, O=Acme, CN=bob"), "bobs"),
        credential(OWN, trust_in(other), "others"),
    )
    client = dial(host, ALICE)
    (refusal,) = host.refusals()
    assert 'id wants "C=*, O=Acme, CN=bob"' in refusal.cause
    assert client.failures


def test_a_revoked_client() -> None:
    host = gateway()
    host.revocation = CertificateError("revoked on Monday")
    client = dial(host, ALICE)
    (refusal,) = host.refusals()
    assert refusal.cause == "revoked on Monday"
    assert client.failures
    assert host.count(Sign) == 0


def test_what_could_not_be_found_out_is_noted() -> None:
    host = gateway()
    host.revocation = RevocationCheck("no CRL of Acme")
    dial(host, ALICE)
    assert [note.text for note in host.told_of(Noted)] == ["no CRL of Acme"]


def test_nothing_is_asked_for_a_chain_that_does_not_verify() -> None:
    """CVE-2022-40617: URLs in the certificate of a stranger were fetched."""
    host = gateway()
    dial(host, Authority(number=7).issue("mallory"))
    assert host.count(ProveClaim) == 1
    assert host.count(CheckRevocation) == 0


def test_the_client_is_told_that_it_is_refused() -> None:
    host = gateway()
    client = dial(host, Authority("Mallory's", number=7).issue("mallory"))
    _, answers = client.talk[-1]
    assert [parse_header(one).exchange_type for one in answers] == [ExchangeType.INFORMATIONAL]
    assert host.refusals()[0].notify == NotifyType.INVALID_CERT_AUTHORITY


def test_a_message_5_that_does_not_decrypt_does_not_end_the_exchange() -> None:
    host = gateway()
    client = Dialin(host, signer=signer(ALICE))
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    (fifth,) = client.take(client.give(third)[0], floated=False)
    forged = fifth.datagram[:28] + bytes(16) + fifth.datagram[44:]
    assert client.give_bytes(forged) == []
    client.run([fifth])
    assert client.told_of(Phase1Up)


def test_two_long_names_that_begin_alike_are_two_clients() -> None:
    """Only the beginning of a name is shown: it is not what one client is told from another by."""
    host = gateway()
    for number in (1, 2):
        who = ROOT.issue(
            distinguished_name("x" * 60 + str(number), organization="y" * 60), number=number
        )
        Dialin(host, IPHONE, inner=f"198.51.100.{number}", signer=signer(who)).main_mode()
    first, second = host.engine.clients
    assert first.identity == second.identity
    assert host.gone() == []


def test_the_same_certificate_from_elsewhere_replaces_its_session() -> None:
    host = gateway()
    for number in (1, 2):
        Dialin(
            host, IPHONE, inner=f"198.51.100.{number}", signer=signer(ALICE), seed=str(number)
        ).main_mode()
    assert len(host.engine.clients) == 1
    assert "connected again from 198.51.100.2" in host.gone()[0].cause


# --- after a reload ------------------------------------------------------------------------------


def test_a_client_that_was_revoked_is_ended_by_a_reload() -> None:
    host = gateway()
    client = dial(host, ALICE)
    host.reconfigure(host.settings)
    assert len(host.engine.clients) == 1
    host.revocation = CertificateError("revoked on Monday")
    trust = replace(trust_in(ROOT, own=OWN), revocation="strict", fetch=True)
    client.deliver(host.reconfigure(with_certificates(credential(OWN, trust))))
    assert [gone.cause for gone in host.gone()] == ["revoked on Monday"]
    assert client.told_of(Closed)
    # Of a crowd nobody is asked for over the network, nor ended because nobody answers.
    asked = [one for one in host.asked if isinstance(one, CheckRevocation)][-1]
    assert asked.trust.revocation == "lenient"
    assert not asked.trust.fetch


@pytest.mark.parametrize(
    "now_trusted",
    [
        trust_in(Authority("Other CA", number=5)),
        trust_in(ROOT, client="C=*, O=Acme, CN=bob"),
    ],
    ids=["another authority", "another client"],
)
def test_a_client_that_nothing_lets_in_any_more_is_ended(now_trusted: Trust) -> None:
    host = gateway()
    dial(host, ALICE)
    host.reconfigure(with_certificates(credential(OWN, now_trusted)))
    assert [gone.cause for gone in host.gone()] == [
        "its [[certificate]] was taken out of the configuration"
    ]


def test_another_certificate_of_the_gateway_ends_nobody() -> None:
    host = gateway()
    dial(host, ALICE)
    host.reconfigure(with_certificates(credential(gateway_identity(ROOT), trust_in(ROOT))))
    assert len(host.engine.clients) == 1
