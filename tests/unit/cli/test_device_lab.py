"""`ikectl lab`: what it makes, and what it says of devices that come, or stop."""

from __future__ import annotations

import functools
import json
import plistlib
import stat
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from cli.ikectl.errors import CommandError
from cli.ikectl.lab.causes import CAUSES, NEXT, Circumstance, Step, why
from cli.ikectl.lab.gateway import Trace
from cli.ikectl.lab.narrator import Narrator
from cli.ikectl.lab.setup import USER, prepare
from cli.ikev1d.config import load
from ikev1.core.effects import Path as IkePath
from ikev1.wire.enums import ExchangeType
from ikev1.wire.message import build_message
from interop.clients import CLIENTS
from interop.initiator.derivation import dh_key
from tests.support.ike_host import EVERY_IKE
from tests.support.recorded_gateway import RecordedGateway

shared_dh = functools.cache(dh_key)
ADDRESS = IPv4Address("192.168.1.5")


class Told:
    """What is said of a device of a kind; `before` may change the gateway first."""

    def __init__(self, kind: str, gateway: RecordedGateway | None = None, **how: Any) -> None:
        self.gateway = gateway or RecordedGateway()
        self.gateway.dial(CLIENTS[kind], make_dh=shared_dh, **how)
        self.narrator = Narrator()
        self.lines: list[str] = []
        for line in self.gateway.lines:
            record = json.loads(line)
            self.lines += self.narrator.wait(record["at"])
            self.lines += self.narrator.take(record)
        self.lines += self.narrator.wait(self.gateway.now + 100.0)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def end(self) -> str:
        return "\n".join(self.narrator.summary())


# --- devices that connect ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["iphone", "windows-10", "android", "strongswan"])
def test_a_device_that_connects_is_followed_step_by_step(kind: str) -> None:
    told = Told(kind)
    at = -1
    for step in Step:
        if step in (Step.NOTHING, Step.LCP, Step.LOGIN, Step.IPCP, Step.UP):
            continue
        found = next(number for number, line in enumerate(told.lines) if f" {step.value}" in line)
        assert found > at, step
        at = found
    assert "LCP Configure-Ack" in told.text
    assert "IPCP Configure-Ack" in told.text
    assert "== connected, by mschapv2" in told.text
    assert "!!" not in told.text
    assert told.narrator.connected == 1
    assert told.end.endswith("it was connected")


def test_what_is_offered_and_taken_is_told() -> None:
    text = Told("iphone").text
    assert "14 proposals, first AES_CBC 256 PRE_SHARED_KEY SHA2_256 MODP_2048" in text
    assert "vendor IDs RFC 3947, draft-ietf-ipsec-nat-t-ike" in text
    assert "NAT before: client, apple" in text
    assert "next: it should begin Quick Mode, within 10 s" in text


def test_rekeys_and_the_hang_up_are_told() -> None:
    gateway = RecordedGateway()
    machine = gateway.dial(CLIENTS["iphone"], make_dh=shared_dh)
    gateway.do(machine, machine.engine.rekey_phase2(gateway.now))
    gateway.run(2.0)
    gateway.do(machine, machine.engine.rekey_phase1(gateway.now))
    gateway.run(2.0)
    gateway.hang_up(machine)
    narrator = Narrator()
    text = "\n".join(line for record in gateway.lines for line in narrator.take(json.loads(record)))

    assert "== ESP SAs renewed" in text
    assert "== IKE SA renewed" in text
    assert "device  -> LCP TERMINATE_REQUEST" in text
    assert "== gone: deleted by the client" in text
    assert narrator.wait(1e6) == []


def test_traffic_is_told_at_first_and_then_now_and_then() -> None:
    told = Told("iphone")
    (client,) = {json.loads(line).get("client") for line in told.gateway.lines} - {None}

    first = told.narrator.traffic(client, 1000, 500, 10.0)
    assert [line.partition("== ")[2] for line in first] == [
        "ESP of the device comes, and is opened",
        "in ESP so far: 1000 octets from it, 500 to it",
    ]
    assert told.narrator.traffic(client, 2000, 500, 13.0) == []
    assert told.narrator.traffic(client, 2000, 500, 90.0) == []
    assert "3000 octets from it" in told.narrator.traffic(client, 3000, 500, 93.0)[0]
    assert told.narrator.traffic("nobody", 1, 1, 94.0) == []


# --- devices that stop ---------------------------------------------------------------------------


def test_nobody_comes() -> None:
    narrator = Narrator()
    assert narrator.wait(NEXT[Step.NOTHING].seconds - 1) == []
    assert "no packet of the device has reached UDP port 500" in "\n".join(narrator.wait(200.0))
    assert narrator.wait(300.0) == []
    assert narrator.summary() == ["no device has come"]


def test_a_wrong_secret() -> None:
    told = Told("iphone", psk=b"wrong")
    assert "Main Mode message 5, who the device is, on UDP port 4500" in told.text
    assert "!! refused: " in told.text
    assert "what to do: make the client's secret and the [[psk]] the same" in told.end


def test_a_wrong_password() -> None:
    told = Told("iphone", password="wrong")
    assert "!! login refused" in told.text
    assert "it came to the login" in told.end


def test_nothing_that_the_gateway_takes_is_offered() -> None:
    nothing = replace(EVERY_IKE, groups=frozenset({"modp8192"}))
    told = Told("iphone", RecordedGateway(ike=nothing))
    assert "!! refused: " in told.text
    assert "it came to Main Mode message 1" in told.end


def test_message_2_does_not_arrive() -> None:
    gateway = RecordedGateway()
    gateway.ike_to_client = lambda datagram: bytes(len(datagram))
    told = Told("iphone", gateway)
    assert "device  -> the same Main Mode message again" in told.text
    assert "likely cause: the device does not get message 2, or ignores it" in told.text
    assert told.text.count("it stopped") == 1


class Port4500Blocked(RecordedGateway):
    def _ike_reaches_host(self, datagram: bytes, path: IkePath) -> None:
        if not path.encapsulated:
            super()._ike_reaches_host(datagram, path)


def test_udp_4500_is_blocked() -> None:
    told = Told("iphone", Port4500Blocked())
    assert "!! it stopped: it should send message 5, on UDP port 4500" in told.text
    assert "let UDP port 4500 in" in told.text


class EspBlocked(RecordedGateway):
    def _esp_arrives(self, packet: bytes, path: IkePath) -> None:
        pass


@pytest.mark.parametrize(
    ("nat", "remedy"), [(True, "UDP port 4500"), (False, "let IP protocol 50 in")]
)
def test_esp_is_blocked(nat: bool, remedy: str) -> None:
    told = Told("iphone", EspBlocked(), nat=nat)
    assert "!! it stopped: it should send SCCRQ through ESP" in told.text
    assert remedy in told.end


def test_esp_is_opened_and_no_l2tp_comes_out_of_it() -> None:
    told = Told("iphone", EspBlocked())
    (client,) = {json.loads(line).get("client") for line in told.gateway.lines} - {None}
    told.narrator.traffic(client, 1000, 0, 10.0)
    assert "let UDP port 1701 in where it comes through IPsec" in told.end


def test_our_esp_does_not_arrive() -> None:
    gateway = RecordedGateway()
    gateway.to_client = lambda datagram: None
    told = Told("iphone", gateway)
    assert "its ESP comes, ours does not" in told.end


def test_aggressive_mode_is_told_with_its_remedy() -> None:
    gateway = RecordedGateway()
    path = IkePath("203.0.113.1", 500, "198.51.100.7", 500)
    gateway.host.receive(build_message(b"\1" * 8 + bytes(8), ExchangeType.AGGRESSIVE, 0, []), path)
    narrator = Narrator()
    lines = [line for record in gateway.lines for line in narrator.take(json.loads(record))]
    assert "leave the group name (iPhone, Mac)" in "\n".join(lines)


# --- the table of causes -------------------------------------------------------------------------


def test_each_step_at_which_a_device_may_stop_has_a_cause() -> None:
    for step in NEXT:
        assert why(step, frozenset()) in [cause for known, _, cause in CAUSES if known is step]


def test_no_cause_stands_behind_one_that_always_fits_before_it() -> None:
    for number, (step, needs, _) in enumerate(CAUSES):
        before = [entry[1] for entry in CAUSES[:number] if entry[0] is step]
        assert not any(earlier <= needs for earlier in before), (step, needs)


def test_windows_and_a_gateway_behind_a_nat() -> None:
    both = frozenset({Circumstance.WINDOWS, Circumstance.SERVER_NAT})
    assert "AssumeUDPEncapsulationContextOnSendRule" in why(Step.QUICK_3, both).remedy


# --- what it makes -------------------------------------------------------------------------------


def test_the_configuration_is_good_and_private(tmp_path: Path) -> None:
    lab = prepare(tmp_path / "lab", ADDRESS)
    config = load(lab.configuration)

    assert stat.S_IMODE(lab.directory.stat().st_mode) == 0o700
    for path in lab.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert config.users[USER].secret.reveal() == lab.password.encode()
    profile = plistlib.loads((lab.directory / "profile.mobileconfig").read_bytes())
    assert lab.fields()["secret"].encode() in repr(profile).encode()
    assert str(ADDRESS) in (lab.directory / "fields.txt").read_text()
    assert lab.fields()["secret"] not in repr(lab)
    assert lab.password not in repr(lab)


def test_with_certificates_it_has_a_ca_of_its_own(tmp_path: Path) -> None:
    lab = prepare(tmp_path / "lab", ADDRESS, certificate=True)
    config = load(lab.configuration)

    assert config.psks == ()
    assert len(config.certificates) == 1
    assert lab.fields().keys() == {"server", "account", "password", "passphrase"}
    profile = (lab.directory / "profile.mobileconfig").read_text()
    assert lab.passphrase not in profile
    assert lab.passphrase not in repr(lab)
    container = lab.directory / "pki" / "clients" / "lab.p12"
    load_pkcs12(container.read_bytes(), lab.passphrase.encode())


def test_each_lab_has_secrets_of_its_own(tmp_path: Path) -> None:
    labs = [prepare(tmp_path / name, ADDRESS) for name in "ab"]
    secrets = [lab.fields()[name] for lab in labs for name in ("secret", "password")]
    assert len(set(secrets)) == len(secrets)


def test_a_lab_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    prepare(tmp_path / "lab", ADDRESS)
    with pytest.raises(CommandError, match="is there already"):
        prepare(tmp_path / "lab", ADDRESS)


def test_a_trace_is_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text('{"event": "a"}\n{"event":')
    trace = Trace(path)
    assert list(trace.new()) == [{"event": "a"}]
    with path.open("a") as more:
        more.write(' "b"}\n')
    assert list(trace.new()) == [{"event": "b"}]
    trace.close()
