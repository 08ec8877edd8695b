"""What a run of the matrix has found: values, and their form as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

FORMAT = 1
"""Version of the file for programs; fields are only ever added to it."""


class Step(StrEnum):
    """The life of a client, in order: each step begins where the one before it ended."""

    CONNECT = "connect"
    TRAFFIC = "traffic"
    REKEY_ESP = "rekey-esp"
    REKEY_IKE = "rekey-ike"
    IDLE = "idle"
    HANG_UP = "hang-up"
    COME_BACK = "come-back"
    VANISH = "vanish"

    @property
    def heading(self) -> str:
        """What it says at the head of its column."""
        return _HEADINGS[self]


_HEADINGS: Mapping[Step, str] = {
    Step.CONNECT: "connect",
    Step.TRAFFIC: "traffic both ways",
    Step.REKEY_ESP: "Quick Mode rekey",
    Step.REKEY_IKE: "Main Mode rekey",
    Step.IDLE: "idle, asked, still there",
    Step.HANG_UP: "hang up",
    Step.COME_BACK: "come back",
    Step.VANISH: "vanish, found dead",
}


class Verdict(StrEnum):
    """What came of a step."""

    PASSED = "passed"
    FAILED = "failed"
    UNABLE = "unable"
    """The client cannot do this; the detail says why."""
    REFUSED = "refused"
    """The gateway does not serve this client, by design; the detail says why."""
    NOT_REACHED = "not reached"
    """An earlier step failed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where in the matrix: which client, how it proves who it is, and between which NATs."""

    client: str
    auth: str
    position: str

    def __str__(self) -> str:
        return f"{self.client}, {self.auth}, {self.position}"

    @property
    def name(self) -> str:
        """What command lines call it, CLIENT:AUTH:POSITION."""
        return f"{self.client}:{self.auth}:{self.position}"

    @classmethod
    def named(cls, name: str) -> "Cell":
        """The cell that `name` names. Raises ValueError."""
        client, auth, position = name.split(":")
        return cls(client, auth, position)

    @property
    def folder(self) -> str:
        """The cell's evidence, below that of the run."""
        return f"{self.position}/{self.client}-{self.auth}"


@dataclass(frozen=True, slots=True)
class Result:
    """One step of one cell. ``seconds`` is how long it took."""

    cell: Cell
    step: Step
    verdict: Verdict
    detail: str = ""
    seconds: float = 0.0

    @property
    def anchor(self) -> str:
        """Where the page tells more."""
        return f"{self.cell.folder}-{self.step}".replace("/", "-")


def unfinished(cell: Cell, steps: Iterable[Step]) -> list[Result]:
    """Results for the steps of a cell that a failure has kept from being tried."""
    return [Result(cell, step, Verdict.NOT_REACHED) for step in steps]


def to_json(results: Iterable[Result], about: Mapping[str, str]) -> str:
    """Write the file for programs: ``about`` says what was run, where and when."""
    rows = [
        {
            **asdict(result.cell),
            "step": result.step,
            "verdict": result.verdict,
            "detail": result.detail,
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    return json.dumps({"format": FORMAT, "about": dict(about), "results": rows}, indent=1) + "\n"


def from_json(text: str) -> tuple[list[Result], dict[str, str]]:
    """Read that file back. Raises ValueError for another format."""
    document: dict[str, Any] = json.loads(text)
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']}, not {FORMAT}")
    results = [
        Result(
            Cell(row["client"], row["auth"], row["position"]),
            Step(row["step"]),
            Verdict(row["verdict"]),
            row["detail"],
            row["seconds"],
        )
        for row in document["results"]
    ]
    return results, document["about"]
