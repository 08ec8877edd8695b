"""Aggressive Mode (RFC 2409 section 5): not served, and who begins it learns what to change.

Its message 2 carries HASH_R, by which a preshared key can be guessed at leisure, to whoever has
sent a message 1. Clients begin it where a name for them has been set on the device; that name is
IDii of message 1, in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ikev1.core import quirks
from ikev1.core.errors import ExchangeError
from ikev1.core.identity import show
from ikev1.wire.enums import NotifyType
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Identification, VendorId

_ANY = (
    "a group name or IPsec identifier",
    "leave the group name (iPhone, Mac) or IPsec identifier (Android) empty",
)
_CALLED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Apple": (
            "a group name",
            "leave the group name (iPhone, Mac) empty; in a configuration profile LocalIdentifier",
        ),
        "Android": ("an IPsec identifier", "leave the IPsec identifier (Android) empty"),
    }
)
"""By implementation: what its users know the name as, and what they have to do."""


def refusal(message_1: Payloads) -> ExchangeError:
    """Why it is not served, what the client has set, and where."""
    client = quirks.recognise(tuple(one.data for one in message_1.all(VendorId)))
    called, remedy = _CALLED.get(client.name, _ANY)
    identity = message_1.first(Identification)
    shown = "" if identity is None else f", {show(identity)}"
    return ExchangeError(
        "Aggressive Mode gives a hash of the preshared key to whoever asks: not served; "
        f"the client ({client.name}) has {called} set{shown}",
        NotifyType.UNSUPPORTED_EXCHANGE_TYPE,
        remedy=remedy,
    )
