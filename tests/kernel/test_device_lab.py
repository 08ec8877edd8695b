"""`ikectl lab` with an emulated iPhone for a real one, and its transcript played again."""

import re
import signal
import sys
from pathlib import Path
from urllib.request import urlopen

from interop.clients import CLIENTS
from interop.emulation.complaints import Step
from interop.lab import Lab
from interop.peers.emulated import EmulatedMachine
from interop.replay.deeds import Deed, deeds
from interop.replay.lab import choose, replay
from interop.replay.steps import ORDER, passed
from interop.replay.transcript import parse
from interop.topology import GATEWAY_ADDRESS, client_nat

DIRECTORY = "/run/lab"
START_LIMIT = 60.0
"""Seconds: Python and its imports twice, in the embedded kernel."""


def test_a_device_is_told_of_recorded_and_played_again(artefacts: Path) -> None:
    with Lab(client_nat(), artefacts / "recorded") as lab:
        gateway = lab["gateway"]
        command = (sys.executable, "-m", "cli.ikectl", "lab", "--directory", DIRECTORY)
        ikectl = gateway.start("lab", *command, "--listen", GATEWAY_ADDRESS)
        ikectl.wait_for_text("Now connect the device", START_LIMIT)
        fields = dict(re.findall(r"^  (account|password|secret) +(\S+)$", ikectl.text(), re.M))
        machine = EmulatedMachine(
            lab["client"],
            CLIENTS["iphone"],
            GATEWAY_ADDRESS,
            psk=fields["secret"],
            user=fields["account"],
            password=fields["password"],
        )
        lab.stack.callback(machine.stop)
        (url,) = (line for line in ikectl.text().splitlines() if line.startswith("http://"))
        with lab["client"].entered(), urlopen(url) as answer:
            assert fields["account"].encode() in answer.read()
        ikectl.wait_for_text("the profile was given to", 10.0)
        machine.dial_in()
        ikectl.wait_for_text("== ESP of the device comes", 30.0)
        machine.rekey_esp()
        machine.are_you_there()
        machine.rekey_ike()
        machine.hang_up()
        ikectl.wait_for_text("== gone", 30.0)
        assert ikectl.stop(signal.SIGINT) == 0

        said = ikectl.text()
        transcript = gateway.path(f"{DIRECTORY}/transcript.jsonl").read_text()
    for words in (
        "Main Mode message 5, who the device is, on UDP port 4500",
        "== IKE SA up: aes256-sha256-modp2048, NAT before: client, apple",
        "== ESP SAs up: aes256-sha256, in UDP",
        "== connected, by mschapv2",
        "it was connected",
    ):
        assert words in said
    assert "!!" not in said
    for secret in (fields["secret"], fields["password"]):
        assert secret not in transcript

    recorded = choose(parse(transcript.splitlines()))
    assert passed(recorded) == list(ORDER)
    assert recorded.of("ppp", code="TERMINATE_REQUEST")  # which came through the kernel's session
    done = [Step.REKEY_PHASE_2, Step.ARE_YOU_THERE, Step.REKEY_PHASE_1, Step.HANG_UP]
    assert deeds(recorded) == tuple(Deed(step, done=True) for step in done)
    verdict = replay(recorded, artefacts / "replayed")
    assert verdict.same, str(verdict)
    # The lab's gateway here has name servers to give, that of `ikectl lab` has none.
    assert [answer.partition(":")[0] for answer in verdict.answers] == ["IPCP"]
