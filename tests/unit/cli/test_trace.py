"""The trace of a device: it tells what was said, and nothing that is secret or names somebody."""

from __future__ import annotations

import functools
import json
import stat
from pathlib import Path

import pytest

from cli.ikev1d.trace import recorder as recording
from cli.ikev1d.trace.ike_records import payload_record
from cli.ikev1d.trace.l2tp_records import control_record, ppp_record
from cli.ikev1d.trace.placeholders import Placeholders
from cli.ikev1d.trace.recorder import Recorder, record_to
from ikev1.core.effects import MessageSeen
from ikev1.wire.enums import CertEncoding, IdType
from ikev1.wire.payloads import (
    Certificate,
    Hash,
    Identification,
    KeyExchange,
    Nonce,
    Payload,
    Signature,
)
from interop.clients import CLIENTS
from interop.initiator.derivation import dh_key
from l2tp.core.effects import Peer
from l2tp.wire.avp import Avp, build_avps
from l2tp.wire.enums import AvpType, LcpOption, MessageType, Protocol
from l2tp.wire.packet import ControlMessage
from l2tp.wire.ppp import ControlPacket, Frame, Option, build_options, build_packet
from tests.support.dialled_gateway import DialledGateway
from tests.support.recorded_gateway import RecordedGateway

shared_dh = functools.cache(dh_key)
SECRET = b"SECRET-of-somebody"


@pytest.fixture(scope="module")
def connected() -> RecordedGateway:
    gateway = RecordedGateway()
    machine = gateway.dial(CLIENTS["iphone"], make_dh=shared_dh)
    gateway.hang_up(machine)
    assert machine.complaints == []
    return gateway


def test_main_mode_and_quick_mode_are_told_in_clear(connected: RecordedGateway) -> None:
    main_mode = connected.records("ike", exchange="IDENTITY_PROTECTION")
    kinds = [[payload["type"] for payload in record["payloads"]] for record in main_mode]

    assert [record["from"] for record in main_mode] == ["client", "gateway"] * 3
    assert kinds[0] == ["SA"] + ["VID"] * 12
    assert kinds[4] == ["ID", "HASH", "N"]
    assert kinds[5] == ["ID", "HASH"]
    assert [record["floated"] for record in main_mode] == [False] * 4 + [True] * 2

    quick_mode = connected.records("ike", exchange="QUICK_MODE")
    assert [record["from"] for record in quick_mode] == ["client", "gateway", "client"]
    assert "KEY_LENGTH=256" in quick_mode[1]["payloads"][1]["text"]


def test_l2tp_and_ppp_are_told(connected: RecordedGateway) -> None:
    messages = [record["message"] for record in connected.records("l2tp")]
    assert messages.count("SCCRQ") == messages.count("SCCRP") == messages.count("ICCN") == 1
    assert connected.records("l2tp", message="SCCRQ")[0]["avps"][2]["value"] == b"host-1\0".hex()

    (first, *_) = connected.records("ppp", protocol="LCP", code="CONFIGURE_REQUEST")
    assert [option["type"] for option in first["options"]] == ["ACCM", "MAGIC", "PFC", "ACFC"]
    assert [record["code"] for record in connected.records("ppp", protocol="CHAP")] == [1, 2, 3]
    (up,) = connected.records("told", what="SessionUp")
    assert (up["user"], up["auth"]) == ("user-1", "mschapv2")
    assert connected.records("told", what="ClientDown")


def test_nothing_secret_is_in_it(connected: RecordedGateway) -> None:
    text = "".join(connected.lines)
    assert "alice" not in text
    assert b"iphone".hex() not in text
    for record in connected.records("ike"):
        for payload in record["payloads"]:
            if payload["type"] in ("KE", "NONCE", "HASH", "NAT_D"):
                assert payload.keys() == {"type", "size"}
    for login in connected.records("ppp", protocol="CHAP"):
        assert "options" not in login


@pytest.mark.parametrize(
    "payload",
    [
        KeyExchange(SECRET),
        Nonce(SECRET),
        Hash(SECRET),
        Signature(SECRET),
        Certificate(CertEncoding.X509_SIGNATURE, SECRET),
        Identification(IdType.FQDN, 0, 0, SECRET),
        Identification(IdType.DER_ASN1_DN, 0, 0, SECRET),
        Identification(IdType.KEY_ID, 0, 0, SECRET),
    ],
    ids=lambda payload: str(payload.type),
)
def test_secrets_and_names_in_ike_leave_their_sizes(payload: Payload) -> None:
    text = json.dumps(payload_record(payload, Placeholders()))
    assert SECRET.hex() not in text
    assert SECRET.decode() not in text


@pytest.mark.parametrize(
    "avp",
    [
        Avp(AvpType.HOST_NAME, SECRET),
        Avp(AvpType.CHALLENGE, SECRET),
        Avp(AvpType.CHALLENGE_RESPONSE, SECRET),
        Avp(AvpType.CALLING_NUMBER, SECRET),
        Avp(AvpType.PROXY_AUTHEN_RESPONSE, SECRET),
        Avp(AvpType.VENDOR_NAME, SECRET, hidden=True),
        Avp(AvpType.VENDOR_NAME, SECRET, vendor=311),
    ],
    ids=lambda avp: f"{avp.type}-{avp.vendor}-{avp.hidden}",
)
def test_secrets_and_names_in_l2tp_are_replaced(avp: Avp) -> None:
    kind = Avp(AvpType.MESSAGE_TYPE, MessageType.SCCRQ.to_bytes(2))
    record = control_record(ControlMessage(0, 0, 0, 0, build_avps((kind, avp))), Placeholders())
    assert record["message"] == "SCCRQ"
    assert SECRET.hex() not in json.dumps(record)


@pytest.mark.parametrize("protocol", [Protocol.PAP, Protocol.CHAP, Protocol.EAP])
def test_of_logins_there_is_the_size_alone(protocol: Protocol) -> None:
    frame = Frame(protocol, build_packet(ControlPacket(1, 7, SECRET)))
    record = ppp_record(frame, Placeholders())
    assert record == {
        "protocol": protocol.name,
        "code": 1,
        "identifier": 7,
        "size": len(SECRET),
    }


def test_an_endpoint_discriminator_keeps_its_class_alone() -> None:
    options = build_options((Option(LcpOption.ENDPOINT, b"\1" + SECRET),))
    frame = Frame(Protocol.LCP, build_packet(ControlPacket(1, 1, options)))
    record = ppp_record(frame, Placeholders())
    assert "01" + "00" * len(SECRET) in json.dumps(record)


def test_public_addresses_and_names_are_replaced_and_stay_the_same() -> None:
    names = Placeholders()
    assert names.address("8.8.4.4") == "203.0.113.1"
    assert names.address("9.9.9.9") == "203.0.113.2"
    assert names.address("8.8.4.4") == "203.0.113.1"
    assert names.address("192.168.1.2") == "192.168.1.2"
    assert names.name("user", "alice") == "user-1"
    assert names.text("alice at 8.8.4.4, by 10.0.0.1") == "user-1 at 203.0.113.1, by 10.0.0.1"


def test_what_comes_again_is_told_as_that() -> None:
    gateway = RecordedGateway()
    gateway.ike_to_client = lambda datagram: bytes(len(datagram))
    gateway.dial(CLIENTS["iphone"], make_dh=shared_dh)

    first, *again = gateway.records("ike", **{"from": "client"})
    assert first["payloads"][0]["type"] == "SA"
    assert len(again) >= 2
    assert all(record["again"] and record["cookies"] == first["cookies"] for record in again)
    assert gateway.records("ike", again=True, **{"from": "gateway"})


def test_a_wrong_secret_is_told_with_its_remedy() -> None:
    gateway = RecordedGateway()
    gateway.dial(CLIENTS["iphone"], psk=b"wrong", make_dh=shared_dh)

    (refused, *_) = gateway.records("told", what="Refused")
    assert refused["exchange"] == "Main Mode"
    assert "secret" in refused["remedy"]


def test_an_engine_that_is_not_traced_tells_no_messages() -> None:
    gateway = DialledGateway()
    gateway.dial(CLIENTS["iphone"], make_dh=shared_dh)
    assert gateway.host.told_of(MessageSeen) == []


def test_garbage_in_esp_is_told_as_malformed() -> None:
    lines: list[str] = []
    recorder = Recorder(lines.append, lambda: 0.0)
    recorder.l2tp_received(b"\xc8\x02\xff\xff", Peer(1, "192.0.2.1", "198.51.100.7", 1701))
    assert "malformed" in json.loads(lines[-1])


def test_frames_through_a_data_path_are_told_of_their_client() -> None:
    lines: list[str] = []
    recorder = Recorder(lines.append, lambda: 0.0)
    request = build_packet(ControlPacket(1, 1, build_options((Option(3, bytes(4)),))))
    peer = Peer(7, "192.0.2.1", "198.51.100.7", 1701)
    recorder.frame_received(b"\x80\x21" + request, 9, peer)
    recorder.frame_sent(b"\x80\x21" + request, 9, peer)
    recorder.frame_received(b"\x00\x21" + bytes(40), 9, peer)

    records = [json.loads(line) for line in lines[1:]]
    assert [(record["from"], record["mark"], record["protocol"]) for record in records] == [
        ("client", 7, "IPCP"),
        ("gateway", 7, "IPCP"),
    ]


def test_a_trace_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_SIZE", 1000)
    lines: list[str] = []
    recorder = Recorder(lines.append, lambda: 0.0)
    for _ in range(100):
        recorder.l2tp_received(b"\xc8\x02\xff\xff", Peer(1, "192.0.2.1", "198.51.100.7", 1701))
    assert len("".join(lines)) < 1200
    assert json.loads(lines[-1])["event"] == "full"


def test_the_file_is_for_its_owner_and_no_link_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("old")
    path.chmod(0o644)
    record_to(path, lambda: 0.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["event"] == "trace"

    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic"):
        record_to(tmp_path / "link", lambda: 0.0)
