"""Debian's charon, xl2tpd and pppd glued into a gateway: what ours is compared with."""

from interop.netns import Host
from interop.peers.strongswan import Connection, StrongSwan
from interop.peers.xl2tpd import Xl2tpdServer
from interop.process import STOP_LIMIT
from interop.settings import GatewaySettings
from interop.wait import until


class ReferenceGateway:
    """The three programs as one server on ``host``."""

    def __init__(self, host: Host, settings: GatewaySettings) -> None:
        self.host = host
        self.settings = settings

    def start(self) -> None:
        """Start all three and wait until they serve. Raises `StillWaitingError`."""
        settings = self.settings
        self.ipsec = StrongSwan(self.host)
        self.l2tp = Xl2tpdServer(
            self.host, settings.local, "-".join(settings.pool), settings.dns, settings.users
        )
        connection = Connection(
            local_address=settings.address,
            remote_address="%any",
            psk=settings.psk,
            ike_proposals="aes256-sha256-modp2048,aes256-sha1-modp1024,3des-sha1-modp1024",
            esp_proposals="aes256-sha1,aes128-sha1,3des-sha1",
            remote_ts="dynamic[udp]",
        )
        self.ipsec.load(connection)
        self.l2tp.wait_until_ready()

    def stop(self) -> None:
        """End it in order: what is up is taken down properly."""
        self.l2tp.process.stop()
        until(lambda: not self.l2tp.links(), "pppd to end", STOP_LIMIT)
        self.ipsec.process.stop()
