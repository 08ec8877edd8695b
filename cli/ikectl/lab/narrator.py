"""Makes sentences of a trace: what a device has done, what is next, and why it has stopped.

The trace is that of `ikev1d --trace`. Nothing here reads a clock: `now` is seconds of the trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.control import printable
from cli.ikectl.lab.causes import NEXT, Cause, Circumstance, Step, why

Record = Mapping[str, Any]

MAX_TEXT = 400
"""Characters of a line that a device can fill."""
TRAFFIC_INTERVAL = 30.0
"""Seconds between two lines about a device's traffic."""
_ORDER = list(Step)
_MAIN = (
    (Step.MAIN_1, Step.MAIN_2),
    (Step.MAIN_3, Step.MAIN_4),
    (Step.MAIN_5, Step.MAIN_6),
)
"""What the messages of device and gateway are, in their order."""
_CONTROL = {
    "SCCRQ": Step.SCCRQ,
    "SCCRP": Step.SCCRP,
    "SCCCN": Step.SCCCN,
    "ICRQ": Step.ICRQ,
    "ICRP": Step.ICRP,
    "ICCN": Step.ICCN,
}
_PROTOCOLS = {"LCP": Step.LCP, "PAP": Step.LOGIN, "CHAP": Step.LOGIN, "IPCP": Step.IPCP}
_LOGIN_CODES = {
    ("PAP", 1): "name and password",
    ("PAP", 2): "accepted",
    ("PAP", 3): "refused",
    ("CHAP", 1): "challenge",
    ("CHAP", 2): "response",
    ("CHAP", 3): "accepted",
    ("CHAP", 4): "refused",
}
"""RFC 1334 section 2.2, RFC 1994 section 4."""
_IMPLEMENTATIONS = {"apple": Circumstance.APPLE, "windows": Circumstance.WINDOWS}
_NATS = {
    "client": {Circumstance.CLIENT_NAT},
    "server": {Circumstance.SERVER_NAT},
    "both": {Circumstance.CLIENT_NAT, Circumstance.SERVER_NAT},
    "none": {Circumstance.NO_NAT},
}
_ENDS = {
    "SessionDown": "the call has ended",
    "TunnelDown": "the tunnel has ended",
    "ChildDown": "ESP SAs have ended",
    "IkeSaDown": "the IKE SA has ended",
    "ClientDown": "gone",
}
_REFUSALS = {
    "Refused": "refused",
    "AuthFailed": "login refused",
    "TunnelRefused": "tunnel refused",
}


@dataclass(slots=True)
class _Device:
    """One device, from its first message on."""

    client: str
    step: Step = Step.NOTHING
    at: float = 0.0
    """When it, or the gateway, last said something new."""
    endpoint: tuple[str, int] = ("", 0)
    """Where its IKE comes from."""
    counts: dict[str, int] = field(default_factory=lambda: {"client": 0, "gateway": 0})
    """Messages of Main Mode."""
    circumstances: set[Circumstance] = field(default_factory=set)
    received: int = 0
    """Octets that its ESP SAs have opened."""
    sent: int = 0
    traffic_at: float | None = None
    """When its traffic was last told."""
    refused: Cause | None = None
    told: bool = False
    """Whether the cause of its silence has been told."""
    gone: bool = False


class Narrator:
    """Of all devices that come."""

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}
        self._of_mark: dict[int, str] = {}
        self._told_nothing = False

    @property
    def connected(self) -> int:
        """How many devices have come all the way."""
        return sum(device.step is Step.UP for device in self._devices.values())

    def take(self, record: Record) -> list[str]:
        """The lines that tell of a record."""
        device = self._device(record)
        if device is None:
            return []
        at = float(record["at"])
        if "address" in record:
            device.endpoint = record["address"], record["port"]
        if record.get("what") == "IkeSaUp":
            self._join(device)
        lines = [
            f"{at:9.3f}  {device.client}  {printable(text, MAX_TEXT)}"
            for text in self._tell(record, device)
        ]
        if lines:
            device.at, device.told = at, False
        return lines

    def traffic(self, client: str, received: int, sent: int, now: float) -> list[str]:
        """The lines that tell of a device's octets in ESP so far: the first, then now and then."""
        device = self._devices.get(client)
        if device is None or (device.received, device.sent) == (received, sent):
            return []
        start = f"{now:9.3f}  {client}  =="
        lines: list[str] = []
        if received and not device.received:
            device.circumstances.add(Circumstance.ESP_COMES)
            lines.append(f"{start} ESP of the device comes, and is opened")
        if device.step is Step.UP and (
            device.traffic_at is None or now - device.traffic_at >= TRAFFIC_INTERVAL
        ):
            device.traffic_at = now
            lines.append(f"{start} in ESP so far: {received} octets from it, {sent} to it")
        device.received, device.sent = received, sent
        return lines

    def wait(self, now: float) -> list[str]:
        """The lines that time makes: of devices that should have gone on by now."""
        lines: list[str] = []
        if not self._devices and not self._told_nothing and now > NEXT[Step.NOTHING].seconds:
            self._told_nothing = True
            lines += _stopped(now, "no device", Step.NOTHING, why(Step.NOTHING, frozenset()))
        for device in self._devices.values():
            within = NEXT.get(device.step)
            if within is None or device.told or device.gone or now - device.at < within.seconds:
                continue
            device.told = True
            lines += _stopped(now, device.client, device.step, _cause(device))
        return lines

    def summary(self) -> list[str]:
        """How far each device came, and why no further."""
        lines: list[str] = []
        for device in self._devices.values():
            if device.step is Step.UP:
                lines.append(f"{device.client}: it was connected")
                continue
            cause = _cause(device)
            lines.append(f"{device.client}: it came to {device.step.value}")
            lines += [f"  likely cause: {cause.text}", f"  what to do: {cause.remedy}"]
        return lines or ["no device has come"]

    def _device(self, record: Record) -> _Device | None:
        if record.get("what") == "ChildUp":
            self._of_mark[record["mark"]] = record["client"]
        client = record.get("client") or self._of_mark.get(record.get("mark", 0))
        if client is None:
            return None
        if client not in self._devices:
            begins = record.get("exchange") == "IDENTITY_PROTECTION" and "again" not in record
            if not begins and record.get("what") != "Refused":
                return None
            self._devices[client] = _Device(client)
        return self._devices[client]

    def _join(self, device: _Device) -> None:
        """Forget a newcomer that turns out to be this device, which renews its Phase 1."""
        for client, other in tuple(self._devices.items()):
            same = other.endpoint == device.endpoint and other.step is Step.MAIN_6
            if other is not device and same:
                del self._devices[client]

    # --- sentences -------------------------------------------------------------------------------

    def _tell(self, record: Record, device: _Device) -> Iterator[str]:
        match record["event"]:
            case "ike":
                yield from _ike(record, device)
            case "sealed":
                yield from _message_5(record, device)
            case "l2tp":
                yield from _l2tp(record, device)
            case "ppp":
                yield from _ppp(record, device)
            case "told":
                yield from _told(record, device)
            case _:
                return


def _reach(device: _Device, step: Step) -> None:
    """Note a step, if it is further than all before."""
    if _ORDER.index(step) > _ORDER.index(device.step):
        device.step = step
        device.circumstances.discard(Circumstance.REPEATS)


def _arrow(record: Record) -> str:
    return "device  ->" if record["from"] == "client" else "gateway <-"


def _ike(record: Record, device: _Device) -> Iterator[str]:
    arrow = _arrow(record)
    exchange = record["exchange"]
    if record.get("again"):
        if record["from"] == "client":
            device.circumstances.add(Circumstance.REPEATS)
            yield f"{arrow} the same {_name(exchange)} message again"
        return
    if exchange == "IDENTITY_PROTECTION":
        yield from _main_mode(record, device, arrow)
    elif exchange == "QUICK_MODE":
        if device.step is Step.UP:
            return  # a rekey, which is told when it is complete
        if record["from"] == "gateway":
            _reach(device, Step.QUICK_2)
            yield f"{arrow} {Step.QUICK_2.value}: {_first_transform(record)}"
        elif device.step in (Step.QUICK_1, Step.QUICK_2):
            _reach(device, Step.QUICK_3)
            yield f"{arrow} {Step.QUICK_3.value}"
        else:
            _reach(device, Step.QUICK_1)
            yield f"{arrow} {Step.QUICK_1.value}: {_offers(record)}"
            yield f"{arrow}   for {', '.join(_texts(record, 'ID'))}"
        yield from _next(device, record)
    elif exchange == "INFORMATIONAL":
        for kind in ("N", "D"):
            for text in _texts(record, kind):
                yield f"{arrow} {'notifies' if kind == 'N' else 'deletes'} {text}"


def _main_mode(record: Record, device: _Device, arrow: str) -> Iterator[str]:
    sender = record["from"]
    number = device.counts[sender]
    device.counts[sender] += 1
    if number >= len(_MAIN):
        return  # a renewal, which is told when it is complete
    step = _MAIN[number][sender == "gateway"]
    if step is Step.MAIN_5:
        # That it came has been told: here it is read.
        yield f"{arrow}   it shows {', '.join(_texts(record, 'ID')) or 'a name'}"
        return
    _reach(device, step)
    if step is Step.MAIN_1:
        yield f"{arrow} {step.value}: {_offers(record)}"
        yield f"{arrow}   vendor IDs {', '.join(_texts(record, 'VID')) or 'none'}"
    elif step is Step.MAIN_2:
        yield f"{arrow} {step.value}: {_first_transform(record)}"
    else:
        yield f"{arrow} {step.value}"
    yield from _next(device, record)


def _message_5(record: Record, device: _Device) -> Iterator[str]:
    if device.counts["client"] >= len(_MAIN):
        return
    _reach(device, Step.MAIN_5)
    port = 4500 if record["floated"] else 500
    yield f"{_arrow(record)} {Step.MAIN_5.value}, on UDP port {port}"


def _l2tp(record: Record, device: _Device) -> Iterator[str]:
    arrow = _arrow(record)
    if "malformed" in record:
        yield f"{arrow} L2TP that makes no sense: {record['malformed']}"
        return
    message = record["message"]
    if message in _CONTROL:
        _reach(device, _CONTROL[message])
        yield f"{arrow} {_CONTROL[message].value}"
        yield from _next(device, record)
    elif message in ("CDN", "STOPCCN"):
        yield f"{arrow} {message}: hangs up"


def _ppp(record: Record, device: _Device) -> Iterator[str]:
    arrow = _arrow(record)
    if "malformed" in record:
        yield f"{arrow} PPP that makes no sense: {record['malformed']}"
        return
    protocol, code = record["protocol"], record["code"]
    if protocol in _PROTOCOLS:
        _reach(device, _PROTOCOLS[protocol])
    if isinstance(code, str) and code.startswith("CONFIGURE"):
        options = " ".join(option["type"] for option in record["options"]) or "no options"
        yield f"{arrow} {protocol} {code.replace('_', '-').title()}: {options}"
    elif code not in ("ECHO_REQUEST", "ECHO_REPLY"):
        yield f"{arrow} {protocol} {_LOGIN_CODES.get((protocol, code), code)}"


def _told(record: Record, device: _Device) -> Iterator[str]:
    what = record["what"]
    if what == "IkeSaUp":
        device.circumstances |= _NATS.get(record["nat"], set())
        name = record["implementation"].lower()
        device.circumstances |= {
            circumstance for word, circumstance in _IMPLEMENTATIONS.items() if word in name
        }
        renewed = "IKE SA renewed" if device.step is Step.UP else "IKE SA up"
        yield f"== {renewed}: {record['suite']}, NAT before: {record['nat']}, {name}"
    elif what == "ChildUp":
        encapsulated = "in UDP" if record["encapsulated"] else "bare"
        what = "renewed" if record["rekeyed"] else "up"
        yield f"== ESP SAs {what}: {record['suite']}, {encapsulated}"
    elif what == "SessionUp":
        _reach(device, Step.UP)
        yield f"== connected, by {record['auth']}, packets of up to {record['mtu']} octets"
    elif what in _REFUSALS:
        device.refused = Cause(record["cause"], record.get("remedy") or "see the gateway's log")
        yield f"!! {_REFUSALS[what]}: {record['cause']}"
        if record.get("remedy"):
            yield f"!!   what to do: {record['remedy']}"
    elif what == "Noted":
        yield f"== {record['text']}"
    elif what in _ENDS:
        device.gone = what == "ClientDown"
        yield f"== {_ENDS[what]}: {record['cause']}"


def _next(device: _Device, record: Record) -> Iterator[str]:
    """What should come now, after a message of the gateway or at the end of an exchange."""
    within = NEXT.get(device.step)
    gateway_has_answered = record["from"] == "gateway"
    if within is not None and (
        gateway_has_answered or device.step in (Step.QUICK_3, Step.SCCCN, Step.ICCN)
    ):
        yield f"     next: it should {within.what}, within {within.seconds:.0f} s"


def _cause(device: _Device) -> Cause:
    """The gateway's own word, if it has refused; else what usually is the matter."""
    return device.refused or why(device.step, frozenset(device.circumstances))


def _stopped(now: float, who: str, step: Step, cause: Cause) -> Sequence[str]:
    start = f"{now:9.3f}  {who}  "
    within = NEXT[step]
    return (
        f"{start}!! it stopped: it should {within.what} within {within.seconds:.0f} s",
        f"{start}!!   likely cause: {cause.text}",
        f"{start}!!   what to do: {cause.remedy}",
    )


def _name(exchange: str) -> str:
    return {"IDENTITY_PROTECTION": "Main Mode", "QUICK_MODE": "Quick Mode"}.get(exchange, exchange)


def _texts(record: Record, kind: str) -> list[str]:
    """The payloads of a kind in words, without their type."""
    return [
        payload["text"].removeprefix(kind).strip()
        for payload in record["payloads"]
        if payload["type"] == kind and "text" in payload
    ]


def _transforms(record: Record) -> list[str]:
    """The transforms of an SA payload by their values, as "AES_CBC 256 SHA1 MODP_1024"."""
    lines = [line.strip() for text in _texts(record, "SA") for line in text.splitlines()]
    return [_values(line) for line in lines if line.partition(":")[0].isdigit()]


def _values(transform: str) -> str:
    _, _, rest = transform.partition(": ")
    words = [word for word in rest.split() if not word.startswith("LIFE_")]
    return " ".join(word.partition("=")[2] or word for word in words if word != "KEY_IKE")


def _offers(record: Record) -> str:
    transforms = _transforms(record)
    first = f", first {transforms[0]}" if transforms else ""
    return f"{len(transforms)} proposals{first}"


def _first_transform(record: Record) -> str:
    return (_transforms(record) or ["nothing"])[0]
