"""The initiator against the daemon's responder: every client, losses, and what peers do to it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest

from ikev1.core.effects import ChildSa, Path
from ikev1.wire.enums import Doi, ExchangeType, Group, NotifyType, ProtocolId
from ikev1.wire.message import build_message, parse_message
from ikev1.wire.payloads import Delete, Hash, Notification, Payload
from interop.clients.ike import IPHONE, PROFILES, STRONGSWAN
from interop.initiator.checks import Cause
from interop.initiator.effects import (
    Closed,
    Effect,
    EspDeleted,
    EspSas,
    Failed,
    Notified,
    Phase1Up,
    Send,
)
from interop.initiator.engine import Initiator
from interop.initiator.profiles import Profile
from interop.initiator.session import ClientPath
from tests.support.ike_host import PSK, IkeHost

SERVER = "203.0.113.1"
PUBLIC = "198.51.100.9"
INNER = "192.168.5.7"


@dataclass
class Link:
    """An initiator and a responder with a network between them that the test may spoil."""

    profile: Profile = IPHONE
    nat: bool = False
    psk: bytes = PSK
    host: IkeHost = field(default_factory=IkeHost)
    to_server: Callable[[bytes], list[bytes]] = lambda datagram: [datagram]
    to_client: Callable[[bytes], list[bytes]] = lambda datagram: [datagram]
    now: float = 0.0

    def __post_init__(self) -> None:
        inner = ip_address(INNER if self.nat else PUBLIC)
        self.client = Initiator(
            self.profile, self.psk, ClientPath(inner, ip_address(SERVER)), os.urandom
        )
        self.told: list[Effect] = []
        self.sent: list[Send] = []

    def run(self, effects: list[Effect]) -> None:
        """Carry out effects, and those of the answers, until nothing moves."""
        for effect in effects:
            if not isinstance(effect, Send):
                self.told.append(effect)
                if isinstance(effect, Phase1Up):
                    self.run(self.client.quick_mode(self.now))
                continue
            self.sent.append(effect)
            for datagram in self.to_server(effect.datagram):
                for path, answer in self.host.receive(datagram, self._path(effect.floated)):
                    for copy in self.to_client(answer):
                        self.run(self.client.receive(copy, path.encapsulated, self.now))

    def dial(self) -> None:
        """Main Mode and one Quick Mode."""
        self.run(self.client.start(self.now))

    def wait(self) -> None:
        """Let time pass up to the client's next timer, and run it."""
        deadline = self.client.next_deadline()
        assert deadline is not None
        self.now = deadline
        self.host.now = deadline
        self.run(self.client.advance(deadline))

    def kinds(self) -> list[type[Effect]]:
        return [type(effect) for effect in self.told]

    def sas(self) -> EspSas:
        return next(effect for effect in self.told if isinstance(effect, EspSas))

    def forge(self, *payloads: Payload) -> bytes:
        """A protected Informational under the client's own keys, as the server would send it."""
        session = self.client._session
        message_id = session.new_message_id()
        chain = session.new_chain(message_id)
        return session.hashed(ExchangeType.INFORMATIONAL, message_id, list(payloads), chain)

    def _path(self, floated: bool) -> Path:
        port = 4500 if floated else 500
        return Path(SERVER, port, PUBLIC, 30000 + port if self.nat else port, floated)


def up(**changes: object) -> Link:
    link = Link(**changes)  # type: ignore[arg-type]
    link.dial()
    assert link.kinds() == [Phase1Up, EspSas]
    return link


@pytest.mark.parametrize("nat", [False, True], ids=["direct", "nat"])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_client_gets_in_and_no_rule_is_broken(profile: Profile, nat: bool) -> None:
    link = up(profile=profile, nat=nat)

    assert link.client.findings == ()
    sas = link.sas()
    (child,) = link.host.outbound.values()
    assert child.inbound_spi.to_bytes(4) == sas.outbound_spi
    assert child.outbound_spi.to_bytes(4) == sas.inbound_spi
    assert child.encapsulated is nat
    assert keys_of(child) == (sas.outbound_keys, sas.inbound_keys)


def keys_of(child: ChildSa) -> tuple[bytes, bytes]:
    return (
        child.inbound_encryption_key + child.inbound_integrity_key,
        child.outbound_encryption_key + child.outbound_integrity_key,
    )


def test_pfs() -> None:
    link = up(profile=replace(STRONGSWAN, pfs_group=Group.MODP_1024))

    (child,) = link.host.outbound.values()
    assert child.pfs_group == Group.MODP_1024
    assert keys_of(child) == (link.sas().outbound_keys, link.sas().inbound_keys)


@pytest.mark.parametrize("lost", range(8))
def test_each_message_lost_once(lost: int) -> None:
    count = iter(range(1000))

    def lose(datagram: bytes) -> list[bytes]:
        return [] if next(count) == lost else [datagram]

    link = Link(nat=True, to_server=lose, to_client=lose)
    link.dial()
    while link.client.next_deadline() is not None:
        link.wait()

    assert link.kinds() == [Phase1Up, EspSas]
    assert link.client.findings == ()


def test_each_message_doubled() -> None:
    def double(datagram: bytes) -> list[bytes]:
        return [datagram, datagram]

    link = up(nat=True, to_server=double, to_client=double)

    assert link.client.findings == ()
    assert len(link.host.outbound) == 1


def test_repeated_message_2_of_quick_mode_is_answered_with_message_3_again() -> None:
    answers: list[bytes] = []

    def keep(datagram: bytes) -> list[bytes]:
        answers.append(datagram)
        return [datagram]

    link = up(to_client=keep)

    assert link.client.receive(answers[-1], False, 1.0) == [link.sent[-1]]


def test_silence_ends_in_a_timeout_after_all_tries() -> None:
    link = Link(to_server=lambda _: [])
    link.dial()
    while link.client.next_deadline() is not None:
        link.wait()

    schedule = IPHONE.retransmission
    assert len({send.datagram for send in link.sent}) == 1
    assert len(link.sent) == schedule.tries + 1
    assert link.now == schedule.base * (schedule.tries + 1)
    assert link.told == [Failed(Cause.TIMEOUT, "no answer to MM1")]


def test_retransmission_waits_longer_by_the_factor() -> None:
    link = Link(profile=PROFILES["windows-10"], to_server=lambda _: [])
    link.dial()
    times = []
    while (deadline := link.client.next_deadline()) is not None:
        times.append(deadline)
        link.wait()

    assert times == [1.0, 3.0, 7.0, 15.0, 31.0]


def test_wrong_preshared_key_ends_at_message_5() -> None:
    link = Link(psk=b"wrong")
    link.dial()
    while link.client.next_deadline() is not None:
        link.wait()

    (failure,) = link.told
    assert isinstance(failure, Failed)
    assert failure.cause in {Cause.TIMEOUT, Cause.REFUSED}
    assert "MM5" in failure.detail
    assert link.host.inbound == {}


def test_refusal_in_clear_before_there_are_keys_is_reported() -> None:
    link = Link(to_server=lambda _: [])
    link.dial()
    refusal = build_message(
        link.client.cookies,
        ExchangeType.INFORMATIONAL,
        0,
        [Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.NO_PROPOSAL_CHOSEN, b"", b"")],
    )

    effects = link.client.receive(refusal, False, 0.0)

    assert effects == [Failed(Cause.REFUSED, "NO_PROPOSAL_CHOSEN to MM1")]
    assert link.client.next_deadline() is None


def test_notification_in_clear_means_nothing_once_there_are_keys() -> None:
    link = up()
    refusal = build_message(
        link.client.cookies,
        ExchangeType.INFORMATIONAL,
        5,
        [Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INVALID_COOKIE, b"", b"")],
    )

    assert link.client.receive(refusal, False, 0.0) == []


def test_messages_of_other_sas_mean_nothing() -> None:
    link = up()
    cookies = link.client.cookies
    delete = link.forge(Delete(Doi.IPSEC, ProtocolId.ISAKMP, (cookies,)))

    assert link.client.receive(bytes(8) + delete[8:], False, 0.0) == []
    assert link.client.receive(delete[:8] + b"otherone" + delete[16:], False, 0.0) == []


def test_datagrams_on_4500_without_a_marker_are_esp() -> None:
    link = up(nat=True)

    assert link.client.receive(link.client.cookies + bytes(40), True, 0.0) == []
    assert link.client.receive(b"\xff", True, 0.0) == []


def test_message_that_is_no_isakmp_is_a_failure() -> None:
    link = up()
    delete = link.forge(Delete(Doi.IPSEC, ProtocolId.ISAKMP, (link.client.cookies,)))

    (failure,) = link.client.receive(delete[:-1], False, 0.0)

    assert isinstance(failure, Failed)
    assert failure.cause is Cause.MALFORMED


def test_delete_of_the_isakmp_sa() -> None:
    link = up()
    delete = link.forge(Delete(Doi.IPSEC, ProtocolId.ISAKMP, (link.client.cookies,)))

    assert link.client.receive(delete, False, 0.0) == [Closed(by_server=True)]
    assert link.client.receive(delete, False, 0.0) == []


def test_delete_of_an_esp_sa() -> None:
    link = up()
    spi = link.sas().outbound_spi
    delete = link.forge(Delete(Doi.IPSEC, ProtocolId.ESP, (spi,)))

    assert link.client.receive(delete, False, 0.0) == [EspDeleted(spi)]


def test_informational_whose_hash_is_wrong_is_a_failure() -> None:
    link = up()
    session = link.client._session
    delete = Delete(Doi.IPSEC, ProtocolId.ISAKMP, (link.client.cookies,))
    forged = session.sealed(
        ExchangeType.INFORMATIONAL, 7, [Hash(bytes(20)), delete], session.new_chain(7)
    )

    (failure,) = link.client.receive(forged, False, 0.0)

    assert isinstance(failure, Failed)
    assert failure.cause is Cause.INFORMATIONAL_HASH


def test_are_you_there_is_answered_with_its_number() -> None:
    link = up()
    question = Notification(
        Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.R_U_THERE, link.client.cookies, b"\0\0\x12\x34"
    )

    (answer,) = link.client.receive(link.forge(question), False, 0.0)

    assert isinstance(answer, Send)
    # Turned around, the answer tells the client itself what was in it.
    assert link.client.receive(answer.datagram, False, 0.0) == [
        Notified("R_U_THERE_ACK", b"\0\0\x12\x34")
    ]


def test_responder_answers_are_you_there() -> None:
    link = up()

    link.run(link.client.are_you_there(77))

    assert link.told[-1] == Notified("R_U_THERE_ACK", (77).to_bytes(4))


def test_rekeying_by_another_quick_mode() -> None:
    link = up()
    old = link.sas()

    link.run(link.client.quick_mode(1.0))
    link.run(link.client.delete_esp(old.inbound_spi))

    assert link.kinds() == [Phase1Up, EspSas, EspSas]
    assert old.outbound_spi not in {spi.to_bytes(4) for spi in link.host.inbound}
    assert len(link.host.outbound) == 1


def test_closing_leaves_nothing_with_the_responder() -> None:
    link = up(nat=True)

    link.run(link.client.close(1.0))

    assert link.told[-1] == Closed(by_server=False)
    assert link.host.inbound == {}
    assert link.host.outbound == {}
    assert len(link.host.gone()) == 1


def test_tolerated_findings_are_kept_and_do_not_end_the_exchange() -> None:
    link = Link()
    strict, lenient = (
        link.client,
        Initiator(
            IPHONE,
            PSK,
            ClientPath(ip_address(PUBLIC), ip_address(SERVER)),
            os.urandom,
            tolerated=frozenset((Cause.MM2_PAYLOADS,)),
        ),
    )
    for client in (strict, lenient):
        (request,) = client.start(0.0)
        assert isinstance(request, Send)
        ((_, answer),) = link.host.receive(request.datagram, Path(SERVER, 500, PUBLIC, 500))
        client.receive(with_notification(answer), False, 0.0)

    assert [cause for cause, _ in strict.findings] == [Cause.MM2_PAYLOADS]
    assert [cause for cause, _ in lenient.findings] == [Cause.MM2_PAYLOADS]
    assert strict.next_deadline() is None
    assert lenient.next_deadline() is not None


def with_notification(answer: bytes) -> bytes:
    """Message 2 with one more payload, which racoon does not survive."""
    header, payloads = parse_message(answer)
    notification = Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, b"", b"")
    return build_message(
        header.initiator_cookie + header.responder_cookie,
        header.exchange_type,
        0,
        [*payloads.values, notification],
    )
