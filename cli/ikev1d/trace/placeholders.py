"""Names that stand for others: the same one for the same, in the order in which they come."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

FIRST_ADDRESS = IPv4Address("203.0.113.1")
"""RFC 5737 section 3, the documentation's own."""
MAX_NAMES = 200
"""Of a kind; what comes later shares the last one."""
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")


class Placeholders:
    """What has been replaced so far."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._names: dict[str, dict[str, str]] = {}

    def address(self, address: str) -> str:
        """An address as it may be shown: a public one is replaced, any other tells of the NAT."""
        try:
            public = IPv4Address(address).is_global
        except ValueError:
            return "no IPv4 address"
        if not public:
            return address
        number = min(len(self._addresses), MAX_NAMES - 1)
        return self._addresses.setdefault(address, str(FIRST_ADDRESS + number))

    def packed(self, address: bytes) -> bytes:
        """The same for the four octets of an address."""
        return IPv4Address(self.address(str(IPv4Address(address)))).packed

    def name(self, kind: str, name: str) -> str:
        """A name of a kind, such as "user-1"; an empty one tells nothing and stays."""
        if not name:
            return name
        known = self._names.setdefault(kind, {})
        return known.setdefault(name, f"{kind}-{min(len(known) + 1, MAX_NAMES)}")

    def text(self, text: str) -> str:
        """A sentence of ours that may hold what is replaced elsewhere."""
        text = _ADDRESS.sub(lambda found: self.address(found[0]), text)
        for names in self._names.values():
            for name, placeholder in names.items():
                text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", placeholder, text)
        return text
