"""Quick Mode as responder, for one ESP SA pair in transport mode: RFC 2409 section 5.5.

    HDR*, HASH(1), SA, Ni
      [, KE ] [, IDci, IDcr ]  -->
                               <--    HDR*, HASH(2), SA, Nr
                                        [, KE ] [, IDci, IDcr ]
    HDR*, HASH(3)              -->

The inbound SA is in the kernel before the reply lets the client send; the outbound SA follows when
HASH(3) shows that the client has the keys. NAT-OA (RFC 3947 section 5.2) goes after the identities.
The reply has no vendor ID: Apple's racoon ignores one that has. RESPONDER-LIFETIME goes last, and
only where we end the SA before the client would: that is the one place where clients take it, as
Apple's ignores a message 2 of Main Mode with any notification.
"""

from __future__ import annotations

import hmac
from collections.abc import Generator

from ikev1.core import identity, informational, natt, proposals
from ikev1.core.child_sa import Negotiated, free_spi, make_child, spi_of_peer
from ikev1.core.clients import Child, Client
from ikev1.core.context import Context
from ikev1.core.effects import (
    ComputeDh,
    Installed,
    InstallFailed,
    InstallInbound,
    InstallOutbound,
)
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Await, Message, Script
from ikev1.core.ike_sa import IkeSa
from ikev1.core.main_mode import NONCE_SIZE, nonce_of, required
from ikev1.core.proposals import EspChoice
from ikev1.crypto import keymat
from ikev1.crypto.dh import DhError, DhResult
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, IdType, NotifyType
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Hash, Identification, KeyExchange, NatOa, Nonce, Notification
from ikev1.wire.sa import SaPayload

UDP = 17
L2TP_PORT = 1701
"""RFC 2661 section 8.1."""


def respond(
    sa: IkeSa, context: Context, message_id: int, iv: bytes, client: Client, opened: Payloads
) -> Script:
    """Serve one Quick Mode whose HASH(1) has been verified; `iv` is for the reply."""
    # HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] -->
    if informational.is_first_contact(opened) and not sa.implementation.initial_contact:
        # Not of Windows: it has said so in message 1, as well as it can (`Context.forgot`).
        context.first_contact(sa, client)
    offer = required(opened, SaPayload)
    ni_b = nonce_of(opened)
    identities = opened.all(Identification)
    _check_identities(sa, identities)
    choice = proposals.choose_esp(
        offer,
        context.settings.esp,
        behind_nat=sa.nat.detected,
        avoid_sha256=sa.implementation.avoid_sha256,
    )
    public, shared = b"", b""
    if choice.group is not None:
        peer_public = required(opened, KeyExchange).data
        result: DhResult | DhError = yield ComputeDh(context.ticket(), choice.group, peer_public)
        if isinstance(result, DhError):
            raise ExchangeError(f"bad public value: {result}", NotifyType.INVALID_KEY_INFORMATION)
        public, shared = result.public, result.shared
    nr_b = context.random(NONCE_SIZE)
    negotiated = Negotiated(
        choice,
        identities,
        inbound_spi=free_spi(context),
        outbound_spi=spi_of_peer(choice),
        ni_b=ni_b,
        nr_b=nr_b,
        shared=shared,
    )
    entry = make_child(sa, context, client, message_id, negotiated)
    child = entry.sa
    context.add_child(client, entry)
    complete = False
    try:
        installed: Installed | InstallFailed = yield InstallInbound(context.ticket(), child)
        if isinstance(installed, InstallFailed):
            raise ExchangeError(
                f"the kernel refused the inbound SA: {installed.reason}",
                NotifyType.NO_PROPOSAL_CHOSEN,
            )

        # <-- HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr]
        spi = child.inbound_spi.to_bytes(4, "big")
        values = [
            proposals.answer(offer, choice.proposal, choice.transform, spi),
            Nonce(nr_b),
            *((KeyExchange(public),) if public else ()),
            *identities,
            *_original_addresses(sa, opened),
            *_shorter_lifetime(choice, spi),
        ]
        reply, iv = sa.seal_hashed(ExchangeType.QUICK_MODE, message_id, values, iv, ni_b)
        message = yield Await(reply, insist=True)

        # HDR*, HASH(3) -->
        while not _hash3_verifies(sa, message, iv, ni_b, nr_b):
            message = yield Await(b"")
        yield from _take_over(sa, context, client, entry)
        complete = True
    finally:
        if not complete:
            context.abandon(entry)
    context.child_up(client, entry)
    return None


def _take_over(
    sa: IkeSa, context: Context, client: Client, entry: Child
) -> Generator[InstallOutbound, Installed | InstallFailed, None]:
    """Let this child carry what goes to the client, instead of the one that does.

    Not where a later Quick Mode was faster, because HASH(3) of this one got lost: the client then
    holds this child for the older one, and will delete it.
    """
    position = client.children.index(entry)
    if any(later.outbound for later in client.children[position + 1 :]):
        return
    earlier = client.children[:position]
    entry.outbound = True
    # Its own path, and not that of message 1: the client may have moved since.
    installed = yield InstallOutbound(context.ticket(), entry.sa, tuple(old.sa for old in earlier))
    if isinstance(installed, InstallFailed):
        entry.outbound = False
        context.inform(sa, informational.delete_child(entry.sa))
        raise ExchangeError(
            f"the kernel refused the outbound SA: {installed.reason}",
            NotifyType.NO_PROPOSAL_CHOSEN,
        )
    for old in earlier:
        old.outbound = False


def _check_identities(sa: IkeSa, identities: tuple[Identification, ...]) -> None:
    """Check IDci and IDcr.

    Behind a NAT the addresses are the client's private ones, or a name where old Windows sends one,
    and mean nothing in transport mode. Without identities the SA is for the two addresses
    (RFC 2409 section 5.5), and is narrowed by our policies to L2TP like any other.
    """
    if not identities:
        return
    if len(identities) != 2:
        raise ExchangeError(
            f"{len(identities)} identities, not two", NotifyType.INVALID_ID_INFORMATION
        )
    for name, item, address in zip(
        ("IDci", "IDcr"), identities, (sa.path.remote, sa.path.local), strict=True
    ):
        if item.protocol not in (0, UDP):
            raise _wrong_identity(name, item, f"protocol {item.protocol}, not UDP")
        if sa.nat.detected:
            continue
        if item.id_type not in (IdType.IPV4_ADDR, IdType.IPV6_ADDR):
            raise _wrong_identity(name, item, f"type {item.id_type}, not an address")
        if item.data != natt.packed(address):
            raise _wrong_identity(name, item, f"not {address}, and no NAT is between us")
    cr = identities[1]
    if cr.port not in (0, L2TP_PORT):
        raise _wrong_identity("IDcr", cr, f"port {cr.port}, not L2TP's {L2TP_PORT}")


def _wrong_identity(name: str, item: Identification, why: str) -> ExchangeError:
    shown = f"{identity.show(item)} protocol {item.protocol} port {item.port}"
    return ExchangeError(
        f"{name} {shown}: {why}",
        NotifyType.INVALID_ID_INFORMATION,
        remedy="this gateway carries L2TP alone: set the client to L2TP/IPsec in transport mode, "
        "UDP port 1701 on the gateway's side",
    )


def _original_addresses(sa: IkeSa, opened: Payloads) -> tuple[NatOa, ...]:
    """Our NAT-OA payloads, where the client may send its own (RFC 3947 section 5.2)."""
    if sa.variant is None or not sa.nat.detected:
        return ()
    number = sa.variant.nat_oa
    received = tuple([item for item in opened.all(NatOa) if item.type == number])
    return natt.make_nat_oa(received, sa.path)


def _shorter_lifetime(choice: EspChoice, spi: bytes) -> tuple[Notification, ...]:
    """RESPONDER-LIFETIME, where the gateway does not keep the SA as long as it was asked to."""
    if choice.lifetime >= choice.asked_lifetime:
        return ()
    return (informational.responder_lifetime(spi, choice.lifetime),)


def _hash3_verifies(sa: IkeSa, message: Message, iv: bytes, ni_b: bytes, nr_b: bytes) -> bool:
    """Whether the message is the client's HASH(3)."""
    assert sa.keys is not None
    try:
        payloads, _ = sa.open(message.header, message.body, iv)
    except ProtocolError:
        return False
    proof = payloads.first(Hash)
    expected = keymat.hash_3(sa.hash, sa.keys.skeyid_a, message.header.message_id, ni_b, nr_b)
    return proof is not None and hmac.compare_digest(proof.data, expected)
