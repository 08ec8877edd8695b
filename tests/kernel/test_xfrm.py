"""SAs and policies in a kernel that has ESP: what leaves, what arrives, and with which mark."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs

from tests.support.namespaces import CLIENT, GATEWAY, TIMEOUT, Capture, Lab, Namespace, lab
from tests.support.xfrm_plan import L2TP_PORT, ClientPath, Keys, block_policies
from xfrm import sockets
from xfrm.algorithms import aead, encryption, integrity
from xfrm.constants import IPPROTO_ESP, IPPROTO_UDP, Direction, Group, UdpEncap
from xfrm.errors import KernelError
from xfrm.events import Acquire, Event, Expire, NatMapping, Resync
from xfrm.model import Encap, Encryption, Lifetime, Mark, Policy, Sa, Selector, Template
from xfrm.netlink import EventSocket
from xfrm.ownership import REQID_BASE
from xfrm.sadb import BATCH, SEQUENCE_GAP, AddPolicy, AddSa, Sadb, UpdateSa, continuing

MASK = 0xFFFF0000
SECRET = b"in the clear this can be read"
NAT_T_PORT = 4500

AES_SHA1 = Keys(encryption("aes-cbc", b"k" * 16), integrity("hmac-sha1-96", b"m" * 20))
KEYS = {
    "aes128-sha1": AES_SHA1,
    "3des-md5": Keys(encryption("3des-cbc", bytes(range(24))), integrity("hmac-md5-96", b"m" * 16)),
    "aes128gcm16": Keys(aead=aead("aes-gcm-16", b"k" * 20)),
    "aes256-sha2-512": Keys(
        encryption("aes-cbc", b"k" * 32), integrity("hmac-sha2-512-256", b"m" * 64)
    ),
    "aes192-sha2-384": Keys(
        encryption("aes-cbc", b"k" * 24), integrity("hmac-sha2-384-192", b"m" * 48)
    ),
    "aes256-sha2-256": Keys(
        encryption("aes-cbc", b"k" * 32), integrity("hmac-sha2-256-128", b"m" * 32)
    ),
    "aes256-sha2-256-draft": Keys(
        encryption("aes-cbc", b"k" * 32), integrity("hmac-sha2-256-96", b"m" * 32)
    ),
}


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


def path(number: int = 1, nat_port: int | None = None) -> ClientPath:
    return ClientPath(
        server=GATEWAY,
        client=CLIENT,
        mark=Mark(number << 16, MASK),
        reqid=REQID_BASE + number,
        client_nat_port=nat_port,
    )


@dataclass
class Ends:
    """Both ends' SAs and policies of one client; the client's bear marks of its own kind."""

    inbound: Sa
    outbound: Sa
    path: ClientPath
    client_mark: Mark

    @classmethod
    def of(
        cls,
        plan: ClientPath,
        keys: Keys = AES_SHA1,
        spi: int = 0x1000,
        lifetime: Lifetime = Lifetime(),  # noqa: B008  frozen
    ) -> "Ends":
        inbound = plan.inbound_sa(spi, keys, lifetime)
        outbound = plan.outbound_sa(spi + 1, keys, lifetime)
        return cls(inbound, outbound, plan, Mark(plan.mark.value >> 16, 0xFFFF))

    async def install_gateway(self, sadb: Sadb) -> None:
        sadb.apply([AddSa(self.inbound), AddPolicy(self.path.inbound_policy())])
        sadb.apply([AddSa(self.outbound), AddPolicy(self.path.outbound_policy())])

    def client_outbound(self) -> Sa:
        return structs.replace(
            self.inbound, set_mark=None, mark=self.client_mark, lifetime=Lifetime(), selector=None
        )

    def client_inbound(self) -> Sa:
        return structs.replace(
            self.outbound, mark=None, set_mark=self.client_mark, lifetime=Lifetime()
        )

    async def install_client(self, sadb: Sadb) -> None:
        out_policy = structs.replace(
            self.path.inbound_policy(), direction=Direction.OUT, mark=self.client_mark
        )
        in_policy = structs.replace(
            self.path.outbound_policy(), direction=Direction.IN, mark=self.client_mark
        )
        sadb.apply(
            [
                AddSa(self.client_outbound()),
                AddSa(self.client_inbound()),
                AddPolicy(out_policy),
                AddPolicy(in_policy),
            ]
        )


@asynccontextmanager
async def sadb_in(
    namespace: Namespace, on_event: Callable[[Event], None] | None = None
) -> AsyncIterator[Sadb]:
    sadb = Sadb(on_event)
    with namespace:
        await sadb.open()
    try:
        yield sadb
    finally:
        sadb.close()


@asynccontextmanager
async def both(
    net: Lab, *ends: Ends, on_event: Callable[[Event], None] | None = None
) -> AsyncIterator[tuple[Sadb, Sadb]]:
    """A gateway that blocks L2TP in clear, and clients, all SAs in place."""
    async with sadb_in(net.gateway, on_event) as gateway, sadb_in(net.client) as client:
        gateway.apply([AddPolicy(policy) for policy in block_policies()])
        for end in ends:
            await end.install_gateway(gateway)
            await end.install_client(client)
        yield gateway, client


def l2tp_socket(namespace: Namespace, port: int = L2TP_PORT) -> socket.socket:
    sock = namespace.udp(port)
    sockets.report_packet_info(sock)
    return sock


def nat_t_socket(namespace: Namespace, port: int = NAT_T_PORT) -> socket.socket:
    sock = namespace.udp(port)
    sockets.accept_esp_in_udp(sock)
    return sock


def receive(sock: socket.socket) -> tuple[bytes, int]:
    """A datagram and its mark."""
    payload, ancillary, _, _ = sock.recvmsg(65535, sockets.ANCILLARY_SIZE)
    return payload, sockets.packet_info(ancillary).mark


def send(sock: socket.socket, payload: bytes, to: tuple[str, int], mark: int = 0) -> None:
    sock.sendmsg([payload], sockets.send_ancillary(mark=mark), 0, to)


def nothing_waits(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        sock.recv(65535)
    except BlockingIOError:
        return True
    finally:
        sock.settimeout(TIMEOUT)
    return False


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


@pytest.mark.parametrize("nat_port", [None, NAT_T_PORT], ids=["esp", "udp"])
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_both_ways_are_encrypted_and_marked(net: Lab, keys: Keys, nat_port: int | None) -> None:
    ends = Ends.of(path(nat_port=nat_port), keys)

    async def scenario() -> None:
        async with both(net, ends):
            with (
                l2tp_socket(net.gateway) as server,
                l2tp_socket(net.client) as client,
                nat_t_socket(net.gateway),
                nat_t_socket(net.client),
                Capture(net.gateway) as to_gateway,
                Capture(net.client) as to_client,
            ):
                send(client, SECRET, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server) == (SECRET, ends.path.mark.value)
                send(server, SECRET[::-1], (CLIENT, L2TP_PORT), ends.path.mark.value)
                assert receive(client) == (SECRET[::-1], ends.client_mark.value)
                for capture, spi in (
                    (to_gateway, ends.inbound.spi),
                    (to_client, ends.outbound.spi),
                ):
                    (packet,) = capture.packets()
                    assert packet.protocol == (IPPROTO_UDP if nat_port else IPPROTO_ESP)
                    assert packet.esp == (spi, 1)
                    assert SECRET not in packet.payload
                    assert SECRET[::-1] not in packet.payload
                    if nat_port:
                        assert packet.ports == (nat_port, NAT_T_PORT)

    run(scenario())


def test_esp_on_the_ike_port_behind_a_non_ike_marker(net: Lab) -> None:
    """Draft -00 of NAT traversal. Linux took it out in 6.10; the lab's kernel is older."""
    plan = replace(path(nat_port=61000), server_nat_port=500, form=UdpEncap.ESPINUDP_NON_IKE)
    ends = Ends.of(plan)
    ike = bytes(range(1, 60))

    async def scenario() -> None:
        async with both(net, ends) as (gateway, _):
            with (
                l2tp_socket(net.gateway) as server,
                l2tp_socket(net.client) as client,
                net.gateway.udp(500) as gateway_ike,
                net.client.udp(61000) as client_ike,
                Capture(net.gateway) as to_gateway,
                Capture(net.client) as to_client,
            ):
                assert sockets.accept_esp_among_ike(gateway_ike)
                assert sockets.accept_esp_among_ike(client_ike)
                send(client, SECRET, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server) == (SECRET, plan.mark.value)
                send(server, SECRET[::-1], (CLIENT, L2TP_PORT), plan.mark.value)
                assert receive(client) == (SECRET[::-1], ends.client_mark.value)
                for capture, spi in (
                    (to_gateway, ends.inbound.spi),
                    (to_client, ends.outbound.spi),
                ):
                    (packet,) = capture.packets()
                    assert set(packet.ports) == {500, 61000}
                    marker, esp = packet.payload[8:16], packet.payload[16:]
                    assert (marker, esp[:4]) == (bytes(8), spi.to_bytes(4))
                    assert SECRET not in esp
                    assert SECRET[::-1] not in esp
                # IKE passes beside it.
                client_ike.sendto(ike, (GATEWAY, 500))
                assert gateway_ike.recv(100) == ike
            assert gateway.get_sa(ends.inbound.spi, GATEWAY).sa == ends.inbound

    run(scenario())


def test_kernel_gives_back_what_was_installed(net: Lab) -> None:
    ends = Ends.of(
        path(nat_port=40001), lifetime=Lifetime(soft_seconds=60, hard_seconds=90, hard_bytes=5000)
    )

    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            await ends.install_gateway(gateway)
            inbound = gateway.get_sa(ends.inbound.spi, GATEWAY)
            assert inbound.sa == ends.inbound
            outbound = gateway.get_sa(ends.outbound.spi, CLIENT, ends.path.mark)
            assert outbound.sa == ends.outbound
            assert {state.sa.spi for state in await gateway.list_sas()} == {
                ends.inbound.spi,
                ends.outbound.spi,
            }
            policies = [
                structs.replace(policy, index=0) for policy in await gateway.list_policies()
            ]
            assert sorted(policies, key=lambda policy: policy.direction) == [
                ends.path.inbound_policy(),
                ends.path.outbound_policy(),
            ]

    run(scenario())


def test_counters_and_sequence_numbers_are_read(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with both(net, ends) as (gateway, _):
            with l2tp_socket(net.gateway) as server, l2tp_socket(net.client) as client:
                for _ in range(3):
                    send(client, SECRET, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                    receive(server)
            state = gateway.get_sa(ends.inbound.spi, GATEWAY)
            assert state.usage.packets == 3
            assert state.usage.bytes >= 3 * len(SECRET)
            assert state.usage.use_time >= state.usage.add_time > 0
            assert (state.replay.received, state.replay.bitmap) == (3, (0b111,))
            assert (state.replay_errors, state.integrity_errors) == (0, 0)

    run(scenario())


def test_what_is_retired_is_counted_and_gone_and_may_come_back(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with both(net, ends) as (gateway, _):
            with l2tp_socket(net.gateway) as server, l2tp_socket(net.client) as client:
                send(client, SECRET, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                receive(server)
            gateway.delete_sa(ends.outbound.spi, CLIENT, ends.outbound.mark)
            many = gateway.usage([ends.inbound, ends.outbound] * BATCH)
            assert [usage.packets for usage in many] == [1, 0] * BATCH
            inbound, outbound = gateway.retire([ends.inbound, ends.outbound])
            assert (inbound.usage.packets, outbound.usage.packets) == (1, 0)
            assert await gateway.list_sas() == []

            with l2tp_socket(net.gateway) as server, l2tp_socket(net.client) as client:
                gateway.add_sa(continuing(ends.inbound, inbound))
                send(client, SECRET, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                receive(server)
            state = gateway.get_sa(ends.inbound.spi, GATEWAY)
            assert state.usage.packets == 2
            assert state.usage.add_time == inbound.usage.add_time

    run(scenario())


def test_wrong_key_is_counted_and_nothing_is_delivered(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with both(net, ends) as (gateway, client):
            good = ends.client_outbound()
            client.delete_sa(good.spi, good.dst, good.mark)
            forger = structs.replace(good, integrity=integrity("hmac-sha1-96", b"w" * 20))
            client.add_sa(forger)
            with l2tp_socket(net.gateway) as server, l2tp_socket(net.client) as sender:
                send(sender, SECRET, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                client.delete_sa(good.spi, good.dst, good.mark)
                client.add_sa(good)
                send(sender, b"good", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server)[0] == b"good"
            state = gateway.get_sa(ends.inbound.spi, GATEWAY)
            assert state.integrity_errors == 1

    run(scenario())


def test_marks_tell_clients_with_one_address_and_port_apart(net: Lab) -> None:
    first, second = Ends.of(path(1), spi=0x1000), Ends.of(path(2), spi=0x2000)

    async def scenario() -> None:
        async with both(net, first, second):
            with (
                l2tp_socket(net.gateway) as server,
                l2tp_socket(net.client) as client,
                Capture(net.client) as to_client,
            ):
                for ends in (second, first, second):
                    send(client, b"hello", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                    assert receive(server) == (b"hello", ends.path.mark.value)
                    send(server, b"reply", (CLIENT, L2TP_PORT), ends.path.mark.value)
                    assert receive(client) == (b"reply", ends.client_mark.value)
                    (packet,) = to_client.packets()
                    assert packet.esp[0] == ends.outbound.spi

    run(scenario())


def test_clients_may_choose_the_same_outbound_spi(net: Lab) -> None:
    first, second = Ends.of(path(1), spi=0x1000), Ends.of(path(2), spi=0x2000)
    second.outbound = structs.replace(second.outbound, spi=first.outbound.spi)

    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            await first.install_gateway(gateway)
            await second.install_gateway(gateway)
            for ends in (first, second):
                state = gateway.get_sa(ends.outbound.spi, CLIENT, ends.path.mark)
                assert state.sa.mark == ends.path.mark
            gateway.delete_sa(first.outbound.spi, CLIENT, first.path.mark)
            state = gateway.get_sa(second.outbound.spi, CLIENT, second.path.mark)
            assert state.sa.reqid == second.path.reqid

    run(scenario())


def test_cleartext_does_not_come_in(net: Lab) -> None:
    async def scenario() -> None:
        async with both(net):
            with (
                l2tp_socket(net.gateway) as server,
                net.gateway.udp(L2TP_PORT + 1) as other,
                net.client.udp(L2TP_PORT) as client,
            ):
                client.sendto(SECRET, (GATEWAY, L2TP_PORT))
                client.sendto(b"afterwards", (GATEWAY, L2TP_PORT + 1))
                assert other.recv(100) == b"afterwards"
                assert nothing_waits(server)

    run(scenario())


def test_cleartext_does_not_come_in_from_a_client_that_has_sas(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with both(net, ends):
            with l2tp_socket(net.gateway) as server, l2tp_socket(net.client) as client:
                send(client, b"in clear", (GATEWAY, L2TP_PORT))
                send(client, b"encrypted", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server) == (b"encrypted", ends.path.mark.value)
                assert nothing_waits(server)

    run(scenario())


def test_cleartext_does_not_go_out(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with both(net, ends):
            with (
                l2tp_socket(net.gateway) as server,
                l2tp_socket(net.client) as client,
                Capture(net.client) as to_client,
            ):
                for mark in (0, path(9).mark.value):
                    with suppress(OSError):
                        send(server, SECRET, (CLIENT, L2TP_PORT), mark)
                send(server, b"encrypted", (CLIENT, L2TP_PORT), ends.path.mark.value)
                assert receive(client)[0] == b"encrypted"
                (packet,) = to_client.packets()
                assert packet.protocol == IPPROTO_ESP

    run(scenario())


def test_an_sa_carries_l2tp_alone(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with both(net, ends) as (_, client_sadb):
            # A client that sends something else through its SA.
            client_sadb.add_policy(
                Policy(
                    Selector(CLIENT, GATEWAY, protocol=IPPROTO_UDP, dport=22),
                    Direction.OUT,
                    templates=(Template(CLIENT, GATEWAY, ends.path.reqid),),
                    mark=ends.client_mark,
                )
            )
            with (
                l2tp_socket(net.gateway) as server,
                net.gateway.udp(22) as other,
                l2tp_socket(net.client) as client,
                Capture(net.gateway) as to_gateway,
            ):
                send(client, SECRET, (GATEWAY, 22), ends.client_mark.value)
                send(client, b"afterwards", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server)[0] == b"afterwards"
                assert nothing_waits(other)
                assert [packet.protocol for packet in to_gateway.packets()] == [IPPROTO_ESP] * 2

    run(scenario())


def test_soft_and_hard_lifetime_in_bytes_are_reported(net: Lab) -> None:
    lifetime = Lifetime(soft_bytes=200, hard_bytes=2000)
    ends = Ends.of(path(), lifetime=lifetime)

    async def scenario() -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()
        async with both(net, ends, on_event=events.put_nowait) as (gateway, _):
            with l2tp_socket(net.gateway), l2tp_socket(net.client) as client:
                for _ in range(5):
                    send(client, bytes(500), (GATEWAY, L2TP_PORT), ends.client_mark.value)
            expected = Expire(
                spi=ends.inbound.spi,
                dst=GATEWAY,
                protocol=IPPROTO_ESP,
                reqid=ends.path.reqid,
                mark=None,
                hard=False,
            )
            assert await asyncio.wait_for(events.get(), TIMEOUT) == expected
            assert await asyncio.wait_for(events.get(), TIMEOUT) == replace(expected, hard=True)
            with pytest.raises(KernelError) as refused:
                gateway.get_sa(ends.inbound.spi, GATEWAY)
            assert refused.value.errno == errno.ESRCH

    run(scenario())


@pytest.mark.parametrize("in_place", [True, False], ids=["update", "replace"])
def test_nat_that_rebinds_is_reported_and_followed(net: Lab, in_place: bool) -> None:
    before, after = path(nat_port=NAT_T_PORT), path(nat_port=NAT_T_PORT + 1)
    ends = Ends.of(before)

    async def scenario() -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()
        async with both(net, ends, on_event=events.put_nowait) as (gateway, client_sadb):
            with (
                l2tp_socket(net.gateway) as server,
                l2tp_socket(net.client) as client,
                nat_t_socket(net.gateway),
                nat_t_socket(net.client),
                nat_t_socket(net.client, NAT_T_PORT + 1),
                Capture(net.client) as to_client,
            ):
                send(client, b"before", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server)[0] == b"before"
                rebound = ends.client_outbound()
                client_sadb.replace_sa(
                    rebound, structs.replace(rebound, encap=Encap(NAT_T_PORT + 1, NAT_T_PORT))
                )
                # Authentic, so it is delivered: only answers would go to the old port.
                send(client, b"after", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server)[0] == b"after"
                assert await asyncio.wait_for(events.get(), TIMEOUT) == NatMapping(
                    spi=ends.inbound.spi,
                    dst=GATEWAY,
                    reqid=ends.path.reqid,
                    old_address=CLIENT,
                    old_port=NAT_T_PORT,
                    new_address=CLIENT,
                    new_port=NAT_T_PORT + 1,
                )
                for old, new in (
                    (ends.inbound, after.inbound_sa(ends.inbound.spi, AES_SHA1, Lifetime())),
                    (ends.outbound, after.outbound_sa(ends.outbound.spi, AES_SHA1, Lifetime())),
                ):
                    if in_place:
                        gateway.update_sa(new)
                    else:
                        gateway.replace_sa(old, new)
                send(server, b"reply", (CLIENT, L2TP_PORT), ends.path.mark.value)
                assert receive(client)[0] == b"reply"
                assert to_client.packets()[-1].ports == (NAT_T_PORT, NAT_T_PORT + 1)
                send(client, b"again", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server)[0] == b"again"
                assert events.empty()

    run(scenario())


def policy_without_sa() -> Policy:
    return Policy(
        Selector(GATEWAY, CLIENT, protocol=IPPROTO_UDP, dport=9),
        Direction.OUT,
        templates=(Template(GATEWAY, CLIENT, REQID_BASE),),
    )


def ask_for_an_sa(namespace: Namespace) -> None:
    with namespace.udp(9) as sock, suppress(OSError):
        sock.sendto(b"no way out", (CLIENT, 9))


def test_acquire_is_reported(net: Lab) -> None:
    async def scenario() -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()
        sadb = Sadb(events.put_nowait)
        with net.gateway:
            await sadb.open([Group.ACQUIRE])
        sadb.add_policy(policy_without_sa())
        (installed,) = await sadb.list_policies()
        ask_for_an_sa(net.gateway)
        acquire = await asyncio.wait_for(events.get(), TIMEOUT)
        assert acquire == Acquire(
            src=GATEWAY,
            dst=CLIENT,
            selector=Selector(GATEWAY, CLIENT, protocol=IPPROTO_UDP, sport=9, dport=9),
            policy_index=installed.index,
            mark=None,
        )
        sadb.close()

    run(scenario())


def test_lost_events_are_told_and_later_ones_arrive(net: Lab) -> None:
    async def scenario() -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()
        with net.gateway:
            listener = EventSocket(events.put_nowait)
            await listener.listen([Group.POLICY, Group.ACQUIRE])
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        async with sadb_in(net.gateway) as gateway:
            # Each makes a notification, and the event loop does not run meanwhile.
            gateway.apply([AddPolicy(path(number).inbound_policy()) for number in range(1, 40)])
            assert await asyncio.wait_for(events.get(), TIMEOUT) == Resync()
            # The kernel drops everything until what it had queued is read.
            for _ in range(100):
                await asyncio.sleep(0)
            assert events.empty()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            gateway.add_policy(policy_without_sa())
            ask_for_an_sa(net.gateway)
            assert isinstance(await asyncio.wait_for(events.get(), TIMEOUT), Acquire)
        listener.close()

    run(scenario())


def test_replaced_sa_goes_on_counting(net: Lab) -> None:
    ends = Ends.of(path())
    elsewhere = "192.0.2.3"

    async def scenario() -> None:
        async with both(net, ends) as (gateway, client_sadb):
            net.client.ip(f"address add {elsewhere}/24 dev veth0")
            moved = replace(path(), client=elsewhere)
            with (
                l2tp_socket(net.gateway) as server,
                l2tp_socket(net.client) as client,
                Capture(net.client) as to_client,
            ):
                for _ in range(3):
                    send(server, b"before", (CLIENT, L2TP_PORT), ends.path.mark.value)
                    receive(client)
                assert [packet.esp[1] for packet in to_client.packets()] == [1, 2, 3]

                new = moved.outbound_sa(ends.outbound.spi, AES_SHA1, Lifetime())
                gateway.replace_sa(ends.outbound, new)
                gateway.add_policy(moved.outbound_policy())
                new_ends = Ends.of(moved)
                client_sadb.add_sa(new_ends.client_inbound())
                client_sadb.add_policy(
                    structs.replace(
                        moved.outbound_policy(), direction=Direction.IN, mark=ends.client_mark
                    )
                )
                send(server, b"after", (elsewhere, L2TP_PORT), ends.path.mark.value)
                assert receive(client)[0] == b"after"
                (packet,) = to_client.packets()
                assert packet.destination == elsewhere
                assert packet.esp == (ends.outbound.spi, 3 + SEQUENCE_GAP + 1)
            state = gateway.get_sa(ends.outbound.spi, elsewhere, ends.path.mark)
            assert state.usage.packets == 4

    run(scenario())


def test_replaced_inbound_sa_still_refuses_replays(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with both(net, ends) as (gateway, client_sadb):
            with l2tp_socket(net.gateway) as server, l2tp_socket(net.client) as client:
                for _ in range(3):
                    send(client, b"before", (GATEWAY, L2TP_PORT), ends.client_mark.value)
                    receive(server)
                gateway.replace_sa(ends.inbound, ends.inbound)
                # The client starts over from 1, as an attacker would with recorded packets.
                out = ends.client_outbound()
                client_sadb.delete_sa(out.spi, out.dst, out.mark)
                client_sadb.add_sa(out)
                for payload in (b"1", b"2", b"3", b"4"):
                    send(client, payload, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server)[0] == b"4"
            state = gateway.get_sa(ends.inbound.spi, GATEWAY)
            assert state.replay_errors + state.replay_window_errors == 3

    run(scenario())


def test_sas_of_a_rekeying_client_overlap(net: Lab) -> None:
    old, new = Ends.of(path(), spi=0x1000), Ends.of(path(), KEYS["aes128gcm16"], spi=0x2000)

    async def scenario() -> None:
        async with both(net, old) as (gateway, client_sadb):
            with (
                l2tp_socket(net.gateway) as server,
                l2tp_socket(net.client) as client,
                Capture(net.client) as to_client,
            ):
                mark, client_mark = old.path.mark.value, old.client_mark.value
                # Traffic first, so that the kernel has the old SA cached for this flow.
                send(server, b"old", (CLIENT, L2TP_PORT), mark)
                assert receive(client)[0] == b"old"
                client_sadb.add_sa(new.client_inbound())
                gateway.apply([AddSa(new.inbound)])

                # The client still sends through its old SA, then through its new one.
                send(client, b"by the old", (GATEWAY, L2TP_PORT), client_mark)
                assert receive(server) == (b"by the old", mark)
                out = old.client_outbound()
                client_sadb.delete_sa(out.spi, out.dst, out.mark)
                client_sadb.add_sa(new.client_outbound())
                send(client, b"by the new", (GATEWAY, L2TP_PORT), client_mark)
                assert receive(server) == (b"by the new", mark)

                to_client.packets()
                gateway.apply([AddSa(new.outbound)])
                send(server, b"newest", (CLIENT, L2TP_PORT), mark)
                assert receive(client)[0] == b"newest"
                (packet,) = to_client.packets()
                assert packet.esp[0] == new.outbound.spi

                gateway.remove([old.inbound, old.outbound])
                send(server, b"only", (CLIENT, L2TP_PORT), mark)
                assert receive(client)[0] == b"only"
                (packet,) = to_client.packets()
                assert packet.esp == (new.outbound.spi, 2)

    run(scenario())


def test_allocated_spi_gets_its_sa(net: Lab) -> None:
    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            spi = gateway.allocate_spi(CLIENT, GATEWAY, path().reqid, 0x5000, 0x5000)
            assert spi == 0x5000
            with pytest.raises(KernelError) as refused:
                gateway.allocate_spi(CLIENT, GATEWAY, path().reqid, 0x5000, 0x5000)
            assert refused.value.errno == errno.ENOENT
            inbound = Ends.of(path(), spi=spi).inbound
            gateway.apply([UpdateSa(inbound), AddPolicy(path().inbound_policy())])
            state = gateway.get_sa(spi, GATEWAY)
            assert state.sa == inbound

    run(scenario())


def test_apply_leaves_nothing_when_one_is_refused(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            spi = gateway.allocate_spi(CLIENT, GATEWAY, path().reqid)
            inbound = structs.replace(ends.inbound, spi=spi)
            unknown = structs.replace(ends.outbound, encryption=Encryption("rot(13)", b"k" * 16))
            with pytest.raises(KernelError) as refused:
                gateway.apply(
                    [
                        UpdateSa(inbound),
                        AddPolicy(ends.path.inbound_policy()),
                        AddSa(unknown),
                        AddPolicy(ends.path.outbound_policy()),
                    ]
                )
            assert (refused.value.operation, refused.value.errno) == ("add_sa", errno.ENOSYS)
            assert await gateway.list_sas() == []
            assert await gateway.list_policies() == []

    run(scenario())


def test_apply_leaves_nothing_when_answers_are_lost(net: Lab) -> None:
    many = [AddPolicy(path(number).inbound_policy()) for number in range(1, 40)]

    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            requests = gateway._requests._socket
            assert requests is not None
            size = requests.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            requests.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            with pytest.raises(KernelError) as refused:
                # It refuses the second half, and has no room to say so of each.
                gateway.apply(many * 2)
            assert refused.value.errno == errno.ENOBUFS
            requests.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            assert await gateway.list_policies() == []
            gateway.apply(many)
            assert len(await gateway.list_policies()) == len(many)

    run(scenario())


def test_apply_keeps_what_was_there_before(net: Lab) -> None:
    ends = Ends.of(path())

    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            await ends.install_gateway(gateway)
            with pytest.raises(KernelError) as refused:
                gateway.apply([AddSa(structs.replace(ends.inbound, spi=7)), AddSa(ends.inbound)])
            assert refused.value.errno == errno.EEXIST
            assert {state.sa.spi for state in await gateway.list_sas()} == {
                ends.inbound.spi,
                ends.outbound.spi,
            }

    run(scenario())


def test_purge_removes_ours_alone(net: Lab) -> None:
    ours = [Ends.of(path(number), spi=number << 12) for number in range(1, 30)]
    foreign_sa = structs.replace(Ends.of(path()).inbound, spi=0x99, reqid=1)
    foreign_policy = structs.replace(path(40).inbound_policy(), priority=1000)

    async def scenario() -> None:
        async with sadb_in(net.gateway) as killed:
            killed.apply([AddPolicy(policy) for policy in block_policies()])
            for ends in ours:
                await ends.install_gateway(killed)
            killed.allocate_spi(CLIENT, GATEWAY, path().reqid)
            killed.apply([AddSa(foreign_sa), AddPolicy(foreign_policy)])
        async with sadb_in(net.gateway) as restarted:
            assert await restarted.purge() == 4 * len(ours) + len(block_policies()) + 1
            assert [state.sa for state in await restarted.list_sas()] == [foreign_sa]
            (left,) = await restarted.list_policies()
            assert structs.replace(left, index=0) == foreign_policy
            assert await restarted.purge() == 0

    run(scenario())


def test_requests_go_on_while_a_dump_is_read(net: Lab) -> None:
    many = [path(number).inbound_policy() for number in range(1, 200)]

    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            for start in range(0, len(many), 30):
                gateway.apply([AddPolicy(policy) for policy in many[start : start + 30]])

            async def add() -> None:
                gateway.add_policy(path(500).inbound_policy())

            # The first dump is under way when the policy is added; the second waits for it.
            first, _, second = await asyncio.gather(
                gateway.list_policies(), add(), gateway.list_policies()
            )
            assert len(first) in (len(many), len(many) + 1)
            assert len(second) == len(many) + 1
            assert {policy.mark for policy in many} <= {policy.mark for policy in first}

    run(scenario())


def test_flush_removes_everything(net: Lab) -> None:
    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            await Ends.of(path()).install_gateway(gateway)
            gateway.flush()
            assert await gateway.list_sas() == []
            assert await gateway.list_policies() == []

    run(scenario())


def test_update_changes_lifetime_and_ports(net: Lab) -> None:
    ends = Ends.of(path(nat_port=NAT_T_PORT))

    async def scenario() -> None:
        async with sadb_in(net.gateway) as gateway:
            await ends.install_gateway(gateway)
            changed = structs.replace(
                ends.outbound,
                encap=Encap(NAT_T_PORT, 40000),
                lifetime=Lifetime(hard_seconds=7),
            )
            gateway.update_sa(changed)
            state = gateway.get_sa(changed.spi, CLIENT, changed.mark)
            assert state.sa == changed

    run(scenario())


def test_large_replay_window(net: Lab) -> None:
    ends = Ends.of(path())
    ends.inbound = structs.replace(ends.inbound, replay_window=128)

    async def scenario() -> None:
        async with both(net, ends) as (gateway, _):
            with l2tp_socket(net.gateway) as server, l2tp_socket(net.client) as client:
                send(client, SECRET, (GATEWAY, L2TP_PORT), ends.client_mark.value)
                assert receive(server)[0] == SECRET
            state = gateway.get_sa(ends.inbound.spi, GATEWAY)
            assert state.sa == ends.inbound
            assert state.replay.received == 1

    run(scenario())


def test_ike_socket_bypasses_policies(net: Lab) -> None:
    """Policies that would send everything through an SA that does not exist."""
    everything = Selector(CLIENT, GATEWAY, protocol=IPPROTO_UDP)
    there = Policy(everything, Direction.OUT, templates=(Template(CLIENT, GATEWAY, 1),))
    back = structs.replace(there, direction=Direction.IN)

    async def scenario() -> None:
        async with sadb_in(net.client) as client_sadb, sadb_in(net.gateway) as gateway:
            client_sadb.add_policy(there)
            gateway.add_policy(back)
            with (
                net.client.udp(500) as ike,
                net.client.udp(501) as plain,
                net.gateway.udp(500) as server,
            ):
                sockets.bypass_ipsec(ike)
                sockets.bypass_ipsec(server)
                with suppress(OSError):
                    plain.sendto(b"not through", (GATEWAY, 500))
                ike.sendto(b"through", (GATEWAY, 500))
                assert server.recv(100) == b"through"
                assert nothing_waits(server)
                # A dump has the policies of sockets, too.
                directions = {policy.direction for policy in await gateway.list_policies()}
                assert directions == {Direction.IN, Direction.SOCKET_IN, Direction.SOCKET_OUT}

    run(scenario())


def test_routers_may_fragment_ike(net: Lab) -> None:
    with (
        net.gateway.udp(500) as ike,
        net.client.udp(500) as client,
        Capture(net.client) as to_client,
    ):
        ike.sendto(bytes(1400), (CLIENT, 500))
        sockets.allow_fragments(ike)
        ike.sendto(bytes(1400), (CLIENT, 500))
        # Above the link's MTU it leaves in fragments.
        ike.sendto(bytes(4000), (CLIENT, 500))
        assert [len(client.recv(5000)) for _ in range(3)] == [1400, 1400, 4000]
        before, after, *pieces = to_client.packets()
    assert (before.dont_fragment, after.dont_fragment) == (True, False)
    assert len(pieces) == 3
    assert not any(piece.dont_fragment for piece in pieces)


def test_replies_leave_from_the_address_that_was_asked(net: Lab) -> None:
    other = "192.0.2.77"
    net.gateway.ip(f"address add {other}/24 dev veth0")
    with l2tp_socket(net.gateway, 500) as server, net.client.udp(500) as client:
        client.sendto(b"question", (other, 500))
        _, ancillary, _, source = server.recvmsg(100, sockets.ANCILLARY_SIZE)
        local_address, mark = sockets.packet_info(ancillary)
        assert (local_address, mark) == (other, 0)
        server.sendmsg([b"answer"], sockets.send_ancillary(local_address), 0, source)
        assert client.recvfrom(100) == (b"answer", (other, 500))
