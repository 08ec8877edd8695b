"""Finding out whether certificates are revoked: files first, then OCSP, then CRLs over HTTP.

Asked only about chains that have been verified, whose owners have shown that they have the key:
nobody else gets this machine to open connections (CVE-2022-40617).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Generic, TypeVar

from cli.ikev1d.http_fetch import FetchError, fetch
from ikev1.core.effects import CheckRevocation, RevocationCheck
from ikev1.x509.certificate import Certificate
from ikev1.x509.errors import CertificateError
from ikev1.x509.revocation import (
    Crl,
    OcspAnswer,
    Revoked,
    SourceError,
    ask_crls,
    crl_urls,
    make_request,
    ocsp_urls,
    read_crl,
    read_response,
)
from ikev1.x509.trust import Trust

FETCH_SECONDS = 5.0
"""For one request. A half-open SA waits, and a phone gives up after 10 to 30 s."""
CHAIN_SECONDS = 12.0
"""For all that is asked about one chain."""
MAX_CRL = 8 * 1024 * 1024
"""Octets: some 200,000 entries."""
MAX_RESPONSE = 64 * 1024
"""Octets of an OCSP response; with a chain of certificates it has some 5000."""
KEPT = timedelta(hours=1)
"""How long an answer is repeated at the most: whoever is revoked later is found out by then."""
FAILURE_KEPT = timedelta(minutes=1)
"""How long nobody asks again after a failure."""
MAX_CACHED = 32
"""Answers of each kind. An authority has one CRL; OCSP answers are one for each client."""
MAX_OCSP_CACHED = 4096
"""Some 100 octets each."""
FETCHERS = 4
"""Requests at a time. More wait, within the time for their chain."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    """An answer, or why there is none."""

    value: T | SourceError
    until: datetime


class _Cache(Generic[T]):
    """Answers by what was asked, the latest used last. Who asks the same meanwhile waits along."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[object, _Kept[T]] = OrderedDict()
        self._coming: dict[object, asyncio.Task[_Kept[T]]] = {}

    async def get(self, key: object, ask: Callable[[], asyncio.Task[_Kept[T]]]) -> T:
        """The answer; raises SourceError."""
        kept = self._kept.get(key)
        if kept is None or kept.until <= datetime.now(UTC):
            task = self._coming.get(key)
            if task is None:
                task = self._coming[key] = ask()
                task.add_done_callback(lambda _: self._coming.pop(key, None))
            # The chain that asked first may run out of time; the others, and the cache, need it.
            kept = await asyncio.shield(task)
            self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        if isinstance(kept.value, SourceError):
            raise kept.value
        return kept.value

    def clear(self) -> None:
        """Forget what has been answered."""
        self._kept.clear()


class Revocation:
    """Answers the engine's questions for revocations."""

    def __init__(self) -> None:
        self._fetchers = ThreadPoolExecutor(FETCHERS, thread_name_prefix="fetch")
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="crl")
        """A CRL of some megabytes takes some milliseconds; who is slow to answer slows no other."""
        self._crls: _Cache[Crl] = _Cache(MAX_CACHED)
        self._ocsp: _Cache[OcspAnswer] = _Cache(MAX_OCSP_CACHED)
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, question: CheckRevocation, answer: Callable[[object], None]) -> None:
        """Call `answer` later, from the loop."""

        async def run() -> None:
            answer(await self.answer(question))

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self) -> None:
        """Ask anew from now on."""
        self._crls.clear()
        self._ocsp.clear()

    def close(self) -> None:
        """Answer nothing more."""
        for task in self._tasks:
            task.cancel()
        for threads in (self._fetchers, self._readers):
            threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, question: CheckRevocation) -> RevocationCheck | CertificateError:
        """The answer to a question."""
        trust = question.trust
        if trust.revocation == "off":
            return RevocationCheck()
        unknown: list[str] = []
        try:
            async with asyncio.timeout(CHAIN_SECONDS):
                for certificate, issuer in pairwise(question.chain):
                    try:
                        revoked = await self._ask(certificate, issuer, trust)
                    except SourceError as error:
                        if trust.revocation == "strict" or _has_sources(certificate, trust):
                            unknown.append(_not_known(certificate, error))
                        continue
                    if revoked is not None:
                        return _is_revoked(certificate, revoked)
        except TimeoutError:
            unknown.append(f"no answer within {CHAIN_SECONDS:.0f} s whether it is revoked")
        if unknown and trust.revocation == "strict":
            return CertificateError(
                "; ".join(unknown),
                remedy='give a current crl, or set revocation = "lenient" in this [[certificate]]',
            )
        return RevocationCheck("; ".join(unknown))

    async def _ask(
        self, certificate: Certificate, issuer: Certificate, trust: Trust
    ) -> Revoked | None:
        """What the first source says that says anything. Raises SourceError."""
        try:
            return await self._look_up(certificate, issuer, trust.crls)
        except SourceError as error:
            causes = [str(error)]
        if not trust.fetch:
            raise SourceError(causes[0])
        for url in ocsp_urls(certificate):
            try:
                return (await self._ocsp_answer(url, certificate, issuer)).revoked
            except SourceError as error:
                causes.append(f"{url}: {error}")
        for url in crl_urls(certificate):
            try:
                return await self._look_up(certificate, issuer, (await self._crl(url),))
            except SourceError as error:
                causes.append(f"{url}: {error}")
        raise SourceError("; ".join(causes))

    async def _look_up(
        self, certificate: Certificate, issuer: Certificate, crls: tuple[Crl, ...]
    ) -> Revoked | None:
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, ask_crls, certificate, issuer, crls, datetime.now(UTC)
        )

    async def _ocsp_answer(
        self, url: str, certificate: Certificate, issuer: Certificate
    ) -> OcspAnswer:
        body = make_request(certificate, issuer)

        def ask() -> _Kept[OcspAnswer]:
            der = _fetched(url, MAX_RESPONSE, body, "application/ocsp-request")
            answer = read_response(der, certificate, issuer, datetime.now(UTC))
            return _Kept(answer, answer.good_until)

        return await self._ocsp.get((url, body, issuer.der), lambda: self._kept(ask))

    async def _crl(self, url: str) -> Crl:
        def ask() -> _Kept[Crl]:
            try:
                crl = read_crl(_fetched(url, MAX_CRL))
            except CertificateError as error:
                raise SourceError(str(error)) from None
            return _Kept(crl, crl.good_until)

        return await self._crls.get(url, lambda: self._kept(ask))

    def _kept(self, ask: Callable[[], _Kept[T]]) -> asyncio.Task[_Kept[T]]:
        """Ask in a thread; the answer, or the failure, with the time it is kept."""

        async def run() -> _Kept[T]:
            try:
                kept = await asyncio.get_running_loop().run_in_executor(self._fetchers, ask)
            except SourceError as error:
                return _Kept(error, datetime.now(UTC) + FAILURE_KEPT)
            return _Kept(kept.value, min(kept.until, datetime.now(UTC) + KEPT))

        return asyncio.get_running_loop().create_task(run())


def _fetched(url: str, octets: int, body: bytes | None = None, kind: str = "") -> bytes:
    try:
        return fetch(url, seconds=FETCH_SECONDS, octets=octets, body=body, kind=kind)
    except FetchError as error:
        raise SourceError(str(error)) from None


def _is_revoked(certificate: Certificate, revoked: Revoked) -> CertificateError:
    reason = f" ({revoked.reason})" if revoked.reason else ""
    return CertificateError(
        f"the certificate of {certificate.title} was revoked on "
        f"{revoked.since:%Y-%m-%d %H:%M} UTC{reason}"
    )


def _has_sources(certificate: Certificate, trust: Trust) -> bool:
    """Whether there is anything to ask: where nobody has set up revocations, none is missed."""
    named = ocsp_urls(certificate) or crl_urls(certificate)
    return bool(trust.crls or (trust.fetch and named))


def _not_known(certificate: Certificate, error: SourceError) -> str:
    return f"nothing says whether the certificate of {certificate.title} is revoked: {error}"
