import pytest

from ikev1.core.clients import Client, Clients, MarkSpace
from ikev1.core.effects import Path


def path(remote: str = "198.51.100.7", port: int = 4500) -> Path:
    return Path("203.0.113.1", 4500, remote, port, encapsulated=True)


@pytest.mark.parametrize(
    ("base", "mask", "step", "last"),
    [
        (0, 0x00FFFFFF, 1, 0x00FFFFFF),
        (0, 0xFFFFFFFF, 1, 0xFFFFFFFF),
        (0x1000, 0xFFFF, 1, 0xFFFF),
        (0x1000, 0xFF00, 0x100, 0xFF00),
        (0, 0x80000000, 0x80000000, 0x80000000),
    ],
)
def test_mark_space(base: int, mask: int, step: int, last: int) -> None:
    space = MarkSpace(base, mask)
    assert (space.step, space.last) == (step, last)


@pytest.mark.parametrize(
    ("base", "mask"),
    [
        (0, 0),
        (0, -1),
        (0x100, 0xFF),  # outside
        (0x180, 0xFF00),  # between two marks
        (0, 0x0F0F),  # in two pieces
        (0xFF00, 0xFF00),  # nothing above
    ],
)
def test_mark_spaces_that_are_none(base: int, mask: int) -> None:
    with pytest.raises(ValueError, match="mask"):
        MarkSpace(base, mask)


def make(name: str, where: Path) -> Client:
    return Client(name, where, "@laptop", "office", "unknown", "client", since=0.0)


def add(clients: Clients, number: int) -> int | None:
    client = make(f"c{number}", path(port=number))
    return client.mark if clients.add(client) else None


def added(clients: Clients, name: str, where: Path) -> Client:
    client = make(name, where)
    assert clients.add(client)
    return client


def test_every_mark_is_given_out_once_and_inside_the_mask() -> None:
    clients = Clients(MarkSpace(0x1000, 0xFF00))
    marks = [add(clients, number) for number in range(0x100)]
    given = [mark for mark in marks if mark is not None]
    assert given == list(range(0x1100, 0x10000, 0x100))
    assert marks[len(given) :] == [None] * (0x100 - len(given))
    assert len(clients) == len(given)


def test_a_free_mark_is_used_again_but_as_late_as_can_be() -> None:
    clients = Clients(MarkSpace(0, 0x7))
    for number in range(3):
        add(clients, number)
    gone = clients.by_mark(2)
    assert gone is not None
    clients.remove(gone)
    assert [add(clients, number) for number in range(10, 14)] == [4, 5, 6, 7]
    assert [add(clients, 20), add(clients, 21)] == [2, None]


def test_a_client_is_found_by_where_and_who_it_is() -> None:
    clients = Clients(MarkSpace())
    client = added(clients, "c", path())
    assert clients.find(path(), "@laptop", "office") is client
    assert clients.by_mark(client.mark) is clients.by_id("c") is client
    for other in (
        clients.find(path(port=4501), "@laptop", "office"),
        clients.find(path("198.51.100.8"), "@laptop", "office"),
        clients.find(path(), "@phone", "office"),
        clients.find(path(), "@laptop", "branch"),
    ):
        assert other is None
    clients.remove(client)
    assert clients.find(path(), "@laptop", "office") is None
    assert clients.by_mark(client.mark) is clients.by_id("c") is None
    assert list(clients) == []


def test_two_clients_whose_cookies_begin_alike_have_their_own_names() -> None:
    clients = Clients(MarkSpace())
    names = []
    for number in range(3):
        client = added(clients, "abcd1234", path(port=number))
        names.append(client.id)
        assert clients.by_id(client.id) is client
    assert names == ["abcd1234", "abcd1234-2", "abcd1234-3"]


def test_a_client_that_moves_is_found_where_it_is() -> None:
    clients = Clients(MarkSpace())
    client = added(clients, "c", path())
    clients.move(client, path(port=9))
    assert clients.find(path(), "@laptop", "office") is None
    assert clients.find(path(port=9), "@laptop", "office") is client


def test_one_that_moved_away_from_where_another_is_now_takes_nothing_with_it() -> None:
    clients = Clients(MarkSpace())
    one = added(clients, "one", path(port=1))
    two = added(clients, "two", path(port=2))
    clients.move(one, path(port=2))
    clients.move(two, path(port=3))
    assert clients.find(path(port=2), "@laptop", "office") is one
    clients.remove(two)
    assert clients.find(path(port=2), "@laptop", "office") is one
