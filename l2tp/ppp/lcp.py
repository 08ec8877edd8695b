"""Link Control Protocol, RFC 1661, as the end that authenticates its peer.

We ask for MRU, authentication and a magic number. Of the peer we take MRU, ACCM (meaningless over
L2TP, so any value), magic, PFC and ACFC; everything else, such as callback or multilink, gets a
Configure-Reject. Identification and Time-Remaining (RFC 1570) are read over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from l2tp.ppp.fsm import REJECT_COPY, Automaton, Verdict
from l2tp.ppp.fsm_table import State
from l2tp.ppp.settings import MAX_MRU, MIN_MRU, AuthProtocol, PppSettings
from l2tp.wire.enums import ChapAlgorithm, Code, LcpOption, Protocol
from l2tp.wire.ppp import ControlPacket, Option

# RFC 1661 section 6.4: after a few equal magic numbers in a row the link is a loop.
MAX_LOOPED = 5

AUTH_OPTION = {
    AuthProtocol.MSCHAPV2: Protocol.CHAP.to_bytes(2) + bytes((ChapAlgorithm.MSCHAPV2,)),
    AuthProtocol.CHAP_MD5: Protocol.CHAP.to_bytes(2) + bytes((ChapAlgorithm.MD5,)),
    AuthProtocol.PAP: Protocol.PAP.to_bytes(2),
}
_OPTION_AUTH = {value: protocol for protocol, value in AUTH_OPTION.items()}
_SIZES = {
    LcpOption.MRU: 2,
    LcpOption.ACCM: 4,
    LcpOption.MAGIC: 4,
    LcpOption.PFC: 0,
    LcpOption.ACFC: 0,
}


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What the peer asked for and got: how large a packet it takes, what we may compress."""

    mru: int = MAX_MRU
    pfc: bool = False
    acfc: bool = False
    magic: int = 0


class Lcp(Automaton):
    """LCP of one link.

    ``changed`` is told Opened, Closing (no longer open) and Closed (over); ``protocol_rejected``
    is told of the peer's Protocol-Rejects. ``remedy`` is set when the failure is about
    authentication.
    """

    protocol = Protocol.LCP
    codes = frozenset(range(Code.CONFIGURE_REQUEST, Code.TIME_REMAINING + 1))

    def __init__(
        self,
        settings: PppSettings,
        random: Callable[[int], bytes],
        send: Callable[[Protocol, bytes], None],
        changed: Callable[[State, float], None],
        protocol_rejected: Callable[[Protocol, float], None],
    ) -> None:
        super().__init__(send)
        self.peer = PeerOptions()
        self.unanswered_echoes = 0
        self.remedy = ""
        self._settings = settings
        self._random = random
        self._changed = changed
        self._protocol_rejected = protocol_rejected
        self._auth = list(settings.auth_protocols)
        self._mru = settings.mru
        self._refused: set[int] = set()
        self._magic = self._new_magic()
        self._looped = 0
        self._echo_identifier = 0

    @property
    def auth(self) -> AuthProtocol:
        """The authentication protocol asked for last."""
        return self._auth[0]

    @property
    def mru(self) -> int:
        """The largest packet the peer may send to us."""
        return MAX_MRU if LcpOption.MRU in self._refused else self._mru

    # Automaton.

    def request_options(self) -> tuple[Option, ...]:
        """MRU, authentication, magic number, less what the peer rejected."""
        options = (
            Option(LcpOption.MRU, self._mru.to_bytes(2)),
            Option(LcpOption.AUTHENTICATION, AUTH_OPTION[self.auth]),
            Option(LcpOption.MAGIC, self._magic.to_bytes(4)),
        )
        return tuple(option for option in options if option.type not in self._refused)

    def judge(self, options: tuple[Option, ...]) -> Verdict:
        """Reject what we do not do, Nak a tiny MRU and our own magic number, else Ack."""
        rejected = tuple(
            option for option in options if _SIZES.get(LcpOption(option.type)) != len(option.value)
        )
        if rejected:
            return Verdict(Code.CONFIGURE_REJECT, rejected)
        naked = tuple(filter(None, map(self._suggest, options)))
        if naked:
            return Verdict(Code.CONFIGURE_NAK, naked)
        return Verdict(Code.CONFIGURE_ACK, options)

    def _suggest(self, option: Option) -> Option | None:
        value = int.from_bytes(option.value)
        if option.type == LcpOption.MRU and value < MIN_MRU:
            return Option(LcpOption.MRU, MIN_MRU.to_bytes(2))
        if option.type == LcpOption.MAGIC and value in (0, self._magic):
            self._looped += value == self._magic
            if self._looped >= MAX_LOOPED:
                self.failure = self.failure or "link is looped back"
            return Option(LcpOption.MAGIC, self._new_magic().to_bytes(4))
        return None

    def accept_request(self, options: tuple[Option, ...]) -> None:
        """Take over what the peer asked for."""
        self._looped = 0
        peer = PeerOptions()
        for option in options:
            value = int.from_bytes(option.value)
            match option.type:
                case LcpOption.MRU:
                    peer = replace(peer, mru=min(value, MAX_MRU))
                case LcpOption.PFC:
                    peer = replace(peer, pfc=True)
                case LcpOption.ACFC:
                    peer = replace(peer, acfc=True)
                case LcpOption.MAGIC:
                    peer = replace(peer, magic=value)
        self.peer = peer

    def refused(self, code: Code, options: tuple[Option, ...]) -> None:
        """Go on to the next authentication protocol, a smaller MRU, another magic number."""
        for option in options:
            if option.type == LcpOption.AUTHENTICATION:
                self._next_auth(code, option)
            elif code is Code.CONFIGURE_REJECT:
                self._refused.add(option.type)
            elif option.type == LcpOption.MRU:
                value = int.from_bytes(option.value)
                self._mru = value if MIN_MRU <= value < self._mru else self._mru
            elif option.type == LcpOption.MAGIC:
                self._magic = self._new_magic()

    def _next_auth(self, code: Code, option: Option) -> None:
        if code is Code.CONFIGURE_REJECT:
            self.failure = "peer refuses to authenticate"
            self.remedy = "set a user name and password on the client"
            return
        suggested = _OPTION_AUTH.get(option.value)
        if suggested in self._auth[1:]:
            self._auth = self._auth[self._auth.index(suggested) :]
        elif suggested is not self.auth and len(self._auth) > 1:
            del self._auth[0]
        elif suggested is not self.auth:
            wish = suggested.value if suggested else f"option {option.value.hex()}"
            self.failure = f"no common authentication protocol, peer asks for {wish}"
            self.remedy = "allow another authentication protocol here or on the client"

    def extra_code(self, packet: ControlPacket, now: float) -> None:
        """Echo, Discard, Protocol-Reject; Identification and Time-Remaining need no answer."""
        if self.state is not State.OPENED:
            return
        match packet.code:
            case Code.PROTOCOL_REJECT if len(packet.data) >= 2:
                self._protocol_rejected(Protocol(int.from_bytes(packet.data[:2])), now)
            case Code.ECHO_REQUEST if len(packet.data) >= 4:
                self._answer_echo(packet)
            case Code.ECHO_REPLY if len(packet.data) >= 4:
                if packet.identifier == self._echo_identifier and not self._is_own(packet):
                    self.unanswered_echoes = 0

    def _is_own(self, packet: ControlPacket) -> bool:
        return packet.data[:4] == self._magic_octets() != bytes(4)

    def _answer_echo(self, packet: ControlPacket) -> None:
        if self._is_own(packet):
            return
        data = (self._magic_octets() + packet.data[4:])[: self.peer.mru - 4]
        self._transmit(ControlPacket(Code.ECHO_REPLY, packet.identifier, data))

    def _magic_octets(self) -> bytes:
        return bytes(4) if LcpOption.MAGIC in self._refused else self._magic.to_bytes(4)

    def send_echo(self) -> None:
        """Ask whether the peer is still there; only meaningful in state Opened."""
        self._echo_identifier = (self._echo_identifier + 1) & 0xFF
        self.unanswered_echoes += 1
        self._transmit(
            ControlPacket(Code.ECHO_REQUEST, self._echo_identifier, self._magic_octets())
        )

    def reject_protocol(self, protocol: Protocol, information: bytes) -> None:
        """Send a Protocol-Reject; RFC 1661 section 5.7 allows it in state Opened only."""
        if self.state is not State.OPENED:
            return
        self._identifier = (self._identifier + 1) & 0xFF
        data = (protocol.to_bytes(2) + information)[:REJECT_COPY]
        self._transmit(ControlPacket(Code.PROTOCOL_REJECT, self._identifier, data))

    def layer_up(self, now: float) -> None:
        """Opened."""
        self._changed(State.OPENED, now)

    def layer_down(self, now: float) -> None:
        """Left Opened."""
        self._changed(State.CLOSING, now)

    def layer_finished(self, now: float) -> None:
        """Nothing more will happen."""
        self._changed(State.CLOSED, now)

    def _new_magic(self) -> int:
        return int.from_bytes(self._random(4)) | 1
