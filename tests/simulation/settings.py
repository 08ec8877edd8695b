"""The gateway's configuration in the simulation, and the kinds of clients that dial in."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.ikev1d.config import Config, load
from ikev1.wire.enums import AuthAlgorithm, EncryptionAlgorithm, EspTransform, Group, HashAlgorithm
from interop.certificates import SERVER_AUTH, Authority, pem
from interop.clients.ike import ANDROID, IOS_2011, IPHONE, STRONGSWAN, WINDOWS_10
from interop.initiator.profiles import EspOffer, Phase1Offer, only
from interop.initiator.signatures import Signer
from tests.simulation.behaviour import Temper
from tests.simulation.client import Kind
from tests.simulation.network import GATEWAY
from tests.support import l2tp_client

PSK = "correct horse battery staple"
ROUTERS_PSK = "one key for all routers"
"""Of those that leave the renewal of ESP SAs to the gateway: every tenth client."""
PHONES_PSK = "one key for all phones"
"""Of those that sleep for long, with a patient gateway."""
DESKS_PSK = "one key for all desks"
"""Of those that never sleep, with a gateway that soon gives up who is silent."""
OWN_KEYS = {5: "replace", 15: "several", 25: "keep", 35: "replace"}
"""Clients with a preshared key that was given to nobody else, and `same_identity` for each."""
PHASE1 = Phase1Offer(EncryptionAlgorithm.AES_CBC, 128, HashAlgorithm.SHA1, Group.ECP_256)
"""One transform, as the choice among many is tested elsewhere and costs time."""
ESP = EspOffer(EspTransform.AES_CBC, 128, AuthAlgorithm.HMAC_SHA1)
HELLO_INTERVAL = 120
ECHO_INTERVAL = 90
"""Seconds, longer than by default: they are most of the events of a quiet crowd."""
ECHO_FAILURES = 3
DEVICES = (
    (IPHONE, l2tp_client.APPLE),
    (IOS_2011, l2tp_client.APPLE_OLD),
    (WINDOWS_10, l2tp_client.WINDOWS),
    (WINDOWS_10, l2tp_client.WINDOWS),
    (ANDROID, l2tp_client.ANDROID),
    (STRONGSWAN, l2tp_client.ClientProfile()),
    (STRONGSWAN, l2tp_client.ClientProfile()),
)


def _own_key(number: int) -> str:
    return f"the key of client {number} alone"


_OWN_KEYS = "".join(
    f'''
[[psk]]
secret = "{_own_key(number)}"
one_client = true
connection = "{same}"
'''
    for number, same in OWN_KEYS.items()
) + "".join(
    f'''
[[connection]]
name = "{same}"
same_identity = "{same}"
'''
    for same in sorted(set(OWN_KEYS.values()))
)
_CONFIGURATION = f"""
[gateway]
listen = ["{GATEWAY}"]
name = "vpn"

[[psk]]
secret = "{PSK}"

[[psk]]
secret = "{ROUTERS_PSK}"
connection = "routers"

[[connection]]
name = "routers"
rekey = true

[[psk]]
secret = "{PHONES_PSK}"
connection = "phones"

[[connection]]
name = "phones"
dpd_delay = 150
dpd_timeout = 900
hello_interval = 200
echo_interval = 200
echo_failures = 4

[[psk]]
secret = "{DESKS_PSK}"
connection = "desks"

[[connection]]
name = "desks"
dpd_delay = 20
dpd_timeout = 90
hello_interval = 30
echo_interval = 25
echo_failures = 6

[[certificate]]
certificate = "gateway.pem"
key = "gateway.key"
ca = ["root.pem"]
connection = "certificates"
{_OWN_KEYS}
[l2tp]
hello_interval = {HELLO_INTERVAL}

[ppp]
pool = "10.64.0.0/14"
local_address = "10.64.0.1"
echo_interval = {ECHO_INTERVAL}
echo_failures = {ECHO_FAILURES}
users_file = "chap-secrets"

[marks]
mask = 0x7fff0000
base = 0x00110000
"""


@contextmanager
def configuration(clients: int) -> Iterator[Config]:
    """What an operator would have written, with a user for each client."""
    with TemporaryDirectory() as name:
        path = Path(name) / "ikev1d.toml"
        socket = f'control_socket = "{path.with_name("control")}"\n'
        path.write_text(_CONFIGURATION.replace("[gateway]\n", f"[gateway]\n{socket}"))
        gateway = _authority().issue("vpn", names=["vpn.example.org"], usages=[SERVER_AUTH])
        for file, text in (
            ("gateway.pem", gateway.certificate_pem()),
            ("gateway.key", gateway.key_pem()),
            ("root.pem", pem(_authority().certificate)),
        ):
            path.with_name(file).touch(0o600)
            path.with_name(file).write_text(text)
        users = path.with_name("chap-secrets")
        users.write_text("".join(f'user{n} * "{password(n)}" *\n' for n in range(clients)))
        path.chmod(0o600)
        users.chmod(0o600)
        yield load(path)


def password(number: int) -> str:
    """Of a client's user."""
    return f"secret {number}"


@functools.cache
def _authority() -> Authority:
    return Authority()


def _signer(number: int) -> Signer:
    """A certificate for each, with one key: it is its name that says who somebody is."""
    identity = _authority().issue(f"client {number}", number=2)
    return Signer.of(identity.key, identity.certificate)


def make_kind(number: int, dice: random.Random) -> Kind:
    """A device, with lifetimes that make an hour eventful."""
    ike, l2tp = dice.choice(DEVICES)
    ike = replace(
        only(ike, PHASE1, ESP),
        phase1_lifetime=dice.choice((900, 3600, 3600, 28800)),
        esp_lifetime=dice.choice((600, 3600, 3600)),
        esp_lifetime_kilobytes=None,
        pfs_group=dice.choice((None, None, None, Group.ECP_256)),
    )
    made = Kind(
        ike,
        replace(l2tp, auth=("chap-md5",)),
        PSK.encode(),
        f"user{number}",
        password(number),
    )
    if number in OWN_KEYS:
        own = _own_key(number).encode()
        return replace(made, psk=own, is_kept=OWN_KEYS[number] == "keep")
    match number % 10:
        case 1:
            return replace(made, psk=DESKS_PSK.encode(), gone_within=400.0)
        case 3:
            return replace(made, psk=ROUTERS_PSK.encode(), lets_server_rekey=True)
        case 7:
            return replace(made, signer=_signer(number))
        case 9:
            return replace(made, psk=PHONES_PSK.encode(), gone_within=1500.0, nap=300.0)
        case _:
            return made


def make_temper(kind: Kind, dice: random.Random) -> Temper:
    """How its user uses it."""
    temper = Temper(
        talk=dice.choice((20.0, 60.0, 300.0)),
        episode=dice.choice((300.0, 900.0, 1800.0)),
        away=dice.choice((5.0, 60.0, 600.0)),
        rekey_at=dice.choice((0.0, 0.75, 0.85, 0.95)),
        renew_at=dice.choice((0.0, 0.0, 0.8, 0.95)),
        quick_modes=dice.choice((1, 1, 1, 2)),
        deletes=dice.choice((0, 1, 1, 2)),
        dpd=dice.choice((0.0, 0.0, 0.0, 45.0)),
        believes_hints=dice.random() < 0.3,
    )
    return replace(temper, rekey_at=0.0) if kind.lets_server_rekey else temper
