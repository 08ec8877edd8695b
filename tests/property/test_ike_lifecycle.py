"""Everything that clients, the kernel, a NAT, the operator and the clock may do, in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs

from ikev1.core.credentials import Credentials, PresharedKey
from ikev1.core.effects import Path
from ikev1.core.exchange import ConnectionSettings
from ikev1.core.natt import NON_ESP_MARKER
from ikev1.wire.enums import (
    Doi,
    EncryptionAlgorithm,
    ExchangeType,
    Group,
    HashAlgorithm,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.message import build_message
from ikev1.wire.payloads import Delete, Notification
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.effects import Closed, Phase1Up, Send
from interop.initiator.profiles import Phase1Offer, Profile, only
from tests.support.ike_dialin import GATEWAY, NAT, Dialin, Sent
from tests.support.ike_host import PSK, IkeHost
from tests.support.ike_host import settings as ike_settings
from tests.support.ike_network import EVERY_QUESTION, check_always, check_forgotten

OFFER = Phase1Offer(EncryptionAlgorithm.AES_CBC, 128, HashAlgorithm.SHA1, Group.ECP_256)
BEGINS = only(IPHONE, OFFER)
PROFILES = [
    BEGINS,
    replace(BEGINS, initial_contact=False),
    only(WINDOWS_10, OFFER),
    replace(BEGINS, pfs_group=Group.ECP_256, initial_contact=False),
]
RENEWS = 1
"""The profile that says nothing of an INITIAL-CONTACT."""
ALONE = PresharedKey("alone", b"her own", one_client=True)
"""The key of the person with number 2, who is replaced when she comes from elsewhere."""
REKEY = ike_settings(
    default=ConnectionSettings(dpd_delay=0.0, rekey=True),
    credentials=Credentials([PresharedKey("office", PSK), ALONE]),
)
WITHOUT_ALONE = replace(REKEY, credentials=Credentials([PresharedKey("office", PSK)]))
LONG_AFTER = 10 * 86_400.0

anybody = st.integers(0, 3)
any_number = st.integers(0, 1000)


@dataclass
class Person:
    """Somebody with a device: always at the same address, with a Phase 1 SA or several."""

    number: int
    nat: bool
    ports: tuple[int, int]
    key: bytes = PSK
    dialins: list[Dialin] = field(default_factory=list)

    def usable(self) -> list[Dialin]:
        return [
            dialin
            for dialin in self.dialins
            if dialin.told_of(Phase1Up) and not dialin.failures and not dialin.told_of(Closed)
        ]


class Lifecycle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.host = IkeHost(REKEY)
        self.people = [
            Person(
                number,
                number != 3,
                (1000 + number, 2000 + number),
                ALONE.secret if number == 2 else PSK,
            )
            for number in range(4)
        ]
        self.unsent: list[tuple[Dialin, Send]] = []
        """Messages that clients have made and that wait on the way."""
        self.old: list[tuple[bytes, Path]] = []
        self.count = 0

    # --- what clients do ---

    @rule(who=anybody, kind=st.integers(0, len(PROFILES) - 1), heard=st.booleans())
    def dials(self, who: int, kind: int, heard: bool) -> None:
        """Anew, or to renew what it has: then what it is asked under that may be `heard`."""
        person = self.people[who]
        before = len(self.host.sent)
        older = [*person.dialins] if heard else []
        self.dialin_of(person, PROFILES[kind], person.key).main_mode()
        for dialin in older:
            cookies = dialin.initiator.cookies
            asked = [(path, sent) for path, sent in self.host.sent[before:] if cookies in sent[:20]]
            dialin.deliver(asked)

    def dialin_of(self, person: Person, profile: Profile, key: bytes) -> Dialin:
        """A new connection of somebody."""
        self.count += 1
        dialin = Dialin(
            self.host,
            profile,
            key,
            inner=f"192.168.1.{person.number}" if person.nat else "198.51.100.3",
            nat=NAT if person.nat else None,
            ports=person.ports if person.nat else (500, 4500),
            seed=f"{person.number}/{self.count}",
            lets_server_rekey=True,
        )
        person.dialins.append(dialin)
        return dialin

    @rule(who=anybody)
    def dials_with_a_wrong_key(self, who: int) -> None:
        before = self.holdings()
        dialin = self.dialin_of(self.people[who], BEGINS, b"not it")
        dialin.main_mode()
        assert not dialin.told_of(Phase1Up)
        assert self.holdings() == before

    def holdings(self) -> dict[str, tuple[object, ...]]:
        """What each client has."""
        return {
            client.id: (tuple(client.phase1), tuple(c.sa for c in client.children), client.path)
            for client in self.host.engine.clients
        }

    def each_usable(self, who: int, which: int) -> list[Dialin]:
        usable = self.people[who].usable()
        return [usable[which % len(usable)]] if usable else []

    @rule(who=anybody, which=any_number)
    def runs_quick_mode(self, who: int, which: int) -> None:
        for dialin in self.each_usable(who, which):
            dialin.run(dialin.initiator.quick_mode(self.host.now))

    @rule(who=anybody, which=any_number)
    def runs_quick_mode_up_to_message_3(self, who: int, which: int) -> None:
        for dialin in self.each_usable(who, which):
            (question,) = dialin.note(dialin.initiator.quick_mode(self.host.now))
            for answer in dialin.give(question):
                for send in dialin.take(answer, question.floated):
                    self.unsent.append((dialin, send))

    @precondition(lambda self: self.unsent)
    @rule(which=any_number)
    def confirms_late(self, which: int) -> None:
        dialin, send = self.unsent.pop(which % len(self.unsent))
        dialin.run([send])

    @rule(who=anybody, which=any_number, sa=any_number)
    def deletes_a_child(self, who: int, which: int, sa: int) -> None:
        for dialin in self.each_usable(who, which):
            if dialin.sas:
                spi = dialin.sas[sa % len(dialin.sas)].inbound_spi
                dialin.run(dialin.initiator.delete_esp(spi))

    @rule(who=anybody, which=any_number)
    def says_goodbye(self, who: int, which: int) -> None:
        for dialin in self.each_usable(who, which):
            dialin.run(dialin.initiator.close(self.host.now))

    @rule(who=anybody, which=any_number)
    def asks_whether_we_are_there(self, who: int, which: int) -> None:
        for dialin in self.each_usable(who, which):
            dialin.run(dialin.initiator.are_you_there(1))

    # --- what others do ---

    @rule(who=anybody, port=st.integers(3000, 3004))
    def the_nat_rebinds(self, who: int, port: int) -> None:
        person = self.people[who]
        if person.nat:
            person.ports = (port - 1000, port)
            for dialin in person.dialins:
                dialin.ports = person.ports

    @precondition(lambda self: self.host.inbound)
    @rule(which=any_number, port=st.integers(3000, 3004))
    def the_kernel_sees_esp_from_elsewhere(self, which: int, port: int) -> None:
        child = list(self.host.inbound.values())[which % len(self.host.inbound)]
        if child.encapsulated:
            self.deliver(self.host.moved(child.inbound_spi, NAT, port))

    @rule(who=anybody, port=st.integers(3000, 3004), heard=st.booleans())
    def renews_from_elsewhere(self, who: int, port: int, heard: bool) -> None:
        """Its Phase 1, before anything else has come from there."""
        if not self.people[who].usable():
            self.dials(who, RENEWS, heard=False)
            self.runs_quick_mode(who, 0)
        self.time_passes(0.5)
        self.the_nat_rebinds(who, port)
        self.dials(who, RENEWS, heard)

    @rule(who=anybody, which=any_number)
    def a_tunnel_is_gone_on_with_in_other_sas(self, who: int, which: int) -> None:
        """By somebody who looks like its maker, or not."""
        clients = sorted(self.host.engine.clients, key=lambda client: client.since)
        if clients:
            younger = clients[which % len(clients)]
            before = {client.mark: client.identity for client in clients}
            self.deliver(self.host.unite(clients[who % len(clients)].mark, younger.mark))
            for client in self.host.engine.clients:
                assert client.identity == before[client.mark]

    @rule(which=any_number)
    def another_tunnel_is_dialled(self, which: int) -> None:
        clients = list(self.host.engine.clients)
        if clients:
            self.deliver(self.host.dialled_anew(clients[which % len(clients)].mark))

    @precondition(lambda self: self.host.inbound)
    @rule(which=any_number)
    def the_kernel_ends_an_sa(self, which: int) -> None:
        spi = list(self.host.inbound)[which % len(self.host.inbound)]
        self.deliver(self.host.child_expired(spi))

    @precondition(lambda self: self.host.inbound)
    @rule(which=any_number, heard=st.booleans())
    def an_sa_is_near_its_end(self, which: int, heard: bool) -> None:
        spi = list(self.host.inbound)[which % len(self.host.inbound)]
        sent = self.host.child_expiring(spi)
        if heard:
            self.deliver(sent)

    @rule(inbound=st.booleans(), outbound=st.booleans())
    def the_kernel_refuses(self, inbound: bool, outbound: bool) -> None:
        self.host.refuse_inbound = "no" if inbound else ""
        self.host.refuse_outbound = "no" if outbound else ""

    @rule(kinds=st.lists(st.sampled_from(EVERY_QUESTION), unique=True))
    def answers_become_slow(self, kinds: list[type]) -> None:
        self.host.hold = tuple(kinds)

    @precondition(lambda self: self.host.held)
    @rule(which=any_number)
    def an_answer_comes(self, which: int) -> None:
        held = self.host.held
        ticket, result = held[which % len(held)]
        held.remove((ticket, result))
        self.deliver(self.host.give(ticket, result))

    @rule(which=any_number)
    def the_operator_ends_a_client(self, which: int) -> None:
        clients = list(self.host.engine.clients)
        if clients:
            self.deliver(self.host.close_client(clients[which % len(clients)].id))

    @rule(who=anybody, which=any_number, elsewhere=st.booleans())
    def a_datagram_is_replayed(self, who: int, which: int, elsewhere: bool) -> None:
        talk = [(dialin, sent) for dialin in self.people[who].dialins for sent, _ in dialin.talk]
        if talk:
            dialin, sent = talk[which % len(talk)]
            path = dialin.path(sent.startswith(bytes(4)))
            if elsewhere:
                path = structs.replace(path, remote="192.0.2.66", remote_port=6666)
            self.deliver(self.host.receive(sent, path))

    @rule(known=st.booleans())
    def a_key_is_taken_out_or_put_back(self, known: bool) -> None:
        self.deliver(self.host.reconfigure(REKEY if known else WITHOUT_ALONE))
        if not known:
            assert not [client for client in self.host.engine.clients if client.proof]

    @precondition(lambda self: self.people[0].usable())
    @rule(which=any_number, quick_mode=st.booleans())
    def says_that_it_has_begun_anew(self, which: int, quick_mode: bool) -> None:
        """INITIAL-CONTACT, alone or in a Quick Mode: nobody else loses anything."""
        for dialin in self.each_usable(0, which):
            cookies = dialin.initiator.cookies
            if cookies not in self.host.engine._context.ike_sas:
                continue
            mark = self.mark_of(cookies)
            others = {spi for spi, sa in self.host.inbound.items() if sa.mark != mark}
            contact = Notification(
                Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, cookies, b""
            )
            kind = ExchangeType.QUICK_MODE if quick_mode else ExchangeType.INFORMATIONAL
            self.count += 1
            dialin.give(dialin.protect([contact], kind, message_id=0x1000_0000 + self.count))
            assert others <= self.host.inbound.keys()

    def mark_of(self, cookies: bytes) -> int:
        clients = self.host.engine.clients
        return next(client.mark for client in clients if cookies in client.phase1)

    @rule(who=anybody, which=any_number, flipped=st.booleans(), elsewhere=st.booleans())
    def somebody_forges_a_message(
        self, who: int, which: int, flipped: bool, elsewhere: bool
    ) -> None:
        """Who sees cookies and SPIs pass can name them, in clear or in a message that he spoils."""
        for dialin in self.each_usable(who, which):
            cookies = dialin.initiator.cookies
            if cookies not in self.host.engine._context.ike_sas:
                continue
            forged = (
                Delete(Doi.IPSEC, ProtocolId.ISAKMP, (cookies,)),
                Notification(
                    Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, cookies, b""
                ),
                Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INVALID_COOKIE, cookies, b""),
            )[which % 3]
            self.count += 1
            number = 0x2000_0000 + self.count
            if flipped:
                send = dialin.protect([forged], message_id=number)
                datagram = send.datagram[:-1] + bytes([send.datagram[-1] ^ 1])
            else:
                datagram = build_message(cookies, ExchangeType.INFORMATIONAL, number, (forged,))
                if dialin.floated:
                    datagram = NON_ESP_MARKER + datagram
            path = dialin.path(dialin.floated)
            if elsewhere:
                path = structs.replace(path, remote="192.0.2.66", remote_port=6666)
            before = self.holdings()
            self.deliver(self.host.receive(datagram, path))
            assert self.holdings() == before

    @rule(who=anybody, spi=st.integers(0x100, 0xFFFF_FFFF), known=st.booleans())
    def esp_comes_that_is_for_no_sa(self, who: int, spi: int, known: bool) -> None:
        person = self.people[who]
        remote = NAT if person.nat else "198.51.100.3"
        port = person.ports[1] if known else 6666
        path = Path(GATEWAY, 4500, remote, port, encapsulated=True)
        before = self.holdings()
        sent = self.host.unknown_spi(spi, path, 100)
        assert self.holdings() == before
        self.deliver(sent)

    @rule(asked=st.booleans(), rekey=st.booleans())
    def the_operator_changes_his_mind(self, asked: bool, rekey: bool) -> None:
        """From now on the silent are asked, or not; SAs are renewed by us, or not."""
        default = ConnectionSettings(dpd_delay=20.0 if asked else 0.0, rekey=rekey)
        self.deliver(self.host.reconfigure(replace(REKEY, default=default)))

    @rule(seconds=st.sampled_from([0.5, 2.0, 31.0, 600.0, 3000.0, 30_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.deliver(self.host.advance(self.host.now + seconds))

    def deliver(self, sent: Sent) -> None:
        for person in self.people:
            for dialin in person.dialins:
                dialin.deliver(sent)

    # --- what must be true ---

    @invariant()
    def nobody_is_there_twice_who_can_be_told_from_all_others(self) -> None:
        proofs = [client.proof for client in self.host.engine.clients if client.proof]
        assert len(set(proofs)) == len(proofs)

    @invariant()
    def everything_belongs_to_somebody(self) -> None:
        check_always(self.host)

    def teardown(self) -> None:
        self.host.answer_all()
        for _ in range(10):  # a timer that is this late may set more
            self.host.advance(self.host.now + LONG_AFTER)
        check_forgotten(self.host)


Lifecycle.TestCase.settings = settings(deadline=None, stateful_step_count=40)
TestLifecycle: Callable[..., object] = Lifecycle.TestCase
