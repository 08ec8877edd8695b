"""The initiator answers a Main Mode that the gateway begins, and goes on under what comes of it."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikev1.core.credentials import Credentials
from ikev1.core.effects import IkeSaUp
from ikev1.core.exchange import ConnectionSettings
from ikev1.wire.enums import EncryptionAlgorithm, ExchangeType, Group, HashAlgorithm
from ikev1.wire.header import parse_header
from interop.certificates import Authority
from interop.clients.ike import STRONGSWAN
from interop.initiator.checks import Cause
from interop.initiator.effects import Phase1Up, Send
from interop.initiator.engine import Initiator
from interop.initiator.profiles import Phase1Offer, Profile, only
from interop.initiator.session import ClientPath
from tests.support.ike_certificates import credential, gateway_identity, signer, trust_in
from tests.support.ike_dialin import Dialin, Sent
from tests.support.ike_host import PSK, IkeHost, deterministic, settings

OFFER = Phase1Offer(EncryptionAlgorithm.AES_CBC, 128, HashAlgorithm.SHA1, Group.ECP_256)
LIFETIME = 3600
CLIENT = replace(only(STRONGSWAN, OFFER), phase1_lifetime=LIFETIME, esp_lifetime=10 * LIFETIME)
AUTHORITY = Authority()


def gateway(*, certificates: bool) -> IkeHost:
    rekeying = settings(default=ConnectionSettings(dpd_delay=0.0, rekey=True))
    if certificates:
        own = gateway_identity(AUTHORITY)
        mine = credential(own, trust_in(AUTHORITY, own=own))
        rekeying = replace(rekeying, credentials=Credentials([], [mine]))
    return IkeHost(rekeying)


def dialled(host: IkeHost, *, nat: bool, certificates: bool) -> Dialin:
    client = Dialin.behind_nat(host, CLIENT) if nat else Dialin(host, CLIENT)
    client.signer = signer(AUTHORITY.issue("alice")) if certificates else None
    return client.again("client").connect()


def begun(host: IkeHost) -> tuple[bytes, bool, Sent]:
    """Message 1 without the non-ESP marker, whether it comes on port 4500, and as it was sent."""
    for path, datagram in (sent := host.advance(host.now + 0.95 * LIFETIME)):
        message = datagram[4 * path.encapsulated :]
        header = parse_header(message) if len(message) > 28 else None
        if header and header.exchange_type == ExchangeType.IDENTITY_PROTECTION:
            return message, path.encapsulated, [(path, datagram)]
    raise AssertionError(sent)


def answering(
    client: Dialin, message: bytes, *, floated: bool, profile: Profile = CLIENT, psk: bytes = PSK
) -> Dialin:
    """The same client with an engine for this message 1, which it has not got yet."""
    successor, port = client.again("answer"), 4500 if floated else 500
    successor.initiator = Initiator(
        profile,
        psk,
        ClientPath(ip_address(client.inner), ip_address(client.gateway), port, port),
        deterministic("answer"),
        floated=floated,
        first_contact=False,
        signer=client.signer,
        begun_by_server=message[:8],
    )
    return successor


@pytest.mark.parametrize("certificates", [False, True], ids=["psk", "certificate"])
@pytest.mark.parametrize("nat", [False, True], ids=["no NAT", "NAT"])
def test_what_comes_of_it_carries_a_quick_mode(nat: bool, certificates: bool) -> None:
    host = gateway(certificates=certificates)
    client = dialled(host, nat=nat, certificates=certificates)
    message, floated, sent = begun(host)
    assert floated is nat
    successor = answering(client, message, floated=floated)
    successor.deliver(sent)
    assert len(successor.told_of(Phase1Up)) == 1
    assert [event.ours for event in host.told_of(IkeSaUp)] == [False, True]
    sas = successor.quick_mode()
    assert int.from_bytes(sas.outbound_spi) in host.inbound


def test_a_question_that_is_repeated_gets_the_same_answer() -> None:
    host = gateway(certificates=False)
    client = dialled(host, nat=True, certificates=False)
    message, floated, sent = begun(host)
    successor = answering(client, message, floated=floated)
    question = sent[0][1]
    for _ in ("message 2", "message 4"):
        (answer,) = successor.initiator.receive(question, floated, host.now)
        assert isinstance(answer, Send)
        assert successor.initiator.receive(question, floated, host.now) == [answer]
        (question,) = successor.give(answer)
    effects = successor.initiator.receive(question, floated, host.now)
    assert [type(effect) for effect in effects] == [Send, Phase1Up]
    assert successor.initiator.receive(question, floated, host.now) == effects[:1]


def test_an_offer_of_other_terms_is_refused() -> None:
    host = gateway(certificates=False)
    client = dialled(host, nat=False, certificates=False)
    message, floated, sent = begun(host)
    shorter = replace(CLIENT, phase1_lifetime=LIFETIME // 2)
    successor = answering(client, message, floated=floated, profile=shorter)
    successor.deliver(sent)
    assert [failure.cause for failure in successor.failures] == [Cause.MM1_OFFER]


def test_a_gateway_with_another_key_proves_nothing() -> None:
    host = gateway(certificates=False)
    client = dialled(host, nat=False, certificates=False)
    message, floated, sent = begun(host)
    successor = answering(client, message, floated=floated, psk=b"another key")
    successor.deliver(sent)
    assert [failure.cause for failure in successor.failures] == [Cause.CIPHERTEXT]
    assert len(host.told_of(IkeSaUp)) == 1
