"""An emulated client dials in, works, rekeys both phases and hangs up."""

from interop.capture import Capture
from interop.clients.model import Client
from interop.peers.emulated import EmulatedMachine
from interop.scenarios.play import Play, check_gone, check_protected, stop_gateway
from interop.stage import OFFICE_NETWORK, Stage


def run(play: Play, client: Client) -> None:
    """Play one client of `interop.clients`, and tell what is not known of it."""
    with play.stage() as stage:
        stage.lab.note(f"the gateway serves on {stage.settings.address}")
        for name, fact in client.unknown().items():
            stage.lab.note(f"unknown of {client.title}: {name}, {fact.because}")
        capture = Capture(stage.lab["internet"], "east0")
        machine = stage.emulated(client)
        dial_in(stage, machine)
        rekey(stage, machine)
        machine.hang_up()
        stage.lab.note(f"{client.title} has hung up")
        for complaint in machine.remarks:
            stage.lab.note(f"remark: {complaint}")
        if client.ike.profile.goodbye.isakmp:
            check_gone(stage)
        check_protected(stage, capture)
        stop_gateway(stage)


def dial_in(stage: Stage, machine: EmulatedMachine) -> None:
    """Dial in, and move checked data both ways."""
    link = machine.dial_in()
    stage.lab.note(f"{machine.client.title} is up: {link.address}, name servers {link.dns}")
    machine.route_to(OFFICE_NETWORK, link)
    stage.check_traffic(machine, link.address)


def rekey(stage: Stage, machine: EmulatedMachine) -> None:
    """Replace what this client replaces."""
    machine.rekey_esp()
    stage.lab.note("the ESP SAs are replaced")
    if machine.client.conduct.profile.phase1_rekey is not None:
        machine.rekey_ike()
        stage.lab.note("the ISAKMP SA is replaced")
