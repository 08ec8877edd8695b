"""The IKEv1 responder: datagrams, answers of the host and the clock in; effects out.

Sans-IO: it reads no clock, opens no socket and draws no randomness but what it is given. Every
entry point returns the effects to carry out, in order. See `ikev1.core.effects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ikev1.core import lineage
from ikev1.core.clients import Client, Clients, MarkSpace
from ikev1.core.context import NO_COOKIE, Context
from ikev1.core.effects import Carried, Dropped, Effect, Path, Received, Send
from ikev1.core.exchange import Settings
from ikev1.core.fragmentation import Fragments, Standing
from ikev1.core.hints import Hints
from ikev1.core.ike_sa import IkeSa
from ikev1.core.keepalive import Keepalives
from ikev1.core.liveness import Liveness
from ikev1.core.natt import NON_ESP_MARKER
from ikev1.core.phase1 import Phase1
from ikev1.core.phase1_renewal import Phase1Renewal
from ikev1.core.phase2 import Phase2
from ikev1.core.rechecks import Rechecks
from ikev1.core.rekeying import Rekeying
from ikev1.core.replacement import Proof
from ikev1.core.script_runner import ScriptRunner
from ikev1.core.timers import Timers
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, PayloadType
from ikev1.wire.header import Header, parse_header


class Responder:
    """All Phase 1 and Phase 2 SAs of the gateway."""

    def __init__(
        self,
        settings: Settings,
        marks: MarkSpace,
        random: Callable[[int], bytes],
        elsewhere: Callable[[Proof], bool] = lambda _: False,
    ) -> None:
        """Serve the share of the clients that `marks` are for.

        `elsewhere` tells whether a client is connected to another engine of this gateway.
        """
        self._context = Context(settings, marks, random, elsewhere)
        self._timers = Timers()
        self._runner = ScriptRunner(self._context, self._timers)
        self._liveness = Liveness(self._context, self._timers.at)
        self._keepalives = Keepalives(self._context, self._timers.at)
        self._fragments = Fragments(self._timers.at, self._context.drop)
        self._hints = Hints(self._context)
        self._renewal = Phase1Renewal(self._context, self._timers, self._runner, self._liveness)
        self._rechecks = Rechecks(self._context)
        self._phase1 = Phase1(
            self._context,
            self._timers,
            self._runner,
            self._liveness,
            self._keepalives,
            self._hints,
            self._renewal,
        )
        self._rekeying = Rekeying(
            self._context, self._timers, self._runner, self._liveness, self._renewal
        )
        self._phase2 = Phase2(
            self._context,
            self._timers,
            self._runner,
            self._liveness,
            self._rekeying,
            self._hints,
        )

    # --- entry points ----------------------------------------------------------------------------

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        """A datagram from a socket; on an encapsulated path it has the non-ESP marker."""
        context = self._context
        context.now = now
        try:
            if path.encapsulated:
                if datagram[:4] != NON_ESP_MARKER:
                    return [Dropped(path, "no-non-esp-marker")]
                datagram = datagram[4:]
            header = parse_header(datagram)
            if header.next_payload == PayloadType.FRAGMENT:
                self._fragment(header, datagram, path)
            else:
                self._dispatch(header, datagram, path)
        except ProtocolError as error:
            context.drop_malformed(path, error)
        return context.take_effects()

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        """The host's answer to a question; ignored if its exchange has gone meanwhile."""
        self._context.now = now
        if type(result) is Received:
            self._liveness.counted(ticket, result)
        elif type(result) is Carried:
            self._rekeying.counted(ticket, result)
        else:
            self._runner.complete(ticket, result)
            self._rechecks.complete(ticket, result)
            self._context.changed(ticket, result)
        return self._context.take_effects()

    def advance(self, now: float) -> list[Effect]:
        """Run the timers that are due, and begin one Main Mode if it is the turn of one."""
        self._context.now = now
        self._timers.run(now)
        self._phase1.admit()
        return self._context.take_effects()

    def next_deadline(self) -> float | None:
        """When `advance` has something to do, on the clock of `now`.

        Where a Main Mode may begin that is at once, but one at a time: what clients send who have
        begun comes in between.
        """
        turn = self._phase1.half_open.next_turn()
        due = self._timers.next_deadline()
        return due if turn is None else turn if due is None else min(turn, due)

    def child_expiring(self, inbound_spi: int, now: float) -> list[Effect]:
        """The kernel says that an SA of this child is near its end, in seconds or octets."""
        self._context.now = now
        self._rekeying.due(inbound_spi)
        return self._context.take_effects()

    def child_expired(self, inbound_spi: int, now: float) -> list[Effect]:
        """The kernel has ended an SA of this child: take all of it away."""
        self._context.now = now
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is not None:
            self._context.end_child(*found, "expired in the kernel")
        return self._context.take_effects()

    def moved(self, inbound_spi: int, remote: str, port: int, now: float) -> list[Effect]:
        """The kernel has seen authentic ESP from another address or port: the NAT rebound."""
        self._context.now = now
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is not None:
            client, child = found
            old = child.sa.path
            path = Path(old.local, old.local_port, remote, port, old.encapsulated)
            self._context.move(client, path)
        return self._context.take_effects()

    def unknown_spi(self, spi: int, path: Path, size: int, now: float) -> list[Effect]:
        """ESP of `size` octets has come under an SPI that no SA has."""
        self._context.now = now
        self._hints.unknown_spi(spi, path, size)
        return self._context.take_effects()

    def reconfigure(self, settings: Settings, now: float) -> list[Effect]:
        """Serve by other settings from now on.

        What is up stays up, but for the clients whose preshared key was taken out, or whose
        certificate was revoked or is not let in any more.
        """
        self._context.now = now
        self._context.settings = settings
        self._context.end_revoked()
        self._rechecks.begin()
        return self._context.take_effects()

    def unite(self, older_mark: int, younger_mark: int, now: float) -> list[Effect]:
        """In its own SAs the younger client has named what nobody but the older can know.

        Nothing happens where the two do not look alike; else `Continued` is among the effects.
        """
        self._context.now = now
        older = self._context.clients.by_mark(older_mark)
        younger = self._context.clients.by_mark(younger_mark)
        if (
            older is not None
            and younger is not None
            and younger.children
            and lineage.are_alike(older, younger)
        ):
            lineage.unite(self._context, older, younger)
        return self._context.take_effects()

    def dialled_anew(self, mark: int, now: float) -> list[Effect]:
        """A client that had an L2TP tunnel begins another one."""
        self._context.now = now
        client = self._context.clients.by_mark(mark)
        if client is not None:
            lineage.dialled_anew(self._context, client)
        return self._context.take_effects()

    def close_client(self, client_id: str, cause: str, now: float) -> list[Effect]:
        """End a client, with Deletes for it."""
        self._context.now = now
        client = self._context.clients.by_id(client_id)
        if client is not None:
            self._context.remove_client(client, cause, tell=True)
        return self._context.take_effects()

    def close_all(self, cause: str, now: float) -> list[Effect]:
        """End everything, with Deletes: a clean stop."""
        self._context.now = now
        for client in self._context.clients:
            self._context.remove_client(client, cause, tell=True)
        self._phase1.half_open.waiting.clear()
        for sa in self._phase1.half_open:
            self._phase1.half_open.forget(sa)
        self._renewal.forget_all()
        return self._context.take_effects()

    def farewell(self, mark: int) -> list[Send]:
        """What would tell the client with this mark that all is over; nothing for nobody."""
        client = self._context.clients.by_mark(mark)
        return self._context.farewell(client) if client is not None else []

    # --- views -----------------------------------------------------------------------------------

    @property
    def spi_stamp(self) -> int:
        """What tells the SPIs of this run from others, see `ikev1.core.spi`."""
        return self._context.spis.stamp

    @property
    def clients(self) -> Clients:
        """The clients, to read."""
        return self._context.clients

    def older_than(self, mark: int) -> list[int]:
        """The marks of clients that the one with this mark may be, some time ago."""
        younger = self._context.clients.by_mark(mark)
        found = lineage.older_than(self._context, younger) if younger is not None else ()
        return [older.mark for older in found]

    def ike_sas_of(self, client: Client) -> Iterator[IkeSa]:
        """The Phase 1 SAs of a client, the newest last."""
        return (self._context.ike_sas[cookies] for cookies in client.phase1)

    @property
    def half_open(self) -> int:
        """Phase 1 exchanges under way."""
        return len(self._phase1.half_open) + len(self._renewal)

    @property
    def waiting(self) -> int:
        """First messages of Main Mode that wait for their turn."""
        return len(self._phase1.half_open.waiting)

    # --- dispatch --------------------------------------------------------------------------------

    def _dispatch(self, header: Header, datagram: bytes, path: Path) -> None:
        kind = header.exchange_type
        if kind == ExchangeType.IDENTITY_PROTECTION:
            if header.message_id != 0:
                self._context.drop(path, "main-mode-with-message-id")
            elif header.responder_cookie == NO_COOKIE:
                self._phase1.first_message(header, datagram, path)
            else:
                self._phase1.main_mode(header, datagram, path)
        elif kind in (ExchangeType.QUICK_MODE, ExchangeType.INFORMATIONAL):
            self._phase2.message(header, datagram, path)
        elif kind == ExchangeType.AGGRESSIVE and header.responder_cookie == NO_COOKIE:
            self._phase1.aggressive_mode(header, datagram, path)
        else:
            self._context.drop(path, "unsupported-exchange")

    def _fragment(self, header: Header, datagram: bytes, path: Path) -> None:
        """A piece of a message, which is served once it is whole as if it had come so."""
        sa = self._context.ike_sas.get(header.initiator_cookie + header.responder_cookie)
        if sa is not None:
            standing = Standing.ESTABLISHED if sa.established else Standing.HALF_OPEN
        elif header.responder_cookie == NO_COOKIE:
            standing = Standing.STRANGER
        else:
            self._context.drop(path, "unknown-cookie")
            return
        message = self._fragments.take(header, datagram, path, standing, self._context.now)
        if message is not None:
            self._dispatch(parse_header(message), message, path)
