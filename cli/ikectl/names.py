"""Names that certificates may bear: safe as file names, and right in a certificate."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from cli.ikectl.errors import CommandError

MAX_COMMON_NAME = 64
"""Characters of a common name (ub-common-name, RFC 5280 appendix A.1)."""

MAX_DNS_NAME = 253
"""Characters of a DNS name in text (RFC 1035 section 2.3.4)."""

GatewayName = str | IPv4Address | IPv6Address

_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def client_name(text: str) -> str:
    """Return the name of a client. Raises CommandError."""
    if not _CLIENT.fullmatch(text) or len(text) > MAX_COMMON_NAME:
        raise CommandError(
            f"a client's name has letters, digits and . _ @ + -, begins with a letter or a digit, "
            f"and has {MAX_COMMON_NAME} characters at most"
        )
    return text


def gateway_name(text: str) -> GatewayName:
    """Return a DNS name in lower case, or an address. Raises CommandError."""
    try:
        return ip_address(text)
    except ValueError:
        pass
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if (
        len(name) > MAX_DNS_NAME
        or not all(_LABEL.fullmatch(label) for label in labels)
        or labels[-1].isdigit()
    ):
        hint = "" if text.isascii() else "; write an international name in its xn-- form"
        raise CommandError(f'"{text}" is neither a DNS name nor an address{hint}')
    return name


def authority_name(text: str, what: str) -> str:
    """Return the name of a CA or an organization. Raises CommandError."""
    if not text or not text.isprintable() or len(text) > MAX_COMMON_NAME:
        raise CommandError(f"{what} has 1 to {MAX_COMMON_NAME} printable characters")
    return text
