"""The local addresses that the gateway serves."""

from __future__ import annotations

import socket

from pyroute2.iproute.linux import AsyncIPRoute

from cli.ikev1d.config import Gateway


class AddressError(Exception):
    """A configured interface is not there, or has no address."""


async def local_addresses(gateway: Gateway) -> list[str]:
    """The addresses that are configured, or those of the configured interfaces; none for all.

    Raises AddressError.
    """
    if not gateway.interfaces:
        return [str(address) for address in gateway.listen]
    found: list[str] = []
    async with AsyncIPRoute() as routes:
        for name in gateway.interfaces:
            try:
                index = socket.if_nametoindex(name)
            except OSError:
                raise AddressError(f"there is no interface {name}") from None
            addresses = [
                entry.get_attr("IFA_LOCAL")
                async for entry in await routes.addr("dump", index=index, family=socket.AF_INET)
            ]
            if not addresses:
                raise AddressError(f"interface {name} has no IPv4 address")
            found += addresses
    return found
