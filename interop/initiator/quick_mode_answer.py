"""Quick Mode that the server begins, the client's side: it renews ESP SAs (RFC 2409 section 5.5).

HDR*, HASH(1), SA, Ni [, KE], IDci, IDcr [, NAT-OAi, NAT-OAr]  <--
               -->  HDR*, HASH(2), SA, Nr [, KE], IDci, IDcr
HDR*, HASH(3)                                                  <--

Message 2 is repeated until message 3 has come (RFC 2408 section 5.1), as the server has its SAs and
may have forgotten the exchange.
"""

import hmac

from ikev1.wire.enums import (
    AuthAlgorithm,
    EspTransform,
    ExchangeType,
    IpsecAttribute,
    ProtocolId,
)
from ikev1.wire.header import Header
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Hash, Identification, KeyExchange, NatOa, Nonce, Payload
from ikev1.wire.sa import Proposal, SaPayload
from interop.initiator import checks, derivation
from interop.initiator.checks import Cause
from interop.initiator.effects import Effect, EspSas
from interop.initiator.quick_mode import optional
from interop.initiator.session import BrokenRuleError, Session

_ALLOWED = (Hash, SaPayload, Nonce, KeyExchange, Identification, NatOa)
"""In message 1; racoon takes little else (AI, quick_r1recv)."""


class QuickModeAnswer:
    """One exchange, which renews SAs of these identities, the client's and the server's.

    It is begun at `now`, when message 1 comes.
    """

    def __init__(
        self,
        session: Session,
        message_id: int,
        ids: tuple[Identification, Identification],
        now: float,
    ) -> None:
        self.message_id = message_id
        self._session = session
        self._ids = ids
        self._since = now
        self._chain = session.new_chain(message_id)
        self._nr = session.random(session.profile.nonce_size)
        self._spi = (int.from_bytes(session.random(4)) | 0x100).to_bytes(4)
        self._first = b""
        self._second: list[Effect] = []
        self._sas: EspSas | None = None
        self._ni = b""
        self.done = False

    def receive(self, header: Header, datagram: bytes) -> list[Effect]:
        """Take message 1, a repetition of it, or message 3."""
        if datagram == self._first:
            return self._second
        if self.done:
            return []
        session = self._session
        if not self._first:
            payloads = session.unseal(header, datagram, self._chain)
            self._verify(payloads, session.mac(self._prefix, payloads.raw_after_first()))
            self._second = [self._message_2(payloads)]
            self._first = datagram
            return self._second
        payloads = session.unseal(header, datagram, self._chain)
        self._verify(payloads, session.mac(b"\0", self._prefix, self._ni, self._nr))
        self.give_up()
        assert self._sas is not None  # message 1 has made them
        return [self._sas]

    def give_up(self) -> None:
        """Repeat message 2 no more, nor take a message 3."""
        self.done = True
        self._session.unanswered.pop(self.message_id, None)

    @property
    def _prefix(self) -> bytes:
        return self.message_id.to_bytes(4)

    def _verify(self, payloads: Payloads, expected: bytes) -> None:
        proof = payloads.first(Hash)
        if proof is None or not hmac.compare_digest(proof.data, expected):
            raise BrokenRuleError(Cause.INFORMATIONAL_HASH, "HASH of a Quick Mode does not verify")

    def _message_2(self, payloads: Payloads) -> Effect:
        session = self._session
        others = [value for value in payloads.values if not isinstance(value, _ALLOWED)]
        sa, nonce = payloads.first(SaPayload), payloads.first(Nonce)
        if others or sa is None or nonce is None:
            raise BrokenRuleError(Cause.UNEXPECTED_EXCHANGE, f"a Quick Mode with {others}")
        if payloads.all(Identification) != self._ids[::-1]:
            raise BrokenRuleError(Cause.UNEXPECTED_EXCHANGE, "a Quick Mode with other identities")
        self._ni = nonce.data
        proposal = sa.proposals[0]
        shared = b""
        own: tuple[Payload, ...] = ()
        key_exchange = payloads.first(KeyExchange)
        if key_exchange is not None:
            dh = session.make_dh(
                optional(proposal.transforms[0], IpsecAttribute.GROUP_DESCRIPTION) or 0,
                session.random,
            )
            shared = dh.agree(key_exchange.data)
            own = (KeyExchange(dh.public),)
        self._sas = self._make_sas(proposal, shared)
        answer = SaPayload(
            sa.doi,
            sa.situation,
            (Proposal(proposal.number, ProtocolId.ESP, self._spi, proposal.transforms[:1]),),
        )
        values: list[Payload] = [answer, Nonce(self._nr), *own, *payloads.all(Identification)]
        datagram = session.hashed(
            ExchangeType.QUICK_MODE, self.message_id, values, self._chain, nonce=self._ni
        )
        return session.request("QM2", self.message_id, datagram, self._since)

    def _make_sas(self, proposal: Proposal, shared: bytes) -> EspSas:
        chosen = proposal.transforms[0]
        transform = EspTransform(chosen.transform_id)
        key_length = optional(chosen, IpsecAttribute.KEY_LENGTH)
        auth = optional(chosen, IpsecAttribute.AUTH_ALGORITHM)
        size = derivation.esp_keys_size(transform, key_length, auth)
        keys = self._session.keys

        def keymat(spi: bytes) -> bytes:
            seed = shared + bytes((ProtocolId.ESP,)) + spi + self._ni + self._nr
            return derivation.keymat(keys, seed, size)

        return EspSas(
            inbound_spi=self._spi,
            outbound_spi=proposal.spi,
            transform=transform,
            key_length=key_length,
            auth=None if auth is None else AuthAlgorithm(auth),
            mode=checks.mode_of(chosen),
            inbound_keys=keymat(self._spi),
            outbound_keys=keymat(proposal.spi),
            ids=self._ids,
        )
