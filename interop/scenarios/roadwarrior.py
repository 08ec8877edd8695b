"""A roadwarrior dials in, works, and hangs up."""

import signal
from contextlib import suppress

from interop.capture import Capture
from interop.gateway import Ikev1d
from interop.scenarios.play import Play, check_gone, check_protected, dial_in, stop_gateway
from interop.stage import Stage


def run(play: Play) -> None:
    """Dial in, reach the office, hang up; nothing is left."""
    with play.stage() as stage:
        stage.lab.note(f"the gateway serves on {stage.settings.address}")
        capture = Capture(stage.lab["internet"], "east0")
        client = stage.client(ike=play.ike, esp=play.esp)
        stage.lab.note("the client's programs are running")
        link = dial_in(stage, client)
        stage.check_traffic(client, link.address)
        if isinstance(stage.gateway, Ikev1d):
            print(f"\n{stage.gateway.ikectl('status')}", flush=True)
        if play.interactive:
            _keep_serving(stage)
        client.hang_up()
        stage.lab.note("the client has hung up")
        check_gone(stage)
        check_protected(stage, capture)
        stop_gateway(stage)


def _keep_serving(stage: Stage) -> None:
    stage.lab.note("serving; Ctrl-C ends it")
    with suppress(KeyboardInterrupt):
        signal.pause()
