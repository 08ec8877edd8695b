"""Who a client has proved to be, and what becomes of it when it comes again while it is there.

A client is known again at the same address and port, with the same identity and connection: there
its Phase 1 is renewed, or the client begins anew (`Context.established`). Anywhere else only what
nobody but this client can prove says that it is the same: a preshared key that was given to it
alone, or an identity that its credential is bound to. What it merely shows says nothing. With a key
that many share, everybody may show any name; and a private address is shown by thousands, through
two stacked NATs even behind the same public one (RFC 2407 section 4.6.3.3 has INITIAL-CONTACT
speak of the "remote system", which these are not).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ikev1.core import identity
from ikev1.core.credentials import PresharedKey
from ikev1.core.errors import ExchangeError
from ikev1.wire.enums import IdType, NotifyType
from ikev1.wire.payloads import Identification
from ikev1.x509 import names

if TYPE_CHECKING:
    from ikev1.core.clients import Client
    from ikev1.core.ike_sa import IkeSa

_NAMES = frozenset(
    {IdType.FQDN, IdType.USER_FQDN, IdType.KEY_ID, IdType.DER_ASN1_DN, IdType.DER_ASN1_GN}
)
"""Identities that name somebody, and not a place in some network."""


class SameIdentity(StrEnum):
    """What becomes of a client that comes again, from elsewhere, while it is connected."""

    REPLACE = "replace"
    """The new session ends the older one at once: a device that came back."""
    KEEP = "keep"
    """The older one stays as long as it lives, and the new one is refused."""
    SEVERAL = "several"
    """Both stay: several devices with one credential."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client has proved that no other client can; two that are equal are the same client."""

    connection: str
    what: bytes = field(repr=False)
    """The key that is its own, or its identity: type and all octets."""
    text: str = field(compare=False)
    """The same for people."""


def proof_of(connection: str, key: PresharedKey | None, shown: Identification) -> Proof | None:
    """What message 5 has proved; None with a key that others have too.

    Without a preshared key the identity is that of a certificate.
    """
    if key is not None and key.one_client:
        return Proof(connection, key.secret, "the client with this preshared key")
    bound = key is None or key.identity is not None
    if not bound or shown.id_type not in _NAMES:
        return None
    case_matters = shown.id_type not in (IdType.FQDN, IdType.USER_FQDN)
    name = shown.data if case_matters else shown.data.lower()
    return Proof(connection, bytes([shown.id_type]) + name, identity.show(shown))


def same_key(client: Client, sa: IkeSa | Client) -> bool:
    """Whether an SA was proved as the client's newest: with its preshared key, or by its name.

    So of another client's newest SA. A certificate may be a new one, with another key.
    """
    if client.chain and sa.chain:
        return names.equal(client.chain[0].subject, sa.chain[0].subject)
    old, new = client.psk, sa.psk
    return (old and old.secret) == (new and new.secret) and bool(client.chain) == bool(sa.chain)


def already_connected(proof: Proof, where: str) -> ExchangeError:
    """Why a client is refused where `same_identity` is "keep" and it is connected."""
    return ExchangeError(
        f'{proof.text} is connected already, {where}, and same_identity is "{SameIdentity.KEEP}"',
        NotifyType.AUTHENTICATION_FAILED,
        remedy="end the older session (ikectl down), or set same_identity to "
        f'"{SameIdentity.REPLACE}" or "{SameIdentity.SEVERAL}" in this [[connection]]',
        setting="connection",
    )
