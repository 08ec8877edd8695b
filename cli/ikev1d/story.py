"""The log's story of a client: what the IKE engine tells, in words for the operator."""

from __future__ import annotations

from collections import Counter

from cli.ikev1d.config.model import Config
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.metrics.counters import IkeCounters, refusal
from ikev1.core.effects import (
    ChildDown,
    ChildUp,
    ClientDown,
    Continued,
    Dropped,
    IkeSaDown,
    IkeSaUp,
    Noted,
    ProbeAnswered,
    Probed,
    Refused,
    SessionsLost,
)

Told = (
    ChildDown
    | ChildUp
    | ClientDown
    | Continued
    | Dropped
    | IkeSaDown
    | IkeSaUp
    | Noted
    | Probed
    | ProbeAnswered
    | Refused
    | SessionsLost
)


class Story:
    """Writes the log lines of IKE events, and counts what failed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._log = ClientLog("ikev1d.ike")
        self.failures: Counter[str] = Counter()
        """Refused exchanges and dropped datagrams by cause."""
        self.counters = IkeCounters()

    def events_lost(self) -> None:
        """The kernel had to drop events, as we did not read them fast enough."""
        self.counters.lost_events += 1
        self._log.warning("events of the kernel were lost; comparing with what it has")

    def reconfigure(self, config: Config) -> None:
        """Name the lines of another configuration from now on."""
        self._config = config

    def tell(self, event: Told) -> None:
        """One event, one line."""
        self.counters.count(event)
        match event:
            case IkeSaUp():
                self._log.of(event.client).info(
                    "IKE SA up" if event.replaces is None else "IKE SA renewed",
                    peer=event.path,
                    identity=event.identity,
                    connection=event.connection,
                    authentication=event.authentication,
                    algorithms=event.suite,
                    nat=event.nat,
                    implementation=event.implementation,
                    lifetime=event.lifetime,
                    took=f"{event.duration * 1000:.0f}ms",
                )
            case ChildUp():
                child = event.child
                self._log.of(child.client).info(
                    "ESP SAs rekeyed" if event.rekeyed else "ESP SAs up",
                    algorithms=child.suite.label,
                    spi_in=f"{child.inbound_spi:08x}",
                    spi_out=f"{child.outbound_spi:08x}",
                    encapsulation="udp" if child.encapsulated else "none",
                    client_port=child.client_port or "any",
                    mark=f"{child.mark:#x}",
                    lifetime=child.lifetime,
                )
            case ChildDown():
                self._log.of(event.child.client).info(
                    "ESP SAs down", cause=event.cause, spi_in=f"{event.child.inbound_spi:08x}"
                )
            case IkeSaDown():
                self._log.of(event.client).info("IKE SA down", cause=event.cause)
            case ClientDown():
                self._log.of(event.client).info("client gone", cause=event.cause)
            case Continued():
                self._log.of(event.client).info(
                    "client goes on from another address or port",
                    peer=event.peer,
                    was=event.other,
                    mark=f"{event.mark:#x}",
                )
            case SessionsLost():
                self._log.of(event.client).info("client begins anew", cause=event.cause)
            case Refused():
                self._refused(event)
            case Noted():
                self._log.of(event.client).warning(event.text, peer=event.path)
            case Probed():
                self._log.of(event.client).debug("asked whether it is there")
            case ProbeAnswered():
                self._log.of(event.client).debug("it is there")
            case Dropped():
                self.failures[f"dropped-{event.reason}"] += 1
                self._log.debug("datagram dropped", peer=event.path, reason=event.reason)

    def _refused(self, event: Refused) -> None:
        self.failures[f"refused-{refusal(event)}"] += 1
        values: dict[str, object] = {"peer": event.path, "cause": event.cause}
        if event.remedy:
            values["remedy"] = event.remedy
        if event.setting is not None:
            values["see"] = self._config.where(event.setting)
        self._log.of(event.client).warning(f"{event.exchange} refused", **values)
