"""What the exchanges of one ISAKMP SA share: cookies, path, secrets, requests under way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from ikev1.errors import ProtocolError
from ikev1.wire.enums import Doi, ExchangeType, Flag, NotifyType, ProtocolId
from ikev1.wire.header import HEADER_LENGTH, VERSION_1_0, Header, build_header
from ikev1.wire.message import Payloads, build_payloads, parse_payloads
from ikev1.wire.payloads import Hash, Notification, Payload
from interop.initiator import derivation
from interop.initiator.checks import Cause, Findings
from interop.initiator.derivation import CbcChain, DhKey, Phase1Secrets
from interop.initiator.effects import Effect, Send
from interop.initiator.natt import NatT
from interop.initiator.profiles import Profile
from interop.initiator.signatures import Signer

Address = IPv4Address | IPv6Address

IKE_PORT = 500
NON_ESP_MARKER = bytes(4)  # RFC 3948 section 2.2


@dataclass(frozen=True, slots=True)
class ClientPath:
    """The client's own view of its path: with a NAT on it, not what the server sees.

    `inner` goes into NAT-D, the identities and NAT-OA. `l2tp_port` is the one that an EPHEMERAL
    profile names in IDci.
    """

    inner: Address
    server: Address
    inner_port: int = IKE_PORT
    server_port: int = IKE_PORT
    l2tp_port: int = 49152
    server_original: Address | None = None
    """What a server says in NAT-OAr that is behind a NAT and shows the address before it."""


class BrokenRuleError(Exception):
    """An answer that the client does not survive."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(cause, detail)
        self.cause = cause
        self.detail = detail


@dataclass(slots=True)
class Unanswered:
    """A request and the schedule of its repetitions, in seconds."""

    name: str
    datagram: bytes
    due: float
    interval: float
    tries: int


@dataclass(slots=True)
class Session:
    """One client's ISAKMP SA, from its first message on."""

    profile: Profile
    psk: bytes = field(repr=False)
    path: ClientPath
    random: Callable[[int], bytes] = field(repr=False)
    make_dh: Callable[[int, Callable[[int], bytes]], DhKey] = field(repr=False)
    tolerated: frozenset[Cause]
    cky_i: bytes
    cky_r: bytes = bytes(8)
    signer: Signer | None = None
    """In place of the preshared key."""
    first_contact: bool = True
    """Whether there was no ISAKMP SA with this server before."""
    floated: bool = False
    client_behind_nat: bool = False
    server_behind_nat: bool = False
    server_takes_fragments: bool = False
    """Whether message 2 announced it."""
    nat_t: NatT | None = None
    """The variant of NAT traversal agreed on."""
    secrets: Phase1Secrets | None = None
    phase1_last_block: bytes = b""
    findings: list[tuple[Cause, str]] = field(default_factory=list)
    unanswered: dict[int, Unanswered] = field(default_factory=dict)
    """By message ID."""

    @property
    def nat(self) -> bool:
        """Whether ESP goes in UDP."""
        return self.client_behind_nat or self.server_behind_nat

    @property
    def contact_within(self) -> bool:
        """Whether message 5 has INITIAL-CONTACT."""
        return self._tells_contact and not self.profile.initial_contact_apart

    @property
    def contact_apart(self) -> bool:
        """Whether an Informational after Phase 1 has INITIAL-CONTACT."""
        return self._tells_contact and self.profile.initial_contact_apart

    @property
    def _tells_contact(self) -> bool:
        return self.first_contact and self.profile.initial_contact

    def contact(self) -> Notification:
        """INITIAL-CONTACT (RFC 2407 section 4.6.3.3)."""
        cookies = self.cky_i + self.cky_r
        return Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, cookies, b"")

    @property
    def keys(self) -> Phase1Secrets:
        """The secrets, once there are some."""
        if self.secrets is None:
            raise BrokenRuleError(Cause.UNEXPECTED_EXCHANGE, "before there are keys")
        return self.secrets

    def judge(self, findings: Findings) -> None:
        """Keep all findings; raises BrokenRuleError for the first that is not tolerated."""
        found = list(findings)
        self.findings += found
        for cause, detail in found:
            if cause not in self.tolerated:
                raise BrokenRuleError(cause, detail)

    def send(self, datagram: bytes) -> Send:
        """To where the server listens now."""
        return Send(NON_ESP_MARKER + datagram if self.floated else datagram, self.floated)

    def request(self, name: str, message_id: int, datagram: bytes, now: float) -> Effect:
        """Send what wants an answer."""
        schedule = self.profile.retransmission
        self.unanswered[message_id] = Unanswered(
            name, datagram, now + schedule.base, schedule.base, schedule.tries
        )
        return self.send(datagram)

    def clear(
        self, payloads: list[Payload], exchange: ExchangeType = ExchangeType.IDENTITY_PROTECTION
    ) -> bytes:
        """Build a message of Phase 1 that is not encrypted."""
        first, body = build_payloads(payloads)
        return self._header(exchange, 0, first, 0, len(body)) + body

    def sealed(
        self, exchange: ExchangeType, message_id: int, payloads: list[Payload], chain: CbcChain
    ) -> bytes:
        """Build an encrypted message."""
        first, body = build_payloads(payloads)
        ciphertext = chain.encrypt(body)
        header = self._header(exchange, message_id, first, Flag.ENCRYPTION, len(ciphertext))
        return header + ciphertext

    def hashed(
        self,
        exchange: ExchangeType,
        message_id: int,
        payloads: list[Payload],
        chain: CbcChain,
        nonce: bytes = b"",
    ) -> bytes:
        """Build an encrypted message that HASH(1) goes before (RFC 2409 section 5.5).

        Or HASH(2), where `nonce` is Ni_b.
        """
        _, covered = build_payloads(payloads)
        proof = Hash(self.mac(message_id.to_bytes(4), nonce, covered))
        return self.sealed(exchange, message_id, [proof, *payloads], chain)

    def unseal(self, header: Header, datagram: bytes, chain: CbcChain) -> Payloads:
        """Decrypt the payloads of a message; raises BrokenRuleError."""
        if not header.flags & Flag.ENCRYPTION:
            raise BrokenRuleError(Cause.NOT_ENCRYPTED, f"{header.exchange_type}")
        try:
            plaintext = chain.decrypt(datagram[HEADER_LENGTH:])
            return parse_payloads(header.next_payload, plaintext, encrypted=True)
        except (ValueError, ProtocolError) as error:
            raise BrokenRuleError(Cause.CIPHERTEXT, str(error)) from error

    def mac(self, *data: bytes) -> bytes:
        """The PRF under SKEYID_a."""
        return derivation.prf(self.keys.hash, self.keys.skeyid_a, *data)

    def new_chain(self, message_id: int) -> CbcChain:
        """The chain of an exchange after Phase 1 (RFC 2409 appendix B)."""
        keys = self.keys
        iv = derivation.digest(keys.hash, self.phase1_last_block, message_id.to_bytes(4))
        size = derivation.block_size(keys.encryption)
        return CbcChain(keys.encryption, keys.key, iv[:size])

    def new_message_id(self) -> int:
        """Draw a message ID; 0 is Phase 1's."""
        return int.from_bytes(self.random(4)) or 1

    def _header(
        self, exchange: ExchangeType, message_id: int, first: int, flags: int, size: int
    ) -> bytes:
        return build_header(
            Header(
                self.cky_i,
                self.cky_r,
                first,
                VERSION_1_0,
                exchange,
                flags,
                message_id,
                HEADER_LENGTH + size,
            )
        )
