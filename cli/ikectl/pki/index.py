"""What a CA has issued: one JSON file, read whole and replaced whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cli.ikectl import files
from cli.ikectl.errors import CommandError

VERSION = 1
FILE = "index.json"

GATEWAY = "gateway"
CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One certificate."""

    name: str
    kind: str
    """GATEWAY or CLIENT."""
    serial: str
    """In hex, without leading zeros."""
    names: tuple[str, ...] = ()
    """Every name and address of a gateway."""
    key: str
    """Its type, as "rsa3072"."""
    not_before: datetime
    not_after: datetime
    revoked: datetime | None = None
    reason: str = ""

    def state(self, now: datetime) -> str:
        """Return "valid", "expired" or "revoked"."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.not_after < now else "valid"

    @property
    def lifetime(self) -> timedelta:
        """How long it was made for."""
        return self.not_after - self.not_before


@dataclass(frozen=True, slots=True)
class Index:
    """All of a CA that is not a key or a certificate."""

    organization: str = ""
    crl_url: str = ""
    crl_number: int = 0
    """Of the last CRL (RFC 5280 section 5.2.3); 0 before the first."""
    crl_next_update: datetime | None = None
    entries: tuple[Entry, ...] = ()
    """In the order in which they were issued."""

    def add(self, entry: Entry) -> Index:
        """Return the index with one more certificate."""
        return replace(self, entries=(*self.entries, entry))

    def valid(self, name: str, now: datetime) -> Entry | None:
        """Return the newest certificate of a name that is neither expired nor revoked."""
        of_name = (entry for entry in reversed(self.entries) if entry.name == name)
        return next((entry for entry in of_name if entry.state(now) == "valid"), None)

    def matching(self, which: str) -> Iterator[Entry]:
        """Every certificate of a name, or the one of a serial (colons and zeros do not matter)."""
        serial = which.replace(":", "").lower().lstrip("0")
        return (entry for entry in self.entries if which == entry.name or serial == entry.serial)

    def revoke(self, serials: frozenset[str], reason: str, now: datetime) -> Index:
        """Return the index with these certificates revoked."""
        return replace(
            self,
            entries=tuple(
                replace(entry, revoked=now, reason=reason) if entry.serial in serials else entry
                for entry in self.entries
            ),
        )


def save(directory: Path, index: Index) -> None:
    """Put the index in place of the one that is there. Raises CommandError."""
    document = {"v": VERSION} | asdict(index)
    text = json.dumps(document, indent=1, default=datetime.isoformat)
    files.replace(directory / FILE, text.encode() + b"\n")


def load(directory: Path) -> Index:
    """Read the index. Raises CommandError where there is none, or not one of ours."""
    path = directory / FILE
    if not path.exists():
        raise CommandError(f"there is no CA in {directory}: make one with `ikectl pki init`")
    try:
        document = json.loads(files.read(path))
        version = document.pop("v")
        if version != VERSION:
            raise CommandError(f"{path} has version {version}: it is of another ikectl")
        entries = tuple(_entry(fields) for fields in document.pop("entries"))
        next_update = document.pop("crl_next_update")
        return Index(
            entries=entries,
            crl_next_update=datetime.fromisoformat(next_update) if next_update else None,
            **document,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CommandError(f"{path} cannot be read: {error!r}; restore it from a copy") from None


def _entry(fields: dict[str, Any]) -> Entry:
    times = {
        key: datetime.fromisoformat(fields[key])
        for key in ("not_before", "not_after", "revoked")
        if fields[key] is not None
    }
    return Entry(**{**fields, "names": tuple(fields["names"]), **times})
