"""Reads a transcript, which is a trace of the daemon (`ikev1d --trace`): JSON lines."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ikev1.errors import ProtocolError
from ikev1.wire.enums import PayloadType
from ikev1.wire.message import parse_payloads
from ikev1.wire.payloads import Payload
from interop.errors import LabError

VERSION = 1

Record = Mapping[str, Any]

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "at": (int, float),
    "address": str,
    "floated": bool,
    "message_id": str,
    "from": str,
    "client": str,
    "exchange": str,
    "cookies": str,
    "mark": int,
    "port": int,
    "what": str,
    "nat": str,
    "auth": str,
    "message": str,
    "protocol": str,
    "code": (str, int),
    "payloads": list,
    "avps": list,
    "options": list,
    "body": str,
    "text": str,
    "value": str,
    "type": str,
}
"""Of values, wherever they stand."""
_REQUIRED: Mapping[str, frozenset[str]] = {
    "ike": frozenset(("at", "from", "client", "exchange", "cookies")),
    "sealed": frozenset(("at", "from", "client")),
    "l2tp": frozenset(("at", "from", "mark")),
    "ppp": frozenset(("at", "from")),
    "told": frozenset(("at", "what")),
    "ChildUp": frozenset(("client", "mark")),
    "IkeSaUp": frozenset(("nat",)),
    "SessionUp": frozenset(("auth",)),
}
"""What a record of an event must have."""
_LISTS = {"ike": "payloads", "l2tp": "avps"}
_NAME = 8
"""Hex digits of the initiator cookie, which name a client."""
_HEADER = 4
"""Octets of the generic payload header."""


class TranscriptError(LabError):
    """A transcript that is not one, or that tells too little; the text says where and what."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The records of one attempt of one device to connect, in order."""

    records: tuple[Record, ...]

    def of(self, event: str, **has: Any) -> list[Record]:
        """The records of an event that have these values, without repetitions."""
        return [
            record
            for record in self.records
            if record["event"] == event and "again" not in record and has.items() <= record.items()
        ]

    def first(self, event: str, **has: Any) -> Record | None:
        """The first of these, if there is one."""
        return next(iter(self.of(event, **has)), None)


def read(path: Path) -> list[Attempt]:
    """The attempts in a file, in order, one at least. Raises TranscriptError, OSError."""
    attempts = parse(path.read_text(encoding="utf-8", errors="replace").splitlines(), str(path))
    if not attempts:
        raise TranscriptError(f"{path}: no device has come")
    return attempts


def parse(lines: Iterable[str], name: str = "transcript") -> list[Attempt]:
    """The attempts in the lines of a transcript. Raises TranscriptError."""
    records = [_record(line, f"{name}, line {n}") for n, line in enumerate(lines, start=1)]
    if not records or records[0].get("event") != "trace":
        raise TranscriptError(f"{name}: not a transcript of ikectl lab")
    if records[0].get("version") != VERSION:
        raise TranscriptError(f"{name}: version {records[0].get('version')}, not {VERSION}")
    return _split(list(_named(records)))


def _record(line: str, where: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise TranscriptError(f"{where}: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        raise TranscriptError(f"{where}: no record of an event")
    _check(record, where)
    event = record["event"]
    required = _REQUIRED.get(event, frozenset()) | _REQUIRED.get(
        record.get("what", ""), frozenset()
    )
    if event in _LISTS and not {"again", "malformed"} & record.keys():
        required |= {_LISTS[event]}
    if missing := required - record.keys():
        raise TranscriptError(f"{where}: no {', '.join(sorted(missing))}")
    return record


def _check(item: Record, where: str) -> None:
    """Check the types of values, and of those in payloads, AVPs and options."""
    for name, kind in _TYPES.items():
        if name in item and not isinstance(item[name], kind):
            raise TranscriptError(f"{where}: {name} is not as it should be")
    for name in ("payloads", "avps", "options"):
        for inner in item.get(name, ()):
            if not isinstance(inner, dict) or "type" not in inner:
                raise TranscriptError(f"{where}: {name} are not as they should be")
            if name == "options" and "value" not in inner:
                raise TranscriptError(f"{where}: an option without a value")
            _check(inner, where)


def _named(records: Iterable[Record]) -> Iterator[tuple[str | None, Record]]:
    """Each with its client; of what is inside ESP, who has the mark at that time."""
    of_mark: dict[int, str] = {}
    for record in records:
        if record.get("what") == "ChildUp":
            of_mark[record["mark"]] = record["client"]
        yield record.get("client") or of_mark.get(record.get("mark", 0)), record


def _split(named: Sequence[tuple[str | None, Record]]) -> list[Attempt]:
    """By client."""
    by_client: dict[str, list[Record]] = {}
    renewals = _renewals(named)
    for name, record in named:
        client = renewals.get(name, name)
        if client is not None:
            by_client.setdefault(client, []).append(record)
    return [
        Attempt(tuple(of_one))
        for of_one in by_client.values()
        if any(record["event"] == "ike" and "again" not in record for record in of_one)
    ]


def _renewals(named: Iterable[tuple[str | None, Record]]) -> dict[str | None, str]:
    """Whose the Main Modes are that renew a Phase 1, by the name that each had while it ran.

    One that got no further than that is of the client that was connected at its address and port.
    """
    renewals: dict[str | None, str] = {}
    at_endpoint: dict[tuple[object, ...], str] = {}
    connected: set[str | None] = set()
    for client, record in named:
        match record.get("what"):
            case "IkeSaUp":  # a client of its own, or one that has renewed
                renewals.pop(client, None)
            case "SessionUp":
                connected.add(client)
            case "ClientDown":
                connected.discard(client)
        if record["event"] != "ike":
            continue
        name = record["cookies"][:_NAME]
        endpoint = record.get("address"), record.get("port"), record.get("floated")
        before = at_endpoint.get(endpoint)
        if record["client"] != name:
            renewals[name] = at_endpoint[endpoint] = record["client"]
        elif before is not None and before in connected and name != before:
            renewals.setdefault(name, before)
        else:
            at_endpoint[endpoint] = name
    return renewals


def payloads(record: Record) -> list[Payload]:
    """The payloads of an IKE message whose octets are told. Raises TranscriptError."""
    try:
        return [
            _payload(payload["type"], bytes.fromhex(payload["body"]))
            for payload in record["payloads"]
            if "body" in payload
        ]
    except (ProtocolError, KeyError, ValueError) as error:
        raise TranscriptError(f"a message makes no sense: {error!r}") from error


def size_of(record: Record, kind: str) -> int | None:
    """Octets of the first payload of a kind, of which the size alone is told."""
    sizes = [payload["size"] for payload in record["payloads"] if payload["type"] == kind]
    return sizes[0] if sizes else None


def _payload(kind: str, body: bytes) -> Payload:
    generic = bytes(2) + (_HEADER + len(body)).to_bytes(2)
    return parse_payloads(PayloadType[kind], generic + body).values[0]
