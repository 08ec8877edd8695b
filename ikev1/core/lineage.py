"""Whose a new Phase 1 SA is, and two clients that turn out to be one.

A client that renews its Phase 1 from where it is known to be is found by that place
(`Clients.find`). If its NAT has given it another address or port, and nothing else of it has come
from there before, it is found by what it proves (`ikev1.core.replacement`). With a key of many it
proves nothing, and is taken in as a client of its own, the younger, beside itself, the older.

The two are made one when it has shown that it has what the older has: by an authentic message or
packet of the older from exactly the younger's address and port (`meet`), which we ask for with an
R-U-THERE of the older sent there (`ask`), or by what the host has heard in the younger's own SAs
(`Responder.unite`). Who dials anew has lost what the older had, and can show neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ikev1.core import informational
from ikev1.core.clients import Client, Departure
from ikev1.core.effects import Continued, MoveChild, Path
from ikev1.core.replacement import Proof, SameIdentity, already_connected, same_key

if TYPE_CHECKING:
    from ikev1.core.context import Context
    from ikev1.core.ike_sa import IkeSa

UNITE_WITHIN = 60.0
"""Seconds in which a NAT does not give the port of a client that has spoken from it to another one:
RFC 4787 section 4.3 has it wait for two minutes."""
MAX_ASKED = 4
"""Older clients that are asked for one younger: behind one NAT a private address is there once,
behind stacked ones a few times."""


def whose(
    context: Context, sa: IkeSa, path: Path, shown: str, proof: Proof | None, *, anew: bool
) -> Client | None:
    """The client whose Phase 1 this SA renews; one that it replaces is ended.

    `anew` says that it has sent INITIAL-CONTACT.
    """
    old = context.clients.find(path, shown, sa.connection)
    if old is not None and not same_key(old, sa):
        old = None  # somebody else with the same private address, whom the NAT gave this port
    elsewhere = [client for client in context.clients.proved(proof) if client is not old]
    policy = context.settings.of(sa.connection).same_identity
    if proof and policy is SameIdentity.KEEP and old is None:
        if elsewhere:
            raise already_connected(proof, f"from {elsewhere[-1].path}")
        if context.elsewhere(proof):
            raise already_connected(proof, "to another process of the gateway")
    if old is not None and (anew or context.forgot(old, sa)):
        context.remove_client(old, "replaced: the client says INITIAL-CONTACT")
        old = None
    if policy is SameIdentity.REPLACE:
        for client in reversed(elsewhere):
            if old is None and not anew and _has_moved(context, client, sa, path, shown):
                old = client
                old.departure = Departure(sa.cookies, old.path)
                context.move(old, path)
            else:
                cause = f"replaced: the client has connected again from {path}"
                context.remove_client(client, cause, tell=True)
    return old


def _has_moved(context: Context, old: Client, sa: IkeSa, path: Path, shown: str) -> bool:
    """Whether a client that has proved who it is may have what it had, and be elsewhere now."""
    return (
        old.identity == shown
        and same_key(old, sa)
        and sa.nat.detected
        and _can_follow(old, path)
        and not context.forgot(old, sa)
    )


def _can_follow(client: Client, path: Path) -> bool:
    """Whether all that a client has in the kernel can go on at a place."""
    return (
        path.encapsulated
        and client.path.encapsulated
        and client.path.local == path.local
        and all(child.sa.encapsulated for child in client.children)
    )


def dialled_anew(context: Context, client: Client) -> None:
    """The client begins another session, and so has lost what it had.

    Where its last Phase 1 came from elsewhere, what was before may be another device's after all:
    it is told, where it was.
    """
    departure, client.departure = client.departure, None
    sa = context.ike_sas.get(departure.cookies) if departure is not None else None
    if departure is not None and sa is not None and context.client_of(sa) is client:
        cause = f"replaced: the client has connected again from {sa.path}"
        context.forget_before(sa, client, cause, tell_at=departure.left)


# --- two that are one ----------------------------------------------------------------------------


def ask(context: Context, younger: Client) -> None:
    """Ask a new client whether it has the Phase 1 SAs of others that look like it.

    Before it is told that its own is up: its answer then comes before its Quick Mode.
    """
    for older in older_than(context, younger):
        sa = context.newest_ike_sa(older)
        if sa is not None and sa.implementation.dpd:
            probe = informational.probe(sa, older.next_probe(context.random))
            context.inform(sa, probe, path=younger.path)


def older_than(context: Context, younger: Client) -> list[Client]:
    """Those that the younger may be, as far as it is worth to ask them."""
    alike = [older for older in context.clients.like(younger) if are_alike(older, younger)]
    return alike[-MAX_ASKED:]


def are_alike(older: Client, younger: Client) -> bool:
    """Whether the younger may be the older, after its NAT has given it another address or port."""
    return (
        older is not younger
        and older.since < younger.since
        and not younger.begins_anew
        and (older.identity, older.connection, older.implementation)
        == (younger.identity, younger.connection, younger.implementation)
        and same_key(older, younger)
        and _can_follow(older, younger.path)
        and _can_follow(younger, younger.path)
    )


def meet(context: Context, older: Client, younger: Client) -> None:
    """Something authentic of the older has come from where the younger is."""
    if younger.since > context.now - UNITE_WITHIN and are_alike(older, younger):
        unite(context, older, younger)


def unite(context: Context, older: Client, younger: Client) -> None:
    """Make the two one: under the younger's mark, if it has SAs in the kernel, else the older's.

    So what is in use stays as it is: a client sends through its newest SAs.
    """
    begun = any(context.ike_sas[cookies].under_way() for cookies in younger.phase1)
    stays, goes = (younger, older) if younger.children or begun else (older, younger)
    for cookies in goes.phase1:
        sa = context.ike_sas[cookies]
        for exchange in sa.under_way():
            del sa.exchanges[exchange.message_id]
            exchange.close()
        sa.client, sa.path = stays.id, younger.path
    for child in goes.children:
        moved = replace(child.sa, client=stays.id, mark=stays.mark, path=younger.path)
        context.emit(MoveChild(context.changing(child, "its new mark"), child.sa, moved))
        child.sa = moved
    carrying = younger.carrying
    stale = tuple(child for child in older.children if child.outbound)
    stays.psk, stays.chain, stays.terms = younger.psk, younger.chain, younger.terms
    stays.begins_anew = older.begins_anew
    stays.phase1 = older.phase1 + younger.phase1
    context.clients.absorb(stays, goes, older.children + younger.children)
    if carrying is not None and stale:
        context.carry(carrying, stale)
    context.emit(Continued(stays.id, stays.mark, goes.id, goes.mark, str(younger.path)))
    context.hold_limits(stays)
