"""The users: [[user]] sections, and the entries of a chap-secrets file for this gateway."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from cli.ikev1d.config import chap_secrets, schema
from cli.ikev1d.config.check import Check
from cli.ikev1d.config.errors import ConfigError, Place
from cli.ikev1d.config.model import ANY, AddressRule, AddressRules, Gateway, Ppp, User
from cli.ikev1d.config.secret import Secret
from cli.ikev1d.config.source import Key


def read_users(
    check: Check, document: schema.Document, gateway: Gateway, ppp: Ppp
) -> dict[str, User]:
    """Return all users by name.

    Raises ConfigError where two have the same name or the same address.
    """
    found = [_user(check, ("user", index), table) for index, table in enumerate(document.user)]
    if users_file := document.ppp.users_file:
        found += _chap_users(check, gateway, ppp, check.source.path.parent / users_file)
    if not found:
        check.warn(
            ("user",),
            "there are no users, so nobody can log in: add [[user]] sections or ppp.users_file",
        )
    users: dict[str, User] = {}
    owners: dict[IPv4Address, User] = {}
    for user in found:
        if user.name in users:
            problem = f'user "{user.name}" is at {users[user.name].place} already'
            raise ConfigError(user.place, "", problem, remedy="remove one of the two")
        users[user.name] = user
        if user.address is None:
            continue
        if user.address == ppp.local_address:
            problem = f'user "{user.name}" has the address of ppp.local_address'
            raise ConfigError(user.place, "", problem, remedy="choose another")
        if user.address in owners:
            other = owners[user.address]
            problem = f'user "{user.name}" has the address of "{other.name}" at {other.place}'
            raise ConfigError(user.place, "", problem, remedy="choose another")
        owners[user.address] = user
    return users


def _user(check: Check, key: Key, table: schema.UserTable) -> User:
    address = None
    if table.address is not None:
        address = check.address((*key, "address"), table.address)
    secret = check.secret(key, table)
    place = check.source.place(key)
    _check_utf8(secret, table.name, place)
    network = ANY if address is None else IPv4Network(address)
    return User(
        table.name, secret, address, AddressRules((AddressRule(network, permit=True),)), place
    )


def _check_utf8(secret: Secret, name: str, place: Place) -> None:
    """MS-CHAPv2 works on the characters of a password (RFC 2759 section 8.3), not on its bytes."""
    try:
        secret.reveal().decode()
    except UnicodeDecodeError:
        raise ConfigError(
            place,
            "",
            f'the secret of user "{name}" is not UTF-8',
            remedy="convert the file: iconv -f latin1 -t utf8",
        ) from None


def _chap_users(check: Check, gateway: Gateway, ppp: Ppp, path: Path) -> list[User]:
    data = check.read_private(("ppp", "users_file"), path)
    entries = chap_secrets.parse(data, path)
    others = [
        entry for entry in entries if entry.server not in (chap_secrets.WILDCARD, gateway.name)
    ]
    if others:
        # Not the name itself: where columns are mixed up, it is a secret.
        check.warn(
            ("ppp", "users_file"),
            f"{others[0].place}: {len(others)} entries from this line on are for another server "
            'and are not used; the second column must be "*" or what gateway.name is',
        )
    # As in pppd, a line for this server goes before one for any.
    chosen: dict[str, chap_secrets.ChapSecret] = {}
    for name in (gateway.name, chap_secrets.WILDCARD):
        for entry in entries:
            if entry.server == name:
                chosen.setdefault(entry.client, entry)
    made = (_chap_user(check, entry, ppp) for entry in chosen.values())
    return [user for user in made if user is not None]


def _chap_user(check: Check, entry: chap_secrets.ChapSecret, ppp: Ppp) -> User | None:
    """The user of an entry; None, with a warning, where that would let anybody in."""
    secret = entry.secret
    if entry.secret_file is not None:
        data = check.read_private(("ppp", "users_file"), entry.secret_file)
        secret = Secret(chap_secrets.first_word(data, entry.secret_file))
    _check_utf8(secret, entry.client, entry.place)
    title = f'{entry.place}: client "{entry.client}"'
    if entry.client == chap_secrets.WILDCARD:
        check.warning(f"{title} is not used: every user needs a name")
        return None
    if not secret.reveal():
        check.warning(f"{title} is not used: the secret is empty")
        return None
    rules = entry.rules()
    if not rules.rules:
        check.warning(
            f"{title} cannot log in: it may have no address; "
            'a fourth column "*" gives it one of the pool'
        )
    elif rules.host is None and not rules.permits_all(ppp.pool):
        check.warning(
            f"{title} cannot log in: its addresses are not all of ppp.pool; "
            "give it one address, or networks that have all of the pool in them"
        )
        rules = AddressRules(())
    return User(entry.client, secret, rules.host, rules, entry.place)
