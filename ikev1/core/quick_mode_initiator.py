"""Quick Mode as initiator, to renew a child SA of a client: RFC 2409 section 5.5.

    HDR*, HASH(1), SA, Ni
      [, KE ] [, IDci, IDcr ]  -->
                               <--    HDR*, HASH(2), SA, Nr
                                        [, KE ] [, IDci, IDcr ]
    HDR*, HASH(3)              -->

Offered is what the client itself has offered and got before, nothing else. The inbound SA is in the
kernel before HASH(3) lets the client send. The outbound SA waits until the client has it too, see
`ikev1.core.rekeying`: a responder may install its own only when HASH(3) has come.
"""

from __future__ import annotations

from ikev1.core import natt, proposals
from ikev1.core.child_sa import Negotiated, free_spi, make_child, spi_of_peer
from ikev1.core.clients import Child, Client
from ikev1.core.context import Context
from ikev1.core.effects import (
    AgreeDh,
    GenerateDh,
    Installed,
    InstallFailed,
    InstallInbound,
)
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Await, Message, Script
from ikev1.core.ike_sa import IkeSa, check_hash
from ikev1.core.main_mode import NONCE_SIZE, nonce_of, required
from ikev1.core.offers import offer_esp
from ikev1.crypto import keymat
from ikev1.crypto.dh import DhError, KeyPair
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, NotifyType
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Hash, KeyExchange, Nonce
from ikev1.wire.sa import SaPayload


def renew(sa: IkeSa, context: Context, message_id: int, client: Client, old: Child) -> Script:
    """Renew a child SA."""
    # HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] -->
    inbound_spi = free_spi(context)
    offer = offer_esp(old.transform, inbound_spi.to_bytes(4, "big"), old.sa.lifetime)
    wanted = proposals.choose_esp(offer, context.settings.esp, behind_nat=sa.nat.detected)
    ni_b = context.random(NONCE_SIZE)
    own: KeyPair | None = None
    if wanted.group is not None:
        own = yield GenerateDh(context.ticket(), wanted.group)
    values = [
        offer,
        Nonce(ni_b),
        *((KeyExchange(own.public),) if own else ()),
        # Ours is now IDci, the client's IDcr.
        *reversed(old.identities),
        *natt.offered_nat_oa(sa.variant, sa.nat, sa.path),
    ]
    iv = sa.phase2_iv(message_id)
    request, iv = sa.seal_hashed(ExchangeType.QUICK_MODE, message_id, values, iv)
    message = yield Await(request, insist=True)

    # <-- HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr]
    while (opened := _open_message_2(sa, message, iv, ni_b)) is None:
        message = yield Await(b"")
    payloads, iv = opened
    choice = proposals.choose_esp(
        required(payloads, SaPayload), context.settings.esp, behind_nat=sa.nat.detected
    )
    if (choice.suite, choice.group) != (wanted.suite, wanted.group):
        raise ExchangeError(
            f"the client answers {choice.suite.label} to our offer of {wanted.suite.label}",
            NotifyType.NO_PROPOSAL_CHOSEN,
        )
    nr_b = nonce_of(payloads)
    shared = b""
    if own is not None:
        peer_public = required(payloads, KeyExchange).data
        agreed: bytes | DhError = yield AgreeDh(context.ticket(), own, peer_public)
        if isinstance(agreed, DhError):
            raise ExchangeError(f"bad public value: {agreed}", NotifyType.INVALID_KEY_INFORMATION)
        shared = agreed
    negotiated = Negotiated(
        choice,
        old.identities,
        inbound_spi=inbound_spi,
        outbound_spi=spi_of_peer(choice),
        ni_b=ni_b,
        nr_b=nr_b,
        shared=shared,
    )
    entry = make_child(sa, context, client, message_id, negotiated)
    context.add_child(client, entry)
    complete = False
    try:
        installed: Installed | InstallFailed = yield InstallInbound(context.ticket(), entry.sa)
        if isinstance(installed, InstallFailed):
            raise ExchangeError(
                f"the kernel refused the inbound SA: {installed.reason}",
                NotifyType.NO_PROPOSAL_CHOSEN,
            )
        complete = True
    finally:
        if not complete:
            context.abandon(entry)
    context.child_up(client, entry, ours=True)

    # HDR*, HASH(3) -->
    assert sa.keys is not None
    proof = keymat.hash_3(sa.hash, sa.keys.skeyid_a, message_id, ni_b, nr_b)
    reply, _ = sa.seal(ExchangeType.QUICK_MODE, message_id, (Hash(proof),), iv)
    return reply


def _open_message_2(
    sa: IkeSa, message: Message, iv: bytes, ni_b: bytes
) -> tuple[Payloads, bytes] | None:
    """The payloads of message 2 and the IV of message 3; None where HASH(2) does not verify."""
    assert sa.keys is not None
    header = message.header
    try:
        payloads, next_iv = sa.open(header, message.body, iv)
        covered = payloads.raw_after_first()
        expected = keymat.hash_2(sa.hash, sa.keys.skeyid_a, header.message_id, ni_b, covered)
        check_hash(payloads, expected)
    except ProtocolError:
        return None
    return payloads, next_iv
