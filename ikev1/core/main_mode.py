"""Main Mode with a preshared key, as responder: RFC 2409 sections 5 and 5.4.

    HDR, SA                 -->
                            <--    HDR, SA
    HDR, KE, Ni             -->
                            <--    HDR, KE, Nr
    HDR*, IDii, HASH_I      -->
                            <--    HDR*, IDir, HASH_R

Replies hold only what the strictest known client accepts: message 2 the SA and vendor IDs alone,
of those one for NAT traversal, and none that the client did not name; message 4 KE, nonce and
NAT-D; message 6 the identity and the hash. So no reply is larger than its question either.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ikev1.core import fragmentation, identity, informational, natt, proposals, quirks
from ikev1.core.context import Context
from ikev1.core.credentials import PresharedKey
from ikev1.core.effects import ComputeDh
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Await, Message, Script
from ikev1.core.ike_sa import IkeSa, open_with
from ikev1.crypto import keymat
from ikev1.crypto.cipher import block_size
from ikev1.crypto.dh import DhError, DhResult
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, NotifyType
from ikev1.wire.message import GENERIC_HEADER_LENGTH, Payloads, build_payloads
from ikev1.wire.payloads import (
    Hash,
    Identification,
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


@dataclass(frozen=True, slots=True)
class _Secrets:
    """All that the keys of Phase 1 are made of, but for the preshared key."""

    sai_b: bytes
    ni_b: bytes
    nr_b: bytes
    g_xi: bytes
    g_xr: bytes
    g_xy: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Proof:
    """A message 5 that verified, and the key under which it did."""

    key: PresharedKey
    keys: keymat.Phase1Keys
    identity: Identification
    initial_contact: bool
    next_iv: bytes


def respond(sa: IkeSa, context: Context, message: Message) -> Script:
    """Serve one Main Mode."""
    # HDR, SA -->
    assert message.payloads is not None
    offer, sai_b = _security_association(message.payloads)
    vendor_ids = tuple(vendor.data for vendor in message.payloads.all(VendorId))
    sa.implementation = quirks.recognise(vendor_ids)
    sa.takes_fragments = fragmentation.is_welcome(vendor_ids)
    candidates = context.settings.credentials.candidates(message.path.local, message.path.remote)
    if not candidates:
        raise ExchangeError(
            f"no preshared key for {message.path.local} and {message.path.remote}",
            NotifyType.NO_PROPOSAL_CHOSEN,
            remedy="add a [[psk]] whose local and remote fit these addresses",
            setting="psk",
        )
    sa.choice = proposals.choose_ike(offer, context.settings.ike)
    sa.variant = natt.choose_variant(vendor_ids)

    # <-- HDR, SA
    choice = sa.choice
    reply = _message_2(sa, choice, offer, vendor_ids, room=message.header.length)
    message = yield Await(reply, encrypted=False)

    # HDR, KE, Ni -->
    assert message.payloads is not None
    peer_public = required(message.payloads, KeyExchange).data
    ni_b = nonce_of(message.payloads)
    nat_d = natt.received_nat_d(sa.variant, message.payloads.all(NatD))
    sa.nat = natt.detect(nat_d, choice.hash, sa.cookies, message.path)
    result: DhResult | DhError = yield ComputeDh(context.ticket(), choice.group, peer_public)
    if isinstance(result, DhError):
        raise ExchangeError(f"bad public value: {result}", NotifyType.INVALID_KEY_INFORMATION)
    nr_b = context.random(min(NONCE_SIZE, len(ni_b)))

    # <-- HDR, KE, Nr
    values: list[Payload] = [KeyExchange(result.public), Nonce(nr_b)]
    if len(nat_d) >= natt.MIN_NAT_D and sa.variant:
        shown = natt.shown_path(sa.nat, message.path, context.settings.public_address)
        values += natt.make_nat_d(sa.variant, choice.hash, sa.cookies, shown)
    message = yield Await(sa.clear(ExchangeType.IDENTITY_PROTECTION, values))

    # HDR*, IDii, HASH_I -->
    secrets = _Secrets(sai_b, ni_b, nr_b, peer_public, result.public, result.shared)
    proof = _verify(sa, secrets, candidates, message)
    for _ in range(MAX_BAD_MESSAGES - 1):
        if proof is not None:
            break
        if not sa.suspect:
            error = _wrong_key(candidates)
            sa.suspect = context.complain(error.refusal(sa.client, message.path, "Main Mode"))
        message = yield Await(b"")
        proof = _verify(sa, secrets, candidates, message)
    if proof is None:
        raise _wrong_key(candidates)
    sa.psk, sa.keys, sa.identity = proof.key, proof.keys, proof.identity
    sa.connection = proof.key.connection
    if proof.key.identity is not None and not identity.matches(proof.identity, proof.key.identity):
        raise ExchangeError(
            f"the peer is {identity.show(proof.identity)}, but the preshared key it used belongs "
            f"to {proof.key.identity}",
            NotifyType.AUTHENTICATION_FAILED,
            remedy="set the client's identity, or the id of this [[psk]]",
            setting="psk",
        )

    # <-- HDR*, IDir, HASH_R
    public_address = context.settings.public_address
    ours = identity.of_address(natt.shown_address(sa.nat, message.path, public_address))
    _, idir = build_payloads((ours,))
    hash_r = keymat.hash_r(
        choice.hash,
        sa.keys.skeyid,
        g_xi=secrets.g_xi,
        g_xr=secrets.g_xr,
        cky_i=sa.initiator_cookie,
        cky_r=sa.responder_cookie,
        sai_b=sai_b,
        idir_b=idir[GENERIC_HEADER_LENGTH:],
    )
    reply, sa.last_block = sa.seal(
        ExchangeType.IDENTITY_PROTECTION, 0, (ours, Hash(hash_r)), proof.next_iv
    )
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
    sa: IkeSa, choice: proposals.IkeChoice, offer: SaPayload, theirs: Sequence[bytes], *, room: int
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
    message = sa.clear(ExchangeType.IDENTITY_PROTECTION, values)
    if fragmentation.is_announced(theirs):
        values.append(VendorId(fragmentation.ANNOUNCEMENT))
        longer = sa.clear(ExchangeType.IDENTITY_PROTECTION, values)
        message = longer if len(longer) <= room else message
    return message


def _verify(
    sa: IkeSa, secrets: _Secrets, candidates: Sequence[PresharedKey], message: Message
) -> _Proof | None:
    """Find the preshared key under which message 5 decrypts and HASH_I verifies.

    Always in the same order, and at most `MAX_CANDIDATES` of them. Two entries may share a secret:
    one that is bound to the identity shown, or to none, is better than one bound to another.
    """
    choice = sa.choice
    assert choice is not None
    key_bytes = choice.key_bits // 8
    of_another: _Proof | None = None
    iv = keymat.phase1_iv(choice.hash, secrets.g_xi, secrets.g_xr, block_size(choice.encryption))
    for candidate in candidates:
        skeyid = keymat.skeyid_psk(choice.hash, candidate.secret, secrets.ni_b, secrets.nr_b)
        keys = keymat.phase1_keys(
            choice.hash,
            skeyid,
            secrets.g_xy,
            cky_i=sa.initiator_cookie,
            cky_r=sa.responder_cookie,
            cipher_key_size=key_bytes,
        )
        try:
            payloads, next_iv = open_with(choice.encryption, keys, message.header, message.body, iv)
        except ProtocolError:
            continue
        shown = payloads.first(Identification)
        hash_payload = payloads.first(Hash)
        if shown is None or hash_payload is None:
            continue
        expected = keymat.hash_i(
            choice.hash,
            skeyid,
            g_xi=secrets.g_xi,
            g_xr=secrets.g_xr,
            cky_i=sa.initiator_cookie,
            cky_r=sa.responder_cookie,
            sai_b=secrets.sai_b,
            idii_b=payloads.body(shown),
        )
        if hmac.compare_digest(expected, hash_payload.data):
            contact = informational.is_first_contact(payloads)
            proof = _Proof(candidate, keys, shown, contact, next_iv)
            if candidate.identity is None or identity.matches(shown, candidate.identity):
                return proof
            of_another = of_another or proof
    return of_another


def _wrong_key(candidates: Sequence[PresharedKey]) -> ExchangeError:
    """Message 5 made no sense under any key: nearly always the client has another one."""
    names = ", ".join(dict.fromkeys(candidate.connection for candidate in candidates))
    return ExchangeError(
        f"message 5 does not verify under any of {len(candidates)} preshared keys ({names}): "
        "the client was given another one",
        NotifyType.AUTHENTICATION_FAILED,
        remedy="make the client's secret and the [[psk]] the same",
        setting="psk",
    )
