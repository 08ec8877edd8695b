"""Gathers all metrics of a running gateway, in batches where clients are counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from cli.ikev1d.ike import IkeHost
from cli.ikev1d.in_force import InForce
from cli.ikev1d.kernel_sas import KernelSas, Traffic
from cli.ikev1d.l2tp import LnsHost
from cli.ikev1d.metrics.counters import IkeCounters, L2tpCounters, Labels
from cli.ikev1d.metrics.exposition import Family, counter, gauge, labelled, render
from cli.ikev1d.metrics.loop_lag import LoopLag
from cli.ikev1d.metrics.process import process_families
from cli.ikev1d.verify.certificates import certificates_of
from ikev1.x509 import names

BATCH = 32
"""Clients before other work gets its turn."""
FRESH = 1.0
"""Seconds for which a text is given again, however often somebody asks."""


class Metrics:
    """All metrics of one gateway."""

    def __init__(
        self,
        version: str,
        in_force: InForce,
        sas: KernelSas,
        ike: IkeHost,
        lns: LnsHost,
        ike_counters: IkeCounters,
        l2tp_counters: L2tpCounters,
    ) -> None:
        self._version = version
        self._in_force = in_force
        self._sas = sas
        self._ike = ike
        self._lns = lns
        self._ike_counters = ike_counters
        self._l2tp_counters = l2tp_counters
        self._started = time.time()
        self._lag = LoopLag()
        self._traffic = Traffic()
        """What has been told of it: it never becomes less."""
        self._lock = asyncio.Lock()
        self._text = ""
        self._made = -FRESH

    def start(self) -> None:
        """Watch the event loop from now on."""
        self._lag.start()

    def stop(self) -> None:
        """Watch no more."""
        self._lag.stop()

    async def text(self) -> str:
        """All of them, in Prometheus' text format. Raises KernelError."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if loop.time() >= self._made + FRESH:
                self._text = render(await self._families())
                self._made = loop.time()
            return self._text

    async def _families(self) -> list[Family]:
        ike_sas, esp_sas = await self._suites()
        paths = await self._paths()
        engine, pool = self._ike.engine, self._lns.engine.pool
        limit = self._in_force.config.ike.half_open_limit
        info: dict[Labels, float] = {(self._version,): 1.0}
        return [
            labelled("ikev1d_info", "gauge", "The running version.", ("version",), info),
            gauge("ikev1d_clients", "Clients with an IKE SA.", len(engine.clients)),
            gauge("ikev1d_half_open", "Phase 1 exchanges under way.", engine.half_open),
            gauge("ikev1d_half_open_limit", "How many may be.", limit),
            gauge("ikev1d_half_open_waiting", "First messages that wait.", engine.waiting),
            _by("ikev1d_ike_sas", "IKE SAs by algorithms.", "algorithms", ike_sas),
            _by("ikev1d_esp_sas", "Pairs of ESP SAs by algorithms.", "algorithms", esp_sas),
            *self._ike_families(),
            *await self._traffic_families(),
            gauge("ikev1d_l2tp_tunnels", "L2TP tunnels.", self._lns.engine.tunnel_count),
            gauge("ikev1d_l2tp_sessions", "L2TP sessions.", len(self._lns.engine.session_ids())),
            _by("ikev1d_data_paths", "Sessions by who moves their packets.", "path", paths),
            *self._l2tp_families(),
            gauge("ikev1d_pool_addresses", "Addresses of the pool.", pool.size),
            gauge("ikev1d_pool_leased", "Those in use.", pool.leased),
            self._certificates(),
            gauge("ikev1d_workers_waiting", "Public-key work under way.", self._ike.waiting),
            self._lag.family("ikev1d_event_loop_lag_seconds", "How late the event loop was."),
            *process_families(self._started),
        ]

    async def _suites(self) -> tuple[Counter[str], Counter[str]]:
        """IKE SAs and pairs of ESP SAs by their algorithms, which are the configuration's."""
        ike_sas: Counter[str] = Counter()
        esp_sas: Counter[str] = Counter()
        for number, client in enumerate(self._ike.engine.clients):
            if number % BATCH == 0:
                await asyncio.sleep(0)
            ike_sas.update(
                sa.choice.label for sa in self._ike.engine.ike_sas_of(client) if sa.choice
            )
            esp_sas.update(child.sa.suite.label for child in client.children if child.up)
        return ike_sas, esp_sas

    async def _paths(self) -> Counter[str]:
        paths: Counter[str] = Counter(kernel=0, user=0)
        for number, path in enumerate(self._lns.data_paths.holdings()):
            if number % BATCH == 0:
                await asyncio.sleep(0)
            paths["kernel" if path.in_kernel else "user"] += 1
        return paths

    def _ike_families(self) -> list[Family]:
        counters = self._ike_counters
        return [
            labelled(
                "ikev1d_exchanges_total",
                "counter",
                "Exchanges by what became of them: done, or the notify that refused them.",
                ("exchange", "result"),
                counters.exchanges,
            ),
            labelled(
                "ikev1d_ike_dropped_total",
                "counter",
                "IKE datagrams that were ignored.",
                ("reason",),
                counters.dropped,
            ),
            labelled(
                "ikev1d_rekeys_total",
                "counter",
                "SAs renewed, by kind and our role.",
                ("kind", "role"),
                counters.rekeys,
            ),
            labelled(
                "ikev1d_dpd_probes_total",
                "counter",
                "R-U-THERE that were sent, and that were answered.",
                ("event",),
                counters.probes,
            ),
            counter(
                "ikev1d_dead_peers_total", "Clients that gave no sign of life.", counters.dead_peers
            ),
            counter(
                "ikev1d_kernel_events_lost_total",
                "Times that the kernel dropped events.",
                counters.lost_events,
            ),
        ]

    def _l2tp_families(self) -> list[Family]:
        counters = self._l2tp_counters
        return [
            labelled(
                "ikev1d_l2tp_tunnels_total",
                "counter",
                "L2TP tunnels by what became of them.",
                ("result",),
                counters.tunnels,
            ),
            labelled(
                "ikev1d_ppp_logins_total",
                "counter",
                "PPP logins, accepted or by the cause of the refusal.",
                ("protocol", "result"),
                counters.logins,
            ),
            counter(
                "ikev1d_l2tp_sessions_ended_total",
                "L2TP sessions that have ended.",
                counters.sessions_ended,
            ),
            labelled(
                "ikev1d_l2tp_dropped_total",
                "counter",
                "L2TP messages that were ignored.",
                ("reason",),
                counters.dropped,
            ),
        ]

    def _certificates(self) -> Family:
        expiry: dict[Labels, float] = {
            (connection, names.show(one.subject)): one.not_after.timestamp()
            for connection, one in certificates_of(self._in_force.config)
        }
        return labelled(
            "ikev1d_certificate_expiry_timestamp_seconds",
            "gauge",
            "When certificates of the configuration expire, since the epoch.",
            ("connection", "subject"),
            expiry,
        )

    async def _traffic_families(self) -> list[Family]:
        total = await self._sas.total_traffic()
        # An SA that the kernel has ended by itself took its count along.
        self._traffic = Traffic(
            max(self._traffic.received, total.received), max(self._traffic.sent, total.sent)
        )
        text = "Octets of IP payload that ESP SAs have carried."
        values: dict[Labels, float] = {
            ("in",): self._traffic.received,
            ("out",): self._traffic.sent,
        }
        return [labelled("ikev1d_esp_bytes_total", "counter", text, ("direction",), values)]


def _by(name: str, text: str, label: str, values: Mapping[str, int]) -> Family:
    keyed: dict[Labels, float] = {(key,): value for key, value in values.items()}
    return labelled(name, "gauge", text, (label,), keyed)
