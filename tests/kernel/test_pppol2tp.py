"""The kernel data path: two of ours back to back, and ours against L2TP written by hand."""

import asyncio
import errno
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from msgspec import structs

from l2tp.datapath import LinkSettings
from l2tp.datapath.errors import DataPathError, SharedFlowError
from l2tp.datapath.kernel import (
    KernelDataPath,
    KernelDataPaths,
    TunnelEnds,
    finds_tunnels_by_id,
)
from l2tp.datapath.udp import L2TP_PORT, Address, Datagram, L2tpSocket
from tests.support.namespaces import CLIENT, GATEWAY, TIMEOUT, Capture, Lab, Namespace, lab
from tests.support.xfrm_plan import ClientPath, Keys, block_policies
from xfrm.algorithms import encryption, integrity
from xfrm.constants import IPPROTO_ESP, Direction
from xfrm.model import Lifetime, Mark, Policy
from xfrm.ownership import REQID_BASE
from xfrm.sadb import AddPolicy, AddSa, Sadb

TUNNEL, SESSION = 0x1111, 0x2222
PEER_TUNNEL, PEER_SESSION = 0x3333, 0x4444
OTHER = "192.0.2.3"
INNER_GATEWAY, INNER_CLIENT = "198.51.100.1", "198.51.100.2"
MRU = 1400

LCP_ECHO = bytes.fromhex("c021 09 01 0008 01020304")
IPCP_REQUEST = bytes.fromhex("8021 01 01 000a 0306 00000000")
ADDRESS_AND_CONTROL = bytes.fromhex("ff03")

ENDS = TunnelEnds(Address(GATEWAY), Address(CLIENT), 0, TUNNEL, PEER_TUNNEL)
MIRRORED = TunnelEnds(Address(CLIENT), Address(GATEWAY), 0, PEER_TUNNEL, TUNNEL)


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


@dataclass
class Side:
    """One end: its data paths, and what came up from them."""

    namespace: Namespace
    datagrams: asyncio.Queue[Datagram] = field(default_factory=asyncio.Queue)
    frames: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.paths = KernelDataPaths(self.datagrams.put_nowait)

    async def session(
        self,
        ends: TunnelEnds = ENDS,
        session_id: int = SESSION,
        peer_session_id: int = PEER_SESSION,
        *,
        sequencing: bool = False,
    ) -> KernelDataPath:
        with self.namespace:
            return await self.paths.open_session(
                ends,
                session_id,
                peer_session_id,
                MRU,
                self.frames.put_nowait,
                sequencing=sequencing,
            )

    async def configure(
        self, path: KernelDataPath, local: str, peer: str, proxy_arp: str | None = None
    ) -> None:
        with self.namespace:
            await path.configure(LinkSettings(local, peer, MRU, proxy_arp))

    async def frame(self) -> bytes:
        frame: bytes = await asyncio.wait_for(self.frames.get(), TIMEOUT)
        return frame

    async def datagram(self) -> Datagram:
        return await asyncio.wait_for(self.datagrams.get(), TIMEOUT)


@asynccontextmanager
async def side(namespace: Namespace) -> AsyncIterator[Side]:
    made = Side(namespace)
    with namespace:
        await made.paths.open()
    try:
        yield made
    finally:
        made.paths.close()


def data_message(frame: bytes, tunnel: int = TUNNEL, session: int = SESSION) -> bytes:
    """RFC 2661 section 3.1, without any optional field."""
    return struct.pack("!HHH", 0x0002, tunnel, session) + frame


def interfaces(namespace: Namespace) -> list[str]:
    lines = namespace.show("link show").splitlines()
    return [line.split(": ")[1].split("@")[0] for line in lines]


def nothing_is_left(namespace: Namespace) -> bool:
    """No interface, and the UDP port is free."""
    namespace.udp(L2TP_PORT, GATEWAY).close()
    return interfaces(namespace) == ["lo", "veth0"]


def ip_packet(source: str, destination: str, payload: bytes, port: int) -> bytes:
    """An IPv4 packet with UDP (no checksum)."""
    udp = struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(udp),
        0,
        0,
        64,
        socket.IPPROTO_UDP,
        0,
        socket.inet_aton(source),
        socket.inet_aton(destination),
    )
    total: int = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return header[:10] + checksum.to_bytes(2) + header[12:] + udp


def test_two_data_paths_carry_frames_and_packets(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway, side(net.client) as client:
            here = await gateway.session()
            there = await client.session(MIRRORED, PEER_SESSION, SESSION)
            assert here.interface is None
            assert here.send(LCP_ECHO)
            assert await client.frame() == LCP_ECHO
            assert there.send(IPCP_REQUEST)
            assert await gateway.frame() == IPCP_REQUEST

            await gateway.configure(here, INNER_GATEWAY, INNER_CLIENT)
            await client.configure(there, INNER_CLIENT, INNER_GATEWAY)
            assert here.interface in interfaces(net.gateway)
            with (
                net.gateway.udp(5000, INNER_GATEWAY) as server,
                net.client.udp(5000, INNER_CLIENT) as user,
            ):
                user.sendto(b"question", (INNER_GATEWAY, 5000))
                assert server.recvfrom(100) == (b"question", (INNER_CLIENT, 5000))
                server.sendto(b"answer", (INNER_CLIENT, 5000))
                assert user.recv(100) == b"answer"

            # Control frames still reach the program, by way of the unit and of the channel.
            for frame in (IPCP_REQUEST, LCP_ECHO):
                assert there.send(frame)
                assert await gateway.frame() == frame

            counters = here.counters()
            assert counters.received_packets == 1 + 1 + 2
            assert counters.sent_packets == 1 + 1
            assert counters.sent_bytes > len(LCP_ECHO) + len(b"answer")
            assert counters.receive_errors == counters.send_errors == 0
            await here.close()
            await here.close()
            assert not here.send(LCP_ECHO)
            with pytest.raises(DataPathError):
                here.counters()
            with pytest.raises(DataPathError):
                await gateway.configure(here, INNER_GATEWAY, INNER_CLIENT)
            await there.close()
        assert nothing_is_left(net.gateway)

    run(scenario())


def test_interface_has_the_addresses_and_the_mtu(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            path = await gateway.session()
            await gateway.configure(path, INNER_GATEWAY, INNER_CLIENT)
            link = net.gateway.show(f"link show {path.interface}")
            assert f"mtu {MRU}" in link
            assert "UP" in link
            address = net.gateway.show(f"address show {path.interface}")
            assert f"inet {INNER_GATEWAY} peer {INNER_CLIENT}/32" in address
            await path.close()

    run(scenario())


@pytest.mark.parametrize("prefix", [ADDRESS_AND_CONTROL, b""], ids=["full", "acfc"])
def test_frames_of_a_peer_come_without_address_and_control(net: Lab, prefix: bytes) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.client.udp(L2TP_PORT) as peer:
                path = await gateway.session()
                peer.sendto(data_message(prefix + LCP_ECHO), (GATEWAY, L2TP_PORT))
                assert await gateway.frame() == LCP_ECHO
                assert path.send(LCP_ECHO)
                answer = data_message(ADDRESS_AND_CONTROL + LCP_ECHO, PEER_TUNNEL, PEER_SESSION)
                assert peer.recvfrom(1500) == (answer, (GATEWAY, L2TP_PORT))
                await path.close()

    run(scenario())


@pytest.mark.parametrize(
    "prefix",
    ["ff03 0021", "0021", "ff03 21", "21"],
    ids=["full", "acfc", "pfc", "both"],
)
def test_compressed_fields_of_a_peer_are_expanded(net: Lab, prefix: str) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.client.udp(L2TP_PORT) as peer:
                path = await gateway.session()
                await gateway.configure(path, INNER_GATEWAY, INNER_CLIENT)
                with net.gateway.udp(5000, INNER_GATEWAY) as server:
                    packet = ip_packet(INNER_CLIENT, INNER_GATEWAY, b"hello", 5000)
                    frame = bytes.fromhex(prefix) + packet
                    peer.sendto(data_message(frame), (GATEWAY, L2TP_PORT))
                    assert server.recv(100) == b"hello"
                await path.close()

    run(scenario())


def test_no_packet_passes_before_configure(net: Lab) -> None:
    """An IP packet sent too early reaches the program, which drops it (RFC 1661 section 3.4)."""

    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.client.udp(L2TP_PORT) as peer:
                path = await gateway.session()
                frame = bytes.fromhex("0021") + ip_packet(INNER_CLIENT, GATEWAY, b"early", 5000)
                peer.sendto(data_message(ADDRESS_AND_CONTROL + frame), (GATEWAY, L2TP_PORT))
                assert await gateway.frame() == frame
                await path.close()

    run(scenario())


def test_control_messages_and_unknown_sessions_reach_the_program(net: Lab) -> None:
    control = struct.pack("!HHHHHH", 0xC802, 12, TUNNEL, 0, 1, 1)
    unknown = data_message(LCP_ECHO, session=0x7777)

    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.client.udp(L2TP_PORT) as peer:
                path = await gateway.session()
                for message in (control, unknown):
                    peer.sendto(message, (GATEWAY, L2TP_PORT))
                    assert await gateway.datagram() == Datagram(
                        message, Address(CLIENT, L2TP_PORT), GATEWAY, 0
                    )
                await path.close()

    run(scenario())


def test_sequence_numbers_are_sent_on_demand(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.client.udp(L2TP_PORT) as peer:
                path = await gateway.session(sequencing=True)
                for number in range(3):
                    assert path.send(LCP_ECHO)
                    flags, _, _, ns, nr = struct.unpack_from("!HHHHH", peer.recv(1500))
                    assert (flags, ns, nr) == (0x0802, number, 0)
                await path.close()

    run(scenario())


def test_listener_and_tunnels_share_the_port(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.gateway:
                listener = L2tpSocket(gateway.datagrams.put_nowait)
                listener.open(Address("0.0.0.0"))
            path = await gateway.session()
            with net.client.udp(L2TP_PORT) as peer, net.client.udp(40000) as stranger:
                stranger.sendto(b"SCCRQ of another", (GATEWAY, L2TP_PORT))
                datagram = await gateway.datagram()
                assert datagram.source == Address(CLIENT, 40000)
                assert listener.send(b"SCCRP", datagram.source, datagram.local_address)
                assert stranger.recvfrom(100) == (b"SCCRP", (GATEWAY, L2TP_PORT))
                peer.sendto(data_message(LCP_ECHO), (GATEWAY, L2TP_PORT))
                assert await gateway.frame() == LCP_ECHO
            await path.close()
            listener.close()

    run(scenario())


def test_datagrams_of_others_between_bind_and_connect_are_not_lost(
    net: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = net.client.udp(40000)

    class SlowSocket(socket.socket):
        def connect(self, address: Any) -> None:
            stranger.sendto(b"SCCRQ of another", (GATEWAY, L2TP_PORT))
            assert select.select([self], [], [], TIMEOUT)[0] == [self]
            super().connect(address)

    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            listened: list[Datagram] = []
            with net.gateway:
                listener = L2tpSocket(listened.append)
                listener.open(Address("0.0.0.0"))
            with monkeypatch.context() as patch:
                patch.setattr("l2tp.datapath.udp.socket.socket", SlowSocket)
                path = await gateway.session()
            datagram = await gateway.datagram()
            assert (datagram.payload, datagram.source) == (
                b"SCCRQ of another",
                Address(CLIENT, 40000),
            )
            assert listened == []
            # From here on the listener gets what is not of the tunnel's peer.
            stranger.sendto(b"again", (GATEWAY, L2TP_PORT))
            with net.client.udp(L2TP_PORT) as peer:
                peer.sendto(data_message(LCP_ECHO), (GATEWAY, L2TP_PORT))
                assert await gateway.frame() == LCP_ECHO
            assert [datagram.payload for datagram in listened] == [b"again"]
            await path.close()
            listener.close()

    with stranger:
        run(scenario())


def test_a_tunnel_follows_its_client_to_another_address(net: Lab) -> None:
    net.client.ip(f"address add {OTHER}/24 dev veth0")

    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            path = await gateway.session()
            await gateway.configure(path, INNER_GATEWAY, INNER_CLIENT)
            with net.gateway:
                gateway.paths.follow(TUNNEL, Address(OTHER), ENDS.mark, b"")
            with (
                net.client.udp(L2TP_PORT, OTHER) as peer,
                net.gateway.udp(5000, INNER_GATEWAY) as server,
            ):
                packet = ip_packet(INNER_CLIENT, INNER_GATEWAY, b"question", 5000)
                message = data_message(bytes.fromhex("ff03 0021") + packet)
                peer.sendto(message, (GATEWAY, L2TP_PORT))
                assert server.recv(100) == b"question"
                server.sendto(b"answer", (INNER_CLIENT, 5000))
                assert peer.recv(1500).endswith(b"answer")
                assert path.send(LCP_ECHO)
                assert peer.recv(1500).endswith(LCP_ECHO)
            await path.close()
        assert nothing_is_left(net.gateway)

    run(scenario())


def test_sessions_share_their_tunnel_until_the_last_is_closed(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            first = await gateway.session()
            second = await gateway.session(session_id=SESSION + 1, peer_session_id=9)
            await first.close()
            with net.client.udp(L2TP_PORT) as peer:
                peer.sendto(data_message(LCP_ECHO, session=SESSION + 1), (GATEWAY, L2TP_PORT))
                assert await gateway.frame() == LCP_ECHO
                assert second.send(LCP_ECHO)
                assert peer.recv(1500) == data_message(
                    ADDRESS_AND_CONTROL + LCP_ECHO, PEER_TUNNEL, 9
                )
            await second.close()
        assert nothing_is_left(net.gateway)

    run(scenario())


def test_tunnels_with_the_same_ports_never_take_each_others_data(net: Lab) -> None:
    second = replace(ENDS, tunnel_id=TUNNEL + 1, peer_tunnel_id=PEER_TUNNEL + 1)

    async def scenario() -> None:
        async with side(net.gateway) as gateway, side(net.gateway) as other:
            with net.client.udp(L2TP_PORT) as peer:
                path = await gateway.session()
                if finds_tunnels_by_id(platform.release()):
                    other_path = await other.session(second)
                    message = data_message(LCP_ECHO, TUNNEL + 1)
                    peer.sendto(message, (GATEWAY, L2TP_PORT))
                    assert await other.frame() == LCP_ECHO
                    await other_path.close()
                else:
                    with pytest.raises(SharedFlowError) as refused:
                        await gateway.session(second)
                    assert refused.value.tunnel_id == TUNNEL
                peer.sendto(data_message(LCP_ECHO), (GATEWAY, L2TP_PORT))
                assert await gateway.frame() == LCP_ECHO
                await path.close()
                path = await gateway.session(second)
                await path.close()

    run(scenario())


def test_refused_session_leaves_nothing(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway, side(net.gateway) as other:
            path = await gateway.session()
            with pytest.raises(DataPathError) as twice:
                await gateway.session()
            assert twice.value.errno == errno.EEXIST
            with pytest.raises(DataPathError) as tunnel:
                await other.session()
            assert (tunnel.value.operation, tunnel.value.errno) == (
                "PPPoL2TP tunnel",
                errno.EEXIST,
            )
            await path.close()
            path = await session_when_free(other)
            await path.close()
        assert nothing_is_left(net.gateway)

    run(scenario())


async def session_when_free(other: Side) -> KernelDataPath:
    """A session of a tunnel that was closed: a work queue of the kernel frees its ID soon."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            try:
                return await other.session()
            except DataPathError as error:
                if error.errno != errno.EEXIST:
                    raise
            await asyncio.sleep(0.01)


def test_port_in_use_is_told_with_its_remedy(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.gateway.udp(L2TP_PORT), pytest.raises(DataPathError) as refused:
                await gateway.session()
            assert refused.value.errno == errno.EADDRINUSE
            assert "xl2tpd" in str(refused.value)

    run(scenario())


def test_refused_configuration_is_an_error_and_close_cleans_up(net: Lab) -> None:
    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            path = await gateway.session()
            with pytest.raises(DataPathError) as refused:
                await gateway.configure(path, INNER_GATEWAY, INNER_CLIENT, proxy_arp="eth77")
            assert refused.value.what == "eth77"
            await path.close()
        assert nothing_is_left(net.gateway)

    run(scenario())


def test_proxy_arp_makes_the_client_a_neighbour_of_the_office(net: Lab) -> None:
    guest = "192.0.2.100"
    net.gateway.sysctl("net.ipv4.ip_forward", "1")
    net.gateway.sysctl("net.ipv4.neigh.veth0.proxy_delay", "0")

    async def scenario() -> None:
        async with side(net.gateway) as gateway:
            with net.client.udp(L2TP_PORT) as peer, net.client.udp(5000) as office:
                path = await gateway.session()
                await gateway.configure(path, GATEWAY, guest, proxy_arp="veth0")
                office.sendto(b"hello guest", (guest, 5000))
                assert peer.recv(1500).endswith(b"hello guest")
                await path.close()
            assert net.gateway.show("neigh show proxy") == ""

    run(scenario())


KILLED = """
import asyncio, signal
from l2tp.datapath import LinkSettings
from l2tp.datapath.kernel import KernelDataPaths
from tests.kernel.test_pppol2tp import *

async def main():
    paths = KernelDataPaths(print)
    await paths.open()
    path = await paths.open_session(ENDS, SESSION, PEER_SESSION, MRU, print)
    await path.configure(LinkSettings(GATEWAY, "192.0.2.100", MRU, "veth0"))
    print(path.interface, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_killed_process_leaves_no_interface_and_the_next_removes_proxy_arp(net: Lab) -> None:
    net.gateway.ip("neigh add proxy 192.0.2.200 dev veth0")
    process = subprocess.Popen(
        ["ip", "netns", "exec", net.gateway.name, sys.executable, "-c", KILLED],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process:
        interface = process.stdout.readline().strip()
        present = interfaces(net.gateway)
        process.send_signal(signal.SIGKILL)
    assert interface in present
    assert nothing_is_left(net.gateway)
    assert "192.0.2.100" in net.gateway.show("neigh show proxy")

    async def scenario() -> None:
        async with side(net.gateway):
            proxies = net.gateway.show("neigh show proxy")
            assert "192.0.2.100" not in proxies
            assert "192.0.2.200" in proxies

    run(scenario())


def test_kernel_sends_through_the_sa_of_the_mark(net: Lab) -> None:
    """L2TP data under IPsec, also after the SAs were replaced under the open session."""
    plan = ClientPath(GATEWAY, CLIENT, Mark(0x10000, 0xFFFF0000), REQID_BASE + 1)
    keys = Keys(encryption("aes-cbc", b"k" * 16), integrity("hmac-sha1-96", b"m" * 20))
    ends = TunnelEnds(Address(GATEWAY), Address(CLIENT), plan.mark.value, TUNNEL, PEER_TUNNEL)

    def inbound(spi: int) -> AddSa:
        return AddSa(plan.inbound_sa(spi, keys, Lifetime()))

    def outbound(spi: int) -> AddSa:
        return AddSa(plan.outbound_sa(spi, keys, Lifetime()))

    async def scenario() -> None:
        gateway_sadb, client_sadb = Sadb(), Sadb()
        with net.gateway:
            await gateway_sadb.open()
        with net.client:
            await client_sadb.open()
        gateway_sadb.apply([AddPolicy(policy) for policy in block_policies()])
        gateway_sadb.apply([inbound(0x1000), AddPolicy(plan.inbound_policy())])
        gateway_sadb.apply([outbound(0x2000), AddPolicy(plan.outbound_policy())])
        # The client needs no marks: it has one gateway.
        unmarked = [
            AddPolicy(Policy(policy.selector, direction, templates=policy.templates))
            for policy, direction in (
                (plan.inbound_policy(), Direction.OUT),
                (plan.outbound_policy(), Direction.IN),
            )
        ]
        client_sadb.apply(
            [
                AddSa(structs.replace(add.sa, mark=None, set_mark=None))
                for add in (inbound(0x1000), outbound(0x2000), outbound(0x3000))
            ]
        )
        client_sadb.apply(unmarked)

        async with side(net.gateway) as gateway:
            with net.client.udp(L2TP_PORT) as peer, Capture(net.client) as to_client:
                path = await gateway.session(ends)
                await gateway.configure(path, INNER_GATEWAY, INNER_CLIENT)
                with net.gateway.udp(5000, INNER_GATEWAY) as server:
                    for spi in (0x2000, 0x3000):
                        if spi == 0x3000:
                            gateway_sadb.apply([outbound(spi)])
                        server.sendto(b"hello", (INNER_CLIENT, 5000))
                        assert peer.recv(1500).endswith(b"hello")
                        assert path.send(LCP_ECHO)
                        assert peer.recv(1500).endswith(LCP_ECHO)
                        packets = to_client.packets()
                        assert [packet.protocol for packet in packets] == [IPPROTO_ESP] * 2
                        assert {packet.esp[0] for packet in packets} == {spi}

                    # What the peer sends through its SA is taken, with its mark ...
                    peer.sendto(b"\xc8\x02control", (GATEWAY, L2TP_PORT))
                    assert (await gateway.datagram()).mark == plan.mark.value
                    packet = ip_packet(INNER_CLIENT, INNER_GATEWAY, b"data", 5000)
                    message = data_message(bytes.fromhex("ff030021") + packet)
                    peer.sendto(message, (GATEWAY, L2TP_PORT))
                    assert server.recv(100) == b"data"
                    # ... and the same in clear is not.
                    client_sadb.flush()
                    received = path.counters().received_packets
                    peer.sendto(message, (GATEWAY, L2TP_PORT))
                    assert path.counters().received_packets == received
                await path.close()
        gateway_sadb.close()
        client_sadb.close()

    run(scenario())
