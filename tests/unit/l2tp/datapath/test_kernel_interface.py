"""Numbers and layouts of the kernel's interface; what they do is in tests/kernel."""

import errno

import pytest

from l2tp.datapath import ioctls
from l2tp.datapath.errors import DataPathError


def test_ioctl_numbers_are_those_of_the_header_file() -> None:
    assert {name: number for name, number in vars(ioctls).items() if name.startswith("PPP")} == {
        "PPPIOCGL2TPSTATS": 0x80487436,
        "PPPIOCGCHAN": 0x80047437,
        "PPPIOCATTCHAN": 0x40047438,
        "PPPIOCCONNECT": 0x4004743A,
        "PPPIOCNEWUNIT": 0xC004743E,
        "PPPIOCSMRU": 0x40047452,
    }


@pytest.mark.parametrize(
    ("operation", "number", "remedy"),
    [
        ("open /dev/ppp", errno.ENOENT, "ppp_generic"),
        ("PPPoL2TP socket", errno.EAFNOSUPPORT, "l2tp_ppp"),
        ("bind", errno.EADDRINUSE, "xl2tpd"),
        ("PPPIOCNEWUNIT", errno.EPERM, "CAP_NET_ADMIN"),
    ],
)
def test_error_tells_the_remedy(operation: str, number: int, remedy: str) -> None:
    error = DataPathError(number, operation, "here")
    assert remedy in str(error)
    assert str(error).startswith(f"{operation} here: {errno.errorcode[number]}, ")


def test_error_without_a_remedy() -> None:
    error = DataPathError(errno.EINVAL, "PPPIOCNEWUNIT", "/dev/ppp")
    assert error.remedy is None
    assert str(error) == "PPPIOCNEWUNIT /dev/ppp: EINVAL, Invalid argument"
