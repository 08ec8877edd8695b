"""What the first four messages of Main Mode leave behind, and the hashes made of it.

Either end may be ours. The names are those of RFC 2409 section 3.2: i for who began, r for the
other.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

from ikev1.core.credentials import CertificateCredential, PresharedKey
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Message, Question
from ikev1.core.ike_sa import IkeSa
from ikev1.crypto import keymat
from ikev1.crypto.cipher import block_size
from ikev1.discreet import Discreet
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Identification, Payload
from ikev1.x509.certificate import Certificate


class Exchanged(Discreet, frozen=True):
    """All that the keys of Phase 1 and both proofs are made of, but for a preshared key."""

    sai_b: bytes
    ni_b: bytes
    nr_b: bytes
    g_xi: bytes
    g_xr: bytes
    g_xy: bytes
    we_began: bool = False

    def keys(self, sa: IkeSa, skeyid: bytes) -> keymat.Phase1Keys:
        """The keys of the SA, for one SKEYID."""
        assert sa.choice is not None
        return keymat.phase1_keys(
            sa.hash,
            skeyid,
            self.g_xy,
            cky_i=sa.initiator_cookie,
            cky_r=sa.responder_cookie,
            cipher_key_size=sa.choice.key_bits // 8,
        )

    def iv(self, sa: IkeSa) -> bytes:
        """The IV of message 5."""
        assert sa.choice is not None
        size = block_size(sa.choice.encryption)
        return keymat.phase1_iv(sa.hash, self.g_xi, self.g_xr, size)

    def peer_hash(self, sa: IkeSa, skeyid: bytes, id_b: bytes) -> bytes:
        """What the peer has to prove, for the body of its ID payload."""
        return self._hash_r(sa, skeyid, id_b) if self.we_began else self._hash_i(sa, skeyid, id_b)

    def own_hash(self, sa: IkeSa, skeyid: bytes, id_b: bytes) -> bytes:
        """What we have to prove, for the body of our ID payload."""
        return self._hash_i(sa, skeyid, id_b) if self.we_began else self._hash_r(sa, skeyid, id_b)

    def _hash_i(self, sa: IkeSa, skeyid: bytes, idii_b: bytes) -> bytes:
        return keymat.hash_i(
            sa.proof_hash,
            skeyid,
            g_xi=self.g_xi,
            g_xr=self.g_xr,
            cky_i=sa.initiator_cookie,
            cky_r=sa.responder_cookie,
            sai_b=self.sai_b,
            idii_b=idii_b,
        )

    def _hash_r(self, sa: IkeSa, skeyid: bytes, idir_b: bytes) -> bytes:
        return keymat.hash_r(
            sa.proof_hash,
            skeyid,
            g_xi=self.g_xi,
            g_xr=self.g_xr,
            cky_i=sa.initiator_cookie,
            cky_r=sa.responder_cookie,
            sai_b=self.sai_b,
            idir_b=idir_b,
        )


Credential = PresharedKey | CertificateCredential


class Proof(Discreet, frozen=True):
    """A peer that has proved who it is, and the keys under which it did."""

    credential: Credential
    keys: keymat.Phase1Keys
    identity: Identification
    initial_contact: bool
    next_iv: bytes
    """That of the next message."""
    chain: tuple[Certificate, ...] = ()
    """From its certificate to a trusted authority; empty with a preshared key."""


class Authentication(Protocol):
    """A way to prove who one is, as far as the exchange itself has to know it.

    `verify` and `prove` may ask the host, as scripts do.
    """

    def requests(self) -> Sequence[Payload]:
        """What to ask the peer for, beside KE and nonce."""

    def listen(self, payloads: Payloads) -> None:
        """Note what the peer asks for, beside KE and nonce."""

    def verify(
        self, sa: IkeSa, exchanged: Exchanged, message: Message, iv: bytes
    ) -> Generator[Question, Any, Proof | None]:
        """The proof in message 5, or in 6; None where it makes no sense, and may be a forgery.

        Raises ExchangeError for a peer that is not let in.
        """

    def unverified(self) -> ExchangeError:
        """What to tell when no message made sense."""

    def skeyid(self, sa: IkeSa, exchanged: Exchanged, credential: Credential) -> bytes:
        """SKEYID, by a credential of ours."""

    def prove(
        self,
        sa: IkeSa,
        exchanged: Exchanged,
        credential: Credential,
        skeyid: bytes,
        address: str,
    ) -> Generator[Question, Any, Sequence[Payload]]:
        """The payloads that prove who we are, to a peer that knows us by `address`.

        Raises ExchangeError.
        """
