"""A NAT gives a client another port or address: everything of the client follows, nothing else."""

from dataclasses import replace

import pytest
from msgspec import structs

from ikev1.core.effects import ChildDown, ClientDown, IkeSaUp, Path
from ikev1.wire.enums import EncryptionAlgorithm, Group, HashAlgorithm
from interop.clients.ike import IPHONE
from interop.initiator.effects import EspDeleted, Notified, Send
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import CLIENT, NAT, Dialin, Sent, agree
from tests.support.ike_host import IkeHost

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)


def connected(host: IkeHost, seed: str = "client", ports: tuple[int, int] = (1, 2)) -> Dialin:
    return Dialin.behind_nat(host, FAST, ports=ports, seed=seed).connect()


def check_at(client: Dialin, remote: str, port: int) -> None:
    """The engine, the kernel and our datagrams agree on where the client is."""
    host = client.host
    child = client.child()
    assert (child.path.remote, child.path.remote_port) == (remote, port)
    assert host.outbound[child.inbound_spi] == host.inbound[child.inbound_spi] == child
    assert (client.ike_sa.path.remote, client.ike_sa.path.remote_port) == (remote, port)
    assert agree(client.sas[-1], child)


def test_the_kernel_has_seen_esp_from_another_port() -> None:
    host = IkeHost()
    client = connected(host)
    client.quick_mode()
    mark = client.child().mark
    assert host.moved(client.child().inbound_spi, NAT, 7777) == []
    client.ports = (1, 7777)
    check_at(client, NAT, 7777)
    assert {child.path.remote_port for child in host.inbound.values()} == {7777}
    # From now on we speak to the new port, and the lineage is kept.
    client.run(client.initiator.are_you_there(1))
    assert client.told_of(Notified)
    client.quick_mode()
    check_at(client, NAT, 7777)
    assert client.child().mark == mark
    assert host.told_of(ClientDown) == []


def test_from_another_address() -> None:
    host = IkeHost()
    client = connected(host)
    host.moved(client.child().inbound_spi, "198.51.100.50", 4500)
    client.nat, client.ports = "198.51.100.50", (1, 4500)
    check_at(client, "198.51.100.50", 4500)
    client.deliver(host.close_client(client.ike_sa.client))
    assert host.inbound == {}


def test_a_child_that_the_kernel_does_not_let_follow_ends_with_a_delete() -> None:
    host = IkeHost()
    client = connected(host)
    old = client.child()
    client.quick_mode()
    new = client.child()
    host.refuse_move = "ENOMEM"
    client.ports = (1, 7777)
    client.deliver(host.moved(new.inbound_spi, NAT, 7777))
    assert host.inbound == host.outbound == {}
    assert {event.child.inbound_spi for event in host.told_of(ChildDown)} == {
        old.inbound_spi,
        new.inbound_spi,
    }
    assert all("ENOMEM" in event.cause for event in host.told_of(ChildDown))
    assert len(client.told_of(EspDeleted)) == 2
    # Its Phase 1 lives on where it is now, for SAs that take the place of those.
    host.refuse_move = ""
    client.quick_mode()
    check_at(client, NAT, 7777)
    assert client.child().mark == new.mark
    assert host.told_of(ClientDown) == []


def test_an_unknown_spi_moves_nobody() -> None:
    host = IkeHost()
    client = connected(host)
    host.moved(1, NAT, 7777)
    check_at(client, NAT, 2)


@pytest.mark.parametrize("first", ["probe", "quick-mode"])
def test_an_authenticated_message_from_another_port(first: str) -> None:
    host = IkeHost()
    client = connected(host)
    old = client.child()
    client.ports = (1, 8888)
    if first == "probe":
        client.run(client.initiator.are_you_there(1))
        assert client.told_of(Notified), "the answer goes to where the question came from"
    else:
        client.quick_mode()
    check_at(client, NAT, 8888)
    assert host.inbound[old.inbound_spi].path.remote_port == 8888
    assert client.child().mark == old.mark


def from_elsewhere(client: Dialin, datagram: bytes) -> Sent:
    path = Path(client.gateway, 4500, "192.0.2.66", 6666, encapsulated=True)
    return client.host.receive(datagram, path)


def test_what_does_not_verify_moves_nobody() -> None:
    host = IkeHost()
    client = connected(host)
    probe = client.note(client.initiator.are_you_there(1))[0].datagram
    for forged in (
        probe[:-1] + bytes([probe[-1] ^ 1]),
        probe[: 4 + 28] + bytes(len(probe) - 32),
        probe[:36],
        client.talk[0][0],
    ):
        from_elsewhere(client, forged)
    check_at(client, NAT, 2)


def test_a_replayed_message_moves_nobody() -> None:
    """Neither one of an exchange that is over, nor one of Quick Mode under way."""
    host = IkeHost()
    client = connected(host)
    for datagram, _ in client.talk[2:]:
        assert from_elsewhere(client, datagram) == []
    (question,) = client.note(client.initiator.quick_mode(0.0))
    (answer,) = client.give(question)
    assert from_elsewhere(client, question.datagram) == [(client.path(floated=True), answer)]
    check_at(client, NAT, 2)


def test_message_5_repeated_from_elsewhere_moves_nobody() -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST).main_mode()
    fifth, (sixth,) = client.talk[-1]
    assert from_elsewhere(client, fifth) == [(client.path(floated=True), sixth)]
    client.quick_mode()
    check_at(client, NAT, 61001)


def test_a_rebinding_in_the_middle_of_quick_mode() -> None:
    """The outbound SA is installed for where the client is, not for where it was."""
    host = IkeHost()
    client = connected(host)
    (question,) = client.note(client.initiator.quick_mode(0.0))
    (answer,) = client.give(question)
    client.ports = (1, 9999)
    client.run(client.initiator.are_you_there(1))
    (third,) = client.take(answer, floated=True)
    client.give(third)
    check_at(client, NAT, 9999)


def test_a_rebinding_while_the_kernel_installs() -> None:
    host = IkeHost()
    client = connected(host)
    host.hold = (type(host.asked[-1]), type(host.asked[-2]))
    client.run(client.initiator.quick_mode(0.0))
    client.ports = (1, 9999)
    client.run(client.initiator.are_you_there(1))
    client.deliver(host.answer())
    client.deliver(host.answer_all())
    check_at(client, NAT, 9999)


def test_message_5_from_another_port_than_the_one_before() -> None:
    """The mapping of port 4500 is its own; what counts is message 5."""
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    client.ports = (50, 60)
    (fifth,) = client.take(client.give(third)[0], floated=False)
    client.ports = (50, 70)
    client.run([fifth])
    client.quick_mode()
    check_at(client, NAT, 70)


def test_the_port_of_another_client() -> None:
    """The NAT gives this client the port that another one had: both keep what is theirs."""
    host = IkeHost()
    one, two = connected(host, "one", (1, 2)), connected(host, "two", (3, 4))
    host.moved(one.child().inbound_spi, NAT, 4)
    check_at(two, NAT, 4)
    assert one.child().path.remote_port == 4
    host.moved(two.child().inbound_spi, NAT, 9)
    one.ports, two.ports = (1, 4), (3, 9)
    for client in (one, two):
        client.quick_mode()
        check_at(client, NAT, client.ports[1])
    assert len(host.engine.clients) == 2
    for client in (one, two):
        client.run(client.initiator.close(0.0))
    assert len(host.engine.clients) == 0


def test_a_new_phase_1_finds_a_client_that_has_moved() -> None:
    host = IkeHost()
    client = connected(host)
    mark = client.child().mark
    host.moved(client.child().inbound_spi, NAT, 5)
    client.ports = (1, 5)
    again = client.again("again", replace(FAST, initial_contact=False)).connect()
    assert again.child().mark == mark
    assert host.told_of(IkeSaUp)[1].replaces == host.told_of(IkeSaUp)[0].client


def test_without_a_nat_nobody_moves() -> None:
    """There an address is part of what was agreed on."""
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    probe = client.note(client.initiator.are_you_there(1))[0]
    host.receive(probe.datagram, structs.replace(client.path(floated=False), remote="192.0.2.66"))
    assert client.ike_sa.path.remote == CLIENT
    assert client.child().path.remote == CLIENT


def test_a_hash_3_from_another_port_completes_quick_mode() -> None:
    host = IkeHost()
    client = connected(host)
    (question,) = client.note(client.initiator.quick_mode(0.0))
    (third,) = client.take(client.give(question)[0], floated=True)
    client.ports = (1, 9999)
    client.give(Send(third.datagram, floated=True))
    assert agree(client.sas[-1], client.child())
    client.run(client.initiator.are_you_there(1))
    check_at(client, NAT, 9999)
