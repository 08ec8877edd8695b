"""Reading single values: each error names the key, its line and what may stand there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import TypeVar

from cli.ikev1d.config import algorithms, schema
from cli.ikev1d.config.errors import ConfigError, did_you_mean
from cli.ikev1d.config.files import read_private
from cli.ikev1d.config.model import AddressRange
from cli.ikev1d.config.secret import Secret
from cli.ikev1d.config.source import Key, Source, show

MAX_NAME = 255
"""Bytes of the name in a CHAP challenge, as pppd reads them; a Host Name AVP could have 1017."""

MAX_INTERFACE = 15
"""Bytes of a network interface's name (IFNAMSIZ without its NUL)."""

_INTERFACE = re.compile(rf"[^\s/:]{{1,{MAX_INTERFACE}}}")

_GROUP_NUMBERS = {
    "2": "modp1024",
    "5": "modp1536",
    "14": "modp2048",
    "15": "modp3072",
    "16": "modp4096",
    "18": "modp8192",
    "19": "ecp256",
    "20": "ecp384",
    "21": "ecp521",
}

S = TypeVar("S", bound=str)
T = TypeVar("T")


class Check:
    """Reads values of one document. `warnings` collects what is not an error.

    Every method that reads a value raises ConfigError where it is not one of its kind.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.warnings: list[str] = []

    def choice(self, key: Key, value: str, allowed: Sequence[S]) -> S:
        """Return the one of `allowed` that `value` is."""
        for candidate in allowed:
            if candidate == value:
                return candidate
        remedy = did_you_mean(value, allowed)
        if value in _GROUP_NUMBERS and _GROUP_NUMBERS[value] in allowed:
            remedy = f'group {value} is named "{_GROUP_NUMBERS[value]}"'
        raise self.error(
            key, f'"{value}" is not known here', allowed=", ".join(allowed), remedy=remedy
        )

    def policy(self, key: Key, name: str) -> algorithms.Policy:
        """Return the policy of a name."""
        return algorithms.POLICIES[self.choice(key, name, tuple(algorithms.POLICIES))]

    def names(
        self,
        key: Key,
        values: tuple[str, ...] | None,
        default: tuple[str, ...],
        allowed: tuple[str, ...],
    ) -> tuple[str, ...]:
        """Return a list of names out of `allowed`, or `default` where the key is absent."""
        if values is None:
            return default
        if not values:
            raise self.error(
                key,
                "the list is empty, so no client could connect",
                allowed=", ".join(allowed),
                remedy="remove the key for the default",
            )
        return self.each(key, values, lambda at, value: self.choice(at, value, allowed))

    def each(
        self, key: Key, values: tuple[str, ...], read: Callable[[Key, str], T]
    ) -> tuple[T, ...]:
        """Return what `read` makes of each element; the same thing twice is an error."""
        made: list[T] = []
        for index, value in enumerate(values):
            item = read((*key, index), value)
            if item in made:
                raise self.error((*key, index), f'"{value}" is in the list twice')
            made.append(item)
        return tuple(made)

    def address(self, key: Key, text: str) -> IPv4Address:
        """Return an address."""
        try:
            return IPv4Address(text)
        except ValueError:
            raise self.error(
                key, f'"{text}" is not an IPv4 address', allowed="an address such as 192.168.1.99"
            ) from None

    def address_range(self, key: Key, text: str) -> AddressRange:
        """Return a range of addresses."""
        try:
            return AddressRange.parse(text)
        except ValueError as error:
            raise self.error(
                key,
                f'"{text}" is not a range of IPv4 addresses: {error}',
                allowed="192.168.1.128-192.168.1.254, or a network such as 192.168.1.128/25",
            ) from None

    def network(self, key: Key, text: str) -> IPv4Network | None:
        """Return the network of an address or a network, None for %any."""
        if text == "%any":
            return None
        try:
            return IPv4Network(text)
        except ValueError:
            raise self.error(
                key,
                f'"{text}" is not an IPv4 address or network',
                allowed="%any, an address, or a network such as 203.0.113.0/24",
            ) from None

    def identity(self, key: Key, text: str) -> str | None:
        """Return a Phase 1 identity as logs show it, None for %any."""
        if text == "%any":
            return None
        if text.startswith("keyid:") or "@" in text:
            bare = text.removeprefix("keyid:").removeprefix("@")
            if bare and text.isprintable() and text.isascii():
                return text
        try:
            return str(ip_address(text))
        except ValueError:
            raise self.error(
                key,
                f'"{text}" is not an identity',
                allowed='%any, an address, "@host.example", "user@host.example", "keyid:text"',
                remedy='a host name has an "@" before it' if text.isascii() else "",
            ) from None

    def name(self, key: Key, text: str | None) -> str | None:
        """Return what the gateway calls itself, which fits into an AVP and a CHAP challenge."""
        if text is not None and not (text.isprintable() and len(text.encode()) <= MAX_NAME):
            raise self.error(key, f"not a name of {MAX_NAME} bytes at most")
        return text

    def interface(self, key: Key, name: str | bool) -> str:
        """Return the name of a network interface."""
        if isinstance(name, bool) or not _INTERFACE.fullmatch(name):
            raise self.error(
                key,
                "not the name of a network interface",
                allowed=f"a name of {MAX_INTERFACE} characters at most, such as eth1"
                + (", or false" if key == ("ppp", "proxy_arp") else ""),
            )
        return name

    def secret(
        self, key: Key, table: schema.PskTable | schema.UserTable | schema.L2tpTable
    ) -> Secret:
        """Return the secret of a table, which is in it or in a file."""
        if (table.secret is None) == (table.secret_file is None):
            found = "neither secret nor secret_file" if table.secret is None else "both"
            raise self.error(key, f"has {found}", allowed="one of: secret, secret_file")
        if table.secret is not None:
            return table.secret
        assert table.secret_file is not None
        key = (*key, "secret_file")
        data = self.read_private(key, self.source.path.parent / table.secret_file)
        value = data.removesuffix(b"\n").removesuffix(b"\r")
        if not value:
            raise self.error(key, "the file is empty")
        return Secret(value)

    def read_private(self, key: Key, path: Path) -> bytes:
        """Return the content of a file of secrets that `key` names."""
        data, warning = read_private(path, self.source.place(key), show(key))
        self.warning(warning)
        return data

    def warn(self, key: Key, text: str) -> None:
        """Add a warning about `key`."""
        self.warning(f"{self.source.place(key)}: {show(key)}: {text}")

    def warning(self, text: str) -> None:
        """Add a warning; an empty one, or one that is there already, is none."""
        if text and text not in self.warnings:
            self.warnings.append(text)

    def error(self, key: Key, problem: str, *, allowed: str = "", remedy: str = "") -> ConfigError:
        """Return the error for `key`, to be raised."""
        return ConfigError(
            self.source.place(key), show(key), problem, allowed=allowed, remedy=remedy
        )
