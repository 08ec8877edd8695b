"""An exchange as a script: a generator that reads top to bottom like the diagrams of RFC 2409.

A script yields what it waits for, and is resumed with it:

    message = yield Await(reply)          # send the reply, wait for the peer's next message
    result = yield ComputeDh(...)         # ask the host, wait for its answer

It ends by returning its last reply, or None, and fails by raising ExchangeError or ProtocolError.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from msgspec import Struct

from ikev1.core.credentials import Credentials
from ikev1.core.effects import (
    AgreeDh,
    CheckRevocation,
    ComputeDh,
    GenerateDh,
    InstallInbound,
    InstallOutbound,
    Path,
    ProveClaim,
    Sign,
)
from ikev1.core.proposals import EspPolicy, IkePolicy
from ikev1.core.replacement import SameIdentity
from ikev1.wire.header import Header
from ikev1.wire.message import Payloads


class Message(Struct, frozen=True):
    """A received message: its header, what follows it, and the payloads where they are in clear."""

    header: Header
    body: bytes
    path: Path
    payloads: Payloads | None


@final
class Await(Struct, frozen=True):
    """Send `reply` and wait for the peer's next message.

    `encrypted` says whether that message is; one that is not as it should be is dropped.
    `insist` sends the reply again until it comes: for Quick Mode, whose last message nobody else
    would repeat.
    """

    reply: bytes
    encrypted: bool = True
    insist: bool = False


PublicKeyWork = ComputeDh | GenerateDh | AgreeDh | ProveClaim | Sign
Question = PublicKeyWork | CheckRevocation | InstallInbound | InstallOutbound
Script = Generator[Await | Question, Any, bytes | None]


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What the operator decides about the clients of one connection; times are seconds."""

    dpd_delay: float = 60.0
    """Silence after which a client is looked at and asked (RFC 3706); 0 for never."""
    dpd_timeout: float = 180.0
    """Silence after which a client that was asked is gone."""
    rekey: bool = False
    """Whether we renew child SAs and Phase 1 SAs that the client has not renewed near their end."""
    same_identity: SameIdentity = SameIdentity.REPLACE
    """What becomes of a client that comes again, from elsewhere, while it is connected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator decides about IKE; times are seconds."""

    ike: IkePolicy
    esp: EspPolicy
    credentials: Credentials
    public_address: str | None = None
    """The gateway's address to clients that find a NAT before it, which then see none."""
    connections: Mapping[str, ConnectionSettings] = field(default_factory=dict)
    """By the name that a credential gives to the connection it is for."""
    default: ConnectionSettings = ConnectionSettings()
    """Of connections that are not in `connections`, such as one that a reload has taken away."""
    traced: bool = False
    """Whether every message is told in clear (`MessageSeen`)."""
    esp_on_ike_port: bool = False
    """Whether the kernel takes ESP out of UDP 500, behind a non-IKE marker."""
    half_open_limit: int = 2000
    """Phase 1 exchanges under way at once. Some 3 kB each."""
    half_open_per_address: int = 64
    """The same for one source address: dozens of clients may share a NAT."""
    half_open_lifetime: float = 30.0
    """A client that has not finished Phase 1 by then has given up (racoon: 5 tries of 2 s)."""

    def of(self, connection: str) -> ConnectionSettings:
        """What holds for the clients of a connection."""
        return self.connections.get(connection, self.default)


@dataclass(slots=True, eq=False)
class Exchange:
    """One running or just finished script, and what it needs to answer a repeated request."""

    script: Script
    message_id: int
    request: bytes = b""
    """Digest of the last request that was accepted."""
    reply: bytes | None = None
    awaits: Await | None = None
    """The message the script waits for; None while it waits for the host, and after its end."""
    ticket: int | None = None
    """The question to the host that the script waits for."""
    renews: int | None = None
    """The inbound SPI of the child that it renews, if it is ours; None if the client began it."""
    done: bool = False
    """Whether it has succeeded; it is kept for a while where its last reply may be asked for again.
    """
    replies: int = 0
    insisted: int = 0

    def close(self) -> None:
        """End the script where it stands: no message and no answer of the host goes on with it."""
        self.awaits = None
        self.ticket = None
        self.script.close()
