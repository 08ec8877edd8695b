"""What a client found wrong with the gateway, and where: for people and for programs."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from interop.findings import Rule
from interop.initiator.checks import Cause


class Step(StrEnum):
    """What a client was about when something went wrong, in order."""

    MESSAGE_2 = "Main Mode message 2"
    MESSAGE_4 = "Main Mode message 4"
    MESSAGE_6 = "Main Mode message 6"
    AGGRESSIVE_2 = "Aggressive Mode message 2"
    QUICK_MODE = "Quick Mode message 2"
    TUNNEL = "L2TP tunnel"
    CALL = "L2TP call"
    LCP = "LCP"
    LOGIN = "login"
    IPCP = "IPCP"
    UP = "connected"
    REKEY_PHASE_2 = "rekeying of the ESP SAs"
    REKEY_PHASE_1 = "rekeying of the ISAKMP SA"
    ARE_YOU_THERE = "question for a sign of life"
    HANG_UP = "hanging up"


_IGNORED = {
    Cause.MM2_PAYLOADS: "message 2",
    Cause.MM4_PAYLOADS: "message 4",
    Cause.MM6_PAYLOADS: "message 6",
    Cause.QM2_PAYLOADS: "message 2 of Quick Mode",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One broken rule, as `client` whose `program` found it."""

    client: str
    program: str
    step: Step
    rule: Cause | Rule
    detail: str

    def __str__(self) -> str:
        if self.rule in _IGNORED:
            message = _IGNORED[Cause(self.rule)]
            return f"{self.program} ignores {message}: payload {self.detail} is not allowed"
        return f"{self.program} at {self.step}: {self.rule}: {self.detail}"

    def as_dict(self) -> dict[str, str]:
        """For programs; plain strings."""
        return {name: str(value) for name, value in asdict(self).items()}
