"""A real client whose layers are killed one at a time: what goes down, in which order, and why."""

import re
from pathlib import Path
from signal import SIGKILL

from interop.peers.linux_client import LinuxClient
from interop.peers.xl2tpd import LINK_DIRECTORY
from interop.scenarios.play import check_gone, dial_in, stop_gateway
from interop.stage import OFFICE_NETWORK, Stage
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, client_nat, no_nat
from interop.traffic import ping
from interop.wait import until

ECHO_INTERVAL, ECHO_FAILURES = 3, 3
DPD_DELAY, DPD_TIMEOUT = 4, 12
PATIENCE = ECHO_INTERVAL * (ECHO_FAILURES + 1) + 20.0
"""Seconds until a dead client is gone, with what the embedded kernel needs for it on a busy day."""

_END = re.compile(
    r"client=\S+ (user disconnected|L2TP tunnel down|ESP SAs down|IKE SA down|client gone) "
    r'.*?cause=("[^"]*"|\S+)'
)


def ends(stage: Stage) -> list[tuple[str, str]]:
    """What the log says has ended, and why, in order."""
    return [(what, cause.strip('"')) for what, cause in _END.findall(stage.ikev1d.log())]


def kill(client: LinuxClient, name: str) -> None:
    """Kill the client's programs of this name, which say no goodbye and tidy nothing up."""
    pids = [pid for pid, program in client.host.processes().items() if program == name]
    assert pids, client.host.processes()
    client.host.run("kill", f"-{SIGKILL:d}", *map(str, pids))
    if name == "pppd":
        for link in client.l2tp.links():
            client.host.path(f"{LINK_DIRECTORY}/{link.interface}").unlink()


def age(stage: Stage) -> int:
    """Seconds since the one client came."""
    (status,) = stage.ikev1d.clients()
    assert status["state"] == "up"
    return int(status["age"])


def go_on(client: LinuxClient) -> None:
    """Go on in a tunnel that has ended, under new SAs, and be told."""
    seen = len(client.l2tp.process.text())
    client.ipsec.initiate()
    assert not ping(client.host, OFFICE_ADDRESS)
    told = f"Connection closed to {GATEWAY_ADDRESS}, port 1701 (this tunnel has ended"
    until(lambda: told in client.l2tp.process.text()[seen:], "xl2tpd to be told", 10.0)
    until(lambda: not client.l2tp.pppd_running(), "pppd to end", PATIENCE)


def test_ppp_takes_l2tp_and_the_sas_along(artefacts: Path) -> None:
    times = f"echo_interval = {ECHO_INTERVAL}\necho_failures = {ECHO_FAILURES}"
    with Stage(client_nat(), artefacts, extra={"ppp": times}) as stage:
        client = stage.client()
        # xl2tpd sees its pppd end, and tells.
        dial_in(stage, client)
        kill(client, "pppd")
        stage.ikev1d.wait_for_log("user disconnected")
        ((what, cause),) = ends(stage)
        assert (what, cause[:13]) == ("user disconnected", "peer sent CDN")
        client.l2tp.process.stop()
        client.ipsec.terminate()
        check_gone(stage)

        # xl2tpd takes its tunnel along, and nobody is left who could tell.
        before = len(ends(stage))
        dial_in(stage, client)
        kill(client, "xl2tpd")
        until(lambda: len(ends(stage)) == before + 5, "all layers to end", PATIENCE)
        silence = "peer does not answer LCP echo"
        assert ends(stage)[before:] == [
            ("user disconnected", silence),
            ("L2TP tunnel down", silence),
            ("ESP SAs down", silence),
            ("IKE SA down", silence),
            ("client gone", silence),
        ]
        check_gone(stage)
        # charon has outlived it all, and has been told.
        until(lambda: not client.ipsec.sas(), "the client's SAs to go", PATIENCE)
        kill(client, "pppd")
        stop_gateway(stage)


def test_ike_takes_l2tp_and_ppp_along_but_not_while_packets_come(artefacts: Path) -> None:
    times = f"dpd_delay = {DPD_DELAY}\ndpd_timeout = {DPD_TIMEOUT}"
    extra = {"ike": times, "ppp": "echo_interval = 0", "l2tp": "hello_interval = 600"}
    # Without a NAT: ESP in UDP needs charon's socket.
    with Stage(no_nat(), artefacts, extra=extra) as stage:
        client = stage.client()
        dial_in(stage, client)
        kill(client, "charon")
        since = age(stage)
        # PPP runs in both kernels: the gateway's engines see none of these packets.
        until(
            lambda: ping(client.host, OFFICE_ADDRESS) and age(stage) > since + 2 * DPD_TIMEOUT,
            "packets to keep the session up",
            2 * DPD_TIMEOUT + 20.0,
        )
        assert ends(stage) == []

        client.host.run("ip", "link", "set", "wan0", "down")
        until(lambda: len(ends(stage)) == 5, "all layers to end", DPD_TIMEOUT + 20.0)
        (cause,) = {cause for _, cause in ends(stage)}
        assert cause.startswith("no sign of life for")
        assert [what for what, _ in ends(stage)] == [
            "ESP SAs down",
            "IKE SA down",
            "client gone",
            "user disconnected",
            "L2TP tunnel down",
        ]
        check_gone(stage)
        stop_gateway(stage)


def test_a_client_whose_tunnel_has_ended_is_told_to_dial_again(artefacts: Path) -> None:
    """It slept, or we crashed. Its charon makes new SAs, its xl2tpd goes on in its old tunnel."""
    times = f"echo_interval = {ECHO_INTERVAL}\necho_failures = {ECHO_FAILURES}"
    with Stage(client_nat(), artefacts, extra={"ppp": times}) as stage:
        client = stage.client()
        dial_in(stage, client)
        cable = stage.lab["nat"]
        cable.run("ip", "link", "set", "lan0", "down")
        stage.ikev1d.wait_for_log("client gone", PATIENCE)
        cable.run("ip", "link", "set", "lan0", "up")
        client.ipsec.terminate()
        go_on(client)

        # The SAs serve for the next call.
        link = client.l2tp.connect()
        client.route_to(OFFICE_NETWORK, link)
        stage.check_traffic(client, link.address)

        stage.ikev1d.kill()
        stage.ikev1d.start()
        until(lambda: not client.ipsec.sas(), "charon to hear of it", PATIENCE)
        go_on(client)
        client.ipsec.terminate()
        check_gone(stage)
        stop_gateway(stage)
