"""A client that dials in: an initiator, the NAT before it, and a gateway, all in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self, TypeVar

from ikev1.core.effects import ChildSa, Path
from ikev1.core.ike_sa import IkeSa
from ikev1.core.natt import NON_ESP_MARKER
from ikev1.crypto.cipher import encrypt
from ikev1.crypto.keymat import hash_1
from ikev1.wire.enums import ExchangeType, Flag, PayloadType
from ikev1.wire.header import HEADER_LENGTH, VERSION_1_0, Header, build_header
from ikev1.wire.payloads import Payload
from interop.clients.ike import IPHONE
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.effects import Effect, EspSas, Failed, Send
from interop.initiator.engine import Initiator
from interop.initiator.profiles import Profile
from interop.initiator.session import ClientPath
from interop.initiator.signatures import Signer
from tests.support.ike_host import PSK, IkeHost, deterministic

GATEWAY = "203.0.113.1"
CLIENT = "198.51.100.7"
PRIVATE = "192.168.1.2"
NAT = "198.51.100.99"

T = TypeVar("T")

Sent = Sequence[tuple[Path, bytes]]


@dataclass
class Dialin:
    """One client and its way to the gateway.

    `nat` is the address it is seen to come from, None where there is no NAT; `ports` are the ports
    it is seen to come from, for those it sends to 500 and those it sends to 4500.
    """

    host: IkeHost
    profile: Profile = IPHONE
    psk: bytes = PSK
    inner: str = CLIENT
    nat: str | None = None
    ports: tuple[int, int] = (500, 4500)
    gateway: str = GATEWAY
    dialled: str | None = None
    """The gateway's address as the client knows it, where the gateway is behind a NAT."""
    seed: str = "client"
    make_dh: Callable[[int, Callable[[int], bytes]], DhKey] = dh_key
    lets_server_rekey: bool = False
    signer: Signer | None = None
    told: list[Effect] = field(default_factory=list)
    talk: list[tuple[bytes, list[bytes]]] = field(default_factory=list)
    """Each datagram to the gateway, and its answers to it."""

    def __post_init__(self) -> None:
        self.initiator = Initiator(
            self.profile,
            self.psk,
            ClientPath(ip_address(self.inner), ip_address(self.dialled or self.gateway)),
            deterministic(self.seed),
            make_dh=self.make_dh,
            # A gateway behind a NAT names its real address, which this client does not know.
            tolerated=frozenset({Cause.QM2_NAT_OA} if self.dialled else ()),
            lets_server_rekey=self.lets_server_rekey,
            signer=self.signer,
        )

    # --- the way ---------------------------------------------------------------------------------

    def path(self, floated: bool) -> Path:
        """Where the gateway sees a datagram come from."""
        return Path(
            local=self.gateway,
            local_port=4500 if floated else 500,
            remote=self.nat or self.inner,
            remote_port=self.ports[floated],
            encapsulated=floated,
        )

    def give(self, send: Send) -> list[bytes]:
        """Carry one datagram to the gateway; returns those it sends to us at once."""
        sent = self.host.receive(send.datagram, self.path(send.floated))
        answers = [datagram for path, datagram in sent if self._is_ours(path)]
        self.talk.append((send.datagram, answers))
        return answers

    def give_bytes(self, datagram: bytes, *, floated: bool = False) -> list[bytes]:
        """The same for any octets."""
        return self.give(Send(datagram, floated))

    def take(self, datagram: bytes, floated: bool) -> list[Send]:
        """Carry one datagram to the client; returns what it sends."""
        return self.note(self.initiator.receive(datagram, floated, self.host.now))

    def note(self, effects: Iterable[Effect]) -> list[Send]:
        """Keep what the client tells; returns what it sends."""
        sends = []
        for effect in effects:
            if isinstance(effect, Send):
                sends.append(effect)
            else:
                self.told.append(effect)
        return sends

    def run(self, effects: Iterable[Effect]) -> None:
        """Carry datagrams to and fro until nobody has more to say."""
        waiting = deque(self.note(effects))
        while waiting:
            send = waiting.popleft()
            for answer in self.give(send):
                waiting += self.take(answer, send.floated)

    def deliver(self, sent: Sent) -> None:
        """Carry what the gateway has sent of its own accord, and all that follows."""
        for path, datagram in sent:
            if self._is_ours(path):
                self.run(self.take(datagram, path.encapsulated))

    def _is_ours(self, path: Path) -> bool:
        return path == self.path(path.encapsulated)

    # --- what a client does ----------------------------------------------------------------------

    def main_mode(self) -> Self:
        """Run Main Mode."""
        self.run(self.initiator.start(self.host.now))
        return self

    def quick_mode(self) -> EspSas:
        """Run a Quick Mode and return its SAs."""
        before = len(self.sas)
        self.run(self.initiator.quick_mode(self.host.now))
        assert len(self.sas) == before + 1, self.told
        return self.sas[-1]

    def connect(self) -> Self:
        """Run Main Mode and a Quick Mode."""
        self.main_mode().quick_mode()
        return self

    @classmethod
    def behind_nat(
        cls,
        host: IkeHost,
        profile: Profile = IPHONE,
        *,
        inner: str = PRIVATE,
        ports: tuple[int, int] = (61000, 61001),
        seed: str = "client",
        psk: bytes = PSK,
    ) -> Self:
        """A client with a private address, whose NAT gives it other ports."""
        return cls(host, profile, psk, inner=inner, nat=NAT, ports=ports, seed=seed)

    def again(self, seed: str, profile: Profile | None = None) -> Self:
        """The same client with a new Phase 1, over the same NAT mapping."""
        return type(self)(
            self.host,
            profile or self.profile,
            self.psk,
            inner=self.inner,
            nat=self.nat,
            ports=self.ports,
            gateway=self.gateway,
            dialled=self.dialled,
            seed=seed,
            make_dh=self.make_dh,
            lets_server_rekey=self.lets_server_rekey,
            signer=self.signer,
        )

    # --- what has come of it ---------------------------------------------------------------------

    def told_of(self, kind: type[T]) -> list[T]:
        """What the client told of a kind."""
        return [effect for effect in self.told if isinstance(effect, kind)]

    @property
    def sas(self) -> list[EspSas]:
        """The client's ESP SAs."""
        return self.told_of(EspSas)

    @property
    def failures(self) -> list[Failed]:
        """Why the client gave up."""
        return self.told_of(Failed)

    @property
    def ike_sa(self) -> IkeSa:
        """The gateway's side of the Phase 1 SA."""
        engine = self.host.engine
        return next(
            sa
            for client in engine.clients
            for sa in engine.ike_sas_of(client)
            if sa.cookies == self.initiator.cookies
        )

    def child(self, sas: EspSas | None = None) -> ChildSa:
        """The gateway's side of a pair of ESP SAs, the last one where none is named."""
        sas = sas or self.sas[-1]
        found = self.host.engine.clients.by_inbound_spi(int.from_bytes(sas.outbound_spi))
        assert found is not None
        return found[1].sa

    # --- messages that the initiator would not make ----------------------------------------------

    def protect(
        self,
        values: Sequence[Payload],
        exchange: ExchangeType = ExchangeType.INFORMATIONAL,
        message_id: int = 0x01020304,
    ) -> Send:
        """A protected first message of an exchange, with HASH(1), of any payloads."""
        sa = self.ike_sa
        message, _ = sa.seal_hashed(exchange, message_id, values, sa.phase2_iv(message_id))
        return self._as_sent(message)

    def protect_chain(self, kind: int, chain: bytes, message_id: int) -> Send:
        """A protected Informational with HASH(1) of any octets, the first payload's of `kind`."""
        sa = self.ike_sa
        assert sa.choice is not None
        assert sa.keys is not None
        proof = hash_1(sa.hash, sa.keys.skeyid_a, message_id, chain)
        head = bytes([kind, 0]) + (4 + len(proof)).to_bytes(2)
        iv = sa.phase2_iv(message_id)
        body = encrypt(sa.choice.encryption, sa.keys.cipher_key, iv, head + proof + chain).data
        header = Header(
            sa.initiator_cookie,
            sa.responder_cookie,
            PayloadType.HASH,
            VERSION_1_0,
            ExchangeType.INFORMATIONAL,
            Flag.ENCRYPTION,
            message_id,
            HEADER_LENGTH + len(body),
        )
        return self._as_sent(build_header(header) + body)

    def _as_sent(self, message: bytes) -> Send:
        return Send(NON_ESP_MARKER + message if self.floated else message, self.floated)

    @property
    def floated(self) -> bool:
        """Whether the client talks to port 4500."""
        return self.ike_sa.path.encapsulated


def agree(client: EspSas, child: ChildSa) -> bool:
    """Whether both sides have the same SPIs, and the same keys for each direction."""
    return (
        client.outbound_spi == child.inbound_spi.to_bytes(4)
        and client.inbound_spi == child.outbound_spi.to_bytes(4)
        and client.outbound_keys == child.inbound_encryption_key + child.inbound_integrity_key
        and client.inbound_keys == child.outbound_encryption_key + child.outbound_integrity_key
        and client.inbound_keys != client.outbound_keys
    )
