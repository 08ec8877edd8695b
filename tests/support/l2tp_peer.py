"""A peer of the LNS that sends exactly what a test says, message by message."""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import dataclass
from typing import Any

from l2tp.core.effects import (
    Authenticate,
    DataPathOpened,
    Effect,
    OpenDataPath,
    Peer,
    Send,
    SendFrame,
)
from l2tp.core.lns import Lns
from l2tp.ppp.auth import AuthAccepted
from tests.support.l2tp_client import (
    CHAP,
    ICCN,
    ICRP,
    ICRQ,
    LCP,
    SCCCN,
    SCCRP,
    SCCRQ,
    avp,
    control,
    data,
    ppp,
    read_avps,
)
from tests.support.l2tp_network import make_settings, peer

Kind = type[Effect]


def message_type(number: int, *, mandatory: bool = True) -> bytes:
    """The Message Type AVP."""
    return avp(0, struct.pack(">H", number), 0x8000 if mandatory else 0)


def u16(number: int, value: int) -> bytes:
    """An AVP of two octets."""
    return avp(number, struct.pack(">H", value))


def sccrq_body(tunnel_id: int = 77, *, extra: bytes = b"", host_name: bytes = b"lac") -> bytes:
    """The AVPs of a plain SCCRQ."""
    body = message_type(SCCRQ) + u16(2, 0x0100) + avp(3, b"\0\0\0\3") + avp(7, host_name)
    return body + u16(9, tunnel_id) + extra


@dataclass(frozen=True)
class Answer:
    """A control message of the LNS."""

    session_id: int
    ns: int
    nr: int
    avps: dict[int, bytes]

    @property
    def type(self) -> int:
        """Message type, 0 for a ZLB."""
        return struct.unpack(">H", self.avps[0])[0] if self.avps else 0

    def number(self, avp_type: int) -> int:
        """An AVP of two octets."""
        return int.from_bytes(self.avps[avp_type][:2])

    @property
    def result(self) -> tuple[int, int, str]:
        """Result code, error code and text."""
        value = self.avps[1]
        return int.from_bytes(value[:2]), int.from_bytes(value[2:4]), value[4:].decode()


class RawPeer:
    """One tunnel's other end; ``answers`` and ``events`` are those of the latest call."""

    def __init__(self, lns: Lns, mark: int = 1, tunnel_id: int = 77, port: int = 1701) -> None:
        self.lns = lns
        self.peer = peer(mark, port)
        self.tunnel_id = tunnel_id
        self.lns_tunnel = self.lns_session = 0
        self.ns = self.nr = 0
        self.now = 0.0
        self.answers: list[Answer] = []
        self.frames: list[bytes] = []
        self.events: list[Effect] = []

    def carry_out(self, effects: list[Effect]) -> None:
        """Sort what an entry point of the engine returned."""
        self.answers, self.frames, self.events = [], [], []
        for effect in effects:
            if not isinstance(effect, Send):
                self.events.append(effect)
            elif effect.peer.mark != self.peer.mark:
                continue
            elif effect.datagram[0] & 0x80:
                _, _, tunnel, session, ns, nr = struct.unpack(">6H", effect.datagram[:12])
                assert tunnel == self.tunnel_id
                self.answers.append(Answer(session, ns, nr, read_avps(effect.datagram[12:])))
                self.nr = max(self.nr, ns + bool(effect.datagram[12:]))
            else:
                self.frames.append(effect.datagram)

    def send_raw(self, datagram: bytes, sender: Peer | None = None) -> None:
        """Send any octets."""
        self.carry_out(self.lns.receive(datagram, sender or self.peer, self.now))

    def send(self, body: bytes, session: int = 0, tunnel: int | None = None) -> None:
        """Send a control message in sequence."""
        to = self.lns_tunnel if tunnel is None else tunnel
        datagram = control(to, session, self.ns, self.nr, body)
        self.ns += 1
        self.send_raw(datagram)

    def send_type(self, number: int, session: int = 0, extra: bytes = b"") -> None:
        """Send a control message of this type with more AVPs."""
        self.send(message_type(number) + extra, session)

    def acknowledge(self) -> None:
        """Send a ZLB."""
        self.send_raw(control(self.lns_tunnel, 0, self.ns, self.nr))

    def send_frame(self, protocol: int, code: int, identifier: int, body: bytes) -> None:
        """Send a PPP control packet in the session."""
        frame = ppp(protocol, code, identifier, body)
        self.send_raw(data(self.lns_tunnel, self.lns_session, frame))

    def advance(self, seconds: float) -> None:
        """Let time pass with the engine's timers running; everything it said counts."""
        end = self.now + seconds
        effects: list[Effect] = []
        while (due := self.lns.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            effects += self.lns.advance(self.now)
        self.now = end
        self.carry_out(effects)

    def of_type(self, kind: type) -> list[Effect]:
        """Events of one kind among those of the latest call."""
        return [event for event in self.events if isinstance(event, kind)]

    # The usual course of things.

    def ask(self, extra: bytes = b"") -> None:
        """SCCRQ."""
        self.send(sccrq_body(self.tunnel_id, extra=extra), tunnel=0)
        replies = [answer for answer in self.answers if answer.type == SCCRP]
        if replies:
            self.lns_tunnel = replies[0].number(9)

    def connect(self, extra: bytes = b"") -> None:
        """SCCRQ and SCCCN."""
        self.ask(extra)
        self.send_type(SCCCN)

    def call(self, session_id: int = 88, iccn: bytes = b"") -> None:
        """ICRQ and ICCN."""
        self.send_type(ICRQ, extra=u16(14, session_id) + avp(15, bytes(4)))
        (reply,) = [answer for answer in self.answers if answer.type == ICRP]
        self.lns_session = reply.number(14)
        self.send_type(ICCN, self.lns_session, avp(24, bytes(4)) + avp(19, bytes(4)) + iccn)


def tunnel_response(kind: int, secret: bytes, challenge: bytes) -> bytes:
    """Answer to a Challenge AVP, RFC 2661 section 5.1.1."""
    return hashlib.md5(bytes((kind,)) + secret + challenge, usedforsecurity=False).digest()


def make_lns(seed: int = 1, **settings: Any) -> Lns:
    """An LNS with seeded randomness."""
    return Lns(make_settings(**settings), random.Random(seed).randbytes)


class Caller(RawPeer):
    """A client with an established call; PPP is up to the test."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(make_lns(**settings))
        self.connect()
        self.call()

    def sent_packets(self) -> list[tuple[int, int, int, bytes]]:
        """Protocol, code, identifier and data of the frames of the latest call."""
        packets = []
        for datagram in self.frames:
            protocol, code, identifier, length = struct.unpack(">HBBH", datagram[8:14])
            packets.append((protocol, code, identifier, datagram[14 : 10 + length]))
        return packets

    def open_lcp(self) -> bytes:
        """Bring LCP up; returns the identifier and challenge of the CHAP Challenge."""
        self.send_frame(LCP, 1, 1, b"")
        request = next(packet for packet in self.sent_packets() if packet[1] == 1)
        self.send_frame(LCP, 2, request[2], request[3])
        ((protocol, code, identifier, body),) = self.sent_packets()
        assert (protocol, code) == (CHAP, 1)
        return bytes((identifier,)) + body[1:17]

    def respond(self, identifier: int, fill: int = 0) -> list[Effect]:
        """Send an MS-CHAPv2 Response; returns the logins to be checked."""
        body = bytes((49,)) + bytes((fill,)) * 48 + b"\0alice"
        self.send_frame(CHAP, 2, identifier, body)
        return self.of_type(Authenticate)

    def log_in(self) -> None:
        """Be accepted as alice."""
        challenge = self.open_lcp()
        (login,) = self.respond(challenge[0])
        assert isinstance(login, Authenticate)
        self.carry_out(self.lns.complete(login.ticket, AuthAccepted("alice"), self.now))


class OnPath(Caller):
    """A client whose data path is open; its frames go through that."""

    def __init__(self) -> None:
        super().__init__()
        self.log_in()
        (opening,) = self.of_type(OpenDataPath)
        assert isinstance(opening, OpenDataPath)
        self.carry_out(self.lns.complete(opening.ticket, DataPathOpened(), self.now))

    def send_frame(self, protocol: int, code: int, identifier: int, body: bytes) -> None:
        packet = bytes((code, identifier)) + (4 + len(body)).to_bytes(2) + body
        frame = protocol.to_bytes(2) + packet
        self.carry_out(self.lns.frame_received(self.lns_session, frame, self.now))

    def frames_sent(self) -> list[tuple[int, int]]:
        """Protocol and code of what was sent through the data path."""
        return [
            (int.from_bytes(event.frame[:2]), event.frame[2])
            for event in self.events
            if isinstance(event, SendFrame)
        ]

    def requests(self) -> list[bytes]:
        """IPCP Configure-Requests among what was sent."""
        frames = [event.frame for event in self.events if isinstance(event, SendFrame)]
        return [frame for frame in frames if frame[:3] == b"\x80\x21\x01"]
