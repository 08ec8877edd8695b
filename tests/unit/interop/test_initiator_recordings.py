"""The initiator, given charon's answers, repeats itself and comes to charon's keys."""

from dataclasses import replace

import pytest

from interop.initiator.checks import WARNINGS, Cause
from interop.initiator.effects import Effect, EspSas, Failed, Phase1Up, Send
from interop.initiator.engine import Initiator
from tests.support import charon_recordings
from tests.support.charon_recordings import PSK, Recording, SeededRandom

RECORDINGS = charon_recordings.load()


def client(recording: Recording, psk: bytes = PSK) -> Initiator:
    return Initiator(
        recording.profile, psk, recording.path, SeededRandom(recording.name), tolerated=WARNINGS
    )


def replay(recording: Recording, engine: Initiator) -> tuple[list[Send], list[Effect]]:
    """Give all answers; returns what was sent and the other effects."""
    effects = engine.start(0.0)
    for answer, floated in zip(recording.answers, recording.floated, strict=True):
        effects += engine.receive(answer, floated, 0.0)
        if isinstance(effects[-1], Phase1Up):
            effects += engine.quick_mode(0.0)
    sent = [effect for effect in effects if isinstance(effect, Send)]
    return sent, [effect for effect in effects if not isinstance(effect, Send)]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_messages_are_those_charon_understood(recording: Recording) -> None:
    sent, _ = replay(recording, client(recording))

    assert tuple(send.datagram for send in sent) == recording.sent


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_keys_are_those_charon_gave_to_the_kernel(recording: Recording) -> None:
    _, (phase1, sas) = replay(recording, client(recording))

    assert isinstance(phase1, Phase1Up)
    assert isinstance(sas, EspSas)
    assert recording.esp_keys == {
        sas.inbound_spi: sas.inbound_keys,
        sas.outbound_spi: sas.outbound_keys,
    }


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_ports_float_behind_a_nat_alone(recording: Recording) -> None:
    sent, (phase1, _) = replay(recording, client(recording))

    nat = "-nat" in recording.name
    assert isinstance(phase1, Phase1Up)
    assert phase1.client_behind_nat is nat
    assert phase1.server_behind_nat is False
    assert [send.floated for send in sent] == [False, False, nat, nat, nat]


def test_another_preshared_key_does_not_understand_message_6() -> None:
    recording = RECORDINGS[0]

    sent, others = replay(
        replace(recording, answers=recording.answers[:3], floated=recording.floated[:3]),
        client(recording, psk=b"sturgeon"),
    )

    assert len(sent) == 3
    assert [type(effect) for effect in others] == [Failed]
    assert isinstance(others[0], Failed)
    assert others[0].cause in {Cause.CIPHERTEXT, Cause.MM6_PAYLOADS, Cause.MM6_HASH}


def test_a_changed_public_value_is_noticed() -> None:
    recording = RECORDINGS[0]
    second = bytearray(recording.answers[1])
    second[100] ^= 1
    answers = (recording.answers[0], bytes(second), *recording.answers[2:3])

    _, others = replay(
        replace(recording, answers=answers, floated=recording.floated[:3]), client(recording)
    )

    assert [type(effect) for effect in others] == [Failed]


def test_secrets_are_not_in_reprs() -> None:
    recording = RECORDINGS[0]
    _, (_, sas) = replay(recording, client(recording))

    assert isinstance(sas, EspSas)
    assert repr(sas.inbound_keys) not in repr(sas)
    assert repr(sas.outbound_keys) not in repr(sas)
