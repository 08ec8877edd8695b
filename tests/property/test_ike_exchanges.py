"""Main Mode and Quick Mode of many clients over a rough network, and among arbitrary datagrams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ikev1.core.effects import Path
from ikev1.wire.enums import EncryptionAlgorithm, Group, HashAlgorithm
from interop.clients.ike import PROFILES
from interop.initiator.checks import Cause
from interop.initiator.effects import Notified
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import GATEWAY, Dialin
from tests.support.ike_host import IkeHost
from tests.support.ike_network import (
    Network,
    NetworkClient,
    check_agreed,
    check_always,
    check_forgotten,
)

OFFER = Phase1Offer(EncryptionAlgorithm.AES_CBC, 128, HashAlgorithm.SHA1, Group.ECP_256)
CLIENTS = {name: only(profile, OFFER) for name, profile in PROFILES.items()}
LONG_AFTER = 10 * 86_400.0
GOOD = (0.02,)

profiles = st.sampled_from(sorted(CLIENTS))
delays = st.sampled_from([0.001, 0.02, 0.3, 1.1, 2.6])
copies = st.lists(delays, min_size=1, max_size=3)
rough = st.lists(st.one_of(st.just(()), copies), max_size=60)


def fates(plan: Sequence[Sequence[float]]) -> Callable[[], Sequence[float]]:
    """The datagrams' fates in their order; when the plan ends the network is a good one."""
    script: Iterator[Sequence[float]] = iter(plan)
    return lambda: next(script, GOOD)


@st.composite
def bearable(draw: st.DrawFn) -> list[Sequence[float]]:
    """Fates that any client's repetitions make up for: few losses, all else as it likes."""
    plan: list[Sequence[float]] = [*draw(st.lists(copies, max_size=50))]
    for _ in range(draw(st.integers(0, 3))):
        plan.insert(draw(st.integers(0, len(plan))), ())
    return plan


@settings(deadline=None)
@given(bearable(), st.lists(st.tuples(profiles, st.booleans(), st.integers(1, 3)), max_size=4))
def test_every_client_comes_up(
    plan: list[Sequence[float]], crowd: list[tuple[str, bool, int]]
) -> None:
    network = Network(fates(plan))
    for profile, nat, quick_modes in crowd:
        client = network.add(CLIENTS[profile], nat=nat, quick_modes=quick_modes)
        network.dial(client, when=len(network.clients) * 0.1)
    network.run(until=300.0)
    for client in network.clients:
        assert client.state == "up", client.dialin.told
        check_agreed(client)
    assert len(network.host.engine.clients) == len(crowd)
    network.run(until=LONG_AFTER)
    check_forgotten(network.host)


@settings(deadline=None)
@given(
    rough,
    st.lists(
        st.tuples(profiles, st.booleans(), st.integers(1, 3), st.booleans()),
        min_size=1,
        max_size=4,
    ),
)
def test_whatever_is_lost_nothing_is_left_over(
    plan: list[Sequence[float]], crowd: list[tuple[str, bool, int, bool]]
) -> None:
    network = Network(fates(plan))
    for profile, nat, quick_modes, closes in crowd:
        client = network.add(CLIENTS[profile], nat=nat, quick_modes=quick_modes, closes=closes)
        network.dial(client, when=len(network.clients) * 0.1)
    network.run(until=300.0)
    for client in network.clients:
        assert client.state in {"up", "closed", "failed"}
        assert {failure.cause for failure in client.dialin.failures} <= {Cause.TIMEOUT}
    assert network.host.engine.half_open == 0
    network.run(until=LONG_AFTER)
    check_forgotten(network.host)


# --- arbitrary and mutated datagrams -------------------------------------------------------------

IPHONE = CLIENTS["iphone"]


def recorded() -> list[bytes]:
    """All that a client of another gateway has sent and received, in one life."""
    client = Dialin.behind_nat(IkeHost(), IPHONE, seed="recorded").connect()
    client.run(client.initiator.are_you_there(1))
    client.quick_mode()
    client.run(client.initiator.close(0.0))
    return [octets for sent, answers in client.talk for octets in (sent, *answers)]


RECORDED = recorded()


@st.composite
def mutated(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """A recorded datagram with a few octets changed, cut, lengthened, or joined with another."""
    datagram = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, max(0, len(datagram) - 1)))
        match draw(st.sampled_from(["octet", "cut", "insert", "splice"])):
            case "octet" if datagram:
                datagram[position] = draw(st.integers(0, 255))
            case "cut":
                del datagram[position:]
            case "insert":
                datagram[position:position] = draw(st.binary(min_size=1, max_size=8))
            case "splice":
                other = draw(st.sampled_from(originals))
                datagram[position:] = other[position:]
    if draw(st.booleans()):
        marker = 4 if datagram[:4] == bytes(4) else 0
        datagram[marker + 24 : marker + 28] = (len(datagram) - marker).to_bytes(4)
    return bytes(datagram)


def path_of(floated: bool, remote: str) -> Path:
    return Path(GATEWAY, 4500 if floated else 500, remote, 4500, encapsulated=floated)


def check_served(client: NetworkClient) -> None:
    """The client has its SAs, and can do everything it could before."""
    dialin = client.dialin
    dialin.host.hold = ()
    check_agreed(client)
    dialin.run(dialin.initiator.are_you_there(7))
    assert dialin.told_of(Notified)[-1].data == (7).to_bytes(4)
    dialin.quick_mode()
    check_agreed(client)
    check_always(dialin.host)


def connected() -> Network:
    network = Network(fates([]))
    network.dial(network.add(IPHONE))
    network.run(until=10.0)
    return network


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=400), st.booleans()), max_size=20))
def test_arbitrary_datagrams(datagrams: list[tuple[bytes, bool]]) -> None:
    network = connected()
    for datagram, floated in datagrams:
        network.inject(datagram, path_of(floated, "192.0.2.66"))
        check_always(network.host)
    check_served(network.clients[0])


@settings(deadline=None)
@given(st.data())
def test_mutated_datagrams_of_a_stranger(data: st.DataObject) -> None:
    """Recorded elsewhere, so with keys and cookies of nobody here."""
    network = connected()
    for _ in range(data.draw(st.integers(1, 12))):
        datagram = data.draw(mutated(RECORDED))
        network.inject(datagram, path_of(data.draw(st.booleans()), "192.0.2.66"))
        check_always(network.host)
    network.run(until=60.0)
    assert network.host.engine.half_open == 0
    assert len(network.host.engine.clients) == 1
    check_served(network.clients[0])


@settings(deadline=None)
@given(st.data())
def test_mutated_datagrams_of_the_client_itself(data: st.DataObject) -> None:
    """Somebody on the way who changes copies of what he sees; the client's own arrive as well."""
    network = connected()
    client = network.clients[0]
    seen = list(client.line)
    for path in (client.dialin.path(floated=True), path_of(True, "192.0.2.66")):
        for _ in range(data.draw(st.integers(1, 8))):
            network.inject(data.draw(mutated(seen)), path)
            check_always(network.host)
    network.run(until=60.0)
    check_served(client)


@settings(deadline=None)
@given(st.data(), st.integers(0, 30))
def test_mutated_datagrams_in_the_middle_of_another_dial_in(
    data: st.DataObject, moment: int
) -> None:
    """One client's exchange is spoilt at any point; another, connected or dialling, is not."""
    network = Network(fates([]))
    bystander, late, spoilt = (network.add(IPHONE) for _ in range(3))
    network.dial(bystander)
    network.run(until=5.0)
    network.dial(late, when=5.0)
    network.dial(spoilt, when=5.0)
    network.run(until=5.0 + moment * 0.01)
    for _ in range(data.draw(st.integers(1, 8))):
        datagram = data.draw(mutated(spoilt.line or RECORDED))
        network.inject(datagram, spoilt.dialin.path(data.draw(st.booleans())))
        check_always(network.host)
    network.run(until=200.0)
    assert late.state == "up"
    check_served(bystander)
    check_served(late)
