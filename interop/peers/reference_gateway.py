"""Debian's charon, xl2tpd and pppd glued into a gateway: what ours is compared with."""

from interop.netns import Host
from interop.peers.strongswan import Connection, StrongSwan
from interop.peers.xl2tpd import Xl2tpdServer
from interop.settings import GatewaySettings
from interop.topology import GATEWAY_ADDRESS


class ReferenceGateway:
    """The three programs as one server on ``host``."""

    def __init__(self, host: Host, settings: GatewaySettings) -> None:
        self.host = host
        self.ipsec = StrongSwan(host)
        self.l2tp = Xl2tpdServer(
            host, settings.local, "-".join(settings.pool), settings.dns, settings.users
        )
        connection = Connection(
            local_address=GATEWAY_ADDRESS,
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
        self.ipsec.process.stop()
