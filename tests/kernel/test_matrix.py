"""The part of the matrix that fits into every run: one client, through all of its life."""

from dataclasses import replace
from pathlib import Path

from interop.clients import CLIENTS
from interop.clients.facts import Known
from interop.matrix.clients import ROWS, MatrixClient, Row, emulated
from interop.matrix.life import IMPATIENT
from interop.matrix.play import play, play_position
from interop.matrix.positions import POSITIONS
from interop.matrix.record import Record
from interop.matrix.results import Step, Verdict
from interop.stage import Stage

# Rekeying has its own tests, in test_gateway_crowd.py.
STEPS = (Step.CONNECT, Step.IDLE, Step.HANG_UP, Step.COME_BACK, Step.VANISH)


def test_two_clients_behind_one_nat_live_their_lives(artefacts: Path) -> None:
    cells = [(ROWS["strongswan"], "psk")]
    record = Record(artefacts)
    results = play_position(POSITIONS["two-clients"], cells, record, artefacts / "lab", {}, STEPS)
    assert [(result.step, result.verdict, result.detail) for result in results] == [
        (step, Verdict.PASSED, "") for step in STEPS
    ]
    evidence = artefacts / results[0].cell.folder
    assert {"gateway-ikev1d.log", "client-charon.log", "client2-pppd.log", "internet.pcap"} <= {
        file.name for file in evidence.iterdir()
    }


def test_another_key_is_red_a_group_name_is_refused_the_next_is_green(artefacts: Path) -> None:
    right = ROWS["strongswan"]

    def with_another_key(stage: Stage, machine: str, user: str, auth: str) -> MatrixClient:
        assert auth == "psk"
        return stage.client(machine, user=user, psk="not the gateway's", retransmit_tries=1)

    wrong = Row("wrong-key", "", right.auths, with_another_key)
    steps = (Step.CONNECT, Step.TRAFFIC, Step.HANG_UP)
    refused = ROWS["iphone-group-name-emulated"]
    cells = [(wrong, "psk"), (refused, "psk"), (right, "psk")]
    record = Record(artefacts)
    results = play_position(POSITIONS["no-nat"], cells, record, artefacts / "lab", {}, steps)
    assert record.failed(results[0].cell)
    first, *rest = results[: len(steps)]
    assert (first.step, first.verdict) == (Step.CONNECT, Verdict.FAILED)
    assert "establishing IKE_SA failed" in first.detail
    assert {result.verdict for result in rest} == {Verdict.NOT_REACHED}
    by_design = results[len(steps) : 2 * len(steps)]
    assert {result.verdict for result in by_design} == {Verdict.REFUSED}
    assert {result.verdict for result in results[2 * len(steps) :]} == {Verdict.PASSED}
    log = (artefacts / first.cell.folder / "gateway-ikev1d.log").read_text()
    assert "the client was given another one" in log
    answer = (artefacts / by_design[0].cell.folder / "client-answer.log").read_text()
    assert "the client (Apple) has a group name set, keyid:employees" in answer
    assert "leave the group name (iPhone, Mac) empty" in answer


BROKEN_GATEWAY = Path(__file__).parents[1] / "support" / "broken_gateway.py"
BROKEN = {
    "wrong-nat-oa": (Step.CONNECT, "qm2-nat-oa"),
    "wrong-encapsulation": (Step.CONNECT, "qm2-encapsulation-mode"),
    "swapped-keys": (Step.CONNECT, "silence"),
    "lost-initial-contact": (Step.COME_BACK, "the sessions of before to have given way"),
}
"""What is broken of `BROKEN_GATEWAY`, the step that is red for it, and why."""


def test_a_broken_gateway_turns_the_right_steps_red(artefacts: Path) -> None:
    phone = CLIENTS["iphone"]
    phone = replace(phone, conduct=phone.conduct.but(server_wait=Known(3.0, "a test")))
    row, position = emulated(phone), POSITIONS["client-nat"]
    steps = (Step.CONNECT, Step.HANG_UP, Step.COME_BACK)
    found = {}
    with Stage(position.topology(), artefacts / "lab", extra=IMPATIENT) as stage:
        sound = stage.ikev1d.program
        for fault in BROKEN:
            stage.ikev1d.stop()
            stage.ikev1d.program = (str(BROKEN_GATEWAY), fault)
            stage.ikev1d.start()
            folder = artefacts / fault
            folder.mkdir()
            found[fault] = play(stage, position, row, "psk", folder, steps)
        stage.ikev1d.stop()
        stage.ikev1d.program = sound
        stage.ikev1d.start()
        folder = artefacts / "sound"
        folder.mkdir()
        last = play(stage, position, row, "psk", folder, steps)
    for fault, (step, why) in BROKEN.items():
        (red,) = [result for result in found[fault] if result.verdict is Verdict.FAILED]
        assert red.step is step, fault
        assert why in red.detail, fault
    assert {result.verdict for result in last} == {Verdict.PASSED}
