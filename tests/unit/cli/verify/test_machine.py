"""The kernel, the ports, the network and the clock: what is said about each state of them."""

import errno
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from cli.ikev1d.config import Config
from cli.ikev1d.verify.clock import ClockFacts, check_clock, read_clock
from cli.ikev1d.verify.distribution import (
    Distribution,
    module_remedy,
    parse_blacklist,
    parse_os_release,
)
from cli.ikev1d.verify.forwarding import check_forwarding
from cli.ikev1d.verify.kernel import KernelFacts, check_kernel
from cli.ikev1d.verify.mtu import largest_inner, overheads, size_on_the_wire
from cli.ikev1d.verify.network import Interface, Network, Route
from cli.ikev1d.verify.pool import check_pool
from cli.ikev1d.verify.ports import PortFacts, UdpSocket, check_ports, parse_udp
from tests.support.verify_samples import NETWORK, configured, wrong

DEBIAN = Distribution(frozenset({"debian"}), "6.1.0-18-amd64", {}, False)
WELL = dict.fromkeys(("xfrm_user", "espinudp", "SO_RCVMARK", "ppp_generic", "l2tp_ppp", "tun"), 0)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


def kernel(**errors: int) -> KernelFacts:
    return KernelFacts("6.1.0-18-amd64", DEBIAN, WELL | errors, {})


# --- kernel --------------------------------------------------------------------------------------


def test_a_kernel_that_can(config: Config) -> None:
    assert wrong(check_kernel(kernel(), config)) == {}


def test_without_root_the_kernel_is_not_judged(config: Config) -> None:
    facts = replace(kernel(ppp_generic=errno.EACCES), as_root=False)
    assert list(wrong(check_kernel(facts, config))) == ["kernel.permission"]


def test_before_6_10_tunnels_are_found_by_socket(config: Config) -> None:
    def level(release: str) -> str:
        facts = replace(kernel(), release=release)
        found = check_kernel(facts, config)
        return next(one.level for one in found if one.check == "kernel.l2tp_tunnels")

    assert level("6.1.0-18-amd64") == "note"
    assert level("6.10.3") == "ok"


@pytest.mark.parametrize(
    ("missing", "levels"),
    [
        ({"xfrm_user"}, {"kernel.xfrm_user": "failure"}),
        ({"espinudp"}, {"kernel.espinudp": "failure"}),
        ({"SO_RCVMARK"}, {"kernel.so_rcvmark": "failure"}),
        ({"tun"}, {"kernel.tun": "warning"}),
        ({"l2tp_ppp"}, {"kernel.l2tp_ppp": "warning"}),
        ({"l2tp_ppp", "tun"}, {"kernel.l2tp_ppp": "failure", "kernel.tun": "warning"}),
    ],
)
def test_a_kernel_that_lacks(missing: set[str], levels: dict[str, str], config: Config) -> None:
    found = wrong(check_kernel(kernel(**dict.fromkeys(missing, errno.EAFNOSUPPORT)), config))
    assert {check: finding.level for check, finding in found.items()} == levels


def test_an_algorithm_is_missing(config: Config) -> None:
    facts = replace(kernel(), algorithms={"aes256gcm16": "add_sa: ENOSYS"})
    found = wrong(check_kernel(facts, config))
    assert found["kernel.algorithms"].remedy.startswith("remove it from esp.encryption, see ")


def test_no_cipher_is_there(config: Config) -> None:
    facts = replace(kernel(), algorithms=dict.fromkeys(config.esp.encryption, "EPROTONOSUPPORT"))
    assert wrong(check_kernel(facts, config))["kernel.esp4"].level == "failure"


@pytest.mark.parametrize(
    ("names", "release", "remedy"),
    [
        ({"fedora"}, "6.8.5-301.fc40", "dnf install kernel-modules-extra-6.8.5-301.fc40"),
        ({"rocky", "rhel"}, "5.14.0-503", "dnf install kernel-modules-extra-5.14.0-503"),
        ({"ubuntu", "debian"}, "6.8.0-31-generic", "linux-modules-extra-6.8.0-31-generic"),
        ({"debian"}, "6.1.0-18-cloud-amd64", "apt-get install linux-image-amd64,"),
        ({"debian"}, "6.1.0-18-amd64", "modprobe l2tp_ppp; where that fails"),
        ({"arch"}, "6.9.1-arch1-1", "CONFIG_PPPOL2TP"),
    ],
)
def test_where_a_module_comes_from(names: set[str], release: str, remedy: str) -> None:
    distribution = Distribution(frozenset(names), release, {}, False)
    assert remedy in module_remedy("l2tp_ppp", distribution)


def test_a_blacklisted_module() -> None:
    file = "/etc/modprobe.d/l2tp_ppp-blacklist.conf"
    distribution = Distribution(frozenset({"fedora"}), "6.8.5", {"l2tp_ppp": file}, False)
    assert file in module_remedy("l2tp_ppp", distribution)
    text = "# Remove the blacklist by adding a comment\nblacklist l2tp_ppp\n#blacklist tun\n"
    assert parse_blacklist(text) == ["l2tp_ppp"]


def test_os_release() -> None:
    text = 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n'
    assert parse_os_release(text) == {"rocky", "rhel", "centos", "fedora"}


# --- ports ---------------------------------------------------------------------------------------

PROC_NET_UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
  398: 00000000:01F4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0
  401: 016433C6:06A5 027100CB:06A5 01 00000000:00000000 00:00000000 00000000     0        0 4712 2 0
  402: 0100007F:1194 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4713 2 0
"""


def test_bound_sockets_are_read_and_connected_ones_are_not() -> None:
    assert list(parse_udp(PROC_NET_UDP)) == [("0.0.0.0", 500, 4711), ("127.0.0.1", 4500, 4713)]


def test_a_port_is_taken() -> None:
    taken = UdpSocket("0.0.0.0", 500, 99, "charon")
    found = wrong(check_ports(PortFacts((taken,), {99: "charon"}, ())))
    assert list(found) == ["ports.udp_500"]
    assert found["ports.udp_500"].level == "failure"
    assert found["ports.udp_500"].remedy == "systemctl disable --now strongswan-starter"


def test_a_port_is_shared_with_the_daemon() -> None:
    ours = UdpSocket("0.0.0.0", 1701, 7, "ikev1d")
    other = UdpSocket("192.0.2.1", 1701, 99, "xl2tpd")
    assert wrong(check_ports(PortFacts((ours,), {}, {7}))) == {}
    found = wrong(check_ports(PortFacts((ours, other), {99: "xl2tpd"}, {6, 7})))
    assert found["ports.udp_1701"].level == "warning"


def test_another_daemon_runs_without_a_port() -> None:
    found = wrong(check_ports(PortFacts((), {99: "pluto"}, {7})))
    assert "pluto runs beside" in found["ports.other_daemon"].what


# --- network -------------------------------------------------------------------------------------


def with_settings(**settings: dict[str, int]) -> Network:
    merged = {name: {**NETWORK.settings.get(name, {}), **more} for name, more in settings.items()}
    return replace(NETWORK, settings={**NETWORK.settings, **merged})


def test_forwarding_is_off(config: Config) -> None:
    assert wrong(check_forwarding(NETWORK, config)) == {}
    found = wrong(check_forwarding(replace(NETWORK, ip_forward=0), config))
    assert "sysctl -w net.ipv4.ip_forward=1" in found["forwarding.ip_forward"].remedy


def test_a_strict_reverse_path_filter(config: Config, tmp_path: Path) -> None:
    strict = with_settings(all={"rp_filter": 1})
    loose = with_settings(all={"rp_filter": 1}, wan0={"rp_filter": 2})
    assert wrong(check_forwarding(strict, config)) == {}  # the way back leads through wan0
    elsewhere = (Route(IPv4Network("0.0.0.0/0"), "lan0"), *NETWORK.routes[1:])
    listening = configured(tmp_path, more='[gateway]\nlisten = ["198.51.100.1"]\n')
    found = wrong(check_forwarding(replace(strict, routes=elsewhere), listening))
    assert "strict on wan0, and the default route leaves by lan0" in (
        found["forwarding.rp_filter"].what
    )
    assert wrong(check_forwarding(replace(loose, routes=elsewhere), listening)) == {}


def test_the_second_of_two_default_routes(config: Config) -> None:
    routes = (*NETWORK.routes, Route(IPv4Network("0.0.0.0/0"), "lan0", metric=100))
    network = replace(with_settings(all={"rp_filter": 1}), routes=routes)
    assert "on lan0" in wrong(check_forwarding(network, config))["forwarding.rp_filter"].what


def test_redirects(config: Config) -> None:
    network = with_settings(all={"accept_redirects": 1}, lan0={"accept_redirects": 1})
    found = {one.check: one for one in check_forwarding(network, config)}
    assert found["forwarding.accept_redirects"].what == "ICMP redirects are heeded on lan0"
    found = {one.check: one for one in check_forwarding(with_settings(lan0={"a": 1}), config)}
    assert "forwarding.accept_redirects" not in found


# --- pool ----------------------------------------------------------------------------------------


def test_a_pool_of_the_office_with_and_without_proxy_arp(config: Config, tmp_path: Path) -> None:
    assert wrong(check_pool(NETWORK, config)) == {}
    found = wrong(check_pool(NETWORK, configured(tmp_path, ppp="")))
    assert found["pool.proxy_arp"].remedy.startswith('proxy_arp = "lan0" in [ppp], see ')


def test_proxy_arp_where_the_pool_is_not(tmp_path: Path) -> None:
    found = wrong(check_pool(NETWORK, configured(tmp_path, ppp='proxy_arp = "wan0"')))
    assert "not within the network of wan0" in found["pool.proxy_arp"].what
    found = wrong(check_pool(NETWORK, configured(tmp_path, ppp='proxy_arp = "eth7"')))
    assert found["pool.proxy_arp"].level == "failure"


def test_the_pool_has_an_address_of_the_gateway(config: Config) -> None:
    own = Interface("lan1", 1500, (IPv4Interface("192.168.1.130/24"),))
    network = replace(NETWORK, interfaces=(*NETWORK.interfaces, own))
    assert "192.168.1.130" in wrong(check_pool(network, config))["pool.own_address"].what


def test_a_clients_interface_is_no_network(config: Config) -> None:
    link = Interface(
        "ppp0", 1400, (IPv4Interface("192.168.1.99/32"),), (IPv4Address("192.168.1.128"),)
    )
    network = replace(NETWORK, interfaces=(*NETWORK.interfaces, link))
    assert wrong(check_pool(network, config)) == {}


def test_the_mtu_is_too_large_for_the_wire(tmp_path: Path) -> None:
    ppp = 'proxy_arp = "lan0"\nmtu = {}'
    found = wrong(check_pool(NETWORK, configured(tmp_path, ppp=ppp.format(1500))))
    fits = int(found["pool.mtu"].remedy.split()[2])
    assert wrong(check_pool(NETWORK, configured(tmp_path, ppp=ppp.format(fits)))) == {}
    found = wrong(check_pool(NETWORK, configured(tmp_path, ppp=ppp.format(fits + 1))))
    # One more is too much for the largest MAC alone, which is worth no more than a note.
    assert found == {}


@pytest.mark.parametrize(
    ("name", "outer"), [("sha1", 1488), ("sha512", 1508), ("aes256gcm16", 1484)]
)
def test_size_on_the_wire(name: str, outer: int, config: Config) -> None:
    """Counted by hand: 20 IP, 8 UDP, 8 ESP, IV, 8 UDP, 8 L2TP, 4 PPP, 1400, padding, 2, ICV."""
    overhead = next(one for one in overheads(config.esp) if one.name == name)
    assert size_on_the_wire(1400, overhead) == outer
    largest = largest_inner(1500, overhead)
    assert size_on_the_wire(largest, overhead) <= 1500 < size_on_the_wire(largest + 1, overhead)


# --- clock ---------------------------------------------------------------------------------------


def test_the_clock(config: Config) -> None:
    def levels(facts: ClockFacts) -> set[str]:
        return {one.level for one in check_clock(facts)}

    assert levels(ClockFacts(2e9, True, 1e9)) == {"ok"}
    assert levels(ClockFacts(2e9, False, 1e9)) == {"note"}
    assert levels(ClockFacts(1e9, True, 2e9)) == {"warning"}
    assert read_clock(config).now > read_clock(config).config_written > 0
