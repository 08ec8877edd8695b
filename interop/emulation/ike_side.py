"""The IKE of an emulated client: its ISAKMP SA and the one after it, its ESP SAs, its timers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ikev1.wire.enums import IkeAttribute, LifeType, NotifyType
from ikev1.wire.header import COOKIE_LENGTH
from ikev1.wire.sa import Transform
from interop.clients.model import Client, Requests
from interop.emulation.complaints import Step
from interop.emulation.effects import InstallSas, Rekeyed, RemoveSas
from interop.emulation.secrets import Secrets
from interop.findings import Finding, Rule
from interop.initiator import effects as ike
from interop.initiator import signatures
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey
from interop.initiator.engine import Initiator
from interop.initiator.main_mode import Step as WaitsFor
from interop.initiator.profiles import L2tpPort
from interop.initiator.session import NON_ESP_MARKER, ClientPath
from interop.initiator.signatures import Signer

NAT_KEEPALIVE = b"\xff"
"""RFC 3948 section 2.3."""
FLOATED_PORT = 4500
ANSWER_LIMIT = 5.0
"""Seconds that a sign of life may take; racoon's dpd_retry."""

_STEPS = {
    WaitsFor.IDLE: Step.MESSAGE_2,
    WaitsFor.MESSAGE_2: Step.MESSAGE_2,
    WaitsFor.MESSAGE_4: Step.MESSAGE_4,
    WaitsFor.MESSAGE_6: Step.MESSAGE_6,
    WaitsFor.AGGRESSIVE_2: Step.AGGRESSIVE_2,
    WaitsFor.DONE: Step.QUICK_MODE,
}


@dataclass(frozen=True, slots=True)
class FirstSas:
    """The first ESP SAs are there: what goes through them may begin."""


Event = ike.Send | InstallSas | RemoveSas | Rekeyed | FirstSas | Finding


class IkeSide:
    """All ISAKMP SAs of one client, of which there are two while one replaces the other.

    `dialled` is what the user has typed as the server, for the check of its certificate.
    """

    def __init__(
        self,
        client: Client,
        secrets: Secrets,
        path: ClientPath,
        random: Callable[[int], bytes],
        make_dh: Callable[[int, Callable[[int], bytes]], DhKey],
        dialled: str,
        *,
        lets_server_rekey: bool,
    ) -> None:
        self._client = client
        self._conduct = client.conduct.profile
        self._secrets = secrets
        self._path = path
        self._random = random
        self._make_dh = make_dh
        self._dialled = dialled
        self._lets_server_rekey = lets_server_rekey
        self._told: dict[Initiator, int] = {}
        self._asked: dict[bytes, float] = {}
        """By the number of a question for a sign of life, until when the answer may come."""
        self._replaced: dict[bytes, float] = {}
        """By the SPI of an inbound SA that has been replaced and deleted, when."""
        self._floated = False
        self._sas: list[ike.EspSas] = []
        self._spis: set[bytes] = set()
        self._renewing = False
        """Whether ESP SAs are made anew for a session that there is."""
        self._rekey_phase1_at: float | None = None
        self._rekey_phase2_at: float | None = None
        self._keepalive_at: float | None = None
        self._successor: Initiator | None = None
        self._current = self._initiator(path)
        self._cookies = {self._cookie(self._current)}

    # --- what it is asked ------------------------------------------------------------------------

    @property
    def step(self) -> Step:
        """Where Main Mode and Quick Mode are."""
        return _STEPS[self._current.waits_for] if self._successor is None else Step.REKEY_PHASE_1

    @property
    def cookies(self) -> frozenset[bytes]:
        """The initiator cookies of all ISAKMP SAs that there were."""
        return frozenset(self._cookies)

    @property
    def spis(self) -> frozenset[bytes]:
        """The SPIs of all inbound ESP SAs that there were."""
        return frozenset(self._spis)

    @property
    def tells_initial_contact(self) -> bool:
        """Whether the server has been told to forget what was before."""
        tells = self._client.ike.profile.tells_initial_contact
        return tells and self._current.waits_for is WaitsFor.DONE

    def receives_under(self, spi: bytes) -> bool:
        """Whether an inbound ESP SA in use has this SPI."""
        return any(sas.inbound_spi == spi for sas in self._sas)

    def replaced_since(self, spi: bytes) -> float | None:
        """When an inbound SA was replaced and deleted; None if it was not."""
        return self._replaced.get(spi)

    # --- what it does ----------------------------------------------------------------------------

    def start(self, now: float) -> list[Event]:
        """Begin Main Mode."""
        return self._of(self._current.start(now), self._current, now)

    def rekey_phase2(self, now: float) -> list[Event]:
        """Replace the ESP SAs."""
        self._rekey_phase2_at = None
        return self._of(self._current.quick_mode(now), self._current, now)

    def rekey_phase1(self, now: float) -> list[Event]:
        """Replace the ISAKMP SA by a new Main Mode over the same ports."""
        self._rekey_phase1_at = None
        path = self._path
        if self._floated:
            path = replace(path, inner_port=FLOATED_PORT, server_port=FLOATED_PORT)
        self._successor = self._initiator(path, first_contact=False, floated=self._floated)
        self._cookies.add(self._cookie(self._successor))
        return self._of(self._successor.start(now), self._successor, now)

    def are_you_there(self, sequence: int, now: float) -> list[Event]:
        """Ask the server for a sign of life (RFC 3706)."""
        self._asked[sequence.to_bytes(4)] = now + ANSWER_LIMIT
        return self._of(self._current.are_you_there(sequence), self._current, now)

    def receive(self, datagram: bytes, floated: bool, now: float) -> list[Event]:
        """Take a datagram from the server's port 4500 if `floated`, else from 500."""
        message = datagram[len(NON_ESP_MARKER) :] if floated else datagram
        for engine in self._initiators():
            if self._cookie(engine) == message[:COOKIE_LENGTH]:
                return self._of(engine.receive(datagram, floated, now), engine, now)
        return []

    def advance(self, now: float) -> list[Event]:
        """Run the timers that are due."""
        events: list[Event] = []
        for engine in self._initiators():
            events += self._of(engine.advance(now), engine, now)
        if _due(self._rekey_phase2_at, now):
            events += self.rekey_phase2(now)
        if _due(self._rekey_phase1_at, now):
            events += self.rekey_phase1(now)
        for asked in [number for number, due in self._asked.items() if due <= now]:
            del self._asked[asked]
            detail = f"R-U-THERE {int.from_bytes(asked)} is not answered"
            events.append(Finding(Rule.NO_SIGN_OF_LIFE, detail, fatal=False))
        if _due(self._keepalive_at, now):
            self._keepalive_at = now + (self._conduct.keepalive or 0.0)
            events.append(ike.Send(NAT_KEEPALIVE, floated=True))
        return events

    def next_deadline(self) -> float | None:
        """When `advance` has something to do."""
        times = [engine.next_deadline() for engine in self._initiators()]
        times += [self._rekey_phase1_at, self._rekey_phase2_at, self._keepalive_at]
        times += self._asked.values()
        return min((time for time in times if time is not None), default=None)

    def keep_as_it_is(self) -> None:
        """Rekey nothing any more: the end is near."""
        self._rekey_phase1_at = self._rekey_phase2_at = None

    def close(self, now: float) -> list[Event]:
        """Say goodbye as this client does, if there is anything to end, and be over."""
        goodbye = self._current.close(now) if self._current.waits_for is WaitsFor.DONE else []
        events: list[Event] = [event for event in goodbye if isinstance(event, ike.Send)]
        events += [RemoveSas(sas) for sas in self._sas]
        self._sas = []
        self._current.forget()
        self._successor = None
        self.keep_as_it_is()
        self._keepalive_at = None
        self._asked.clear()
        return events

    # --- what happens to it ----------------------------------------------------------------------

    def _initiator(
        self, path: ClientPath, *, first_contact: bool = True, floated: bool = False
    ) -> Initiator:
        return Initiator(
            self._client.ike.profile,
            self._secrets.psk,
            path,
            self._random,
            tolerated=frozenset(Cause) - self._conduct.insists_on,
            make_dh=self._make_dh,
            first_contact=first_contact,
            floated=floated,
            signer=self._signer(),
            lets_server_rekey=self._lets_server_rekey,
        )

    def _signer(self) -> Signer | None:
        own, use = self._secrets.certificate, self._conduct.certificate
        if own is None:
            return None
        if use is None:
            raise ValueError(f"{self._client.title} knows preshared keys alone")
        chain = own.issuers[:-1] if use.chain else ()
        signer = Signer.of(
            own.key,
            own.certificate,
            *chain,
            any_authority=use.requests is not Requests.NEVER,
        )
        return replace(signer, requests_late=use.requests is Requests.MESSAGE_5)

    def _initiators(self) -> list[Initiator]:
        return [self._current] if self._successor is None else [self._current, self._successor]

    @staticmethod
    def _cookie(engine: Initiator) -> bytes:
        return engine.cookies[:COOKIE_LENGTH]

    def _of(self, happened: Sequence[ike.Effect], engine: Initiator, now: float) -> list[Event]:
        events: list[Event] = self._tolerated(engine)
        for event in happened:
            match event:
                case ike.Send():
                    events.append(event)
                    self._floated = self._floated or event.floated
                    if event.floated and self._conduct.keepalive is not None:
                        self._keepalive_at = now + self._conduct.keepalive
                case ike.Phase1Up():
                    events += self._phase1_up(event, engine, now)
                case ike.EspSas():
                    events += self._esp_up(event, now)
                case ike.EspDeleted(spi):
                    events += self._esp_deleted(spi, now)
                case ike.Closed(by_server=True):
                    events += self._isakmp_deleted(engine, now)
                case ike.Notified(name, data):
                    events += self._notified(name, data)
                case ike.Failed(cause, detail):
                    events.append(Finding(cause, detail))
        return events

    def _notified(self, name: str, data: bytes) -> list[Event]:
        if name == NotifyType.R_U_THERE_ACK.name:
            self._asked.pop(data, None)
        if name == NotifyType.LOAD_BALANCE.name:
            fatal = self._conduct.follows_load_balance
            return [Finding(Rule.REDIRECTED, f"to {data.hex('.')}", fatal=fatal)]
        return []

    def _tolerated(self, engine: Initiator) -> list[Event]:
        """What was found since the last look, and is no reason to stop."""
        found = engine.findings
        new = found[self._told.get(engine, 0) :]
        self._told[engine] = len(found)
        return [
            Finding(cause, detail, fatal=False)
            for cause, detail in new
            if cause not in self._conduct.insists_on
        ]

    def _phase1_up(self, event: ike.Phase1Up, engine: Initiator, now: float) -> list[Event]:
        use = self._conduct.certificate
        if event.certificate is not None and use is not None and use.checks_name:
            names = signatures.names(event.certificate)
            if self._dialled not in names:
                detail = f"dialled {self._dialled}, but the certificate is for {', '.join(names)}"
                return [Finding(Rule.SERVER_NAME, detail)]
        part = self._phase1_part(engine)
        lifetime = _seconds(event.transform) or self._client.ike.profile.phase1_lifetime
        self._rekey_phase1_at = None if part is None else now + part * lifetime
        if engine is not self._successor:
            return self._of(engine.quick_mode(now), engine, now)
        goodbye = engine.take_over(self._current)
        self._current, self._successor = engine, None
        return [*self._of(goodbye, engine, now), Rekeyed(1)]

    def _phase1_part(self, engine: Initiator) -> float | None:
        """The part of its lifetime after which an ISAKMP SA is replaced."""
        ours, theirs = engine.cookies[:COOKIE_LENGTH], engine.cookies[COOKIE_LENGTH:]
        greater = self._conduct.phase1_rekey_as_greater
        return greater if greater is not None and ours > theirs else self._conduct.phase1_rekey

    def _esp_up(self, sas: ike.EspSas, now: float) -> list[Event]:
        profile = self._client.ike.profile
        part = self._conduct.phase2_rekey
        self._rekey_phase2_at = None if part is None else now + part * profile.esp_lifetime
        events: list[Event] = [
            InstallSas(
                sas,
                encapsulated=self._current.behind_nat,
                floated=self._floated,
                client_port=0 if profile.l2tp_port is L2tpPort.ANY else sas.ids[0].port,
                server_port=profile.server_port,
            )
        ]
        self._spis.add(sas.inbound_spi)
        replaced, self._sas = self._sas, [sas]
        renewing, self._renewing = self._renewing, False
        if not replaced:
            return [*events, Rekeyed(2) if renewing else FirstSas()]
        if not self._conduct.deletes_rekeyed:
            self._sas = [*replaced, sas]
            return [*events, Rekeyed(2)]
        for old in replaced:
            self._replaced[old.inbound_spi] = now
            events += self._of(self._current.delete_esp(old.inbound_spi), self._current, now)
            events.append(RemoveSas(old))
        return [*events, Rekeyed(2)]

    def _esp_deleted(self, spi: bytes, now: float) -> list[Event]:
        gone = [sas for sas in self._sas if sas.outbound_spi == spi]
        self._sas = [sas for sas in self._sas if sas not in gone]
        events: list[Event] = [RemoveSas(sas) for sas in gone]
        if gone and not self._sas and self._conduct.renews_on_demand:
            self._renewing = True
            return [*events, *self.rekey_phase2(now)]
        if gone and not self._sas:
            events.append(Finding(Rule.LAST_SA_DELETED, "the gateway deleted the ESP SAs"))
        return events

    def _isakmp_deleted(self, engine: Initiator, now: float) -> list[Event]:
        if engine is not self._current or self._successor is not None:
            return []
        if self._conduct.needs_phase1 or not self._sas:
            return [Finding(Rule.ISAKMP_SA_DELETED, "the gateway deleted the ISAKMP SA")]
        return self.rekey_phase1(now)


def _due(when: float | None, now: float) -> bool:
    return when is not None and now >= when


def _seconds(transform: Transform) -> int | None:
    """The lifetime that a Phase 1 transform tells."""
    seconds = False
    for attribute in transform.attributes:
        if attribute.type == IkeAttribute.LIFE_TYPE:
            seconds = attribute.number == LifeType.SECONDS
        elif attribute.type == IkeAttribute.LIFE_DURATION and seconds:
            return attribute.number
    return None
