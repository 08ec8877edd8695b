"""What a device does once it is connected, and whether the gateway went along with it."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from ikev1.wire.enums import NotifyType, ProtocolId
from ikev1.wire.payloads import Delete, Notification
from interop.emulation.complaints import Step
from interop.replay.transcript import Attempt, Record, payloads

_GOODBYES = {("ppp", "TERMINATE_REQUEST"), ("l2tp", "CDN"), ("l2tp", "STOPCCN")}


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that the device did, and whether it came to its end."""

    step: Step
    done: bool


def deeds(attempt: Attempt) -> tuple[Deed, ...]:
    """What the device did from the time it was connected to the end of its call, in order.

    Questions for a sign of life that follow each other are one deed.
    """
    call = _call(attempt.records)
    found: list[Deed] = []
    begun: set[Hashable] = set()
    for place, record in enumerate(call):
        exchange = _exchange(record)
        is_new = exchange not in begun
        begun.add(exchange)
        step = _step(record) if is_new and record.get("from") == "client" else None
        repeats = step is Step.ARE_YOU_THERE and bool(found) and found[-1].step is step
        if step is not None and not repeats:
            found.append(Deed(step, _is_done(step, call[place:])))
        if step is Step.HANG_UP:
            break
    return tuple(found)


def _call(records: Sequence[Record]) -> Sequence[Record]:
    """The records after the device was connected, without repetitions."""
    ups = [place for place, record in enumerate(records) if record.get("what") == "SessionUp"]
    return [record for record in records[ups[0] + 1 :] if "again" not in record] if ups else ()


def _exchange(record: Record) -> Hashable:
    """What the messages of an exchange have in common; a record of anything else is unique."""
    if record["event"] != "ike":
        return id(record)
    return record["cookies"].partition(":")[0], record["exchange"], record.get("message_id")


def _step(record: Record) -> Step | None:
    """What the device is about with the first message of an exchange."""
    if (record["event"], record.get("message") or record.get("code")) in _GOODBYES:
        return Step.HANG_UP
    match record["event"], record.get("exchange"):
        case "ike", "IDENTITY_PROTECTION":
            return Step.REKEY_PHASE_1
        case "ike", "QUICK_MODE":
            return Step.REKEY_PHASE_2
        case "ike", "INFORMATIONAL" if _notifies(record, NotifyType.R_U_THERE):
            return Step.ARE_YOU_THERE
    return None


def _is_done(step: Step, since: Sequence[Record]) -> bool:
    match step:
        case Step.REKEY_PHASE_1:
            return _told(since, "IkeSaUp")
        case Step.REKEY_PHASE_2:
            return _told(since, "ChildUp")
        case Step.ARE_YOU_THERE:
            return any(
                record.get("from") == "gateway" and _notifies(record, NotifyType.R_U_THERE_ACK)
                for record in since
            )
    return _told(since, "SessionDown")


def _told(records: Iterable[Record], what: str) -> bool:
    return any(record.get("what") == what for record in records)


def _notifies(record: Record, kind: NotifyType) -> bool:
    if record["event"] != "ike":
        return False
    return any(
        isinstance(item, Notification) and item.notify_type == kind for item in payloads(record)
    )


def deletes_rekeyed(attempt: Attempt) -> bool | None:
    """Whether the device deleted the ESP SAs that it had replaced; None if it replaced none."""
    call = _call(attempt.records)
    rekeyed = [place for place, record in enumerate(call) if record.get("what") == "ChildUp"]
    if not rekeyed:
        return None
    for record in call[rekeyed[0] :]:
        if _step(record) is Step.HANG_UP:
            return False
        if record["event"] == "ike" and record["from"] == "client" and _deletes_esp(record):
            return True
    return False


def _deletes_esp(record: Record) -> bool:
    return any(
        isinstance(item, Delete) and item.protocol_id == ProtocolId.ESP for item in payloads(record)
    )
