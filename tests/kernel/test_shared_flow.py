"""Two clients with the same addresses and ports: what the kernel's L2TP takes from whom.

Behind one NAT any client can send from the address and the port of any other. It comes through an
SA of its own, which the kernel's L2TP does not look at.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from l2tp.datapath.kernel import TunnelEnds
from l2tp.datapath.udp import L2TP_PORT, SO_MARK, Address
from tests.kernel.test_pppol2tp import (
    ADDRESS_AND_CONTROL,
    INNER_CLIENT,
    INNER_GATEWAY,
    LCP_ECHO,
    PEER_TUNNEL,
    TUNNEL,
    data_message,
    ip_packet,
    run,
    side,
)
from tests.support.namespaces import CLIENT, GATEWAY, Lab, lab
from tests.support.xfrm_plan import ClientPath, Keys, block_policies
from xfrm.algorithms import encryption, integrity
from xfrm.constants import Direction
from xfrm.model import Lifetime, Mark, Policy
from xfrm.ownership import REQID_BASE
from xfrm.sadb import AddPolicy, AddSa, Sadb
from xfrm.sockets import through_sa

MASK = 0xFFFF0000
OWNER, STRANGER = 0x10000, 0x20000
REQIDS = {OWNER: REQID_BASE + 1, STRANGER: REQID_BASE + 2}
KEYS = Keys(encryption("aes-cbc", b"k" * 16), integrity("hmac-sha1-96", b"m" * 20))

LCP_TERMINATE = bytes.fromhex("c021 05 01 0004")
HANG_UP = data_message(ADDRESS_AND_CONTROL + LCP_TERMINATE)
SCCRQ = bytes.fromhex("c802 000c 0000 0000 0000 0000")


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


async def protect(net: Lab) -> None:
    """Install an SA from each of the two; at their end the mark of a socket says through which.

    Back to the owner there is one, too: the kernel asks for it when the tunnel is made.
    """
    gateway, client = Sadb(), Sadb()
    with net.gateway:
        await gateway.open()
    with net.client:
        await client.open()
    gateway.apply([AddPolicy(policy) for policy in block_policies()])
    for mark, reqid in REQIDS.items():
        plan = ClientPath(GATEWAY, CLIENT, Mark(mark, MASK), reqid)
        sa, policy = plan.inbound_sa(reqid, KEYS, Lifetime()), plan.inbound_policy()
        gateway.apply([AddSa(sa), AddPolicy(policy)])
        outbound = Policy(
            policy.selector, Direction.OUT, templates=policy.templates, mark=policy.mark
        )
        client.apply([AddSa(replace(sa, mark=policy.mark, set_mark=None)), AddPolicy(outbound)])
    plan = ClientPath(GATEWAY, CLIENT, Mark(OWNER, MASK), REQIDS[OWNER])
    back = plan.outbound_sa(0x2000, KEYS, Lifetime())
    gateway.apply([AddSa(back), AddPolicy(plan.outbound_policy())])
    gateway.close()
    client.close()


def send(net: Lab, mark: int, message: bytes) -> None:
    with net.client.udp(L2TP_PORT) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        sock.sendto(message, (GATEWAY, L2TP_PORT))


def mismatches(net: Lab) -> int:
    """Packets that came through another SA than the policy asks for."""
    with net.gateway:
        lines = Path("/proc/thread-self/net/xfrm_stat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["XfrmInTmplMismatch"])


def ends(policy: bytes) -> TunnelEnds:
    return TunnelEnds(Address(GATEWAY), Address(CLIENT), OWNER, TUNNEL, PEER_TUNNEL, policy)


def test_policy_of_the_socket_keeps_out_what_came_through_another_sa(net: Lab) -> None:
    async def scenario() -> None:
        await protect(net)
        async with side(net.gateway) as gateway:
            path = await gateway.session(ends(through_sa(REQIDS[OWNER])))
            await gateway.configure(path, INNER_GATEWAY, INNER_CLIENT)
            with net.gateway.udp(5000, INNER_GATEWAY) as server:
                packets = {
                    mark: data_message(
                        ADDRESS_AND_CONTROL
                        + bytes.fromhex("0021")
                        + ip_packet(INNER_CLIENT, INNER_GATEWAY, b"from %x" % mark, 5000)
                    )
                    for mark in (STRANGER, OWNER)
                }
                for mark, packet in packets.items():
                    send(net, mark, packet)
                assert server.recv(100) == b"from %x" % OWNER
            send(net, STRANGER, HANG_UP)
            send(net, STRANGER, SCCRQ)
            send(net, OWNER, data_message(LCP_ECHO))
            send(net, OWNER, SCCRQ)
            assert await gateway.frame() == LCP_ECHO
            assert (await gateway.datagram()).mark == OWNER
            assert mismatches(net) == 3
            assert gateway.frames.empty()
            assert gateway.datagrams.empty()
            assert path.counters().received_packets == 2
            await path.close()

    run(scenario())


def test_without_it_the_kernel_takes_data_of_anybody(net: Lab) -> None:
    """Why no session is in the kernel without such a policy, and none of a shared flow with it."""

    async def scenario() -> None:
        await protect(net)
        async with side(net.gateway) as gateway:
            path = await gateway.session(ends(b""))
            send(net, STRANGER, HANG_UP)
            assert await gateway.frame() == LCP_TERMINATE
            await path.close()

    run(scenario())
