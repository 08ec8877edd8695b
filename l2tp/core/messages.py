"""The control messages an LNS sends, RFC 2661 section 6, and the tunnel's authentication."""

from __future__ import annotations

import hashlib

from l2tp.core.settings import LnsSettings
from l2tp.core.transport import RECEIVE_WINDOW
from l2tp.wire.avp import Avp, ResultCode, build_avps, make_avp
from l2tp.wire.enums import AvpType, CdnResult, GeneralError, MessageType, StopResult

PROTOCOL_VERSION = 0x0100  # version 1, revision 0
FRAMING_ANY = 3  # synchronous and asynchronous: PPP over UDP does not care
CHALLENGE_SIZE = 16
# An error text is for a person; any length an AVP could hold is too long.
MAX_ERROR_TEXT = 200


def challenge_response(message_type: MessageType, secret: bytes, challenge: bytes) -> bytes:
    """Answer to a Challenge AVP, sent in ``message_type``: RFC 2661 section 5.1.1."""
    octets = bytes((message_type,)) + secret + challenge
    return hashlib.md5(octets, usedforsecurity=False).digest()


def sccrp(
    settings: LnsSettings, tunnel_id: int, challenge: bytes | None, response: bytes | None
) -> bytes:
    """Start-Control-Connection-Reply."""
    avps = [
        make_avp(AvpType.MESSAGE_TYPE, MessageType.SCCRP),
        make_avp(AvpType.PROTOCOL_VERSION, PROTOCOL_VERSION),
        make_avp(AvpType.FRAMING_CAPABILITIES, FRAMING_ANY),
        make_avp(AvpType.HOST_NAME, settings.host_name),
        make_avp(AvpType.ASSIGNED_TUNNEL_ID, tunnel_id),
        make_avp(AvpType.RECEIVE_WINDOW_SIZE, RECEIVE_WINDOW),
    ]
    if settings.firmware is not None:
        avps.append(make_avp(AvpType.FIRMWARE_REVISION, settings.firmware, mandatory=False))
    if settings.vendor_name:
        avps.append(make_avp(AvpType.VENDOR_NAME, settings.vendor_name, mandatory=False))
    if challenge is not None:
        avps.append(make_avp(AvpType.CHALLENGE, challenge))
    if response is not None:
        avps.append(make_avp(AvpType.CHALLENGE_RESPONSE, response))
    return build_avps(tuple(avps))


def stopccn(
    tunnel_id: int,
    result: StopResult,
    error: GeneralError = GeneralError.NONE,
    message: str = "",
) -> bytes:
    """Stop-Control-Connection-Notification."""
    return build_avps(
        (
            make_avp(AvpType.MESSAGE_TYPE, MessageType.STOPCCN),
            make_avp(AvpType.ASSIGNED_TUNNEL_ID, tunnel_id),
            _result(result, error, message),
        )
    )


def cdn(
    session_id: int,
    result: CdnResult,
    error: GeneralError = GeneralError.NONE,
    message: str = "",
) -> bytes:
    """Call-Disconnect-Notify."""
    return build_avps(
        (
            make_avp(AvpType.MESSAGE_TYPE, MessageType.CDN),
            _result(result, error, message),
            make_avp(AvpType.ASSIGNED_SESSION_ID, session_id),
        )
    )


def icrp(session_id: int) -> bytes:
    """Incoming-Call-Reply."""
    return build_avps(
        (
            make_avp(AvpType.MESSAGE_TYPE, MessageType.ICRP),
            make_avp(AvpType.ASSIGNED_SESSION_ID, session_id),
        )
    )


def hello() -> bytes:
    """Hello."""
    return build_avps((make_avp(AvpType.MESSAGE_TYPE, MessageType.HELLO),))


def _result(result: StopResult | CdnResult, error: GeneralError, message: str) -> Avp:
    return make_avp(AvpType.RESULT_CODE, ResultCode(result, error, message[:MAX_ERROR_TEXT]))
