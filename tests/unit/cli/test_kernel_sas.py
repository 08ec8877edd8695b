"""When the kernel is told to end an SA, and when to say that its end is near."""

import errno
import random

import pytest
from msgspec import structs

from cli.ikev1d.kernel_forms import KernelForms
from cli.ikev1d.kernel_sas import KernelSas
from ikev1.core.child_sa import LIFETIME_MARGIN
from ikev1.core.effects import Installed, InstallFailed
from ikev1.core.exchange import ConnectionSettings
from interop.clients.ike import WINDOWS_10
from tests.simulation.clock import virtual_loop
from tests.simulation.kernel import Kernel
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost, settings
from xfrm.model import Lifetime, Policy

MEGABYTE = 1 << 20


def lifetimes(*, rekey: bool) -> list[Lifetime]:
    """Those of both SAs of a Windows, which asks for an hour and 250000 kilobytes."""
    host = IkeHost(settings(default=ConnectionSettings(dpd_delay=0.0, rekey=rekey)))
    child = Dialin(host, WINDOWS_10).connect().child()
    assert (child.lifetime, child.kilobytes) == (3600, 250_000)
    forms = KernelForms(mark_base=0, mark_mask=0xFFFFFF)
    return [forms.inbound_sa(child).lifetime, forms.outbound_sa(child).lifetime]


@pytest.mark.parametrize("rekey", [False, True])
def test_our_limits_lie_beyond_the_clients(rekey: bool) -> None:
    """In time the engine comes first, with a Delete; in octets the client has all the time."""
    for lifetime in lifetimes(rekey=rekey):
        assert lifetime.hard_seconds is not None
        assert lifetime.hard_bytes is not None
        assert lifetime.hard_seconds > 3600 + LIFETIME_MARGIN
        assert lifetime.hard_bytes - 250_000 * 1024 > 200 * MEGABYTE


def test_without_rekey_the_kernel_says_nothing_before() -> None:
    for lifetime in lifetimes(rekey=False):
        assert (lifetime.soft_seconds, lifetime.soft_bytes) == (None, None)


def test_with_rekey_it_says_so_before_the_clients_end() -> None:
    for lifetime in lifetimes(rekey=True):
        assert lifetime.soft_seconds is not None
        assert lifetime.soft_bytes is not None
        assert 0.90 * 3600 - 1 < lifetime.soft_seconds <= 0.95 * 3600
        assert 0.90 * 250_000 - 1 < lifetime.soft_bytes / 1024 <= 0.95 * 250_000


def test_what_could_not_follow_the_client_leaves_no_policy_behind() -> None:
    """A newer child may come before the older one is taken out."""
    kernel = Kernel(virtual_loop(), random.Random(1))
    sas = KernelSas(kernel.sadb(lambda event: None), mark_base=0, mark_mask=0xFFFFFF)
    client = Dialin.behind_nat(IkeHost(), WINDOWS_10).connect()
    old = client.child()
    client.quick_mode()
    path = structs.replace(old.path, remote="198.51.100.77")
    moved, new = structs.replace(old, path=path), structs.replace(client.child(), path=path)
    assert sas.install_inbound(old) == sas.install_outbound(old, ()) == Installed()
    kernel.refuse = lambda thing: errno.ENOMEM if isinstance(thing, Policy) else 0
    assert isinstance(sas.move(old, moved), InstallFailed)
    kernel.refuse = lambda thing: 0

    assert sas.install_inbound(new) == Installed()
    sas.remove(moved)
    into, out = (policy.selector for policy in kernel.policies)
    assert (into.src, out.dst) == (path.remote, path.remote)
    sas.remove(new)
    assert not kernel.policies


def test_what_the_kernel_has_said_is_found_out_where_nobody_heard_it() -> None:
    loop = virtual_loop()
    kernel = Kernel(loop, random.Random(1))
    sas = KernelSas(kernel.sadb(lambda event: None), mark_base=0, mark_mask=0xFFFFFF)
    host = IkeHost(settings(default=ConnectionSettings(dpd_delay=0.0, rekey=True)))
    client = Dialin.behind_nat(host, WINDOWS_10).connect()
    young = client.child()
    client.quick_mode()
    old = client.child()
    for child in (young, old):
        assert sas.install_inbound(child) == Installed()
    assert loop.run_until_complete(sas.missed()) == ([], [])

    (state,) = kernel.states[old.path.local, old.inbound_spi]
    assert state.sa.lifetime.soft_bytes is not None
    state.octets = state.sa.lifetime.soft_bytes - 1
    assert loop.run_until_complete(sas.missed()) == ([], [])
    state.octets += 1
    assert loop.run_until_complete(sas.missed()) == ([], [old.inbound_spi])
    kernel.states.clear()
    assert loop.run_until_complete(sas.missed()) == ([young.inbound_spi, old.inbound_spi], [])
