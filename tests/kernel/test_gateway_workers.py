"""A gateway of several processes is one gateway: for its clients, its operator and its kernel."""

import os
import signal
from pathlib import Path

from interop.scenarios.play import check_gone, dial_in, stop_gateway
from interop.settings import GatewaySettings
from interop.stage import Stage
from interop.topology import two_nats
from interop.wait import until
from xfrm.steering import home

LIMIT = 30.0
COUNT = 3
HOMES = ("100.64.0.2", "100.64.1.2")
"""Where the two clients come from, with the same private address and port behind each."""
HER_OWN = "her own key"
EXTRA = {
    "gateway": f"workers = {COUNT}",
    "ppp": 'proxy_arp = "lan0"',
    "[psk]": f'secret = "{HER_OWN}"\none_client = true',
}
VERIFIED = ("ownership", "daemon", "ports")
SETTINGS = GatewaySettings(users={"alice": "wonderland", "bob": "builder"})


def workers(stage: Stage) -> list[int]:
    """Their process IDs, in their order."""
    supervisor = str(stage.ikev1d.process.pid)
    stats = [file.read_text() for file in Path("/proc").glob("[0-9]*/stat")]
    children = (stat for stat in stats if stat.rpartition(")")[2].split()[1] == supervisor)
    return sorted(int(stat.split()[0]) for stat in children)


def test_clients_of_two_workers(artefacts: Path) -> None:
    """Each address has its worker; who comes back to the other one replaces the older session."""
    first, second = (home(address, COUNT) for address in HOMES)
    assert first != second
    with Stage(two_nats(stacked=False), artefacts, settings=SETTINGS, extra=EXTRA) as stage:
        alice, bob = stage.client(psk=HER_OWN), stage.client("client2", user="bob")
        links = {client: dial_in(stage, client) for client in (alice, bob)}
        status = stage.ikev1d.clients()
        assert [one["user"] for one in status] == ["alice", "bob"]
        assert [one["peer_address"] for one in status] == list(HOMES)
        assert {one["data_path"] for one in status} == {"kernel"}
        for client, link in links.items():
            stage.check_traffic(client, link.address)
        assert not [check for check in stage.ikev1d.verify() if check.startswith(VERIFIED)]
        assert "ikev1d_clients 2\n" in stage.ikev1d.ikectl("metrics")
        bob.crash()
        stage.ikev1d.ikectl("down", "--user", "bob")
        until(lambda: len(stage.ikev1d.clients()) == 1, "bob to be gone", LIMIT)

        # Her key at the other worker: in its place, with another address of the same pool.
        hers = stage.client("client2", psk=HER_OWN)
        link = dial_in(stage, hers)
        stage.ikev1d.wait_for_log(f"replaced: the client has connected again from {HOMES[1]}")
        until(lambda: len(stage.ikev1d.clients()) == 1, "her older session to go", LIMIT)
        (one,) = stage.ikev1d.clients()
        assert (one["user"], one["inner_address"]) == ("alice", link.address)
        stage.check_traffic(hers, link.address)

        # A worker that dies takes all along, and the next run tells its clients.
        stage.ikev1d.reload()
        stage.ikev1d.wait_for_log("configuration reloaded")
        os.kill(workers(stage)[second], signal.SIGKILL)
        until(lambda: not stage.ikev1d.process.running, "the gateway to end", LIMIT)
        assert f"worker {second} has ended with status -9" in stage.ikev1d.log()
        stage.ikev1d.start()
        stage.ikev1d.wait_for_log("told clients of an earlier run that it is over")
        until(lambda: "ESTABLISHED" not in hers.ipsec.sas(), "her to be told", LIMIT)
        hers.crash()
        hers = stage.client("client2")
        stage.check_traffic(hers, dial_in(stage, hers).address)
        hers.hang_up()
        check_gone(stage)
        stop_gateway(stage)
        assert " ERROR " not in stage.ikev1d.log()
