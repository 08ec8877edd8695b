"""Why a certificate, or what somebody proves with it, is not accepted."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ikev1.wire.enums import NotifyType

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Warning,
)
"""All that the library raises on bad DER, as found by trying (`tests/property/test_x509.py`).

Warnings are errors in tests only.
"""


class CertificateError(Exception):
    """The text says what is wrong, for the operator; `notify` tells the peer.

    `remedy` is what to do about it. `progress` counts the checks that were passed before: of
    several reasons for which nothing fits, that of the nearest miss is the one to tell.
    """

    def __init__(
        self,
        cause: str,
        notify: NotifyType = NotifyType.INVALID_CERTIFICATE,
        *,
        remedy: str = "",
        progress: int = 0,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.notify = notify
        self.remedy = remedy
        self.progress = progress
