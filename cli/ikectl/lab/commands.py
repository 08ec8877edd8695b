"""Runs `ikectl lab`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from types import FrameType

from cli.ikectl import files
from cli.ikectl.errors import CommandError
from cli.ikectl.lab.gateway import PAUSE, Gateway, Trace
from cli.ikectl.lab.narrator import Narrator
from cli.ikectl.lab.setup import Lab, own_address, prepare
from cli.ikectl.profile.serve import Document, OneTimeServer

MEDIA_TYPE = "application/x-apple-aspen-config"
SERVE_SECONDS = 3600.0
COUNT_INTERVAL = 3.0
"""Seconds between two looks at what has come and gone in ESP."""


def run(options: argparse.Namespace) -> None:
    """Serve one device until Ctrl-C. Raises CommandError, also where none has connected."""
    directory = options.directory or Path(time.strftime("lab-%Y%m%d-%H%M%S"))
    address = options.listen or own_address()
    lab = prepare(directory, address, certificate=options.certificate)
    with Gateway(lab) as gateway:
        if lab.address.is_private and not options.no_serve:
            _offer_profile(lab)
        _introduce(lab)
        _follow(lab, gateway)
    if not _sum_up(lab):
        raise CommandError("no device has connected")


def _introduce(lab: Lab) -> None:
    _say(
        "",
        f"The gateway serves on {lab.address}. What to type into the device (L2TP over IPsec):",
        *(f"  {name:11}{value}" for name, value in lab.fields().items()),
        f"or take a file of {lab.directory}: profile.mobileconfig for Apple, windows.ps1 for",
        "Windows; fields.txt has the names of the fields on each device. These secrets are good",
        "until you press Ctrl-C. Now connect the device.",
        "",
    )


def _offer_profile(lab: Lab) -> None:
    """Give the profile to the first who comes, while we serve."""
    data = files.read(lab.directory / "profile.mobileconfig")
    document = Document("profile.mobileconfig", MEDIA_TYPE, data)
    try:
        server = OneTimeServer(lab.address, 0, document)
    except OSError as error:
        raise CommandError(f"cannot serve on {lab.address}: {error.strerror}") from None
    _show_code(server.url)
    threading.Thread(target=_serve, args=(server,), daemon=True).start()


def _serve(server: OneTimeServer) -> None:
    with server:
        if server.wait(SERVE_SECONDS):
            _say(f"the profile was given to {server.taker}")


def _show_code(url: str) -> None:
    from cli.ikectl.profile.qr import draw

    _say(draw(url, colours=sys.stdout.isatty()), url)
    _say("For an Apple device: the profile, once, and not encrypted on its way.")


def _follow(lab: Lab, gateway: Gateway) -> None:
    """Tell what happens until Ctrl-C, or SIGTERM."""
    stop = threading.Event()
    narrator = Narrator()

    def stopped(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    start, count_at = time.monotonic(), 0.0
    try:
        with closing(Trace(lab.transcript)) as trace:
            while not stop.wait(PAUSE):
                gateway.check()
                for record in trace.new():
                    start = record.get("clock", start)  # what the trace's seconds count from
                    _say(*narrator.take(record))
                now = time.monotonic() - start
                if now >= count_at:
                    count_at = now + COUNT_INTERVAL
                    for client, (received, sent) in gateway.traffic().items():
                        _say(*narrator.traffic(client, received, sent, now))
                _say(*narrator.wait(now))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sum_up(lab: Lab) -> int:
    """Tell how far each device came, now that all is written; how many were connected."""
    narrator = Narrator()
    with closing(Trace(lab.transcript)) as trace:
        for record in trace.new():
            narrator.take(record)
    _say("", *narrator.summary())
    _say("", f"transcript: {lab.transcript}", f"  python -m interop replay {lab.transcript}")
    return narrator.connected


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)
