"""The gateway crashes while a roadwarrior is connected, and comes back."""

from interop.scenarios.play import Play, check_gone, dial_in, stop_gateway


def run(play: Play) -> None:
    """Kill the gateway, start it again, dial in again."""
    with play.stage() as stage:
        client = stage.client(ike=play.ike, esp=play.esp)
        dial_in(stage, client)
        stage.ikev1d.kill()
        stage.lab.note("the gateway has been killed")
        stage.ikev1d.start()
        stage.lab.note("the gateway is back")
        check_gone(stage)
        client.hang_up()
        link = dial_in(stage, client)
        stage.check_traffic(client, link.address)
        client.hang_up()
        check_gone(stage)
        stop_gateway(stage)
