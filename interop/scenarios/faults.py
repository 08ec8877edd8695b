"""A roadwarrior on a bad network."""

from interop.scenarios.play import Play, check_gone, dial_in, stop_gateway


def run_lossy(play: Play) -> None:
    """Dial in while every IKE message is lost once, in both directions."""
    _run(play, "lose-first-ike")


def run_doubled(play: Play) -> None:
    """Dial in while every packet arrives twice, in both directions."""
    _run(play, "double")


def _run(play: Play, fault: str) -> None:
    with play.stage(fault) as stage:
        stage.lab.note(f"the gateway serves on {stage.settings.address}, behind {fault}")
        client = stage.client(ike=play.ike, esp=play.esp, retransmit_timeout=1.0)
        link = dial_in(stage, client)
        stage.check_traffic(client, link.address)
        client.hang_up()
        stage.lab.note("the client has hung up")
        # IKEv1 does not confirm a Delete: one that is lost is never repeated.
        if fault != "lose-first-ike":
            check_gone(stage)
        stop_gateway(stage)
