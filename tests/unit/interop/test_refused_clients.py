"""Clients that begin Aggressive Mode: one refusal, nothing kept, and the operator knows why."""

import pytest

from ikev1.core.effects import Refused
from ikev1.wire.enums import ExchangeType, IdType, NotifyType, PayloadType
from ikev1.wire.message import build_message, parse_message
from ikev1.wire.payloads import Hash, Identification, KeyExchange, Nonce, Notification, VendorId
from ikev1.wire.sa import SaPayload
from interop.clients import REFUSED
from interop.clients.model import Client
from interop.emulation.complaints import Step
from interop.emulation.effects import Stopped
from interop.initiator.checks import Cause
from tests.support.dialled_gateway import DialledGateway

every_client = pytest.mark.parametrize("client", REFUSED.values(), ids=REFUSED)


def refused(client: Client) -> tuple[DialledGateway, Stopped, Refused]:
    """A gateway that has refused a client, why the client stopped, what the operator reads."""
    gateway = DialledGateway()
    machine = gateway.dial(client)
    (stopped,) = machine.of(Stopped)
    (refusal,) = gateway.host.refusals()
    return gateway, stopped, refusal


@every_client
def test_is_refused_within_one_answer_and_leaves_nothing(client: Client) -> None:
    gateway, stopped, refusal = refused(client)
    assert (stopped.complaint.step, stopped.complaint.rule) == (Step.AGGRESSIVE_2, Cause.REFUSED)
    assert stopped.complaint.detail == "UNSUPPORTED_EXCHANGE_TYPE to AM1"
    assert refusal.exchange == "Aggressive Mode"
    assert refusal.notify == NotifyType.UNSUPPORTED_EXCHANGE_TYPE
    assert gateway.host.engine.half_open == 0
    assert len(gateway.host.engine.clients) == 0
    assert gateway.lns.lns.sessions() == []


@pytest.mark.parametrize(
    ("name", "set_on_it", "remedy"),
    [
        (
            "iphone-group-name",
            "the client (Apple) has a group name set, keyid:employees",
            "leave the group name (iPhone, Mac) empty; in a configuration profile LocalIdentifier",
        ),
        (
            "android-identifier",
            "the client (Android) has an IPsec identifier set, keyid:staff",
            "leave the IPsec identifier (Android) empty",
        ),
        (
            "android-identifier-fqdn",
            "the client (Android) has an IPsec identifier set, @staff.example.org",
            "leave the IPsec identifier (Android) empty",
        ),
    ],
)
def test_the_operator_reads_what_is_set_on_the_device(
    name: str, set_on_it: str, remedy: str
) -> None:
    _, _, refusal = refused(REFUSED[name])
    assert refusal.cause == (
        "Aggressive Mode gives a hash of the preshared key to whoever asks: not served; "
        + set_on_it
    )
    assert refusal.remedy == remedy


def test_message_1_is_that_of_racoon() -> None:
    """isakmp_agg.c, agg_i1send: FRAGMENTATION before NAT-T there, the name in clear."""
    gateway = DialledGateway()
    machine = gateway.dial(REFUSED["iphone-group-name"])
    ((floated, datagram),) = machine.line
    header, payloads = parse_message(datagram)
    assert not floated
    assert header.exchange_type is ExchangeType.AGGRESSIVE
    kinds = [payload.type for payload in payloads.values]
    assert kinds[:4] == [PayloadType.SA, PayloadType.KE, PayloadType.NONCE, PayloadType.ID]
    assert set(kinds[4:]) == {PayloadType.VID}
    offer, public, nonce, identity, fragmentation = payloads.values[:5]
    assert isinstance(offer, SaPayload)
    assert len(offer.proposals[0].transforms) == 4
    assert isinstance(public, KeyExchange)
    assert len(public.data) == 2048 // 8
    assert isinstance(nonce, Nonce)
    assert len(nonce.data) == 16
    assert identity == Identification(IdType.KEY_ID, 0, 0, b"employees")
    assert isinstance(fragmentation, VendorId)
    assert fragmentation.data.hex() == "4048b7d56ebce88525e7de7f00d6c2d380000000"


def test_a_gateway_that_serves_it_is_found_out() -> None:
    """One that gives HASH_R away, in the place of the refusal."""

    def served(answer: bytes) -> bytes:
        header, payloads = parse_message(answer)
        assert isinstance(payloads.values[0], Notification)
        cookies = header.initiator_cookie + b"\1" * 8
        return build_message(cookies, ExchangeType.AGGRESSIVE, 0, [Hash(bytes(20))])

    gateway = DialledGateway()
    gateway.ike_to_client = served
    machine = gateway.dial(REFUSED["android-identifier"])
    (stopped,) = machine.of(Stopped)
    assert stopped.complaint.rule is Cause.AGGRESSIVE_MODE
    assert stopped.complaint.detail == "message 2 with HASH"
