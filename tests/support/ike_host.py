"""A host for the responder engine: an in-memory kernel, DH in place, a clock that is a number.

Like the daemon's, its kernel does everything in the order of the engine's effects. What a question
asks for is done at once; its answer may be held back.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from ikev1.core.clients import MarkSpace
from ikev1.core.credentials import Credentials, PresharedKey
from ikev1.core.effects import (
    AgreeDh,
    Alive,
    Carried,
    CheckRevocation,
    ChildSa,
    ClientDown,
    ComputeDh,
    CountChild,
    CountReceived,
    Dropped,
    Effect,
    GenerateDh,
    Installed,
    InstallFailed,
    InstallInbound,
    InstallOutbound,
    MoveChild,
    Path,
    ProveClaim,
    Received,
    Refused,
    RemoveChild,
    RevocationCheck,
    Send,
    Sign,
    Signed,
)
from ikev1.core.exchange import ConnectionSettings, Question, Settings
from ikev1.core.proposals import EspPolicy, IkePolicy
from ikev1.core.responder import Responder
from ikev1.crypto.dh import DhError, KeyPair, generate_and_agree
from ikev1.x509.claim import prove
from ikev1.x509.errors import CertificateError

T = TypeVar("T")

PSK = b"correct horse battery staple"

EVERY_IKE = IkePolicy(
    encryption=frozenset({"aes256", "aes192", "aes128", "3des"}),
    hashes=frozenset({"md5", "sha1", "sha256", "sha384", "sha512"}),
    groups=frozenset(
        {"modp1024", "modp1536", "modp2048", "modp3072", "modp4096", "modp8192"}
        | {"ecp256", "ecp384", "ecp521"}
    ),
)
EVERY_ESP = EspPolicy(
    encryption=frozenset({"aes256", "aes192", "aes128", "3des"})
    | {"aes256gcm16", "aes192gcm16", "aes128gcm16"},
    integrity=frozenset({"md5", "sha1", "sha256", "sha384", "sha512"}),
    groups=EVERY_IKE.groups,
)


def deterministic(seed: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_128(f"{seed}/{count}".encode()).digest(size)

    return draw


def settings(**changes: object) -> Settings:
    """Settings that allow everything, with one key for anybody, and nobody asked if he lives.

    Keywords that ConnectionSettings knows go there, for every connection.
    """
    names = ConnectionSettings.__dataclass_fields__
    of_connection = {"dpd_delay": 0.0} | {
        key: changes.pop(key) for key in tuple(changes) if key in names
    }
    values: dict[str, object] = {
        "ike": EVERY_IKE,
        "esp": EVERY_ESP,
        "credentials": Credentials([PresharedKey("office", PSK)]),
        "default": ConnectionSettings(**of_connection),  # type: ignore[arg-type]
    }
    return Settings(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class IkeHost:
    """Carries out the effects of a responder and keeps what it would have told."""

    settings: Settings = field(default_factory=settings)
    refuse_inbound: str = ""
    refuse_outbound: str = ""
    refuse_move: str = ""
    sent: list[tuple[Path, bytes]] = field(default_factory=list)
    told: list[Effect] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    """Marks of clients whose messages have come."""
    inbound: dict[int, ChildSa] = field(default_factory=dict)
    """Inbound SAs in the kernel, by SPI."""
    outbound: dict[int, ChildSa] = field(default_factory=dict)
    """Outbound SAs in the kernel, by the SPI of their inbound half."""
    received: dict[int, int] = field(default_factory=dict)
    """Octets that have come through the SAs of a mark."""
    received_by_spi: dict[int, int] = field(default_factory=dict)
    """The same of single inbound SAs."""
    now: float = 0.0
    hold: tuple[type, ...] = ()
    """Kinds of questions whose answers wait for `answer`."""
    held: deque[tuple[int, object]] = field(default_factory=deque)
    """Tickets and answers that wait."""
    revocation: RevocationCheck | CertificateError = field(default_factory=RevocationCheck)
    """The answer to every question for revocations."""
    asked: list[Question] = field(default_factory=list)
    """All questions so far."""

    def __post_init__(self) -> None:
        self._installing: set[int] = set()
        self.engine = Responder(self.settings, MarkSpace(), deterministic("responder"))

    def receive(self, datagram: bytes, path: Path) -> list[tuple[Path, bytes]]:
        """Give the engine a datagram; returns what it sends."""
        return self._run(self.engine.receive(datagram, path, self.now))

    def advance(self, now: float) -> list[tuple[Path, bytes]]:
        """Let the clock be `now`."""
        self.now = now
        return self._run(self.engine.advance(now))

    def unite(self, older_mark: int, younger_mark: int) -> list[tuple[Path, bytes]]:
        """The younger has shown in its own SAs that it is the older."""
        return self._run(self.engine.unite(older_mark, younger_mark, self.now))

    def dialled_anew(self, mark: int) -> list[tuple[Path, bytes]]:
        """A client that had an L2TP tunnel begins another one."""
        return self._run(self.engine.dialled_anew(mark, self.now))

    def close_client(self, client: str) -> list[tuple[Path, bytes]]:
        """End a client as an operator would."""
        return self._run(self.engine.close_client(client, "test", self.now))

    def moved(self, spi: int, remote: str, port: int) -> list[tuple[Path, bytes]]:
        """Say that ESP comes from elsewhere."""
        return self._run(self.engine.moved(spi, remote, port, self.now))

    def child_expiring(self, spi: int) -> list[tuple[Path, bytes]]:
        """Say that an SA of the kernel is near its end."""
        return self._run(self.engine.child_expiring(spi, self.now))

    def child_expired(self, spi: int) -> list[tuple[Path, bytes]]:
        """Say that the kernel has ended an SA."""
        return self._run(self.engine.child_expired(spi, self.now))

    def unknown_spi(self, spi: int, path: Path, size: int) -> list[tuple[Path, bytes]]:
        """Say that ESP has come for which there is no SA."""
        return self._run(self.engine.unknown_spi(spi, path, size, self.now))

    def reconfigure(self, settings: Settings) -> list[tuple[Path, bytes]]:
        """Serve by other settings from now on."""
        return self._run(self.engine.reconfigure(settings, self.now))

    def close_all(self) -> list[tuple[Path, bytes]]:
        """Stop."""
        return self._run(self.engine.close_all("test", self.now))

    def answer(self) -> list[tuple[Path, bytes]]:
        """Give the oldest answer that was held back."""
        return self.give(*self.held.popleft())

    def give(self, ticket: int, result: object) -> list[tuple[Path, bytes]]:
        """Give an answer that was held back."""
        return self._run(self._complete(ticket, result))

    def answer_all(self) -> list[tuple[Path, bytes]]:
        """Give every answer that is held back, and those to the questions that follow."""
        self.hold = ()
        sent: list[tuple[Path, bytes]] = []
        while self.held:
            sent += self.answer()
        return sent

    @property
    def is_installing(self) -> bool:
        """Whether the engine has yet to hear of an outbound SA that it asked for."""
        return bool(self._installing)

    def count(self, kind: type) -> int:
        """How many questions of a kind there were."""
        return sum(isinstance(question, kind) for question in self.asked)

    def told_of(self, kind: type[T]) -> list[T]:
        """What was told of a kind, in order."""
        return [event for event in self.told if isinstance(event, kind)]

    def refusals(self) -> list[Refused]:
        """The refusals so far."""
        return [event for event in self.told if isinstance(event, Refused)]

    def drops(self) -> list[str]:
        """The reasons of dropped datagrams so far."""
        return [event.reason for event in self.told if isinstance(event, Dropped)]

    def gone(self) -> list[ClientDown]:
        """The clients of which nothing is left."""
        return [event for event in self.told if isinstance(event, ClientDown)]

    def _run(self, effects: list[Effect]) -> list[tuple[Path, bytes]]:
        sent: list[tuple[Path, bytes]] = []
        while effects:
            following: list[Effect] = []
            for effect in effects:
                following += self._carry_out(effect, sent)
            effects = following
        self.sent += sent
        return sent

    def _carry_out(self, effect: Effect, sent: list[tuple[Path, bytes]]) -> list[Effect]:
        match effect:
            case Send():
                sent.append((effect.path, effect.datagram))
            case (
                ComputeDh()
                | GenerateDh()
                | AgreeDh()
                | ProveClaim()
                | CheckRevocation()
                | Sign()
                | InstallInbound()
                | InstallOutbound()
            ):
                self.asked.append(effect)
                if isinstance(effect, InstallOutbound):
                    self._installing.add(effect.ticket)
                result = self._do(effect)
                if not isinstance(effect, self.hold):
                    return self._complete(effect.ticket, result)
                self.held.append((effect.ticket, result))
            case CountReceived():
                octets = tuple(self.received.get(mark, 0) for mark in effect.marks)
                return self._complete(effect.ticket, Received(octets))
            case CountChild():
                octets_of_one = self.received_by_spi.get(effect.inbound_spi, 0)
                return self._complete(effect.ticket, Carried(octets_of_one))
            case RemoveChild():
                self.inbound.pop(effect.child.inbound_spi, None)
                self.outbound.pop(effect.child.inbound_spi, None)
            case MoveChild():
                if self.refuse_move:
                    return self._complete(effect.ticket, InstallFailed(self.refuse_move))
                for table in (self.inbound, self.outbound):
                    if effect.old.inbound_spi in table:
                        table[effect.old.inbound_spi] = effect.new
                return self._complete(effect.ticket, Installed())
            case Alive():
                self.alive.append(effect.mark)
            case _:
                self.told.append(effect)
        return []

    def _complete(self, ticket: int, result: object) -> list[Effect]:
        self._installing.discard(ticket)
        return self.engine.complete(ticket, result, self.now)

    def _do(self, question: Question) -> object:
        match question:
            case ComputeDh() | GenerateDh() | AgreeDh():
                return self._dh(question)
            case ProveClaim():
                try:
                    return prove(question.claim, question.trusts, datetime.now(UTC))
                except CertificateError as error:
                    return error
            case CheckRevocation():
                return self.revocation
            case Sign():
                return Signed(question.key.sign(question.hash, question.proof))
            case InstallInbound():
                if self.refuse_inbound:
                    return InstallFailed(self.refuse_inbound)
                self.inbound[question.child.inbound_spi] = question.child
            case InstallOutbound():
                if self.refuse_outbound:
                    return InstallFailed(self.refuse_outbound)
                self.outbound[question.child.inbound_spi] = question.child
                for old in question.replaces:
                    self.outbound.pop(old.inbound_spi, None)
        return Installed()

    def _dh(self, question: ComputeDh | GenerateDh | AgreeDh) -> object:
        random = deterministic(f"dh{question.ticket}")
        try:
            match question:
                case ComputeDh():
                    return generate_and_agree(question.group, question.peer_public, random)
                case GenerateDh():
                    return KeyPair.generate(question.group, random)
                case AgreeDh():
                    return question.own.agree(question.peer_public)
        except DhError as error:
            return error
