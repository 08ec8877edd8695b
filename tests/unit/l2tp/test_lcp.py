"""LCP option by option, and the packets beyond negotiation."""

from __future__ import annotations

from typing import Any

import pytest

from l2tp.ppp import lcp as lcp_module
from l2tp.ppp.fsm_table import State
from l2tp.ppp.lcp import AUTH_OPTION, Lcp
from l2tp.ppp.settings import AuthProtocol, PppSettings
from l2tp.wire.enums import Code, LcpOption, Protocol
from l2tp.wire.ppp import (
    ControlPacket,
    Option,
    build_options,
    build_packet,
    parse_options,
    parse_packet,
)
from tests.support.l2tp_network import LOCAL

MSCHAPV2, MD5, PAP = (AUTH_OPTION[protocol] for protocol in AuthProtocol)
EAP = b"\xc2\x27"


class Bench:
    """An LCP automaton with a magic number of 01010101 first, then 03030303 and so on."""

    def __init__(self, **settings: Any) -> None:
        self.sent: list[ControlPacket] = []
        self.changes: list[State] = []
        self.rejected: list[Protocol] = []
        self._magic = 0
        self.lcp = Lcp(
            PppSettings(local_address=LOCAL, **settings),
            self._random,
            lambda _, octets: self.sent.append(parse_packet(octets)),
            lambda state, _: self.changes.append(state),
            lambda protocol, _: self.rejected.append(protocol),
        )
        self.lcp.open(0.0)
        self.lcp.up(0.0)

    def _random(self, size: int) -> bytes:
        self._magic += 1
        return bytes((2 * self._magic - 1,)) * size

    def receive(self, code: int, data: bytes = b"", identifier: int = 7) -> ControlPacket:
        self.lcp.receive(build_packet(ControlPacket(code, identifier, data)), 0.0)
        return self.sent[-1]

    def request(self, *options: Option, identifier: int = 7) -> ControlPacket:
        return self.receive(Code.CONFIGURE_REQUEST, build_options(options), identifier)

    def refuse(self, code: Code, *options: Option) -> dict[int, bytes]:
        """Answer the request in force; what is in our next one?"""
        latest = [packet for packet in self.sent if packet.code == Code.CONFIGURE_REQUEST][-1]
        self.receive(code, build_options(options), latest.identifier)
        return self.requested()

    def requested(self) -> dict[int, bytes]:
        latest = [packet for packet in self.sent if packet.code == Code.CONFIGURE_REQUEST][-1]
        return {option.type: option.value for option in parse_options(latest.data)}

    def open(self, *options: Option) -> None:
        self.request(*options)
        latest = [packet for packet in self.sent if packet.code == Code.CONFIGURE_REQUEST][-1]
        self.receive(Code.CONFIGURE_ACK, latest.data, latest.identifier)
        assert self.lcp.state is State.OPENED
        self.sent.clear()


def test_what_we_ask_for() -> None:
    assert Bench().requested() == {
        LcpOption.MRU: (1400).to_bytes(2),
        LcpOption.AUTHENTICATION: MSCHAPV2,
        LcpOption.MAGIC: b"\1\1\1\1",
    }


def test_what_the_peer_may_ask_for() -> None:
    bench = Bench()
    options = (
        Option(LcpOption.MRU, (1300).to_bytes(2)),
        Option(LcpOption.ACCM, b"\xff\0\0\0"),
        Option(LcpOption.MAGIC, b"\x11\x22\x33\x44"),
        Option(LcpOption.PFC),
        Option(LcpOption.ACFC),
    )
    answer = bench.request(*options)
    assert (answer.code, answer.data) == (Code.CONFIGURE_ACK, build_options(options))
    peer = bench.lcp.peer
    assert (peer.mru, peer.pfc, peer.acfc, peer.magic) == (1300, True, True, 0x11223344)


def test_without_options_the_defaults_hold() -> None:
    bench = Bench()
    assert bench.request().code == Code.CONFIGURE_ACK
    assert (bench.lcp.peer.mru, bench.lcp.peer.pfc, bench.lcp.peer.acfc) == (1500, False, False)


@pytest.mark.parametrize(
    "option",
    [
        Option(LcpOption.AUTHENTICATION, MSCHAPV2),
        Option(LcpOption.QUALITY, b"\xc0\x25\0\0\0\0"),
        Option(LcpOption.CALLBACK, b"\x06"),
        Option(LcpOption.MRRU, b"\x06\x4e"),
        Option(LcpOption.SHORT_SEQUENCE),
        Option(LcpOption.ENDPOINT, b"\x01abc"),
        Option(200, b"?"),
        Option(LcpOption.MRU, b"\x05"),
        Option(LcpOption.MAGIC, b""),
        Option(LcpOption.PFC, b"\0"),
    ],
    ids=lambda option: f"{LcpOption(option.type)}-{option.value.hex()}",
)
def test_what_the_peer_may_not_ask_for(option: Option) -> None:
    answer = Bench().request(Option(LcpOption.ACCM, bytes(4)), option)
    assert (answer.code, answer.data) == (Code.CONFIGURE_REJECT, build_options((option,)))


def test_a_tiny_mru_is_corrected() -> None:
    answer = Bench().request(Option(LcpOption.MRU, b"\0\x7f"))
    assert answer.code == Code.CONFIGURE_NAK
    assert answer.data == build_options((Option(LcpOption.MRU, b"\0\x80"),))


def test_a_large_mru_counts_as_1500() -> None:
    bench = Bench()
    bench.request(Option(LcpOption.MRU, b"\xff\xff"))
    assert bench.lcp.peer.mru == 1500


@pytest.mark.parametrize("magic", [bytes(4), b"\1\1\1\1"], ids=["zero", "our own"])
def test_a_useless_magic_number_is_corrected(magic: bytes) -> None:
    answer = Bench().request(Option(LcpOption.MAGIC, magic))
    assert answer.code == Code.CONFIGURE_NAK
    assert answer.data == build_options((Option(LcpOption.MAGIC, b"\3\3\3\3"),))


def test_a_looped_link_is_given_up() -> None:
    bench = Bench()
    for identifier in range(lcp_module.MAX_LOOPED):
        bench.request(Option(LcpOption.MAGIC, b"\1\1\1\1"), identifier=identifier)
    assert bench.lcp.failure == "link is looped back"
    assert bench.sent[-1].code == Code.TERMINATE_REQUEST


@pytest.mark.parametrize(
    ("offered", "nak", "then"),
    [
        ("mschapv2 chap-md5", MD5, MD5),
        ("mschapv2 chap-md5", EAP, MD5),
        ("mschapv2 chap-md5", PAP, MD5),
        ("mschapv2 chap-md5 pap", PAP, PAP),
        ("mschapv2 chap-md5", MSCHAPV2, MSCHAPV2),
        ("chap-md5 pap", MSCHAPV2, PAP),
    ],
)
def test_another_authentication_protocol_is_tried(offered: str, nak: bytes, then: bytes) -> None:
    bench = Bench(auth_protocols=tuple(AuthProtocol(name) for name in offered.split()))
    requested = bench.refuse(Code.CONFIGURE_NAK, Option(LcpOption.AUTHENTICATION, nak))
    assert requested[LcpOption.AUTHENTICATION] == then


@pytest.mark.parametrize("nak", [PAP, EAP, b"", b"\xc2\x23\x80"])
def test_no_authentication_protocol_is_left(nak: bytes) -> None:
    bench = Bench(auth_protocols=(AuthProtocol.MSCHAPV2,))
    bench.refuse(Code.CONFIGURE_NAK, Option(LcpOption.AUTHENTICATION, nak))
    assert bench.lcp.failure.startswith("no common authentication protocol, peer asks for ")
    assert bench.lcp.remedy
    assert bench.sent[-1].code == Code.TERMINATE_REQUEST


def test_authentication_is_not_negotiable() -> None:
    bench = Bench()
    bench.refuse(Code.CONFIGURE_REJECT, Option(LcpOption.AUTHENTICATION, MSCHAPV2))
    assert bench.lcp.failure == "peer refuses to authenticate"
    assert bench.lcp.state is State.CLOSING


@pytest.mark.parametrize(
    ("nak", "then"),
    [(1200, 1200), (1401, 1400), (100, 1400), (1400, 1400)],
)
def test_a_smaller_mru_is_taken_over(nak: int, then: int) -> None:
    bench = Bench()
    requested = bench.refuse(Code.CONFIGURE_NAK, Option(LcpOption.MRU, nak.to_bytes(2)))
    assert requested[LcpOption.MRU] == then.to_bytes(2)
    assert bench.lcp.mru == then


def test_rejected_options_are_left_out() -> None:
    bench = Bench()
    requested = bench.refuse(
        Code.CONFIGURE_REJECT,
        Option(LcpOption.MRU, (1400).to_bytes(2)),
        Option(LcpOption.MAGIC, b"\1\1\1\1"),
    )
    assert requested == {LcpOption.AUTHENTICATION: MSCHAPV2}
    assert bench.lcp.mru == 1500


def test_a_naked_magic_number_is_changed() -> None:
    requested = Bench().refuse(Code.CONFIGURE_NAK, Option(LcpOption.MAGIC, b"\1\1\1\1"))
    assert requested[LcpOption.MAGIC] == b"\3\3\3\3"


@pytest.mark.parametrize("code", [Code.IDENTIFICATION, Code.TIME_REMAINING, Code.DISCARD_REQUEST])
def test_messages_without_an_answer(code: Code) -> None:
    bench = Bench()
    bench.open()
    for _ in range(3):
        bench.lcp.receive(build_packet(ControlPacket(code, 1, bytes(4) + b"MSRASV5.20")), 0.0)
    assert bench.sent == []
    assert bench.lcp.state is State.OPENED


def test_echo_is_answered_with_our_magic_number() -> None:
    bench = Bench()
    bench.open()
    answer = bench.receive(Code.ECHO_REQUEST, b"\x11\x22\x33\x44data", identifier=5)
    assert answer == ControlPacket(Code.ECHO_REPLY, 5, b"\1\1\1\1data")


def test_an_echo_reply_fits_the_peers_mru() -> None:
    bench = Bench()
    bench.open(Option(LcpOption.MRU, (128).to_bytes(2)))
    answer = bench.receive(Code.ECHO_REQUEST, b"\x11\x22\x33\x44" + bytes(1400))
    assert len(build_packet(answer)) == 128


@pytest.mark.parametrize("data", [b"", b"\1\1\1", b"\1\1\1\1"], ids=["empty", "short", "own magic"])
def test_odd_echoes_are_ignored(data: bytes) -> None:
    bench = Bench()
    bench.open()
    bench.lcp.receive(build_packet(ControlPacket(Code.ECHO_REQUEST, 1, data)), 0.0)
    assert bench.sent == []


@pytest.mark.parametrize(
    ("identifier", "data", "left"),
    [(2, b"\x11\x22\x33\x44", 0), (1, b"\x11\x22\x33\x44", 2), (2, b"\1\1\1\1", 2), (2, b"", 2)],
    ids=["answer", "old answer", "looped back", "empty"],
)
def test_only_the_answer_to_the_latest_echo_counts(identifier: int, data: bytes, left: int) -> None:
    bench = Bench()
    bench.open()
    bench.lcp.send_echo()
    bench.lcp.send_echo()
    assert [packet.identifier for packet in bench.sent] == [1, 2]
    bench.lcp.receive(build_packet(ControlPacket(Code.ECHO_REPLY, identifier, data)), 0.0)
    assert bench.lcp.unanswered_echoes == left


def test_protocol_reject() -> None:
    bench = Bench()
    bench.open()
    bench.lcp.receive(build_packet(ControlPacket(Code.PROTOCOL_REJECT, 1, b"\x80\x21\1\1")), 0.0)
    bench.lcp.receive(build_packet(ControlPacket(Code.PROTOCOL_REJECT, 2, b"\x80")), 0.0)
    assert bench.rejected == [Protocol.IPCP]
    bench.lcp.reject_protocol(Protocol.CCP, b"\1\1\0\x04" + bytes(500))
    sent = bench.sent[-1]
    assert sent.code == Code.PROTOCOL_REJECT
    assert sent.data[:6] == b"\x80\xfd\1\1\0\x04"
    assert len(sent.data) == 120


@pytest.mark.parametrize("code", [Code.ECHO_REQUEST, Code.ECHO_REPLY, Code.PROTOCOL_REJECT])
def test_before_it_is_open_lcp_takes_configuration_only(code: Code) -> None:
    bench = Bench()
    sent = list(bench.sent)
    bench.lcp.receive(build_packet(ControlPacket(code, 1, b"\xc0\x21\1\1")), 0.0)
    bench.lcp.reject_protocol(Protocol.CCP, b"")
    assert bench.sent == sent
    assert bench.rejected == []
    assert bench.lcp.state is State.REQ_SENT
