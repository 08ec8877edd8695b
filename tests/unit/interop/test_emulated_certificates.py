"""Emulated clients that prove themselves by a certificate, and what they want of the server."""

import functools

import pytest

from ikev1.core.effects import IkeSaUp
from interop.certificates import Authority, Identity
from interop.clients import CLIENTS
from interop.emulation.complaints import Step
from interop.emulation.effects import Stopped, Up
from interop.findings import Rule
from interop.initiator.derivation import dh_key
from tests.support.dialled_gateway import DialledGateway
from tests.support.ike_certificates import (
    GATEWAY_NAME,
    credential,
    gateway_identity,
    host_with,
    trust_in,
)

ROOT = Authority(kind="rsa2048")
OWN = gateway_identity(ROOT, "rsa2048")
ALICE = ROOT.issue("alice", kind="rsa2048")

shared_dh = functools.cache(dh_key)


def gateway(own: Identity = OWN) -> DialledGateway:
    return DialledGateway(host_with(credential(own, trust_in(ROOT, own=own)), psk=False))


@pytest.mark.parametrize("name", ["iphone", "android", "windows-10", "strongswan", "libreswan"])
def test_gets_in_and_rekeys_by_its_certificate(name: str) -> None:
    server = gateway()
    machine = server.dial(CLIENTS[name], certificate=ALICE, dialled=GATEWAY_NAME, make_dh=shared_dh)

    assert machine.complaints == []
    assert server.ping(machine, b"inside")
    server.do(machine, machine.engine.rekey_phase1(server.now))
    server.run(2.0)
    assert machine.complaints == []
    assert {event.authentication for event in server.host.told_of(IkeSaUp)} == {"rsa"}
    assert {event.identity for event in server.host.told_of(IkeSaUp)} == {"C=DE, O=Acme, CN=alice"}
    server.hang_up(machine)
    assert server.host.inbound == {}


def test_who_looks_for_the_dialled_name() -> None:
    """Apple's clients want it in subjectAltName; it is no reason for the others."""
    machines = {
        name: gateway().dial(
            CLIENTS[name], certificate=ALICE, dialled="vpn.other.example", make_dh=shared_dh
        )
        for name in ("iphone", "macos-10.5", "android", "strongswan")
    }

    stopped = {name: machine.of(Stopped) for name, machine in machines.items()}
    assert [name for name, events in stopped.items() if events] == ["iphone", "macos-10.5"]
    complaint = stopped["iphone"][0].complaint
    assert (complaint.step, complaint.rule) == (Step.MESSAGE_6, Rule.SERVER_NAME)
    assert complaint.detail == (
        "dialled vpn.other.example, but the certificate is for vpn.example.org"
    )


def test_a_client_without_certificates_says_so() -> None:
    with pytest.raises(ValueError, match=r"Mac OS X 10\.3 knows preshared keys alone"):
        gateway().add(CLIENTS["macos-10.3"], certificate=ALICE)


def test_a_stranger_is_not_let_in() -> None:
    stranger = Authority("Other root", kind="rsa2048").issue("mallory", kind="rsa2048")
    server = gateway()
    machine = server.dial(
        CLIENTS["iphone"], certificate=stranger, dialled=GATEWAY_NAME, make_dh=shared_dh
    )

    assert machine.of(Up) == []
    (stopped,) = machine.of(Stopped)
    assert stopped.complaint.step is Step.MESSAGE_6
    assert server.host.inbound == {}
