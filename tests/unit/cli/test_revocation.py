"""The daemon asks for revocations: what it fetches, keeps, and does without an answer."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cli.ikev1d import revocation
from cli.ikev1d.http_fetch import FetchError, fetch
from cli.ikev1d.revocation import Revocation
from ikev1.core.effects import CheckRevocation, RevocationCheck
from ikev1.x509.certificate import read
from ikev1.x509.errors import CertificateError
from ikev1.x509.revocation import read_crl
from ikev1.x509.trust import RevocationPolicy, Trust
from interop.certificates import DAY, Authority, Identity, crl_at, ocsp_at

ROOT = Authority()


class Server(ThreadingHTTPServer):
    """Answers by path, and counts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Callable[[], bytes]] = {}
        self.asked: list[str] = []
        self.held = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/silent":
            self.server.held.wait(20)
            return
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", self.server.url("/crl"))
            self.end_headers()
            return
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while not self.server.held.is_set():
                    self.wfile.write(bytes(65536))
            except OSError:
                pass
            return
        make = self.server.answers.get(self.path)
        if make is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(make())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    ROOT.revoked.clear()
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.held.set()
        made.shutdown()
        thread.join()


def question(
    who: Identity,
    policy: RevocationPolicy = "lenient",
    *,
    crls: tuple[bytes, ...] = (),
    fetch: bool = True,
) -> CheckRevocation:
    trust = Trust(
        anchors=(read(ROOT.der),),
        revocation=policy,
        crls=tuple(map(read_crl, crls)),
        fetch=fetch,
    )
    return CheckRevocation(1, (read(who.der), read(ROOT.der)), trust)


def crl() -> bytes:
    return ROOT.crl().public_bytes(Encoding.DER)


def ask(*questions: CheckRevocation) -> list[RevocationCheck | CertificateError]:
    async def run() -> list[RevocationCheck | CertificateError]:
        asking = Revocation()
        try:
            return [await asking.answer(one) for one in questions]
        finally:
            asking.close()

    return asyncio.run(run())


def the_answer(asked: CheckRevocation) -> RevocationCheck | CertificateError:
    (answer,) = ask(asked)
    return answer


def test_off_asks_nobody(server: Server) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/crl"))])
    assert the_answer(question(alice, "off")) == RevocationCheck()
    assert server.asked == []


def test_files_go_first(server: Server) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/crl"))])
    assert the_answer(question(alice, crls=(crl(),))) == RevocationCheck()
    ROOT.revoke(alice)
    refused = the_answer(question(alice, crls=(crl(),)))
    assert isinstance(refused, CertificateError)
    assert 'the certificate of "C=DE, O=Acme, CN=alice" was revoked on' in refused.cause
    assert "(keyCompromise)" in refused.cause
    assert server.asked == []


def test_a_distribution_point(server: Server) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/crl"))])
    server.answers["/crl"] = crl
    assert the_answer(question(alice, "strict")) == RevocationCheck()
    ROOT.revoke(alice)
    assert isinstance(the_answer(question(alice)), CertificateError)


def test_a_list_is_fetched_once(server: Server) -> None:
    one, other = (
        ROOT.issue(name, extensions=[crl_at(server.url("/crl"))]) for name in ("alice", "bob")
    )
    server.answers["/crl"] = crl
    assert ask(question(one), question(other), question(one)) == [RevocationCheck()] * 3
    assert server.asked == ["/crl"]


def test_those_who_ask_at_once_wait_for_one_answer(server: Server) -> None:
    clients = [ROOT.issue(f"client {n}", extensions=[crl_at(server.url("/crl"))]) for n in range(5)]
    server.answers["/crl"] = crl

    async def run() -> list[object]:
        asking = Revocation()
        found = await asyncio.gather(*(asking.answer(question(one)) for one in clients))
        asking.close()
        return list(found)

    assert asyncio.run(run()) == [RevocationCheck()] * 5
    assert server.asked == ["/crl"]


def test_a_failure_is_not_tried_again_at_once(server: Server) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/none"))])
    ask(question(alice), question(alice))
    assert server.asked == ["/none"]


def test_after_a_reload_it_is_asked_anew(server: Server) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/crl"))])
    server.answers["/crl"] = crl

    async def run() -> tuple[object, object]:
        asking = Revocation()
        before = await asking.answer(question(alice))
        ROOT.revoke(alice)
        asking.forget()
        after = await asking.answer(question(alice))
        asking.close()
        return before, after

    before, after = asyncio.run(run())
    assert before == RevocationCheck()
    assert isinstance(after, CertificateError)


@pytest.mark.parametrize("status", list(ocsp.OCSPCertStatus))
def test_ocsp(server: Server, status: ocsp.OCSPCertStatus) -> None:
    alice = ROOT.issue("alice", extensions=[ocsp_at(server.url("/ocsp"))])
    server.answers["/ocsp"] = lambda: ROOT.ocsp_response(alice, status)
    answer = the_answer(question(alice))
    if status is ocsp.OCSPCertStatus.REVOKED:
        assert isinstance(answer, CertificateError)
    elif status is ocsp.OCSPCertStatus.GOOD:
        assert answer == RevocationCheck()
    else:
        assert isinstance(answer, RevocationCheck)
        assert "does not know the certificate" in answer.unknown


def test_a_list_where_ocsp_fails(server: Server) -> None:
    extensions = [ocsp_at(server.url("/none")), crl_at(server.url("/crl"))]
    alice = ROOT.issue("alice", extensions=extensions)
    server.answers["/crl"] = crl
    assert the_answer(question(alice, "strict")) == RevocationCheck()
    assert server.asked == ["/none", "/crl"]


@pytest.mark.parametrize("policy", ["lenient", "strict"])
def test_what_cannot_be_found_out(server: Server, policy: RevocationPolicy) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/none"))])
    answer = the_answer(question(alice, policy))
    text = answer.cause if isinstance(answer, CertificateError) else answer.unknown
    assert isinstance(answer, CertificateError) == (policy == "strict")
    assert 'nothing says whether the certificate of "C=DE, O=Acme, CN=alice" is revoked' in text
    assert "no CRL of" in text
    assert f"{server.url('/none')}: HTTP status 404" in text


def test_where_nobody_has_set_up_revocations_none_is_missed() -> None:
    alice = ROOT.issue("alice")
    assert the_answer(question(alice)) == RevocationCheck()
    assert isinstance(the_answer(question(alice, "strict")), CertificateError)


def test_nothing_is_fetched_where_that_is_not_wanted(server: Server) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/crl"))])
    answer = the_answer(question(alice, "strict", fetch=False))
    assert isinstance(answer, CertificateError)
    assert server.asked == []


def test_a_list_out_of_date(server: Server) -> None:
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/crl"))])
    server.answers["/crl"] = lambda: ROOT.crl(valid=(-9 * DAY, -DAY)).public_bytes(Encoding.DER)
    answer = the_answer(question(alice, "strict"))
    assert isinstance(answer, CertificateError)
    assert "out of date" in answer.cause


def test_an_answer_that_does_not_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "FETCH_SECONDS", 0.2)
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/silent"))])
    answer = the_answer(question(alice))
    assert isinstance(answer, RevocationCheck)
    assert "no answer within" in answer.unknown


def test_a_chain_has_a_time_for_all_its_answers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "CHAIN_SECONDS", 0.2)
    alice = ROOT.issue("alice", extensions=[crl_at(server.url("/silent"))])
    answer = the_answer(question(alice, "strict"))
    assert isinstance(answer, CertificateError)
    server.held.set()


def test_fetch_is_bounded(server: Server) -> None:
    server.answers["/big"] = lambda: bytes(1001)
    assert len(fetch(server.url("/big"), seconds=5, octets=1001)) == 1001
    with pytest.raises(FetchError, match="more than 1000 octets"):
        fetch(server.url("/big"), seconds=5, octets=1000)
    with pytest.raises(FetchError, match="more than"):
        fetch(server.url("/endless"), seconds=5, octets=1 << 20)
    with pytest.raises(FetchError, match="no answer within"):
        fetch(server.url("/silent"), seconds=0.2, octets=1000)
    with pytest.raises(FetchError, match="HTTP status 302"):
        fetch(server.url("/elsewhere"), seconds=5, octets=1000)
    assert "/crl" not in server.asked


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://",
        "http:///x",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://127.0.0.1/a b\r\nHost: x",
        "",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(FetchError):
        fetch(url, seconds=1, octets=1)
