"""Aggressive Mode with a preshared key (RFC 2409 section 5.4), as far as a gateway should let it.

HDR, SA, KE, Ni, IDii, VID...  -->
                               <--  a refusal, or nothing

Message 2 would give HASH_R to whoever asks, and so the preshared key to whoever guesses it.
"""

from ikev1.wire.enums import ExchangeType
from ikev1.wire.header import HEADER_LENGTH, Header
from ikev1.wire.message import parse_payloads
from ikev1.wire.payloads import Identification, KeyExchange, Nonce, Payload, VendorId
from interop.initiator import offers
from interop.initiator.checks import Cause
from interop.initiator.effects import Effect
from interop.initiator.main_mode import Step
from interop.initiator.profiles import GroupName
from interop.initiator.session import BrokenRuleError, Session

_MESSAGE_ID = 0


class AggressiveMode:
    """The exchange of one session, for a client with a `name`."""

    kind = ExchangeType.AGGRESSIVE

    def __init__(self, session: Session, name: GroupName) -> None:
        self.step = Step.IDLE
        self._session = session
        self._name = name

    def start(self, now: float) -> list[Effect]:
        """Send message 1, the public value in the group of the first offer."""
        session, profile = self._session, self._session.profile
        request: list[Payload] = [
            offers.sa(offers.phase1_proposal(profile)),
            KeyExchange(session.make_dh(profile.phase1[0].group, session.random).public),
            Nonce(session.random(profile.nonce_size)),
            Identification(self._name.id_type, 0, 0, self._name.name.encode()),
            *map(VendorId, profile.vendor_ids),
        ]
        self.step = Step.AGGRESSIVE_2
        return [session.request("AM1", _MESSAGE_ID, session.clear(request, self.kind), now)]

    def receive(self, header: Header, datagram: bytes, now: float) -> list[Effect]:
        """Take message 2, which must not be. Raises BrokenRuleError."""
        del now
        kinds = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:]).values
        shown = ", ".join(payload.type.name for payload in kinds)
        raise BrokenRuleError(Cause.AGGRESSIVE_MODE, f"message 2 with {shown}")
