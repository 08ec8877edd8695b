"""A gateway with one thing broken: who complains, at which step and of what; the others do not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from ikev1.core import context, informational, main_mode, proposals, quick_mode
from ikev1.core.effects import ChildSa
from ikev1.core.ike_sa import IkeSa
from ikev1.wire.enums import (
    Doi,
    ExchangeType,
    IkeAttribute,
    IpsecAttribute,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikev1.wire.message import build_message, build_payloads, parse_message
from ikev1.wire.payloads import Hash, NatOa, Notification
from ikev1.wire.sa import Attribute, SaPayload
from interop.clients import CLIENTS
from interop.emulation.complaints import Step
from interop.emulation.effects import Stopped, Up
from interop.findings import Rule
from interop.initiator.checks import Cause
from interop.initiator.derivation import dh_key
from l2tp.core.lns import Lns
from l2tp.wire.packet import CONTROL_HEADER_SIZE
from tests.support.dialled_gateway import DialledGateway, Machine
from tests.support.ike_host import IkeHost, settings

CONTENT = bytes(range(256))
EVERYBODY = ("iphone", "macos-10.4", "android", "windows-10", "windows-xp-sp2", "strongswan")
"""One for each way in which clients differ about what they mind."""
RACOONS = {"iphone", "macos-10.4", "android"}
OTHERS = ("windows-10", "windows-xp-sp2", "strongswan")

shared_dh = functools.cache(dh_key)

Broken = Callable[..., Any]
Outcome = tuple[Step, Cause | Rule]


@pytest.fixture
def break_gateway(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, Broken], None]:
    """Put a broken function, which gets the sound one first, in the place of a sound one."""

    def put(module: Any, name: str, broken: Broken) -> None:
        monkeypatch.setattr(module, name, functools.partial(broken, getattr(module, name)))

    return put


def dial(
    name: str, *, kernel: Callable[[ChildSa], ChildSa] = lambda child: child, **how: Any
) -> Machine:
    gateway = DialledGateway()
    gateway.installed = kernel
    return gateway.dial(CLIENTS[name], make_dh=shared_dh, **how)


def dial_all(names: Sequence[str] = EVERYBODY, **how: Any) -> dict[str, Machine]:
    return {name: dial(name, **how) for name in names}


def stops(machines: dict[str, Machine]) -> dict[str, Outcome]:
    """Where each has given up, and of what, of those that have; all others are connected."""
    outcomes: dict[str, Outcome] = {}
    for name, machine in machines.items():
        if stopped := machine.of(Stopped):
            outcomes[name] = (stopped[0].complaint.step, stopped[0].complaint.rule)
        else:
            assert machine.of(Up), name
    return outcomes


def remarks(machines: dict[str, Machine]) -> dict[str, list[Cause | Rule]]:
    """What those that do not mind have seen."""
    return {
        name: [complaint.rule for complaint in machine.complaints]
        for name, machine in machines.items()
        if machine.complaints and not machine.of(Stopped)
    }


def notification() -> Notification:
    return Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, b"", b"")


def test_a_sound_gateway_hears_no_complaints() -> None:
    machines = dial_all()

    assert stops(machines) == {}
    assert remarks(machines) == {}


def test_a_notification_in_message_2(break_gateway: Any) -> None:
    def with_notification(sound: Broken, *args: Any, **more: Any) -> bytes:
        header, payloads = parse_message(sound(*args, **more))
        cookies = header.initiator_cookie + header.responder_cookie
        values = [*payloads.values, notification()]
        return build_message(cookies, header.exchange_type, 0, values)

    break_gateway(main_mode, "_message_2", with_notification)
    machines = dial_all()

    assert stops(machines) == dict.fromkeys(RACOONS, (Step.MESSAGE_2, Cause.MM2_PAYLOADS))
    assert str(machines["iphone"].complaints[0]) == (
        "racoon ignores message 2: payload N is not allowed"
    )
    assert remarks(machines) == {name: [Cause.MM2_PAYLOADS] for name in OTHERS}


def test_a_vendor_id_in_message_2_of_quick_mode(break_gateway: Any) -> None:
    from ikev1.wire.payloads import VendorId

    def with_vendor_id(sound: Broken, *args: Any) -> tuple[Any, ...]:
        return (*sound(*args), VendorId(b"some vendor"))

    break_gateway(quick_mode, "_original_addresses", with_vendor_id)
    machines = dial_all()

    assert stops(machines) == dict.fromkeys(RACOONS, (Step.QUICK_MODE, Cause.QM2_PAYLOADS))
    assert str(machines["android"].complaints[0]) == (
        "racoon ignores message 2 of Quick Mode: payload VID is not allowed"
    )


def test_another_transform_number(break_gateway: Any) -> None:
    def renumbered(sound: Broken, *args: Any) -> SaPayload:
        answer: SaPayload = sound(*args)
        (proposal,) = answer.proposals
        if proposal.protocol_id != ProtocolId.ESP:
            return answer
        (transform,) = proposal.transforms
        changed = structs.replace(proposal, transforms=(structs.replace(transform, number=77),))
        return structs.replace(answer, proposals=(changed,))

    break_gateway(proposals, "answer", renumbered)
    machines = dial_all()

    assert stops(machines) == dict.fromkeys(RACOONS, (Step.QUICK_MODE, Cause.QM2_TRANSFORM))
    assert machines["iphone"].complaints[0].detail == "number 77 was not offered"
    assert remarks(machines) == {name: [Cause.QM2_TRANSFORM] for name in OTHERS}


def encapsulation(mode: int) -> Broken:
    """A gateway that answers with this encapsulation mode, whatever was offered."""

    def answer(sound: Broken, *args: Any) -> SaPayload:
        good: SaPayload = sound(*args)
        (proposal,) = good.proposals
        (transform,) = proposal.transforms
        attributes = tuple(
            Attribute(part.type, mode)
            if proposal.protocol_id == ProtocolId.ESP
            and part.type == IpsecAttribute.ENCAPSULATION_MODE
            else part
            for part in transform.attributes
        )
        changed = structs.replace(
            proposal, transforms=(structs.replace(transform, attributes=attributes),)
        )
        return structs.replace(good, proposals=(changed,))

    return answer


def test_tunnel_mode_in_the_place_of_transport_mode(break_gateway: Any) -> None:
    break_gateway(proposals, "answer", encapsulation(3))
    machines = dial_all()

    stop = (Step.QUICK_MODE, Cause.QM2_ENCAPSULATION_MODE)
    assert stops(machines) == dict.fromkeys(EVERYBODY, stop)


def test_the_number_of_another_variant_is_taken_but_seen(break_gateway: Any) -> None:
    """racoon maps all of them to transport mode."""
    break_gateway(proposals, "answer", encapsulation(61444))
    machines = dial_all()

    assert stops(machines) == {}
    assert remarks(machines) == {
        name: [Cause.QM2_ATTRIBUTES] for name in EVERYBODY if name != "windows-xp-sp2"
    }


def test_encapsulation_in_udp_where_there_is_no_nat(break_gateway: Any) -> None:
    break_gateway(proposals, "answer", encapsulation(4))
    machines = dial_all(nat=False)

    stop = (Step.QUICK_MODE, Cause.QM2_ENCAPSULATION_MODE)
    assert stops(machines) == dict.fromkeys(EVERYBODY, stop)


@pytest.mark.parametrize("wrong", ["number", "address"])
def test_wrong_nat_oa(break_gateway: Any, wrong: str) -> None:
    other = {
        PayloadType.NAT_OA: PayloadType.NAT_OA_DRAFT,
        PayloadType.NAT_OA_DRAFT: PayloadType.NAT_OA,
    }

    def original_addresses(sound: Broken, *args: Any) -> tuple[NatOa, ...]:
        items: tuple[NatOa, ...] = sound(*args)
        if wrong == "number":
            return tuple(structs.replace(item, type=other[item.type]) for item in items)
        return tuple(structs.replace(item, address=bytes(4)) for item in items)

    break_gateway(quick_mode, "_original_addresses", original_addresses)
    machines = dial_all()

    assert stops(machines) == {}
    # Apple's own variant, which 10.4 speaks, has no NAT-OA.
    assert remarks(machines) == {
        name: [Cause.QM2_NAT_OA] for name in EVERYBODY if name != "macos-10.4"
    }


def swapped(child: ChildSa) -> ChildSa:
    return replace(
        child,
        inbound_encryption_key=child.outbound_encryption_key,
        inbound_integrity_key=child.outbound_integrity_key,
        outbound_encryption_key=child.inbound_encryption_key,
        outbound_integrity_key=child.inbound_integrity_key,
    )


def test_keys_of_the_two_directions_swapped() -> None:
    machines = dial_all(kernel=swapped)

    assert stops(machines) == dict.fromkeys(EVERYBODY, (Step.TUNNEL, Rule.SILENCE))


def test_a_wrong_key_towards_the_client() -> None:
    def wrong(child: ChildSa) -> ChildSa:
        return replace(child, outbound_integrity_key=bytes(len(child.outbound_integrity_key)))

    machine = dial("iphone", kernel=wrong)

    seen = [complaint.rule for complaint in machine.complaints]
    assert seen[0] is Rule.ESP
    assert seen[-1] is Rule.SILENCE


def test_initial_contact_lost(break_gateway: Any) -> None:
    """Seen by who has told it, and gets LCP echoes for the link that it had before.

    That takes an LNS that is broken too: ours also knows a client that redials by its port.
    """
    break_gateway(Lns, "_replace", lambda *_: None)
    break_gateway(informational, "is_first_contact", lambda *_: False)
    break_gateway(context.Context, "forgot", lambda *_: False)
    seen = {}
    for name in EVERYBODY:
        gateway = DialledGateway(IkeHost(settings(dpd_delay=10.0)))
        client = CLIENTS[name]
        before = gateway.vanish(gateway.dial(client, make_dh=shared_dh))
        machine = gateway.dial(client, make_dh=shared_dh, before=before)
        gateway.run(45.0)
        seen[name] = {complaint.rule for complaint in machine.complaints}

    assert seen == {name: {Rule.INITIAL_CONTACT} for name in EVERYBODY}


def test_initial_contact_heeded() -> None:
    for name in EVERYBODY:
        gateway = DialledGateway(IkeHost(settings(dpd_delay=10.0)))
        client = CLIENTS[name]
        before = gateway.vanish(gateway.dial(client, make_dh=shared_dh))
        machine = gateway.dial(client, make_dh=shared_dh, before=before)
        gateway.run(45.0)
        assert machine.of(Up), name
        assert machine.complaints == [], name


def test_no_empty_message_for_scccn() -> None:
    """mtpd goes on with one alone; for the others ICRP acknowledges as well."""
    machines = {}
    for name in EVERYBODY:
        gateway = DialledGateway()
        gateway.to_client = lambda datagram: (
            None if datagram[0] & 0x80 and len(datagram) == CONTROL_HEADER_SIZE else datagram
        )
        machine = gateway.add(CLIENTS[name], make_dh=shared_dh)
        gateway.do(machine, machine.engine.dial(gateway.now))
        gateway.run(5.0)
        waiting = machine.of(Up) == []
        gateway.to_client = lambda datagram: datagram
        if waiting:
            gateway.to_client = lambda datagram: (
                None if len(datagram) == CONTROL_HEADER_SIZE else datagram
            )
            gateway.run(70.0)
        machines[name] = machine

    assert stops(machines) == {"android": (Step.TUNNEL, Rule.NO_ZLB)}
    assert remarks(machines) == {}


def another_lifetime(protocol: ProtocolId, kind: int) -> Broken:
    """A gateway that answers with a lifetime of its own in the place of the one offered."""

    def answer(sound: Broken, *args: Any) -> SaPayload:
        good: SaPayload = sound(*args)
        (proposal,) = good.proposals
        if proposal.protocol_id != protocol:
            return good
        (transform,) = proposal.transforms
        attributes = tuple(
            Attribute(part.type, 1234) if part.type == kind else part
            for part in transform.attributes
        )
        changed = structs.replace(
            proposal, transforms=(structs.replace(transform, attributes=attributes),)
        )
        return structs.replace(good, proposals=(changed,))

    return answer


@pytest.mark.parametrize(
    ("protocol", "kind", "rule"),
    [
        (ProtocolId.ISAKMP, IkeAttribute.LIFE_DURATION, Cause.MM2_ATTRIBUTES),
        (ProtocolId.ESP, IpsecAttribute.LIFE_DURATION, Cause.QM2_ATTRIBUTES),
    ],
)
def test_another_lifetime_than_was_offered(
    break_gateway: Any, protocol: ProtocolId, kind: int, rule: Cause
) -> None:
    break_gateway(proposals, "answer", another_lifetime(protocol, kind))
    machines = dial_all()

    assert stops(machines) == {}
    assert remarks(machines) == {name: [rule] for name in EVERYBODY}


def test_a_wrong_hash_in_what_the_gateway_says_and_deletes(monkeypatch: Any) -> None:
    sound = IkeSa.seal_hashed

    def forged(
        sa: IkeSa, exchange: ExchangeType, message_id: int, values: Any, iv: bytes, *more: bytes
    ) -> tuple[bytes, bytes]:
        if exchange is not ExchangeType.INFORMATIONAL:
            return sound(sa, exchange, message_id, values, iv, *more)
        with_proof = (Hash(bytes(20)), *values)
        return sa._seal(exchange, message_id, with_proof, build_payloads(with_proof), iv)

    monkeypatch.setattr(IkeSa, "seal_hashed", forged)
    for name in EVERYBODY:
        gateway = DialledGateway()
        machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)
        gateway.do(machine, machine.engine.are_you_there(1, gateway.now))
        gateway.run(2.0)
        (stopped,) = machine.of(Stopped)
        assert stopped.complaint.rule is Cause.INFORMATIONAL_HASH, name


def kind_of(datagram: bytes) -> int:
    """The exchange type of an IKE message, with or without the non-ESP marker."""
    return datagram[18 if any(datagram[:4]) else 22]


def without(kind: ExchangeType, datagram: bytes) -> bytes | None:
    """Lose what is of a kind."""
    return None if kind_of(datagram) == kind else datagram


@pytest.mark.parametrize(
    ("rekey", "step"), [(2, Step.REKEY_PHASE_2), (1, Step.REKEY_PHASE_1)], ids=["quick", "main"]
)
def test_no_answer_to_a_rekeying(rekey: int, step: Step) -> None:
    kinds = {1: ExchangeType.IDENTITY_PROTECTION, 2: ExchangeType.QUICK_MODE}
    for name in EVERYBODY:
        gateway = DialledGateway()
        machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)
        gateway.ike_to_client = functools.partial(without, kinds[rekey])
        begin = machine.engine.rekey_phase2 if rekey == 2 else machine.engine.rekey_phase1
        gateway.do(machine, begin(gateway.now))
        gateway.run(200.0)
        (stopped,) = machine.of(Stopped)
        assert (stopped.complaint.step, stopped.complaint.rule) == (step, Cause.TIMEOUT), name


def test_no_answer_to_a_question_for_a_sign_of_life() -> None:
    gateway = DialledGateway()
    machine = gateway.dial(CLIENTS["iphone"], make_dh=shared_dh)
    gateway.ike_to_client = lambda datagram: None
    gateway.do(machine, machine.engine.are_you_there(7, gateway.now))
    gateway.run(10.0)

    (complaint,) = machine.complaints
    assert (complaint.step, complaint.rule) == (Step.ARE_YOU_THERE, Rule.NO_SIGN_OF_LIFE)
    assert complaint.detail == "R-U-THERE 7 is not answered"


def test_a_kernel_that_goes_on_under_the_sa_that_was_replaced() -> None:
    gateway = DialledGateway()
    machine = gateway.dial(CLIENTS["windows-10"], make_dh=shared_dh)
    (first,) = gateway.host.outbound.values()
    gateway.chosen = lambda _: first
    gateway.do(machine, machine.engine.rekey_phase2(gateway.now))
    gateway.run(10.0)

    assert not gateway.ping(machine, CONTENT)
    (complaint,) = machine.complaints
    assert complaint.rule is Rule.REPLACED_SA
    assert complaint.detail.endswith("s after its Delete")


@pytest.mark.parametrize(("name", "goes"), [("iphone", True), ("windows-10", False)])
def test_a_gateway_that_sends_its_clients_elsewhere(
    break_gateway: Any, name: str, goes: bool
) -> None:
    """Ours has no cause to. Apple's would dial 198.51.100.200, the others do not know it."""

    def with_load_balance(sound: Broken, *args: Any) -> bytes:
        sa, message_id, values = args
        elsewhere = bytes((198, 51, 100, 200))
        notify = Notification(
            Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.LOAD_BALANCE, sa.cookies, elsewhere
        )
        message: bytes = sound(sa, message_id, (*values, notify))
        return message

    break_gateway(informational, "make", with_load_balance)
    gateway = DialledGateway()
    machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)
    gateway.do(machine, machine.engine.are_you_there(1, gateway.now))
    gateway.run(2.0)

    assert {complaint.rule for complaint in machine.complaints} == {Rule.REDIRECTED}
    assert machine.complaints[0].detail == "to c6.33.64.c8"
    assert bool(machine.of(Stopped)) is goes
