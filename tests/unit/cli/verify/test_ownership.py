"""What the kernel has, held against what the gateway has."""

import asyncio
import io
import os
from collections.abc import Iterator
from typing import cast

from cli.ikev1d.data_paths import DataPaths, OpenPath
from cli.ikev1d.kernel_sas import Holding, KernelSas
from cli.ikev1d.verify.ledger import read_ledger, write_ledger
from cli.ikev1d.verify.ownership import (
    KINDS,
    Differences,
    check_ownership,
    compare,
    parse_sessions,
)
from l2tp.datapath import LinkSettings
from tests.support.verify_samples import wrong
from xfrm.constants import Direction
from xfrm.model import Mark, Policy, Sa, Selector

NOTHING: dict[str, set[str]] = {kind: set() for kind in KINDS}

PROC_NET_PPPOL2TP = """\
PPPoL2TP driver info, V2.0
TUNNEL name, user-data-ok session-count
  SESSION name, addr/port src-tid/sid dest-tid/sid state user-data-ok

TUNNEL 'tunl 39176', Y 3
 00000000 4/114/0 4/108/0
  SESSION 'sess 39176/0' C6336401/1701 9908/0000 -> B4B2/0000 1 Y
   interface (null)
  SESSION 'sess 39176/18' C6336401/1701 9908/0012 -> B4B2/E012 3 Y
   interface ppp0
"""


def test_sessions_of_the_kernel() -> None:
    assert list(parse_sessions(PROC_NET_PPPOL2TP)) == ["39176/18"]


def test_everything_has_its_owner() -> None:
    kernel = NOTHING | {"sa": {"a", "b"}, "policy": {"p"}}
    differences = compare(kernel, {"sa": {"a", "b"}, "policy": {"p"}})
    assert not differences
    assert [one.level for one in check_ownership(differences, running=True)] == ["ok"]


def test_what_nobody_owns_and_what_is_gone() -> None:
    differences = compare(NOTHING | {"sa": {"a", "b"}}, {"sa": {"b", "c"}, "proxy": {"x"}})
    found = wrong(check_ownership(differences, running=True))
    assert found["ownership.sa"].level == "warning"
    assert found["ownership.sa"].what == "1 SA is in the kernel without a client: a"
    assert found["ownership.missing_sa"].level == "failure"
    assert found["ownership.missing_proxy"].what == "1 proxy ARP entry is gone from the kernel: x"


def test_only_what_is_different_both_times_counts() -> None:
    first = compare(NOTHING | {"sa": {"came", "stays"}}, {"sa": {"went"}})
    second = compare(NOTHING | {"sa": {"stays"}}, {"sa": set()})
    both = first & second
    assert both == Differences(NOTHING | {"sa": {"stays"}}, NOTHING)


def test_leftovers_of_a_crash() -> None:
    names = {f"{number:02}" for number in range(9)}
    differences = compare(NOTHING | {"sa": names, "policy": {"p", "q"}}, {})
    found = wrong(check_ownership(differences, running=False))
    what = found["leftovers.sa"].what
    assert what == "9 SAs are of a gateway that was killed: 00, 01, 02, 03, 04, …"
    assert found["leftovers.policy"].what.startswith("2 policies are ")


class Sas:
    """What `KernelSas` tells of one client."""

    def holdings(self) -> Iterator[Holding]:
        mark = Mark(0x10000, 0x7FFF0000)
        sa = Sa(spi=0xC0FFEE01, src="198.51.100.1", dst="203.0.113.2", reqid=1, mark=mark)
        selector = Selector("198.51.100.1", "203.0.113.2", protocol=17, sport=1701)
        yield Holding((), ())
        yield Holding((sa,), (Policy(selector, Direction.OUT, mark=mark),))


class Paths:
    """What `DataPaths` tells of three sessions."""

    def holdings(self) -> Iterator[OpenPath]:
        link = LinkSettings("192.168.1.99", "192.168.1.128", 1400, "lan0")
        yield OpenPath(18, 39176, 0x10000, True, "", "ppp0", link)
        yield OpenPath(19, 39177, 0x20000, False, "shared", "l2tp0", link)
        yield OpenPath(20, 39178, 0x30000, True, "", "", None)


def test_the_ledger_arrives() -> None:
    async def written() -> bytes:
        parts = write_ledger(cast("KernelSas", Sas()), cast("DataPaths", Paths()))
        return b"".join([part async for part in parts])

    line = asyncio.run(written())
    ledger = read_ledger(io.BytesIO(line + b"sa of the next one\n"))
    assert ledger.pids == {os.getpid()}
    assert ledger.holdings == {
        "sa": {"c0ffee01 to 203.0.113.2 mark 0x10000"},
        "policy": {"out 198.51.100.1 to 203.0.113.2 mark 0x10000"},
        "session": {"39176/18", "39178/20"},
        "interface": {"ppp0", "l2tp0"},
        "route": {"192.168.1.128 by ppp0", "192.168.1.128 by l2tp0"},
        "proxy": {"192.168.1.128 by lan0"},
    }
