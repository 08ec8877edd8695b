"""Main Mode, the initiator's side (RFC 2409 sections 5.1 and 5.4, RFC 3947).

HDR, SA, VID...                -->
                               <--  HDR, SA, VID...
HDR, KE, Ni, NAT-D, NAT-D      -->
                               <--  HDR, KE, Nr, NAT-D, NAT-D
HDR*, IDii, HASH_I [, N]       -->          from here on port 4500, if there is a NAT
                               <--  HDR*, IDir, HASH_R

With a certificate message 3 has CERTREQ, and HASH_I and HASH_R give way to CERT and SIG.
"""

import enum
import hmac

from ikev1.wire.enums import (
    EncryptionAlgorithm,
    ExchangeType,
    HashAlgorithm,
    IdType,
    IkeAttribute,
)
from ikev1.wire.header import HEADER_LENGTH, Header
from ikev1.wire.message import Payloads, build_payloads, parse_payloads
from ikev1.wire.payloads import (
    Hash,
    Identification,
    KeyExchange,
    NatD,
    Nonce,
    Payload,
    VendorId,
)
from ikev1.wire.sa import SaPayload, Transform
from interop.initiator import checks, derivation, natt, offers, profiles, signatures
from interop.initiator.checks import Cause
from interop.initiator.derivation import CbcChain, DhKey
from interop.initiator.effects import Effect, Phase1Up
from interop.initiator.session import (
    IKE_PORT,
    Address,
    BrokenRuleError,
    Session,
)

UDP = 17
_MESSAGE_ID = 0


class Step(enum.Enum):
    """What is waited for."""

    IDLE = enum.auto()
    MESSAGE_1 = enum.auto()
    """This and other odd ones where the server begins."""
    MESSAGE_2 = enum.auto()
    MESSAGE_3 = enum.auto()
    MESSAGE_4 = enum.auto()
    MESSAGE_5 = enum.auto()
    MESSAGE_6 = enum.auto()
    AGGRESSIVE_2 = enum.auto()
    """Message 2 of Aggressive Mode."""
    DONE = enum.auto()


class MainMode:
    """The exchange of one session."""

    kind = ExchangeType.IDENTITY_PROTECTION

    def __init__(self, session: Session) -> None:
        self.step = Step.IDLE
        self._session = session
        self._offered = (
            offers.phase1_proposal(session.profile, session.signer.method)
            if session.signer
            else offers.phase1_proposal(session.profile)
        )
        self._sai_b = b""
        self._nonce = session.random(session.profile.nonce_size)
        self._seen: set[bytes] = set()
        # From message 2 on:
        self._chosen: Transform
        self._hash: HashAlgorithm
        self._dh: DhKey
        # From message 4 on:
        self._peer_public: bytes
        self._chain: CbcChain

    def start(self, now: float) -> list[Effect]:
        """Send message 1."""
        session = self._session
        payloads: list[Payload] = [offers.sa(self._offered)]
        payloads += [
            VendorId(data)
            for data in session.profile.vendor_ids
            if session.first_contact or data != profiles.MS_INITIAL_CONTACT
        ]
        first, body = build_payloads(payloads)
        self._sai_b = parse_payloads(first, body).body(0)
        self.step = Step.MESSAGE_2
        return [session.request("MM1", _MESSAGE_ID, session.clear(payloads), now)]

    def receive(self, header: Header, datagram: bytes, now: float) -> list[Effect]:
        """Take an answer; a repetition of one is nothing new, however late it comes."""
        if datagram in self._seen or self.step is Step.DONE:
            return []
        self._seen.add(datagram)
        session = self._session
        if self.step is Step.MESSAGE_6:
            payloads = session.unseal(header, datagram, self._chain)
            del session.unanswered[_MESSAGE_ID]
            return self._message_6(payloads)
        payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
        if self.step is Step.MESSAGE_2:
            session.cky_r = header.responder_cookie
            return [self._message_2(payloads, now)]
        return [self._message_4(payloads, now)]

    def _message_2(self, payloads: Payloads, now: float) -> Effect:
        session = self._session
        session.judge(checks.message_2(payloads, self._offered, session.profile.vendor_ids))
        sa = payloads.first(SaPayload)
        assert sa is not None  # message_2 found one
        self._chosen = sa.proposals[0].transforms[0]
        self._hash = HashAlgorithm(attribute(self._chosen, IkeAttribute.HASH_ALGORITHM))
        answered = {vendor_id.data for vendor_id in payloads.all(VendorId)}
        common = answered.intersection(session.profile.vendor_ids)
        session.nat_t = next(
            (variant for data, variant in natt.VARIANTS.items() if data in common), None
        )
        session.server_takes_fragments = any(
            data.startswith(profiles.FRAGMENTATION) for data in answered
        )
        group = attribute(self._chosen, IkeAttribute.GROUP_DESCRIPTION)
        self._dh = session.make_dh(group, session.random)
        request: list[Payload] = [KeyExchange(self._dh.public), Nonce(self._nonce)]
        if session.signer and not session.signer.requests_late:
            request += session.signer.requests
        request += self._nat_d()
        self.step = Step.MESSAGE_4
        return session.request("MM3", _MESSAGE_ID, session.clear(request), now)

    def _message_4(self, payloads: Payloads, now: float) -> Effect:
        session = self._session
        nat_t = session.nat_t
        session.judge(checks.message_4(payloads, None if nat_t is None else nat_t.nat_d))
        key_exchange, nonce = payloads.first(KeyExchange), payloads.first(Nonce)
        assert key_exchange is not None  # message_4 found both
        assert nonce is not None
        self._detect_nat(payloads.all(NatD))
        self._peer_public = key_exchange.data
        self._derive(self._nonce + nonce.data, self._dh.public + self._peer_public)
        signer = session.signer
        identity = signer.identity if signer else self._identity()
        _, body = build_payloads([identity])
        proof = self._proof(
            self._dh.public, self._peer_public, session.cky_i + session.cky_r, body[4:]
        )
        request: list[Payload] = signer.prove(proof) if signer else [identity, Hash(proof)]
        if session.contact_within:
            request.append(session.contact())
        floats = session.nat_t is not None and session.nat_t.floats
        session.floated = session.floated or (session.nat and floats)
        self.step = Step.MESSAGE_6
        datagram = session.sealed(
            ExchangeType.IDENTITY_PROTECTION, _MESSAGE_ID, request, self._chain
        )
        return session.request("MM5", _MESSAGE_ID, datagram, now)

    def _message_6(self, payloads: Payloads) -> list[Effect]:
        session = self._session
        signer = session.signer
        session.judge(
            checks.message_6(
                payloads,
                server_behind_nat=session.server_behind_nat,
                signed=signer is not None,
            )
        )
        identity = payloads.first(Identification)
        assert identity is not None  # message_6 found it
        cookies = session.cky_r + session.cky_i
        expected = self._proof(self._peer_public, self._dh.public, cookies, payloads.body(identity))
        if signer is None:
            proof = payloads.first(Hash)
            assert proof is not None  # message_6 found it too
            if not hmac.compare_digest(proof.data, expected):
                raise BrokenRuleError(Cause.MM6_HASH, "HASH_R does not verify")
        elif not signer.is_proved(payloads, expected):
            raise BrokenRuleError(Cause.MM6_SIGNATURE, "SIG_R does not verify")
        session.phase1_last_block = self._chain.iv
        self.step = Step.DONE
        return [
            Phase1Up(
                self._chosen,
                identity,
                session.client_behind_nat,
                session.server_behind_nat,
                None if signer is None else signatures.shown(payloads),
            )
        ]

    def _derive(self, nonces: bytes, publics: bytes) -> None:
        """Make keys and IV, of what the initiator and then the responder has sent."""
        session = self._session
        try:
            g_xy = self._dh.agree(self._peer_public)
        except ValueError as error:
            raise BrokenRuleError(Cause.MM4_KEY_EXCHANGE, str(error)) from error
        encryption = attribute(self._chosen, IkeAttribute.ENCRYPTION_ALGORITHM)
        key_length = None
        if encryption == EncryptionAlgorithm.AES_CBC:
            key_length = attribute(self._chosen, IkeAttribute.KEY_LENGTH)
        session.secrets = derivation.derive(
            self._hash,
            encryption,
            derivation.phase1_key_size(encryption, key_length),
            None if session.signer else session.psk,
            nonces,
            g_xy,
            session.cky_i + session.cky_r,
        )
        iv = derivation.digest(self._hash, publics)
        size = derivation.block_size(encryption)
        self._chain = CbcChain(encryption, session.secrets.key, iv[:size])

    def _proof(self, own: bytes, other: bytes, cookies: bytes, id_b: bytes) -> bytes:
        session = self._session
        algorithm = session.signer.hash(self._hash) if session.signer else self._hash
        return derivation.prf(
            algorithm, session.keys.skeyid, own, other, cookies, self._sai_b, id_b
        )

    def _nat_d(self) -> tuple[NatD, ...]:
        """The other side first (AI, ident_ir2mx)."""
        session = self._session
        if session.nat_t is None:
            return ()
        path = session.path
        made = (
            NatD(self._nat_hash(path.server, path.server_port), session.nat_t.nat_d),
            NatD(self._nat_hash(path.inner, path.inner_port), session.nat_t.nat_d),
        )
        return made[::-1] if session.nat_t.own_end_first else made

    def _detect_nat(self, received: tuple[NatD, ...]) -> None:
        """The first is of us as the server sees us, the others are of the server itself."""
        session = self._session
        if not received or session.nat_t is None:
            return
        if session.nat_t.own_end_first:
            received = received[::-1]
        path = session.path
        ours = self._nat_hash(path.inner, path.inner_port)
        theirs = self._nat_hash(path.server, path.server_port)
        session.client_behind_nat = received[0].data != ours
        session.server_behind_nat = all(nat_d.data != theirs for nat_d in received[1:])

    def _nat_hash(self, address: Address, port: int) -> bytes:
        cookies = self._session.cky_i + self._session.cky_r
        return derivation.digest(self._hash, cookies, address.packed, port.to_bytes(2))

    def _identity(self) -> Identification:
        """A name, or the inner address with port 500 even on 4500 (AI, ipsecdoi_setid1)."""
        profile = self._session.profile
        if profile.fqdn is not None:
            return Identification(IdType.FQDN, 0, 0, profile.fqdn.encode())
        shown = self._session.path.inner if profile.claims is None else profile.claims[0]
        return Identification(address_type(shown), UDP, IKE_PORT, shown.packed)


def address_type(address: Address) -> IdType:
    """The ID type of an address."""
    return IdType.IPV4_ADDR if address.version == 4 else IdType.IPV6_ADDR


def attribute(transform: Transform, kind: int) -> int:
    """The value of an attribute that a transform is known to have."""
    return next(attribute.number for attribute in transform.attributes if attribute.type == kind)
