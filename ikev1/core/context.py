"""The engine's memory: Phase 1 SAs and clients, and what ties their lives together.

Exchange scripts get it as their context. Every change of what the kernel must hold, and everything
worth a line in the log, leaves it as an effect, in order.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ikev1.core import identity, informational, lineage
from ikev1.core.clients import Child, Client, Clients, MarkSpace
from ikev1.core.effects import (
    ChildDown,
    ChildUp,
    ClientDown,
    Dropped,
    Effect,
    IkeSaDown,
    IkeSaUp,
    InstallFailed,
    InstallOutbound,
    MoveChild,
    Path,
    Refused,
    RemoveChild,
    Send,
    SessionsLost,
)
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Settings
from ikev1.core.fragmentation import LARGEST_MESSAGE, split
from ikev1.core.ike_sa import IkeSa
from ikev1.core.limits import COMPLAINTS, TokenBucket
from ikev1.core.natt import NON_ESP_MARKER
from ikev1.core.phase1_terms import Phase1Terms
from ikev1.core.replacement import Proof, proof_of
from ikev1.core.spi import SpiSpace
from ikev1.errors import ProtocolError
from ikev1.wire.enums import AuthMethod, NotifyType
from ikev1.wire.header import parse_header
from ikev1.wire.payloads import Payload

NO_COOKIE = bytes(8)
"""In place of the responder's, in message 1."""
IKE_LIFETIME_MARGIN = 60
"""Seconds that a Phase 1 SA of ours outlives the client's, which is the one to end it."""
REMEMBERED_COOKIES = 4096
"""Pairs of SAs that have ended, some 150 octets each: late and doubled messages get no hint."""
MAX_CHILDREN = 16
"""Child SAs of one client. Two is usual (one draining after a rekey)."""
METHOD_NAMES = {
    AuthMethod.PRE_SHARED_KEY: "psk",
    AuthMethod.RSA_SIGNATURE: "rsa",
    AuthMethod.ECDSA_256: "ecdsa256",
    AuthMethod.ECDSA_384: "ecdsa384",
    AuthMethod.ECDSA_521: "ecdsa521",
}
MAX_PHASE1 = 4
"""Phase 1 SAs of one client. Two is usual."""


class Context:
    """The engine's memory, and the operations on it that exchanges share."""

    def __init__(
        self,
        settings: Settings,
        marks: MarkSpace,
        random: Callable[[int], bytes],
        elsewhere: Callable[[Proof], bool],
    ) -> None:
        self.settings = settings
        self.random = random
        self.clients = Clients(marks)
        self._share = marks.share
        self.elsewhere = elsewhere
        """Whether a client that has proved this is connected to another engine of the gateway."""
        self.spis = SpiSpace(random, marks.share)
        self.ike_sas: dict[bytes, IkeSa] = {}
        """By cookie pair."""
        self.ended: dict[bytes, None] = {}
        """Cookie pairs of late, the oldest first: what still comes under them is no wonder."""
        self.now = 0.0
        self._effects: list[Effect] = []
        self._tickets = 0
        self._changing: dict[int, tuple[int, str]] = {}
        """Inbound SPIs of children that are to carry or to move, and which, by ticket."""
        self._complaints = TokenBucket(*COMPLAINTS)

    # --- effects ---------------------------------------------------------------------------------

    def emit(self, effect: Effect) -> None:
        """Add an effect."""
        self._effects.append(effect)

    @property
    def watch(self) -> Callable[[Effect], None] | None:
        """What a new Phase 1 SA tells of its messages, where the host wants a trace."""
        return self.emit if self.settings.traced else None

    def drop(self, path: Path, reason: str) -> None:
        """Ignore a datagram; `reason` is a counter's name."""
        self.emit(Dropped(path, reason))

    def drop_malformed(self, path: Path, error: ProtocolError) -> None:
        """Ignore a datagram that cannot be read."""
        self.drop(path, f"malformed-{error.notify.name.lower()}")

    def complain(self, refused: Refused) -> bool:
        """Tell of a peer that has not proved who it is; whether that is not too often."""
        if not self._complaints.take(self.now):
            self.drop(refused.path, "refused-without-a-word")
            return False
        self.emit(refused)
        return True

    def take_effects(self) -> list[Effect]:
        """The effects so far; the list starts anew."""
        effects, self._effects = self._effects, []
        return effects

    def ticket(self) -> int:
        """A number for a question to the host."""
        self._tickets += 1
        return self._tickets

    def send(self, path: Path, message: bytes, *, fragments: bool = False) -> None:
        """Send a message, behind the non-ESP marker where the path has ESP too.

        In `fragments` if it is large and the peer takes them.
        """
        if fragments and len(message) > LARGEST_MESSAGE:
            for piece in split(message):
                self.emit(Send(path, _marked(path, piece)))
        else:
            self.emit(Send(path, _marked(path, message)))

    def cookie(self) -> bytes:
        """A fresh cookie of ours."""
        while (cookie := self._share.cookie(self.random)) == NO_COOKIE:
            pass
        return cookie

    def message_id(self) -> int:
        """A fresh message ID of ours, which is never 0."""
        return int.from_bytes(self.random(4), "big") or 1

    def inform(self, sa: IkeSa, *values: Payload, path: Path | None = None) -> None:
        """Send a protected Informational message, to where the client is or to `path`."""
        message = informational.make(sa, self._fresh_message_id(sa), values)
        if sa.watch is not None:
            sa.saw(parse_header(message), values, sent=True)
        self.send(path or sa.path, message, fragments=sa.takes_fragments)

    def _fresh_message_id(self, sa: IkeSa) -> int:
        """A message ID of ours, which the client's cannot be any more."""
        message_id = self.message_id()
        sa.remember(message_id)
        return message_id

    # --- Phase 1 ---------------------------------------------------------------------------------

    def established(self, sa: IkeSa, path: Path, *, initial_contact: bool) -> None:
        """Main Mode has succeeded: find the client this SA belongs to, or make one."""
        assert sa.choice is not None
        assert sa.identity is not None
        shown = identity.show(sa.identity)
        if sa.psk is not None and not self.settings.credentials.has(sa.psk):
            raise ExchangeError(
                "its preshared key was taken out of the configuration meanwhile",
                NotifyType.AUTHENTICATION_FAILED,
                setting="psk",
            )
        proof = proof_of(sa.connection, sa.psk, sa.identity)
        old = lineage.whose(self, sa, path, shown, proof, anew=initial_contact)
        client = old or Client(
            id=sa.client,
            path=path,
            identity=shown,
            connection=sa.connection,
            implementation=sa.implementation.name,
            nat=str(sa.nat),
            since=self.now,
            proof=proof,
            psk=sa.psk,
            begins_anew=initial_contact,
        )
        if old is None and not self.clients.add(client):
            raise ExchangeError(
                "every SA mark is in use",
                NotifyType.NO_PROPOSAL_CHOSEN,
                remedy="widen the mask",
                setting="marks.mask",
            )
        sa.path = path
        self._join(sa, client, replaces=old)
        if old is None and not initial_contact:
            lineage.ask(self, client)

    def renewed(self, sa: IkeSa, client_id: str) -> None:
        """Main Mode of ours has succeeded, which renews the Phase 1 of this client."""
        client = self.clients.by_id(client_id)
        if client is None:
            raise ExchangeError("the client has gone meanwhile", NotifyType.INVALID_COOKIE)
        self._join(sa, client, replaces=client)

    def _join(self, sa: IkeSa, client: Client, replaces: Client | None) -> None:
        """The SA is one of the client's, and the newest."""
        assert sa.choice is not None
        assert sa.credential is not None
        sa.established = True
        sa.client = client.id
        client.psk, client.chain = sa.psk, sa.chain
        if self.settings.of(client.connection).rekey:
            client.terms = Phase1Terms(
                transform=sa.choice.transform,
                method=sa.choice.method,
                variant=sa.variant,
                nat=sa.nat,
                implementation=sa.implementation,
                takes_fragments=sa.takes_fragments,
                credential=sa.credential,
                identity=client.identity,
            )
        sa.expires = self.now + sa.choice.lifetime + IKE_LIFETIME_MARGIN
        client.phase1.append(sa.cookies)
        self.emit(
            IkeSaUp(
                client=client.id,
                path=sa.path,
                connection=sa.connection,
                identity=client.identity,
                authentication=METHOD_NAMES[sa.choice.method],
                suite=sa.choice.label,
                nat=str(sa.nat),
                lifetime=sa.choice.lifetime,
                implementation=sa.implementation.name,
                duration=self.now - sa.created,
                replaces=replaces.id if replaces else None,
                ours=sa.we_began,
            )
        )
        self.hold_limits(client)

    def hold_limits(self, client: Client) -> None:
        """End the oldest of what a client has too many of."""
        while len(client.phase1) > MAX_PHASE1:
            self.remove_ike_sa(self.ike_sas[client.phase1[0]], "too many Phase 1 SAs", tell=True)
        while len(client.children) > MAX_CHILDREN:
            self.remove_child(client, client.children[0], "too many child SAs")

    def forgot(self, old: Client, sa: IkeSa) -> bool:
        """Whether a Windows that begins anew has lost its SAs.

        Its vendor ID says no more than that it has no Phase 1 SA ([MS-IKEE]). After the lifetime of
        the last one that is so in the middle of a session.
        """
        return sa.implementation.initial_contact and any(
            self.now < self.ike_sas[cookies].expires - IKE_LIFETIME_MARGIN for cookies in old.phase1
        )

    def client_of(self, sa: IkeSa) -> Client | None:
        """The client of an established SA."""
        return self.clients.by_id(sa.client)

    def newest_ike_sa(self, client: Client) -> IkeSa | None:
        """The client's newest Phase 1 SA, to send under."""
        return self.ike_sas[client.phase1[-1]] if client.phase1 else None

    def remove_ike_sa(self, sa: IkeSa, cause: str, *, tell: bool) -> None:
        """End a Phase 1 SA, with a Delete for the peer where `tell`; child SAs live on."""
        if tell and sa.established:
            self.inform(sa, informational.delete_ike_sa(sa))
        self.forget_cookies(sa)
        for exchange in (*sa.exchanges.values(), sa.main_mode):
            if exchange is not None:
                exchange.close()
        sa.exchanges.clear()
        client = self.client_of(sa) if sa.established else None
        if client is None:
            return
        client.phase1.remove(sa.cookies)
        self.emit(IkeSaDown(client.id, cause))
        self._forget_if_empty(client, cause)

    def forget_cookies(self, sa: IkeSa) -> None:
        """Take an SA out of the table; it is remembered for a while that it was there."""
        del self.ike_sas[sa.cookies]
        self.ended[sa.cookies] = None
        if len(self.ended) > REMEMBERED_COOKIES:
            del self.ended[next(iter(self.ended))]

    # --- child SAs -------------------------------------------------------------------------------

    def add_child(self, client: Client, child: Child) -> None:
        """A child SA is about to go into the kernel; the oldest of too many makes room."""
        self.clients.add_child(client, child)
        self.hold_limits(client)

    def child_up(self, client: Client, child: Child, *, ours: bool = False) -> None:
        """Its Quick Mode is complete, which was `ours` or the client's."""
        rekeyed = any(other.up for other in client.children)
        child.up = True
        self.emit(ChildUp(child.sa, rekeyed, ours))

    def end_child(self, client: Client, child: Child, cause: str) -> None:
        """End a child SA, with a Delete where there is a Phase 1 SA to say so under."""
        sa = self.newest_ike_sa(client)
        if sa is not None:
            self.inform(sa, informational.delete_child(child.sa))
        self.remove_child(client, child, cause)

    def remove_child(self, client: Client, child: Child, cause: str) -> None:
        """End a child SA, or the Quick Mode that is making it, and take it out of the kernel."""
        self._take_out(client, child)
        if child.up:
            self.emit(ChildDown(child.sa, cause))
        else:
            cookies, message_id = child.quick_mode
            self.ike_sas[cookies].exchanges.pop(message_id).close()
        self._forget_if_empty(client, cause)

    def abandon(self, child: Child) -> None:
        """A Quick Mode failed half way: nothing of it stays in the kernel."""
        found = self.clients.by_inbound_spi(child.sa.inbound_spi)
        if found is not None:
            self._take_out(*found)

    def _take_out(self, client: Client, child: Child) -> None:
        """Take a child out of the kernel; the newest that is left carries on, and at once."""
        self.clients.remove_child(child)
        if child.outbound or client.carrying is None:
            newest = next((c for c in reversed(client.children) if c.up or c.outbound), None)
            # One that is not up yet is about to carry: its Quick Mode waits for the kernel.
            if newest is not None and newest.up:
                self.carry(newest, (child,))
        self.emit(RemoveChild(child.sa))

    def carry_newest(self, client: Client) -> None:
        """Let the newest child that is up carry, if an older one still does."""
        newest = client.newest
        if newest is None:
            return
        position = client.children.index(newest)
        if not any(child.outbound for child in client.children[position:]):
            self.carry(newest, tuple(client.children[:position]))

    def carry(self, child: Child, replaces: tuple[Child, ...]) -> None:
        """Ask for the outbound SA of a child whose Quick Mode does not wait for the answer."""
        child.outbound = True
        for old in replaces:
            old.outbound = False
        ticket = self.changing(child, "the outbound SA")
        self.emit(InstallOutbound(ticket, child.sa, tuple(old.sa for old in replaces)))

    def changing(self, child: Child, what: str) -> int:
        """A number for a question about a child, which ends if the kernel refuses `what`."""
        ticket = self.ticket()
        self._changing[ticket] = (child.sa.inbound_spi, what)
        return ticket

    def changed(self, ticket: int, result: object) -> None:
        """The kernel's answer for a child that is to carry or to move: refused, it is none."""
        spi, what = self._changing.pop(ticket, (0, ""))
        found = self.clients.by_inbound_spi(spi)
        if found is not None and isinstance(result, InstallFailed):
            self.end_child(*found, f"the kernel refused {what}: {result.reason}")

    # --- clients ---------------------------------------------------------------------------------

    def remove_client(self, client: Client, cause: str, *, tell: bool = False) -> None:
        """End everything of one client."""
        sa = self.newest_ike_sa(client)
        if tell and sa is not None:
            for child in client.children:
                self.inform(sa, informational.delete_child(child.sa))
        for child in tuple(client.children):
            self.remove_child(client, child, cause)
        for cookies in tuple(client.phase1):
            self.remove_ike_sa(self.ike_sas[cookies], cause, tell=tell)

    def farewell(self, client: Client) -> list[Send]:
        """The Deletes that would end everything of a client, made now to be sent perhaps later."""
        sa = self.newest_ike_sa(client)
        if sa is None:
            return []
        messages = []
        if client.children:
            spis = (child.sa.inbound_spi for child in client.children)
            delete = informational.delete_spi(*spis)
            messages.append(informational.make(sa, self._fresh_message_id(sa), (delete,)))
        if not sa.last_word:  # which no rekey changes
            delete = informational.delete_ike_sa(sa)
            sa.last_word = informational.make(sa, self._fresh_message_id(sa), (delete,))
        messages.append(sa.last_word)
        return [Send(sa.path, _marked(sa.path, message)) for message in messages]

    def first_contact(self, sa: IkeSa, client: Client) -> None:
        """The client says INITIAL-CONTACT: it has forgotten all that was before this Phase 1 SA.

        Mac OS X 10.5 says so in a message of its own, others in Quick Mode, when the SA has already
        been taken for the renewal of an older one.
        """
        client.begins_anew = True
        self.forget_before(sa, client, "replaced: the client says INITIAL-CONTACT")

    def forget_before(
        self, sa: IkeSa, client: Client, cause: str, *, tell_at: Path | None = None
    ) -> None:
        """End what was before this Phase 1 SA, with Deletes to `tell_at` if that is somewhere."""
        phase1 = [self.ike_sas[cookies] for cookies in client.phase1]
        phase1 = [older for older in phase1 if older.created < sa.created]
        older = [child for child in client.children if child.since < sa.created]
        if tell_at is not None and phase1:
            for child in older:
                self.inform(phase1[-1], informational.delete_child(child.sa), path=tell_at)
            for each in phase1:
                self.inform(each, informational.delete_ike_sa(each), path=tell_at)
        for child in older:
            self.remove_child(client, child, cause)
        for each in phase1:
            self.remove_ike_sa(each, cause, tell=False)
        # A Quick Mode of the new SA may have begun: INITIAL-CONTACT can be overtaken.
        if older and not any(child.up for child in client.children):
            self.emit(SessionsLost(client.id, client.mark, cause))

    def end_revoked(self) -> None:
        """End the clients whose preshared key is not in the settings any more."""
        for client in self.clients:
            if client.psk is not None and not self.settings.credentials.has(client.psk):
                cause = "its preshared key was taken out of the configuration"
                self.remove_client(client, cause, tell=True)

    def _forget_if_empty(self, client: Client, cause: str) -> None:
        if not client.phase1 and not client.children:
            self.clients.remove(client)
            self.emit(ClientDown(client.id, client.mark, cause))

    def move(self, client: Client, path: Path) -> None:
        """The client's NAT has given it another address or port: SAs of both kinds follow."""
        if path == client.path:
            return
        there = self.clients.find(path, client.identity, client.connection)
        self.clients.move(client, path)
        for cookies in client.phase1:
            self.ike_sas[cookies].path = path
        for child in client.children:
            if child.sa.encapsulated:
                moved = replace(child.sa, path=path)
                ticket = self.changing(child, "its new address or port")
                self.emit(MoveChild(ticket, child.sa, moved))
                child.sa = moved
        if there is not None:
            lineage.meet(self, client, there)


def _marked(path: Path, message: bytes) -> bytes:
    """The message as it goes on the wire: behind the non-ESP marker where the path has ESP too."""
    return NON_ESP_MARKER + message if path.encapsulated else message
