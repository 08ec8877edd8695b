"""ESP that is for no SA of ours is reported, and nothing else wakes the listener up."""

import asyncio
import random
import socket
import struct
from collections.abc import Iterator

import pytest

from ikev1.core.spi import MULTIPLIER, SHIFT, SpiSpace
from tests.support.namespaces import CLIENT, GATEWAY, TIMEOUT, Lab, lab
from xfrm.esp_tap import AT_ONCE, EspTap, StrayEsp

PORT = 61000
REST = bytes(60)
OURS, EARLIER = (SpiSpace(random.Random(seed).randbytes) for seed in (1, 2))


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


def esp(space: SpiSpace) -> bytes:
    return struct.pack("!I", space.draw(lambda _: False)) + REST


def test_only_esp_without_the_stamp_is_reported(net: Lab) -> None:
    async def scenario() -> None:
        reports: asyncio.Queue[StrayEsp] = asyncio.Queue()
        tap = EspTap(reports.put_nowait)
        with net.gateway:
            tap.open(MULTIPLIER, SHIFT, OURS.stamp)
        with net.client:
            bare = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ESP)
        with bare, net.client.udp(PORT) as udp:
            for _ in range(3):
                bare.sendto(esp(OURS), (GATEWAY, 0))
                for octets, port in (
                    (esp(OURS), 4500),
                    (bytes(4) + REST, 4500),  # IKE
                    (b"\xff", 4500),
                    (b"", 4500),
                    (esp(EARLIER), 4501),
                ):
                    udp.sendto(octets, (GATEWAY, port))
            first, second = esp(EARLIER), esp(EARLIER)
            udp.sendto(first, (GATEWAY, 4500))
            bare.sendto(second, (GATEWAY, 0))
            for octets, source_port, port in ((first, PORT, 4500), (second, 0, 0)):
                report = await asyncio.wait_for(reports.get(), TIMEOUT)
                spi = int.from_bytes(octets[:4])
                assert report == StrayEsp(spi, CLIENT, GATEWAY, source_port, port, len(octets))
            assert reports.empty()
        tap.close()

    asyncio.run(scenario())


def test_a_flood_is_read_slowly(net: Lab) -> None:
    async def scenario() -> None:
        reports: asyncio.Queue[StrayEsp] = asyncio.Queue()
        tap = EspTap(reports.put_nowait)
        with net.gateway:
            tap.open(MULTIPLIER, SHIFT, OURS.stamp)
        with net.client.udp(PORT) as udp:
            for _ in range(20 * AT_ONCE):
                udp.sendto(esp(EARLIER), (GATEWAY, 4500))
        await asyncio.wait_for(reports.get(), TIMEOUT)
        # All had been sent before, and one turn of the loop takes no more than this.
        assert reports.qsize() < AT_ONCE
        tap.close()

    asyncio.run(scenario())
