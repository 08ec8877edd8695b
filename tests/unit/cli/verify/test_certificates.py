"""Certificates that expire are announced by verify, and in the log day by day."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cli.ikev1d.config import Config
from cli.ikev1d.expiry import ExpiryWatch
from cli.ikev1d.in_force import InForce
from cli.ikev1d.verify.certificates import certificates_of, check_certificates
from cli.ikev1d.verify.configuration import check_configuration
from ikev1.x509.revocation import read_crl
from interop.certificates import SERVER_AUTH, Authority, pem
from tests.support.verify_samples import configured, wrong

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
SECTION = """
[[certificate]]
connection = "staff"
certificate = "gateway.pem"
key = "gateway.key"
ca = ["ca.pem"]
"""


def with_certificate(directory: Path, days: int) -> Config:
    """A gateway whose certificate has so many days left."""
    authority = Authority()
    own = authority.issue(
        "gateway",
        names=["vpn.example.org"],
        usages=[SERVER_AUTH],
        valid=(-400 * DAY, days * DAY + timedelta(hours=1)),
    )
    for name, text in (
        ("gateway.pem", own.certificate_pem()),
        ("gateway.key", own.key_pem()),
        ("ca.pem", pem(authority.certificate)),
    ):
        (directory / name).write_text(text)
        (directory / name).chmod(0o600)
    return configured(directory, more=SECTION)


@pytest.mark.parametrize(
    ("days", "level"), [(40, "ok"), (31, "ok"), (29, "warning"), (8, "warning"), (6, "failure")]
)
def test_a_certificate_that_expires(days: int, level: str, tmp_path: Path) -> None:
    config = with_certificate(tmp_path, days)
    (finding,) = check_certificates(config, NOW)
    assert (finding.check, finding.level) == ("certificates.validity", level)
    if level != "ok":
        assert "CN=gateway" in finding.what
        assert "connection staff" in finding.what
        assert "ikectl pki renew" in finding.remedy


def test_a_certificate_that_has_expired_and_one_to_come(tmp_path: Path) -> None:
    config = with_certificate(tmp_path, 40)
    later = wrong(check_certificates(config, NOW + 41 * DAY))["certificates.validity"]
    assert later.level == "failure"
    assert "has expired on" in later.what
    earlier = list(check_certificates(config, NOW - 500 * DAY))
    assert {finding.level for finding in earlier} == {"failure"}
    assert all("is not valid yet" in finding.what for finding in earlier)


def test_it_is_told_once(tmp_path: Path) -> None:
    """The configuration's own warning is about the same, without what to do."""
    config = with_certificate(tmp_path, 10)
    assert any("expires on" in text for text in config.warnings)
    assert wrong(check_configuration(config)) == {}
    assert len(wrong(check_certificates(config, NOW))) == 1


def test_the_gateways_own_and_the_authority_are_looked_at(tmp_path: Path) -> None:
    config = with_certificate(tmp_path, 40)
    titles = [(connection, one.title) for connection, one in certificates_of(config)]
    assert len(titles) == 2
    assert {connection for connection, _ in titles} == {"staff"}


def test_a_list_of_revocations_that_is_out_of_date(tmp_path: Path) -> None:
    config = with_certificate(tmp_path, 40)
    (entry,) = config.certificates
    crl = Authority().crl(valid=(-9 * DAY, 2 * DAY)).public_bytes(Encoding.DER)
    entry = replace(entry, trust=replace(entry.trust, crls=(read_crl(crl),)))
    config = replace(config, certificates=(entry,))
    assert wrong(check_certificates(config, NOW)) == {}
    found = wrong(check_certificates(config, NOW + 3 * DAY))
    assert "Acme CA" in found["certificates.crl"].what


def test_without_certificates_nothing_is_said(tmp_path: Path) -> None:
    assert list(check_certificates(configured(tmp_path), NOW)) == []


def test_the_log_announces(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = with_certificate(tmp_path, 40)

    async def announce(now: datetime) -> int:
        caplog.clear()
        ExpiryWatch(InForce(config)).announce(now)
        return len(caplog.records)

    with caplog.at_level(logging.WARNING, logger="ikev1d"):
        assert asyncio.run(announce(NOW)) == 0
        assert asyncio.run(announce(NOW + 20 * DAY)) == 1
