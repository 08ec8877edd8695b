"""Which package has a kernel module that is missing, by distribution."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")
MODPROBE = (Path("/etc/modprobe.d"), Path("/usr/lib/modprobe.d"), Path("/lib/modprobe.d"))
CONTAINER_SIGNS = (Path("/.dockerenv"), Path("/run/.containerenv"), Path("/run/systemd/container"))

_OPTIONS = {
    "xfrm_user": "CONFIG_XFRM_USER",
    "esp4": "CONFIG_INET_ESP",
    "ppp_generic": "CONFIG_PPP",
    "l2tp_ppp": "CONFIG_PPPOL2TP",
    "tun": "CONFIG_TUN",
}
_RED_HAT = {"rhel", "fedora", "centos", "rocky", "almalinux", "ol"}


@dataclass(frozen=True, slots=True)
class Distribution:
    """What decides where modules come from."""

    names: frozenset[str]
    """ID and ID_LIKE of os-release(5)."""
    release: str
    """Of the kernel, as `uname -r` says."""
    blacklisted: dict[str, str]
    """The file of modprobe.d that blacklists a module, by module."""
    in_container: bool


def read_distribution(release: str) -> Distribution:
    """Look at this machine."""
    return Distribution(
        names=parse_os_release(_text(OS_RELEASE)),
        release=release,
        blacklisted={
            module: str(file)
            for directory in reversed(MODPROBE)
            for file in sorted(directory.glob("*.conf"))
            for module in parse_blacklist(_text(file))
        },
        in_container=any(sign.exists() for sign in CONTAINER_SIGNS),
    )


def parse_os_release(text: str) -> frozenset[str]:
    """The names that a distribution goes by."""
    names: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key in ("ID", "ID_LIKE"):
            names |= set(value.strip().strip("\"'").lower().split())
    return frozenset(names)


def parse_blacklist(text: str) -> list[str]:
    """The modules that a file of modprobe.d(5) blacklists."""
    words = [line.split() for line in text.splitlines()]
    return [line[1] for line in words if len(line) > 1 and line[0] == "blacklist"]


def module_remedy(module: str, distribution: Distribution) -> str:
    """What to do about a module that the kernel could not load."""
    load = f"modprobe {module}"
    if distribution.in_container:
        return f"load it on the host of this container: {load}"
    if module in distribution.blacklisted:
        # Fedora and its relatives blacklist what they deem rarely used.
        file = distribution.blacklisted[module]
        return f'comment out "blacklist {module}" in {file}, then: {load}'
    names, release = distribution.names, distribution.release
    if names & _RED_HAT:
        return f"dnf install kernel-modules-extra-{release} && {load}"
    if "ubuntu" in names:
        return f"apt-get install linux-modules-extra-{release} && {load}"
    if "debian" in names and "cloud" in release:
        architecture = release.rpartition("-")[2]
        return f"apt-get install linux-image-{architecture}, and boot it: the cloud kernel lacks it"
    option = _OPTIONS.get(module, "the module's option")
    return f"{load}; where that fails, a kernel with {option} is needed"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
