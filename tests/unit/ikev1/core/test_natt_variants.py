"""Each variant of NAT traversal named alone, in each position of NATs, and our public address."""

from dataclasses import replace

import pytest

from ikev1.core.effects import IkeSaUp
from ikev1.core.natt import packed
from ikev1.wire.enums import EncapsulationMode, IdType, PayloadType
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import NatOa
from interop.clients.ike import STRONGSWAN
from interop.initiator.checks import Cause
from interop.initiator.effects import Phase1Up
from interop.initiator.profiles import (
    APPLE_NAT_T,
    DRAFT_00,
    DRAFT_02,
    DRAFT_02_N,
    DRAFT_03,
    LATE_DRAFTS,
    RFC_3947,
    only,
)
from tests.support.ike_dialin import CLIENT, NAT, PRIVATE, Dialin, agree
from tests.support.ike_host import IkeHost, settings

FAST = only(STRONGSWAN, STRONGSWAN.phase1[3])
HIDDEN = "172.16.0.2"
PUBLIC = "203.0.113.80"

NUMBERS = {
    RFC_3947: (PayloadType.NAT_D, EncapsulationMode.UDP_TRANSPORT),
    DRAFT_03: (PayloadType.NAT_D_DRAFT, EncapsulationMode.UDP_TRANSPORT_DRAFT),
    DRAFT_02_N: (PayloadType.NAT_D_DRAFT, EncapsulationMode.UDP_TRANSPORT_DRAFT),
    DRAFT_02: (PayloadType.NAT_D_DRAFT, EncapsulationMode.UDP_TRANSPORT_DRAFT),
    DRAFT_00: (PayloadType.NAT_D_DRAFT, EncapsulationMode.UDP_TRANSPORT_DRAFT),
    **dict.fromkeys(
        (*LATE_DRAFTS, APPLE_NAT_T), (PayloadType.NAT_D_DRAFT_04, EncapsulationMode.UDP_TRANSPORT)
    ),
}
"""Vendor ID to the number of NAT-D and the mode behind a NAT."""
POSITIONS = ("none", "client", "server", "both")


def dial(host: IkeHost, position: str, vendor_ids: tuple[bytes, ...] = FAST.vendor_ids) -> Dialin:
    """A client, with a NAT before whom `position` names."""
    hidden_client = position in ("client", "both")
    hidden_server = position in ("server", "both")
    client = Dialin(
        host,
        replace(FAST, vendor_ids=vendor_ids),
        inner=PRIVATE if hidden_client else CLIENT,
        nat=NAT if hidden_client else None,
        ports=(61000, 61001) if hidden_client else (500, 4500),
        gateway=HIDDEN if hidden_server else PUBLIC,
        dialled=PUBLIC,
    )
    return client.main_mode()


def check_up(client: Dialin) -> None:
    assert client.failures == []
    # A hidden gateway names its real address in NAT-OA, which the client does not know.
    hidden = client.dialled != client.gateway
    causes = {cause for cause, _ in client.initiator.findings}
    assert causes <= ({Cause.QM2_NAT_OA} if hidden else set())
    child = client.child()
    assert agree(client.sas[-1], child)
    assert client.host.outbound == {child.inbound_spi: child}


def both_see(client: Dialin) -> tuple[str, str]:
    """Who is behind a NAT, as the gateway and as the client have found out."""
    (theirs,) = client.told_of(Phase1Up)
    names = {
        (False, False): "none",
        (True, False): "client",
        (False, True): "server",
        (True, True): "both",
    }
    (ours,) = client.host.told_of(IkeSaUp)
    return ours.nat, names[theirs.client_behind_nat, theirs.server_behind_nat]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("vendor_id", NUMBERS)
def test_named_alone(vendor_id: bytes, position: str) -> None:
    client = dial(IkeHost(settings(esp_on_ike_port=True)), position, (vendor_id,))
    sas = client.quick_mode()
    check_up(client)
    assert both_see(client) == (position, position)
    nat_d, mode = NUMBERS[vendor_id]
    assert client.initiator._session.nat_t is not None
    assert client.initiator._session.nat_t.nat_d == nat_d
    assert sas.mode == (EncapsulationMode.TRANSPORT if position == "none" else mode)
    assert client.child().encapsulated is (position != "none")
    assert client.floated is (position != "none" and vendor_id != DRAFT_00)
    port = 4500 if client.floated else 500
    assert (client.child().path.local_port, client.child().path) == (port, client.ike_sa.path)


def test_draft_00_follows_a_nat_that_rebinds_on_port_500() -> None:
    host = IkeHost(settings(esp_on_ike_port=True))
    client = dial(host, "client", (DRAFT_00,))
    client.quick_mode()
    client.ports = (62000, 62001)
    client.run(client.initiator.are_you_there(1))
    assert client.child().path.remote_port == 62000
    assert host.outbound[client.child().inbound_spi].path.remote_port == 62000
    host.moved(client.child().inbound_spi, NAT, 63000)
    assert client.child().path.remote_port == client.ike_sa.path.remote_port == 63000
    assert not client.child().path.encapsulated


@pytest.mark.parametrize("named", [(), (DRAFT_00,)], ids=["none", "draft-00"])
def test_without_a_variant_that_is_served(named: tuple[bytes, ...]) -> None:
    """No NAT is looked for; bare ESP works where there is none. Not every kernel has draft -00."""
    client = dial(IkeHost(), "none", named)
    client.quick_mode()
    check_up(client)
    assert not client.child().encapsulated

    host = IkeHost()
    client = dial(host, "client", named)
    client.run(client.initiator.quick_mode(host.now))
    (refused,) = host.refusals()
    assert "no NAT is between us" in refused.cause
    assert host.inbound == {}


# --- the gateway's public address ----------------------------------------------------------------


@pytest.mark.parametrize("vendor_id", NUMBERS)
@pytest.mark.parametrize("position", ["server", "both"])
def test_a_public_address_hides_the_nat_before_us(position: str, vendor_id: bytes) -> None:
    host = IkeHost(settings(public_address=PUBLIC, esp_on_ike_port=True))
    client = dial(host, position, (vendor_id,))
    client.quick_mode()
    check_up(client)
    # Without a NAT of its own the client is made to see one, or its ESP would come bare.
    assert both_see(client) == (position, "client")
    assert client.child().encapsulated


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("configured", [None, PUBLIC])
def test_our_identity(position: str, configured: str | None) -> None:
    client = dial(IkeHost(settings(public_address=configured)), position)
    (up,) = client.told_of(Phase1Up)
    hidden = position in ("server", "both")
    expected = HIDDEN if hidden and not configured else PUBLIC
    assert up.server_id.id_type == IdType.IPV4_ADDR
    assert up.server_id.data == packed(expected)


@pytest.mark.parametrize("position", ["none", "client"])
def test_a_public_address_is_not_told_to_those_who_come_without_nat(position: str) -> None:
    """Such as clients in the gateway's own network."""
    client = dial(IkeHost(settings(public_address="192.0.2.99")), position)
    client.quick_mode()
    check_up(client)
    assert both_see(client) == (position, position)


def quick_mode_2(client: Dialin) -> Payloads:
    """What the gateway has answered to the last Quick Mode, decrypted."""
    question, answer = next(
        (question, answers[0]) for question, answers in reversed(client.talk) if answers
    )
    sa = client.ike_sa
    header = parse_header(question[4:])
    _, iv = sa.open_hashed(header, question[4 + HEADER_LENGTH :])
    payloads, _ = sa.open(parse_header(answer[4:]), answer[4 + HEADER_LENGTH :], iv)
    return payloads


@pytest.mark.parametrize(
    ("vendor_id", "number"),
    [(RFC_3947, PayloadType.NAT_OA), (DRAFT_02_N, PayloadType.NAT_OA_DRAFT)],
)
def test_nat_oa_has_our_real_address(vendor_id: bytes, number: PayloadType) -> None:
    """RFC 3947 section 5.2: the client mends checksums that were made with it."""
    client = dial(IkeHost(settings(public_address=PUBLIC)), "both", (vendor_id,))
    client.quick_mode()
    original = quick_mode_2(client).all(NatOa)
    assert [item.address for item in original] == [packed(NAT), packed(HIDDEN)]
    assert {item.type for item in original} == {number}


@pytest.mark.parametrize("vendor_id", [*LATE_DRAFTS, APPLE_NAT_T])
def test_no_nat_oa_for_those_who_send_none(vendor_id: bytes) -> None:
    client = dial(IkeHost(), "both", (vendor_id,))
    client.quick_mode()
    assert quick_mode_2(client).all(NatOa) == ()
