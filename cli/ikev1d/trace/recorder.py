"""Writes the trace: is shown all that comes and goes, and what the engines tell."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path as FilePath

from cli.ikev1d.trace.ike_records import Record, header_record, payload_record
from cli.ikev1d.trace.l2tp_records import control_record, is_traced, ppp_record
from cli.ikev1d.trace.placeholders import Placeholders
from ikev1.core.effects import (
    ChildDown,
    ChildUp,
    ClientDown,
    Continued,
    Dropped,
    IkeSaDown,
    IkeSaUp,
    MessageSeen,
    Noted,
    Path,
    Refused,
    SessionsLost,
)
from ikev1.errors import ProtocolError as IkeError
from ikev1.wire.enums import ExchangeType, Flag
from ikev1.wire.header import Header, parse_header
from l2tp.core.effects import (
    AuthFailed,
    Peer,
    SessionDown,
    SessionUp,
    TunnelDown,
    TunnelRefused,
    TunnelUp,
)
from l2tp.core.effects import Dropped as L2tpDropped
from l2tp.errors import ProtocolError as L2tpError
from l2tp.wire.packet import ControlMessage, parse
from l2tp.wire.ppp import parse_frame

VERSION = 1
MAX_SIZE = 64 * 1024 * 1024
"""Characters that a trace grows to: anybody on the internet can send us something."""
REMEMBERED = 4096
"""Datagrams of late that are known when they come, or go, again."""
_MARKER = bytes(4)

_TOLD: dict[type, tuple[str, ...]] = {
    IkeSaUp: ("client", "path", "authentication", "suite", "nat", "lifetime", "implementation"),
    IkeSaDown: ("client", "cause"),
    ChildUp: ("child.client", "child.mark", "child.suite.label", "child.encapsulated", "rekeyed"),
    ChildDown: ("child.client", "child.mark", "cause"),
    ClientDown: ("client", "mark", "cause"),
    Continued: ("client", "mark", "other"),
    SessionsLost: ("client", "mark", "cause"),
    Refused: ("client", "path", "exchange", "cause", "remedy"),
    Noted: ("client", "path", "text"),
    Dropped: ("path", "reason"),
    TunnelUp: ("peer.mark",),
    TunnelDown: ("peer.mark", "cause"),
    TunnelRefused: ("peer.mark", "cause"),
    SessionUp: ("peer.mark", "user", "auth_protocol.value", "mtu"),
    SessionDown: ("peer.mark", "cause"),
    AuthFailed: ("peer.mark", "user", "cause", "remedy"),
    L2tpDropped: ("peer.mark", "reason.value", "detail"),
}
"""What a trace has of each event, as attributes; the last part of each is its key."""
_KEYS = {"suite.label": "suite", "auth_protocol.value": "auth", "reason.value": "reason"}


class Recorder:
    """`write` takes each line, `clock` tells the seconds."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._start = clock()
        self._placeholders = Placeholders()
        self._seen: dict[bytes, None] = {}
        self._size = 0
        # The clock is the machine's: who reads along knows what time it is in the trace.
        self._put("trace", {"version": VERSION, "clock": self._start})

    # --- IKE -------------------------------------------------------------------------------------

    def ike_received(self, datagram: bytes, path: Path) -> None:
        """A datagram has come; what it says follows, unless it has come before."""
        self._again("client", datagram, path)

    def ike_sent(self, datagram: bytes, path: Path) -> None:
        """The same of one that goes."""
        self._again("gateway", datagram, path)

    def ike_message(self, seen: MessageSeen) -> None:
        """What a message says."""
        shown = [payload_record(payload, self._placeholders) for payload in seen.payloads]
        record = {"from": "gateway" if seen.sent else "client", "client": seen.client}
        self._put(
            "ike",
            record | self._path(seen.path) | header_record(seen.header) | {"payloads": shown},
        )

    def _again(self, sender: str, datagram: bytes, path: Path) -> None:
        key = blake2b(datagram, digest_size=16).digest()
        again = key in self._seen
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        message = datagram[len(_MARKER) :] if path.encapsulated else datagram
        try:
            header = parse_header(message)
        except IkeError:
            return
        record: Record = {"from": sender, "client": header.initiator_cookie[:4].hex()}
        record |= self._path(path) | header_record(header)
        if again:
            self._put("ike", record | {"again": True})
        elif sender == "client" and _is_message_5(header):
            self._put("sealed", record)

    def _path(self, path: Path) -> Record:
        return {
            "address": self._placeholders.address(path.remote),
            "port": path.remote_port,
            "floated": path.encapsulated,
        }

    # --- L2TP and PPP ----------------------------------------------------------------------------

    def l2tp_received(self, datagram: bytes, peer: Peer) -> None:
        """A datagram has come out of ESP."""
        self._l2tp("client", datagram, peer)

    def l2tp_sent(self, datagram: bytes, peer: Peer) -> None:
        """The same of one that goes."""
        self._l2tp("gateway", datagram, peer)

    def frame_received(self, octets: bytes, session: int, peer: Peer | None) -> None:
        """A PPP frame has come through a session's data path."""
        self._frame("client", octets, session, peer)

    def frame_sent(self, octets: bytes, session: int, peer: Peer | None) -> None:
        """The same of one that goes."""
        self._frame("gateway", octets, session, peer)

    def _frame(self, sender: str, octets: bytes, session: int, peer: Peer | None) -> None:
        record: Record = {"from": sender, "session": session}
        if peer is not None:
            record |= {"mark": peer.mark, "port": peer.port}
        self._ppp(record, octets)

    def _l2tp(self, sender: str, datagram: bytes, peer: Peer) -> None:
        record: Record = {"from": sender, "mark": peer.mark, "port": peer.port}
        try:
            message = parse(datagram)
            if isinstance(message, ControlMessage):
                self._put("l2tp", record | control_record(message, self._placeholders))
            else:
                more = {"session": message.session_id, "has_length": message.has_length}
                self._ppp(record | more, message.payload)
        except L2tpError as error:
            self._put("l2tp", record | {"malformed": str(error)})

    def _ppp(self, record: Record, octets: bytes) -> None:
        try:
            frame = parse_frame(octets)
            if is_traced(frame):
                self._put("ppp", record | ppp_record(frame, self._placeholders))
        except L2tpError as error:
            self._put("ppp", record | {"malformed": str(error)})

    # --- events ----------------------------------------------------------------------------------

    def told(self, event: object) -> None:
        """What an engine tells; of most kinds nothing is kept."""
        fields = _TOLD.get(type(event))
        if fields is None:
            return
        record: Record = {"what": type(event).__name__}
        for name in fields:
            value = attrgetter(name)(event)
            key = _KEYS.get(name.removeprefix("child."), name.rpartition(".")[2])
            match value:
                case Path():
                    record |= self._path(value)
                case str() if key == "user":
                    record[key] = self._placeholders.name("user", value)
                case str():
                    record[key] = self._placeholders.text(value)
                case _:
                    record[key] = value
        self._put("told", record)

    def _put(self, event: str, record: Record) -> None:
        if self._size > MAX_SIZE:
            return
        at = round(self._clock() - self._start, 3)
        line = json.dumps({"at": at, "event": event} | record)
        self._size += len(line)
        if self._size > MAX_SIZE:
            line = json.dumps({"at": at, "event": "full"})
        self._write(line + "\n")


def _is_message_5(header: Header) -> bool:
    """Whether nobody may be able to read it: under another secret it does not decrypt."""
    encrypted = bool(header.flags & Flag.ENCRYPTION)
    return encrypted and header.exchange_type == ExchangeType.IDENTITY_PROTECTION


def record_to(path: FilePath, clock: Callable[[], float]) -> Recorder:
    """A recorder that writes a new file, for its owner's eyes. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    os.fchmod(file, 0o600)
    return Recorder(lambda line: os.write(file, line.encode()), clock)
