"""The daemon on a kernel without ESP: `no_esp MEASUREMENTS --config CONFIG`, for benchmarks alone.

There the daemon rightly refuses to start. Here, where such a kernel says that it has no ESP, that
counts as success: everything else is done, policies included, so that Main Mode costs what it
costs elsewhere, and Quick Mode as much but for the work of the kernel on the SA. Nothing is
protected. Sessions cannot be dialled, only IKE is served.

SIGUSR1 has the parts timed from zero, SIGUSR2 writes what they took to the file MEASUREMENTS; with
"-" in its place nothing is timed.
"""

import asyncio
import errno
import json
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import process_time
from types import FrameType

from cli.ikev1d import __main__ as daemon
from cli.ikev1d import udp, workers
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.story import Story
from cli.ikev1d.timer import Timer
from ikev1.core import ike_sa, main_mode, natt, proposals, responder
from ikev1.core.responder import Responder
from ikev1.crypto import keymat
from tests.bench.stopwatch import Stopwatch
from xfrm import sadb
from xfrm.constants import MessageType
from xfrm.netlink import Answer, Request, RequestSocket

NO_ESP = {
    (MessageType.NEWSA, errno.EPROTONOSUPPORT),
    (MessageType.NEWSA, errno.ENOSYS),
    (MessageType.DELSA, errno.ESRCH),
}
"""What such a kernel answers; ENOSYS is for a cipher that nothing else needs either."""


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


def measure(file: Path) -> None:
    """Time the parts of the daemon."""
    stopwatch = Stopwatch()
    stopwatch.calibrate()
    watch = stopwatch.watch
    watch("event loop", asyncio.Handle, "_run")
    watch("Diffie-Hellman", workers, "generate_and_agree")
    watch("engine", Responder, "receive", "complete", "advance")
    derivations = (
        *("skeyid_psk", "phase1_keys", "keymat", "phase1_iv", "phase2_iv"),
        *("hash_i", "hash_r", "hash_1", "hash_2", "hash_3"),
    )
    watch("keys and hashes", keymat, *derivations)
    watch("keys and hashes", natt, "nat_d_hash")
    watch("cipher", ike_sa, "encrypt", "decrypt")
    watch("codec", responder, "parse_header", "parse_payloads", "build_message")
    watch("codec", ike_sa, "parse_payloads", "build_payloads", "build_header", "build_message")
    watch("codec", main_mode, "build_payloads")
    watch("choice of a proposal", proposals, "choose_ike", "choose_esp")
    watch("log", Story, "tell")
    watch("timer", Timer, "set")
    watch("netlink system calls", RequestSocket, "send", "recv")
    watch("netlink messages", RequestSocket, "exchange")
    watch(
        "netlink messages", sadb, "encode_sa", "encode_sa_id", "encode_policy", "encode_policy_id"
    )
    watch("kernel SAs", KernelSas, "install_inbound", "install_outbound", "remove")
    watch("UDP system calls", socket.socket, "recvmsg", "sendmsg")
    watch("UDP sockets", udp.DatagramSocket, "send", "_receive")

    begun = process_time()

    def reset(number: int, frame: FrameType | None) -> None:
        nonlocal begun
        stopwatch.reset()
        begun = process_time()

    def write(number: int, frame: FrameType | None) -> None:
        parts = {name: asdict(part) for name, part in stopwatch.parts.items()}
        file.write_text(json.dumps({"total": process_time() - begun, "parts": parts}))

    signal.signal(signal.SIGUSR1, reset)
    signal.signal(signal.SIGUSR2, write)


if __name__ == "__main__":
    measurements = sys.argv.pop(1)
    pretend_esp()
    if measurements != "-":
        measure(Path(measurements))
    sys.exit(daemon.main())
