"""Main Mode as initiator, to renew the Phase 1 of a client: RFC 2409 sections 5, 5.1 and 5.4.

    HDR, SA                       -->
                                  <--    HDR, SA
    HDR, KE, Ni [, CERTREQ...]    -->
                                  <--    HDR, KE, Nr [, CERTREQ...]
    HDR*, IDii, HASH_I            -->
                                  <--    HDR*, IDir, HASH_R
    or, with signatures, HDR*, IDii, [ CERT..., ] SIG_I and HDR*, IDir, [ CERT..., ] SIG_R

Everything is as the client had it when it began itself: the transform, the variant of NAT
traversal, the credential, and its identity, which no other may take over. A client that had moved
to port 4500 is spoken to there from message 1 on (RFC 3947 section 4).
"""

from __future__ import annotations

from ikev1.core import fragmentation, identity, natt, proposals, quirks
from ikev1.core.authentication import method
from ikev1.core.authentication.exchanged import Exchanged
from ikev1.core.context import Context
from ikev1.core.effects import AgreeDh, GenerateDh
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Await, Script
from ikev1.core.ike_sa import IkeSa
from ikev1.core.main_mode import MAX_BAD_MESSAGES, NONCE_SIZE, nonce_of, required
from ikev1.core.offers import offer_ike
from ikev1.core.phase1_terms import Phase1Terms
from ikev1.core.proposals import IkeChoice
from ikev1.crypto.dh import DhError, KeyPair
from ikev1.wire.enums import ExchangeType, NotifyType
from ikev1.wire.message import Payloads, build_body
from ikev1.wire.payloads import Identification, KeyExchange, NatD, Nonce, Payload, VendorId
from ikev1.wire.sa import SaPayload


def renew(sa: IkeSa, context: Context, client: str, terms: Phase1Terms) -> Script:
    """Run one Main Mode with the client of this identifier; its path is that of the SA."""
    # HDR, SA -->
    public_address = context.settings.public_address
    offer = offer_ike(terms.transform)
    authentication, credential = method.again(context, terms.credential, sa.path)
    wanted = proposals.choose_ike(offer, context.settings.ike, [terms.method])
    values: list[Payload] = [offer, *_vendor_ids(terms)]
    message = yield Await(
        sa.clear(ExchangeType.IDENTITY_PROTECTION, values), encrypted=False, insist=True
    )

    # <-- HDR, SA
    assert message.payloads is not None
    sa.choice = choice = _answer(message.payloads, wanted, context)
    sa.variant = natt.choose_variant(
        tuple(vendor.data for vendor in message.payloads.all(VendorId)),
        esp_on_ike_port=context.settings.esp_on_ike_port,
    )
    authentication.listen(message.payloads)

    # HDR, KE, Ni [, CERTREQ...] -->
    own: KeyPair = yield GenerateDh(context.ticket(), choice.group)
    ni_b = context.random(NONCE_SIZE)
    values = [KeyExchange(own.public), Nonce(ni_b), *authentication.requests()]
    if sa.variant is not None:
        shown = natt.shown_path(terms.nat, sa.path, public_address)
        values += natt.make_nat_d(sa.variant, choice.hash, sa.cookies, shown)
    message = yield Await(
        sa.clear(ExchangeType.IDENTITY_PROTECTION, values), encrypted=False, insist=True
    )

    # <-- HDR, KE, Nr [, CERTREQ...]
    assert message.payloads is not None
    peer_public = required(message.payloads, KeyExchange).data
    nr_b = nonce_of(message.payloads)
    authentication.listen(message.payloads)
    nat_d = natt.received_nat_d(sa.variant, message.payloads.all(NatD))
    sa.nat = natt.detect(nat_d, choice.hash, sa.cookies, message.path)
    if sa.floats and not message.path.encapsulated:
        cause = f"there was no NAT between us, and now there is one: {sa.nat}"
        raise ExchangeError(cause, NotifyType.NO_PROPOSAL_CHOSEN)
    shared: bytes | DhError = yield AgreeDh(context.ticket(), own, peer_public)
    if isinstance(shared, DhError):
        raise ExchangeError(f"bad public value: {shared}", NotifyType.INVALID_KEY_INFORMATION)
    exchanged = Exchanged(
        build_body(offer), ni_b, nr_b, own.public, peer_public, shared, we_began=True
    )

    # HDR*, IDii, HASH_I --> or HDR*, IDii, [ CERT, ] SIG_I -->
    skeyid = authentication.skeyid(sa, exchanged, credential)
    sa.keys = exchanged.keys(sa, skeyid)
    address = natt.shown_address(sa.nat, message.path, public_address)
    values = [*(yield from authentication.prove(sa, exchanged, credential, skeyid, address))]
    request, iv = sa.seal(ExchangeType.IDENTITY_PROTECTION, 0, values, exchanged.iv(sa))
    message = yield Await(request, insist=True)

    # <-- HDR*, IDir, HASH_R or <-- HDR*, IDir, [ CERT, ] SIG_R
    proof = yield from authentication.verify(sa, exchanged, message, iv)
    for _ in range(MAX_BAD_MESSAGES - 1):
        if proof is not None:
            break
        message = yield Await(b"")
        proof = yield from authentication.verify(sa, exchanged, message, iv)
    if proof is None:
        raise authentication.unverified()
    _check_same(proof.identity, terms)
    sa.identity, sa.last_block = proof.identity, proof.next_iv
    sa.credential, sa.chain = proof.credential, proof.chain
    sa.connection = proof.credential.connection
    context.renewed(sa, client)
    return None


def _check_same(shown: Identification, terms: Phase1Terms) -> None:
    if identity.show(shown) != terms.identity:
        raise ExchangeError(
            f"the client is {identity.show(shown)} now, and was {terms.identity} before",
            NotifyType.AUTHENTICATION_FAILED,
        )


def _answer(payloads: Payloads, wanted: IkeChoice, context: Context) -> IkeChoice:
    """The transform of message 2, which has to be the one that we have offered."""
    offer = required(payloads, SaPayload)
    choice = proposals.choose_ike(offer, context.settings.ike, [wanted.method])
    if choice.label != wanted.label:
        raise ExchangeError(
            f"the client answers {choice.label} to our offer of {wanted.label}",
            NotifyType.NO_PROPOSAL_CHOSEN,
        )
    return choice


def _vendor_ids(terms: Phase1Terms) -> list[VendorId]:
    """What the client named itself: one for NAT traversal, DPD and FRAGMENTATION."""
    named = [terms.variant.vendor_id] if terms.variant is not None else []
    if terms.implementation.dpd:
        named.append(quirks.DPD)
    if terms.takes_fragments:
        named.append(fragmentation.ANNOUNCEMENT)
    return [VendorId(data) for data in named]
