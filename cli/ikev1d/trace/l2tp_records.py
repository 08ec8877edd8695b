"""L2TP control messages and PPP packets as records, without what is secret or names somebody."""

from __future__ import annotations

from cli.ikev1d.trace.ike_records import Record
from cli.ikev1d.trace.placeholders import Placeholders
from l2tp.wire.avp import Avp, parse_avps
from l2tp.wire.enums import AvpType, Code, IpcpOption, LcpOption, MessageType, OpenEnum, Protocol
from l2tp.wire.packet import ControlMessage
from l2tp.wire.ppp import Frame, Option, parse_options, parse_packet

_SHOWN = {
    AvpType.MESSAGE_TYPE,
    AvpType.RESULT_CODE,
    AvpType.PROTOCOL_VERSION,
    AvpType.FRAMING_CAPABILITIES,
    AvpType.BEARER_CAPABILITIES,
    AvpType.FIRMWARE_REVISION,
    AvpType.VENDOR_NAME,
    AvpType.ASSIGNED_TUNNEL_ID,
    AvpType.RECEIVE_WINDOW_SIZE,
    AvpType.ASSIGNED_SESSION_ID,
    AvpType.CALL_SERIAL_NUMBER,
    AvpType.MINIMUM_BPS,
    AvpType.MAXIMUM_BPS,
    AvpType.BEARER_TYPE,
    AvpType.FRAMING_TYPE,
    AvpType.TX_CONNECT_SPEED,
    AvpType.RX_CONNECT_SPEED,
    AvpType.SEQUENCING_REQUIRED,
}
"""Of any other AVP the value is as many zeros."""
_CONFIGURE = {
    Code.CONFIGURE_REQUEST,
    Code.CONFIGURE_ACK,
    Code.CONFIGURE_NAK,
    Code.CONFIGURE_REJECT,
}
_SECRET_LCP = {LcpOption.MAGIC, LcpOption.ENDPOINT}
_NETWORK_PROTOCOLS = 0x8000
"""From here on PPP's protocols are those that control others (RFC 1661 section 2)."""
_LOGINS = {Protocol.PAP, Protocol.CHAP, Protocol.EAP}
_IPV4 = 4


def control_record(message: ControlMessage, placeholders: Placeholders) -> Record:
    """A control message with its AVPs. Raises ProtocolError."""
    avps = parse_avps(message.payload)
    kind = MessageType.ZLB
    if avps and avps[0].type == AvpType.MESSAGE_TYPE:
        kind = MessageType(int.from_bytes(avps[0].value[:2]))
    return {
        "message": kind.name,
        "tunnel": message.tunnel_id,
        "session": message.session_id,
        "ns": message.ns,
        "nr": message.nr,
        "avps": [_avp(avp, placeholders) for avp in avps[1:]],
    }


def _avp(avp: Avp, placeholders: Placeholders) -> Record:
    value = bytes(len(avp.value))
    if not avp.vendor and not avp.hidden:
        if avp.type == AvpType.HOST_NAME:
            name = avp.value.decode(errors="replace")
            end = "\0" * (len(name) - len(name.rstrip("\0")))
            value = (placeholders.name("host", name.rstrip("\0")) + end).encode()
        elif avp.type in _SHOWN:
            value = avp.value
    record: Record = {
        "type": avp.type.name,
        "number": int(avp.type),
        "mandatory": avp.mandatory,
        "value": value.hex(),
    }
    if avp.vendor:
        record["vendor"] = avp.vendor
    if avp.hidden:
        record["hidden"] = True
    return record


def is_traced(frame: Frame) -> bool:
    """Whether a frame is of PPP itself, and not of what it carries."""
    return frame.protocol >= _NETWORK_PROTOCOLS


def ppp_record(frame: Frame, placeholders: Placeholders) -> Record:
    """A PPP packet; Configure packets with their options. Raises ProtocolError."""
    packet = parse_packet(frame.information)
    logs_in = frame.protocol in _LOGINS
    record: Record = {
        "protocol": frame.protocol.name,
        "code": packet.code if logs_in else Code(packet.code).name,
        "identifier": packet.identifier,
    }
    if logs_in or packet.code not in _CONFIGURE:
        return record | {"size": len(packet.data)}
    names: type[OpenEnum] = IpcpOption if frame.protocol == Protocol.IPCP else LcpOption
    return record | {
        "options": [
            {
                "type": names(option.type).name,
                "number": option.type,
                "value": _option(frame.protocol, option, placeholders).hex(),
            }
            for option in parse_options(packet.data)
        ]
    }


def _option(protocol: Protocol, option: Option, placeholders: Placeholders) -> bytes:
    value = option.value
    if protocol == Protocol.LCP and option.type in _SECRET_LCP:
        return value[:1] + bytes(len(value) - 1) if option.type == LcpOption.ENDPOINT else bytes(4)
    if protocol == Protocol.IPCP and option.type != IpcpOption.COMPRESSION and len(value) == _IPV4:
        return placeholders.packed(value)
    return value
