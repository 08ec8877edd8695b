"""The clients as data: what is known has a source, what is not is marked, nothing is lost."""

from pathlib import Path

import pytest

from interop.clients import CLIENTS, REFUSED
from interop.clients.facts import Known, Unknown, facts
from interop.clients.model import Client
from interop.clients.table import FAMILIES, page
from interop.lac.profiles import Backoff
from l2tp.wire.enums import AvpType

EVERYBODY = CLIENTS | REFUSED
every_client = pytest.mark.parametrize("client", EVERYBODY.values(), ids=EVERYBODY)


def test_no_two_clients_have_one_name() -> None:
    assert all(name == client.name == client.ike.profile.name for name, client in EVERYBODY.items())
    assert len({client.title for client in EVERYBODY.values()}) == len(EVERYBODY)


@every_client
def test_every_value_has_a_source_or_a_reason(client: Client) -> None:
    for fact in client.facts().values():
        assert fact.source if isinstance(fact, Known) else fact.because


def test_every_field_is_told_or_marked() -> None:
    """So that the table has no holes."""
    told = [list(client.facts()) for client in EVERYBODY.values()]
    assert all(fields == told[0] for fields in told)
    assert "ike.name" not in told[0]


@every_client
def test_each_has_what_an_lns_cannot_do_without(client: Client) -> None:
    sccrq = [line.type for line in client.l2tp.profile.sccrq]
    assert len(set(sccrq)) == len(sccrq)
    assert {
        AvpType.PROTOCOL_VERSION,
        AvpType.HOST_NAME,
        AvpType.FRAMING_CAPABILITIES,
        AvpType.ASSIGNED_TUNNEL_ID,
    } <= set(sccrq)


def test_facts_can_be_changed_and_forgotten() -> None:
    told = facts(Backoff, base=Known(1.0, "a log"), tries=Unknown(5))

    assert told.profile == Backoff(1.0, 5)
    assert told.but(tries=Known(9, "a capture")).profile == Backoff(1.0, 9)
    assert told.by_name["base"] == Known(1.0, "a log")
    assert told.taken_for("a guess").by_name["base"] == Unknown(1.0, "a guess")


def test_the_page_is_that_of_the_data() -> None:
    written = (Path(__file__).parents[3] / "docs" / "clients.md").read_text()
    assert written == page(), "run: python -m interop.clients.table > docs/clients.md"


def test_the_page_has_every_client_once() -> None:
    names = [client.name for family in FAMILIES.values() for client in family]
    assert sorted(names) == sorted(EVERYBODY)


def test_the_page_marks_what_is_unknown() -> None:
    nonces = [line for line in page().splitlines() if line.startswith("| ike.nonce_size |")]
    assert nonces[0].startswith("| ike.nonce_size | 16 [")
    assert nonces[2].startswith("| ike.nonce_size | **?** 48 [")
