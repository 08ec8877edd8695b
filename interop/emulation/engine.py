"""A whole client: IKE, L2TP and PPP of one profile, in the order and at the times of its original.

The program around it carries datagrams, keeps the SAs and the clock:

    dial, receive_ike, receive_l2tp, send_packet, advance, hang_up -> list[Effect]
    next_deadline() -> float | None
"""

import enum
from collections.abc import Callable, Sequence

from ikev1.wire.header import COOKIE_LENGTH
from interop.clients.model import Client
from interop.emulation.complaints import Complaint, Step
from interop.emulation.effects import (
    Down,
    Effect,
    Packet,
    Remark,
    SendL2tp,
    Stopped,
    Up,
)
from interop.emulation.ike_side import Event as IkeEvent
from interop.emulation.ike_side import FirstSas, IkeSide
from interop.emulation.secrets import Life, Secrets
from interop.findings import Finding, Rule
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.session import NON_ESP_MARKER, ClientPath
from interop.lac import lac
from interop.lac.lac import Lac, tunnel_id
from interop.lac.lac import State as TunnelState
from interop.ppp import peer
from interop.ppp.peer import Phase, PppPeer

_TUNNEL_STEPS = {
    TunnelState.SCCRP: Step.TUNNEL,
    TunnelState.TUNNEL_ZLB: Step.TUNNEL,
    TunnelState.ICRP: Step.CALL,
    TunnelState.CALL_ZLB: Step.CALL,
}
_PPP_STEPS = {
    Phase.ESTABLISH: Step.LCP,
    Phase.AUTHENTICATE: Step.LOGIN,
    Phase.NETWORK: Step.IPCP,
    Phase.UP: Step.UP,
}


ON_ITS_WAY = 3.0
"""Seconds after its Delete that ESP may still come under an SA."""


class Aim(enum.Enum):
    """What the client is about."""

    CONNECT = enum.auto()
    STAY = enum.auto()
    HANG_UP = enum.auto()
    OVER = enum.auto()


class EmulatedClient:
    """One client of one user.

    `path.l2tp_port` is the port of its L2TP socket. `make_dh` can be replaced to let many clients
    share a key pair. `before` is what `life` of an earlier connection told. `dialled` is the
    server's name as the user knows it, if not by its address. `step` is what the client is about.
    `lets_server_rekey` is for a server that is set to do so: from any other that is a fault.
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
        dialled: str = "",
        lets_server_rekey: bool = False,
    ) -> None:
        self.client = client
        self.path = path
        self.step = Step.MESSAGE_2
        self._account = secrets.account
        self._random = random
        self._conduct = client.conduct.profile
        self._before = before or Life()
        self._aim = Aim.CONNECT
        dialled = dialled or str(path.server)
        self._ike = IkeSide(
            client,
            secrets,
            path,
            random,
            make_dh,
            dialled,
            lets_server_rekey=lets_server_rekey,
        )
        self._lac: Lac | None = None
        self._ppp: PppPeer | None = None
        self._patience: float | None = None

    @property
    def life(self) -> Life:
        """What would be left of it if it vanished now."""
        tunnels = () if self._lac is None else (self._lac.tunnel_id,)
        return Life(self._ike.cookies, self._ike.spis, frozenset(tunnels))

    def _settle(self) -> None:
        """Look at what the client is about now; what ends leaves the step at which it ended."""
        if self._aim in (Aim.HANG_UP, Aim.OVER):
            self.step = Step.HANG_UP
        elif self._lac is None or self._ike.step is Step.REKEY_PHASE_1:
            self.step = self._ike.step
        elif self._ppp is None:
            self.step = _TUNNEL_STEPS.get(self._lac.state, self.step)
        else:
            self.step = _PPP_STEPS.get(self._ppp.phase, self.step)

    # --- what the user and the clock do ----------------------------------------------------------

    def dial(self, now: float) -> list[Effect]:
        """Connect."""
        return self._of_ike(self._ike.start(now), now)

    def hang_up(self, now: float) -> list[Effect]:
        """End the connection as this client does: PPP, L2TP, IKE."""
        if self._aim in (Aim.HANG_UP, Aim.OVER):
            return []
        self._aim = Aim.HANG_UP
        self._patience = None
        self._ike.keep_as_it_is()
        if self._ppp is not None and self._ppp.phase is not Phase.DEAD:
            return self._of_ppp(self._ppp.hang_up(now), now)
        return self._hang_up_l2tp(now)

    def rekey_phase2(self, now: float) -> list[Effect]:
        """Replace the ESP SAs, as the client does when their time is near."""
        return self._of_ike(self._ike.rekey_phase2(now), now)

    def rekey_phase1(self, now: float) -> list[Effect]:
        """Replace the ISAKMP SA, as the client does when its time is near."""
        return self._of_ike(self._ike.rekey_phase1(now), now)

    def are_you_there(self, sequence: int, now: float) -> list[Effect]:
        """Ask the server for a sign of life (RFC 3706)."""
        return self._of_ike(self._ike.are_you_there(sequence, now), now)

    def send_packet(self, packet: bytes) -> list[Effect]:
        """Send an IPv4 packet through the link; nothing while it is not up."""
        if self._ppp is None or self._lac is None:
            return []
        return self._frames(self._ppp.send_packet(packet))

    def advance(self, now: float) -> list[Effect]:
        """Run the timers that are due."""
        effects = self._of_ike(self._ike.advance(now), now)
        if self._lac is not None:
            effects += self._of_lac(self._lac.advance(now), now)
        if self._ppp is not None:
            effects += self._of_ppp(self._ppp.advance(now), now)
        if self._patience is not None and now >= self._patience:
            self._patience = None
            effects += self._lose_patience(now)
        return effects

    def next_deadline(self) -> float | None:
        """When `advance` has something to do."""
        times = [self._ike.next_deadline(), self._patience]
        if self._lac is not None:
            times.append(self._lac.next_deadline())
        if self._ppp is not None:
            times.append(self._ppp.next_deadline())
        return min((time for time in times if time is not None), default=None)

    # --- what comes in ---------------------------------------------------------------------------

    def receive_ike(self, datagram: bytes, floated: bool, now: float) -> list[Effect]:
        """Take a datagram from the server's port 4500 if `floated`, else from 500."""
        message = datagram[len(NON_ESP_MARKER) :] if floated else datagram
        if message[:COOKIE_LENGTH] in self._before.cookies:
            return self._haunted("an ISAKMP SA")
        return self._of_ike(self._ike.receive(datagram, floated, now), now)

    def receive_l2tp(self, datagram: bytes, port: int, now: float) -> list[Effect]:
        """Take a datagram from the server's UDP `port` that came inside ESP."""
        if self._lac is None:
            return []
        if tunnel_id(datagram) in self._before.tunnels:
            return self._haunted("an L2TP tunnel")
        return self._of_lac(self._lac.receive(datagram, port, now), now)

    def esp_not_opened(self, spi: bytes, now: float) -> list[Effect]:
        """Hear of an ESP packet that no SA of this client opens, or that its SA finds forged."""
        if spi in self._before.spis:
            return self._haunted("an ESP SA")
        if self._aim in (Aim.HANG_UP, Aim.OVER):
            return []
        in_use = self._ike.receives_under(spi)
        if spi in self._ike.spis and not in_use:
            return self._under_a_replaced_sa(spi, now)
        why = "a packet does not verify under it" if in_use else "no SA has it"
        return [self._remark(Finding(Rule.ESP, f"SPI {spi.hex()}: {why}", fatal=False))]

    def _under_a_replaced_sa(self, spi: bytes, now: float) -> list[Effect]:
        """What was on its way when the SA was deleted is nobody's fault; what goes on is."""
        since = self._ike.replaced_since(spi)
        if since is None or now < since + ON_ITS_WAY:
            return []
        detail = f"SPI {spi.hex()}: still used {now - since:.0f} s after its Delete"
        return [self._remark(Finding(Rule.REPLACED_SA, detail, fatal=False))]

    def _haunted(self, what: str) -> list[Effect]:
        """Something still uses what was before; that matters once INITIAL-CONTACT is told."""
        if not self._ike.tells_initial_contact:
            return []
        detail = f"the gateway still uses {what} of before"
        return [self._remark(Finding(Rule.INITIAL_CONTACT, detail, fatal=False))]

    # --- what follows from it --------------------------------------------------------------------

    def _of_ike(self, happened: Sequence[IkeEvent], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for event in happened:
            match event:
                case FirstSas():
                    self._patience = now + self._conduct.server_wait
                    self._lac = Lac(self.client.l2tp.profile, self._random)
                    effects += self._of_lac(self._lac.start(now), now)
                case Finding():
                    effects += self._of_finding(event, now)
                case _:
                    effects.append(event)
        self._settle()
        return effects

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
                    self._ppp = PppPeer(self.client.ppp.profile, self._account, self._random)
                    effects += self._of_ppp(self._ppp.start(now), now)
                case lac.Closed(told):
                    if self._aim is Aim.HANG_UP:
                        effects += self._hang_up_ike(now)
                    elif told:
                        effects += self._of_finding(Finding(Rule.STOPPED, told), now)
                case Finding():
                    effects += self._of_finding(event, now)
        self._settle()
        return effects

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
                    self._patience = None
                    effects.append(Up(address, server, dns))
                case peer.LinkDown(told):
                    if self._aim is Aim.HANG_UP:
                        effects += self._hang_up_l2tp(now)
                    elif told:
                        effects += self._of_finding(Finding(Rule.TERMINATED, told), now)
                case Finding():
                    effects += self._of_finding(event, now)
        self._settle()
        return effects

    def _frames(self, happened: Sequence[peer.Effect]) -> list[Effect]:
        assert self._lac is not None  # there is a link
        sent = [
            self._lac.send_frame(event.frame)
            for event in happened
            if isinstance(event, peer.SendFrame)
        ]
        return [SendL2tp(send.datagram, send.port) for send in sent]

    def _lose_patience(self, now: float) -> list[Effect]:
        state = TunnelState.IDLE if self._lac is None else self._lac.state
        no_zlb = state in (TunnelState.TUNNEL_ZLB, TunnelState.CALL_ZLB)
        waits = state.value if self._ppp is None else self._ppp.phase.value
        detail = f"it waits for {waits}, and the server does not go on"
        return self._of_finding(Finding(Rule.NO_ZLB if no_zlb else Rule.SILENCE, detail), now)

    # --- ends ------------------------------------------------------------------------------------

    def _hang_up_l2tp(self, now: float) -> list[Effect]:
        if self._lac is None or self._lac.state is TunnelState.CLOSED:
            return self._hang_up_ike(now)
        return self._of_lac(self._lac.hang_up(now), now)

    def _hang_up_ike(self, now: float) -> list[Effect]:
        if self._aim is Aim.OVER:
            return []
        return [*self._over(now), Down()]

    def _of_finding(self, finding: Finding, now: float) -> list[Effect]:
        """Give up if it is fatal, and hang up what is up as the client does."""
        if not finding.fatal:
            return [self._remark(finding)]
        if self._aim in (Aim.HANG_UP, Aim.OVER):
            return []
        complaint = self._complaint(finding)
        effects: list[Effect] = []
        if self._lac is not None:
            effects += [
                SendL2tp(event.datagram, event.port)
                for event in self._lac.hang_up(now)
                if isinstance(event, lac.SendDatagram)
            ]
        return [*effects, *self._over(now), Stopped(complaint)]

    def _over(self, now: float) -> list[Effect]:
        self._aim = Aim.OVER
        self._lac = self._ppp = self._patience = None
        return self._of_ike(self._ike.close(now), now)

    def _remark(self, finding: Finding) -> Remark:
        return Remark(self._complaint(finding))

    def _complaint(self, finding: Finding) -> Complaint:
        step = self.step
        rekeys = finding.rule.startswith("qm2") or finding.rule is Cause.TIMEOUT
        if self._aim is Aim.STAY and rekeys and step is Step.UP:
            step = Step.REKEY_PHASE_2
        elif finding.rule is Rule.NO_SIGN_OF_LIFE:
            step = Step.ARE_YOU_THERE
        program = self._program(finding.rule)
        return Complaint(self.client.name, program, step, finding.rule, finding.detail)

    def _program(self, rule: Cause | Rule) -> str:
        programs = self.client.programs
        if isinstance(rule, Cause) or self._lac is None:
            return programs.ike
        return programs.l2tp if self._ppp is None else programs.ppp
