"""Why devices stop where they stop, and what to do: knowledge, as a table.

Each cause is for one step, the last thing that happened, and for circumstances that must all hold.
The first that fits is told. Where the gateway itself has refused, it knows the cause better.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Step(enum.Enum):
    """What has happened last, in order; the value says it. Odd messages are the device's."""

    NOTHING = "nothing has come"
    MAIN_1 = "Main Mode message 1, what the device offers"
    MAIN_2 = "Main Mode message 2, what the gateway takes"
    MAIN_3 = "Main Mode message 3, the device's half of the key"
    MAIN_4 = "Main Mode message 4, the gateway's half of the key"
    MAIN_5 = "Main Mode message 5, who the device is"
    MAIN_6 = "Main Mode message 6, who the gateway is"
    QUICK_1 = "Quick Mode message 1, what the device offers for ESP"
    QUICK_2 = "Quick Mode message 2, what the gateway takes"
    QUICK_3 = "Quick Mode message 3: ESP is up"
    SCCRQ = "SCCRQ, the device asks for an L2TP tunnel, inside ESP"
    SCCRP = "SCCRP, the gateway has made the tunnel"
    SCCCN = "SCCCN, the tunnel is up"
    ICRQ = "ICRQ, the device asks for a call"
    ICRP = "ICRP, the gateway takes the call"
    ICCN = "ICCN, the call is up, PPP begins"
    LCP = "LCP, both negotiate the link"
    LOGIN = "the login"
    IPCP = "IPCP, both negotiate addresses"
    UP = "connected"


class Circumstance(enum.Enum):
    """What is known of the device and the network."""

    CLIENT_NAT = "a NAT before the device"
    SERVER_NAT = "a NAT before the gateway"
    NO_NAT = "no NAT"
    REPEATS = "the device repeats its last message"
    ESP_COMES = "ESP of the device comes, and its SA opens it"
    APPLE = "an Apple device"
    WINDOWS = "Windows"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why, and what to do about it."""

    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Within:
    """What the device should do next, and in how many seconds."""

    what: str
    seconds: float


NEXT: dict[Step, Within] = {
    Step.NOTHING: Within("begin Main Mode, to UDP port 500", 120.0),
    Step.MAIN_2: Within("send message 3 of Main Mode", 10.0),
    Step.MAIN_4: Within("send message 5, on UDP port 4500 if a NAT is between", 10.0),
    Step.MAIN_6: Within("begin Quick Mode", 10.0),
    Step.QUICK_2: Within("confirm with message 3", 10.0),
    Step.QUICK_3: Within("send SCCRQ through ESP", 10.0),
    Step.SCCRP: Within("confirm the tunnel with SCCCN", 10.0),
    Step.SCCCN: Within("ask for a call with ICRQ", 10.0),
    Step.ICRP: Within("confirm the call with ICCN", 10.0),
    Step.ICCN: Within("begin LCP", 10.0),
    Step.LCP: Within("agree on the link, then log in", 30.0),
    Step.LOGIN: Within("send name and password", 60.0),
    Step.IPCP: Within("take its address", 30.0),
}
"""racoon repeats each 2 s, five times; pppd waits 10 s for the server's first answer, 30 s for
later ones, and for LCP and IPCP ten times 3 s (docs/clients.md). A login may wait for who types."""

_C = Circumstance

CAUSES: tuple[tuple[Step, frozenset[Circumstance], Cause], ...] = (
    (
        Step.NOTHING,
        frozenset(),
        Cause(
            "no packet of the device has reached UDP port 500 of this machine",
            "is the device in this network, does it dial this address, does a firewall here let "
            "UDP 500 and 4500 in? Guest networks often keep devices apart",
        ),
    ),
    (
        Step.MAIN_2,
        frozenset({_C.REPEATS}),
        Cause(
            "the device does not get message 2, or ignores it",
            "look at what filters UDP port 500 on the way back; an Apple device ignores message 2 "
            "if anything but SA and vendor IDs is in it",
        ),
    ),
    (
        Step.MAIN_2,
        frozenset(),
        Cause(
            "the device has given up after message 2",
            "its own log says why: it may not take the proposal that was chosen",
        ),
    ),
    (
        Step.MAIN_4,
        frozenset({_C.REPEATS}),
        Cause(
            "the device repeats message 3: it does not get message 4, the first large one",
            "look at what drops fragments, or large datagrams, on the way back",
        ),
    ),
    (
        Step.MAIN_4,
        frozenset(),
        Cause(
            "with a NAT between, the device goes on on UDP port 4500, and nothing comes there",
            "let UDP port 4500 in, at this machine and at what is between; a NAT before this "
            "machine must forward it like 500",
        ),
    ),
    (
        Step.MAIN_5,
        frozenset(),
        Cause(
            "message 5 does not decrypt: the secrets of device and gateway are not the same",
            "type the secret anew; profiles of an earlier lab have another one",
        ),
    ),
    (
        Step.MAIN_6,
        frozenset({_C.WINDOWS, _C.SERVER_NAT}),
        Cause(
            "Windows does not connect to a gateway behind a NAT, unless it is told to (error 809)",
            "set AssumeUDPEncapsulationContextOnSendRule to 2 (windows.ps1 does with "
            "--behind-nat), or gateway.public_address",
        ),
    ),
    (
        Step.MAIN_6,
        frozenset({_C.APPLE}),
        Cause(
            "the device does not take who the gateway says it is",
            "it wants the address that it dials: name that with --listen, and behind a NAT with "
            "gateway.public_address",
        ),
    ),
    (
        Step.MAIN_6,
        frozenset(),
        Cause(
            "message 6 did not reach the device, or it does not take the gateway's identity",
            "see the device's own log",
        ),
    ),
    (
        Step.QUICK_2,
        frozenset({_C.APPLE}),
        Cause(
            "racoon does not take message 2 of Quick Mode: identities, encapsulation, or a payload "
            "that it does not know",
            "keep the transcript: that is a fault of the gateway",
        ),
    ),
    (
        Step.QUICK_2,
        frozenset(),
        Cause(
            "the device does not take message 2 of Quick Mode, or it is lost",
            "see the device's own log",
        ),
    ),
    (
        Step.QUICK_3,
        frozenset({_C.ESP_COMES}),
        Cause(
            "the device's ESP comes and is opened, and no L2TP reaches the gateway out of it",
            "let UDP port 1701 in where it comes through IPsec: `ikectl verify` finds the rule of "
            "this machine that drops it",
        ),
    ),
    (
        Step.QUICK_3,
        frozenset({_C.NO_NAT}),
        Cause(
            "ESP goes bare (IP protocol 50) as no NAT is between, and none arrives",
            "let IP protocol 50 in: many firewalls and routers know TCP and UDP alone",
        ),
    ),
    (
        Step.QUICK_3,
        frozenset({_C.WINDOWS, _C.SERVER_NAT}),
        Cause(
            "Windows does not send to a gateway behind a NAT, unless it is told to (error 809)",
            "set AssumeUDPEncapsulationContextOnSendRule to 2, and start Windows again",
        ),
    ),
    (
        Step.QUICK_3,
        frozenset(),
        Cause(
            "no L2TP comes through ESP",
            "look at what filters UDP port 4500; `ikectl verify` looks at this machine",
        ),
    ),
    (
        Step.SCCRP,
        frozenset(),
        Cause(
            "the device does not get SCCRP, or does not take it: its ESP comes, ours does not",
            "look at what filters our ESP on the way to it; `ikectl verify` looks at this machine",
        ),
    ),
    (
        Step.SCCCN,
        frozenset(),
        Cause("the device has its tunnel and asks for no call", "see the device's own log"),
    ),
    (
        Step.ICRP,
        frozenset(),
        Cause("the device does not take the gateway's ICRP", "see the device's own log"),
    ),
    (
        Step.ICCN,
        frozenset(),
        Cause(
            "PPP does not begin: data messages are lost, or the device waits for an empty message",
            "keep the transcript: that may be a fault of the gateway",
        ),
    ),
    (
        Step.LCP,
        frozenset(),
        Cause(
            "device and gateway do not agree on the link, or on how to log in",
            "let the device use MS-CHAPv2, or allow in ppp.auth what it asks for",
        ),
    ),
    (
        Step.LOGIN,
        frozenset(),
        Cause("the device does not log in", "does it wait for somebody who types the password?"),
    ),
    (
        Step.IPCP,
        frozenset(),
        Cause(
            "the device does not take the address that it is given",
            "see the device's own log; it may insist on an address or name servers",
        ),
    ),
)


def why(step: Step, circumstances: frozenset[Circumstance]) -> Cause:
    """The likely cause of a device's silence after a step."""
    for known, needs, cause in CAUSES:
        if known is step and needs <= circumstances:
            return cause
    return Cause("the gateway has not answered", "its log says why")
