"""Main Mode, as responder: RFC 2409 sections 5, 5.1 (signatures) and 5.4 (preshared keys).

    HDR, SA                       -->
                                  <--    HDR, SA
    HDR, KE, Ni                   -->
                                  <--    HDR, KE, Nr [, CERTREQ...]
    HDR*, IDii, HASH_I            -->
                                  <--    HDR*, IDir, HASH_R
    or, with signatures, HDR*, IDii, [ CERT..., ] SIG_I and HDR*, IDir, [ CERT..., ] SIG_R

Replies hold only what the strictest known client accepts: message 2 the SA and vendor IDs alone,
of those one for NAT traversal, and none that the client did not name; message 4 KE, nonce, NAT-D
and, for signatures, CERTREQ; message 6 the identity and the proof. So no reply is larger than its
question, but for message 4 with CERTREQ, which goes only to where message 2 was received, and
message 6 with certificates, which goes to somebody who is known.
"""

from __future__ import annotations

from typing import TypeVar

from ikev1.core import fragmentation, natt, proposals, quirks
from ikev1.core.authentication import method
from ikev1.core.authentication.exchanged import Exchanged
from ikev1.core.context import Context
from ikev1.core.effects import ComputeDh
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Await, Message, Script
from ikev1.core.ike_sa import IkeSa
from ikev1.crypto.dh import DhError, DhResult
from ikev1.crypto.signatures import SIGNATURE_METHODS
from ikev1.wire.enums import ExchangeType, NotifyType
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import (
    KeyExchange,
    NatD,
    Nonce,
    Payload,
    VendorId,
)
from ikev1.wire.sa import SaPayload

MIN_NONCE = 8
"""Octets, RFC 2409 section 5."""
MAX_NONCE = 256
"""Octets, RFC 2409 section 5."""
NONCE_SIZE = 32
"""Octets of ours, fewer only where the client sends fewer: no answer may outgrow its question."""
MAX_BAD_MESSAGES = 3
"""Different messages 5 that may fail before the exchange is given up: forgery is not free."""


SIT_IDENTITY_ONLY = 1
"""RFC 2407 section 4.2.1."""

P = TypeVar("P", bound=Payload)


def respond(sa: IkeSa, context: Context, message: Message) -> Script:
    """Serve one Main Mode."""
    # HDR, SA -->
    assert message.payloads is not None
    offer, sai_b = _security_association(message.payloads)
    vendor_ids = tuple(vendor.data for vendor in message.payloads.all(VendorId))
    sa.implementation = quirks.recognise(vendor_ids)
    authentication = method.choose(sa, context, offer, message.path)
    authentication.listen(message.payloads)
    choice = sa.choice
    assert choice is not None
    sa.takes_fragments = fragmentation.is_welcome(
        vendor_ids, certificates=choice.method in SIGNATURE_METHODS
    )
    sa.variant = natt.choose_variant(vendor_ids, esp_on_ike_port=context.settings.esp_on_ike_port)

    # <-- HDR, SA
    reply = _message_2(sa, choice, offer, vendor_ids, room=message.header.length)
    message = yield Await(reply, encrypted=False)

    # HDR, KE, Ni -->
    assert message.payloads is not None
    peer_public = required(message.payloads, KeyExchange).data
    ni_b = nonce_of(message.payloads)
    authentication.listen(message.payloads)
    nat_d = natt.received_nat_d(sa.variant, message.payloads.all(NatD))
    sa.nat = natt.detect(nat_d, choice.hash, sa.cookies, message.path)
    result: DhResult | DhError = yield ComputeDh(context.ticket(), choice.group, peer_public)
    if isinstance(result, DhError):
        raise ExchangeError(f"bad public value: {result}", NotifyType.INVALID_KEY_INFORMATION)
    nr_b = context.random(min(NONCE_SIZE, len(ni_b)))

    # <-- HDR, KE, Nr
    values: list[Payload] = [KeyExchange(result.public), Nonce(nr_b), *authentication.requests()]
    if len(nat_d) >= natt.MIN_NAT_D and sa.variant:
        shown = natt.shown_path(sa.nat, message.path, context.settings.public_address)
        values += natt.make_nat_d(sa.variant, choice.hash, sa.cookies, shown)
    message = yield Await(sa.clear(ExchangeType.IDENTITY_PROTECTION, values))

    # HDR*, IDii, HASH_I --> or HDR*, IDii, [ CERT, ] SIG_I -->
    exchanged = Exchanged(sai_b, ni_b, nr_b, peer_public, result.public, result.shared)
    iv = exchanged.iv(sa)
    proof = yield from authentication.verify(sa, exchanged, message, iv)
    for _ in range(MAX_BAD_MESSAGES - 1):
        if proof is not None:
            break
        if not sa.suspect:
            error = authentication.unverified()
            sa.suspect = context.complain(error.refusal(sa.client, message.path, "Main Mode"))
        message = yield Await(b"")
        proof = yield from authentication.verify(sa, exchanged, message, iv)
    if proof is None:
        raise authentication.unverified()
    sa.keys, sa.identity = proof.keys, proof.identity
    sa.credential, sa.chain = proof.credential, proof.chain
    sa.connection = proof.credential.connection

    # <-- HDR*, IDir, HASH_R or <-- HDR*, IDir, [ CERT, ] SIG_R
    address = natt.shown_address(sa.nat, message.path, context.settings.public_address)
    credential, skeyid = proof.credential, proof.keys.skeyid
    values = [*(yield from authentication.prove(sa, exchanged, credential, skeyid, address))]
    reply, sa.last_block = sa.seal(ExchangeType.IDENTITY_PROTECTION, 0, values, proof.next_iv)
    context.established(sa, message.path, initial_contact=proof.initial_contact)
    return reply


def _security_association(payloads: Payloads) -> tuple[SaPayload, bytes]:
    """The SA payload of message 1 and its body, which HASH_I and HASH_R cover as it came."""
    offers = payloads.all(SaPayload)
    if len(offers) != 1:
        raise ExchangeError(f"{len(offers)} SA payloads, not one", NotifyType.PAYLOAD_MALFORMED)
    offer = offers[0]
    if offer.doi != proposals.DOI_IPSEC:
        raise ExchangeError(f"DOI {offer.doi} is not IPsec's", NotifyType.DOI_NOT_SUPPORTED)
    if offer.situation != SIT_IDENTITY_ONLY:
        raise ExchangeError(
            f"situation {offer.situation!r}, not SIT_IDENTITY_ONLY",
            NotifyType.SITUATION_NOT_SUPPORTED,
        )
    return offer, payloads.body(offer)


def required(payloads: Payloads, kind: type[P]) -> P:
    """The one payload of a kind that the message must have exactly once."""
    found = payloads.all(kind)
    if len(found) != 1:
        raise ExchangeError(
            f"{len(found)} {kind.__name__} payloads, not one", NotifyType.PAYLOAD_MALFORMED
        )
    return found[0]


def nonce_of(payloads: Payloads) -> bytes:
    """Ni_b, within the size that RFC 2409 section 5 allows."""
    nonce = required(payloads, Nonce).data
    if not MIN_NONCE <= len(nonce) <= MAX_NONCE:
        raise ExchangeError(
            f"nonce of {len(nonce)} bytes, not {MIN_NONCE} to {MAX_NONCE}",
            NotifyType.PAYLOAD_MALFORMED,
        )
    return nonce


def _message_2(
    sa: IkeSa,
    choice: proposals.IkeChoice,
    offer: SaPayload,
    theirs: tuple[bytes, ...],
    *,
    room: int,
) -> bytes:
    """The SA; one NAT-T vendor ID, DPD and FRAGMENTATION where the client named them.

    FRAGMENTATION is longer than the client's, if that is Windows or libreswan: it is left out
    where message 2 would come to more than the `room` octets of message 1.
    """
    values: list[Payload] = [
        proposals.answer(offer, choice.proposal, choice.transform, choice.proposal.spi)
    ]
    if sa.variant:
        values.append(VendorId(sa.variant.vendor_id))
    if quirks.DPD in theirs:
        values.append(VendorId(quirks.DPD))
    if fragmentation.is_announced(theirs):
        more = [*values, VendorId(fragmentation.ANNOUNCEMENT)]
        message = sa.clear(ExchangeType.IDENTITY_PROTECTION, more)
        if len(message) <= room:
            return message
    return sa.clear(ExchangeType.IDENTITY_PROTECTION, values)
