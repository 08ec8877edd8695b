"""A CA over its whole life: whatever is issued, renewed and revoked, index, files and CRL agree."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cli.ikectl.errors import CommandError
from cli.ikectl.pki import authority, index
from cli.ikectl.pki.index import CLIENT, GATEWAY, Entry, Index

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from(["alice", "bob"])
DAYS = 30

TEXT = st.text(max_size=20)
TIMES = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the time zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
ENTRIES = st.builds(
    Entry,
    name=TEXT,
    kind=st.sampled_from([GATEWAY, CLIENT]),
    serial=st.integers(1, 1 << 159).map("{:x}".format),
    names=st.lists(TEXT, max_size=3).map(tuple),
    key=st.sampled_from(["rsa3072", "ecdsa-p256"]),
    not_before=TIMES,
    not_after=TIMES,
    revoked=st.none() | TIMES,
    reason=TEXT,
)
INDEXES = st.builds(
    Index,
    organization=TEXT,
    crl_url=TEXT,
    crl_number=st.integers(0),
    crl_next_update=st.none() | TIMES,
    entries=st.lists(ENTRIES, max_size=4).map(tuple),
)


@given(INDEXES)
@settings(max_examples=50)
def test_an_index_is_read_as_it_was_written(written: Index) -> None:
    with tempfile.TemporaryDirectory() as directory:
        index.save(Path(directory), written)
        assert index.load(Path(directory)) == written


class Life(RuleBasedStateMachine):
    """Issues from an ECDSA CA, on days that pass; `valid` and `revoked` are what must be so."""

    def __init__(self) -> None:
        super().__init__()
        self.holder = tempfile.TemporaryDirectory()
        self.directory = Path(self.holder.name)
        self.now = BEGIN
        self.ends: dict[tuple[str, int], datetime] = {}
        self.revoked: set[int] = set()
        authority.create(
            self.directory,
            name="CA",
            organization="",
            key_type="ecdsa-p256",
            days=3650,
            passphrase=b"",
            crl_url="",
            now=BEGIN,
        )

    def teardown(self) -> None:
        self.holder.cleanup()

    def valid(self, name: str) -> set[int]:
        return {
            serial
            for (owner, serial), end in self.ends.items()
            if owner == name and end >= self.now and serial not in self.revoked
        }

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.directory / f"clients/{name}.crt").read_bytes())

    def took(self, name: str) -> None:
        issued = self.certificate(name)
        self.ends[name, issued.serial_number] = issued.not_valid_after_utc

    @rule(name=NAMES)
    def issue(self, name: str) -> None:
        with authority.opened(self.directory, lambda: b"", self.now) as ca:
            try:
                ca.issue_client(name, "ecdsa-p256", DAYS, "passphrase", legacy=False)
            except CommandError:
                assert self.valid(name)
                return
        assert not self.valid(name)
        self.took(name)

    @rule(name=NAMES)
    def renew(self, name: str) -> None:
        serials = [serial for owner, serial in self.ends if owner == name]
        renewable = bool(serials) and serials[-1] not in self.revoked
        with authority.opened(self.directory, lambda: b"", self.now) as ca:
            try:
                ca.renew_client(ca.last(name), DAYS, "passphrase", legacy=False)
            except CommandError:
                assert not renewable
                return
        assert renewable
        self.took(name)

    @rule(name=NAMES)
    def revoke(self, name: str) -> None:
        valid = self.valid(name)
        with authority.opened(self.directory, lambda: b"", self.now) as ca:
            try:
                gone = ca.revoke(name, "superseded")
            except CommandError:
                assert not valid
                return
            ca.publish(DAYS, None)
        assert {int(entry.serial, 16) for entry in gone} == valid
        self.revoked |= valid

    @rule(days=st.integers(1, 20))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)

    @invariant()
    def the_crl_has_who_was_revoked(self) -> None:
        file = self.directory / "crl.der"
        if file.exists():
            crl = x509.load_der_x509_crl(file.read_bytes())
            assert {entry.serial_number for entry in crl} == self.revoked

    @invariant()
    def the_index_knows_every_certificate(self) -> None:
        entries = index.load(self.directory).entries
        assert {(entry.name, int(entry.serial, 16)) for entry in entries} == self.ends.keys()
        valid = {int(entry.serial, 16) for entry in entries if entry.state(self.now) == "valid"}
        assert valid == self.valid("alice") | self.valid("bob")


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
