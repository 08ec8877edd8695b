"""A user who connects while connected, by the policy of `ppp.same_user`."""

from pathlib import Path

import pytest

from interop.peers.xl2tpd import CallEndedError
from interop.scenarios.play import dial_in
from interop.stage import Stage
from interop.topology import OFFICE_ADDRESS, client_nat
from interop.traffic import ping
from interop.wait import until

LIMIT = 20.0


def test_replace(artefacts: Path) -> None:
    extra = {"ppp": 'same_user = "replace"'}
    with Stage(client_nat(clients=2), artefacts, extra=extra) as stage:
        first, second = stage.client("client"), stage.client("client2", l2tp_port=0, port="0-65535")
        dial_in(stage, first)
        dial_in(stage, second)
        stage.ikev1d.wait_for_log("replaced: the user has connected again")
        until(lambda: not first.l2tp.links(), "the first session to end", LIMIT)
        (up,) = [client for client in stage.ikev1d.clients() if client["state"] == "up"]
        assert up["user"] == "alice"
        assert ping(second.host, OFFICE_ADDRESS, count=2)


def test_keep(artefacts: Path) -> None:
    extra = {"ppp": 'same_user = "keep"'}
    with Stage(client_nat(clients=2), artefacts, extra=extra) as stage:
        first, second = stage.client("client"), stage.client("client2", l2tp_port=0, port="0-65535")
        dial_in(stage, first)
        second.ipsec.initiate()
        with pytest.raises(CallEndedError):
            second.l2tp.connect()
        stage.ikev1d.wait_for_log("the user is connected already")
        assert ping(first.host, OFFICE_ADDRESS, count=2)
        (up,) = [client for client in stage.ikev1d.clients() if client["state"] == "up"]
        assert up["user"] == "alice"
