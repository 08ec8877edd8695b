"""What the lab needs of the kernel it runs on, found out by asking the kernel to do it.

``python -m interop.facilities`` prints one line for each facility that is missing and exits with 1,
or prints nothing and exits with 0. It creates kernel objects, so run it in a network namespace that
is thrown away afterwards (`missing_on_host` does).
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

AF_PPPOX = 24
PX_PROTO_OL2TP = 1


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


def _network_namespace() -> None:
    name = f"probe-{os.getpid()}"
    _run(f"ip netns add {name}")
    _run(f"ip netns delete {name}")


def _veth() -> None:
    _run("ip link add probe0 type veth peer name probe1")
    _run("ip link delete probe0")


def _esp() -> None:
    _run(
        "ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 mode transport"
        " enc cbc(aes) 0x00112233445566778899aabbccddeeff"
        " auth-trunc hmac(sha1) 0x000102030405060708090a0b0c0d0e0f10111213 96"
        " encap espinudp 4500 4500 0.0.0.0"
    )
    _run("ip xfrm state flush")


def _ppp() -> None:
    os.close(os.open("/dev/ppp", os.O_RDWR))


def _tun() -> None:
    os.close(os.open("/dev/net/tun", os.O_RDWR))


def _pppol2tp() -> None:
    socket.socket(AF_PPPOX, socket.SOCK_DGRAM, PX_PROTO_OL2TP).close()


def _masquerade() -> None:
    try:
        _run("nft add table ip probe")
        _run("nft add chain ip probe post { type nat hook postrouting priority 100 ; }")
        _run("nft add rule ip probe post oifname lo masquerade")
        _run("nft delete table ip probe")
    except subprocess.CalledProcessError:
        _run("iptables-legacy -t nat -A POSTROUTING -o lo -j MASQUERADE")
        _run("iptables-legacy -t nat -F POSTROUTING")


def _packet_socket() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)).close()


FACILITIES: dict[str, Callable[[], None]] = {
    "network namespaces": _network_namespace,
    "veth": _veth,
    "XFRM with ESP, AES-CBC, HMAC-SHA1 and ESP in UDP": _esp,
    "/dev/ppp": _ppp,
    "/dev/net/tun": _tun,
    "PPPoL2TP sockets": _pppol2tp,
    "masquerading by nftables or iptables": _masquerade,
    "packet sockets": _packet_socket,
}


def missing() -> list[str]:
    """Name each facility this kernel does not give us, with the kernel's reason."""
    lacking = []
    for name, attempt in FACILITIES.items():
        try:
            attempt()
        except OSError as error:
            lacking.append(f"{name}: {error}")
        except subprocess.CalledProcessError as error:
            lacking.append(f"{name}: {error.stderr.decode(errors='replace').strip()}")
    return lacking


def missing_on_host() -> list[str]:
    """Run `missing` in network and mount namespaces that end with it."""
    probe = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, "-m", "interop.facilities"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    if probe.returncode == 0:
        return []
    return probe.stdout.splitlines() or [f"namespaces: {probe.stderr.strip()}"]


def main() -> int:
    """Print what is missing; 0 if nothing is."""
    lacking = missing()
    for line in lacking:
        print(line)
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
