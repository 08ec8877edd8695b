"""Quick Mode in transport mode for L2TP, the initiator's side (RFC 2409 section 5.5, RFC 3947).

HDR*, HASH(1), SA, Ni [, KE], IDci, IDcr [, NAT-OAi, NAT-OAr]  -->
               <--  HDR*, HASH(2), SA, Nr [, KE], IDci, IDcr [, NAT-OAi, NAT-OAr]
HDR*, HASH(3)                                                  -->
"""

import hmac

from ikev1.wire.enums import (
    AuthAlgorithm,
    EncapsulationMode,
    EspTransform,
    ExchangeType,
    IdType,
    IpsecAttribute,
    ProtocolId,
)
from ikev1.wire.header import Header
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import (
    Hash,
    Identification,
    KeyExchange,
    NatOa,
    Nonce,
    Notification,
    Payload,
)
from ikev1.wire.sa import Proposal, SaPayload, Transform
from interop.initiator import checks, derivation, offers
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey
from interop.initiator.effects import Effect, EspSas, Notified
from interop.initiator.main_mode import UDP, address_type
from interop.initiator.profiles import IdciAddress, L2tpPort
from interop.initiator.session import BrokenRuleError, Session

L2TP_PORT = 1701
HOST_NAME = b"laptop"
"""Of a client that names itself in IDci."""


class QuickMode:
    """One exchange; it answers each copy of message 2 with message 3 again."""

    def __init__(self, session: Session, message_id: int) -> None:
        self.message_id = message_id
        self._session = session
        self._chain = session.new_chain(message_id)
        self._ni = session.random(session.profile.nonce_size)
        # RFC 4303 section 2.1 reserves the SPIs up to 255.
        self._spi = (int.from_bytes(session.random(4)) | 0x100).to_bytes(4)
        self._proposals = offers.esp_proposals(session.profile, self._spi, self._mode())
        self._ids = self._identities()
        self._dh: DhKey | None = None
        self._second = b""
        self._third: list[Effect] = []

    @property
    def done(self) -> bool:
        """Whether message 3 is sent."""
        return bool(self._third)

    def start(self, now: float) -> Effect:
        """Send message 1."""
        session = self._session
        payloads: list[Payload] = [offers.sa(*self._proposals), Nonce(self._ni)]
        if session.profile.pfs_group is not None:
            self._dh = session.make_dh(session.profile.pfs_group, session.random)
            payloads.append(KeyExchange(self._dh.public))
        payloads += self._ids
        payloads += self._original_addresses()
        datagram = session.hashed(ExchangeType.QUICK_MODE, self.message_id, payloads, self._chain)
        return session.request("QM1", self.message_id, datagram, now)

    def receive(self, header: Header, datagram: bytes) -> list[Effect]:
        """Take message 2."""
        if self.done:
            return self._third if datagram == self._second else []
        session = self._session
        payloads = session.unseal(header, datagram, self._chain)
        del session.unanswered[self.message_id]
        session.judge(
            checks.quick_mode_2(
                payloads,
                self._offered(payloads),
                self._ids,
                nat=session.nat,
                pfs=self._dh is not None,
            )
        )
        nat_oa = None if session.nat_t is None else session.nat_t.nat_oa
        original = session.path.server_original or session.path.server
        server = None if session.server_behind_nat else original.packed
        session.judge(checks.original_addresses(payloads, nat_oa, server))
        proof, nonce = payloads.first(Hash), payloads.first(Nonce)
        assert proof is not None  # quick_mode_2 found both
        assert nonce is not None
        prefix = self.message_id.to_bytes(4)
        covered = payloads.raw_after_first()
        if not hmac.compare_digest(proof.data, session.mac(prefix, self._ni, covered)):
            raise BrokenRuleError(Cause.QM2_HASH, "HASH(2) does not verify")
        sas = self._sas(payloads, nonce.data)
        third = session.sealed(
            ExchangeType.QUICK_MODE,
            self.message_id,
            [Hash(session.mac(b"\0", prefix, self._ni, nonce.data))],
            self._chain,
        )
        self._second = datagram
        self._third = [session.send(third)]
        notified = [
            Notified(str(item.notify_type), item.data) for item in payloads.all(Notification)
        ]
        return [*self._third, sas, *notified]

    def _offered(self, payloads: Payloads) -> Proposal:
        """The proposal that an answer means, by its number; the first if it means none."""
        sa = payloads.first(SaPayload)
        numbers = {proposal.number for proposal in sa.proposals} if sa is not None else set()
        meant = (proposal for proposal in self._proposals if proposal.number in numbers)
        return next(meant, self._proposals[0])

    def _sas(self, payloads: Payloads, nr: bytes) -> EspSas:
        sa = payloads.first(SaPayload)
        assert sa is not None  # quick_mode_2 found one
        proposal = sa.proposals[0]
        chosen = proposal.transforms[0]
        transform = EspTransform(chosen.transform_id)
        key_length = optional(chosen, IpsecAttribute.KEY_LENGTH)
        auth = optional(chosen, IpsecAttribute.AUTH_ALGORITHM)
        size = derivation.esp_keys_size(transform, key_length, auth)
        shared = self._pfs(payloads)
        keys = self._session.keys

        def keymat(spi: bytes) -> bytes:
            seed = shared + bytes((ProtocolId.ESP,)) + spi + self._ni + nr
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

    def _pfs(self, payloads: Payloads) -> bytes:
        key_exchange = payloads.first(KeyExchange)
        if self._dh is None or key_exchange is None:
            return b""
        try:
            return self._dh.agree(key_exchange.data)
        except ValueError as error:
            raise BrokenRuleError(Cause.QM2_KEY_EXCHANGE, str(error)) from error

    def _mode(self) -> EncapsulationMode:
        session = self._session
        if not session.nat or session.nat_t is None:
            return EncapsulationMode.TRANSPORT
        return session.nat_t.mode

    def _identities(self) -> tuple[Identification, Identification]:
        path = self._session.path
        port = {
            L2tpPort.ANY: 0,
            L2tpPort.L2TP: L2TP_PORT,
            L2tpPort.EPHEMERAL: path.l2tp_port,
        }[self._session.profile.l2tp_port]
        claims = self._session.profile.claims
        shown = path.inner if claims is None else claims[1]
        kind, data = address_type(shown), shown.packed
        by_name = self._session.profile.idci_address is IdciAddress.NAME
        if by_name and self._session.client_behind_nat:
            kind, data = IdType.FQDN, HOST_NAME
        server_port = self._session.profile.server_port
        return (
            Identification(kind, UDP, port, data),
            Identification(address_type(path.server), UDP, server_port, path.server.packed),
        )

    def _original_addresses(self) -> list[NatOa]:
        """NAT-OAi, our own address, and NAT-OAr, the server's (RFC 3947 section 5.2)."""
        session = self._session
        if not session.nat or session.nat_t is None or session.nat_t.nat_oa is None:
            return []
        return [
            NatOa(address_type(address), address.packed, session.nat_t.nat_oa)
            for address in (session.path.inner, session.path.server)
        ]


def optional(transform: Transform, kind: int) -> int | None:
    """The value of an attribute, None where there is none."""
    return next(
        (attribute.number for attribute in transform.attributes if attribute.type == kind), None
    )
