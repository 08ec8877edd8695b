"""What the clients of the field are like, as data: one module for each family.

By name `CLIENTS` has all that a gateway can serve, `REFUSED` those whose way it refuses. The
engines that play them are `interop.emulation` and, for IKE alone, `interop.initiator`.
"""

from interop.clients import aggressive, android, apple, dialers, linux, windows
from interop.clients.model import Client

CLIENTS: dict[str, Client] = {
    client.name: client
    for family in (apple, windows, android, linux, dialers)
    for client in family.CLIENTS
}
REFUSED: dict[str, Client] = {client.name: client for client in aggressive.CLIENTS}
