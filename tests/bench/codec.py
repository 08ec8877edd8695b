"""Microseconds to parse and to build each message of Main Mode and Quick Mode.

Against plain interpreted construct on the same octets, in turns. The shortest of many runs counts:
whatever else the machine does can only make a run longer. Encrypted messages are taken in clear.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

from ikev1.wire.enums import ExchangeType, IdType, PayloadType
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import build_message, parse_payloads
from ikev1.wire.payloads import (
    Hash,
    Identification,
    KeyExchange,
    NatD,
    NatOa,
    Nonce,
    Payload,
    VendorId,
)
from ikev1.wire.sa import Proposal, SaPayload
from tests.support import ike_construct
from tests.support.ike_samples import APPLE_MM1, COOKIES, MM5, QM1, WINDOWS_MM1

RUNS = 60
SECONDS_A_RUN = 0.001


def _answer(question: Payload, spi: bytes) -> SaPayload:
    assert isinstance(question, SaPayload)
    (offer,) = question.proposals
    chosen = Proposal(offer.number, offer.protocol_id, spi, offer.transforms[:1])
    return SaPayload(question.doi, question.situation, (chosen,))


_KE: list[Payload] = [
    KeyExchange(bytes(range(256))),
    Nonce(bytes(32)),
    NatD(bytes(32)),
    NatD(bytes(range(32))),
]
_MAIN, _QUICK = ExchangeType.IDENTITY_PROTECTION, ExchangeType.QUICK_MODE

MESSAGES: dict[str, tuple[ExchangeType, Sequence[Payload]]] = {
    "Main Mode 1, macOS: 14 transforms, 12 vendor IDs": (_MAIN, APPLE_MM1),
    "Main Mode 1, Windows: 5 transforms, 7 vendor IDs": (_MAIN, WINDOWS_MM1),
    "Main Mode 2": (
        _MAIN,
        [_answer(APPLE_MM1[0], b""), VendorId(bytes(16)), VendorId(bytes(range(16)))],
    ),
    "Main Mode 3 and 4: modp2048": (_MAIN, _KE),
    "Main Mode 5": (_MAIN, MM5),
    "Main Mode 6": (_MAIN, [Identification(IdType.IPV4_ADDR, 0, 0, bytes(4)), Hash(bytes(32))]),
    "Quick Mode 1, macOS: 9 transforms, NAT-OA": (_QUICK, QM1),
    "Quick Mode 2": (
        _QUICK,
        [
            Hash(bytes(32)),
            _answer(QM1[1], bytes(4)),
            Nonce(bytes(32)),
            *QM1[3:5],
            NatOa(IdType.IPV4_ADDR, bytes(4)),
            NatOa(IdType.IPV4_ADDR, bytes(range(4))),
        ],
    ),
    "Quick Mode 3": (_QUICK, [Hash(bytes(32))]),
}
"""Each message as the exchange it belongs to and its payloads."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds for one message."""

    name: str
    octets: int
    parse: float
    build: float
    plain_parse: float
    plain_build: float


def timing(name: str) -> Timing:
    """Time one of `MESSAGES`."""
    exchange, payloads = MESSAGES[name]

    def build() -> bytes:
        return build_message(COOKIES, exchange, 0, payloads)

    message = build()

    def parse() -> object:
        header = parse_header(message)
        return parse_payloads(header.next_payload, message[HEADER_LENGTH:])

    def plain_parse() -> tuple[object, list[ike_construct.Parsed]]:
        header = ike_construct.HEADER.parse(message, size=len(message))
        chain, _ = ike_construct.parse_chain(header.next_payload, message[HEADER_LENGTH:])
        return header, chain

    header, chain = plain_parse()
    following = [*(payload.kind for payload in chain[1:]), PayloadType.NONE]

    def plain_build() -> bytes:
        parts = [ike_construct.HEADER.build(header, size=len(message))]
        for payload, kind in zip(chain, following, strict=True):
            body = ike_construct.BODIES.get(payload.kind, ike_construct.RAW).build(payload.fields)
            generic = {"next": kind, "reserved": 0, "length": 4 + len(body), "body": body}
            parts.append(ike_construct.GENERIC.build(generic))
        return b"".join(parts)

    if plain_build() != message:
        raise AssertionError(f"{name}: construct builds something else")
    return Timing(name, len(message), *_shortest([parse, build, plain_parse, plain_build]))


def _shortest(functions: Sequence[Callable[[], object]]) -> list[float]:
    """Microseconds of one call of each, the shortest of `RUNS` turns."""
    repeats = [max(1, int(1e9 * SECONDS_A_RUN / _took(function, 3))) for function in functions]
    best = [float("inf")] * len(functions)
    for _ in range(RUNS):
        for index, function in enumerate(functions):
            best[index] = min(best[index], _took(function, repeats[index]) / 1000)
    return best


def _took(function: Callable[[], object], repeats: int) -> float:
    """Nanoseconds of one call, the mean of `repeats`."""
    begun = perf_counter_ns()
    for _ in range(repeats):
        function()
    return (perf_counter_ns() - begun) / repeats


def table() -> str:
    """Time all messages; a table in Markdown."""
    lines = [
        "| message | octets | parse | build | plain construct: parse | build |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for name in MESSAGES:
        row = timing(name)
        lines.append(
            f"| {name} | {row.octets} | {row.parse:.1f} | {row.build:.1f}"
            f" | {row.plain_parse:.0f} | {row.plain_build:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
