"""Proof by a preshared key: RFC 2409 section 5.4.

    HDR*, IDii, HASH_I      -->
                            <--    HDR*, IDir, HASH_R

The key is part of SKEYID, so that it has to be known before the identity can be read.
"""

from __future__ import annotations

import hmac
from collections.abc import Generator, Sequence

from ikev1.core import identity, informational
from ikev1.core.authentication.exchanged import Credential, Exchanged, Proof
from ikev1.core.credentials import PresharedKey
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Message, Question
from ikev1.core.ike_sa import IkeSa, open_with
from ikev1.crypto import keymat
from ikev1.errors import ProtocolError
from ikev1.wire.enums import NotifyType
from ikev1.wire.message import Payloads, build_body
from ikev1.wire.payloads import Hash, Identification, Payload
from ikev1.x509.identity import of_address


class PresharedKeys:
    """One Main Mode by one of `candidates`."""

    def __init__(self, candidates: Sequence[PresharedKey]) -> None:
        self._candidates = candidates

    def requests(self) -> Sequence[Payload]:
        """Nothing."""
        return ()

    def listen(self, payloads: Payloads) -> None:
        """Nothing a peer asks for matters here."""

    def verify(
        self, sa: IkeSa, exchanged: Exchanged, message: Message, iv: bytes
    ) -> Generator[Question, None, Proof | None]:
        """Find the preshared key under which a message decrypts and its HASH verifies.

        Always in the same order. Two entries may share a secret: one that is bound to the identity
        shown, or to none, is better than one bound to another, which is an ExchangeError.
        """
        yield from ()
        of_another: Proof | None = None
        for candidate in self._candidates:
            skeyid = self.skeyid(sa, exchanged, candidate)
            proof = _verify(sa, exchanged, candidate, skeyid, message, iv)
            if proof is None:
                continue
            if candidate.identity is None or identity.matches(proof.identity, candidate.identity):
                return proof
            of_another = of_another or proof
            belongs_to = candidate.identity
        if of_another is None:
            return None
        raise ExchangeError(
            f"the peer is {identity.show(of_another.identity)}, but the preshared key it used "
            f"belongs to {belongs_to}",
            NotifyType.AUTHENTICATION_FAILED,
            remedy="set the client's identity, or the id of this [[psk]]",
            setting="psk",
        )

    def unverified(self) -> ExchangeError:
        """Message 5 made no sense under any key: nearly always the client has another one."""
        names = ", ".join(dict.fromkeys(candidate.connection for candidate in self._candidates))
        return ExchangeError(
            f"message 5 does not verify under any of {len(self._candidates)} preshared keys "
            f"({names}): the client was given another one",
            NotifyType.AUTHENTICATION_FAILED,
            remedy="make the client's secret and the [[psk]] the same",
            setting="psk",
        )

    def skeyid(self, sa: IkeSa, exchanged: Exchanged, credential: Credential) -> bytes:
        """SKEYID, which the key is part of."""
        assert isinstance(credential, PresharedKey)
        return keymat.skeyid_psk(sa.hash, credential.secret, exchanged.ni_b, exchanged.nr_b)

    def prove(
        self,
        sa: IkeSa,
        exchanged: Exchanged,
        credential: Credential,
        skeyid: bytes,
        address: str,
    ) -> Generator[Question, None, Sequence[Payload]]:
        """The address that the client dialled, which is what racoon insists on, and HASH."""
        yield from ()
        ours = of_address(address)
        return ours, Hash(exchanged.own_hash(sa, skeyid, build_body(ours)))


def _verify(
    sa: IkeSa,
    exchanged: Exchanged,
    candidate: PresharedKey,
    skeyid: bytes,
    message: Message,
    iv: bytes,
) -> Proof | None:
    assert sa.choice is not None
    keys = exchanged.keys(sa, skeyid)
    try:
        payloads, next_iv = open_with(sa.choice.encryption, keys, message.header, message.body, iv)
    except ProtocolError:
        return None
    shown = payloads.first(Identification)
    hash_payload = payloads.first(Hash)
    if shown is None or hash_payload is None:
        return None
    expected = exchanged.peer_hash(sa, skeyid, payloads.body(shown))
    if not hmac.compare_digest(expected, hash_payload.data):
        return None
    sa.saw_received(message.header, payloads)
    return Proof(candidate, keys, shown, informational.is_first_contact(payloads), next_iv)
