"""The daemon's IKE part alone, on a kernel without ESP: `ike_part CONFIG [MEASUREMENTS]`.

It is all that Main Mode and Quick Mode meet in the daemon: configuration, sockets, engine, netlink,
log. The daemon itself rightly refuses to start on such a kernel. Where the kernel says that it has
no ESP, the answer counts as success, so that a Quick Mode goes its whole way but for the work on
the SA in the kernel. A server made like this would protect nothing.

With MEASUREMENTS, the parts are timed: SIGUSR1 counts from zero, SIGUSR2 writes the file.
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

from cli.ikev1d import udp, workers
from cli.ikev1d.config import load
from cli.ikev1d.ike import IkeHost
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.logs import configure
from cli.ikev1d.story import Story
from cli.ikev1d.timer import Timer
from cli.ikev1d.udp import IkeSockets
from ikev1.core import ike_sa, main_mode, natt, proposals, responder
from ikev1.core.responder import Responder
from ikev1.crypto import keymat
from tests.bench.stopwatch import Stopwatch
from xfrm import sadb
from xfrm.netlink import Answer, Request, RequestSocket
from xfrm.sadb import Sadb


async def serve(path: Path, measurements: Path | None) -> None:
    """Run until SIGTERM."""
    config = load(path)
    configure(config.gateway.log_format, config.gateway.log_level, sys.stderr)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if measurements is not None:
        _measure(loop, measurements)
    kernel = Sadb()
    await kernel.open()
    sas = KernelSas(kernel, config.marks.base, config.marks.mask)
    await sas.open()
    sockets = IkeSockets([str(address) for address in config.gateway.listen])
    host = IkeHost(
        config,
        sockets,
        sas,
        (),
        Story(config),
        client_gone=lambda mark, client, cause: None,
        child_up=lambda event: None,
    )
    sockets.start(host.receive)
    await stop.wait()


def _accept_sas() -> None:
    exchange = RequestSocket.exchange

    def accepting(self: RequestSocket, requests: Sequence[Request]) -> list[Answer]:
        answers = exchange(self, requests)
        for answer in answers:
            if answer.errno == errno.EPROTONOSUPPORT:
                answer.errno = 0
        return answers

    RequestSocket.exchange = accepting  # type: ignore[method-assign]


def _measure(loop: asyncio.AbstractEventLoop, file: Path) -> None:
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
    watch("kernel SAs", KernelSas, "_inbound_sa", "_outbound_sa", "_policy")
    watch("UDP system calls", socket.socket, "recvmsg", "sendmsg")
    watch("UDP sockets", udp.DatagramSocket, "send", "_receive")

    begun = process_time()

    def reset() -> None:
        nonlocal begun
        stopwatch.reset()
        begun = process_time()

    def write() -> None:
        parts = {name: asdict(part) for name, part in stopwatch.parts.items()}
        file.write_text(json.dumps({"total": process_time() - begun, "parts": parts}))

    loop.add_signal_handler(signal.SIGUSR1, reset)
    loop.add_signal_handler(signal.SIGUSR2, write)


if __name__ == "__main__":
    _accept_sas()
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
