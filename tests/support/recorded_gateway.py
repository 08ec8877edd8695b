"""A gateway in memory that is traced as the daemon is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cli.ikev1d.trace.recorder import Recorder
from ikev1.core.effects import Effect, MessageSeen, Path, Send
from l2tp.core.effects import Effect as L2tpEffect
from l2tp.core.effects import Peer, SendFrame
from l2tp.core.effects import Send as L2tpSend
from tests.support.dialled_gateway import DialledGateway
from tests.support.ike_host import IkeHost, settings
from tests.support.l2tp_network import Gateway as LnsHost


class RecordedGateway(DialledGateway):
    """`lines` is the trace so far."""

    def __init__(self, **ike: Any) -> None:
        self.lines: list[str] = []
        host = _TracedHost(settings(traced=True, **ike))
        super().__init__(host)
        recorder = Recorder(self.lines.append, lambda: self.now)
        host.recorder = recorder
        self.lns = _TracedLns(self.lns.lns, in_user_space=True)
        self.lns.recorder = recorder

    def records(self, event: str, **has: Any) -> list[dict[str, Any]]:
        """The records of an event that have these values."""
        records = [json.loads(line) for line in self.lines]
        return [
            record
            for record in records
            if record["event"] == event and has.items() <= record.items()
        ]


class _TracedHost(IkeHost):
    recorder: Recorder

    def receive(self, datagram: bytes, path: Path) -> list[tuple[Path, bytes]]:
        self.recorder.ike_received(datagram, path)
        return super().receive(datagram, path)

    def _carry_out(self, effect: Effect, sent: list[tuple[Path, bytes]]) -> list[Effect]:
        match effect:
            case Send():
                self.recorder.ike_sent(effect.datagram, effect.path)
            case MessageSeen():
                self.recorder.ike_message(effect)
            case _:
                self.recorder.told(effect)
        return super()._carry_out(effect, sent)


class _TracedLns(LnsHost):
    recorder: Recorder

    def receive(self, datagram: bytes, sender: Peer, now: float) -> None:
        self.recorder.l2tp_received(datagram, sender)
        super().receive(datagram, sender, now)

    def carry_out(self, effects: Iterable[L2tpEffect], now: float) -> None:
        for effect in effects:
            match effect:
                case L2tpSend():
                    self.recorder.l2tp_sent(effect.datagram, effect.peer)
                case SendFrame():
                    path = self.paths[effect.session_id]
                    self.recorder.frame_sent(effect.frame, effect.session_id, path.peer)
                case _:
                    self.recorder.told(effect)
            super().carry_out([effect], now)
