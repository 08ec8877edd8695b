"""What has happened since the start, by causes of our own.

No label has a value that a peer chooses: what is not on a list of ours is counted as "other".
"""

from __future__ import annotations

from collections import Counter

import l2tp.core.effects as l2tp_effects
from ikev1.core import effects

Labels = tuple[str, ...]

LOGIN_CAUSES = {
    "unknown user": "unknown-user",
    "wrong password": "wrong-password",
    "the user is connected already": "connected-already",
    "the user may have no address of the pool": "no-address",
    "no common authentication protocol": "no-common-protocol",
}
"""Labels of the causes for which a login is refused, by what stands before a comma in them."""

SILENT = "no sign of life"
"""What the cause of a client's end begins with where dead peer detection has found it gone."""


class IkeCounters:
    """Counts what the IKE engine tells."""

    def __init__(self) -> None:
        self.exchanges: Counter[Labels] = Counter()
        """By exchange and result: "done", the notify that refused it, or "silent"."""
        self.dropped: Counter[Labels] = Counter()
        """Datagrams, by reason."""
        self.rekeys: Counter[Labels] = Counter()
        """By kind of SA, and our role."""
        self.probes: Counter[Labels] = Counter()
        """R-U-THERE by what became of them: "sent", "answered"."""
        self.dead_peers = 0
        self.lost_events = 0
        """Times that the kernel has dropped events."""

    def count(self, event: effects.Effect) -> None:
        """One event."""
        match event:
            case effects.IkeSaUp():
                self.exchanges["main-mode", "done"] += 1
                if event.replaces is not None:
                    self.rekeys["ike", "initiator" if event.ours else "responder"] += 1
            case effects.ChildUp():
                self.exchanges["quick-mode", "done"] += 1
                if event.rekeyed:
                    self.rekeys["esp", "initiator" if event.ours else "responder"] += 1
            case effects.Probed():
                self.probes[("sent",)] += 1
            case effects.ProbeAnswered():
                self.probes[("answered",)] += 1
            case effects.ClientDown() if event.cause.startswith(SILENT):
                self.dead_peers += 1
            case effects.Refused():
                exchange = event.exchange.lower().replace(" ", "-")
                self.exchanges[exchange, refusal(event)] += 1
            case effects.Dropped():
                self.dropped[(event.reason,)] += 1
            case _:
                pass


def refusal(event: effects.Refused) -> str:
    """A refusal's label: the notify that we answered, "silent" where we did not."""
    return event.notify.name.lower().replace("_", "-") if event.notify else "silent"


class L2tpCounters:
    """Counts what the L2TP engine tells."""

    def __init__(self) -> None:
        self.tunnels: Counter[Labels] = Counter()
        """By what became of them: "up", "down", "refused", "silent"."""
        self.logins: Counter[Labels] = Counter()
        """By protocol, and "accepted" or the cause; the protocol is "" where it was refused."""
        self.sessions_ended = 0
        self.dropped: Counter[Labels] = Counter()
        """Datagrams and frames, by reason."""

    def count(self, event: l2tp_effects.Effect) -> None:
        """One event."""
        match event:
            case l2tp_effects.TunnelUp():
                self.tunnels[("up",)] += 1
            case l2tp_effects.TunnelDown():
                self.tunnels[("silent" if event.silent else "down",)] += 1
            case l2tp_effects.TunnelRefused():
                self.tunnels[("refused",)] += 1
            case l2tp_effects.SessionUp():
                self.logins[event.auth_protocol.value, "accepted"] += 1
            case l2tp_effects.SessionDown():
                self.sessions_ended += 1
            case l2tp_effects.AuthFailed():
                cause = event.cause.partition(",")[0]
                self.logins["", LOGIN_CAUSES.get(cause, "other")] += 1
            case l2tp_effects.Dropped():
                self.dropped[(event.reason.name.lower().replace("_", "-"),)] += 1
            case _:
                pass
