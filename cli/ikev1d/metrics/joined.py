"""The metrics of several processes as those of one gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence

THE_SAME = frozenset(
    {
        "ikev1d_info",
        "ikev1d_half_open_limit",
        "ikev1d_pool_addresses",
        "ikev1d_certificate_expiry_timestamp_seconds",
        "process_max_fds",
        "process_start_time_seconds",
    }
)
"""What each process says of the whole, or of itself where a sum says nothing."""


def join_metrics(texts: Sequence[str]) -> str:
    """Add up samples of one name and labels, in Prometheus' text format."""
    order: dict[str, None] = {}
    values: dict[str, float] = {}
    for text in texts:
        family = ""
        for line in text.splitlines():
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                order[line] = None
                continue
            sample, _, number = line.rpartition(" ")
            value = _read(number)
            join: Callable[[float, float], float] = max if family in THE_SAME else _sum
            values[sample] = join(values[sample], value) if sample in values else value
            order[f"{family} {sample}"] = None
    return "".join(f"{line}\n" for line in _in_families(order, values))


def _sum(one: float, other: float) -> float:
    return one + other


def _read(number: str) -> float:
    try:
        return int(number)
    except ValueError:
        return float(number)


def _in_families(order: dict[str, None], values: dict[str, float]) -> Sequence[str]:
    """Comments and samples, each family in one piece: a process may know labels that others do not.

    Families come in the order in which they were met first.
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    for entry in order:
        if entry.startswith("#"):
            families.setdefault(entry.split(" ", 3)[2], ([], []))[0].append(entry)
        else:
            family, _, sample = entry.partition(" ")
            families[family][1].append(f"{sample} {values[sample]!r}")
    return [line for comments, samples in families.values() for line in (*comments, *samples)]
