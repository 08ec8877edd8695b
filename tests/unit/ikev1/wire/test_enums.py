import copy
import inspect
from typing import Any

import pytest

from ikev1.wire import enums
from ikev1.wire.enums import EspTransform, NotifyType, OpenEnum, PayloadType

ENUMS = [
    enum
    for _, enum in inspect.getmembers(enums, inspect.isclass)
    if issubclass(enum, OpenEnum) and enum is not OpenEnum
]


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_every_enum_is_open(enum: type[OpenEnum]) -> None:
    member = enum(54321)
    assert member == 54321
    assert isinstance(member, enum)
    assert str(member) == repr(member) == f"{member}"
    assert str(member).endswith("(54321)")
    assert str(member)[:-7].isupper()


def test_numbers_can_still_be_printed() -> None:
    assert f"{NotifyType.R_U_THERE:d} {NotifyType.R_U_THERE:#06x} {NotifyType(60000):X}" == (
        "36136 0x8d28 EA60"
    )
    assert f"{EspTransform.DES:>5}|" == "  DES|"


def test_known_numbers_print_their_name() -> None:
    assert f"{NotifyType.R_U_THERE} {EspTransform(12)}" == "R_U_THERE AES_CBC"


def test_unknown_members_are_values() -> None:
    assert PayloadType(99) == PayloadType(99)
    assert len({PayloadType(99), PayloadType(99), 99}) == 1
    assert copy.deepcopy(PayloadType(99)).name == "PAYLOAD(99)"


def test_unknown_members_are_not_kept() -> None:
    NotifyType(60000)
    assert 60000 not in {member.value for member in NotifyType}
    assert 60000 not in NotifyType._value2member_map_


@pytest.mark.parametrize("value", [-1, "KE", None, 1.5])
def test_what_is_no_number_of_a_wire_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="PayloadType"):
        PayloadType(value)
