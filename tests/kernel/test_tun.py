"""The data path in user space: its interface, and the packets between it and the program."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from l2tp.datapath import LinkSettings
from l2tp.datapath.errors import DataPathError
from l2tp.datapath.interface import Interfaces
from l2tp.datapath.tun import TunDataPath
from tests.kernel.test_pppol2tp import (
    INNER_CLIENT,
    INNER_GATEWAY,
    MRU,
    interfaces,
    ip_packet,
    run,
)
from tests.support.namespaces import TIMEOUT, Lab, Namespace, lab

ETH_P_IPV6 = 0x86DD


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


class Session:
    """A data path, and the packets that it gave to the program."""

    def __init__(self, namespace: Namespace, links: Interfaces) -> None:
        self.namespace = namespace
        self.packets: asyncio.Queue[bytes] = asyncio.Queue()
        with namespace:
            self.path = TunDataPath(links, self.packets.put_nowait)

    async def configure(self, peer: str = INNER_CLIENT, proxy_arp: str | None = None) -> None:
        with self.namespace:
            await self.path.configure(LinkSettings(INNER_GATEWAY, peer, MRU, proxy_arp))

    async def packet(self) -> bytes:
        return await asyncio.wait_for(self.packets.get(), TIMEOUT)


@asynccontextmanager
async def links(namespace: Namespace) -> AsyncIterator[Interfaces]:
    made = Interfaces()
    with namespace:
        await made.open()
    yield made
    made.close()


def test_packets_pass_both_ways(net: Lab) -> None:
    async def scenario() -> None:
        async with links(net.gateway) as made:
            session = Session(net.gateway, made)
            assert session.path.interface is None
            await session.configure()
            with net.gateway.udp(5000, INNER_GATEWAY) as server:
                assert session.path.deliver(
                    ip_packet(INNER_CLIENT, INNER_GATEWAY, b"question", 5000)
                )
                assert server.recvfrom(100) == (b"question", (INNER_CLIENT, 5000))
                server.sendto(b"answer", (INNER_CLIENT, 5000))
            packet = await session.packet()
            assert packet[:1] == b"\x45"
            assert packet.endswith(b"answer")
            counters = session.path.counters()
            assert (counters.received_packets, counters.received_bytes) == (1, 28 + 8)
            assert (counters.sent_packets, counters.sent_bytes) == (1, 28 + 6)
            await session.path.close()
            await session.path.close()
            assert interfaces(net.gateway) == ["lo", "veth0"]

    run(scenario())


def test_interface_has_the_addresses_and_the_mtu(net: Lab) -> None:
    async def scenario() -> None:
        async with links(net.gateway) as made:
            sessions = [Session(net.gateway, made) for _ in range(2)]
            for number, session in enumerate(sessions):
                await session.configure(f"192.0.2.{100 + number}")
            assert [session.path.interface for session in sessions] == ["l2tp0", "l2tp1"]
            link = net.gateway.show("link show l2tp1")
            assert f"mtu {MRU}" in link
            assert "POINTOPOINT" in link
            address = net.gateway.show("address show l2tp1")
            assert f"inet {INNER_GATEWAY} peer 192.0.2.101/32" in address
            for session in sessions:
                await session.path.close()

    run(scenario())


def test_a_packet_as_large_as_the_mtu_arrives_whole(net: Lab) -> None:
    async def scenario() -> None:
        async with links(net.gateway) as made:
            session = Session(net.gateway, made)
            await session.configure()
            with net.gateway.udp(5000, INNER_GATEWAY) as server:
                server.sendto(bytes(range(256)) * 5, (INNER_CLIENT, 5000))
                assert (await session.packet())[28:] == bytes(range(256)) * 5
                payload = bytes(MRU - 28)
                server.sendto(payload, (INNER_CLIENT, 5000))
                packet = await session.packet()
                assert len(packet) == MRU
                assert packet[28:] == payload
            await session.path.close()

    run(scenario())


def test_the_program_gets_no_ipv6(net: Lab) -> None:
    """The kernel looks for IPv6 routers on any interface, but the peer has not agreed on IPv6."""

    async def scenario() -> None:
        async with links(net.gateway) as made:
            session = Session(net.gateway, made)
            await session.configure()
            with net.gateway:
                raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            with raw, net.gateway.udp(5000, INNER_GATEWAY) as server:
                raw.sendto(b"\x60" + bytes(39), ("l2tp0", ETH_P_IPV6))
                server.sendto(b"IPv4", (INNER_CLIENT, 5000))
                assert (await session.packet()).endswith(b"IPv4")
            statistics = net.gateway.show("-stats link show l2tp0")
            sent = int(statistics.split("TX:")[1].split("\\")[1].split()[1])
            assert sent >= 2, "the kernel did send the IPv6 packet"
            assert session.packets.empty()
            await session.path.close()

    run(scenario())


def test_what_the_kernel_does_not_take_is_counted(net: Lab) -> None:
    async def scenario() -> None:
        async with links(net.gateway) as made:
            session = Session(net.gateway, made)
            assert not session.path.deliver(ip_packet(INNER_CLIENT, INNER_GATEWAY, b"early", 5000))
            await session.configure()
            net.gateway.ip("link set l2tp0 down")
            assert not session.path.deliver(ip_packet(INNER_CLIENT, INNER_GATEWAY, b"late", 5000))
            counters = session.path.counters()
            assert (counters.received_packets, counters.receive_errors) == (0, 1)
            await session.path.close()

    run(scenario())


def test_an_interface_that_somebody_removes_is_let_go(net: Lab) -> None:
    async def scenario() -> None:
        async with links(net.gateway) as made:
            session = Session(net.gateway, made)
            await session.configure()
            net.gateway.ip("link delete l2tp0")
            # Its file is readable from now on, for ever: one that goes on reading keeps us busy.
            for _ in range(10):
                await asyncio.sleep(0)
            assert session.path.interface is None
            await session.path.close()

    run(scenario())


def test_refused_configuration_is_an_error_and_close_cleans_up(net: Lab) -> None:
    async def scenario() -> None:
        async with links(net.gateway) as made:
            session = Session(net.gateway, made)
            with pytest.raises(DataPathError) as refused:
                await session.configure(proxy_arp="eth77")
            assert refused.value.what == "eth77"
            await session.path.close()
            assert interfaces(net.gateway) == ["lo", "veth0"]
            with pytest.raises(DataPathError):
                await session.configure()

    run(scenario())


def test_proxy_arp_ends_with_the_path(net: Lab) -> None:
    async def scenario() -> None:
        async with links(net.gateway) as made:
            session = Session(net.gateway, made)
            await session.configure("192.0.2.100", proxy_arp="veth0")
            assert "192.0.2.100" in net.gateway.show("neigh show proxy")
            await session.path.close()
            assert net.gateway.show("neigh show proxy") == ""

    run(scenario())


WITHOUT_TUN = """
import asyncio, ctypes, os, subprocess
from l2tp.datapath.errors import DataPathError
from l2tp.datapath.interface import Interfaces
from l2tp.datapath.tun import TunDataPath

subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/net"], check=True)

async def main():
    try:
        TunDataPath(Interfaces(), print)
    except DataPathError as error:
        print(error)

asyncio.run(main())
"""


def test_a_missing_device_is_told_with_its_remedy() -> None:
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", WITHOUT_TUN],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "load the kernel module tun" in done.stdout
