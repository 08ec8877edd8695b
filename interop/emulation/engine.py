"""A whole client: IKE, L2TP and PPP of one profile, in the order and at the times of its original.

The program around it carries datagrams, keeps the SAs and the clock:

    dial, receive_ike, receive_l2tp, send_packet, advance, hang_up -> list[Effect]
    next_deadline() -> float | None
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ikev1.wire.enums import IkeAttribute, LifeType
from ikev1.wire.header import COOKIE_LENGTH
from ikev1.wire.sa import Transform
from interop.clients.model import Client
from interop.emulation.complaints import Complaint, Step
from interop.emulation.effects import (
    Down,
    Effect,
    InstallSas,
    Packet,
    Rekeyed,
    Remark,
    RemoveSas,
    SendL2tp,
    Stopped,
    Up,
)
from interop.findings import Finding, Rule
from interop.initiator import effects as ike
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.engine import Initiator
from interop.initiator.main_mode import Step as WaitsFor
from interop.initiator.profiles import MS_INITIAL_CONTACT, L2tpPort
from interop.initiator.session import NON_ESP_MARKER, ClientPath
from interop.lac import lac
from interop.lac.lac import Lac, tunnel_id
from interop.lac.lac import State as TunnelState
from interop.ppp import peer
from interop.ppp.login import Account
from interop.ppp.peer import Phase, PppPeer

_MAIN_MODE_STEPS = {
    WaitsFor.MESSAGE_4: Step.MESSAGE_4,
    WaitsFor.MESSAGE_6: Step.MESSAGE_6,
}
_PPP_STEPS = {
    Phase.ESTABLISH: Step.LCP,
    Phase.AUTHENTICATE: Step.LOGIN,
    Phase.NETWORK: Step.IPCP,
}

NAT_KEEPALIVE = b"\xff"
"""RFC 3948 section 2.3."""
FLOATED_PORT = 4500


class Aim(enum.Enum):
    """What the client is about."""

    IDLE = enum.auto()
    CONNECT = enum.auto()
    STAY = enum.auto()
    HANG_UP = enum.auto()
    OVER = enum.auto()


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the user has typed into the client."""

    psk: bytes = field(repr=False)
    account: Account


@dataclass(frozen=True, slots=True)
class Life:
    """What an ended connection of this machine has left: for who comes back without a goodbye."""

    cookies: frozenset[bytes] = frozenset()
    """Initiator cookies of its ISAKMP SAs."""
    spis: frozenset[bytes] = frozenset()
    """SPIs of its inbound ESP SAs."""
    tunnels: frozenset[int] = frozenset()
    """Its L2TP tunnel IDs."""


class EmulatedClient:
    """One client of one user.

    `path.l2tp_port` is the port of its L2TP socket. `make_dh` can be replaced to let many clients
    share a key pair. `before` is what `life` of an earlier connection told.
    """

    def __init__(
        self,
        client: Client,
        secrets: Secrets,
        path: ClientPath,
        random: Callable[[int], bytes],
        *,
        make_dh: Callable[[int, Callable[[int], bytes]], DhKey] = dh_key,
        before: Life | None = None,
    ) -> None:
        self.client = client
        self.step = Step.MESSAGE_2
        self.path = path
        self._secrets = secrets
        self._random = random
        self._make_dh = make_dh
        self._conduct = client.conduct.profile
        self._before = before or Life()
        self._aim = Aim.IDLE
        self._ike = self._initiator(path)
        self._successor: Initiator | None = None
        self._told: dict[Initiator, int] = {}
        self._floated = False
        self._sas: list[ike.EspSas] = []
        self._cookies = {self._ike.cookies[:COOKIE_LENGTH]}
        self._spis: set[bytes] = set()
        self._lac: Lac | None = None
        self._ppp: PppPeer | None = None
        self._rekey_phase1_at: float | None = None
        self._rekey_phase2_at: float | None = None
        self._keepalive_at: float | None = None
        self._patience: float | None = None

    @property
    def life(self) -> Life:
        """What would be left of it if it vanished now."""
        tunnels = frozenset() if self._lac is None else frozenset((self._lac.tunnel_id,))
        return Life(frozenset(self._cookies), frozenset(self._spis), tunnels)

    # --- what the user and the clock do ----------------------------------------------------------

    def dial(self, now: float) -> list[Effect]:
        """Connect."""
        self._aim = Aim.CONNECT
        return self._of_ike(self._ike.start(now), self._ike, now)

    def hang_up(self, now: float) -> list[Effect]:
        """End the connection as this client does: PPP, L2TP, IKE."""
        if self._aim in (Aim.HANG_UP, Aim.OVER):
            return []
        self._aim = Aim.HANG_UP
        self.step = Step.HANG_UP
        self._rekey_phase1_at = self._rekey_phase2_at = None
        if self._ppp is not None and self._ppp.phase is not Phase.DEAD:
            return self._of_ppp(self._ppp.hang_up(now), now)
        return self._hang_up_l2tp(now)

    def rekey_phase2(self, now: float) -> list[Effect]:
        """Replace the ESP SAs, as the client does when their time is near."""
        self._rekey_phase2_at = None
        return self._of_ike(self._ike.quick_mode(now), self._ike, now)

    def rekey_phase1(self, now: float) -> list[Effect]:
        """Replace the ISAKMP SA by a new Main Mode over the same ports."""
        self._rekey_phase1_at = None
        path = self.path
        if self._floated:
            path = replace(path, inner_port=FLOATED_PORT, server_port=FLOATED_PORT)
        self._successor = self._initiator(path, first_contact=False, floated=self._floated)
        self._cookies.add(self._successor.cookies[:COOKIE_LENGTH])
        return self._of_ike(self._successor.start(now), self._successor, now)

    def are_you_there(self, sequence: int, now: float) -> list[Effect]:
        """Ask the server for a sign of life (RFC 3706)."""
        return self._of_ike(self._ike.are_you_there(sequence), self._ike, now)

    def send_packet(self, packet: bytes) -> list[Effect]:
        """Send an IPv4 packet through the link; nothing while it is not up."""
        if self._ppp is None or self._lac is None:
            return []
        return self._frames(self._ppp.send_packet(packet))

    def advance(self, now: float) -> list[Effect]:
        """Run the timers that are due."""
        effects: list[Effect] = []
        for engine in self._initiators():
            effects += self._of_ike(engine.advance(now), engine, now)
        if self._lac is not None:
            effects += self._of_lac(self._lac.advance(now), now)
        if self._ppp is not None:
            effects += self._of_ppp(self._ppp.advance(now), now)
        if self._due(self._patience, now):
            self._patience = None
            effects += self._lose_patience(now)
        if self._due(self._rekey_phase2_at, now):
            effects += self.rekey_phase2(now)
        if self._due(self._rekey_phase1_at, now):
            effects += self.rekey_phase1(now)
        if self._due(self._keepalive_at, now):
            self._keepalive_at = now + (self._conduct.keepalive or 0.0)
            effects.append(ike.Send(NAT_KEEPALIVE, floated=True))
        return effects

    def next_deadline(self) -> float | None:
        """When `advance` has something to do."""
        times = [engine.next_deadline() for engine in self._initiators()]
        times += [
            None if engine is None else engine.next_deadline() for engine in (self._lac, self._ppp)
        ]
        times += [
            self._patience,
            self._rekey_phase1_at,
            self._rekey_phase2_at,
            self._keepalive_at,
        ]
        return min((time for time in times if time is not None), default=None)

    # --- what comes in ---------------------------------------------------------------------------

    def receive_ike(self, datagram: bytes, floated: bool, now: float) -> list[Effect]:
        """Take a datagram from the server's port 4500 if `floated`, else from 500."""
        message = datagram[len(NON_ESP_MARKER) :] if floated else datagram
        cookie = message[:COOKIE_LENGTH]
        if cookie in self._before.cookies:
            return self._haunted("an ISAKMP SA")
        for engine in self._initiators():
            if engine.cookies[:COOKIE_LENGTH] == cookie:
                return self._of_ike(engine.receive(datagram, floated, now), engine, now)
        return []

    def receive_l2tp(self, datagram: bytes, port: int, now: float) -> list[Effect]:
        """Take a datagram from the server's UDP `port` that came inside ESP."""
        if self._lac is None:
            return []
        if tunnel_id(datagram) in self._before.tunnels:
            return self._haunted("an L2TP tunnel")
        return self._of_lac(self._lac.receive(datagram, port, now), now)

    def esp_not_opened(self, spi: bytes) -> list[Effect]:
        """Hear of an ESP packet that no SA of this client opens, or that its SA finds forged."""
        if spi in self._before.spis:
            return self._haunted("an ESP SA")
        in_use = any(sas.inbound_spi == spi for sas in self._sas)
        replaced = spi in self._spis and not in_use
        if replaced or self._aim in (Aim.HANG_UP, Aim.OVER):
            return []
        detail = (
            f"the packet does not verify under SPI {spi.hex()}"
            if in_use
            else (f"no SA has SPI {spi.hex()}")
        )
        return [self._remark(Finding(Rule.ESP, detail, fatal=False))]

    def _haunted(self, what: str) -> list[Effect]:
        """Something still uses what was before; that matters once INITIAL-CONTACT is told."""
        profile = self.client.ike.profile
        tells = profile.initial_contact or MS_INITIAL_CONTACT in profile.vendor_ids
        if not tells or self.step in (Step.MESSAGE_2, Step.MESSAGE_4, Step.MESSAGE_6):
            return []
        detail = f"the gateway still uses {what} of before"
        return [self._remark(Finding(Rule.INITIAL_CONTACT, detail, fatal=False))]

    # --- IKE -------------------------------------------------------------------------------------

    def _initiator(
        self, path: ClientPath, *, first_contact: bool = True, floated: bool = False
    ) -> Initiator:
        return Initiator(
            self.client.ike.profile,
            self._secrets.psk,
            path,
            self._random,
            tolerated=frozenset(Cause) - self._conduct.insists_on,
            make_dh=self._make_dh,
            first_contact=first_contact,
            floated=floated,
        )

    def _initiators(self) -> list[Initiator]:
        return [self._ike] if self._successor is None else [self._ike, self._successor]

    def _of_ike(
        self, happened: Sequence[ike.Effect], engine: Initiator, now: float
    ) -> list[Effect]:
        effects: list[Effect] = []
        for event in happened:
            match event:
                case ike.Send():
                    effects.append(event)
                    self._floated = self._floated or event.floated
                    if event.floated and self._conduct.keepalive is not None:
                        self._keepalive_at = now + self._conduct.keepalive
                case ike.Phase1Up():
                    effects += self._phase1_up(event, engine, now)
                case ike.EspSas():
                    effects += self._esp_up(event, now)
                case ike.EspDeleted(spi):
                    effects += self._esp_deleted(spi, now)
                case ike.Closed(by_server=True):
                    effects += self._isakmp_deleted(engine, now)
                case ike.Failed(cause, detail):
                    effects += self._stop(cause, detail, now)
        self._look_at_step(engine)
        return [*self._remarks(engine), *effects]

    def _phase1_up(self, event: ike.Phase1Up, engine: Initiator, now: float) -> list[Effect]:
        part = self._conduct.phase1_rekey
        lifetime = _seconds(event.transform) or self.client.ike.profile.phase1_lifetime
        self._rekey_phase1_at = None if part is None else now + part * lifetime
        if engine is self._successor:
            goodbye = engine.take_over(self._ike)
            self._ike, self._successor = engine, None
            return [*self._of_ike(goodbye, engine, now), Rekeyed(1)]
        self.step = Step.QUICK_MODE
        return self._of_ike(engine.quick_mode(now), engine, now)

    def _esp_up(self, sas: ike.EspSas, now: float) -> list[Effect]:
        part = self._conduct.phase2_rekey
        lifetime = self.client.ike.profile.esp_lifetime
        self._rekey_phase2_at = None if part is None else now + part * lifetime
        profile = self.client.ike.profile
        any_port = profile.l2tp_port is L2tpPort.ANY
        effects: list[Effect] = [
            InstallSas(
                sas,
                encapsulated=self._ike.behind_nat,
                client_port=0 if any_port else sas.ids[0].port,
                server_port=profile.server_port,
            )
        ]
        self._spis.add(sas.inbound_spi)
        replaced, self._sas = self._sas, [sas]
        if not replaced:
            self.step = Step.TUNNEL
            self._patience = now + self._conduct.server_wait
            self._lac = Lac(self.client.l2tp.profile, self._random)
            return [*effects, *self._of_lac(self._lac.start(now), now)]
        for old in replaced:
            if self._conduct.deletes_rekeyed:
                effects += self._of_ike(self._ike.delete_esp(old.inbound_spi), self._ike, now)
                effects.append(RemoveSas(old))
            else:
                self._sas.insert(0, old)
        return [*effects, Rekeyed(2)]

    def _esp_deleted(self, spi: bytes, now: float) -> list[Effect]:
        gone = [sas for sas in self._sas if sas.outbound_spi == spi]
        self._sas = [sas for sas in self._sas if sas not in gone]
        effects: list[Effect] = [RemoveSas(sas) for sas in gone]
        if gone and not self._sas and self._aim is not Aim.HANG_UP:
            effects += self._stop(Rule.LAST_SA_DELETED, "the gateway deleted the ESP SAs", now)
        return effects

    def _isakmp_deleted(self, engine: Initiator, now: float) -> list[Effect]:
        if engine is not self._ike or self._aim in (Aim.HANG_UP, Aim.OVER):
            return []
        if self._successor is None and (self._conduct.needs_phase1 or not self._sas):
            detail = "the gateway deleted the ISAKMP SA"
            return self._stop(Rule.ISAKMP_SA_DELETED, detail, now)
        return [] if self._successor is not None else self.rekey_phase1(now)

    def _look_at_step(self, engine: Initiator) -> None:
        if engine is self._successor:
            return
        if self.step in (Step.MESSAGE_2, Step.MESSAGE_4, Step.MESSAGE_6):
            self.step = _MAIN_MODE_STEPS.get(engine.waits_for, self.step)

    def _remarks(self, engine: Initiator) -> list[Effect]:
        """Tell of what was found since the last look, and is tolerated."""
        found = engine.findings
        new = found[self._told.get(engine, 0) :]
        self._told[engine] = len(found)
        return [
            Remark(self._complaint(cause, detail))
            for cause, detail in new
            if cause not in self._conduct.insists_on
        ]

    # --- L2TP and PPP ----------------------------------------------------------------------------

    def _of_lac(self, happened: Sequence[lac.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for event in happened:
            match event:
                case lac.SendDatagram(datagram, port):
                    effects.append(SendL2tp(datagram, port))
                case lac.FrameReceived(frame):
                    if self._ppp is not None:
                        effects += self._of_ppp(self._ppp.receive(frame, now), now)
                case lac.CallUp():
                    self.step = Step.LCP
                    self._ppp = PppPeer(
                        self.client.ppp.profile, self._secrets.account, self._random
                    )
                    effects += self._of_ppp(self._ppp.start(now), now)
                case lac.Closed(told):
                    if self._aim is Aim.HANG_UP:
                        effects += self._hang_up_ike(now)
                    elif told:
                        effects += self._stop(Rule.STOPPED, told, now)
                case Finding():
                    effects += self._of_finding(event, now)
        if self.step in (Step.TUNNEL, Step.CALL) and self._lac is not None:
            calls = (TunnelState.ICRP, TunnelState.CALL_ZLB)
            self.step = Step.CALL if self._lac.state in calls else self.step
        return effects

    def _lose_patience(self, now: float) -> list[Effect]:
        state = TunnelState.IDLE if self._lac is None else self._lac.state
        rule = Rule.NO_ZLB if state in (TunnelState.TUNNEL_ZLB, TunnelState.CALL_ZLB) else None
        waits = state.value if self._ppp is None else self._ppp.phase.value
        detail = f"it waits for {waits}, and the server does not go on"
        return self._stop(rule or Rule.SILENCE, detail, now)

    def _of_ppp(self, happened: Sequence[peer.Effect], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for event in happened:
            match event:
                case peer.SendFrame():
                    effects += self._frames([event])
                case peer.PacketReceived(packet):
                    effects.append(Packet(packet))
                case peer.LinkUp(address, server, dns):
                    self._aim = Aim.STAY
                    self.step = Step.UP
                    self._patience = None
                    effects.append(Up(address, server, dns))
                case peer.LinkDown(told):
                    if self._aim is Aim.HANG_UP:
                        effects += self._hang_up_l2tp(now)
                    elif told:
                        effects += self._stop(Rule.TERMINATED, told, now)
                case Finding():
                    effects += self._of_finding(event, now)
        if self._ppp is not None and self.step in _PPP_STEPS.values():
            self.step = _PPP_STEPS.get(self._ppp.phase, self.step)
        return effects

    def _frames(self, happened: Sequence[peer.Effect]) -> list[Effect]:
        assert self._lac is not None  # there is a link
        effects: list[Effect] = []
        for event in happened:
            if isinstance(event, peer.SendFrame):
                sent = self._lac.send_frame(event.frame)
                assert isinstance(sent, lac.SendDatagram)
                effects.append(SendL2tp(sent.datagram, sent.port))
        return effects

    def _of_finding(self, finding: Finding, now: float) -> list[Effect]:
        if finding.fatal:
            return self._stop(finding.rule, finding.detail, now)
        return [self._remark(finding)]

    # --- ends ------------------------------------------------------------------------------------

    def _hang_up_l2tp(self, now: float) -> list[Effect]:
        if self._lac is None or self._lac.state is TunnelState.CLOSED:
            return self._hang_up_ike(now)
        return self._of_lac(self._lac.hang_up(now), now)

    def _hang_up_ike(self, now: float) -> list[Effect]:
        if self._aim is Aim.OVER:
            return []
        goodbye = [event for event in self._ike.close(now) if isinstance(event, ike.Send)]
        return [*goodbye, *self._over(), Down()]

    def _stop(self, rule: Cause | Rule, detail: str, now: float) -> list[Effect]:
        """Give up, and hang up what is up as the client does."""
        if self._aim is Aim.OVER:
            return []
        complaint = self._complaint(rule, detail)
        effects: list[Effect] = []
        self._aim = Aim.HANG_UP
        if self._lac is not None and self._lac.state is not TunnelState.CLOSED:
            sent = self._lac.hang_up(now)
            effects += [
                SendL2tp(event.datagram, event.port)
                for event in sent
                if isinstance(event, lac.SendDatagram)
            ]
        if self._sas:
            effects += [event for event in self._ike.close(now) if isinstance(event, ike.Send)]
        return [*effects, *self._over(), Stopped(complaint)]

    def _over(self) -> list[Effect]:
        self._aim = Aim.OVER
        removed = [RemoveSas(sas) for sas in self._sas]
        self._sas = []
        self._lac = self._ppp = self._successor = None
        self._rekey_phase1_at = self._rekey_phase2_at = None
        self._keepalive_at = self._patience = None
        self._ike.forget()
        return [*removed]

    def _remark(self, finding: Finding) -> Remark:
        return Remark(self._complaint(finding.rule, finding.detail))

    def _complaint(self, rule: Cause | Rule, detail: str) -> Complaint:
        step = self.step
        if self._successor is not None:
            step = Step.REKEY_PHASE_1
        elif self._aim is Aim.STAY and str(rule).startswith("qm2"):
            step = Step.REKEY_PHASE_2
        return Complaint(self.client.name, self._program(rule), step, rule, detail)

    def _program(self, rule: Cause | Rule) -> str:
        programs = self.client.programs
        if isinstance(rule, Cause) or self._lac is None:
            return programs.ike
        return programs.l2tp if self._ppp is None else programs.ppp

    @staticmethod
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
