"""Network interfaces and proxy ARP, over NETLINK_ROUTE."""

import errno
import socket
from contextlib import suppress
from dataclasses import dataclass

from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nlsocket import NetlinkRequest
from pyroute2.netlink.rtnl import RTM_GETNEIGH
from pyroute2.netlink.rtnl.ndmsg import NTF_PROXY, ndmsg

from l2tp.datapath import LinkSettings
from l2tp.datapath.errors import DataPathError

PROXY_ARP_PROTOCOL = 0x4C
"""rtm_protocol of our proxy ARP entries, "L": tells them from others after a crash."""

_HOST_PREFIX = 32


@dataclass(frozen=True, slots=True)
class ProxyArp:
    """An address for which ARP requests are answered on an interface."""

    interface_index: int
    address: str

    @property
    def interface(self) -> str:
        """The interface's name; "" where it has gone."""
        try:
            return socket.if_indextoname(self.interface_index)
        except OSError:
            return ""


class Interfaces:
    """Sets up the interfaces of PPP units."""

    def __init__(self) -> None:
        self._routes = AsyncIPRoute()

    async def open(self) -> None:
        """Open the socket."""
        await self._routes.setup_endpoint()

    def close(self) -> None:
        """Close the socket."""
        self._routes.close()

    async def configure(self, interface: str, settings: LinkSettings) -> None:
        """Give an interface its addresses and MTU, and bring it up. Raises DataPathError."""
        try:
            index = _index(interface)
            await self._routes.addr(
                "add",
                index=index,
                local=settings.local_address,
                address=settings.peer_address,
                prefixlen=_HOST_PREFIX,
            )
            await self._routes.link("set", index=index, mtu=settings.mtu, state="up")
        except NetlinkError as error:
            raise DataPathError(error.code, "configure", interface) from error

    async def start_proxy_arp(self, interface: str, address: str) -> ProxyArp:
        """Answer ARP requests for the address that come in on the interface.

        Raises DataPathError.
        """
        proxy = ProxyArp(_index(interface), address)
        try:
            await self._routes.neigh(
                "add",
                ifindex=proxy.interface_index,
                dst=address,
                flags=NTF_PROXY,
                protocol=PROXY_ARP_PROTOCOL,
            )
        except NetlinkError as error:
            raise DataPathError(error.code, "proxy ARP", interface) from error
        return proxy

    async def stop_proxy_arp(self, proxy: ProxyArp) -> None:
        """Answer no longer. That the interface has gone meanwhile is no error."""
        with suppress(NetlinkError):
            await self._routes.neigh(
                "del", ifindex=proxy.interface_index, dst=proxy.address, flags=NTF_PROXY
            )

    async def list_proxy_arp(self) -> list[ProxyArp]:
        """The proxy ARP entries of this gateway, or an earlier run of it."""
        question = ndmsg()
        question.update(family=socket.AF_INET, flags=NTF_PROXY)
        request = NetlinkRequest(
            self._routes,
            question,
            msg_type=RTM_GETNEIGH,
            msg_flags=NLM_F_REQUEST | NLM_F_DUMP,
        )
        await request.send()
        return [
            ProxyArp(entry["ifindex"], entry.get_attr("NDA_DST"))
            async for entry in request.response()
            if entry.get_attr("NDA_PROTOCOL") == PROXY_ARP_PROTOCOL
        ]

    async def purge_proxy_arp(self) -> int:
        """Remove the proxy ARP entries of an earlier run that was killed; say how many."""
        stale = await self.list_proxy_arp()
        for proxy in stale:
            await self.stop_proxy_arp(proxy)
        return len(stale)


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise DataPathError(errno.ENODEV, "find interface", interface) from error
