"""What keeps the processes of one gateway together: claims, messages, and one answer."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from socket import socketpair
from typing import Any

import pytest

from cli.control import UnknownRequestError, build_request, parse_request
from cli.ikev1d.config import load
from cli.ikev1d.metrics.joined import join_metrics
from cli.ikev1d.processes.claims import Claims, key_of
from cli.ikev1d.processes.joined import join_facts
from cli.ikev1d.processes.messages import (
    ALL,
    SUPERVISOR,
    AnyMessage,
    Begin,
    Channel,
    EndClient,
    EndUser,
    FlowSeen,
    L2tp,
    Ready,
    UserEnded,
    decode,
)
from cli.ikev1d.processes.others import ALONE, Wishes
from cli.ikev1d.processes.requests import FactsRequest, LedgerRequest
from cli.ikev1d.processes.worker import Worker
from cli.ikev1d.verify.running import RunningFacts
from ikev1.core.replacement import Proof
from ikev1.core.share import Share
from l2tp.datapath.flows import Flow
from l2tp.datapath.udp import Address, Datagram
from l2tp.pool import AddressPool, PoolExhaustedError

ANOTHER = """
import sys
from ipaddress import IPv4Address
from pathlib import Path
from cli.ikev1d.processes.claims import Claims
claims = Claims(Path(sys.argv[1]))
for line in sys.stdin:
    what, key = line.split()
    do = getattr(claims, what)
    print(do(IPv4Address(int(key)) if what in ("take", "give_back") else int(key)), flush=True)
"""
ADDRESS = IPv4Address("192.168.43.10")
ALICE = key_of(b"user", b"alice")
MINE = Proof("l2tp", b"her own key", "the client with this preshared key")


class Another:
    """Another process with claims on the same file."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ANOTHER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, what: str, key: int | IPv4Address) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(what, int(key), file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims"


@pytest.fixture
def another(path: Path) -> Iterator[Another]:
    process = Another(path)
    yield process
    process.end()


def test_the_supervisor_asks_what_the_operator_cannot() -> None:
    for request in (LedgerRequest(), FactsRequest()):
        line = build_request(request)
        assert parse_request(line, Worker.requests) == request
        with pytest.raises(UnknownRequestError):
            parse_request(line, ALONE.requests)


def test_an_address_is_had_by_one_process(path: Path, another: Another) -> None:
    claims = Claims(path)
    assert claims.take(ADDRESS)
    assert another("take", ADDRESS) == "False"
    assert another("take", ADDRESS + 1) == "True"
    assert not claims.take(ADDRESS + 1)
    claims.give_back(ADDRESS)
    assert another("take", ADDRESS) == "True"


def test_thousands_of_claims_are_found_again(path: Path, another: Another) -> None:
    claims = Claims(path)
    for number in range(3_000):
        claims.take(ADDRESS + number)
        claims.hold(key_of(b"user", str(number).encode()))
    for number in range(0, 3_000, 997):
        assert another("take", ADDRESS + number) == "False"
        assert another("elsewhere", key_of(b"user", str(number).encode())) == "True"
    assert another("take", ADDRESS + 3_000) == "True"
    assert not claims.elsewhere(ALICE)


def test_who_is_connected_where_is_known_for_as_long_as_the_process_lives(
    path: Path, another: Another
) -> None:
    claims = Claims(path)
    assert not claims.elsewhere(ALICE)
    claims.hold(ALICE)
    assert not claims.elsewhere(ALICE), "it is here"
    assert another("elsewhere", ALICE) == "True"
    another("hold", ALICE)
    another("hold", ALICE)
    assert claims.elsewhere(ALICE)
    claims.drop(ALICE)
    assert another("elsewhere", ALICE) == "False"
    another("drop", ALICE)
    assert claims.elsewhere(ALICE), "the other one has one of two left"
    another.end()
    assert not claims.elsewhere(ALICE)


class Dictionary:
    """Addresses of several pools in one program."""

    def __init__(self, taken: dict[IPv4Address, object]) -> None:
        self._taken = taken

    def take(self, address: IPv4Address) -> bool:
        return self._taken.setdefault(address, self) is self

    def give_back(self, address: IPv4Address) -> None:
        del self._taken[address]


def test_pools_of_one_network_begin_apart_and_use_all_of_it() -> None:
    taken: dict[IPv4Address, object] = {}
    own = IPv4Address("10.0.1.5")
    ranges = ["10.0.0.1-10.0.0.4", "10.0.1.1-10.0.1.6"]
    pools = [AddressPool(ranges, [own], Dictionary(taken), (index, 2)) for index in (0, 1)]
    first, second = pools
    assert str(first.lease(1, "alice")) == "10.0.0.1"
    assert str(second.lease(1, "bob")) == "10.0.1.2"
    assert first.lease(2, "carol", own) == own
    with pytest.raises(PoolExhaustedError, match=r"10.0.1.5 is in use in another process"):
        second.lease(2, "carol", own)
    for key in range(3, 10):
        first.lease(key, f"user{key}")
    with pytest.raises(PoolExhaustedError, match="all 9 addresses are in use"):
        second.lease(2, "dave")
    first.release(1)
    assert str(second.lease(2, "dave")) == "10.0.0.1", "what the other one has given back"


# --- messages ------------------------------------------------------------------------------------


class Wished:
    """What a worker was asked to do."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def wishes(self) -> Wishes:
        return Wishes(**{name: self._note(name) for name in Wishes.__dataclass_fields__})

    def _note(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.calls.append((name, *arguments))


class Played:
    """A worker, number 1 of 3, with the test as its supervisor."""

    def __init__(self, worker: Worker, line: Channel, wished: Wished) -> None:
        self.worker = worker
        self.line = line
        self.wished = wished
        self._frames = line.frames()

    async def hears(self, message: AnyMessage) -> None:
        """Have it get a message, and act on it."""
        self.line.send(1, message)
        # What it answers to the next is behind what it does for this.
        self.line.send(1, EndUser("nobody", "", 2, 4711))
        while await self.says() != (2, UserEnded(4711)):
            pass
        assert self.wished.calls.pop() == ("end_user", "nobody", "")

    async def says(self) -> tuple[int, AnyMessage]:
        to, octets = await anext(self._frames)
        return to, decode(octets)


def play(tmp_path: Path, scene: Callable[[Played], Any]) -> None:
    configuration = tmp_path / "ikev1d.toml"
    configuration.write_text(
        f'[gateway]\ncontrol_socket = "{tmp_path}/control"\nworkers = 3\n'
        '[ppp]\npool = "10.0.0.0/24"\nlocal_address = "10.0.1.1"\n[[psk]]\nsecret = "secret"\n'
    )
    configuration.chmod(0o600)

    async def run() -> None:
        ours, theirs = socketpair()
        ended = asyncio.Event()
        share = Share(1, 3, 0xBEAD, 5)
        worker = Worker(load(configuration), share, frozenset(), theirs, ended.set)
        line, wished = await Channel.open(ours), Wished()
        joining = asyncio.create_task(worker.join(wished.wishes()))
        played = Played(worker, line, wished)
        assert await played.says() == (SUPERVISOR, Ready())
        assert not joining.done()
        line.send(ALL, Begin())
        await joining
        await scene(played)
        line.close()
        await ended.wait()

    asyncio.run(run())


def test_what_a_worker_is_told(tmp_path: Path) -> None:
    async def scene(played: Played) -> None:
        played.worker.client_in(0x10000, MINE)
        played.worker.client_in(0x40000, None)
        played.worker.end_client(MINE, "replaced")
        to, wish = await played.says()
        assert to == ALL
        assert isinstance(wish, EndClient)
        await played.hears(wish)
        await played.hears(FlowSeen(0x20000, "198.51.100.1", "203.0.113.2", 1701))
        await played.hears(L2tp(b"\xc8\x02", "203.0.113.2", 1701, "198.51.100.1", 0x10000))
        flow = Flow("198.51.100.1", "203.0.113.2", 1701)
        source = Address("203.0.113.2", 1701)
        assert played.wished.calls == [
            ("end_client", 0x10000, "replaced"),
            ("flow", 0x20000, flow),
            ("l2tp", Datagram(b"\xc8\x02", source, "198.51.100.1", 0x10000)),
        ]
        played.worker.client_out(0x10000)
        await played.hears(wish)
        assert len(played.wished.calls) == 3

    play(tmp_path, scene)


def test_a_login_waits_until_all_others_have_ended_the_user(tmp_path: Path) -> None:
    async def scene(played: Played) -> None:
        done: list[str] = []
        played.worker.end_user("alice", "replaced", lambda: done.append("alice"))
        to, wish = await played.says()
        assert to == ALL
        assert isinstance(wish, EndUser)
        assert wish == EndUser("alice", "replaced", 1, wish.ticket)
        await played.hears(UserEnded(wish.ticket))
        assert done == []
        await played.hears(UserEnded(wish.ticket))
        assert done == ["alice"]

    play(tmp_path, scene)


def test_l2tp_for_another_worker_goes_there(tmp_path: Path) -> None:
    async def scene(played: Played) -> None:
        worker = played.worker
        step = 0x10000
        source = Address("203.0.113.2", 1701)
        assert worker.receives(4 * step, source.host)
        assert not worker.receives(5 * step, source.host)
        worker.pass_on(Datagram(b"\xc8\x02", source, "198.51.100.1", 5 * step | 1))
        assert await played.says() == (
            2,
            L2tp(b"\xc8\x02", "203.0.113.2", 1701, "198.51.100.1", 5 * step | 1),
        )

    play(tmp_path, scene)


# --- one answer ----------------------------------------------------------------------------------


def test_metrics_are_added_up() -> None:
    one = (
        "# HELP ikev1d_info The running version.\n# TYPE ikev1d_info gauge\n"
        'ikev1d_info{version="1"} 1.0\n'
        "# HELP ikev1d_clients Clients.\n# TYPE ikev1d_clients gauge\nikev1d_clients 3\n"
        '# HELP x_total X.\n# TYPE x_total counter\nx_total{a="b c"} 1.5\n'
        "# HELP y Y.\n# TYPE y gauge\ny 1\n"
    )
    other = (
        one.replace("ikev1d_clients 3", "ikev1d_clients 4")
        .replace('x_total{a="b c"} 1.5\n', 'x_total{a="b c"} 2.5\nx_total{a="d"} 1.0\n')
        .replace("y 1\n", "y 0\n")
    )
    assert join_metrics([one, other]) == (
        one.replace("ikev1d_clients 3", "ikev1d_clients 7").replace(
            'x_total{a="b c"} 1.5\n', 'x_total{a="b c"} 4.0\nx_total{a="d"} 1.0\n'
        )
    )


def test_facts_are_added_up() -> None:
    facts = RunningFacts(
        half_open=1,
        addresses=100,
        leased=20,
        file_limit=1000,
        stray_leases=0,
        lost_events=2,
        waiting=("ppp",),
        changed=False,
        no_kernel_path="",
        in_user_space={"5f0c2a91": "shared"},
    )
    other = replace(facts, leased=70, in_user_space={"c0ffee01": "shared"})
    assert join_facts([facts, other], changed=True) == replace(
        facts,
        half_open=2,
        leased=90,
        lost_events=4,
        changed=True,
        in_user_space={"5f0c2a91": "shared", "c0ffee01": "shared"},
    )
