"""The load generator against our daemon: whole clients of all families in one process."""

from pathlib import Path

from interop.load.bench import bench
from interop.load.responders import Terms

MIX = dict.fromkeys(("iphone", "windows-10", "windows-xp-sp2", "android", "strongswan"), 1.0)
COUNT = 6


def test_whole_clients_arrive_and_rekey(artefacts: Path) -> None:
    with bench(artefacts, kinds=("ours",), terms=Terms(users=COUNT)) as stage:
        ours = stage["ours"]
        load = stage.load(
            ours, COUNT, mix=MIX, whole=True, concurrency=COUNT, crowd=COUNT // 2, stay=True
        )
        clients = stage.arrive(load)
        assert (clients.report["connected"], clients.report["failures"]) == (COUNT, {})
        assert ours.sessions() == COUNT
        rekeyed = clients.rekey()
        assert (rekeyed["quick_modes"], rekeyed["failures"]) == (COUNT, {})
        assert clients.vanish() == {}
