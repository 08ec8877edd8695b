"""What the responder engine asks of its host, and what it tells: frozen values, no behaviour.

A value with a `ticket` is a question; the host answers with `Responder.complete(ticket, result,
now)`. The others are to be carried out, or to be logged, in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Struct

from ikev1.core.credentials import SigningKey
from ikev1.crypto.dh import KeyPair
from ikev1.discreet import Discreet
from ikev1.wire.enums import NotifyType
from ikev1.wire.header import Header
from ikev1.wire.payloads import Payload
from ikev1.x509.certificate import Certificate
from ikev1.x509.claim import Claim
from ikev1.x509.trust import Trust


class Path(Struct, frozen=True):
    """The two UDP endpoints of a datagram; `encapsulated` marks the NAT-T socket (RFC 3948)."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    encapsulated: bool = False

    def __str__(self) -> str:
        return f"{self.remote}:{self.remote_port}"


class EspSuite(Struct, frozen=True):
    """The algorithms of an ESP SA by the names of `xfrm.algorithms`; `integrity` None for AEAD."""

    encryption: str
    encryption_bits: int
    integrity: str | None
    label: str
    """As configured and shown to people, "aes256-sha1"."""


class ChildSa(Discreet, frozen=True):
    """A pair of ESP SAs (RFC 2409 section 5.5), all that the kernel needs to carry it."""

    client: str
    """Identifier of the client in logs and status."""
    mark: int
    inbound_spi: int
    outbound_spi: int
    path: Path
    encapsulated: bool
    """ESP in UDP with the ports of `path` (RFC 3948, or its draft -00 if that is not the NAT-T
    socket's)."""
    suite: EspSuite
    client_port: int
    """UDP port in IDci; 0 is any."""
    lifetime: int
    """Seconds, as the client asked for and the gateway enforces."""
    kilobytes: int | None
    rekey_seconds: int | None
    """When we renew it if nobody else has, in seconds of its life; None where we never do."""
    rekey_kilobytes: int | None
    """The same in kilobytes that either of its SAs has carried."""
    pfs_group: int | None
    inbound_encryption_key: bytes
    inbound_integrity_key: bytes
    outbound_encryption_key: bytes
    outbound_integrity_key: bytes


# --- questions -----------------------------------------------------------------------------------


class ComputeDh(Discreet, frozen=True):
    """Make our key pair and the shared secret, where we are the responder.

    The result is a `DhResult` or `DhError`.
    """

    ticket: int
    group: int
    peer_public: bytes


class ProveClaim(Struct, frozen=True):
    """Find the first of `trusts` under which the claim holds (`ikev1.x509.claim.prove`).

    The result is `Proven` or `CertificateError`.
    """

    ticket: int
    claim: Claim
    trusts: tuple[Trust, ...]


class CheckRevocation(Struct, frozen=True):
    """Find out whether a certificate of a chain that has been verified is revoked.

    The result is a `RevocationCheck`, or `CertificateError` where the client is not let in.
    """

    ticket: int
    chain: tuple[Certificate, ...]
    trust: Trust


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign HASH_I or HASH_R with the gateway's key; the result is `Signed` or `SignFailed`."""

    ticket: int
    key: SigningKey = field(repr=False)
    hash: int
    proof: bytes = field(repr=False)


class GenerateDh(Struct, frozen=True):
    """Make a key pair of ours, where we are the initiator; the result is a `KeyPair`.

    The group is one that was agreed on before.
    """

    ticket: int
    group: int


@dataclass(frozen=True, slots=True)
class AgreeDh:
    """Make the shared secret of a key pair of ours; the result is `bytes` or `DhError`."""

    ticket: int
    own: KeyPair = field(repr=False)
    peer_public: bytes = field(repr=False)


class InstallInbound(Struct, frozen=True):
    """Put the inbound SA into the kernel; the result is `Installed` or `InstallFailed`."""

    ticket: int
    child: ChildSa


class InstallOutbound(Struct, frozen=True):
    """Put the outbound SA into the kernel, then take out those of `replaces` that are there.

    One that was taken out so may be wanted again: its sequence numbers and counters go on.
    """

    ticket: int
    child: ChildSa
    replaces: tuple[ChildSa, ...]


class MoveChild(Struct, frozen=True):
    """The client is at another address or port, or has another mark: the kernel's SAs follow.

    Answered like an installation. Where the kernel refuses, some of them may be gone.
    """

    ticket: int
    old: ChildSa
    new: ChildSa


class CountReceived(Struct, frozen=True):
    """Count the octets that have come through the inbound SAs of clients; answered `Received`."""

    ticket: int
    marks: tuple[int, ...]


class CountChild(Struct, frozen=True):
    """Count the octets that have come through the inbound SA of one child; answered `Carried`."""

    ticket: int
    mark: int
    inbound_spi: int


class Installed(Struct, frozen=True):
    """The SA is in the kernel."""


class Carried(Struct, frozen=True):
    """Octets that have come through an inbound SA."""

    octets: int


class InstallFailed(Struct, frozen=True):
    """The kernel refused; nothing of this request is left in it."""

    reason: str


class RevocationCheck(Struct, frozen=True):
    """Nothing is revoked, as far as could be found out; `unknown` says what could not."""

    unknown: str = ""


class Signed(Discreet, frozen=True):
    """The signature, as it stands in SIG."""

    signature: bytes


class SignFailed(Struct, frozen=True):
    """The gateway's key is out of reach."""

    reason: str


class Received(Struct, frozen=True):
    """Octets that have come through the inbound SAs of each client, in the question's order."""

    octets: tuple[int, ...]


# --- to be carried out ---------------------------------------------------------------------------


class Send(Struct, frozen=True):
    """Put this datagram on the wire as it is (the non-ESP marker is in it)."""

    path: Path
    datagram: bytes


class RemoveChild(Struct, frozen=True):
    """Take both SAs of this child out of the kernel, whichever of them are there."""

    child: ChildSa


# --- told ----------------------------------------------------------------------------------------


class IkeSaUp(Struct, frozen=True):
    """A Phase 1 is established."""

    client: str
    path: Path
    connection: str
    identity: str
    authentication: str
    """How the client has proved who it is: "psk", "rsa", "ecdsa256"..."""
    suite: str
    nat: str
    """Who is behind a NAT: "none", "client", "server" or "both"."""
    lifetime: int
    implementation: str
    """What the client's vendor IDs say it is."""
    duration: float
    """Seconds from its first message."""
    replaces: str | None
    """The client identifier of the Phase 1 it renews, where it does."""
    ours: bool = False
    """Whether we began it, and not the client."""


class IkeSaDown(Struct, frozen=True):
    """A Phase 1 has ended; its child SAs may live on."""

    client: str
    cause: str


class ChildUp(Struct, frozen=True):
    """A Quick Mode is complete, and its SAs are in the kernel.

    Not the outbound one where a later Quick Mode of the client has been complete before.
    """

    child: ChildSa
    rekeyed: bool
    ours: bool = False
    """Whether we began that Quick Mode, and not the client."""


class ChildDown(Struct, frozen=True):
    """A child SA has ended."""

    child: ChildSa
    cause: str


class Alive(Struct, frozen=True):
    """A message has come that nobody but this client can have made."""

    client: str
    mark: int


class Probed(Struct, frozen=True):
    """A silent client was sent an R-U-THERE."""

    client: str


class ProbeAnswered(Struct, frozen=True):
    """The R-U-THERE-ACK to the last R-U-THERE has come, the first time."""

    client: str


class ClientDown(Struct, frozen=True):
    """Nothing of this client is left in the engine: its mark is free."""

    client: str
    mark: int
    cause: str


class Continued(Struct, frozen=True):
    """Two clients have turned out to be one, which goes on under this name and mark.

    What the other one had, in its SAs too, is this one's.
    """

    client: str
    mark: int
    other: str
    other_mark: int
    peer: str
    """Where it is, for people."""


class SessionsLost(Struct, frozen=True):
    """The client goes on under its mark, but has forgotten what it had inside its SAs."""

    client: str
    mark: int
    cause: str


class Refused(Struct, frozen=True):
    """An exchange failed: what happened, what was offered and allowed, and what to change."""

    client: str
    path: Path
    exchange: str
    cause: str
    notify: NotifyType | None = None
    remedy: str = ""
    setting: str | None = None
    """Key path in the configuration that decided, for the host to name its line."""


class Noted(Struct, frozen=True):
    """Something the operator should know of a client that is let in all the same."""

    client: str
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """A message that has come, or goes, in clear: for a trace, where `Settings.traced` asks.

    Of a message that comes again, and of what nobody could decrypt, nothing is told.
    """

    client: str
    path: Path
    sent: bool
    header: Header
    payloads: tuple[Payload, ...] = field(repr=False)


class Dropped(Struct, frozen=True):
    """A datagram was ignored; `reason` is a counter's name."""

    path: Path
    reason: str


Effect = (
    ComputeDh
    | ProveClaim
    | CheckRevocation
    | Sign
    | GenerateDh
    | AgreeDh
    | InstallInbound
    | InstallOutbound
    | MoveChild
    | CountReceived
    | CountChild
    | Send
    | RemoveChild
    | IkeSaUp
    | IkeSaDown
    | ChildUp
    | ChildDown
    | Alive
    | Probed
    | ProbeAnswered
    | ClientDown
    | Continued
    | SessionsLost
    | Refused
    | Noted
    | MessageSeen
    | Dropped
)
