"""A small L2TP and PPP initiator, written apart from the gateway's code so that it can judge it.

Sans-IO: ``start``, ``receive`` and ``advance`` return datagrams to send. ``ClientProfile`` holds
what tells real clients apart: names, windows, who waits for what, PPP options.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from l2tp.ppp.mschapv2 import authenticator_response, nt_password_hash, nt_response

SCCRQ, SCCRP, SCCCN, STOPCCN, HELLO = 1, 2, 3, 4, 6
ICRQ, ICRP, ICCN, CDN = 10, 11, 12, 14
LCP, PAP, CHAP, IPCP, CCP, IPV6CP = 0xC021, 0xC023, 0xC223, 0x8021, 0x80FD, 0x8057
AUTH_OPTIONS = {"mschapv2": b"\xc2\x23\x81", "chap-md5": b"\xc2\x23\x05", "pap": b"\xc0\x23"}

Options = list[tuple[int, bytes]]


class GatewayMistakeError(AssertionError):
    """The gateway sent what no client of ours would take."""


def expect(condition: bool, complaint: str) -> None:
    """Hold the gateway to something."""
    if not condition:
        raise GatewayMistakeError(complaint)


@dataclass(frozen=True)
class ClientProfile:
    """How one kind of client behaves."""

    host_name: bytes = b"client"
    receive_window: int = 4
    framing: int = 3
    vendor_name: bytes = b""
    extra_avps: bytes = b""
    iccn_avps: bytes = b""
    waits_for_ack: bool = False  # Android: nothing more before SCCCN and ICCN are acknowledged
    retransmit: float = 1.0
    max_retransmits: int = 9
    data_length_bit: bool = True
    auth: tuple[str, ...] = ("mschapv2", "chap-md5")
    lcp_options: tuple[tuple[int, bytes], ...] = (
        (1, b"\x05\x78"),
        (2, bytes(4)),
        (5, b"\x12\x34\x56\x78"),
        (7, b""),
        (8, b""),
    )
    ipcp_options: tuple[tuple[int, bytes], ...] = ((3, bytes(4)), (129, bytes(4)), (131, bytes(4)))
    other_protocols: tuple[int, ...] = ()
    hash_name: bytes | None = None


ANDROID = ClientProfile(
    host_name=b"anonymous", receive_window=1, waits_for_ack=True, retransmit=2.0, max_retransmits=20
)
APPLE_OLD = ClientProfile(
    host_name=b"",
    lcp_options=((2, bytes(4)), (5, b"\x01\x02\x03\x04"), (7, b""), (8, b"")),
    ipcp_options=((2, b"\x00\x2d\x0f\x01"), (3, bytes(4)), (129, bytes(4)), (131, bytes(4))),
)
APPLE = ClientProfile(
    host_name=b"iphone\0",
    lcp_options=APPLE_OLD.lcp_options,
    ipcp_options=APPLE_OLD.ipcp_options,
    other_protocols=(0x8235,),
)
WINDOWS = ClientProfile(
    host_name=b"DESKTOP",
    receive_window=8,
    framing=1,
    vendor_name=b"Microsoft",
    lcp_options=(
        (1, b"\x05\x78"),
        (5, b"\x0a\x0b\x0c\x0d"),
        (7, b""),
        (8, b""),
        (13, b"\x06"),
        (17, b"\x06\x4e"),
        (19, b"\x01" + bytes(18)),
    ),
    ipcp_options=(
        (3, bytes(4)),
        (129, bytes(4)),
        (130, bytes(4)),
        (131, bytes(4)),
        (132, bytes(4)),
    ),
    other_protocols=(CCP, IPV6CP),
)


def avp(number: int, value: bytes, flags: int = 0x8000, vendor: int = 0) -> bytes:
    """One AVP in octets."""
    return struct.pack(">HHH", flags | len(value) + 6, vendor, number) + value


def read_avps(body: bytes) -> dict[int, bytes]:
    """AVPs by number, trusting the sender."""
    avps = {}
    while body:
        size = struct.unpack(">H", body[:2])[0] & 0x3FF
        avps[struct.unpack(">H", body[4:6])[0]] = body[6:size]
        body = body[size:]
    return avps


def control(tunnel: int, session: int, ns: int, nr: int, body: bytes = b"") -> bytes:
    """A control message in octets."""
    return struct.pack(">6H", 0xC802, 12 + len(body), tunnel, session, ns, nr) + body


def data(tunnel: int, session: int, frame: bytes, *, length: bool = True) -> bytes:
    """A data message in octets."""
    if length:
        return struct.pack(">4H", 0x4002, 8 + len(frame), tunnel, session) + frame
    return struct.pack(">3H", 0x0002, tunnel, session) + frame


def ppp(protocol: int, code: int, identifier: int, body: bytes) -> bytes:
    """A PPP control frame with address and control."""
    head = b"\xff\x03" + struct.pack(">HBBH", protocol, code, identifier, 4 + len(body))
    return head + body


def read_options(body: bytes) -> Options:
    """Configuration options, trusting the sender."""
    options = []
    while body:
        options.append((body[0], body[2 : body[1]]))
        body = body[body[1] :]
    return options


def write_options(options: Options) -> bytes:
    """Configuration options in octets."""
    return b"".join(bytes((number, 2 + len(value))) + value for number, value in options)


@dataclass
class Negotiation:
    """The client's half of LCP or IPCP."""

    protocol: int
    options: Options
    identifier: int = 0
    acked: bool = False
    peer_acked: bool = False
    resend_at: float | None = None
    sent: int = 0

    @property
    def is_open(self) -> bool:
        return self.acked and self.peer_acked


@dataclass
class L2tpClient:
    """One dial-in."""

    profile: ClientProfile
    user: bytes
    password: str
    random: Callable[[int], bytes]
    tunnel_id: int = 0x1111
    session_id: int = 0x2222
    state: str = "idle"
    address: bytes = b""
    options: Options = field(default_factory=list)
    failure: str = ""
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.peer_tunnel = self.peer_session = 0
        self.ns = self.nr = 0
        self.queue: list[tuple[int, bytes]] = []
        self.unacked: list[tuple[int, int, bytes]] = []
        self.resend_at: float | None = None
        self.resends = 0
        self.lcp = Negotiation(LCP, list(self.profile.lcp_options))
        self.ipcp = Negotiation(IPCP, list(self.profile.ipcp_options))
        self.auth = ""
        self.auth_challenge = b""
        self.auth_peer_challenge = b""
        self.auth_response = b""
        self.authenticated = False
        self.pap_at: float | None = None
        self.link_up = False
        self.out: list[bytes] = []
        self.rejected: list[int] = []

    # Entry points.

    def start(self, now: float) -> list[bytes]:
        """Send the SCCRQ."""
        profile = self.profile
        body = avp(0, struct.pack(">H", SCCRQ)) + avp(2, b"\x01\x00")
        body += avp(3, struct.pack(">I", profile.framing)) + avp(7, profile.host_name)
        if profile.vendor_name:
            body += avp(8, profile.vendor_name, flags=0)
        body += avp(9, struct.pack(">H", self.tunnel_id))
        body += avp(10, struct.pack(">H", profile.receive_window)) + profile.extra_avps
        self.state = "wait-reply"
        self._send_control(0, body, now)
        return self._flush()

    def receive(self, datagram: bytes, now: float) -> list[bytes]:
        """Take a datagram."""
        flags = struct.unpack(">H", datagram[:2])[0]
        if flags & 0x8000:
            self._control(datagram, now)
        else:
            self._data(datagram, flags, now)
        return self._flush()

    def advance(self, now: float) -> list[bytes]:
        """Repeat what was not answered."""
        if self.resend_at is not None and now >= self.resend_at:
            self._resend_control(now)
        for half in (self.lcp, self.ipcp):
            if half.resend_at is not None and now >= half.resend_at:
                self._request(half, now, again=True)
        if self.pap_at is not None and now >= self.pap_at:
            self._send_pap(now)
        return self._flush()

    def deadline(self) -> float | None:
        """When ``advance`` wants to run."""
        times = (self.resend_at, self.lcp.resend_at, self.ipcp.resend_at, self.pap_at)
        return min((time for time in times if time is not None), default=None)

    def hang_up(self, now: float) -> list[bytes]:
        """Terminate-Request, CDN and StopCCN, as pppd and xl2tpd do."""
        if self.link_up:
            self._ppp(LCP, 5, 200, b"")
        if self.peer_session:
            body = avp(0, struct.pack(">H", CDN)) + avp(1, struct.pack(">H", 3))
            body += avp(14, struct.pack(">H", self.session_id))
            self._send_control(self.peer_session, body, now)
        body = avp(0, struct.pack(">H", STOPCCN)) + avp(9, struct.pack(">H", self.tunnel_id))
        self._send_control(0, body + avp(1, struct.pack(">H", 1)), now)
        self._stop_ppp()
        self.state = "closing"
        return self._flush()

    def hello(self, now: float) -> list[bytes]:
        """Ask whether the gateway lives."""
        self._send_control(0, avp(0, struct.pack(">H", HELLO)), now)
        return self._flush()

    # L2TP control.

    def _send_control(self, session: int, body: bytes, now: float) -> None:
        self.queue.append((session, body))
        self._push(now)

    def _push(self, now: float) -> None:
        window = 1 if self.profile.waits_for_ack else 4
        while self.queue and len(self.unacked) < window:
            session, body = self.queue.pop(0)
            self.unacked.append((self.ns, session, body))
            self.out.append(control(self.peer_tunnel, session, self.ns, self.nr, body))
            self.ns += 1
            self.resend_at = self.resend_at or now + self.profile.retransmit

    def _resend_control(self, now: float) -> None:
        self.resends += 1
        if self.resends > self.profile.max_retransmits:
            self._fail("gateway does not answer")
            return
        for ns, session, body in self.unacked:
            self.out.append(control(self.peer_tunnel, session, ns, self.nr, body))
        self.resend_at = now + self.profile.retransmit

    def _control(self, datagram: bytes, now: float) -> None:
        flags, length, tunnel, _, ns, nr = struct.unpack(">6H", datagram[:12])
        expect(flags == 0xC802, "gateway sent other flags than T, L, S and version 2")
        expect(length == len(datagram), "gateway sent a length that is not the datagram's")
        if tunnel != self.tunnel_id or self.state == "idle":
            return
        if self.state == "failed":
            self.nr = max(self.nr, ns + (length > 12))
            if length > 12:
                self.out.append(control(self.peer_tunnel, 0, self.ns, self.nr))
            return
        self._acked(nr, now)
        if length == 12:
            return
        if ns != self.nr:
            if ns < self.nr:
                self.out.append(control(self.peer_tunnel, 0, self.ns, self.nr))
            return
        self.nr += 1
        body = datagram[12:]
        expect(body[:6] == b"\x80\x08\0\0\0\0", "first AVP is not an 8 octet Message Type with M")
        sent = len(self.out)
        self._message(read_avps(body), now)
        if len(self.out) == sent:
            self.out.append(control(self.peer_tunnel, 0, self.ns, self.nr))

    def _acked(self, nr: int, now: float) -> None:
        before = len(self.unacked)
        self.unacked = [sent for sent in self.unacked if sent[0] >= nr]
        if len(self.unacked) == before:
            return
        self.resends = 0
        self.resend_at = now + self.profile.retransmit if self.unacked else None
        self._push(now)
        if self.unacked or self.queue:
            return
        if self.state == "wait-tunnel-ack":
            self._place_call(now)
        elif self.state == "wait-call-ack":
            self._start_ppp(now)
        elif self.state == "closing":
            self.state = "closed"

    def _message(self, avps: dict[int, bytes], now: float) -> None:
        (kind,) = struct.unpack(">H", avps[0])
        if kind == SCCRP and self.state == "wait-reply":
            expect({2, 3, 7, 9} <= set(avps), "SCCRP lacks an AVP that Apple requires")
            (self.peer_tunnel,) = struct.unpack(">H", avps[9])
            self.state = "wait-tunnel-ack"
            self._send_control(0, avp(0, struct.pack(">H", SCCCN)), now)
            if not self.profile.waits_for_ack:
                self._place_call(now)
        elif kind == ICRP and self.state == "wait-call":
            (self.peer_session,) = struct.unpack(">H", avps[14])
            body = avp(0, struct.pack(">H", ICCN)) + avp(24, struct.pack(">I", 100_000_000))
            body += avp(19, struct.pack(">I", 3)) + self.profile.iccn_avps
            self.state = "wait-call-ack"
            self._send_control(self.peer_session, body, now)
            if not self.profile.waits_for_ack:
                self._start_ppp(now)
        elif kind in (STOPCCN, CDN):
            self._fail(f"gateway sent {kind}: {avps[1][4:].decode()}")

    def _place_call(self, now: float) -> None:
        self.state = "wait-call"
        body = avp(0, struct.pack(">H", ICRQ)) + avp(14, struct.pack(">H", self.session_id))
        self._send_control(0, body + avp(15, struct.pack(">I", 1)), now)

    def _fail(self, why: str) -> None:
        if self.state not in ("closing", "closed"):
            self.state = "failed"
        else:
            self.state = "closed"
        self.failure = self.failure or why
        self.resend_at = None
        self.queue.clear()
        self.unacked.clear()
        self._stop_ppp()

    # PPP.

    def _start_ppp(self, now: float) -> None:
        self.state = "ppp"
        self.link_up = True
        self._request(self.lcp, now)

    def _stop_ppp(self) -> None:
        self.link_up = False
        self.lcp.resend_at = self.ipcp.resend_at = self.pap_at = None

    def _ppp(self, protocol: int, code: int, identifier: int, body: bytes) -> None:
        frame = ppp(protocol, code, identifier, body)
        length = self.profile.data_length_bit
        self.out.append(data(self.peer_tunnel, self.peer_session, frame, length=length))

    def _request(self, half: Negotiation, now: float, *, again: bool = False) -> None:
        half.sent += 1
        if half.sent > 30:
            half.resend_at = None
            self._fail(f"protocol {half.protocol:#x} does not converge")
            return
        half.identifier += not again
        half.acked = False
        half.resend_at = now + 3
        self._ppp(half.protocol, 1, half.identifier, write_options(half.options))

    def _data(self, datagram: bytes, flags: int, now: float) -> None:
        offset = 4 if flags & 0x4000 else 2
        _, session = struct.unpack(">HH", datagram[offset : offset + 4])
        offset += 8 if flags & 0x0800 else 4
        frame = datagram[offset:]
        if not self.link_up or session != self.session_id:
            return
        expect(frame[:2] == b"\xff\x03", "frame lacks address and control")
        protocol, code, identifier, length = struct.unpack(">HBBH", frame[2:8])
        body = frame[8 : 4 + length]
        handler = {LCP: self._lcp, CHAP: self._chap, PAP: self._pap, IPCP: self._ipcp}
        handler[protocol](code, identifier, body, now)

    def _lcp(self, code: int, identifier: int, body: bytes, now: float) -> None:
        if code == 1:
            self._judge_lcp(identifier, read_options(body), body)
            self._log_in(now)
        elif code in (2, 3, 4):
            self._answered(self.lcp, code, identifier, body, now)
        elif code == 5:
            self._ppp(LCP, 6, identifier, b"")
            self._fail(f"terminated: {body.decode()}")
        elif code == 8:
            self.rejected.append(struct.unpack(">H", body[:2])[0])
        elif code == 9:
            magic = dict(self.lcp.options).get(5, bytes(4))
            self._ppp(LCP, 10, identifier, magic + body[4:])

    def _judge_lcp(self, identifier: int, options: Options, body: bytes) -> None:
        wanted = dict(options).get(3, b"")
        names = [name for name in self.profile.auth if AUTH_OPTIONS[name] == wanted]
        if not names:
            nak = write_options([(3, AUTH_OPTIONS[self.profile.auth[0]])])
            self._ppp(LCP, 3, identifier, nak)
            return
        self.auth = names[0]
        self.lcp.peer_acked = True
        self._ppp(LCP, 2, identifier, body)

    def _answered(
        self, half: Negotiation, code: int, identifier: int, body: bytes, now: float
    ) -> None:
        if identifier != half.identifier or half.acked:
            return
        if code == 2:
            expect(body == write_options(half.options), "Configure-Ack is not what was asked")
            half.acked = True
            half.resend_at = None
            self._opened(half, now)
            return
        answer = dict(read_options(body))
        if code == 4:
            half.options = [option for option in half.options if option[0] not in answer]
        else:
            half.options = [(number, answer.get(number, value)) for number, value in half.options]
        self._request(half, now)

    def _opened(self, half: Negotiation, now: float) -> None:
        if half is self.ipcp:
            self._check_up()
        else:
            self._log_in(now)

    def _log_in(self, now: float) -> None:
        if self.lcp.is_open and self.auth == "pap" and self.pap_at is None:
            self._send_pap(now)

    def _send_pap(self, now: float) -> None:
        password = self.password.encode()
        body = bytes((len(self.user),)) + self.user + bytes((len(password),)) + password
        self.pap_at = now + 3
        self._ppp(PAP, 1, 1, body)

    def _pap(self, code: int, identifier: int, body: bytes, now: float) -> None:
        self.pap_at = None
        if code == 2:
            self._authenticated(now)
        else:
            self.failure = "password refused"

    def _chap(self, code: int, identifier: int, body: bytes, now: float) -> None:
        if code == 1:
            self.auth_challenge = body[1 : 1 + body[0]]
            value = self._chap_value(identifier)
            self._ppp(CHAP, 2, identifier, bytes((len(value),)) + value + self.user)
        elif code == 4:
            self.failure = body.decode()
        elif code == 3 and not self.authenticated:
            if self.auth == "mschapv2":
                proof = body.decode().split(" ")[0]
                expect(proof == self._expected_proof(), "gateway does not know the password")
            self._authenticated(now)

    def _chap_value(self, identifier: int) -> bytes:
        secret = self.password.encode()
        if self.auth == "chap-md5":
            octets = bytes((identifier,)) + secret + self.auth_challenge
            return hashlib.md5(octets, usedforsecurity=False).digest()
        self.auth_peer_challenge = self.auth_peer_challenge or self.random(16)
        name = self.profile.hash_name or self.user
        self.auth_response = nt_response(
            nt_password_hash(self.password), self.auth_challenge, self.auth_peer_challenge, name
        )
        return self.auth_peer_challenge + bytes(8) + self.auth_response + b"\0"

    def _expected_proof(self) -> str:
        return authenticator_response(
            nt_password_hash(self.password),
            self.auth_response,
            self.auth_peer_challenge,
            self.auth_challenge,
            self.profile.hash_name or self.user,
        )

    def _authenticated(self, now: float) -> None:
        if self.authenticated:
            return
        self.authenticated = True
        self._request(self.ipcp, now)
        for protocol in self.profile.other_protocols:
            self._ppp(protocol, 1, 1, b"")

    def _ipcp(self, code: int, identifier: int, body: bytes, now: float) -> None:
        if not self.authenticated:
            return  # RFC 1661 section 3.5, and what pppd does
        if code == 1:
            self.ipcp.peer_acked = True
            self._ppp(IPCP, 2, identifier, body)
            self._check_up()
        elif code in (2, 3, 4):
            self._answered(self.ipcp, code, identifier, body, now)

    def _check_up(self) -> None:
        if self.ipcp.is_open:
            self.state = "up"
            self.options = self.ipcp.options
            self.address = dict(self.ipcp.options)[3]

    def _flush(self) -> list[bytes]:
        out, self.out = self.out, []
        return out
