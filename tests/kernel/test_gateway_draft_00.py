"""NAT-T draft -00: IKE stays on port 500, and ESP comes there too, behind a non-IKE marker.

Linux had that until 6.9, and so has the lab's kernel. No client is known to speak this draft alone;
here one is made to.
"""

from dataclasses import replace
from pathlib import Path

from interop.capture import Capture
from interop.clients import CLIENTS
from interop.clients.facts import Known
from interop.clients.sources import AR
from interop.initiator.profiles import DPD, DRAFT_00
from interop.scenarios.emulated import dial_in
from interop.scenarios.play import check_gone, stop_gateway
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS, client_nat

ANDROID = CLIENTS["android"]
ALONE = Known((DRAFT_00, DPD), AR)
"""Android's vendor IDs, less the newer variants of NAT traversal."""
MARKER = bytes(8)


def test_a_call_behind_a_nat(artefacts: Path) -> None:
    with Stage(client_nat(), artefacts) as stage:
        capture = Capture(stage.lab["internet"], "east0")
        machine = stage.emulated(replace(ANDROID, ike=ANDROID.ike.but(vendor_ids=ALONE)))
        dial_in(stage, machine)
        (status,) = stage.ikev1d.clients()
        assert (status["state"], status["nat"]) == ("up", "client")
        machine.rekey_esp()
        machine.hang_up()
        check_gone(stage)
        packets = [packet for packet in capture.packets() if packet.protocol == 17]
        assert not [p for p in packets if 4500 in (p.source_port, p.destination_port)]
        marked = [packet for packet in packets if packet.payload.startswith(MARKER)]
        from_gateway = [packet for packet in marked if packet.source == GATEWAY_ADDRESS]
        # The check transfers are some 800 packets each way.
        assert len(from_gateway) > 500
        assert len(marked) - len(from_gateway) > 500
        stop_gateway(stage)
