"""The rows of the matrix: which clients there are, and how each is put on a machine of the lab."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from interop.clients import CLIENTS, REFUSED
from interop.clients.model import Client
from interop.errors import LabError
from interop.initiator.profiles import (
    APPLE_NAT_T,
    DRAFT_00,
    DRAFT_02,
    DRAFT_02_N,
    DRAFT_03,
    LATE_DRAFTS,
    RFC_3947,
)
from interop.matrix.credentials import GATEWAY_NAME, client_identity
from interop.matrix.positions import POSITIONS
from interop.matrix.refused import AGGRESSIVE_MODE, see_refused
from interop.matrix.results import Step
from interop.netns import Host
from interop.peers.ike_scan import aggressive_message, first_message
from interop.peers.network_manager import NetworkManager
from interop.peers.xl2tpd import Link
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS

PSK = "psk"
CERTIFICATE = "certificate"
NAT_T = {RFC_3947, APPLE_NAT_T, DRAFT_00, DRAFT_02, DRAFT_02_N, DRAFT_03, *LATE_DRAFTS}


class MatrixClient(Protocol):
    """A client that is ready to dial in. What goes wrong is a `LabError`."""

    host: Host

    def dial_in(self) -> Link:
        """Bring up IPsec, then L2TP and PPP."""
        ...

    def route_to(self, network: str, link: Link) -> None:
        """Send what goes to ``network`` through the link."""
        ...

    def rekey_esp(self) -> None:
        """Replace the ESP SAs by a new Quick Mode."""
        ...

    def rekey_ike(self) -> None:
        """Replace the IKE SA by a new Main Mode."""
        ...

    def hang_up(self) -> None:
        """End the call as this client does when its user says so."""
        ...

    def stop(self) -> None:
        """End its programs; the machine is free for another client."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """A client, and the ways in which it can prove who it is.

    ``make`` puts it on a machine of the stage, for a user, with one of ``auths``.
    """

    name: str
    title: str
    auths: tuple[str, ...]
    make: Callable[[Stage, str, str, str], MatrixClient]
    unable: Mapping[Step, str] = field(default_factory=lambda: MappingProxyType({}))
    """Steps that this client cannot take, each with the reason."""
    unable_in: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Positions in which it gets nowhere, each with the reason."""
    connect: Callable[[Stage, str, str], str] | None = None
    """What is done on a machine instead, with one of ``auths``, where there is no client to live.

    Returns what is to be kept of it.
    """
    refused: str = ""
    """Why the gateway refuses it, by design: ``connect`` sees that it does."""


def _linux(program: str) -> Callable[[Stage, str, str, str], MatrixClient]:
    def make(stage: Stage, machine: str, user: str, auth: str) -> MatrixClient:
        if auth == PSK:
            return stage.client(machine, user=user, program=program)
        return stage.client(
            machine,
            user=user,
            program=program,
            certificate=client_identity(user),
            remote_id=f"@{GATEWAY_NAME}" if program == "libreswan" else GATEWAY_NAME,
        )

    return make


def _unable_in(client: Client) -> dict[str, str]:
    if not NAT_T & set(client.ike.profile.vendor_ids):
        return {p.name: "it has no NAT traversal" for p in POSITIONS.values() if p.nat}
    if client.ike.profile.claims is not None:
        return {
            p.name: "its network is behind a NAT, NAT64 or another"
            for p in POSITIONS.values()
            if not p.client_nat
        }
    return {}


def emulated(client: Client) -> Row:
    """The row of a client that there is as data."""

    def make(stage: Stage, machine: str, user: str, auth: str) -> MatrixClient:
        certificate = client_identity(user) if auth == CERTIFICATE else None
        return stage.emulated(client, machine, user=user, certificate=certificate)

    unable = {}
    if client.conduct.profile.phase1_rekey is None:
        unable[Step.REKEY_IKE] = "it never renews its ISAKMP SA"
    return Row(
        f"{client.name}-emulated",
        f"{client.title}, emulated",
        (PSK,) if client.conduct.profile.certificate is None else (PSK, CERTIFICATE),
        make,
        MappingProxyType(unable),
        MappingProxyType(_unable_in(client)),
    )


def _refused(client: Client) -> Row:
    def connect(stage: Stage, machine: str, auth: str) -> str:
        assert auth == PSK
        return see_refused(stage, client, machine)

    return Row(
        f"{client.name}-emulated",
        f"{client.title}, emulated",
        (PSK,),
        _no_client,
        connect=connect,
        refused=AGGRESSIVE_MODE,
    )


def _network_manager(*, libreswan: bool) -> Callable[[Stage, str, str, str], MatrixClient]:
    def make(stage: Stage, machine: str, user: str, auth: str) -> MatrixClient:
        made = NetworkManager(
            stage.lab[machine],
            GATEWAY_ADDRESS,
            psk=stage.settings.psk,
            user=user,
            password=stage.settings.users[user],
            certificate=client_identity(user) if auth == CERTIFICATE else None,
            libreswan=libreswan,
        )
        stage.lab.stack.callback(made.stop)
        return made

    return make


def _ike_scan(stage: Stage, machine: str, auth: str) -> str:
    return first_message(stage.lab[machine], GATEWAY_ADDRESS, auth)


def _ike_scan_aggressive(stage: Stage, machine: str, auth: str) -> str:
    assert auth == PSK
    return aggressive_message(stage.lab[machine], GATEWAY_ADDRESS)


def _no_client(stage: Stage, machine: str, user: str, auth: str) -> MatrixClient:
    raise LabError("there is nothing to dial in with")


_REAL = tuple(
    Row(program, f"{title}, xl2tpd, pppd", (PSK, CERTIFICATE), _linux(program))
    for program, title in (
        ("strongswan", "strongSwan by swanctl"),
        ("starter", "strongSwan by ipsec.conf"),
        ("libreswan", "libreswan"),
    )
)
_NETWORK_MANAGER = tuple(
    Row(
        name,
        f"NetworkManager-l2tp, {title}, xl2tpd, pppd",
        auths,
        _network_manager(libreswan=title == "libreswan"),
    )
    for name, title, auths in (
        ("network-manager", "strongSwan", (PSK, CERTIFICATE)),
        # Why it has no certificate is in `interop.matrix.absent`.
        ("network-manager-libreswan", "libreswan", (PSK,)),
    )
)
_IKE_SCAN = Row(
    "ike-scan",
    "ike-scan, its first message",
    (PSK, CERTIFICATE),
    _no_client,
    {step: "it sends a first message, and reads the answer" for step in Step if step != "connect"},
    connect=_ike_scan,
)
_IKE_SCAN_AGGRESSIVE = Row(
    "ike-scan-aggressive",
    "ike-scan, its first message of Aggressive Mode",
    (PSK,),
    _no_client,
    connect=_ike_scan_aggressive,
    refused=AGGRESSIVE_MODE,
)
ROWS: Mapping[str, Row] = MappingProxyType(
    {
        row.name: row
        for row in (
            *_REAL,
            *_NETWORK_MANAGER,
            _IKE_SCAN,
            *map(emulated, CLIENTS.values()),
            _IKE_SCAN_AGGRESSIVE,
            *map(_refused, REFUSED.values()),
        )
    }
)
