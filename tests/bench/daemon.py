"""The daemon with instruments: `daemon [--pretend-esp] [--measure FILE] -- --config FILE`.

It keeps clients that never open an L2TP tunnel, which is all that a load of IKE makes. SIGUSR1 has
`--measure` count from zero, SIGUSR2 has it write what it counted. `--heartbeat` adds how late the
event loop comes to a timer, which costs CPU time of its own.

`--pretend-esp` is for a kernel without ESP, where the daemon rightly refuses to start: that such a
kernel refuses an SA counts as success. All else is done, policies included, so that Main Mode costs
what it costs elsewhere, and Quick Mode as much but for the kernel's own work on the SA. Nothing is
protected.
"""

import argparse
import asyncio
import errno
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from cli.ikev1d import __main__ as daemon
from cli.ikev1d import udp, workers
from cli.ikev1d.idle_clients import IdleClients
from cli.ikev1d.ike import IkeHost
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.service import Gateway
from cli.ikev1d.story import Story
from cli.ikev1d.timer import Timer
from ikev1.core import natt, proposals
from ikev1.core.responder import Responder
from ikev1.crypto import cipher, keymat
from ikev1.wire import header, message
from tests.bench.stopwatch import Stopwatch
from xfrm import sadb
from xfrm.constants import MessageType
from xfrm.netlink import Answer, Request, RequestSocket, XfrmSocket

NO_ESP = {
    (MessageType.NEWSA, errno.EPROTONOSUPPORT),
    (MessageType.NEWSA, errno.ENOSYS),
    (MessageType.DELSA, errno.ESRCH),
}
"""What a kernel without ESP answers; ENOSYS is for a cipher that nothing else needs either."""

BEAT = 0.005
"""Seconds between two beats of the heart."""


def pretend_esp() -> None:
    """Let the kernel's lack of ESP pass for success."""
    exchange = RequestSocket.exchange

    def pretending(self: RequestSocket, requests: Sequence[Request]) -> list[Answer]:
        answers = exchange(self, requests)
        for request, answer in zip(requests, answers, strict=True):
            if (request.type, answer.errno) in NO_ESP:
                answer.errno = 0
        return answers

    RequestSocket.exchange = pretending  # type: ignore[method-assign]


def watched() -> Stopwatch:
    """Time the parts of the daemon."""
    stopwatch = Stopwatch()
    stopwatch.calibrate()
    watch = stopwatch.watch

    def wrap(part: str, *functions: Callable[..., Any]) -> None:
        """Watch functions in every module of the engine that has imported them."""
        for function in functions:
            for name, module in tuple(sys.modules.items()):
                if name.startswith("ikev1.") and vars(module).get(function.__name__) is function:
                    watch(part, module, function.__name__)

    watch("event loop", asyncio.Handle, "_run")
    watch("Diffie-Hellman", workers, "generate_and_agree")
    watch("engine", Responder, "receive", "complete", "advance")
    derivations = (
        *("skeyid_psk", "phase1_keys", "keymat", "phase1_iv", "phase2_iv"),
        *("hash_i", "hash_r", "hash_1", "hash_2", "hash_3"),
    )
    wrap("keys and hashes", *(getattr(keymat, name) for name in derivations), natt.nat_d_hash)
    wrap("cipher", cipher.encrypt, cipher.decrypt)
    wrap("codec", header.parse_header, header.build_header)
    wrap("codec", message.parse_payloads, message.build_payloads, message.build_message)
    watch("engine", proposals, "choose_ike", "choose_esp")
    watch("log", Story, "tell")
    watch("host", IkeHost, "_carry_out", "_answer")
    watch("host", Timer, "set")
    watch("netlink system calls", XfrmSocket, "send", "recv_into")
    watch("netlink messages", RequestSocket, "exchange")
    watch("netlink messages", sadb, "encode_sa", "encode_policy", "encode_sa_id")
    watch("netlink messages", sadb, "encode_policy_id", "read_usage", "read_progress")
    watch("SAs and policies", KernelSas, "install_inbound", "install_outbound", "remove")
    watch("UDP system calls", socket.socket, "recvmsg", "sendmsg")
    watch("host", udp.DatagramSocket, "send", "_receive")
    return stopwatch


class Heart:
    """Beats on the event loop and keeps how late it was, in seconds."""

    def __init__(self) -> None:
        self.late: list[float] = []

    def start(self) -> None:
        """Beat from now on."""
        self._loop = asyncio.get_running_loop()
        self._beat(self._loop.time())

    def _beat(self, due: float) -> None:
        now = self._loop.time()
        self.late.append(now - due)
        self._loop.call_at(now + BEAT, self._beat, now + BEAT)


def _stays(clients: IdleClients, mark: int, time: float, cause: str) -> None:
    """In the place of the watch over clients without a tunnel."""


def measure(file: Path, *, heartbeat: bool) -> None:
    """Measure from SIGUSR1 to SIGUSR2."""
    # A heart that beats among wrapped functions would tell of them.
    stopwatch, heart = Stopwatch() if heartbeat else watched(), Heart()
    if heartbeat:
        _after(Gateway, "start", heart.start)
    begun = time.process_time()

    def reset(number: int, frame: FrameType | None) -> None:
        nonlocal begun
        stopwatch.reset()
        heart.late.clear()
        begun = time.process_time()

    def write(number: int, frame: FrameType | None) -> None:
        parts = {name: asdict(part) for name, part in stopwatch.parts.items()}
        total = time.process_time() - begun
        document = {"total": total, "parts": parts, "late": heart.late}
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps(document))
        unfinished.rename(file)

    signal.signal(signal.SIGUSR1, reset)
    signal.signal(signal.SIGUSR2, write)


def _after(owner: Any, name: str, action: Callable[[], None]) -> None:
    """Have a coroutine method followed by an action."""
    method = getattr(owner, name)

    async def followed(*arguments: Any) -> Any:
        result = await method(*arguments)
        action()
        return result

    setattr(owner, name, followed)


def main() -> int:
    """Run the daemon."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.daemon", description=__doc__)
    parser.add_argument("--pretend-esp", action="store_true")
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--heartbeat", action="store_true")
    parser.add_argument("daemon", nargs="+", help="arguments of ikev1d")
    options = parser.parse_args()
    IdleClients._watch = _stays  # type: ignore[method-assign, assignment]
    if options.pretend_esp:
        pretend_esp()
    if options.measure:
        measure(options.measure, heartbeat=options.heartbeat)
    sys.argv[1:] = options.daemon
    return daemon.main()


if __name__ == "__main__":
    sys.exit(main())
