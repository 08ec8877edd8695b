"""Runs the IKE engine: sockets and clock on one side, the kernel's SAs on the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from itertools import islice

from cli.ikev1d.config.model import Config, Connection
from cli.ikev1d.farewells import Farewells
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.machine import Machine
from cli.ikev1d.processes.others import Others
from cli.ikev1d.revocation import Revocation
from cli.ikev1d.story import Story, Told
from cli.ikev1d.timer import Timer
from cli.ikev1d.udp import IKE_PORT, IkeSockets
from ikev1.core.credentials import CertificateCredential, Credentials, PresharedKey
from ikev1.core.effects import (
    AgreeDh,
    Alive,
    Carried,
    CheckRevocation,
    ChildSa,
    ChildUp,
    ClientDown,
    ComputeDh,
    Continued,
    CountChild,
    CountReceived,
    Dropped,
    Effect,
    GenerateDh,
    IkeSaDown,
    IkeSaUp,
    InstallInbound,
    InstallOutbound,
    MessageSeen,
    MoveChild,
    Path,
    ProveClaim,
    Received,
    RemoveChild,
    Send,
    SessionsLost,
    Sign,
)
from ikev1.core.exchange import ConnectionSettings, Settings
from ikev1.core.proposals import EspPolicy, IkePolicy
from ikev1.core.replacement import SameIdentity
from ikev1.core.responder import Responder
from xfrm.esp_tap import StrayEsp

Question = InstallInbound | InstallOutbound | MoveChild | CountReceived | CountChild

FAREWELL_DELAY = 0.5
"""Seconds until last words follow changes: a login or a rekey is not made to wait for them."""
FAREWELLS_AT_A_TIME = 2
"""Clients whose last words are made before others have their turn: less than a millisecond."""


def make_settings(
    config: Config,
    unusable: Collection[str],
    *,
    esp_on_ike_port: bool,
    traced: bool = False,
    parts: int = 1,
) -> Settings:
    """The engine's settings: what the operator allows, less what the kernel lacks.

    It is one of so many `parts` of the gateway.
    """
    public_address = config.gateway.public_address
    return Settings(
        ike=IkePolicy(
            encryption=frozenset(config.ike.encryption),
            hashes=frozenset(config.ike.hashes),
            groups=frozenset(config.ike.groups),
            max_lifetime=config.ike.max_lifetime,
        ),
        esp=EspPolicy(
            encryption=frozenset(config.esp.encryption).difference(unusable),
            integrity=frozenset(config.esp.integrity).difference(unusable),
            groups=frozenset(config.ike.groups),
            max_lifetime=config.esp.max_lifetime,
        ),
        credentials=Credentials(
            (
                PresharedKey(
                    connection=psk.connection,
                    secret=psk.secret.reveal(),
                    local=psk.local,
                    remote=psk.remote,
                    identity=psk.identity,
                    one_client=psk.one_client,
                )
                for psk in config.psks
            ),
            (
                CertificateCredential.of(
                    one.connection,
                    one.key,
                    one.chain,
                    one.trust,
                    identity=one.identity,
                    local=one.local,
                    remote=one.remote,
                )
                for one in config.certificates
            ),
        ),
        public_address=None if public_address is None else str(public_address),
        esp_on_ike_port=esp_on_ike_port,
        traced=traced,
        half_open_limit=-(-config.ike.half_open_limit // parts),
        half_open_per_address=config.ike.half_open_per_address,
        half_open_lifetime=config.ike.half_open_timeout,
        connections={
            name: _connection_settings(connection)
            for name, connection in config.connections.items()
        },
        default=_connection_settings(config.default_connection),
    )


def _connection_settings(connection: Connection) -> ConnectionSettings:
    return ConnectionSettings(
        dpd_delay=connection.dpd_delay,
        dpd_timeout=connection.dpd_timeout,
        rekey=connection.rekey,
        same_identity=SameIdentity(connection.same_identity),
    )


class IkeHost:
    """The engine and its surroundings.

    `unusable` are ESP algorithms that the kernel lacks. `client_up` is called with the mark of a
    client whose first Phase 1 is up, `client_alive` with that of a
    client that has sent an IKE message, `client_gone` with mark, name and cause for each client of
    which nothing is left, `child_coming` with each child SA before the client can send through it,
    and `child_up` once it is up. `continued` is called with the mark under which a client goes on
    and the one that it had beside it. `others` are the gateway's other processes.
    """

    def __init__(
        self,
        config: Config,
        machine: Machine,
        sockets: IkeSockets,
        sas: KernelSas,
        unusable: Collection[str],
        story: Story,
        farewells: Farewells,
        client_up: Callable[[int], None],
        client_alive: Callable[[int], None],
        client_gone: Callable[[int, str, str], None],
        child_coming: Callable[[ChildSa], None],
        child_up: Callable[[ChildUp], None],
        continued: Callable[[int, int], None],
        others: Others,
    ) -> None:
        self._parts = others.share.count
        self._trace = machine.trace
        self._sockets = sockets
        self.engine = Responder(
            self._settings(config, unusable),
            others.marks(config),
            machine.random,
            others.has_client,
        )
        self._sas = sas
        self._story = story
        self._farewells = farewells
        self._outdated: dict[int, None] = {}
        """Marks of clients whose last words are to be made anew, the first to change first."""
        self._renewal: asyncio.Handle | None = None
        self._client_up = client_up
        self._client_alive = client_alive
        self._client_gone = client_gone
        self._child_coming = child_coming
        self._child_up = child_up
        self._continued = continued
        self._loop = asyncio.get_running_loop()
        self._timer = Timer(self._advance)
        self._workers = machine.workers(machine.random)
        self._revocation = Revocation()

    @property
    def waiting(self) -> int:
        """Public-key work under way."""
        return self._workers.waiting

    def receive(self, datagram: bytes, path: Path) -> bool:
        """A datagram from one of the IKE sockets; whether more was to do than to put it by."""
        if self._trace is not None:
            self._trace.ike_received(datagram, path)
        effects = self.engine.receive(datagram, path, self._loop.time())
        self._carry_out(effects)
        return not all(isinstance(effect, Dropped) for effect in effects)

    def child_expiring(self, inbound_spi: int) -> None:
        """The kernel says that an SA is near its end."""
        self._carry_out(self.engine.child_expiring(inbound_spi, self._loop.time()))

    def child_expired(self, inbound_spi: int) -> None:
        """The kernel has ended an SA."""
        self._carry_out(self.engine.child_expired(inbound_spi, self._loop.time()))

    def moved(self, inbound_spi: int, remote: str, port: int) -> None:
        """The kernel has seen a client's ESP come from elsewhere."""
        self._carry_out(self.engine.moved(inbound_spi, remote, port, self._loop.time()))

    def stray_esp(self, stray: StrayEsp) -> None:
        """ESP has come that is for no SA of this run."""
        local, remote, port = stray.destination, stray.source, stray.source_port
        path = (
            Path(local, stray.destination_port, remote, port, encapsulated=True)
            if port
            else Path(local, IKE_PORT, remote, IKE_PORT)
        )
        now = self._loop.time()
        self._carry_out(self.engine.unknown_spi(stray.spi, path, stray.size, now))

    def unite(self, older_mark: int, younger_mark: int) -> None:
        """The younger client goes on in a tunnel of the older: they are one, if they look alike."""
        now = self._loop.time()
        self._carry_out(self.engine.unite(older_mark, younger_mark, now))

    def dialled_anew(self, mark: int) -> bool:
        """A client that had an L2TP tunnel begins another one; whether that ends what it had."""
        effects = self.engine.dialled_anew(mark, self._loop.time())
        self._carry_out(effects)
        return bool(effects)

    def close_client(self, client_id: str, cause: str) -> None:
        """End one client, with Deletes for it."""
        self._carry_out(self.engine.close_client(client_id, cause, self._loop.time()))

    def reconfigure(self, config: Config, unusable: Collection[str]) -> None:
        """Serve by another configuration from now on; who has lost its preshared key is ended."""
        self._revocation.forget()
        settings = self._settings(config, unusable)
        self._carry_out(self.engine.reconfigure(settings, self._loop.time()))

    def _settings(self, config: Config, unusable: Collection[str]) -> Settings:
        return make_settings(
            config,
            unusable,
            esp_on_ike_port=self._sockets.esp_on_ike_port,
            traced=self._trace is not None,
            parts=self._parts,
        )

    def close(self, cause: str) -> None:
        """End every client: the kernel has nothing of theirs any more."""
        self._carry_out(self.engine.close_all(cause, self._loop.time()))
        self._timer.cancel()
        if self._renewal is not None:
            self._renewal.cancel()
        self._workers.close()
        self._revocation.close()

    def _advance(self) -> None:
        self._carry_out(self.engine.advance(self._loop.time()))

    def _carry_out(self, effects: list[Effect]) -> None:
        waiting = deque(effects)
        while waiting:
            effect = waiting.popleft()
            match effect:
                case Send():
                    if self._trace is not None:
                        self._trace.ike_sent(effect.datagram, effect.path)
                    self._sockets.send(effect.path, effect.datagram)
                case ComputeDh() | GenerateDh() | AgreeDh() | ProveClaim() | Sign():
                    self._workers.do(effect, partial(self._complete, effect.ticket))
                case CheckRevocation():
                    self._revocation.check(effect, partial(self._complete, effect.ticket))
                case (
                    InstallInbound()
                    | InstallOutbound()
                    | MoveChild()
                    | CountReceived()
                    | CountChild()
                ):
                    answer = self._answer(effect)
                    waiting += self.engine.complete(effect.ticket, answer, self._loop.time())
                case RemoveChild():
                    self._sas.remove(effect.child)
                case Alive():
                    self._client_alive(effect.mark)
                case MessageSeen():
                    if self._trace is not None:
                        self._trace.ike_message(effect)
                case _:
                    if self._trace is not None:
                        self._trace.told(effect)
                    self._story.tell(effect)
                    self._follow(effect)
        self._timer.set(self.engine.next_deadline())

    def _follow(self, event: Told) -> None:
        """Have the other layers, and the last words, follow what has become of a client."""
        match event:
            case IkeSaUp(replaces=None):
                client = self.engine.clients.by_id(event.client)
                if client is not None:
                    self._client_up(client.mark)
            case ClientDown():
                self._forget_farewell(event.mark)
                self._client_gone(event.mark, event.client, event.cause)
            case Continued():
                self._forget_farewell(event.other_mark)
                self._prepare_farewell(event.mark)
                self._continued(event.mark, event.other_mark)
            case SessionsLost():
                self._client_gone(event.mark, event.client, event.cause)
            case ChildUp():
                self._prepare_farewell(event.child.mark)
                self._child_up(event)
            case IkeSaUp() | IkeSaDown():
                client = self.engine.clients.by_id(event.client)
                if client is not None and client.children:
                    self._prepare_farewell(client.mark)
            case _:
                pass

    def _prepare_farewell(self, mark: int) -> None:
        """Make the client's last words anew, in a moment: all that changes with it is in them."""
        self._outdated[mark] = None
        if self._renewal is None:
            self._renewal = self._loop.call_later(FAREWELL_DELAY, self._renew_farewells)

    def _renew_farewells(self) -> None:
        for mark in tuple(islice(self._outdated, FAREWELLS_AT_A_TIME)):
            del self._outdated[mark]
            words = self.engine.farewell(mark)
            if words:
                self._farewells.keep(mark, words)
            else:
                self._farewells.forget(mark)
        self._renewal = self._loop.call_soon(self._renew_farewells) if self._outdated else None

    def _forget_farewell(self, mark: int) -> None:
        self._outdated.pop(mark, None)
        self._farewells.forget(mark)

    def _answer(self, question: Question) -> object:
        """Do at once what the engine asks for."""
        match question:
            case InstallInbound():
                self._child_coming(question.child)
                return self._sas.install_inbound(question.child)
            case InstallOutbound():
                return self._sas.install_outbound(question.child, question.replaces)
            case MoveChild():
                self._child_coming(question.new)
                self._prepare_farewell(question.new.mark)
                return self._sas.move(question.old, question.new)
            case CountReceived():
                return Received(self._sas.received(question.marks))
            case CountChild():
                return Carried(self._sas.received_by(question.mark, question.inbound_spi))

    def _complete(self, ticket: int, result: object) -> None:
        """Give the engine a late answer; one that it no longer waits for is ignored."""
        self._carry_out(self.engine.complete(ticket, result, self._loop.time()))
