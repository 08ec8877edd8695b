"""A Linux roadwarrior: charon or pluto for IPsec, xl2tpd and pppd for what runs inside it."""

from signal import SIGKILL

from interop.netns import Host
from interop.peers.ipsec import IpsecInitiator
from interop.peers.strongswan import Connection
from interop.peers.xl2tpd import Link, Xl2tpdClient
from interop.process import STOP_LIMIT
from interop.wait import until


class LinuxClient:
    """One client machine that can dial in, hang up, and dial in again."""

    def __init__(
        self,
        host: Host,
        ipsec: IpsecInitiator,
        connection: Connection,
        user: str,
        password: str,
        *,
        l2tp_port: int = 1701,
    ) -> None:
        self.host = host
        self.connection = connection
        self.ipsec = ipsec
        self.l2tp = Xl2tpdClient(host, connection.remote_address, user, password, port=l2tp_port)
        self.ipsec.load(connection)

    def dial_in(self) -> Link:
        """Bring up IPsec, then L2TP and PPP.

        Raises `CommandError` (IPsec), `CallEndedError` (PPP), `StillWaitingError` (L2TP).
        """
        self.ipsec.initiate(self.connection.name)
        return self.l2tp.connect()

    def route_to(self, network: str, link: Link) -> None:
        """Send what goes to ``network`` through the link."""
        self.host.run("ip", "route", "replace", network, "dev", link.interface)

    def rekey_esp(self) -> None:
        """Replace the ESP SAs by a new Quick Mode."""
        self.ipsec.rekey_child(self.connection.name)

    def rekey_ike(self) -> None:
        """Replace the IKE SA by a new Main Mode."""
        self.ipsec.rekey_ike(self.connection.name)

    def hang_up(self) -> None:
        """End PPP and L2TP, then IPsec, telling the gateway."""
        self.l2tp.disconnect()
        self.ipsec.terminate(self.connection.name)

    def crash(self) -> None:
        """Lose everything at once, as in a power cut: nobody is told, and the kernel forgets."""
        self.ipsec.process.stop(SIGKILL)
        self.l2tp.crash()
        for kind in ("state", "policy"):
            self.host.run("ip", "xfrm", kind, "flush")

    def stop(self) -> None:
        """End its programs; what was up is taken down. The machine is free for another client."""
        self.l2tp.process.stop()
        until(lambda: not self.l2tp.pppd_running(), "pppd to end", STOP_LIMIT)
        self.ipsec.process.stop()
