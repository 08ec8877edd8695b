"""Numbers and layouts of the kernel's interface; what they do is in tests/kernel."""

import errno

import pytest

from l2tp.datapath import ioctls
from l2tp.datapath.errors import DataPathError
from l2tp.datapath.kernel import finds_tunnels_by_id


def test_ioctl_numbers_are_those_of_the_header_file() -> None:
    assert {
        name: number for name, number in vars(ioctls).items() if name.isupper() and name[0] != "_"
    } == {
        "PPPIOCGL2TPSTATS": 0x80487436,
        "PPPIOCGCHAN": 0x80047437,
        "PPPIOCATTCHAN": 0x40047438,
        "PPPIOCCONNECT": 0x4004743A,
        "PPPIOCNEWUNIT": 0xC004743E,
        "PPPIOCSMRU": 0x40047452,
        "TUNSETIFF": 0x400454CA,
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


@pytest.mark.parametrize(
    ("operation", "number", "unavailable"),
    [
        ("PPPoL2TP socket", errno.EPROTONOSUPPORT, True),
        ("open /dev/ppp", errno.ENOENT, True),
        ("open /dev/ppp", errno.EPERM, True),
        ("PPPoL2TP socket", errno.EMFILE, False),
        ("PPPoL2TP session", errno.EEXIST, False),
        ("bind", errno.EADDRINUSE, False),
    ],
)
def test_a_kernel_that_cannot_is_told_from_one_that_will_not(
    operation: str, number: int, unavailable: bool
) -> None:
    assert DataPathError(number, operation, "here").is_unavailable is unavailable


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.1.176", False),
        ("6.9.12-200.fc40.x86_64", False),
        ("5.19-rc1", False),
        ("6.10-rc1", True),
        ("6.10.0", True),
        ("7.0.1", True),
    ],
)
def test_kernel_that_finds_tunnels_by_id(release: str, expected: bool) -> None:
    assert finds_tunnels_by_id(release) is expected
