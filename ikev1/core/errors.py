"""Why an exchange is refused, in words an operator can act on."""

from __future__ import annotations

from ikev1.core.effects import Path, Refused
from ikev1.wire.enums import NotifyType


class ExchangeError(Exception):
    """The peer's message is well formed but cannot be accepted.

    `setting` is the key path in the configuration that decided, `remedy` what to do about it, and
    `notify` the RFC 2408 section 3.14.1 type that tells the peer.
    """

    def __init__(
        self,
        cause: str,
        notify: NotifyType,
        *,
        remedy: str = "",
        setting: str | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.notify = notify
        self.remedy = remedy
        self.setting = setting

    def refusal(self, client: str, path: Path, exchange: str) -> Refused:
        """The same for the operator, with who and where."""
        return Refused(
            client=client,
            path=path,
            exchange=exchange,
            cause=self.cause,
            notify=self.notify,
            remedy=self.remedy,
            setting=self.setting,
        )
