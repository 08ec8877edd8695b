"""Certificates and CRLs of the configuration: whether they are valid, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.config.certificates import SOON, time_trouble
from cli.ikev1d.verify.findings import failure, ok, warning
from ikev1.x509 import names
from ikev1.x509.certificate import Certificate

URGENT = timedelta(days=7)
"""A certificate with less than that left is a failure; before, from `SOON` on, a warning."""


def certificates_of(config: Config) -> list[tuple[str, Certificate]]:
    """The gateway's own certificates and the authorities, each with its connection, and once."""
    found: dict[tuple[str, Certificate], None] = {}
    for entry in config.certificates:
        for one in (*entry.chain, *entry.trust.anchors):
            found[entry.connection, one] = None
    return list(found)


def check_certificates(config: Config, now: datetime) -> Iterator[Finding]:
    """Judge their times, and those of the CRLs."""
    if not config.certificates:
        return
    good = True
    for connection, one in certificates_of(config):
        trouble = time_trouble(one, now)
        if not trouble:
            continue
        good = False
        judge = warning if now >= one.not_before and now + URGENT <= one.not_after else failure
        own = any(one in entry.chain for entry in config.certificates)
        whose = "the gateway's" if own else "any client's"
        yield judge(
            "certificates.validity",
            f"{trouble}, of the connection {connection}",
            f"outside of its time {whose} certificate is refused, and nobody gets in by it",
            "ikectl pki renew NAME, for a certificate of `ikectl pki`; else a new one of its "
            "authority; then systemctl reload ikev1d",
        )
    for entry in config.certificates:
        for crl in entry.trust.crls:
            if now <= crl.good_until:
                continue
            good = False
            yield warning(
                "certificates.crl",
                f"the CRL of {names.show(crl.issuer)} was to be renewed by "
                f"{crl.good_until:%Y-%m-%d}",
                "what has been revoked since is not known",
                "ikectl pki crl, for an authority of `ikectl pki`; else fetch a new one",
            )
    if good:
        yield ok("certificates.validity", f"every certificate is valid for {SOON.days} days more")
