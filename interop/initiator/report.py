"""What came of many clients: counts, causes and latencies."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from interop.initiator.checks import Cause

Failure = tuple[StrEnum, str]
"""Why a client gave up: a cause to be counted by, and what it says of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One client. Times in seconds; None, and fewer, for what was not reached."""

    main_mode: float | None
    quick_modes: tuple[float, ...]
    failure: Failure | None
    findings: tuple[tuple[Cause, str], ...]
    setup: float | None = None
    """From the first message of its first attempt until it had all that it wanted."""
    attempts: tuple[Failure, ...] = ()
    """Why those before this one failed."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles, in milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Report:
    """All clients. `elapsed` and `initiator_cpu` in seconds."""

    clients: int
    main_modes: int
    quick_modes: int
    failures: dict[str, int]
    findings: dict[str, int]
    examples: dict[str, str]
    elapsed: float
    initiator_cpu: float
    main_mode: Latency | None
    quick_mode: Latency | None
    setup: Latency | None
    connected: int
    attempts: dict[str, int]
    """Failures that were not a client's last word, by cause."""

    def as_json(self) -> str:
        """One object on one line."""
        return json.dumps(asdict(self))

    def as_text(self) -> str:
        """A few lines for people."""
        rate = self.main_modes / self.elapsed if self.elapsed else 0.0
        done = f"{self.main_modes} Main Modes, {self.quick_modes} Quick Modes"
        times = f"{self.elapsed:.2f} s ({rate:.1f}/s), {self.initiator_cpu:.2f} s of CPU here"
        lines = [f"{self.clients} clients, {done} in {times}"]
        for name, latency in (("Main Mode", self.main_mode), ("Quick Mode", self.quick_mode)):
            if latency is not None:
                lines.append(
                    f"{name:10} ms: p50 {latency.p50:.2f}  p90 {latency.p90:.2f}"
                    f"  p99 {latency.p99:.2f}  max {latency.max:.2f}"
                )
        for kind, counts in (
            ("failed", self.failures),
            ("tried again", self.attempts),
            ("found", self.findings),
        ):
            lines += [
                f"{kind} {cause}: {count}, such as {self.examples[cause]}"
                for cause, count in counts.items()
            ]
        return "\n".join(lines)


def summarize(outcomes: Sequence[Outcome], elapsed: float, initiator_cpu: float) -> Report:
    """Count what came of the clients."""
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    main_modes = [outcome.main_mode for outcome in outcomes if outcome.main_mode is not None]
    quick_modes = [seconds for outcome in outcomes for seconds in outcome.quick_modes]
    setups = [outcome.setup for outcome in outcomes if outcome.setup is not None]
    attempts = [attempt for outcome in outcomes for attempt in outcome.attempts]
    told = [*failures, *attempts, *findings]
    return Report(
        clients=len(outcomes),
        main_modes=len(main_modes),
        quick_modes=len(quick_modes),
        failures=_count(failures),
        findings=_count(findings),
        examples={str(cause): detail for cause, detail in reversed(told)},
        elapsed=elapsed,
        initiator_cpu=initiator_cpu,
        main_mode=latency(main_modes),
        quick_mode=latency(quick_modes),
        setup=latency(setups),
        connected=len(setups),
        attempts=_count(attempts),
    )


def latency(seconds: Sequence[float]) -> Latency | None:
    """Percentiles by the nearest rank; None of nothing."""
    if not seconds:
        return None
    ordered = sorted(1000 * value for value in seconds)

    def rank(percent: int) -> float:
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

    return Latency(rank(50), rank(90), rank(99), ordered[-1])


def _count(causes: Sequence[Failure]) -> dict[str, int]:
    return dict(Counter(str(cause) for cause, _ in causes).most_common())
