"""Several clients behind one NAT, two of them with the same addresses and ports at both ends.

Alice and bob run L2TP from port 1701, as Windows does, so that only the mark of their SAs tells
them apart; carol does from a port of her own, as phones do. Before bob comes alice is in the
kernel's L2TP, which could not carry both of them.
"""

import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from interop.netns import Host
from interop.peers.linux_client import LinuxClient
from interop.peers.xl2tpd import Link
from interop.scenarios.play import check_gone, dial_in, stop_gateway
from interop.settings import GatewaySettings
from interop.snapshot import take_snapshot
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, client_nat, two_nats
from interop.traffic import PORT, Transfer, ping, transfer, transferring
from interop.wait import until

USERS = {"alice": "wonderland", "bob": "builder", "carol": "christmas"}
MACHINES = dict(zip(USERS, ("client", "client2", "client3"), strict=True))
SETTINGS = GatewaySettings(users=USERS)
ANY_PORT = "0-65535"
PAUSE = 0.3
"""Seconds between the blocks of a transfer that must lose nothing."""
EARLY_REPEATS = 3
"""Segments of one transfer that TCP may repeat without need, the machine being slow."""
REKEYS = 3
"""Of each kind; twenty are in test_emulated_clients.py and test_gateway_rekeys.py."""
LCP_TERMINATE = bytes.fromhex("c021 05 01 0004")


@dataclass
class Caller:
    """A client that is connected."""

    user: str
    client: LinuxClient
    link: Link
    port: int
    """For transfers to the office: each client needs one of its own."""

    @property
    def host(self) -> Host:
        return self.client.host


class Crowd:
    """A stage on which the three dial in."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.office = stage.lab["office"]
        self.clients: list[LinuxClient] = []

    def dial_in(self, user: str, *, l2tp_port: int = 1701, port: str = "1701") -> Caller:
        client = self.stage.client(MACHINES[user], user=user, l2tp_port=l2tp_port, port=port)
        self.clients.append(client)
        return self.join(user, client)

    def join(self, user: str, client: LinuxClient) -> Caller:
        return Caller(user, client, dial_in(self.stage, client), PORT + list(USERS).index(user))

    def dial_in_all(self) -> list[Caller]:
        return [
            self.dial_in("alice"),
            self.dial_in("bob"),
            self.dial_in("carol", l2tp_port=0, port=ANY_PORT),
        ]

    def status(self) -> dict[str, dict[str, Any]]:
        """What the gateway says of each user."""
        return {client["user"]: client for client in self.stage.ikev1d.clients()}

    def data_paths(self) -> dict[str, str]:
        return {user: client["data_path"] for user, client in self.status().items()}

    def proxies(self) -> set[str]:
        """The addresses for which the gateway answers ARP in the office."""
        proxies = take_snapshot(self.stage.lab["gateway"]).of_kind("proxy")
        return {line.split()[1] for line in proxies}

    def check_traffic(self, callers: list[Caller]) -> None:
        """All at once, both ways, each with its own content and its own address."""

        def there_and_back(caller: Caller) -> tuple[Transfer, Transfer]:
            up = transfer(caller.host, self.office, OFFICE_ADDRESS, port=caller.port)
            down = transfer(self.office, caller.host, caller.link.address)
            return up, down

        with ThreadPoolExecutor() as pool:
            for caller, (up, down) in zip(callers, pool.map(there_and_back, callers), strict=True):
                assert up.source == caller.link.address
                rates = [moved.size / moved.seconds / 1e6 for moved in (up, down)]
                speeds = "MB/s up, ".join(f"{rate:.1f} " for rate in rates)
                self.stage.lab.note(f"{caller.user}: {speeds}MB/s down")


def stage_for_three(directory: Path) -> Stage:
    return Stage(client_nat(3), directory, settings=SETTINGS, extra={"ppp": 'proxy_arp = "lan0"'})


@pytest.fixture(scope="module")
def stage(module_artefacts: Path) -> Iterator[Stage]:
    with stage_for_three(module_artefacts) as stage:
        yield stage
        stop_gateway(stage)


@pytest.fixture
def crowd(stage: Stage) -> Iterator[Crowd]:
    """Nobody is connected before, and nobody after."""
    crowd = Crowd(stage)
    yield crowd
    for client in crowd.clients:
        client.stop()
    check_gone(stage)


def hang_up(stage: Stage, callers: list[Caller]) -> None:
    """All of them, and nothing is left of them."""
    for caller in callers:
        caller.client.hang_up()
    check_gone(stage)
    assert " ERROR " not in stage.ikev1d.log()


def test_clients_with_the_same_flow_work_side_by_side(crowd: Crowd) -> None:
    alice = crowd.dial_in("alice")
    before = crowd.status()["alice"]
    assert (before["data_path"], before["interface"]) == ("kernel", "ppp0")

    with (
        transferring(alice.host, crowd.office, OFFICE_ADDRESS, alice.port, PAUSE) as up,
        transferring(crowd.office, alice.host, alice.link.address, PORT, PAUSE) as down,
    ):
        bob = crowd.dial_in("bob")
        assert ping(bob.host, OFFICE_ADDRESS)
    # Alice has moved to user space meanwhile, in the same session and with the same address.
    assert (up.result().lost, down.result().lost) == (0, 0)
    after = crowd.status()["alice"]
    assert (after["data_path"], after["interface"]) == ("user", "l2tp0")
    for name in ("session_id", "inner_address", "age"):
        assert after[name] >= before[name]

    carol = crowd.dial_in("carol", l2tp_port=0, port=ANY_PORT)
    callers = [alice, bob, carol]
    assert crowd.proxies() == {caller.link.address for caller in callers}
    assert crowd.data_paths() == {"alice": "user", "bob": "user", "carol": "kernel"}
    found = crowd.stage.ikev1d.verify()["daemon.data_path"]["what"]
    assert found.count("another client at the same address may use the same UDP port") == 2
    assert crowd.stage.ikev1d.ikectl("status").count(" up/user ") == 2
    assert len({caller.link.address for caller in callers}) == 3
    for caller in callers:
        assert crowd.status()[caller.user]["inner_address"] == caller.link.address
    crowd.check_traffic(callers)

    bob.client.hang_up()
    until(lambda: "bob" not in crowd.status(), "bob to be gone", 10)
    crowd.check_traffic([alice, carol])
    bob = crowd.join("bob", bob.client)
    assert crowd.data_paths() == {"alice": "user", "bob": "user", "carol": "kernel"}
    callers = [alice, bob, carol]
    crowd.check_traffic(callers)
    hang_up(crowd.stage, callers)


@pytest.mark.parametrize(("stacked", "data_path"), [(False, "kernel"), (True, "user")])
def test_clients_with_the_same_private_address(
    artefacts: Path, stacked: bool, data_path: str
) -> None:
    """Behind different NATs, and through those behind one address: they name themselves alike."""
    with Stage(two_nats(stacked=stacked), artefacts, settings=SETTINGS) as stage:
        crowd = Crowd(stage)
        callers = [crowd.dial_in("alice"), crowd.dial_in("bob")]
        status = crowd.status()
        assert {client["identity"] for client in status.values()} == {"10.1.0.2"}
        assert len({client["peer_address"] for client in status.values()}) == 2 - stacked
        assert crowd.data_paths() == {"alice": data_path, "bob": data_path}
        crowd.check_traffic(callers)
        callers[0].client.hang_up()
        until(lambda: "alice" not in crowd.status(), "alice to be gone", 10)
        crowd.check_traffic(callers[1:])
        hang_up(stage, callers[1:])
        stop_gateway(stage)


def test_nothing_is_lost_through_any_number_of_rekeys(crowd: Crowd) -> None:
    """Neither in the kernel nor in user space."""
    alice, bob, carol = crowd.dial_in_all()
    before = crowd.status()

    def rekey(caller: Caller) -> None:
        for _ in range(REKEYS):
            caller.client.ipsec.rekey_child()
            caller.client.ipsec.rekey_ike()

    moving = []
    with ExitStack() as moves:
        for caller in (bob, carol):
            up = (caller.host, crowd.office, OFFICE_ADDRESS, caller.port)
            down = (crowd.office, caller.host, caller.link.address, PORT)
            moving += [moves.enter_context(transferring(*ends, PAUSE)) for ends in (up, down)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(rekey, (bob, carol)))
    # TCP may repeat one too early on a busy machine; an SA that is missing loses dozens.
    assert all(moved.result().lost <= EARLY_REPEATS for moved in moving)

    after = crowd.status()
    for user, status in after.items():
        for name in ("client", "mark", "tunnel_id", "session_id", "interface", "data_path"):
            assert status[name] == before[user][name], name
        for story in ("ESP SAs rekeyed", "IKE SA renewed"):
            told = crowd.stage.ikev1d.log().count(f"client={status['client']} {story}")
            assert told == (0 if user == "alice" else REKEYS)
    crowd.check_traffic([bob, carol])
    hang_up(crowd.stage, [alice, bob, carol])


def renumber_nat(stage: Stage, old: str, new: str) -> None:
    changes = (f"address {change}/24 dev wan0" for change in (f"del {old}", f"add {new}"))
    renumber = "\n".join((*changes, "route add default via 203.0.113.1"))
    stage.lab["nat"].run("ip", "-batch", "-", stdin=renumber)


def test_sessions_follow_a_nat_that_changes_its_address(crowd: Crowd) -> None:
    callers = crowd.dial_in_all()
    before = crowd.status()
    renumber_nat(crowd.stage, "203.0.113.2", "203.0.113.9")
    for caller in callers:
        # What comes from the new address before the SAs have followed is lost.
        until(lambda: ping(caller.host, OFFICE_ADDRESS), f"{caller.user} to get through", 30)  # noqa: B023
    crowd.check_traffic(callers)
    after = crowd.status()
    assert {status["peer_address"] for status in after.values()} == {"203.0.113.9"}
    for user, status in before.items():
        for name in ("client", "mark", "session_id", "interface", "data_path"):
            assert after[user][name] == status[name], name
    hang_up(crowd.stage, callers)
    renumber_nat(crowd.stage, "203.0.113.9", "203.0.113.2")


def udp_packet(source: str, payload: bytes) -> bytes:
    """An IPv4 packet with UDP to port 5000 of the office. Routers want its checksum."""
    udp = struct.pack("!HHHH", 5000, 5000, 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(source) + socket.inet_aton(OFFICE_ADDRESS)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    total: int = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return header[:10] + checksum.to_bytes(2) + header[12:] + udp


def send_data(machine: Host, port: int, session: dict[str, Any], frame: bytes) -> None:
    """Send an L2TP data message of a session from a machine, as whoever owns the port there."""
    header = struct.pack("!HHH", 2, session["tunnel_id"], session["session_id"])
    with machine.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # xl2tpd permits that
        sock.bind(("0.0.0.0", port))
        sock.sendto(header + bytes.fromhex("ff03") + frame, (GATEWAY_ADDRESS, 1701))


def received_bytes(crowd: Crowd, user: str) -> int:
    return int(crowd.status()[user]["bytes_in"])


def l2tp_port(crowd: Crowd, user: str) -> int:
    """The port a client's L2TP comes from, as the log has it."""
    client = crowd.status()[user]["client"]
    (line,) = [
        line for line in crowd.stage.ikev1d.log().splitlines() if f"{client} L2TP tunnel up" in line
    ]
    return int(line.rsplit("port=", 1)[1])


def test_no_client_can_send_into_the_session_of_another(crowd: Crowd) -> None:
    """Bob's traffic selector allows any port, and he knows all the numbers of the others."""
    crowd.dial_in("alice")
    bob = crowd.dial_in("bob", port=ANY_PORT)
    crowd.dial_in("carol", l2tp_port=0, port=ANY_PORT)
    assert crowd.data_paths() == {"alice": "user", "bob": "user", "carol": "kernel"}
    before = crowd.status()
    with crowd.office.socket(socket.AF_INET, socket.SOCK_DGRAM) as office:
        office.bind((OFFICE_ADDRESS, 5000))
        office.settimeout(20)
        for victim in ("alice", "carol"):
            session, port = before[victim], l2tp_port(crowd, victim)

            def send(user: str, session: dict[str, Any] = session, port: int = port) -> None:
                packet = udp_packet(session["inner_address"], user.encode())
                machine = crowd.stage.lab[MACHINES[user]]
                send_data(machine, port, session, bytes.fromhex("0021") + packet)

            # From the victim's own machine it works, so it is not the message that is faulty.
            send(victim)
            assert office.recv(100) == victim.encode()
            arrived = received_bytes(crowd, "bob")
            send("bob")
            send_data(bob.host, port, session, LCP_TERMINATE)
            least = arrived + len(udp_packet(OFFICE_ADDRESS, b"bob")) + len(LCP_TERMINATE)
            until(lambda: received_bytes(crowd, "bob") >= least, "bob's messages", 10)  # noqa: B023
            send(victim)
            assert office.recv(100) == victim.encode()
    after = crowd.status()
    for user, status in before.items():
        assert (after[user]["state"], after[user]["session_id"]) == ("up", status["session_id"])


def test_the_administrator_has_marks_of_his_own(crowd: Crowd) -> None:
    """In the bits that are not ours, on packets of every kind, both ways."""
    gateway = crowd.stage.lab["gateway"]
    for chain in ("PREROUTING", "OUTPUT"):
        mark = ("-t", "mangle", "-A", chain, "-j", "MARK", "--or-mark", "0x8005")
        gateway.run("iptables-legacy", *mark)
    try:
        callers = crowd.dial_in_all()
        assert crowd.data_paths() == {"alice": "user", "bob": "user", "carol": "kernel"}
        crowd.check_traffic(callers)
        hang_up(crowd.stage, callers)
    finally:
        gateway.run("iptables-legacy", "-t", "mangle", "-F")


def test_without_ppp_in_the_kernel_everything_is_in_user_space(artefacts: Path) -> None:
    with stage_for_three(artefacts) as stage:
        stop_gateway(stage)
        hide_ppp = (
            "mount -t tmpfs tmpfs /mnt && mknod /mnt/ppp c 0 0 && mount --bind /mnt/ppp /dev/ppp"
        )
        stage.lab["gateway"].run("sh", "-c", hide_ppp)
        stage.gateway.start()

        crowd = Crowd(stage)
        callers = [crowd.dial_in("alice"), crowd.dial_in("carol", l2tp_port=0, port=ANY_PORT)]
        assert crowd.data_paths() == {"alice": "user", "carol": "user"}
        crowd.check_traffic(callers)
        log = stage.ikev1d.log()
        assert log.count("every session is carried in user space") == 1
        assert "load the kernel module ppp_generic" in log
        hang_up(stage, callers)
        stop_gateway(stage)
