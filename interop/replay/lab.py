"""Plays a recorded device against the gateway of this tree, over real sockets and the kernel."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ikev1.wire.enums import AuthMethod
from interop.certificates import SERVER_AUTH, Authority, Identity, pem
from interop.emulation.complaints import Complaint, Step
from interop.peers.emulated import ClientStoppedError, EmulatedMachine
from interop.replay.deeds import Deed, deeds
from interop.replay.device import Device, rebuild
from interop.replay.steps import ORDER, passed
from interop.replay.transcript import Attempt, parse
from interop.replay.verdict import Verdict, compare
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS, Topology, both_nat, client_nat, no_nat, server_nat
from interop.wait import StillWaitingError, until

_TOPOLOGIES: Mapping[str, Topology] = {
    "none": no_nat(),
    "client": client_nat(),
    "server": server_nat(),
    "both": both_nat(),
}
"""By what Main Mode found of NATs."""
_KEYS = {
    AuthMethod.RSA_SIGNATURE: "rsa2048",
    AuthMethod.ECDSA_256: "p256",
    AuthMethod.ECDSA_384: "p384",
    AuthMethod.ECDSA_521: "p521",
}
_SECTION = 'certificate = "gateway.pem"\nkey = "gateway.key"\nca = ["ca.pem"]'
END_LIMIT = 10.0
"""Seconds for what the device does to reach the gateway, and be answered."""


def choose(attempts: list[Attempt]) -> Attempt:
    """The attempt that came the furthest; the last one of several."""
    return max(reversed(attempts), key=lambda attempt: len(passed(attempt)))


def topology_of(attempt: Attempt) -> Topology:
    """The network with NATs where the recorded one had them; one before the client if unknown."""
    up = attempt.first("told", what="IkeSaUp")
    return _TOPOLOGIES.get(up["nat"], client_nat()) if up is not None else client_nat()


def replay(attempt: Attempt, directory: Path) -> Verdict:
    """Play the device of an attempt, and compare. Raises TranscriptError, LabError."""
    device = rebuild(attempt)
    kind = _KEYS.get(device.method)
    extra, files, certificate = _certificates(kind) if kind else ({}, {}, None)
    topology = topology_of(attempt)
    with Stage(topology, directory, extra=extra, files=files, trace=True) as stage:
        _introduce(stage, device)
        machine = stage.emulated(device.client, certificate=certificate)
        complaints = _live(stage, machine, deeds(attempt))
        today = _today(stage)
    verdict = compare(attempt, today, complaints)
    stage.lab.note(f"recorded: {_reached(attempt)}")
    return verdict


def _certificates(kind: str) -> tuple[dict[str, str], dict[str, str | bytes], Identity]:
    """The gateway's configuration and files, and the certificate of the device."""
    root = Authority(kind=kind)
    own = root.issue("gateway", kind=kind, number=1, names=[GATEWAY_ADDRESS], usages=[SERVER_AUTH])
    files: dict[str, str | bytes] = {
        "/run/gateway.pem": own.chain_pem(),
        "/run/gateway.key": own.key_pem(),
        "/run/ca.pem": pem(root.certificate),
    }
    return {"[certificate]": _SECTION}, files, root.issue("device", kind=kind, number=2)


def _live(stage: Stage, machine: EmulatedMachine, recorded: Sequence[Deed]) -> list[Complaint]:
    """Dial in, and do what the recorded device did; what the client has found wrong."""
    do = {
        Step.REKEY_PHASE_1: machine.rekey_ike,
        Step.REKEY_PHASE_2: machine.rekey_esp,
        Step.ARE_YOU_THERE: machine.are_you_there,
        Step.HANG_UP: machine.hang_up,
    }
    try:
        machine.dial_in()
        for number, deed in enumerate(recorded):
            stage.lab.note(f"{deed.step}, {'done' if deed.done else 'not done'} when recorded")
            with suppress(StillWaitingError):
                do[deed.step]()
                until(partial(_has_answered, stage, deed.step, number), str(deed.step), END_LIMIT)
    except ClientStoppedError as stopped:
        return [stopped.complaint]
    return machine.remarks


def _has_answered(stage: Stage, step: Step, before: int) -> bool:
    """Whether the gateway has seen a deed to its end, the last of some."""
    today = _today(stage)
    done = [deed for deed in deeds(today)[before:] if deed.step == step] if today else []
    return any(deed.done for deed in done)


def _today(stage: Stage) -> Attempt | None:
    attempts = parse(stage.ikev1d.trace().splitlines())
    return choose(attempts) if attempts else None


def _introduce(stage: Stage, device: Device) -> None:
    stage.lab.note(f"playing {device.client.title}")
    told_by_nobody = device.relative.unknown()
    taken = [
        name
        for name in device.client.unknown()
        if name not in told_by_nobody and not name.startswith("conduct.")
    ]
    stage.lab.note(f"as {device.relative.title}, for the transcript does not tell it: conduct")
    stage.lab.note(f"  and {', '.join(taken)}")
    for note in device.notes:
        stage.lab.note(note)


def _reached(attempt: Attempt) -> str:
    steps = passed(attempt)
    if len(steps) == len(ORDER):
        return "connected"
    return f"stopped at {ORDER[len(steps)]}"
