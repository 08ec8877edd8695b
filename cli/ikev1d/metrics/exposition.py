"""Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value. `suffix` is for the parts of a histogram."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Samples of one name. The names of counters end in "_total", as Prometheus has it."""

    name: str
    kind: str
    """"counter", "gauge" or "histogram"."""
    help: str
    samples: tuple[Sample, ...]


def gauge(name: str, text: str, value: float) -> Family:
    """A value that goes up and down."""
    return Family(name, "gauge", text, (Sample(value),))


def counter(name: str, text: str, value: float) -> Family:
    """A value that only grows."""
    return Family(name, "counter", text, (Sample(value),))


def labelled(
    name: str, kind: str, text: str, names: tuple[str, ...], values: Mapping[tuple[str, ...], float]
) -> Family:
    """A value for each combination of labels."""
    samples = [
        Sample(value, tuple(zip(names, key, strict=True))) for key, value in sorted(values.items())
    ]
    return Family(name, kind, text, tuple(samples))


def render(families: Iterable[Family]) -> str:
    """The text."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {family.name} {text}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
        braced = f"{{{labels}}}" if labels else ""
        yield f"{family.name}{sample.suffix}{braced} {_number(sample.value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
