"""IPCP option by option."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from l2tp.ppp.fsm_table import State
from l2tp.ppp.ipcp import Ipcp
from l2tp.ppp.settings import PppSettings
from l2tp.wire.enums import Code, IpcpOption
from l2tp.wire.ppp import (
    ControlPacket,
    Option,
    build_options,
    build_packet,
    parse_options,
    parse_packet,
)

LOCAL = IPv4Address("10.0.0.1")
ADDRESS = IPv4Address("10.0.0.2")
DNS = (IPv4Address("10.0.0.53"), IPv4Address("10.0.0.54"))
WINS = (IPv4Address("10.0.0.42"),)
MINE = Option(IpcpOption.ADDRESS, ADDRESS.packed)
NULL = bytes(4)


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.sent: list[ControlPacket] = []
        self.ipcp = Ipcp(
            PppSettings(local_address=LOCAL, **settings),
            ADDRESS,
            lambda _, octets: self.sent.append(parse_packet(octets)),
            lambda state, _: None,
        )
        self.ipcp.open(0.0)
        self.ipcp.up(0.0)

    def receive(self, code: Code, *options: Option, identifier: int = 1) -> ControlPacket:
        packet = ControlPacket(code, identifier, build_options(options))
        self.ipcp.receive(build_packet(packet), 0.0)
        return self.sent[-1]


def test_our_own_address_is_told() -> None:
    (request,) = Bench().sent
    assert parse_options(request.data) == (Option(IpcpOption.ADDRESS, LOCAL.packed),)


def test_address_and_servers_are_assigned() -> None:
    bench = Bench(dns=DNS, wins=WINS)
    wanted = (
        MINE,
        Option(IpcpOption.PRIMARY_DNS, DNS[0].packed),
        Option(IpcpOption.SECONDARY_DNS, DNS[1].packed),
        Option(IpcpOption.PRIMARY_WINS, WINS[0].packed),
    )
    asked = tuple(Option(option.type, NULL) for option in wanted)
    answer = bench.receive(Code.CONFIGURE_REQUEST, *asked)
    assert (answer.code, parse_options(answer.data)) == (Code.CONFIGURE_NAK, wanted)
    answer = bench.receive(Code.CONFIGURE_REQUEST, *wanted, identifier=2)
    assert answer.code == Code.CONFIGURE_ACK


def test_only_what_is_wrong_is_corrected() -> None:
    answer = Bench(dns=DNS).receive(
        Code.CONFIGURE_REQUEST, MINE, Option(IpcpOption.PRIMARY_DNS, NULL)
    )
    assert answer.code == Code.CONFIGURE_NAK
    assert parse_options(answer.data) == (Option(IpcpOption.PRIMARY_DNS, DNS[0].packed),)


@pytest.mark.parametrize(
    "option",
    [
        Option(IpcpOption.COMPRESSION, b"\x00\x2d\x0f\x01"),
        Option(IpcpOption.ADDRESSES, bytes(8)),
        Option(IpcpOption.PRIMARY_DNS, NULL),
        Option(IpcpOption.PRIMARY_WINS, NULL),
        Option(IpcpOption.SECONDARY_WINS, NULL),
        Option(IpcpOption.ADDRESS, b"\1"),
        Option(99, b""),
    ],
    ids=lambda option: f"{IpcpOption(option.type)}-{option.value.hex()}",
)
def test_what_is_not_configured_or_not_done_is_rejected(option: Option) -> None:
    answer = Bench().receive(Code.CONFIGURE_REQUEST, option, MINE)
    assert (answer.code, parse_options(answer.data)) == (Code.CONFIGURE_REJECT, (option,))


def test_a_peer_that_asks_for_no_address_is_told_one() -> None:
    answer = Bench().receive(Code.CONFIGURE_REQUEST)
    assert (answer.code, parse_options(answer.data)) == (Code.CONFIGURE_NAK, (MINE,))


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        (Code.CONFIGURE_NAK, (Option(IpcpOption.ADDRESS, LOCAL.packed),)),
        (Code.CONFIGURE_REJECT, ()),
    ],
)
def test_our_address_stands_or_is_left_out(code: Code, asked: tuple[Option, ...]) -> None:
    bench = Bench()
    request = bench.receive(
        code,
        Option(IpcpOption.ADDRESS, b"\x01\x02\x03\x04"),
        identifier=bench.sent[0].identifier,
    )
    assert parse_options(request.data) == asked
    bench.receive(Code.CONFIGURE_REQUEST, MINE)
    bench.ipcp.receive(
        build_packet(ControlPacket(Code.CONFIGURE_ACK, request.identifier, request.data)), 0.0
    )
    assert bench.ipcp.state is State.OPENED
