"""Values inside CHAP (RFC 1994, RFC 2759) and PAP (RFC 1334) packets."""

from __future__ import annotations

from dataclasses import dataclass, field

from construct import Bytes, GreedyBytes, Int8ub, Prefixed, Struct, Terminated

from l2tp.wire.cursor import parse_exactly

_CHAP_VALUE = Struct("value" / Prefixed(Int8ub, GreedyBytes), "name" / GreedyBytes)
_PAP_REQUEST = Struct(
    "user" / Prefixed(Int8ub, GreedyBytes),
    "password" / Prefixed(Int8ub, GreedyBytes),
)
_PAP_ANSWER = Struct("message" / Prefixed(Int8ub, GreedyBytes))
_MSCHAPV2_RESPONSE = Struct(
    "peer_challenge" / Bytes(16),
    "reserved" / Bytes(8),
    "response" / Bytes(24),
    "flags" / Int8ub,
    Terminated,
)


@dataclass(frozen=True, slots=True)
class ChapValue:
    """Body of a Challenge or Response, RFC 1994 section 4.1."""

    value: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class PapCredentials:
    """Body of an Authenticate-Request, RFC 1334 section 2.2.1."""

    user: bytes
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MsChapV2Response:
    """The 49 octets of an MS-CHAPv2 Response, RFC 2759 section 4."""

    peer_challenge: bytes
    response: bytes
    flags: int = 0
    reserved: bytes = bytes(8)


def parse_chap_value(data: bytes) -> ChapValue:
    """Read a Challenge or Response body; raises ProtocolError."""
    parsed = parse_exactly(_CHAP_VALUE, data, "CHAP value")
    return ChapValue(parsed.value, parsed.name)


def build_chap_value(value: ChapValue) -> bytes:
    """Octets of a Challenge or Response body."""
    octets: bytes = _CHAP_VALUE.build({"value": value.value, "name": value.name})
    return octets


def parse_mschapv2_response(value: bytes) -> MsChapV2Response:
    """Read the value of an MS-CHAPv2 Response; raises ProtocolError unless it is 49 octets."""
    parsed = parse_exactly(_MSCHAPV2_RESPONSE, value, "MS-CHAPv2 response")
    return MsChapV2Response(parsed.peer_challenge, parsed.response, parsed.flags, parsed.reserved)


def build_mschapv2_response(value: MsChapV2Response) -> bytes:
    """Octets of the value of an MS-CHAPv2 Response."""
    octets: bytes = _MSCHAPV2_RESPONSE.build(
        {
            "peer_challenge": value.peer_challenge,
            "reserved": value.reserved,
            "response": value.response,
            "flags": value.flags,
        }
    )
    return octets


def parse_pap_credentials(data: bytes) -> PapCredentials:
    """Read an Authenticate-Request body; raises ProtocolError."""
    parsed = parse_exactly(_PAP_REQUEST, data, "PAP request")
    return PapCredentials(parsed.user, parsed.password)


def build_pap_credentials(request: PapCredentials) -> bytes:
    """Octets of an Authenticate-Request body."""
    octets: bytes = _PAP_REQUEST.build({"user": request.user, "password": request.password})
    return octets


def build_pap_answer(message: str) -> bytes:
    """Octets of an Authenticate-Ack or -Nak body."""
    octets: bytes = _PAP_ANSWER.build({"message": message.encode()})
    return octets
