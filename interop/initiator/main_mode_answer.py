"""Main Mode that the server begins, the client's side: it renews Phase 1 (RFC 2409 section 5).

HDR, SA, VID...                <--
               -->  HDR, SA, VID...
HDR, KE, Ni, NAT-D, NAT-D      <--
               -->  HDR, KE, Nr, NAT-D, NAT-D
HDR*, IDii, HASH_I             <--
               -->  HDR*, IDir, HASH_R

Or with certificates, as in `main_mode`.
"""

import hmac

from ikev1.wire.enums import ExchangeType, HashAlgorithm, IkeAttribute, ProtocolId
from ikev1.wire.header import HEADER_LENGTH, Header
from ikev1.wire.message import Payloads, build_payloads, parse_payloads
from ikev1.wire.payloads import Hash, Identification, KeyExchange, NatD, Nonce, Payload, VendorId
from ikev1.wire.sa import Proposal, SaPayload, Transform
from interop.initiator import checks, natt, signatures
from interop.initiator.checks import Cause
from interop.initiator.effects import Effect, Phase1Up
from interop.initiator.main_mode import MainMode, Step, attribute
from interop.initiator.session import BrokenRuleError, Session


class MainModeAnswer(MainMode):
    """The exchange of one session, with what both sides of a Main Mode do alike.

    Nothing is repeated but for a repeated question: it is the server that waits.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.step = Step.MESSAGE_1
        self._answers: dict[bytes, list[Effect]] = {}
        """What each message of the server was answered with."""

    def receive(self, header: Header, datagram: bytes, now: float) -> list[Effect]:
        """Take a message of the server, or a repetition of one."""
        if datagram in self._answers:
            return self._answers[datagram]
        session, effects = self._session, list[Effect]()
        if self.step is Step.MESSAGE_5:
            effects = self._message_5(session.unseal(header, datagram, self._chain))
        elif self.step is not Step.DONE:
            payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
            first = self.step is Step.MESSAGE_1
            values = self._message_1(payloads) if first else self._message_3(payloads)
            effects = [session.send(session.clear(values))]
        self._answers[datagram] = [it for it in effects if not isinstance(it, Phase1Up)]
        return effects

    def _message_1(self, payloads: Payloads) -> list[Payload]:
        session = self._session
        sa = payloads.first(SaPayload)
        if sa is None or len(sa.proposals) != 1 or len(sa.proposals[0].transforms) != 1:
            raise BrokenRuleError(Cause.MM1_OFFER, f"not one transform: {sa}")
        self._chosen = sa.proposals[0].transforms[0]
        if _wanted(self._chosen) not in map(_wanted, self._offered.transforms):
            raise BrokenRuleError(Cause.MM1_OFFER, f"{self._chosen} is not one of the client's")
        self._hash = HashAlgorithm(attribute(self._chosen, IkeAttribute.HASH_ALGORITHM))
        self._sai_b = payloads.body(sa)
        named = {vendor_id.data for vendor_id in payloads.all(VendorId)}
        common = [data for data in session.profile.vendor_ids if data in named]
        session.nat_t = next(
            (variant for data, variant in natt.VARIANTS.items() if data in common), None
        )
        answer = Proposal(sa.proposals[0].number, ProtocolId.ISAKMP, b"", (self._chosen,))
        self.step = Step.MESSAGE_3
        return [SaPayload(sa.doi, sa.situation, (answer,)), *map(VendorId, common)]

    def _message_3(self, payloads: Payloads) -> list[Payload]:
        session = self._session
        nat_t = session.nat_t
        session.judge(checks.message_4(payloads, None if nat_t is None else nat_t.nat_d))
        key_exchange, nonce = payloads.first(KeyExchange), payloads.first(Nonce)
        assert key_exchange is not None  # message_4 found both
        assert nonce is not None
        self._detect_nat(payloads.all(NatD))
        group = attribute(self._chosen, IkeAttribute.GROUP_DESCRIPTION)
        self._dh = session.make_dh(group, session.random)
        self._peer_public = key_exchange.data
        self._derive(nonce.data + self._nonce, self._peer_public + self._dh.public)
        answer: list[Payload] = [KeyExchange(self._dh.public), Nonce(self._nonce)]
        if session.signer:
            answer += session.signer.requests
        self.step = Step.MESSAGE_5
        return [*answer, *self._nat_d()]

    def _message_5(self, payloads: Payloads) -> list[Effect]:
        session = self._session
        signer = session.signer
        behind_nat = session.server_behind_nat
        signed = signer is not None
        session.judge(checks.message_6(payloads, server_behind_nat=behind_nat, signed=signed))
        identity = payloads.first(Identification)
        assert identity is not None  # message_6 found it
        cookies = session.cky_i + session.cky_r
        shown = payloads.body(identity)
        expected = self._proof(self._peer_public, self._dh.public, cookies, shown)
        if signer is None:
            proof = payloads.first(Hash)
            assert proof is not None  # message_6 found it too
            if not hmac.compare_digest(proof.data, expected):
                raise BrokenRuleError(Cause.MM5_HASH, "HASH_I does not verify")
        elif not signer.is_proved(payloads, expected):
            raise BrokenRuleError(Cause.MM5_SIGNATURE, "SIG_I does not verify")
        own = signer.identity if signer else self._identity()
        _, body = build_payloads([own])
        cookies = session.cky_r + session.cky_i
        proved = self._proof(self._dh.public, self._peer_public, cookies, body[4:])
        answer: list[Payload] = signer.prove(proved) if signer else [own, Hash(proved)]
        datagram = session.sealed(ExchangeType.IDENTITY_PROTECTION, 0, answer, self._chain)
        session.phase1_last_block = self._chain.iv
        self.step = Step.DONE
        certificate = None if signer is None else signatures.shown(payloads)
        up = Phase1Up(
            self._chosen,
            identity,
            session.client_behind_nat,
            session.server_behind_nat,
            certificate,
        )
        return [session.send(datagram), up]


def _wanted(transform: Transform) -> frozenset[tuple[int, int]]:
    """What a transform says, in whichever order and form."""
    return frozenset((each.type, each.number) for each in transform.attributes)
