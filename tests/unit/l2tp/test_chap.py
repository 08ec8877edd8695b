"""CHAP and PAP as authenticator: what is taken, once, and what is answered."""

from __future__ import annotations

import itertools
import re

import pytest

from l2tp.errors import ProtocolError
from l2tp.ppp.auth import (
    MAX_TRANSMIT,
    AuthAccepted,
    AuthRejected,
    ChapMd5Request,
    MsChapV2Request,
    Outcome,
    PapRequest,
)
from l2tp.ppp.chap import ChapAuthenticator
from l2tp.ppp.pap import PapAuthenticator
from l2tp.wire.authentication import (
    ChapValue,
    MsChapV2Response,
    PapCredentials,
    build_chap_value,
    build_mschapv2_response,
    build_pap_credentials,
    parse_chap_value,
)
from l2tp.wire.enums import ChapCode, PapCode, Protocol
from l2tp.wire.ppp import ControlPacket, parse_packet

ACCEPTED = AuthAccepted("alice", authenticator_response="S=0123")
REJECTED = AuthRejected("wrong password")


class Bench:
    """An authenticator that has sent its Challenge."""

    def __init__(self, *, microsoft: bool = True, retries: int = 0) -> None:
        self.sent: list[ControlPacket] = []
        self._numbers = itertools.count(1)
        self.chap = ChapAuthenticator(
            "lns", self._random, self._send, microsoft=microsoft, retries=retries
        )
        self.chap.start(0.0)
        self.identifier = self.sent[0].identifier

    def _random(self, size: int) -> bytes:
        return bytes((next(self._numbers),)) * size

    def _send(self, protocol: Protocol, octets: bytes) -> None:
        assert protocol is Protocol.CHAP
        self.sent.append(parse_packet(octets))

    def response(self, identifier: int, fill: int = 7, flags: int = 0) -> ControlPacket:
        value = build_mschapv2_response(
            MsChapV2Response(bytes((fill,)) * 16, bytes((fill,)) * 24, flags)
        )
        return ControlPacket(
            ChapCode.RESPONSE, identifier, build_chap_value(ChapValue(value, b"HOME\\alice"))
        )

    def respond(self, identifier: int, fill: int = 7) -> object:
        return self.chap.receive(self.response(identifier, fill), 0.0)


def test_challenge() -> None:
    bench = Bench()
    (challenge,) = bench.sent
    assert challenge.code == ChapCode.CHALLENGE
    assert parse_chap_value(challenge.data) == ChapValue(b"\2" * 16, b"lns")


def test_a_challenge_is_repeated_unchanged_and_then_given_up() -> None:
    bench = Bench()
    given_up = False
    while not given_up:
        assert bench.chap.deadline is not None
        given_up = bench.chap.advance(bench.chap.deadline)
    assert bench.sent == [bench.sent[0]] * MAX_TRANSMIT
    assert bench.chap.deadline is None


def test_mschapv2_response() -> None:
    bench = Bench()
    request = bench.respond(bench.identifier)
    assert request == MsChapV2Request("HOME\\alice", b"\2" * 16, b"\7" * 16, b"\7" * 24, 0)
    assert bench.chap.deadline is None


def test_md5_response() -> None:
    bench = Bench(microsoft=False)
    body = build_chap_value(ChapValue(b"digest", b"alice"))
    request = bench.chap.receive(ControlPacket(ChapCode.RESPONSE, bench.identifier, body), 0.0)
    assert request == ChapMd5Request("alice", bench.identifier, b"\2" * 16, b"digest")
    assert bench.chap.answer(ACCEPTED, 0.0) is Outcome.ACCEPTED
    assert bench.sent[-1] == ControlPacket(ChapCode.SUCCESS, bench.identifier, b"Welcome")


def test_names_in_any_encoding_survive() -> None:
    bench = Bench(microsoft=False)
    body = build_chap_value(ChapValue(b"digest", b"j\xfcrgen"))
    request = bench.chap.receive(ControlPacket(ChapCode.RESPONSE, bench.identifier, body), 0.0)
    assert isinstance(request, ChapMd5Request)
    assert request.user.encode("utf-8", "surrogateescape") == b"j\xfcrgen"


def test_success() -> None:
    bench = Bench()
    bench.respond(bench.identifier)
    assert bench.chap.answer(ACCEPTED, 0.0) is Outcome.ACCEPTED
    success = ControlPacket(ChapCode.SUCCESS, bench.identifier, b"S=0123 M=Welcome")
    assert bench.sent[-1] == success


def test_failure() -> None:
    bench = Bench()
    bench.respond(bench.identifier)
    assert bench.chap.answer(REJECTED, 0.0) is Outcome.REJECTED
    failure = bench.sent[-1]
    assert failure.code == ChapCode.FAILURE
    pattern = rb"E=691 R=0 C=[0-9A-F]{32} V=3 M=Authentication failed"
    assert re.fullmatch(pattern, failure.data)
    assert bench.respond(bench.identifier, fill=8) is None


def test_a_copy_of_the_response_gets_the_answer_again() -> None:
    bench = Bench()
    bench.respond(bench.identifier)
    assert bench.respond(bench.identifier) is None
    assert len(bench.sent) == 1, "no answer yet, so none to repeat"
    bench.chap.answer(ACCEPTED, 0.0)
    success = bench.sent[-1]
    assert bench.respond(bench.identifier) is None
    assert bench.sent[-2:] == [success, success]


def test_a_second_response_to_one_challenge_is_ignored() -> None:
    bench = Bench()
    bench.respond(bench.identifier)
    assert bench.respond(bench.identifier, fill=8) is None
    bench.chap.answer(ACCEPTED, 0.0)
    count = len(bench.sent)
    assert bench.respond(bench.identifier, fill=9) is None
    assert len(bench.sent) == count


@pytest.mark.parametrize("step", [-1, 1, 100])
def test_a_response_with_another_identifier_is_ignored(step: int) -> None:
    bench = Bench()
    assert bench.respond((bench.identifier + step) % 256) is None
    assert bench.respond(bench.identifier) is not None


def test_a_retry_needs_the_new_challenge() -> None:
    bench = Bench(retries=1)
    bench.respond(bench.identifier)
    assert bench.chap.answer(REJECTED, 0.0) is Outcome.RETRY
    text = bench.sent[-1].data.decode()
    assert "R=1" in text
    new_challenge = re.search("C=([0-9A-F]{32})", text)
    assert new_challenge is not None
    request = bench.respond((bench.identifier + 1) % 256, fill=9)
    assert isinstance(request, MsChapV2Request)
    assert request.challenge.hex().upper() == new_challenge[1]
    assert request.challenge != b"\2" * 16
    assert bench.chap.answer(REJECTED, 0.0) is Outcome.REJECTED
    assert b"R=0" in bench.sent[-1].data


def test_a_retry_under_the_same_identifier() -> None:
    bench = Bench(retries=1)
    bench.respond(bench.identifier)
    bench.chap.answer(REJECTED, 0.0)
    failure = bench.sent[-1]
    assert bench.respond(bench.identifier) is None, "a copy of the first response"
    assert bench.sent[-1] == failure
    assert bench.respond(bench.identifier, fill=9) is not None
    assert bench.chap.answer(ACCEPTED, 0.0) is Outcome.ACCEPTED


def test_a_retry_that_does_not_come_is_given_up() -> None:
    bench = Bench(retries=1)
    bench.respond(bench.identifier)
    bench.chap.answer(REJECTED, 0.0)
    assert bench.chap.deadline is not None
    assert bench.chap.advance(bench.chap.deadline)


@pytest.mark.parametrize("microsoft", [True, False])
def test_no_retry_where_it_makes_no_sense(microsoft: bool) -> None:
    bench = Bench(microsoft=microsoft, retries=3)
    bench.respond(bench.identifier)
    disabled = AuthRejected("account is disabled", error=647)
    assert bench.chap.answer(disabled, 0.0) is Outcome.REJECTED


@pytest.mark.parametrize(
    "code", [ChapCode.CHALLENGE, ChapCode.SUCCESS, ChapCode.FAILURE, ChapCode.CHANGE_PASSWORD, 99]
)
def test_other_codes_are_ignored(code: int) -> None:
    bench = Bench()
    packet = ControlPacket(code, bench.identifier, bench.response(0).data)
    assert bench.chap.receive(packet, 0.0) is None
    assert len(bench.sent) == 1


@pytest.mark.parametrize("data", [b"", b"\x31short", b"\x10" + bytes(16) + b"alice"])
def test_malformed_responses_change_nothing(data: bytes) -> None:
    bench = Bench()
    with pytest.raises(ProtocolError):
        bench.chap.receive(ControlPacket(ChapCode.RESPONSE, bench.identifier, data), 0.0)
    assert bench.respond(bench.identifier) is not None


def test_there_is_nothing_to_answer_before_a_response() -> None:
    with pytest.raises(ValueError, match="no CHAP Response"):
        Bench().chap.answer(ACCEPTED, 0.0)


class PapBench:
    def __init__(self) -> None:
        self.sent: list[ControlPacket] = []
        self.pap = PapAuthenticator(lambda _, octets: self.sent.append(parse_packet(octets)))
        self.pap.start(0.0)

    def request(self, identifier: int = 1, password: bytes = b"secret") -> PapRequest | None:
        body = build_pap_credentials(PapCredentials(b"alice", password))
        return self.pap.receive(ControlPacket(PapCode.REQUEST, identifier, body), 0.0)


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (ACCEPTED, Outcome.ACCEPTED, PapCode.ACK),
        (REJECTED, Outcome.REJECTED, PapCode.NAK),
    ],
)
def test_pap(answer: AuthAccepted | AuthRejected, outcome: Outcome, code: PapCode) -> None:
    bench = PapBench()
    assert bench.request() == PapRequest("alice", b"secret")
    assert bench.request(2) is None, "one login at a time"
    assert bench.pap.answer(answer, 0.0) is outcome
    assert [(packet.code, packet.identifier) for packet in bench.sent] == [(code, 2)]
    assert bench.request(3, b"another") is None
    assert [(packet.code, packet.identifier) for packet in bench.sent[1:]] == [(code, 3)]


def test_pap_waits_for_the_peer_but_not_for_ever() -> None:
    bench = PapBench()
    assert bench.pap.deadline is not None
    assert not bench.pap.advance(bench.pap.deadline - 1)
    assert bench.pap.advance(bench.pap.deadline)
    assert bench.sent == []


@pytest.mark.parametrize("code", [PapCode.ACK, PapCode.NAK])
def test_pap_takes_requests_only(code: PapCode) -> None:
    bench = PapBench()
    assert bench.pap.receive(ControlPacket(code, 1, b"\0"), 0.0) is None
    assert bench.sent == []
