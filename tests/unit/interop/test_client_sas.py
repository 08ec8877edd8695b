"""What ip-xfrm(8) is told of an emulated client's SAs: all of it on standard input."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from ikev1.wire.enums import AuthAlgorithm, EncapsulationMode, EspTransform, IdType
from ikev1.wire.payloads import Identification
from interop.client_sas import ClientSas
from interop.emulation.effects import InstallSas
from interop.initiator.effects import EspSas
from interop.netns import Host

INNER, SERVER = "10.1.0.2", "198.51.100.1"
ID = Identification(IdType.IPV4_ADDR, 17, 1701, bytes(4))
SAS = EspSas(
    inbound_spi=bytes.fromhex("0000aaaa"),
    outbound_spi=bytes.fromhex("0000bbbb"),
    transform=EspTransform.AES_CBC,
    key_length=128,
    auth=AuthAlgorithm.HMAC_SHA1,
    mode=EncapsulationMode.UDP_TRANSPORT,
    inbound_keys=bytes(16) + b"\x11" * 20,
    outbound_keys=b"\x22" * 16 + b"\x33" * 20,
    ids=(ID, ID),
)


@dataclass
class Recorder:
    """A machine that keeps the commands it is given, and their input by lines."""

    commands: list[tuple[str, ...]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str = "") -> str:
        self.commands.append(arguments)
        self.lines += stdin.splitlines()
        return ""


def installed(
    *, encapsulated: bool, client_port: int, server_port: int = 1701, floated: bool = True
) -> Recorder:
    machine = Recorder()
    sas = ClientSas(cast("Host", machine), INNER, SERVER)
    sas.install(InstallSas(SAS, encapsulated, floated, client_port, server_port))
    assert set(machine.commands) == {("ip", "-batch", "-")}
    return machine


def test_draft_00_stays_on_port_500() -> None:
    lines = installed(encapsulated=True, floated=False, client_port=1701).lines
    assert [line.endswith(" encap espinudp-nonike 500 500 0.0.0.0") for line in lines[:2]] == [
        True,
        True,
    ]


def test_each_direction_has_its_spi_its_ends_and_its_keys() -> None:
    inbound, outbound, *_ = installed(encapsulated=True, client_port=1701).lines

    assert inbound == (
        f"xfrm state add src {SERVER} dst {INNER} proto esp spi 0x0000aaaa reqid 1 mode transport"
        f" enc cbc(aes) 0x{'00' * 16} auth-trunc hmac(sha1) 0x{'11' * 20} 96"
        " encap espinudp 4500 4500 0.0.0.0"
    )
    assert outbound == (
        f"xfrm state add src {INNER} dst {SERVER} proto esp spi 0x0000bbbb reqid 1 mode transport"
        f" enc cbc(aes) 0x{'22' * 16} auth-trunc hmac(sha1) 0x{'33' * 20} 96"
        " encap espinudp 4500 4500 0.0.0.0"
    )


def test_without_a_nat_esp_is_bare() -> None:
    lines = installed(encapsulated=False, client_port=1701).lines

    assert not any("encap" in line for line in lines)


@pytest.mark.parametrize(
    ("client_port", "server_port", "out", "into"),
    [
        (51515, 1701, "sport 51515 dport 1701", "dport 51515"),
        (0, 1701, "dport 1701", "sport 1701"),
        (1701, 0, "sport 1701", "dport 1701"),
    ],
    ids=["Apple", "Android", "Windows before KB818043"],
)
def test_policies_have_the_ports_that_the_client_names(
    client_port: int, server_port: int, out: str, into: str
) -> None:
    lines = installed(encapsulated=True, client_port=client_port, server_port=server_port).lines

    assert lines[2].startswith(
        f"xfrm policy update src {INNER}/32 dst {SERVER}/32 proto udp {out} dir out tmpl"
    )
    assert lines[3].startswith(
        f"xfrm policy update src {SERVER}/32 dst {INNER}/32 proto udp {into} dir in tmpl"
    )


def test_removal_names_both() -> None:
    machine = Recorder()
    ClientSas(cast("Host", machine), INNER, SERVER).remove(SAS)

    assert machine.lines == [
        f"xfrm state delete src {SERVER} dst {INNER} proto esp spi 0x0000aaaa",
        f"xfrm state delete src {INNER} dst {SERVER} proto esp spi 0x0000bbbb",
    ]
