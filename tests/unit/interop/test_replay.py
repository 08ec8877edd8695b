"""A recorded device played again, in memory: green where nothing changed, red where it broke."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikev1.core import main_mode, quick_mode
from ikev1.core.credentials import Credentials
from ikev1.wire.enums import AuthMethod, Doi, ExchangeType, NotifyType, ProtocolId
from ikev1.wire.header import parse_header
from ikev1.wire.message import build_message, parse_message
from ikev1.wire.payloads import Notification, VendorId
from interop.certificates import Authority
from interop.clients import CLIENTS
from interop.clients.facts import Known
from interop.clients.model import Client
from interop.clients.wire import DH14, SHA1, aes, host_name
from interop.emulation.complaints import Step
from interop.initiator.derivation import dh_key
from interop.lac.profiles import AvpLine
from interop.replay.deeds import Deed, deeds
from interop.replay.device import rebuild
from interop.replay.inside import SOURCE
from interop.replay.steps import ORDER, passed
from interop.replay.transcript import Attempt, Record, TranscriptError, parse, read
from interop.replay.verdict import Verdict, compare
from tests.support.dialled_gateway import Machine
from tests.support.ike_certificates import (
    GATEWAY_NAME,
    credential,
    gateway_identity,
    trust_in,
)
from tests.support.recorded_gateway import RecordedGateway

shared_dh = functools.cache(dh_key)

MANY = ("iphone", "ios-2011", "macos-10.4", "android", "windows-10", "windows-xp-sp2", "strongswan")
"""Each differs from the others in vendor IDs, proposals, ports, L2TP or PPP."""


LIFE = (
    Step.REKEY_PHASE_2,
    Step.ARE_YOU_THERE,
    Step.REKEY_PHASE_1,
    Step.ARE_YOU_THERE,
    Step.REKEY_PHASE_2,
    Step.HANG_UP,
)


def attempt(
    client: Client,
    *,
    to: RecordedGateway | None = None,
    does: Sequence[Step] = (Step.HANG_UP,),
    **how: Any,
) -> tuple[Attempt, Machine]:
    """A client that has dialled a traced gateway, and if it was connected `does` all that."""
    gateway = to or RecordedGateway()
    machine = gateway.dial(client, make_dh=shared_dh, **how)
    if machine.address is not None:
        for step in does:
            live(gateway, machine, step)
    (recorded,) = parse(gateway.lines)
    return recorded, machine


def live(gateway: RecordedGateway, machine: Machine, step: Step) -> None:
    """Let a connected client do something, and see it through."""
    match step:
        case Step.REKEY_PHASE_1:
            gateway.do(machine, machine.engine.rekey_phase1(gateway.now))
        case Step.REKEY_PHASE_2:
            gateway.do(machine, machine.engine.rekey_phase2(gateway.now))
        case Step.ARE_YOU_THERE:
            gateway.do(machine, machine.engine.are_you_there(1, gateway.now))
        case Step.HANG_UP:
            gateway.hang_up(machine)
    gateway.run(1.0)


@functools.cache
def recording(name: str) -> Attempt:
    return attempt(CLIENTS[name])[0]


def replay(recorded: Attempt, **how: Any) -> Verdict:
    """The verdict on the gateway as it is now."""
    today, machine = attempt(rebuild(recorded).client, **how)
    return compare(recorded, today, machine.complaints)


def said(recorded: Attempt) -> list[object]:
    """What the client has said, in order, without what is drawn anew each time."""
    drawn = {"ASSIGNED_TUNNEL_ID", "ASSIGNED_SESSION_ID", "CALL_SERIAL_NUMBER"}

    def shown(record: Record) -> object:
        match record["event"]:
            case "ike":
                texts = [item.get("text", item["type"]) for item in record["payloads"]]
                return record["exchange"], re.sub(r"SPI [0-9a-f ]+", "SPI", "\n".join(texts))
            case "l2tp":
                avps = [avp["type"] if avp["type"] in drawn else avp for avp in record["avps"]]
                return record["message"], avps
            case _:
                return record["protocol"], record["code"], record.get("options")

    return [
        shown(record)
        for record in recorded.records
        if record.get("from") == "client" and record["event"] != "sealed"
    ]


@pytest.mark.parametrize("name", MANY)
def test_a_recorded_device_is_rebuilt_and_fares_as_it_did(name: str) -> None:
    device = rebuild(recording(name))
    assert device.relative is CLIENTS[name]
    assert device.notes == ()
    assert passed(recording(name)) == list(ORDER)

    today, machine = attempt(device.client)
    assert said(today) == said(recording(name))
    verdict = compare(recording(name), today, machine.complaints)
    assert verdict.same
    assert str(verdict) == "as recorded"


def test_a_device_unlike_any_is_played_by_what_it_said() -> None:
    odd = CLIENTS["iphone"]
    odd = replace(
        odd,
        ike=odd.ike.but(
            phase1=Known((aes(128, SHA1, DH14),), "test"),
            vendor_ids=Known(odd.ike.profile.vendor_ids[3:], "test"),
            nonce_size=Known(24, "test"),
            initial_contact=Known(False, "test"),
        ),
        l2tp=odd.l2tp.but(
            stray_hellos=Known(2, "test"),
            sccrq=Known((*odd.l2tp.profile.sccrq[::-1],), "test"),
        ),
    )
    recorded, _ = attempt(odd)
    client = rebuild(recorded).client

    assert client.ike.profile.phase1 == odd.ike.profile.phase1
    assert client.ike.profile.nonce_size == 24
    assert client.l2tp.profile.stray_hellos == 2
    assert client.ike.fact("vendor_ids") == Known(odd.ike.profile.vendor_ids, SOURCE)
    assert "conduct.insists_on" in client.unknown()
    assert said(attempt(client)[0]) == said(recorded)


def test_a_host_name_is_played_as_its_placeholder() -> None:
    mac = CLIENTS["macos"]
    client = rebuild(attempt(mac)[0]).client
    names = [line for line in client.l2tp.profile.sccrq if line.type == host_name("").type]
    assert names == [AvpLine(host_name("").type, b"host-1\0")]


@pytest.mark.parametrize("name", ["iphone", "android", "windows-10"])
def test_a_device_with_a_certificate_gets_another_and_fares_as_it_did(name: str) -> None:
    root = Authority(kind="rsa2048")
    own = gateway_identity(root, "rsa2048")
    credentials = Credentials([], [credential(own, trust_in(root, own=own))])

    def dial(client: Client, number: int) -> tuple[Attempt, Machine]:
        certificate = root.issue(f"device-{number}", kind="rsa2048", number=number)
        gateway = RecordedGateway(credentials=credentials)
        return attempt(client, to=gateway, certificate=certificate, dialled=GATEWAY_NAME)

    recorded, _ = dial(CLIENTS[name], 1)
    device = rebuild(recorded)
    assert device.method == AuthMethod.RSA_SIGNATURE
    assert device.client.conduct.profile == CLIENTS[name].conduct.profile
    assert device.notes == ()

    today, machine = dial(device.client, 2)
    assert said(today) == said(recorded)
    assert str(compare(recorded, today, machine.complaints)) == "as recorded"


@pytest.mark.parametrize("name", MANY)
def test_what_a_connected_device_did_is_done_again(name: str) -> None:
    recorded, _ = attempt(CLIENTS[name], does=LIFE)
    assert deeds(recorded) == tuple(Deed(step, done=True) for step in LIFE)

    client = rebuild(recorded).client
    assert client.conduct.profile.deletes_rekeyed == CLIENTS[name].conduct.profile.deletes_rekeyed
    today, machine = attempt(client, does=LIFE)
    assert str(compare(recorded, today, machine.complaints)) == "as recorded"


def test_a_device_that_left_its_old_sas_alone_does_so_again() -> None:
    iphone = CLIENTS["iphone"]
    lazy = replace(iphone, conduct=iphone.conduct.but(deletes_rekeyed=Known(False, "test")))
    recorded, _ = attempt(lazy, does=LIFE)
    assert rebuild(recorded).client.conduct.fact("deletes_rekeyed") == Known(False, SOURCE)


# --- gateways with one thing broken --------------------------------------------------------------


@pytest.fixture
def break_gateway(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, Any], None]:
    """Put a broken function, which gets the sound one first, in the place of a sound one."""

    def put(module: Any, name: str, broken: Any) -> None:
        monkeypatch.setattr(module, name, functools.partial(broken, getattr(module, name)))

    return put


def test_red_at_message_2_of_main_mode(break_gateway: Any) -> None:
    recorded = recording("iphone")

    def with_notification(sound: Any, *args: Any, **more: Any) -> bytes:
        header, payloads = parse_message(sound(*args, **more))
        cookies = header.initiator_cookie + header.responder_cookie
        notify = Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, b"", b"")
        return build_message(cookies, header.exchange_type, 0, [*payloads.values, notify])

    break_gateway(main_mode, "_message_2", with_notification)
    verdict = replay(recorded)

    assert not verdict.same
    assert verdict.step is Step.MESSAGE_2
    assert "racoon ignores message 2: payload N is not allowed" in str(verdict)
    assert any(answer.startswith("Main Mode message 2: ") for answer in verdict.answers)


def test_red_at_quick_mode(break_gateway: Any) -> None:
    recorded = recording("android")

    def with_vendor_id(sound: Any, *args: Any) -> tuple[Any, ...]:
        return (*sound(*args), VendorId(b"some vendor"))

    break_gateway(quick_mode, "_original_addresses", with_vendor_id)
    verdict = replay(recorded)

    assert verdict.step is Step.QUICK_MODE
    assert "payload VID is not allowed" in str(verdict)


def test_red_at_the_login() -> None:
    verdict = replay(recording("iphone"), password="wrong")
    assert verdict.step is Step.LOGIN


def test_red_at_a_rekey_that_the_gateway_refuses(break_gateway: Any) -> None:
    recorded, _ = attempt(CLIENTS["iphone"], does=LIFE)
    calls = 0

    def once(sound: Any, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        return sound(*args) if calls == 1 else (VendorId(b"some vendor"),)

    break_gateway(quick_mode, "_original_addresses", once)
    # It stops there.
    today, machine = attempt(rebuild(recorded).client, does=LIFE[:1])
    verdict = compare(recorded, today, machine.complaints)

    assert verdict.step is Step.REKEY_PHASE_2
    assert "rekeying of the ESP SAs: then done, today not" in str(verdict)


def test_red_at_a_renewal_of_phase_1_without_an_answer() -> None:
    recorded, _ = attempt(CLIENTS["iphone"], does=LIFE)
    gateway = RecordedGateway()

    def no_second_main_mode(datagram: bytes) -> bytes:
        is_new = not gateway.records("told", what="SessionUp")
        header = parse_header(datagram.removeprefix(bytes(4)))
        return (
            datagram if is_new or header.exchange_type != ExchangeType.IDENTITY_PROTECTION else b""
        )

    gateway.ike_to_client = no_second_main_mode
    today, machine = attempt(rebuild(recorded).client, to=gateway, does=LIFE[:3])
    assert deeds(today)[-1] == Deed(Step.REKEY_PHASE_1, done=False)
    assert compare(recorded, today, machine.complaints).step is Step.REKEY_PHASE_1


def test_an_answer_that_the_device_does_not_mind_is_told_and_green(break_gateway: Any) -> None:
    recorded = recording("windows-10")

    def without_more(sound: Any, sa: Any, choice: Any, offer: Any, theirs: Any, **more: Any) -> Any:
        return sound(sa, choice, offer, (), **more)

    break_gateway(main_mode, "_message_2", without_more)
    verdict = replay(recorded)

    assert verdict.same
    assert any(answer.startswith("Main Mode message 2: ") for answer in verdict.answers)


def test_a_device_that_stopped_is_the_same_while_it_stops_there() -> None:
    recorded, _ = attempt(CLIENTS["iphone"], psk=b"wrong")
    assert passed(recorded)[-1] is Step.MESSAGE_4

    assert replay(recorded, psk=b"wrong").same
    repaired = replay(recorded)
    assert repaired.step is Step.MESSAGE_6
    assert "the recorded device stopped here, today's goes on" in str(repaired)


def test_nothing_of_the_replay_came() -> None:
    verdict = compare(recording("iphone"), None)
    assert verdict.step is Step.MESSAGE_2


# --- transcripts ---------------------------------------------------------------------------------


def test_attempts_of_several_devices_are_told_apart() -> None:
    gateway = RecordedGateway()
    for name in ("iphone", "windows-10"):
        gateway.dial(CLIENTS[name], make_dh=shared_dh)
    first, second = parse(gateway.lines)

    assert rebuild(first).relative is CLIENTS["iphone"]
    assert rebuild(second).relative is CLIENTS["windows-10"]
    assert passed(first) == passed(second) == list(ORDER)


HEAD = '{"event": "trace", "version": 1}'


@pytest.mark.parametrize(
    ("lines", "said_of_it"),
    [
        ([], "not a transcript"),
        (["no JSON"], "line 1"),
        (["[]"], "line 1: no record"),
        (['{"event": "end"}'], "not a transcript"),
        ([HEAD, '{"event": "ike", "from": "client"}'], "line 2: no at, client, cookies"),
        ([HEAD, '{"event": "ike", "from": 5}'], "line 2: from is not as it should be"),
        (['{"event": "trace", "version": 99}'], "version 99, not 1"),
        ([HEAD], "no device has come"),
    ],
)
def test_what_is_no_transcript_is_told(tmp_path: Path, lines: list[str], said_of_it: str) -> None:
    path = tmp_path / "transcript"
    path.write_text("\n".join(lines))
    with pytest.raises(TranscriptError, match=said_of_it):
        read(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(data=st.data())
def test_a_transcript_in_which_something_was_changed_is_read_or_refused(
    data: st.DataObject,
) -> None:
    records: list[Any] = [json.loads(HEAD), *json.loads(json.dumps(recording("iphone").records))]
    place: Any = records[data.draw(st.integers(0, len(records) - 1))]
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        break
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(JSON)
    with suppress(TranscriptError):
        for made in parse(json.dumps(record) for record in records):
            compare(made, made)
            rebuild(made)
