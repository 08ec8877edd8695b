"""When the kernel is told to end an SA, and when to say that its end is near."""

import pytest

from cli.ikev1d.kernel_sas import KernelSas
from ikev1.core.child_sa import LIFETIME_MARGIN
from ikev1.core.exchange import ConnectionSettings
from interop.clients.ike import WINDOWS_10
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost, settings
from xfrm.model import Lifetime
from xfrm.sadb import Sadb

MEGABYTE = 1 << 20


def lifetimes(*, rekey: bool) -> list[Lifetime]:
    """Those of both SAs of a Windows, which asks for an hour and 250000 kilobytes."""
    host = IkeHost(settings(default=ConnectionSettings(dpd_delay=0.0, rekey=rekey)))
    child = Dialin(host, WINDOWS_10).connect().child()
    assert (child.lifetime, child.kilobytes) == (3600, 250_000)
    sas = KernelSas(Sadb(), mark_base=0, mark_mask=0xFFFFFF)
    return [sas._inbound_sa(child).lifetime, sas._outbound_sa(child).lifetime]


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
