"""The initiator of one client: exchanges in their order, timers, Delete and DPD. Sans-IO."""

import hmac
from collections.abc import Callable, Iterable

from ikev1.errors import ProtocolError
from ikev1.wire.enums import Doi, ExchangeType, Flag, NotifyType, PayloadType, ProtocolId
from ikev1.wire.header import HEADER_LENGTH, Header, parse_header
from ikev1.wire.message import Payloads, parse_payloads
from ikev1.wire.payloads import Delete, Hash, Notification, Payload
from interop.initiator import derivation
from interop.initiator.aggressive_mode import AggressiveMode
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey
from interop.initiator.effects import Closed, Effect, EspDeleted, EspSas, Failed, Notified, Phase1Up
from interop.initiator.fragmentation import Fragments
from interop.initiator.main_mode import MainMode, Step
from interop.initiator.main_mode_answer import MainModeAnswer
from interop.initiator.profiles import Profile
from interop.initiator.quick_mode import QuickMode
from interop.initiator.quick_mode_answer import QuickModeAnswer
from interop.initiator.session import NON_ESP_MARKER, BrokenRuleError, ClientPath, Session
from interop.initiator.signatures import Signer

# RFC 2408 section 3.14.1: below it are errors.
_FIRST_STATUS = 16384


class Initiator:
    """One client and its ISAKMP SA.

    `tolerated` causes do not end an exchange; all that was found is in `findings`. `make_dh` can be
    replaced to let many clients share a key pair. A Phase 1 that replaces another is no
    `first_contact`, and begins `floated` on port 4500 if the other was there. `lets_server_rekey`
    is for a server that is set to do so: from any other a Quick Mode is a fault. With a `signer`
    the preshared key is not used. `begun_by_server` is the initiator cookie of a Main Mode of the
    server, which this engine answers: it is not started.
    """

    def __init__(
        self,
        profile: Profile,
        psk: bytes,
        path: ClientPath,
        random: Callable[[int], bytes],
        *,
        tolerated: frozenset[Cause] = frozenset(),
        make_dh: Callable[[int, Callable[[int], bytes]], DhKey] = derivation.dh_key,
        first_contact: bool = True,
        floated: bool = False,
        lets_server_rekey: bool = False,
        signer: Signer | None = None,
        begun_by_server: bytes = b"",
    ) -> None:
        cookie = random(8)
        self._session = Session(profile, psk, path, random, make_dh, tolerated, cookie)
        self._session.first_contact = first_contact
        self._session.floated = floated
        self._session.signer = signer
        self._fragments = Fragments(self._session)
        name = profile.group_name
        self._phase1: AggressiveMode | MainMode
        if begun_by_server:
            self._session.cky_i, self._session.cky_r = begun_by_server, cookie
            self._phase1 = MainModeAnswer(self._session)
        else:
            self._phase1 = AggressiveMode(self._session, name) if name else MainMode(self._session)
        self._quick_modes: dict[int, QuickMode] = {}
        self._quick_mode_answers: dict[int, QuickModeAnswer] = {}
        self._lets_server_rekey = lets_server_rekey
        self._sas: list[EspSas] = []
        self._over = False

    @property
    def findings(self) -> tuple[tuple[Cause, str], ...]:
        """Every rule that an answer broke, tolerated or not."""
        return tuple(self._session.findings)

    @property
    def cookies(self) -> bytes:
        """Both cookies, the initiator's first."""
        return self._session.cky_i + self._session.cky_r

    @property
    def behind_nat(self) -> bool:
        """Whether there is a NAT on the path, on either side."""
        return self._session.nat

    @property
    def waits_for(self) -> Step:
        """Where Phase 1 is."""
        return self._phase1.step

    def adopt(self, sas: Iterable[EspSas]) -> None:
        """Have ESP SAs that were made under another ISAKMP SA, the newest last."""
        self._sas = [*sas, *self._sas]

    def take_over(self, old: "Initiator") -> list[Effect]:
        """Be the successor of another ISAKMP SA, which ends; its ESP SAs are ours now."""
        self.adopt(old._sas)
        old._sas = []
        goodbye = old.close(0.0)
        return [effect for effect in goodbye if not isinstance(effect, Closed)]

    def forget(self) -> None:
        """Be over without a word."""
        self._finish()

    def start(self, now: float) -> list[Effect]:
        """Begin Phase 1."""
        return self._new(self._phase1.start(now))

    def quick_mode(self, now: float) -> list[Effect]:
        """Begin a Quick Mode, the first or one that rekeys. Phase 1 must be done."""
        exchange = QuickMode(self._session, self._session.new_message_id())
        self._quick_modes[exchange.message_id] = exchange
        return self._new([exchange.start(now)])

    def close(self, now: float) -> list[Effect]:
        """Say goodbye as this client does: Deletes for the ESP SAs, then for the ISAKMP SA."""
        del now
        goodbye = self._session.profile.goodbye
        effects: list[Effect] = []
        if self._sas and goodbye.esp:
            spis = tuple(sa.inbound_spi for sa in self._sas)
            effects += self._copies(Delete(Doi.IPSEC, ProtocolId.ESP, spis))
        if goodbye.isakmp:
            effects += self._copies(Delete(Doi.IPSEC, ProtocolId.ISAKMP, (self.cookies,)))
        self._finish()
        return self._new([*effects, Closed(by_server=False)])

    def delete_isakmp(self) -> list[Effect]:
        """Delete the ISAKMP SA alone, as after another has taken its place."""
        effect = self._inform([Delete(Doi.IPSEC, ProtocolId.ISAKMP, (self.cookies,))])
        self._finish()
        return self._new([effect, Closed(by_server=False)])

    def delete_esp(self, spi: bytes) -> list[Effect]:
        """Delete one inbound ESP SA, as after a rekeying."""
        self._sas = [sa for sa in self._sas if sa.inbound_spi != spi]
        return self._new([self._inform([Delete(Doi.IPSEC, ProtocolId.ESP, (spi,))])])

    def are_you_there(self, sequence: int) -> list[Effect]:
        """Ask for a sign of life (RFC 3706 section 5.3)."""
        return self._new([self._dpd(NotifyType.R_U_THERE, sequence.to_bytes(4))])

    def receive(self, datagram: bytes, floated: bool, now: float) -> list[Effect]:
        """Take a datagram from the server's port 4500 if `floated`, else from 500."""
        if floated:
            if not datagram.startswith(NON_ESP_MARKER):
                return []
            datagram = datagram[len(NON_ESP_MARKER) :]
        if self._over or datagram[:8] != self._session.cky_i:
            return []
        try:
            header = parse_header(datagram)
            if header.next_payload == PayloadType.FRAGMENT:
                message = self._fragments.take(header, datagram)
                if message is None:
                    return []
                header, datagram = parse_header(message), message
            return self._new(self._dispatch(header, datagram, now))
        except ProtocolError as error:
            return self._fail(Cause.MALFORMED, str(error))
        except BrokenRuleError as error:
            return self._fail(error.cause, error.detail)

    def advance(self, now: float) -> list[Effect]:
        """Repeat the requests that are due, or give up."""
        effects: list[Effect] = []
        for message_id, request in list(self._session.unanswered.items()):
            if request.due > now:
                continue
            if request.tries == 0:
                if message_id in self._quick_mode_answers:
                    self._quick_mode_answers[message_id].give_up()
                    continue
                effects += self._fail(Cause.TIMEOUT, f"no answer to {request.name}")
                break
            request.tries -= 1
            request.interval *= self._session.profile.retransmission.factor
            request.due = now + request.interval
            effects.append(self._session.send(request.datagram))
        return self._fragments.cut(effects, repeated=True)

    def next_deadline(self) -> float | None:
        """When `advance` has something to do."""
        return min((request.due for request in self._session.unanswered.values()), default=None)

    def _new(self, effects: list[Effect]) -> list[Effect]:
        """What is sent for the first time, in fragments where it is large."""
        return self._fragments.cut(effects, repeated=False)

    def _dispatch(self, header: Header, datagram: bytes, now: float) -> list[Effect]:
        begins = isinstance(self._phase1, MainModeAnswer) and not any(header.responder_cookie)
        strange = header.responder_cookie != self._session.cky_r and any(self._session.cky_r)
        if strange and not begins:
            return []
        if header.exchange_type == self._phase1.kind:
            effects = self._phase1.receive(header, datagram, now)
            begun = not isinstance(self._phase1, MainModeAnswer)
            if (
                begun
                and self._session.contact_apart
                and any(isinstance(it, Phase1Up) for it in effects)
            ):
                effects.insert(0, self._inform([self._session.contact()]))
            return effects
        if header.exchange_type == ExchangeType.INFORMATIONAL:
            return self._informational(header, datagram)
        exchange = self._quick_modes.get(header.message_id) or self._answer_to(
            header.message_id, now
        )
        if header.exchange_type != ExchangeType.QUICK_MODE or exchange is None:
            raise BrokenRuleError(
                Cause.UNEXPECTED_EXCHANGE, f"{header.exchange_type} {header.message_id:08x}"
            )
        effects = exchange.receive(header, datagram)
        self._sas += [effect for effect in effects if isinstance(effect, EspSas)]
        return effects

    def _answer_to(self, message_id: int, now: float) -> QuickModeAnswer | None:
        """The Quick Mode that the server has begun, or begins now, where that is its right."""
        if not self._lets_server_rekey or not self._sas:
            return None
        if message_id not in self._quick_mode_answers:
            answer = QuickModeAnswer(self._session, message_id, self._sas[-1].ids, now)
            self._quick_mode_answers[message_id] = answer
        return self._quick_mode_answers[message_id]

    def _informational(self, header: Header, datagram: bytes) -> list[Effect]:
        session = self._session
        done = self._phase1.step is Step.DONE
        if header.flags & Flag.ENCRYPTION and not done:
            # Such as a responder's complaint under the keys of another preshared key.
            session.findings.append((Cause.CIPHERTEXT, "an encrypted INFORMATIONAL before MM6"))
            return []
        if header.flags & Flag.ENCRYPTION:
            payloads = session.unseal(header, datagram, session.new_chain(header.message_id))
            self._verify(header.message_id, payloads)
        elif done:
            return []
        else:
            # It proves nothing, but a client that waits for message 2 has no more than this.
            payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
        effects: list[Effect] = []
        for payload in payloads.values:
            if isinstance(payload, Notification):
                effects += self._notification(payload)
            elif isinstance(payload, Delete):
                effects += self._delete(payload)
        return effects

    def _verify(self, message_id: int, payloads: Payloads) -> None:
        proof = payloads.items[0].value if payloads.items else None
        expected = self._session.mac(message_id.to_bytes(4), payloads.raw_after_first())
        if not isinstance(proof, Hash) or not hmac.compare_digest(proof.data, expected):
            raise BrokenRuleError(Cause.INFORMATIONAL_HASH, "HASH(1) does not verify")

    def _notification(self, payload: Notification) -> list[Effect]:
        if payload.notify_type == NotifyType.R_U_THERE:
            return [self._dpd(NotifyType.R_U_THERE_ACK, payload.data)]
        if payload.notify_type < _FIRST_STATUS:
            waiting = ", ".join(request.name for request in self._session.unanswered.values())
            raise BrokenRuleError(Cause.REFUSED, f"{payload.notify_type} to {waiting or 'nothing'}")
        return [Notified(str(payload.notify_type), payload.data)]

    def _delete(self, payload: Delete) -> list[Effect]:
        if payload.protocol_id != ProtocolId.ISAKMP:
            self._sas = [sa for sa in self._sas if sa.outbound_spi not in payload.spis]
            return [EspDeleted(spi) for spi in payload.spis]
        if self.cookies not in payload.spis:
            return []
        self._finish()
        return [Closed(by_server=True)]

    def _copies(self, payload: Payload) -> list[Effect]:
        """The same in as many messages as this client sends."""
        return [self._inform([payload]) for _ in range(self._session.profile.goodbye.copies)]

    def _dpd(self, kind: NotifyType, data: bytes) -> Effect:
        notification = Notification(Doi.IPSEC, ProtocolId.ISAKMP, kind, self.cookies, data)
        return self._inform([notification])

    def _inform(self, payloads: list[Payload]) -> Effect:
        session = self._session
        message_id = session.new_message_id()
        chain = session.new_chain(message_id)
        return session.send(session.hashed(ExchangeType.INFORMATIONAL, message_id, payloads, chain))

    def _fail(self, cause: Cause, detail: str) -> list[Effect]:
        self._finish()
        return [Failed(cause, detail)]

    def _finish(self) -> None:
        self._over = True
        self._session.unanswered.clear()
